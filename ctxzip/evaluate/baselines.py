"""What a compressor has to beat: whole sentences at random, in order, or ranked by plain BM25."""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ctxzip.kit.arrays import FloatArray
from ctxzip.kit.batch import BatchCompressor
from ctxzip.segment import sentences
from ctxzip.text import tokens
from ctxzip.types import Budget, CompressedDocument, Compression, Document, Request, Span

__all__ = ["BASELINES", "SEED", "Baseline", "Bm25", "digest", "words"]

SEED = 20240229

_WORD = re.compile(r"\w+")


def digest(*parts: object) -> str:
    """A hash of the parts, the same in every process: an order that nobody chose."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()


def words(text: str) -> list[str]:
    """Lower-cased runs of letters, digits and underscores."""
    return _WORD.findall(text.lower())


class Bm25:
    """Plain BM25 (Robertson and Zaragoza, 2009): k1=1.5, b=0.75, no stemming, no stop words."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.size = len(texts)
        postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        lengths = np.zeros(self.size)
        for i, text in enumerate(texts):
            counts = Counter(words(text))
            lengths[i] = counts.total()
            for word, count in counts.items():
                postings[word].append((i, count))
        self.postings = postings
        mean = lengths.mean() if self.size else 0.0
        self.norm = 1.5 * (0.25 + 0.75 * lengths / (mean or 1.0))

    def scores(self, query: str) -> FloatArray:
        """One score per text, float64, shape (n,)."""
        scores = np.zeros(self.size)
        for word in words(query):
            if found := self.postings.get(word):
                at, count = np.array(found).T
                idf = math.log1p((self.size - len(at) + 0.5) / (len(at) + 0.5))
                scores[at] += idf * count * 2.5 / (count + self.norm[at])
        return scores


def _by_bm25(texts: Sequence[str], places: Sequence[tuple[int, int]], query: str) -> FloatArray:
    return Bm25(texts).scores(query)


def _by_lead(texts: Sequence[str], places: Sequence[tuple[int, int]], query: str) -> FloatArray:
    return np.array([-float(sentence) for _, sentence in places])


def _by_chance(texts: Sequence[str], places: Sequence[tuple[int, int]], query: str) -> FloatArray:
    generator = random.Random(digest(SEED, query, *texts))  # noqa: S311
    return np.array([generator.random() for _ in texts])


@lru_cache(maxsize=4096)
def _costed(text: str) -> tuple[list[tuple[int, int]], list[int]]:
    units = sentences.split(text)
    spans = list(zip(units.start.tolist(), units.end.tolist(), strict=True))
    count = tokens.resolve("o200k_base").count
    return spans, [count(" " + text[start:end]) for start, end in spans]


@dataclass(slots=True)
class Baseline(BatchCompressor):
    """Whole sentences by a plain score, greedily while they fit, in source order.

    Sentences that do not fit are skipped. ``rank`` gets the sentences of a request, their places
    as (document, sentence), and the query; it returns one score per sentence.
    """

    name: str
    rank: Callable[[Sequence[str], Sequence[tuple[int, int]], str], FloatArray]

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        """See :class:`ctxzip.Compressor`."""
        return [self._one(r.documents, r.query, r.budget) for r in requests]

    def _one(self, documents: Sequence[Document], query: str | None, budget: Budget) -> Compression:
        costed = [_costed(document.text) for document in documents]
        places = [(d, s) for d, (spans, _) in enumerate(costed) for s in range(len(spans))]
        texts = [documents[d].text[slice(*costed[d][0][s])] for d, s in places]
        order = np.argsort(-self.rank(texts, places, query or ""), kind="stable").tolist()
        counter = tokens.resolve("o200k_base")
        before = counter.count("\n\n".join(document.text for document in documents))
        ceiling = budget.ceiling(before)
        room = before if ceiling is None else ceiling
        chosen: list[int] = []
        for i in order:
            d, s = places[i]
            cost = costed[d][1][s]
            if cost <= room:
                chosen.append(i)
                room -= cost
        while True:
            parts = self._parts(documents, sorted(places[i] for i in chosen), costed)
            text = "\n\n".join(part.text for part in parts if part.text)
            after = counter.count(text)
            if ceiling is None or after <= ceiling or not chosen:
                return Compression(
                    text, parts, before, after, counter.name, self.name, ceiling=ceiling
                )
            chosen.pop()

    @staticmethod
    def _parts(
        documents: Sequence[Document],
        places: Sequence[tuple[int, int]],
        costed: Sequence[tuple[list[tuple[int, int]], list[int]]],
    ) -> tuple[CompressedDocument, ...]:
        kept: list[list[Span]] = [[] for _ in documents]
        for d, s in places:
            kept[d].append(Span(*costed[d][0][s]))
        return tuple(
            CompressedDocument((doc,), " ".join(doc.text[slice(*s)] for s in spans), tuple(spans))
            for doc, spans in zip(documents, kept, strict=True)
        )


BASELINES = {
    baseline.name: baseline
    for baseline in (
        Baseline("random", _by_chance),
        Baseline("lead", _by_lead),
        Baseline("bm25", _by_bm25),
    )
}
