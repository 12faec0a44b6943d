"""The sentence index: memory, loss and query time of every storage.

    python -m tests.benchmarks.index --model MODEL [--data DIR] [--sets hotpotqa_dev] [--keep DIR]

MODEL is what ``ctxzip corpus index --model`` takes. The passages of all requests of the sets are
embedded once; each storage then holds the same vectors. Evidence recall is the mean over
``--ratios`` of the tokens, since at a single ratio a few sentences at the edge decide; the
differences from float32 are paired over requests, with 95% bootstrap intervals. Times
are medians over requests of 20 passages, wall clock: the whole of ``compress`` with the index,
against the encoding of the passages' sentences alone. ``--keep`` stores the float32 index, so that
a second run need not embed.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import ctxzip
from ctxzip.evaluate import Record, build_requests, column, evaluate, load_records, paired_bootstrap
from ctxzip.index import SentenceIndex, sentences
from ctxzip.kit.arrays import Float32Array
from ctxzip.score.embedders import Cache, Embedder
from ctxzip.segment.prepare import passage_of
from ctxzip.text.units import Passage

PASSAGES = 20
Storage = tuple[str, int | None]


class Recorded:
    """An embedder whose vectors of passages come from an index."""

    def __init__(self, embedder: Embedder, index: SentenceIndex) -> None:
        self.name = embedder.name
        self._embedder, self._index = embedder, index

    def queries(self, texts: Sequence[str]) -> tuple[Float32Array, list[str]]:
        """Made by the model."""
        return self._embedder.queries(texts)

    def passages(
        self, passages: Sequence[Passage], *, titles: bool, cache: Cache | None = None
    ) -> tuple[list[Float32Array], list[str]]:
        """Read from the index, the probe excepted."""
        found, _ = self._index.find(passages)
        if any(vectors is None for vectors in found):
            return self._embedder.passages(passages, titles=titles, cache=cache)
        return [vectors for vectors in found if vectors is not None], []

    def close(self) -> None:
        """Nothing of its own."""


def full(model: str, documents: list[ctxzip.Document], keep: Path | None) -> SentenceIndex:
    """The float32 index, from ``keep`` where it is there."""
    if keep is not None and keep.exists():
        index = SentenceIndex.load(keep, model=model)
    else:
        index = SentenceIndex(model, storage="float32")
    begun = time.perf_counter()
    change = index.add(documents)
    if change.embedded:
        rate = change.sentences / (time.perf_counter() - begun)
        print(f"{change.sentences:,} sentences embedded, {rate:,.0f} a second")
        if keep is not None:
            index.save(keep)
    return index


def variants(
    model: str, documents: list[ctxzip.Document], exact: SentenceIndex, storages: list[Storage]
) -> dict[str, SentenceIndex]:
    """The same vectors in every storage, each saved and loaded again."""
    original: Callable[..., Embedder] = sentences.load_embedder
    recorded = Recorded(original(model), exact)
    result = {}
    with tempfile.TemporaryDirectory() as scratch:
        for storage, components in storages:
            index = SentenceIndex(model, storage=storage, components=components)
            sentences.load_embedder = lambda *_: recorded
            try:
                index.add(documents)
            finally:
                sentences.load_embedder = original
            name = storage if components is None else f"{storage}, {components} components"
            folder = Path(scratch) / name.replace(" ", "")
            index.save(folder)
            result[name] = SentenceIndex.load(folder, model=model)
    return result


def median(run: Callable[[int], object], times: int) -> float:
    """Median of the wall-clock times of some calls, in seconds."""
    spent = []
    for i in range(times):
        begun = time.perf_counter()
        run(i)
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent)


def speed(
    model: str, records: list[Record], index: SentenceIndex, times: int
) -> tuple[float, float, float]:
    """Seconds: encoding 20 passages; compressing them with the index; without it."""
    generator = random.Random(7)
    pool = sorted({d.text: d for r in records for d in r.documents}.items())
    picked = [[d for _, d in generator.sample(pool, PASSAGES)] for _ in range(times)]
    embedder = sentences.load_embedder(model)
    cut = [[passage_of(document) for document in documents] for documents in picked]
    plain = ctxzip.load("recomp-extractive", model=model)

    def compress(i: int, **how: object) -> object:
        query = records[i % len(records)].query
        return ctxzip.compress(picked[i], 0.3, query=query, **how)  # type: ignore[arg-type]

    compress(0, index=index)
    compress(0, compressor=plain)
    encoding = median(lambda i: embedder.passages(cut[i], titles=True), times)
    fast = median(lambda i: compress(i, index=index), times)
    slow = median(lambda i: compress(i, compressor=plain), times)
    return encoding, fast, slow


def main() -> None:
    """The command."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CTXZIP_DATA", beside)))
    parser.add_argument("--sets", default="hotpotqa_dev")
    parser.add_argument("--ratios", default="0.1,0.2,0.3,0.4,0.5")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--times", type=int, default=20)
    arguments = parser.parse_args()
    records = [
        record
        for name in arguments.sets.split(",")
        for record in build_requests(name, load_records(arguments.data / f"{name}.jsonl.xz"))
    ]
    documents = list({(d.title, d.text): d for r in records for d in r.documents}.values())
    ratios = [float(ratio) for ratio in arguments.ratios.split(",")]
    exact = full(arguments.model, documents, arguments.keep)
    d = exact.dimension
    storages: list[Storage] = [
        ("float32", None), ("float16", None), ("int8", None), ("pca8", d), ("pca8", 3 * d // 4),
        ("pca8", None), ("pca8", d // 4),
    ]  # fmt: skip
    print(
        f"\n{arguments.sets}, {len(records)} requests, {exact.passages:,} passages,"
        f" {exact.sentences:,} sentences by {Path(arguments.model).name}\n"
    )
    shown = " | ".join(f"at {ratio:g}" for ratio in ratios)
    print(f"| storage | bytes a sentence | less | recall | {shown} | over float32 (95%) |")
    print("|---" * (len(ratios) + 5) + "|")
    base: list[float] = []
    smallest = exact
    for name, index in variants(arguments.model, documents, exact, storages).items():
        compressor = index.compressor()
        each = np.array(
            [column(evaluate(compressor, records, r), "evidence_recall") for r in ratios]
        )
        recall = each.mean(axis=0).tolist()
        base = base or recall
        difference, low, high = paired_bootstrap(recall, base)
        size = index.nbytes / index.sentences
        print(
            f"| {name} | {size:.0f} | {4 * d / size:.1f}x | {np.mean(recall):.3f} |"
            f" {' | '.join(f'{value:.3f}' for value in each.mean(axis=1))} |"
            f" {difference:+.4f} [{low:+.4f}, {high:+.4f}] |",
            flush=True,
        )
        smallest = index if name == "pca8" else smallest
    encoding, fast, slow = speed(arguments.model, records, smallest, arguments.times)
    print(
        f"\n{PASSAGES} passages: encoding their sentences {encoding * 1000:.0f} ms; compress with"
        f" the index {fast * 1000:.1f} ms ({encoding / fast:.0f} times faster), without it"
        f" {slow * 1000:.0f} ms"
    )


if __name__ == "__main__":
    main()
