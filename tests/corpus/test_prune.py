"""What goes, what stays, and that everything that goes is listed."""

import json
import random

import numpy as np
import pytest

from ctxzip.corpus.prune.boilerplate import RepeatedLines, empty_reason
from ctxzip.corpus.prune.rows import Rules, prune
from ctxzip.corpus.prune.similar import Signatures, fold, jaccard, shingles
from ctxzip.corpus.settings import Settings
from ctxzip.corpus.show.stats import measure
from ctxzip.errors import InputError
from tests.command import called
from tests.corpus.conftest import passage, read_lines, records, write_lines


def test_duplicates_near_duplicates_and_what_only_looks_like_one(tmp_path):
    draw = random.Random(3)
    base = passage(draw, 8)
    edited = base.replace(". The", ". A", 1)
    other_number = base[: base.rindex(" took ")] + " took 77777 minutes."
    rows = [
        {"id": "first", "text": base},
        {"id": "copy", "text": "  " + base.upper().replace(" ", "  ")},
        {"id": "edited", "text": edited},
        {"id": "number", "text": other_number},
        {"id": "negated", "text": base.replace("The", "Not the", 1)},
        *records(30),
        {"id": "dots", "text": "----- ***** ....."},
        {"id": "short", "text": "OK."},
        {"id": "chinese", "text": "你好，世界。今天天气很好。"},
    ]
    source = write_lines(tmp_path / "in.jsonl", rows)
    done = prune([str(source)], tmp_path / "out", Rules())
    gone = {entry["id"]: entry for entry in read_lines(tmp_path / "out", "dropped.jsonl")}
    assert {i: gone[i]["kind"] for i in gone} == {
        "copy": "duplicate", "edited": "near-duplicate", "dots": "no information",
        "short": "no information",
    }  # fmt: skip
    assert "first" in gone["copy"]["reason"]
    assert "first" in gone["edited"]["reason"]
    assert gone["edited"]["text"] == edited
    kept = read_lines(tmp_path / "out")
    assert [row for row in rows if row["id"] not in gone] == kept
    assert done.kept == len(kept) == done.records - 4
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["dropped"] == done.dropped


def test_headers_footers_and_navigation_go_but_not_code_or_tables(tmp_path):
    draw = random.Random(4)
    rows = []
    for i in range(12):
        body = passage(draw, 3)
        text = (
            f"ACME handbook\nHome\n\n{body}\n\nShare this page\nPrint\nSubscribe\n\n"
            f"```\nreturn None\n```\n| a | b |\n{passage(draw, 2)}\nAll rights "
            f"reserved.\nPage {i}\n"
        )
        rows.append({"id": i, "text": text})
    source = write_lines(tmp_path / "in.jsonl", rows)
    done = prune([str(source)], tmp_path / "out", Rules())
    assert done.trimmed == done.kept == 12
    for old, new in zip(rows, read_lines(tmp_path / "out"), strict=True):
        for line in ("ACME", "Home", "Share", "Subscribe", "rights", "Page "):
            assert line not in new["text"]
        assert "return None" in new["text"]
        assert "| a | b |" in new["text"]
        spans = new["ctxzip"]["spans"]
        assert "".join(old["text"][a:b] for a, b in spans) == new["text"]
        assert new["ctxzip"]["tokens_after"] < new["ctxzip"]["tokens_before"]
    kept = prune([str(source)], tmp_path / "all", Rules(repeated=0))
    assert kept.trimmed == 0


def test_a_single_repeated_line_between_paragraphs_stays():
    lines = RepeatedLines(2)
    texts = ["One thing.\nNote well\nAnother thing.", "Third thing.\nNote well\nFourth thing."]
    for text in texts:
        lines.add(text)
    lines.end()
    assert lines.without(texts[0]) == [(0, len(texts[0]))]


def test_a_dry_run_writes_nothing_and_shows_what_would_go(tmp_path):
    source = write_lines(tmp_path / "in.jsonl", [*records(4), *records(2)])
    listed = tmp_path / "gone.jsonl"
    run = called("corpus", "prune", source, "--dry-run", "--list", listed)
    assert run.returncode == 0
    assert "duplicate: 2 records" in run.stderr
    assert [json.loads(line)["kind"] for line in listed.read_text().splitlines()] == [
        "duplicate"
    ] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gone.jsonl", "in.jsonl"]
    with pytest.raises(InputError, match="not empty"):
        prune([str(source)], tmp_path, Rules())


def test_every_close_pair_is_a_candidate():
    draw = random.Random(9)
    signatures, texts = Signatures(), []
    for _ in range(200):
        words = ["".join(draw.choices("abcdefghijklmnop", k=8)) for _ in range(60)]
        texts += [" ".join(words), " ".join([*words[:57], "one", "two", "three"])]
    for text in texts:
        signatures.add(text)
    found = signatures.candidates()
    assert np.array_equal(signatures.copies(), np.arange(400))
    assert all(i - 1 in found.get(i, ()) for i in range(1, 400, 2))
    assert sum(map(len, found.values())) == 200
    assert 0.85 < jaccard(shingles(fold(texts[0])), shingles(fold(texts[1]))) < 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "fewer"), ("One two", "fewer"), ("一二三四五六", None),
        ("=== --- /// a b c", "symbols"),
        ("spam ham " * 40, "over and over"), ("The valve is closed.", None),
        ("[a](http://a.b/c) [d](http://e.f/g) [h](http://i.j/k)", "links"),
        ("See https://example.org for the manual of the pump.", None),
    ],
)  # fmt: skip
def test_passages_that_say_nothing(text, why):
    reason = empty_reason(text, 3)
    assert reason is None if why is None else why in reason


def test_stats_count_what_is_there(tmp_path):
    rows = [*records(40), *records(5), {"text": None}]
    source = write_lines(tmp_path / "in.jsonl", rows)
    settings = Settings(compressor="lexical")
    exact = measure([str(source)], settings, exact=True)
    assert (exact.records, exact.failed, exact.duplicates) == (45, 1, 5)
    assert exact.sample == 40
    about = measure([str(source)], settings, (0.5,), sample=20)
    assert abs(about.tokens - exact.tokens) < 0.05 * exact.tokens
    half = about.savings[0]
    assert 0.3 < half.kept <= 0.5
    assert half.tokens == round(about.tokens * (1 - half.kept))
    assert half.seconds > 0
    with pytest.raises(InputError, match="No record"):
        measure([str(write_lines(tmp_path / "none.jsonl", [{"a": 1}]))], settings)
