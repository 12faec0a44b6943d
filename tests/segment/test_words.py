"""Words: what stays whole, what is attached, scripts without spaces, and covering."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxzip.kit.arrays import IntArray
from ctxzip.segment import words
from tests.segment import gold
from tests.segment.test_sentences import PIECES


def cut(text: str, starts: IntArray, ends: IntArray) -> list[str]:
    return [text[a:b] for a, b in zip(starts, ends, strict=True)]


def split(text: str) -> list[str]:
    return cut(text, *words.split(text))


def cores(text: str) -> list[str]:
    return cut(text, *words.cores(text, *words.split(text)))


@pytest.mark.parametrize(
    "word",
    [
        *("can't", "1,234.50", "10-minute", "foo_bar@example.com", "INV-2024-00731", "2–6", "C++"),
        *("https://example.com/a,b?c=d&e=f#g", "👩‍👩‍👧", "👍🏽", "🇩🇪", "❤️", "1️⃣", "e\u0301te\u0301"),
        *("$5.00", "AT&T", "U.S.", "--dry-run", "3.14", "l'été", "don’t", "<|endoftext|>"),
        *("path/to/file.py", "12:30", "x=1", "नमस्ते", "-5", "50%", "#tag", "@name"),
    ],
)
def test_stays_whole(word: str) -> None:
    assert split(f"before {word} after") == ["before", word, "after"]


def test_punctuation_is_attached() -> None:
    assert split('He said: "Stop!" (twice), then left.') == [
        "He",
        "said:",
        '"Stop!"',
        "(twice),",
        "then",
        "left.",
    ]
    assert cores('He said: "Stop!" (twice), then left.') == [
        "He",
        "said",
        "Stop",
        "twice",
        "then",
        "left",
    ]


def test_punctuation_of_tokenised_text_is_attached_across_one_space() -> None:
    assert split("OK , we 're ( all ) here .") == ["OK ,", "we", "'re", "( all )", "here ."]
    assert split("`` Yes ''") == ["`` Yes ''"]
    assert split("end\n) next") == ["end", ")", "next"]


def test_dashes_and_ellipses_end_a_word() -> None:
    assert split("one—two three--four wait...what") == [
        "one—",
        "two",
        "three--",
        "four",
        "wait...",
        "what",
    ]


@pytest.mark.parametrize("case", gold.words(), ids=lambda case: case.text)
def test_scripts_without_spaces(case: gold.Case) -> None:
    got = split(case.text)
    ends = set(np.cumsum([len(word) for word in got]).tolist())
    expected = set(np.cumsum([len(piece) for piece in case.pieces]).tolist())
    assert len(ends & expected) >= 0.7 * len(ends)
    assert max(map(len, got)) <= 10
    assert not set(got) & set("，。、")


def test_mixed_scripts() -> None:
    assert split("我们在北京大学(Beijing)学习。「好」 ok") == [
        "我们",
        "在",
        "北京",
        "大学",
        "(Beijing)",
        "学习。",
        "「好」",
        "ok",
    ]
    assert split("𠀀𠀁我们 ok")[-1] == "ok"
    for text in ("ພາສາລາວເປັນພາສາທາງການ", "ភាសាខ្មែរជាភាសាកំណើត", "မြန်မာဘာသာစကားသည်"):
        assert len(split(text)) > 2


def test_offsets_are_into_the_whole_text() -> None:
    text = "one two three four"
    starts, ends = words.split(text, 4, 13)
    assert cut(text, starts, ends) == ["two", "three"]
    assert starts.dtype == ends.dtype == np.int64


def test_no_word_reaches_over_its_span() -> None:
    text = "one . ) two three"
    spans = np.array([[0, 5], [6, 11]])
    starts, ends, owner = words.split_within(text, spans[:, 0], spans[:, 1])
    assert cut(text, starts, ends) == ["one .", ")", "two"]
    assert owner.tolist() == [0, 1, 1]


def test_very_long_words_are_cut_between_characters() -> None:
    assert max(map(len, split("a1+" * 5000))) <= 200
    assert split("http://example.com/" + "a" * 500)[0].endswith("a" * 500)
    pieces = split("👩‍👩‍👧" * 300)
    assert all(piece.startswith("👩") and piece.endswith("👧") for piece in pieces)


def test_empty_core_of_pure_punctuation() -> None:
    assert cores("-- / *") == ["", "", ""]
    assert cores("") == []


def check(text: str, starts: IntArray, ends: IntArray, low: int, high: int) -> None:
    position = low
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        assert position <= start < end
        assert not text[position:start].strip()
        assert not text[start].isspace()
        assert not text[end - 1].isspace()
        position = end
    assert not text[position:high].strip()


TEXTS = st.one_of(
    st.lists(PIECES, max_size=80).map("".join),
    st.text(max_size=200),
    st.text(st.characters(categories=["Cs", "Lu", "Po", "Zs"]), max_size=40),
)


@settings(deadline=None, max_examples=300)
@given(TEXTS, st.integers(0, 300), st.integers(0, 300))
def test_everything_is_covered_once(text: str, low: int, high: int) -> None:
    low, high = min(low, len(text)), min(high, len(text))
    if low <= high:
        check(text, *words.split(text, low, high), low, high)
    starts, ends = words.split(text)
    check(text, starts, ends, 0, len(text))
    first, last = words.cores(text, starts, ends)
    assert ((starts <= first) & (first <= last) & (last <= ends)).all()
