"""Promises 1 to 3: never longer, never over a ceiling, exact spans that trace back."""

from __future__ import annotations

import math

import pytest
from hypothesis import strategies as st

import ctxzip
from ctxzip import Document, Options
from ctxzip.text import tokens

from .drawn import drawn
from .rows import Loaded
from .texts import Kind, queries, ratios

COUNTERS = [
    "o200k_base",
    "cl100k_base",
    lambda text: len(text.split()),
    len,
    lambda text: len(text.encode()),
    lambda text: (len(text) + 3) // 4,
]
VALVES = " ".join(f"Sentence number {i} is about valve {i * 7}." for i in range(60))


@drawn(text=lambda kind: kind.text, query=queries, ratio=ratios, named=st.booleans())
def test_one_text_under_a_ratio(
    row: Loaded, kind: Kind, text: str, query: str | None, ratio: float, named: bool
):
    result = row.compress(kind.document(text) if named else text, ratio, query=query)
    row.check(result, [text], count=tokens.resolve("o200k_base").count)
    keep = ratio if ratio <= 1 else 1 / ratio
    assert result.tokens_after <= keep * result.tokens_before + 1e-6
    assert result.tokenizer == "o200k_base"


@drawn(
    some=lambda kind: kind.several,
    query=queries,
    ceiling=st.integers(0, 200),
    tokenizer=st.sampled_from(COUNTERS),
)
def test_documents_under_a_ceiling(
    row: Loaded, kind: Kind, some: list[str], query: str | None, ceiling: int, tokenizer: object
):
    options, count = Options(tokenizer=tokenizer), tokens.resolve(tokenizer).count
    result = row.compress(kind.prompt(some), query=query, target_tokens=ceiling, options=options)
    row.check(result, some, count=count)
    assert result.tokens_after <= ceiling


OPTIONS = st.builds(
    Options,
    tokenizer=st.sampled_from(COUNTERS),
    granularity=st.sampled_from(["auto", "sentence", "word"]),
    protect_soft=st.booleans(),
    min_per_document=st.integers(0, 2),
    separator=st.sampled_from(["\n\n", "", " ", "\n---\n", " <|sep|> ", "\r\n"]),
)


@drawn(some=lambda kind: kind.several, ratio=ratios, options=OPTIONS)
def test_options_keep_the_promises(
    row: Loaded, kind: Kind, some: list[str], ratio: float, options: Options
):
    count = tokens.resolve(options.tokenizer).count
    result = row.compress(kind.prompt(some), ratio, query="pump", options=options)
    row.check(result, some, count=count, separator=options.separator)


@drawn(
    some=lambda kind: st.lists(kind.long, min_size=1, max_size=4),
    ceiling=st.integers(0, 120),
    title=st.sampled_from(["Pumps", "第3章", "a title\nof two lines", ""]),
)
def test_titles_are_counted(row: Loaded, kind: Kind, some: list[str], ceiling: int, title: str):
    prompt = [kind.document(text, title=title) for text in some]
    options = Options(titles=True)
    result = row.compress(prompt, query="pump", target_tokens=ceiling, options=options)
    row.check(result, some, count=tokens.resolve("o200k_base").count, titles=True)
    assert result.tokens_after <= ceiling
    if title and row.facts.extractive:
        left = sum(bool(document.text) for document in result.documents)
        assert result.text.count(f"{title}\n") >= left


@drawn(text=lambda kind: kind.long, ceiling=st.integers(0, 150), reserve=st.integers(0, 80))
def test_reserve_and_margin_lower_the_ceiling(
    row: Loaded, kind: Kind, text: str, ceiling: int, reserve: int
):
    options = Options(reserve=reserve, margin=0.05)
    result = row.compress(kind.document(text), target_tokens=ceiling, options=options)
    row.check(result, [text])
    assert result.tokens_after <= max(0, math.floor(ceiling * 0.95 + 1e-9) - reserve)


@drawn(text=lambda kind: kind.long)
def test_reserve_counts_under_a_ratio(row: Loaded, kind: Kind, text: str):
    plain = row.compress(kind.document(text), 0.6)
    reserved = row.compress(kind.document(text), 0.6, options=Options(reserve=10))
    assert reserved.tokens_after <= max(0, math.floor(0.6 * plain.tokens_before + 1e-9) - 10)


def test_a_ratio_above_one_is_a_factor(row: Loaded):
    by_factor = row.compress(VALVES, 4, query="valve 21")
    by_fraction = row.compress(VALVES, 0.25, query="valve 21")
    assert by_factor.text == by_fraction.text
    assert by_factor.ceiling == by_fraction.ceiling == by_factor.tokens_before // 4
    assert by_factor.tokens_after <= by_factor.ceiling


@pytest.mark.rows("fills")
def test_no_budget_means_a_half(row: Loaded, kind: Kind):
    text = VALVES if kind.name == "prose" else kind.samples[0] * 3
    result = row.compress(kind.document(text))
    assert 0.4 <= result.ratio <= 0.5


@pytest.mark.rows("fills")
@pytest.mark.parametrize("query", [None, "When was the plant of 99 MW built?"])
@pytest.mark.parametrize("granularity", ["auto", "sentence", "word"])
def test_the_ceiling_is_used(row: Loaded, granularity: str, query: str | None):
    sentences = [
        f"In year {i} the company number {i * 3} built a plant of {i * 11} MW near the river, and "
        "people came from far away to look at it."
        for i in range(40)
    ]
    options = Options(granularity=granularity)
    result = row.compress(" ".join(sentences), query=query, target_tokens=400, options=options)
    count = tokens.resolve("o200k_base").count
    one_sentence = max(count(f" {sentence}") for sentence in sentences)
    unused = 0.03 * 400 if granularity == "word" else one_sentence
    assert 400 - unused <= result.tokens_after <= 400
    if granularity == "sentence":
        left = result.text
        for sentence in sentences:
            left = left.replace(sentence, "")
        assert not left.strip()


@pytest.mark.rows("unfloored")
def test_what_fits_is_returned_as_it_is(row: Loaded, kind: Kind):
    for some in (["  The pump is  new. ", "", "It runs.\r\n"], list(kind.samples)):
        result = row.compress(kind.prompt(some), target_tokens=9_000)
        assert [document.text for document in result.documents] == some
        assert result.tokens_after == result.tokens_before
        assert result.notes


@pytest.mark.rows("fills")
def test_every_document_keeps_something_if_asked(row: Loaded):
    some = [f"The valve of plant {i} is new. It was bought in May. It is green." for i in range(8)]
    options = Options(min_per_document=1)
    result = row.compress(some, 0.5, query="Which valve has plant 3?", options=options)
    row.check(result, some)
    assert all(document.kept for document in result.documents)


@pytest.mark.rows("extractive")
def test_empty_documents_can_be_left_out(row: Loaded):
    some = ["The valve of plant 3 is new.", *[f"Cake number {i} was eaten." for i in range(9)]]
    result = row.compress(
        some, 0.25, query="Is the valve of plant 3 new?", options=Options(drop_empty=True)
    )
    assert all(document.text for document in result.documents)
    assert len(result.documents) < len(some)
    for at in range(len(result.text)):
        place = result.locate(at)
        assert place is None or some[place[0]][place[1]] == result.text[at]
    if row.facts.answers:
        assert result.locate(result.text.index("valve")) == (0, some[0].index("valve"))


@pytest.mark.rows("answers")
def test_a_citation_can_be_traced(row: Loaded):
    some = [
        "Filler about the weather. It rained. Nobody went out.",
        "More filler. The code of the safe is 4711. More filler still.",
    ]
    result = row.compress(some, 0.5, query="What is the code of the safe?")
    place = result.locate(result.text.index("4711"))
    assert place == (1, some[1].index("4711"))
    for offset in (-1, len(result.text)):
        with pytest.raises(ctxzip.InputError, match="offset"):
            result.locate(offset)


def test_a_tokenizer_of_hugging_face(row: Loaded):
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "pump": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=7)
    before = tokenizer.to_str()
    text = " ".join(f"The pump of plant {i} is not new." for i in range(30))
    result = row.compress(text, 0.4, query="plant 3", options=Options(tokenizer=tokenizer))
    assert result.tokens_before == 30 * 9, "neither truncated nor padded"
    row.check(result, [text])
    assert result.tokens_after <= 0.4 * 30 * 9
    assert tokenizer.to_str() == before


@pytest.mark.rows("calibrated")
def test_a_threshold_drops_what_is_less_useful(row: Loaded):
    text = " ".join([*(f"Cake {i} was eaten." for i in range(9)), "The valve of plant 3 is new."])
    kept = [
        row.compress(text, threshold=threshold, query="Is the valve of plant 3 new?").tokens_after
        for threshold in (0.0, 0.5, 1.0)
    ]
    assert kept == sorted(kept, reverse=True)


@pytest.mark.rows("uncalibrated")
def test_a_threshold_that_means_nothing_is_refused(row: Loaded):
    with pytest.raises(ctxzip.InputError, match="threshold") as caught:
        row.compress("The pump is new. It runs.", threshold=0.3, query="pump")
    assert caught.value.hint
    assert row.facts.name in str(caught.value)


def test_documents_are_what_was_given(row: Loaded):
    documents = [Document("The pump is new. " * 20, id="7"), Document("It runs. " * 20)]
    result = row.compress(documents, 0.4, query="pump")
    assert [source for d in result.documents for source in d.sources] == documents
