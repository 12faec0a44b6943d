"""Promises 1 to 3: never longer, never over a ceiling, exact spans that trace back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ctxzip
from ctxzip import Document, Options
from ctxzip.text import tokens

from .promises import check
from .texts import documents, prose, queries, ratios, texts

COUNTERS = {
    "o200k": "o200k_base",
    "cl100k": "cl100k_base",
    "words": lambda text: len(text.split()),
    "characters": len,
    "bytes": lambda text: len(text.encode()),
    "quarters": lambda text: (len(text) + 3) // 4,
}


def counter(name: str):
    return COUNTERS[name], tokens.resolve(COUNTERS[name]).count


@given(text=texts(), query=queries, ratio=ratios)
def test_one_string_under_a_ratio(compressor: str, text: str, query: str | None, ratio: float):
    result = ctxzip.compress(text, ratio, query=query, compressor=compressor)
    check(result, [text], count=tokens.resolve("o200k_base").count)
    keep = ratio if ratio <= 1 else 1 / ratio
    assert result.tokens_after <= keep * result.tokens_before + 1e-6
    assert result.tokenizer == "o200k_base"


@given(
    some=documents, query=queries, ceiling=st.integers(0, 200), name=st.sampled_from(list(COUNTERS))
)
def test_documents_under_a_ceiling(
    compressor: str, some: list[str], query: str | None, ceiling: int, name: str
):
    tokenizer, count = counter(name)
    options = Options(tokenizer=tokenizer)
    result = ctxzip.compress(
        some, query=query, target_tokens=ceiling, compressor=compressor, options=options
    )
    check(result, some, count=count)
    assert result.tokens_after <= ceiling


@given(
    some=documents,
    ratio=ratios,
    granularity=st.sampled_from(["auto", "sentence", "word"]),
    soft=st.booleans(),
    minimum=st.integers(0, 2),
    separator=st.sampled_from(["\n\n", "", " ", "\n---\n", " <|sep|> ", "\r\n"]),
    name=st.sampled_from(list(COUNTERS)),
)
def test_options_keep_the_promises(
    compressor: str, some, ratio, granularity, soft, minimum, separator, name
):
    tokenizer, count = counter(name)
    options = Options(
        tokenizer=tokenizer,
        granularity=granularity,
        protect_soft=soft,
        min_per_document=minimum,
        separator=separator,
    )
    result = ctxzip.compress(some, ratio, query="pump", compressor=compressor, options=options)
    check(result, some, count=count, separator=separator)


@given(
    some=st.lists(prose(1, 5), min_size=1, max_size=4),
    ceiling=st.integers(0, 120),
    title=st.sampled_from(["Pumps", "第3章", "a title\nof two lines", ""]),
)
def test_titles_are_counted(compressor: str, some: list[str], ceiling: int, title: str):
    prompt = [Document(text, title=title) for text in some]
    options = Options(titles=True)
    result = ctxzip.compress(
        prompt, query="pump", target_tokens=ceiling, compressor=compressor, options=options
    )
    check(result, some, count=tokens.resolve("o200k_base").count, titles=True)
    assert result.tokens_after <= ceiling
    if title:
        left = sum(bool(document.text) for document in result.documents)
        assert result.text.count(f"{title}\n") >= left


@given(text=prose(4, 12), ceiling=st.integers(0, 150), reserve=st.integers(0, 80))
def test_reserve_and_margin_lower_the_ceiling(
    compressor: str, text: str, ceiling: int, reserve: int
):
    options = Options(reserve=reserve, margin=0.05)
    result = ctxzip.compress(text, target_tokens=ceiling, compressor=compressor, options=options)
    check(result, [text])
    assert result.tokens_after <= max(0, math.floor(ceiling * 0.95 + 1e-9) - reserve)


@given(text=prose(6, 12))
def test_reserve_counts_under_a_ratio(compressor: str, text: str):
    plain = ctxzip.compress(text, 0.6, compressor=compressor)
    reserved = ctxzip.compress(text, 0.6, compressor=compressor, options=Options(reserve=10))
    assert reserved.tokens_after <= max(0, math.floor(0.6 * plain.tokens_before + 1e-9) - 10)


def test_a_ratio_above_one_is_a_factor(compressor: str):
    text = " ".join(f"Sentence number {i} is about valve {i * 7}." for i in range(60))
    by_factor = ctxzip.compress(text, 4, query="valve 21", compressor=compressor)
    by_fraction = ctxzip.compress(text, 0.25, query="valve 21", compressor=compressor)
    assert by_factor.text == by_fraction.text
    assert 0 < by_factor.tokens_after <= by_factor.tokens_before / 4


def test_no_budget_means_a_half(compressor: str):
    text = " ".join(f"Sentence number {i} is about valve {i * 7}." for i in range(60))
    result = ctxzip.compress(text, compressor=compressor)
    assert 0.4 <= result.ratio <= 0.5


@pytest.mark.parametrize("query", [None, "When was the plant of 99 MW built?"])
@pytest.mark.parametrize("granularity", ["auto", "sentence", "word"])
def test_the_ceiling_is_used(compressor: str, granularity: str, query: str | None):
    sentences = [
        f"In year {i} the company number {i * 3} built a plant of {i * 11} MW near the river, and "
        "people came from far away to look at it."
        for i in range(40)
    ]
    result = ctxzip.compress(
        " ".join(sentences),
        query=query,
        target_tokens=400,
        compressor=compressor,
        options=Options(granularity=granularity),
    )
    count = tokens.resolve("o200k_base").count
    one_sentence = max(count(f" {sentence}") for sentence in sentences)
    unused = 0.03 * 400 if granularity == "word" else one_sentence
    assert 400 - unused <= result.tokens_after <= 400
    if granularity == "sentence":
        left = result.text
        for sentence in sentences:
            left = left.replace(sentence, "")
        assert not left.strip()


def test_what_fits_is_returned_as_it_is(compressor: str):
    some = ["  The pump is  new. ", "", "It runs.\r\n"]
    result = ctxzip.compress(some, target_tokens=500, compressor=compressor)
    assert [document.text for document in result.documents] == some
    assert result.tokens_after == result.tokens_before
    assert result.notes


def test_every_document_keeps_something_if_asked(compressor: str):
    some = [f"The valve of plant {i} is new. It was bought in May. It is green." for i in range(8)]
    options = Options(min_per_document=1)
    result = ctxzip.compress(
        some, 0.5, query="Which valve has plant 3?", compressor=compressor, options=options
    )
    check(result, some)
    assert all(document.kept for document in result.documents)


def test_empty_documents_can_be_left_out(compressor: str):
    some = ["The valve of plant 3 is new.", *[f"Cake number {i} was eaten." for i in range(9)]]
    options = Options(drop_empty=True)
    result = ctxzip.compress(
        some, 0.25, query="Is the valve of plant 3 new?", compressor=compressor, options=options
    )
    assert all(document.text for document in result.documents)
    assert len(result.documents) < len(some)
    at = result.text.index("valve")
    assert result.locate(at) == (0, some[0].index("valve"))


def test_a_citation_can_be_traced(compressor: str):
    some = [
        "Filler about the weather. It rained. Nobody went out.",
        "More filler. The code of the safe is 4711. More filler still.",
    ]
    result = ctxzip.compress(
        some, 0.5, query="What is the code of the safe?", compressor=compressor
    )
    place = result.locate(result.text.index("4711"))
    assert place == (1, some[1].index("4711"))
    for offset in (-1, len(result.text)):
        with pytest.raises(ctxzip.InputError, match="offset"):
            result.locate(offset)


def test_a_tokenizer_of_hugging_face(compressor: str):
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "pump": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=7)
    before = tokenizer.to_str()
    text = " ".join(f"The pump of plant {i} is not new." for i in range(30))
    options = Options(tokenizer=tokenizer)
    result = ctxzip.compress(text, 0.4, query="plant 3", compressor=compressor, options=options)
    assert result.tokens_before == 30 * 9, "neither truncated nor padded"
    check(result, [text])
    assert 0 < result.tokens_after <= 0.4 * 30 * 9
    assert tokenizer.to_str() == before


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base", "gpt-4o", "gpt-4"])
def test_the_tokenizer_is_named(compressor: str, name: str):
    options = Options(tokenizer=name)
    result = ctxzip.compress(
        "The pump is new. It runs.", 0.7, compressor=compressor, options=options
    )
    assert result.tokenizer in (name, "o200k_base", "cl100k_base")
