"""Promises 5, 6 and 8: nothing of the caller's changes, same input same output, no network."""

from __future__ import annotations

import asyncio
import copy
import gc
import locale
import logging
import os
import random
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import ctxzip
from ctxzip import Document, Options

from .promises import same
from .texts import FENCE, JSON, SENTENCES, TABLE, documents, queries

QUERY = "Which limit has the pump, and when was it replaced?"
PROMPTS = [
    " ".join(SENTENCES[:9]),
    [SENTENCES[0], TABLE, FENCE, JSON],
    [" ".join(SENTENCES[i : i + 6]) for i in range(0, 24, 6)],
    SENTENCES[9] * 5,
    "",
    [],
    ["", "one"],
    " ".join(f"Valve {i} was not checked on day {i * 3}." for i in range(150)),
]


def state() -> list[object]:
    root = logging.getLogger()
    return [
        random.getstate(),
        [
            part if isinstance(part, str | int | float) else part.tolist()
            for part in np.random.get_state()
        ],
        dict(os.environ),
        (root.level, list(root.handlers), logging.root.manager.disable),
        {
            n: logging.getLogger(n).level
            for n in ("tokenizers", "tiktoken", "transformers", "torch")
        },
        list(warnings.filters),
        locale.setlocale(locale.LC_ALL),
        gc.isenabled(),
        np.geterr(),
        os.getcwd(),
    ]


def test_global_state_is_left_alone(compressor: str):
    before = state()
    for prompt in PROMPTS:
        ctxzip.compress(prompt, 0.4, query=QUERY, compressor=compressor)
        ctxzip.compress(prompt, target_tokens=20, compressor=compressor)
    assert state() == before


def test_documents_are_left_alone(compressor: str):
    metadata = {"page": 3, "tags": ["a", "b"], "nested": {"x": [1]}}
    mapping = {"text": SENTENCES[0], "id": "m", "title": "T", "metadata": {"k": [1]}}
    prompt = [Document(" ".join(SENTENCES[:6]), "d", "Title", metadata), mapping, SENTENCES[2]]
    before = copy.deepcopy(prompt)
    protect = ["pump"]
    result = ctxzip.compress(
        prompt, 0.5, query=QUERY, compressor=compressor, options=Options(protect=protect)
    )
    assert prompt == before
    assert protect == ["pump"]
    assert result.documents[0].source.metadata == metadata
    assert [document.source.id for document in result.documents] == ["d", "m", None]
    assert result.documents[1].source.metadata == {"k": [1]}


@given(some=documents, query=queries, ratio=st.sampled_from([0.2, 0.5, 0.8]))
def test_the_same_again(compressor: str, some: list[str], query: str | None, ratio: float):
    first = ctxzip.compress(some, ratio, query=query, compressor=compressor)
    again = ctxzip.compress(some, ratio, query=query, compressor=compressor)
    assert same(first, again)


@settings(max_examples=15)
@given(
    prompts=st.lists(documents, min_size=2, max_size=5),
    order=st.randoms(use_true_random=False),
    ratio=st.sampled_from([0.2, 0.5, 0.8]),
)
def test_the_same_in_any_batch(compressor: str, prompts, order: random.Random, ratio: float):
    alone = [ctxzip.compress(p, ratio, query=QUERY, compressor=compressor) for p in prompts]
    indices = list(range(len(prompts)))
    order.shuffle(indices)
    batch = ctxzip.compress_many(
        [prompts[i] for i in indices], ratio, queries=QUERY, compressor=compressor
    )
    for i, result in zip(indices, batch, strict=True):
        assert same(alone[i], result)


def test_the_same_in_a_batch_of_every_kind(compressor: str):
    queries = [QUERY, None] * (len(PROMPTS) // 2)
    alone = [
        ctxzip.compress(p, 0.4, query=q, compressor=compressor)
        for p, q in zip(PROMPTS, queries, strict=True)
    ]
    batch = ctxzip.compress_many(PROMPTS, 0.4, queries=queries, compressor=compressor)
    turned = ctxzip.compress_many(PROMPTS[::-1], 0.4, queries=queries[::-1], compressor=compressor)
    for one, two, three in zip(alone, batch, turned[::-1], strict=True):
        assert same(one, two)
        assert same(one, three)
    assert ctxzip.compress_many([], 0.4, compressor=compressor) == []


def test_the_same_from_threads(compressor: str):
    loaded = ctxzip.load(compressor)
    budget = ctxzip.Budget(ratio=0.4)
    sets = [tuple(map(Document, [p] if isinstance(p, str) else p)) for p in PROMPTS]
    alone = [loaded.compress(s, query=QUERY, budget=budget) for s in sets]
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(loaded.compress, s, query=QUERY, budget=budget)
            for _ in range(6)
            for s in sets
        ]
        results = [job.result() for job in jobs]
    for i, result in enumerate(results):
        assert same(alone[i % len(sets)], result)


def test_the_same_without_blocking(compressor: str):
    async def together() -> list[ctxzip.Compression]:
        calls = [ctxzip.acompress(p, 0.4, query=QUERY, compressor=compressor) for p in PROMPTS]
        return list(await asyncio.gather(*calls))

    for prompt, result in zip(PROMPTS, asyncio.run(together()), strict=True):
        assert same(ctxzip.compress(prompt, 0.4, query=QUERY, compressor=compressor), result)


def test_every_kind_of_prompt_gives_the_same(compressor: str):
    text = " ".join(SENTENCES[:9])
    forms = [text, [text], Document(text), [Document(text)], {"text": text}, ({"text": text},)]
    results = [ctxzip.compress(form, 0.4, query=QUERY, compressor=compressor) for form in forms]
    assert len({result.text for result in results}) == 1


def test_it_works_again_after_close(compressor: str):
    loaded = ctxzip.load(compressor)
    assert isinstance(loaded, ctxzip.Compressor)
    loaded.warmup()
    documents = [Document(PROMPTS[0])]
    budget = ctxzip.Budget(ratio=0.4)
    first = loaded.compress(documents, query=QUERY, budget=budget)
    loaded.close()
    assert same(first, loaded.compress(documents, query=QUERY, budget=budget))


def test_listing_works_before_and_after_use(compressor: str):
    ctxzip.compress("The pump is new.", compressor=compressor)
    assert "lexical" in {info.name for info in ctxzip.list_compressors()}
