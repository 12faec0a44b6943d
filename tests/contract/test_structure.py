"""Promise 4 in what is kept: JSON parses, fences close, rows have headers, nothing is torn."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
from hypothesis import strategies as st

from ctxzip import Options

from .drawn import drawn
from .promises import kept_characters, part_of
from .rows import Loaded
from .texts import FENCES, SENTENCES, TABLES, json_documents, ratios


@pytest.mark.rows("extractive")
@drawn(
    value=json_documents,
    indent=st.sampled_from([None, 2, "\t"]),
    ascii_only=st.booleans(),
    before=st.sampled_from(["", " ", "\n\n"]),
    after=st.sampled_from(["", "\n", " \r\n"]),
    ratio=ratios,
    granularity=st.sampled_from(["auto", "sentence", "word"]),
)
def test_json_stays_parseable(
    row: Loaded, value, indent, ascii_only, before, after, ratio, granularity
):
    text = before + json.dumps(value, indent=indent, ensure_ascii=ascii_only) + after
    options = Options(granularity=granularity)
    result = row.compress(text, ratio, query="id", options=options)
    row.check(result, [text])
    if result.text:
        assert part_of(json.loads(result.text), value)


@pytest.mark.rows("extractive")
def test_json_is_shortened_by_members(row: Loaded):
    value = {f"field_{i}": f"value number {i} of the record" for i in range(30)}
    text = json.dumps(value, indent=2)
    result = row.compress(text, 0.4, query="field_7")
    left = json.loads(result.text)
    assert 0 < len(left) < 30
    assert left.items() <= value.items()


_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


def fences(text: str) -> tuple[list[tuple[int, int, int, int]], bool]:
    """Fenced blocks (start, end of the opening line, start of the closing line, end); any open?"""
    found: list[tuple[int, int, int, int]] = []
    opened: tuple[str, int, int] | None = None
    at = 0
    for line in text.splitlines(keepends=True):
        end = at + len(line.rstrip())
        match = _FENCE.match(line)
        if match and opened is None:
            opened = (match[1], at, end)
        elif match and opened and match[1].startswith(opened[0]) and not match[2].strip():
            found.append((*opened[1:], at, end))
            opened = None
        at += len(line)
    return found, opened is not None


def visible(text: str, start: int, end: int) -> set[int]:
    return {at for at in range(start, end) if not text[at].isspace()}


@pytest.mark.rows("extractive")
@drawn(
    parts=st.lists(
        st.one_of(st.sampled_from(SENTENCES[:8]), st.sampled_from(FENCES)), min_size=2, max_size=8
    ),
    ratio=ratios,
    granularity=st.sampled_from(["auto", "sentence", "word"]),
    gap=st.sampled_from(["\n\n", "\n", "\r\n\r\n"]),
)
def test_fences_stay_closed(row: Loaded, parts: list[str], ratio: float, granularity, gap):
    text = gap.join(parts)
    options = Options(granularity=granularity)
    result = row.compress(text, ratio, query="print", options=options)
    row.check(result, [text])
    kept = kept_characters(result)
    for start, opened, closing, end in fences(text)[0]:
        if kept & visible(text, start, end):
            assert kept >= visible(text, start, opened), "code without its opening fence"
            assert kept >= visible(text, closing, end), "a fence that is not closed"
    assert not fences(result.text)[1]


@pytest.mark.rows("extractive")
@drawn(
    parts=st.lists(
        st.one_of(st.sampled_from(SENTENCES[:8]), st.sampled_from(TABLES)), min_size=2, max_size=8
    ),
    ratio=ratios,
    granularity=st.sampled_from(["auto", "sentence", "word"]),
    query=st.sampled_from([None, "pump limit"]),
)
def test_rows_keep_their_header(row: Loaded, parts, ratio: float, granularity: str, query):
    text = "\n\n".join(parts)
    options = Options(granularity=granularity)
    result = row.compress(text, ratio, query=query, options=options)
    row.check(result, [text])
    kept = kept_characters(result)
    at = 0
    for part in parts:
        if part in TABLES:
            lines = part.splitlines(keepends=True)
            edges = [at, *(at := at + len(line) for line in lines)]
            header = visible(text, edges[0], edges[2])
            for start, end in pairwise(edges[2:]):
                row = visible(text, start, end)
                assert row <= kept or not row & kept, "a torn row"
                assert not row & kept or header <= kept, "a row without its header"
        else:
            at += len(part)
        at += 2


SOFT = [
    (
        "The reactor must not be opened by the staff of the night shift before morning.",
        ["must not"],
    ),
    (
        "The engineers of the plant measured 9.6 °C in the glycol bottle for 25 minutes.",
        ["9.6 °C", "25 minutes"],
    ),
    (
        "The lovely invoice INV-2024-00731 was sent to the address foo_bar@example.com again.",
        ["INV-2024-00731", "foo_bar@example.com"],
    ),
    (
        "The kind people of the help desk can't ever reach https://example.org/a?b=1 from there.",
        ["can't", "https://example.org/a?b=1"],
    ),
    (
        "The function `close_all(x)` of the old library never returns the big green handle.",
        ["`close_all(x)`", "never"],
    ),
    (
        "The old price of the lovely little machine was 1,234.50 EUR without any tax on it.",
        ["1,234.50 EUR", "without"],
    ),
]


@pytest.mark.rows("extractive")
@pytest.mark.parametrize("query", [None, "What was measured in the bottle?"])
@pytest.mark.parametrize("ratio", [0.8, 0.7, 0.6])
def test_numbers_and_negations_are_not_torn_out(row: Loaded, ratio: float, query: str | None):
    text = "\n\n".join(sentence for sentence, _ in SOFT)
    options = Options(granularity="word")
    result = row.compress(text, ratio, query=query, options=options)
    row.check(result, [text])
    kept = kept_characters(result)
    for sentence, critical in SOFT:
        start = text.index(sentence)
        if any(start + i in kept for i, char in enumerate(sentence) if not char.isspace()):
            for one in critical:
                at = start + sentence.index(one)
                assert kept.issuperset(range(at, at + len(one))), (one, result.text)
    assert any(len(d.text.split()) < len(text.split()) for d in result.documents)


@pytest.mark.rows("extractive")
def test_words_are_never_cut(row: Loaded):
    words = ["can't", "1,234.50", "10-minute", "foo_bar@example.com", "https://e.org/x"]
    words += ["INV-2024-00731", "👩‍👩‍👧‍👦"]
    text = " ".join(f"The {word} of plant {word} is nice and green today." for word in words)
    for ratio in (0.2, 0.4, 0.6, 0.8):
        options = Options(granularity="word", protect_soft=False)
        result = row.compress(text, ratio, options=options)
        kept = kept_characters(result)
        for word in words:
            for match in re.finditer(re.escape(word), text):
                inside = set(range(*match.span()))
                assert inside <= kept or not inside & kept, (word, result.text)
