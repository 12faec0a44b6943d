"""What people are shown of a result: a page, a terminal, a notebook."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import ctxzip
from ctxzip import CompressedDocument, Compression, Document, Options, Segment, Span
from ctxzip.cli import main
from ctxzip.report import fragment, html, terminal
from ctxzip.report.marks import Shades, pieces
from ctxzip.types import ScoredUnit

SAMPLE = json.loads(
    (Path(__file__).parents[2] / "examples" / "sample.json").read_text(encoding="utf-8")
)
EVIL = (
    "<script>document.title = 'owned'</script> Valve V-221 was replaced on 3 May. "
    "<img src=x onerror=alert(1)> \"'><b>bold</b> &amp; \u202etxet dna\u202c \x1b[31mred\x1b[0m. "
    "Nothing else is known about the valve."
)


class Reading(HTMLParser):
    """Collects the text of a page, and which of it stands in which elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.found: list[tuple[str, list[tuple[str, str]]]] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "input", "rect", "br", "line", "circle"):
            self.open.append((tag, dict(attrs).get("class") or ""))

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        opened, _ = self.open.pop()
        assert opened == tag, f"{opened} is closed by {tag}"

    def handle_data(self, data):
        self.found.append((data, list(self.open)))

    def inside(self, tag: str, kind: str = "") -> str:
        return "".join(
            text
            for text, around in self.found
            if any(
                name == tag and (not kind or kind in classes.split()) for name, classes in around
            )
        )


@pytest.fixture(scope="module")
def result() -> Compression:
    return ctxzip.compress(
        SAMPLE["documents"],
        0.3,
        query=SAMPLE["question"],
        compressor="lexical",
        options=Options(protect=["duty pharmacist"]),
    )


@pytest.mark.parametrize("granularity", ["sentence", "word"])
def test_pieces_are_the_source_and_the_kept_ones_the_output(granularity):
    result = ctxzip.compress(
        SAMPLE["documents"], 0.4, compressor="lexical", options=Options(granularity=granularity)
    )
    for document in result.documents:
        text = document.source.text
        cut = list(pieces(document))
        assert "".join(text[p.start : p.end] for p in cut) == text
        assert "".join(text[p.start : p.end] for p in cut if p.kept) == document.text
        for piece in cut:
            if piece.unit >= 0:
                span = document.units[piece.unit].span
                assert span.start <= piece.start < piece.end <= span.end


def test_lost_evidence_is_cut_out_of_what_was_dropped():
    text = "Red pump. Old valve. New hose."
    document = CompressedDocument((Document(text),), "Red pump.", (Span(0, 9),))
    cut = list(pieces(document, [Span(4, 15)]))
    assert [text[p.start : p.end] for p in cut if p.lost] == [" Old v"]
    assert "".join(text[p.start : p.end] for p in cut) == text


def test_the_page_shows_all_text_kept_dropped_and_protected(result):
    page = Reading(html(result, query=SAMPLE["question"]))
    shown = page.inside("div", "b")
    assert shown == "".join(document.source.text for document in result.documents)
    dropped = page.inside("del").removeprefix("dropped")
    kept = "".join(document.text for document in result.documents)
    assert len(dropped) + len(kept) == len(shown)
    assert "Ice cream is the exception" in dropped
    assert "duty pharmacist" in page.inside("span", "p")
    assert page.inside("h1") == SAMPLE["question"]
    assert page.inside("pre") == result.text
    everything = page.inside("main")
    for fact in (f"{result.tokens_before:,}", f"{result.tokens_after:,}", f"{result.ratio:.1%}"):
        assert fact in everything
    assert all(stage in everything for stage in result.seconds)


def test_scores_stand_beside_every_unit(result):
    page = html(result)
    units = [unit for document in result.documents for unit in document.units]
    assert page.count("data-s='") == len(units)
    assert f"data-s='{max(unit.score for unit in units):.3g}'" in page


def test_nothing_of_a_document_becomes_markup():
    result = ctxzip.compress(
        [{"text": EVIL, "title": "<script>title</script>", "id": "'\"><i>"}],
        0.5,
        query="<script>question</script> valve",
        compressor="lexical",
        options=Options(titles=True),
    )
    for page in (html(result, query="<script>question</script>"), fragment(result)):
        read = Reading(page)
        assert read.tags.count("script") <= 1
        assert not {"img", "i"} & set(read.tags)
        assert "document.title = 'owned'" in read.inside("div", "b")
        assert "\x1b" not in page
        assert "\u202e" not in page


def test_the_page_runs_and_loads_nothing_but_its_own(result):
    page = html(result)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    assert "default-src 'none'" in policy
    for tag in ("script", "style"):
        [body] = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r"(?:src|href)=['\"](?!#)", page)
    assert " style=" not in page, "the policy would not let it"
    assert "url(" not in page


def test_a_rewritten_document_and_inserted_text():
    source = Document("A long text about valves.", id="a")
    rewritten = Compression(
        "Doc a\nValves.",
        (CompressedDocument((source, Document("Another.")), "Valves.", None),),
        9,
        3,
        "o200k_base",
        "writer",
        segments=(Segment(0, 6, 0, -1), Segment(6, 13, 0, -1)),
    )
    page = Reading(html(rewritten))
    assert "A long text about valves.Another." in page.inside("del")
    assert "Valves." in page.inside("span", "s4")
    assert page.inside("ins") == "Doc a\nValves."
    assert "(rewritten)" in terminal(rewritten)


@pytest.mark.parametrize(
    "prompt", ["", "one", "你好，世界。今天天气很好。", "مرحبا بالعالم. كيف الحال؟", "🙂 🙃"]
)
def test_small_and_foreign_texts(prompt):
    result = ctxzip.compress(prompt, 0.5, compressor="lexical")
    page = Reading(html(result))
    assert page.inside("div", "b") == prompt
    assert terminal(result, colour=False)
    assert Reading(fragment(result)).tags


def test_a_tokenizer_of_the_callers_own():
    def words(text: str) -> int:
        return len(text.split())

    result = ctxzip.compress("One two three. Four five six.", 0.5, options=Options(tokenizer=words))
    assert "characters" in html(result)
    assert "6 → 3 tokens" in html(result, tokenizer=words)
    with pytest.raises(ctxzip.InputError):
        html(result, tokenizer=7)


def test_a_million_characters_make_a_page_of_bounded_blocks():
    sentences = [f"Pump {i} stands in hall {i % 97} and was checked twice. " for i in range(19_000)]
    for text in ("".join(sentences), "".join(s + "\n" for s in sentences)):
        result = ctxzip.compress(text, 0.3, query="Where is pump 77?", compressor="lexical")
        page = html(result)
        assert len(page) < 4 * len(text)
        blocks = re.findall(r"<div class='b(?: l)?' dir='auto'>(.*?)</div>", page, re.DOTALL)
        assert max(len(re.sub(r"<[^>]+>", "", block)) for block in blocks) < 17_000
        assert len(blocks) > 60


def test_the_terminal_dims_what_was_dropped_and_stays_itself():
    result = ctxzip.compress(EVIL, 0.5, query="valve", compressor="lexical")
    plain = terminal(result, colour=False)
    assert "\x1b" not in plain
    assert "\u202e" not in plain
    body = plain.partition("\n")[2]
    assert re.sub(r"\[-.*?-\]", "", body, flags=re.DOTALL).strip() == result.text
    assert "Valve V-221" in body
    coloured = terminal(result)
    assert "\x1b[2m" in coloured
    assert set(re.findall("\x1b\\[[0-9;]*m", coloured)) <= {
        "\x1b[1m",
        "\x1b[2m",
        "\x1b[4m",
        "\x1b[0m",
    }
    assert "\u241b[31m" in coloured, "the document's own codes are shown, not obeyed"


def test_notebooks_get_a_fragment_in_bounds(result):
    shown = result._repr_html_()
    assert shown == fragment(result)
    assert "<script" not in shown
    assert "title='" in shown
    long = ctxzip.compress(["A pump stands here. " * 20_000] * 3, 0.5, compressor="lexical")
    assert len(long._repr_html_()) < 200_000
    assert "more documents" in long._repr_html_()


def test_shades_rank_what_was_kept():
    units = [ScoredUnit(Span(i, i + 1), 10.0**i, i >= 5, False) for i in range(10)]
    shades = Shades([CompressedDocument((Document("x" * 10),), "", (), units=units)])
    assert [shades.of(unit.score) for unit in units[5:]] == [0, 1, 2, 3, 4]
    assert Shades([]).of(1.0) == 0


def test_the_command_line_writes_the_page_and_shows_the_text(tmp_path, capfd):
    text = tmp_path / "log.txt"
    text.write_text(EVIL.replace("\x1b", ""), encoding="utf-8")
    page = tmp_path / "page.html"
    asked = ["compress", str(text), "-q", "valve", "-r", "0.5", "-c", "lexical"]
    assert main([*asked, "--report", str(page)]) == 0
    plain = capfd.readouterr().out
    shown = Reading(page.read_text(encoding="utf-8"))
    assert shown.inside("h1") == "valve"
    assert shown.inside("pre") + "\n" == plain
    assert main([*asked, "--show"]) == 0
    out = capfd.readouterr().out
    assert "[-" in out, "no terminal, no colours"
    assert "3 May" in out
    assert main([*asked, "--show", "--json"]) == 1
    assert main([*asked, "--report", str(tmp_path / "no" / "page.html")]) == 1
    assert "page.html cannot be written" in capfd.readouterr().err
