"""Provenance says where every kept character stood, even after several compressions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxzip import (
    Budget,
    CompressedDocument,
    Compression,
    Document,
    InputError,
    Options,
    Request,
    load,
)
from ctxzip.api.guard import Guard
from ctxzip.api.nodes import Node, acompress_nodes, compose, compress_nodes, encoded

TEXT = (
    "The north pump failed on Monday evening. It was replaced on 12 March 2021 by the night crew. "
    "Nobody was hurt. The sky was blue over the harbour that week. Invoices went out late."
)
QUERY = "When was the pump replaced?"


def spans_of(text: str, spans: Sequence[Sequence[int]]) -> str:
    return "".join(text[a:b] for a, b in spans)


@st.composite
def cuts(draw: st.DrawFn, size: int) -> list[tuple[int, int]]:
    points = sorted(draw(st.sets(st.integers(0, size), max_size=12)))
    return [(a, b) for a, b in zip(points[::2], points[1::2], strict=False)]


@given(st.data())
def test_composed_spans_cut_the_same_text_from_the_source(data: st.DataObject) -> None:
    source = data.draw(st.text(max_size=60))
    base = data.draw(cuts(len(source)))
    text = spans_of(source, base)
    kept = data.draw(cuts(len(text)))
    found = compose(base, kept)
    assert spans_of(source, found) == spans_of(text, kept)
    assert found == sorted(found)
    assert all(a < b for a, b in found)
    assert all(x[1] < y[0] for x, y in pairwise(found))


def test_spans_start_at_the_offset_and_survive_a_second_compression() -> None:
    guard = Guard("lexical")
    source = "x" * 100 + TEXT
    first = compress_nodes(guard, [Node(TEXT, offset=100)], QUERY, Budget(ratio=0.7), "all")[0]
    assert spans_of(source, first.provenance["spans"]) == first.text
    for form in ("dict", "json"):
        again = Node(first.text, offset=100, earlier=encoded(first.provenance, form))
        second = compress_nodes(guard, [again], QUERY, Budget(ratio=0.6), "all")[0]
        assert second.text != first.text
        assert spans_of(source, second.provenance["spans"]) == second.text


@pytest.mark.parametrize("earlier", ["not json", {"spans": [[0, 3]]}, {"spans": 7}, 5, {}])
def test_provenance_that_does_not_fit_is_not_believed(earlier: object) -> None:
    node = Node(TEXT, earlier=earlier)
    answer = compress_nodes(Guard("lexical"), [node], QUERY, Budget(ratio=0.5), "all")[0]
    assert spans_of(TEXT, answer.provenance["spans"]) == answer.text


def test_the_budget_is_shared_or_applies_to_each() -> None:
    nodes = [Node(TEXT), Node("Bread is baked daily. Cheese is not. Prices rise every year.")]
    guard = Guard("lexical")
    shared = compress_nodes(guard, nodes, QUERY, Budget(tokens=30), "all")
    each = compress_nodes(guard, nodes, QUERY, Budget(tokens=30), "each")
    assert shared[0].outcome is shared[1].outcome
    assert shared[0].outcome.compression.tokens_after <= 30
    assert [a.text for a in each] == [
        load("lexical").compress([Document(n.text)], query=QUERY, budget=Budget(tokens=30)).text
        for n in nodes
    ]
    with pytest.raises(InputError, match="budget_scope"):
        compress_nodes(guard, nodes, QUERY, Budget(), "some")  # type: ignore[arg-type]


def test_tokens_are_those_of_each_document() -> None:
    guard = Guard("lexical", Options(tokenizer=lambda text: len(text.split())))
    answers = compress_nodes(guard, [Node(TEXT), Node("")], QUERY, Budget(ratio=0.5), "all")
    assert answers[0].provenance["tokens_before"] == len(TEXT.split())
    assert answers[0].provenance["tokens_after"] == len(answers[0].text.split())
    assert answers[1].provenance["tokens_before"] == 0
    assert not answers[1].vanished
    json.dumps([answer.provenance for answer in answers])


def test_no_nodes_no_answers_and_a_blank_query_is_none() -> None:
    guard = Guard("lexical")
    assert compress_nodes(guard, [], QUERY, Budget(), "all") == []
    assert compress_nodes(guard, [], QUERY, Budget(), "each") == []
    blank = compress_nodes(guard, [Node(TEXT)], " ", Budget(), "all")
    assert blank == compress_nodes(guard, [Node(TEXT)], None, Budget(), "all")


def test_coroutines_get_the_same_whatever_the_length() -> None:
    nodes = [Node(TEXT), Node(TEXT * 300)]
    guard = Guard("lexical")
    answers = compress_nodes(guard, nodes, QUERY, Budget(tokens=60), "all")
    coroutine = acompress_nodes(guard, nodes, QUERY, Budget(tokens=60), "all")
    assert asyncio.run(coroutine) == answers


class Joining:
    """Rewrites all documents into one text, as an abstractive compressor does."""

    name = "joining"

    def compress(
        self, documents: Sequence[Document], *, query: str | None = None, budget: Budget
    ) -> Compression:
        return self.compress_many([Request(tuple(documents), query, budget)])[0]

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        return [
            Compression(
                "In short.",
                (CompressedDocument(r.documents, "In short.", None),),
                9,
                2,
                "o200k_base",
                "joining",
            )
            for r in requests
        ]

    def warmup(self) -> None: ...

    def close(self) -> None: ...


def test_a_text_that_joins_several_stands_in_the_first_of_them() -> None:
    nodes = [Node("One fact."), Node("Another fact.")]
    first, second = compress_nodes(Guard(Joining()), nodes, None, Budget(), "all")
    assert (first.text, first.vanished, first.provenance["spans"]) == ("In short.", False, None)
    assert (second.text, second.vanished) == ("", True)
    later = Node("In short.", earlier=first.provenance)
    answer = compress_nodes(Guard("lexical"), [later], None, Budget(ratio=1.0), "all")[0]
    assert answer.provenance["spans"] is None
