"""Promises 5, 6 and 8: nothing of the caller's changes, same input same output, no network."""

from __future__ import annotations

import asyncio
import copy
import gc
import locale
import logging
import os
import random
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import strategies as st

import ctxzip
from ctxzip import Document, Options

from .drawn import drawn
from .promises import same
from .rows import Loaded
from .texts import CODE, FENCE, JSON, PROSE, SENTENCES, TABLE, Kind, queries

QUERY = "Which limit has the pump, and when was it replaced?"
PROMPTS = [
    " ".join(SENTENCES[:9]),
    [SENTENCES[0], TABLE, FENCE, JSON],
    CODE.prompt(CODE.samples),
    [*CODE.prompt(CODE.samples), *PROSE.samples],
    [" ".join(SENTENCES[i : i + 6]) for i in range(0, 24, 6)],
    SENTENCES[9] * 5,
    "",
    [],
    ["", "one"],
    " ".join(f"Valve {i} was not checked on day {i * 3}." for i in range(40)),
]


def state() -> list[object]:
    root = logging.getLogger()
    torch = sys.modules.get("torch")
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
        *([torch.random.get_rng_state().tolist(), torch.is_grad_enabled()] if torch else []),
    ]


def test_global_state_is_left_alone(row: Loaded):
    row.load().warmup()  # importing a framework changes what is its own
    before = state()
    for prompt in PROMPTS:
        row.compress(prompt, 0.4, query=QUERY)
    row.compress(PROMPTS[0], target_tokens=20)
    assert state() == before


def test_documents_are_left_alone(row: Loaded):
    metadata = {"page": 3, "tags": ["a", "b"], "nested": {"x": [1]}}
    mapping = {"text": SENTENCES[0], "id": "m", "title": "T", "metadata": {"k": [1]}}
    prompt = [Document(" ".join(SENTENCES[:6]), "d", "Title", metadata), mapping, SENTENCES[2]]
    before = copy.deepcopy(prompt)
    protect = ["pump"]
    result = row.compress(prompt, 0.5, query=QUERY, options=Options(protect=protect))
    assert prompt == before
    assert protect == ["pump"]
    sources = [source for document in result.documents for source in document.sources]
    assert sources[0].metadata == metadata
    assert [source.id for source in sources] == ["d", "m", None]
    assert sources[1].metadata == {"k": [1]}


@drawn(some=lambda kind: kind.several, query=queries, ratio=st.sampled_from([0.2, 0.5, 0.8]))
def test_the_same_again(row: Loaded, kind: Kind, some: list[str], query: str | None, ratio: float):
    first = row.compress(kind.prompt(some), ratio, query=query)
    again = row.compress(kind.prompt(some), ratio, query=query)
    assert same(first, again)


@drawn(
    share=0.5,
    several=lambda kind: st.lists(kind.several, min_size=2, max_size=4),
    order=st.randoms(use_true_random=False),
    ratio=st.sampled_from([0.2, 0.5, 0.8]),
)
def test_the_same_in_any_batch(
    row: Loaded, kind: Kind, several, order: random.Random, ratio: float
):
    prompts = [kind.prompt(some) for some in several]
    alone = [row.compress(p, ratio, query=QUERY) for p in prompts]
    indices = list(range(len(prompts)))
    order.shuffle(indices)
    queries = [QUERY] * len(indices)
    batch = row.compress_many([prompts[i] for i in indices], ratio, queries)
    for i, result in zip(indices, batch, strict=True):
        assert same(alone[i], result)


def test_the_same_in_a_batch_of_every_kind(row: Loaded):
    queries = [QUERY, None] * (len(PROMPTS) // 2)
    alone = [row.compress(p, 0.4, query=q) for p, q in zip(PROMPTS, queries, strict=True)]
    batch = row.compress_many(PROMPTS, 0.4, queries)
    turned = row.compress_many(PROMPTS[::-1], 0.4, queries[::-1])
    for one, two, three in zip(alone, batch, turned[::-1], strict=True):
        assert same(one, two)
        assert same(one, three)
    assert row.compress_many([], 0.4, []) == []


def test_the_same_from_threads(row: Loaded):
    loaded = row.load()
    alone = [row.compress(prompt, 0.4, query=QUERY) for prompt in PROMPTS]
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(ctxzip.compress, prompt, 0.4, query=QUERY, compressor=loaded)
            for _ in range(2)
            for prompt in PROMPTS
        ]
        results = [job.result() for job in jobs]
    for i, result in enumerate(results):
        assert same(alone[i % len(PROMPTS)], result)


def test_the_same_without_blocking(row: Loaded):
    async def together() -> list[ctxzip.Compression]:
        calls = [ctxzip.acompress(p, 0.4, query=QUERY, compressor=row.load()) for p in PROMPTS]
        return list(await asyncio.gather(*calls))

    for prompt, result in zip(PROMPTS, asyncio.run(together()), strict=True):
        assert same(row.compress(prompt, 0.4, query=QUERY), result)


def test_every_kind_of_prompt_gives_the_same(row: Loaded):
    text = " ".join(SENTENCES[:9])
    forms = [text, [text], Document(text), [Document(text)], {"text": text}, ({"text": text},)]
    results = [row.compress(form, 0.4, query=QUERY) for form in forms]
    assert len({result.text for result in results}) == 1


def test_it_works_again_after_close(row: Loaded):
    loaded = row.load()
    assert isinstance(loaded, ctxzip.Compressor)
    loaded.warmup()
    documents = [Document(PROMPTS[0])]
    budget = ctxzip.Budget(ratio=0.4)
    first = loaded.compress(documents, query=QUERY, budget=budget)
    loaded.close()
    assert same(first, loaded.compress(documents, query=QUERY, budget=budget))
