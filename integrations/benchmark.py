"""What the pipeline nodes cost, and what concurrency gains; prints, never asserts.

    python integrations/benchmark.py [compressor]

Both packages must be installed.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from langchain_core.documents import Document
from langchain_ctxzip import CtxzipCompressor
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.ctxzip import CtxzipPostprocessor

import ctxzip

SENTENCES = (
    "Pump {i} in hall {j} was serviced on {k} May by crew {j}.",
    "The bearing showed wear of {j}.{k} millimetres and was not replaced.",
    "Pressure in line {k} fell to {j} bar during the night shift.",
    "Nobody was hurt, and the report was filed under number {i}{k}.",
    "The supplier in Bergen promised new seals within {k} working days.",
    "The canteen changed its menu on Tuesday because the cook was away.",
)
CONCURRENT = 32


def passage(number: int, tokens: int) -> str:
    """A passage of about so many tokens, different for each number."""
    text, i = "", 0
    while len(text) < tokens * 3.9:
        values = {"i": number * 31 + i, "j": (number + i) % 9, "k": (number * i) % 27 + 1}
        text += SENTENCES[(number + i) % len(SENTENCES)].format(**values) + " "
        i += 1
    return text.strip()


def question(number: int) -> str:
    """A question, different for each number."""
    return f"When was pump {number * 31} serviced, and by whom?"


def overhead(name: str, documents: int, repeats: int = 31) -> None:
    """A node against a direct call, interleaved so that both see the same machine.

    The smallest time of each says most where other programs run; CPU time counts all threads.
    """
    texts = [passage(i, 150) for i in range(documents)]
    sources = [ctxzip.Document(text) for text in texts]
    retrieved = [Document(page_content=text) for text in texts]
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in texts]
    direct = ctxzip.load(name)
    langchain = CtxzipCompressor(compressor=name, ratio=0.5)
    llama = CtxzipPostprocessor(compressor=name, ratio=0.5)
    budget = ctxzip.Budget(ratio=0.5)
    runs: dict[str, Callable[[], object]] = {
        "direct": lambda: direct.compress(sources, query=question(1), budget=budget),
        "LangChain": lambda: langchain.compress_documents(retrieved, question(1)),
        "LlamaIndex": lambda: llama.postprocess_nodes(nodes, query_str=question(1)),
    }
    wall: dict[str, list[float]] = {key: [] for key in runs}
    cpu: dict[str, list[float]] = {key: [] for key in runs}
    for _ in range(repeats):
        for key, run in runs.items():
            begun, used = time.perf_counter(), time.process_time()
            run()
            wall[key].append((time.perf_counter() - begun) * 1e3)
            cpu[key].append((time.process_time() - used) * 1e3)
    for key in ("LangChain", "LlamaIndex"):
        print(
            f"{key:<11}{documents:>4} documents: direct {min(wall['direct']):7.2f} ms, overhead"
            f" {min(wall[key]) - min(wall['direct']):5.2f} ms at best,"
            f" {statistics.median(wall[key]) - statistics.median(wall['direct']):6.2f} in the"
            f" median, {min(cpu[key]) - min(cpu['direct']):5.2f} of CPU"
            f" (to stay under {2 + 0.1 * documents:.1f})"
        )


async def longest_block(work: Awaitable[object]) -> float:
    """Run ``work`` and measure the longest time in ms for which the loop did not turn."""
    worst, done = 0.0, False

    async def watch() -> None:
        nonlocal worst
        while not done:
            begun = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, (time.perf_counter() - begun - 0.001) * 1e3)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    await work
    done = True
    await watching
    return worst


def concurrency(name: str, passages: int, tokens: int, repeats: int = 5) -> None:
    """Concurrent calls against the same calls one after another."""
    compressor = CtxzipCompressor(compressor=name, ratio=0.5, timeout=None)
    calls = [
        ([Document(page_content=passage(n * 50 + i, tokens)) for i in range(passages)], question(n))
        for n in range(CONCURRENT)
    ]

    def fresh(round_: int) -> list[tuple[list[Document], str]]:
        # Other texts in each round: a compressor may remember what it has read.
        mark = f" Round {round_}."
        return [([Document(page_content=d.page_content + mark) for d in ds], q) for ds, q in calls]

    async def together(work: list[tuple[list[Document], str]]) -> list[list[Document]]:
        return await asyncio.gather(*(compressor.acompress_documents(d, q) for d, q in work))

    async def one_by_one(work: list[tuple[list[Document], str]]) -> list[list[Document]]:
        return [await compressor.acompress_documents(d, q) for d, q in work]

    asyncio.run(together(fresh(-1)))
    ratios, blocks = [], []
    for i in range(repeats):
        begun = time.perf_counter()
        first = asyncio.run(together(fresh(2 * i)))
        middle = time.perf_counter()
        asyncio.run(one_by_one(fresh(2 * i + 1)))
        ratios.append((time.perf_counter() - middle) / (middle - begun))
        blocks.append(asyncio.run(longest_block(together(fresh(1000 + i)))))
        again = asyncio.run(one_by_one(fresh(2 * i)))
        same = [[d.page_content for d in a] for a in first] == [
            [d.page_content for d in b] for b in again
        ]
        if not same:
            raise SystemExit("Concurrent results differ from sequential ones.")
    print(
        f"{CONCURRENT} calls of {passages} x {tokens} tokens: concurrent"
        f" {statistics.median(ratios):.2f}x as fast ({min(ratios):.2f} to {max(ratios):.2f}),"
        f" results identical; longest block of the event loop {statistics.median(blocks):.0f} ms"
        f" in the median of the runs, {max(blocks):.0f} at worst"
    )


def main() -> None:
    """Print everything for one compressor."""
    name = sys.argv[1] if len(sys.argv) > 1 else "auto"
    ctxzip.load(name).warmup()
    # The frameworks bring 200,000 objects; collecting garbage among them takes a tenth of a second,
    # in any thread and whatever it does. Servers freeze them once they have started; so do we.
    gc.collect()
    gc.freeze()
    idle = asyncio.run(longest_block(asyncio.sleep(2)))
    print(f"compressor: {name}; longest block of an idle event loop here {idle:.0f} ms")
    for documents in (1, 10, 50):
        overhead(name, documents)
    concurrency(name, 1, 80)
    concurrency(name, 10, 150)


if __name__ == "__main__":
    main()
