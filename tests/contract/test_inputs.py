"""Promise 7: a right answer or a clear error, whatever comes in."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import strategies as st

import ctxzip
from ctxzip import InputError, Options
from ctxzip.text import tokens

from .drawn import drawn
from .rows import ROWS, Loaded, Machine
from .texts import SPECIAL, Kind, any_text, queries, ratios

COUNT = tokens.resolve("o200k_base").count


@drawn(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=400), ratio=ratios)
def test_any_unicode(row: Loaded, text: str, ratio: float):
    row.check(row.compress(text, ratio), [text], count=COUNT)


@drawn(
    text=st.text(st.sampled_from('ab .\n\r\t`|#-*>{}[]":,<k/\u0301\u200d🏽🇵🇱東。!?'), max_size=120),
    ratio=ratios,
    granularity=st.sampled_from(["auto", "sentence", "word"]),
)
def test_markup_soup(row: Loaded, text: str, ratio: float, granularity: str):
    options = Options(granularity=granularity)
    row.check(row.compress(text, ratio, options=options), [text])


BROKEN = st.sampled_from([*"ab =:#\n\t(){}'\"@,", "    ", "def ", "return ", "class "])


@drawn(text=st.lists(BROKEN, max_size=80).map("".join), ratio=ratios)
def test_broken_code(row: Loaded, text: str, ratio: float):
    prompt = ctxzip.Document(text, id="a.py")
    row.check(row.compress(prompt, ratio, query="def"), [text])


@drawn(query=queries, text=any_text)
def test_any_query(row: Loaded, kind: Kind, query: str | None, text: str):
    some = [kind.samples[0], text]
    row.check(row.compress(kind.prompt(some), 0.5, query=query), some)


@pytest.mark.rows("asks")
@pytest.mark.parametrize("query", [None, "", " \n"])
def test_a_question_that_is_needed_is_asked_for(row: Loaded, query: str | None):
    with pytest.raises(InputError, match="query") as caught:
        ctxzip.compress("The pump is new. It runs.", 0.5, query=query, compressor=row.load())
    assert caught.value.hint


def test_a_query_longer_than_any_window(row: Loaded, kind: Kind):
    query = "Which valve, pump or hose of the plant was checked? " * 400
    text = " ".join(f"Valve {i} was not checked on day {i * 3}." for i in range(40))
    if kind.files:
        text = "\n\n".join(f"def valve_{i}(day):\n    return day * {i}\n" for i in range(9))
    if row.facts.refuses_long:
        with pytest.raises(InputError, match="query"):
            row.compress(kind.document(text), 0.4, query=query)
    else:
        row.check(row.compress(kind.document(text), 0.4, query=query), [text])


NOTHING = ["", [], [""], ["", ""], " ", "\n\n", "\r\n", ["  ", "\t"]]


@pytest.mark.parametrize("query", [None, "What?"])
def test_nothing(row: Loaded, query: str | None):
    for prompt in NOTHING:
        result = row.compress(prompt, 0.5, query=query)
        row.check(result, [prompt] if isinstance(prompt, str) else prompt)
        assert not result.text.strip()
        assert math.isfinite(result.ratio)


@pytest.mark.parametrize("word", ["pump", "東京", "👩‍👩‍👧‍👦", "42", "<|endoftext|>", "x" * 150])
def test_one_word(row: Loaded, word: str):
    if not row.facts.floor:
        assert row.compress(word, 1.0).text == word
    for ratio in (0.01, 0.5, 0.99):
        result = row.compress(word, ratio, query="pump")
        row.check(result, [word])
        if row.facts.extractive:
            assert result.text in ("", word)
    assert row.compress(word, target_tokens=0).text == ""


def test_special_tokens_are_text(row: Loaded):
    for special in SPECIAL:
        text = f"The manual says {special} ends a text. The pump runs. It is {special} green."
        if not row.facts.floor:
            assert row.compress(text, 1.0).text == text
        result = row.compress(text, 0.6, query=f"What does {special} do?")
        row.check(result, [text], count=COUNT)
        kept = row.compress(text, 0.8, options=Options(protect=[special]))
        assert kept.text.count(special) >= (2 if row.facts.extractive else 1)


def test_carriage_returns_survive(row: Loaded):
    text = "The pump is new.\r\nIt runs.\r\n\r\nThe valve is old.\r\nIt leaks.\r\n"
    if not row.facts.floor:
        assert row.compress(text, 1.0).text == text
    result = row.compress(text, 0.5, query="Is the valve old?")
    row.check(result, [text])
    if row.facts.answers:
        assert "valve is old" in result.text


def test_hundreds_of_tiny_documents(row: Loaded):
    some = [f"Valve {i} has {i * 3} bar." for i in range(600 if row.facts.answers else 100)]
    result = row.compress(some, 0.1, query="How much has valve 417?")
    row.check(result, some, count=COUNT)
    if row.facts.answers:
        assert "Valve 417 has 1251 bar." in result.text
    if row.facts.fills:
        assert result.ratio > 0.07
    words = ["pump", "", "a", " "] * (len(some) // 6)
    row.check(row.compress(words, 0.5), words)


PATHOLOGICAL = {
    "letters": "a" * 50_000,
    "spaces": " " * 50_000,
    "breaks": "\n" * 50_000,
    "crlf": "\r\n" * 25_000,
    "emoji": "😀" * 10_000,
    "joined emoji": "👩‍" * 10_000,
    "accents": "e" + "\u0301" * 30_000,
    "ideographs": "東京" * 10_000,
    "thai": "ภาษาไทย" * 3_000,
    "dashes": "-" * 50_000,
    "stops": "." * 50_000,
    "stops and spaces": "A. " * 10_000,
    "quotes": '"' * 30_000,
    "pipes": "|" * 30_000,
    "table": "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 3_000,
    "fences": "```\n" * 5_000,
    "ticks": "`" * 30_000,
    "brackets": "[" * 30_000,
    "braces": "{" * 30_000,
    "nested": "[" * 5_000 + "]" * 5_000,
    "keep tags": "<keep>" * 5_000,
    "closing tags": "</keep>" * 5_000,
    "hashes": "# " * 10_000,
    "special": "<|endoftext|>" * 3_000,
    "digits": "1234567890" * 4_000,
    "url": "https://example.org/" + "a/" * 15_000,
    "mail": "a.b-c_" * 8_000 + "@",
    "quotations": "> " * 10_000,
    "items": "- a\n" * 5_000,
    "base64": "QUJDREVGR0g" * 4_000,
    "one sentence": "word " * 10_000 + ".",
    "same sentence": "It is the same again. " * 3_000,
}


@pytest.mark.rows("tries_long")
@pytest.mark.parametrize("monotonous", PATHOLOGICAL)
def test_monotonous_text_ends(row: Loaded, monotonous: str):
    text = PATHOLOGICAL[monotonous]
    text = text[: len(text) // row.facts.shorter]
    try:
        result = row.compress(text, 0.3, query="a", options=Options(keep_tags=True))
    except InputError:
        assert "tags" in monotonous, "only unbalanced tags are an error"
        return
    assert result.tokens_after <= 0.3 * result.tokens_before
    row.check(row.compress([text], 0.3), [text])


@pytest.mark.slow
@pytest.mark.rows("answers")
def test_a_million_words(row: Loaded):
    long_text(row, 1_000_000)


def test_a_million_words_without_a_model(machine: Machine):
    (lexical,) = (row for row in ROWS if row.name == "lexical")
    long_text(Loaded(lexical, machine), 1_000_000)


@pytest.mark.rows("tries_long")
def test_thousands_of_words(row: Loaded):
    long_text(row, min(10_000, max(1_500, 100_000 // row.facts.shorter)))


def long_text(row: Loaded, words: int) -> None:
    """One sentence in a text of so many words is found, under a ceiling that holds."""
    generator = random.Random(7)
    vocabulary = [
        "".join(generator.choices("abcdefghij klmnoprstu", k=7)).strip() for _ in range(30_000)
    ]
    parts = []
    for i in range(words // 16):
        sentence = " ".join(generator.choices(vocabulary, k=16))
        parts.append(sentence.capitalize() + ("." if i % 9 else ".\n\n"))
    parts[len(parts) * 2 // 3] = "The zeppelin of the year 1931 was not silver."
    text = " ".join(parts)
    query = "Was the zeppelin of 1931 silver?"
    result = row.compress(text, target_tokens=2_000, query=query)
    assert result.tokens_after <= 2_000
    assert result.tokens_after == COUNT(result.text)
    if row.facts.fills:
        assert result.tokens_after > 1_500
    if row.facts.answers:
        assert "The zeppelin of the year 1931 was not silver." in result.text
    if row.facts.extractive:
        document = result.documents[0]
        assert document.text == "".join(text[start:end] for start, end in document.kept or ())


# What each family checks for itself; what is checked before any of them is in tests/api/.
WRONG = [
    {"protect_spans": [[(0, 3)], [(0, 3)]]},
    {"protect_spans": [[(0, 9_999)]]},
    {"protect_patterns": ["(unclosed"]},
    {"tokenizer": "no-such-tokenizer"},
    {"tokenizer": lambda text: "many"},
]


def test_options_that_do_not_fit_the_request_are_named(row: Loaded, kind: Kind):
    for options in WRONG:
        with pytest.raises(InputError):
            row.compress(kind.document(kind.samples[0]), 0.5, options=Options(**options))
