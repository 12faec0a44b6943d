"""Sentences: hand-written gold in many languages, markdown, and what every text is promised."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxzip.segment import sentences
from ctxzip.segment.language import guess
from ctxzip.text.units import Kind
from tests.segment import gold


def split(text: str) -> list[str]:
    units = sentences.split(text)
    return [text[a:b] for a, b in zip(units.start, units.end, strict=True)]


def kinds(text: str) -> list[tuple[str, str]]:
    names = [Kind(kind).name for kind in sentences.split(text).kind]
    return list(zip(names, split(text), strict=True))


@pytest.mark.parametrize("case", gold.sentences(), ids=lambda case: case.name)
def test_hand_written_gold(case: gold.Case) -> None:
    assert split(case.text) == case.pieces


def test_kinds_of_markdown_blocks() -> None:
    text = (
        "# Title\n\nOne. Two.\n\nSub\n---\n\n* item. More.\n  1) nested\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n~~~\ncode. Here.\n~~~\n"
    )
    assert kinds(text) == [
        ("HEADING", "# Title"),
        ("SENTENCE", "One."),
        ("SENTENCE", "Two."),
        ("HEADING", "Sub\n---"),
        ("ITEM", "* item."),
        ("SENTENCE", "More."),
        ("ITEM", "1) nested"),
        ("TABLE_HEADER", "| a | b |\n|---|---|"),
        ("ROW", "| 1 | 2 |"),
        ("CODE", "~~~\ncode. Here.\n~~~"),
    ]


def test_rows_require_their_own_header() -> None:
    text = "One. Two.\n\na|b\n-|-\n1|2\n3|4\n\n| c |\n|---|\n| 5 |\n\n| no | header |\n"
    units = sentences.split(text)
    rows = [(split(text)[i], units.requires[i]) for i in range(len(units)) if units.kind[i] == 3]
    assert rows == [("1|2", 2), ("3|4", 2), ("| 5 |", 5), ("| no | header |", -1)]
    assert all(units.kind[i] == Kind.TABLE_HEADER for _, i in rows if i >= 0)


def test_an_unclosed_fence_goes_to_the_end() -> None:
    assert kinds("Text.\n```py\na = 1\n\n# no heading\n") == [
        ("SENTENCE", "Text."),
        ("CODE", "```py\na = 1\n\n# no heading"),
    ]


def test_a_longer_fence_holds_a_shorter_one() -> None:
    assert kinds("````\n```\nx\n```\n````\nAfter.")[0] == ("CODE", "````\n```\nx\n```\n````")


def test_a_quoted_fence_ends_with_the_quote() -> None:
    assert [kind for kind, _ in kinds("> ```\n> code\n\nProse. More.")] == [
        "CODE",
        "SENTENCE",
        "SENTENCE",
    ]


def test_indented_code_is_told_from_list_continuation() -> None:
    assert kinds("Run:\n\n    x = f(1)\n    return x\n\nDone.")[1][0] == "CODE"
    assert kinds("- item\n\n    More about f(x) = 1.\n")[1] == ("SENTENCE", "More about f(x) = 1.")
    assert kinds("Quote:\n\n    It was the best of times.\n")[1][0] == "SENTENCE"


def test_json_blocks_are_atomic_and_footnotes_are_not_json() -> None:
    record = json.dumps({"a": [1, 2], "b": "One. Two."}, indent=2)
    assert kinds(f"Before.\n\n{record}\n\nAfter.")[1] == ("CODE", record)
    assert kinds("[1]\nSmith 2019.")[0] == ("SENTENCE", "[1]")
    assert kinds("{not json}. Really.")[0][0] == "SENTENCE"


def test_front_matter_comments_and_crlf() -> None:
    text = "---\r\ntitle: A. B.\r\n---\r\n# Head\r\n\r\n<!-- a. b.\r\nc -->\r\nOne. Two.\r\n"
    assert kinds(text) == [
        ("CODE", "---\r\ntitle: A. B.\r\n---"),
        ("HEADING", "# Head"),
        ("CODE", "<!-- a. b.\r\nc -->"),
        ("SENTENCE", "One."),
        ("SENTENCE", "Two."),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Grad A: OK , we 're on . \nGrad B: Yeah\nProfessor C: So , which is my bar ?",
        "Name: Smith\nCity: Berlin\nZip: 10115",
        "Roses are red\nViolets are blue\nSugar is sweet",
        "id,name\n1,apple\n2,pear",
        "x" * 300 + "\nshort line\nanother one",
    ],
)
def test_lines_that_stand_for_themselves(text: str) -> None:
    units = split(text)
    assert len(units) >= text.count("\n") + 1
    assert not any("\n" in unit for unit in units)


def test_long_text_is_cut_at_sensible_places() -> None:
    clauses = "a clause of some words, " * 200
    assert all(unit.endswith(",") for unit in split(clauses)[:-1])
    words = "word " * 2000
    assert all(unit.startswith("word") and unit.endswith("word") for unit in split(words))
    quoted = "“" + "This sentence is inside a long quotation. " * 40 + "”"
    assert all(unit.endswith((".", "”")) for unit in split(quoted))
    assert max(map(len, split("x" * 5000))) <= 1200
    assert "".join(split("x" * 5000)) == "x" * 5000
    family = "👩‍👩‍👧"
    assert all(unit.startswith("👩") and unit.endswith("👧") for unit in split(family * 1000))


def test_thai_is_cut_at_spaces() -> None:
    text = "ประเทศไทยเป็นประเทศที่ตั้งอยู่ในเอเชียตะวันออกเฉียงใต้ " * 20
    assert 4 < len(split(text)) <= 20
    assert max(map(len, split(text))) <= 200


def test_lone_surrogates_do_not_crash() -> None:
    assert split("One \ud800 thing. Two \udfff.") == ["One \ud800 thing.", "Two \udfff."]


def test_empty() -> None:
    for text in ("", " ", "\n\n\t\u3000"):
        assert len(sentences.split(text)) == 0


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The cat is on the mat and it was not there.", "en"),
        ("Die Katze ist auf der Matte und nicht im Haus.", "de"),
        ("Le chat est sur la table et il ne dort pas.", "fr"),
        ("El gato está en la mesa y no se mueve.", "es"),
        ("私は東京大学で勉強しています。", "ja"),
        ("我们在北京大学学习。", "zh"),
        ("ภาษาไทยเป็นภาษา", "th"),
        ("Я живу в Москве.", "ru"),
        ("x = f(y)", "en"),
        ("", "en"),
    ],
)
def test_guessed_language(text: str, language: str) -> None:
    assert guess(text) == language


PIECES = st.sampled_from(
    [
        *("word", "Dr. ", ". ", "! ", "\n", "\n\n", "\r\n", "- ", "1. ", "# ", "> ", "|", "|---|"),
        *(
            "---",
            "===",
            "```",
            "~~~",
            "    ",
            "\t",
            '"',
            "“",
            "(",
            ")",
            "[1]",
            '{"a": 1}',
            "{",
            "[",
        ),
        *(
            "👩‍👩‍👧",
            "é",
            "\u0301",
            "我们",
            "。",
            "「",
            "です",
            "ภาษา",
            "\u200b",
            "\u200d",
            "\u3000",
        ),
        *(
            "\x85",
            "\u2028",
            "<!--",
            "-->",
            "<|endoftext|>",
            "x" * 90,
            "Key: v",
            "U.S.",
            "\x00",
            "؟",
        ),
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.lists(PIECES, max_size=80).map("".join), st.text(max_size=300)))
def test_everything_is_covered_once(text: str) -> None:
    units = sentences.split(text)
    position = 0
    for start, end, kind, requires in zip(
        units.start, units.end, units.kind, units.requires, strict=True
    ):
        assert position <= start < end
        assert not text[position:start].strip()
        assert not text[start].isspace()
        assert not text[end - 1].isspace()
        if kind in (Kind.SENTENCE, Kind.ITEM):
            assert end - start <= 1300
        assert requires == -1 or units.kind[requires] == Kind.TABLE_HEADER
        position = int(end)
    assert not text[position:].strip()
