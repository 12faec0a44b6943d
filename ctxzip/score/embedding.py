"""Sentence embeddings compared with the query's: RECOMP's extractive compressor.

Xu et al., "RECOMP: Improving Retrieval-Augmented LMs with Compression and Selective Augmentation"
(ICLR 2024, arXiv 2310.04408). RECOMP's own checkpoints are Contrievers: the mean of the token
states, compared by the raw dot product. A sentence-transformers folder brings its own pooling,
normalisation and prompts, which are read from its files and applied here, in NumPy.

Its published code scores each text as it is given and chooses nothing. That a title stands before
each sentence (``titles``) and that sentences come out in source order, not by falling score, is
therefore ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ctxzip.errors import InputError
from ctxzip.kit.arrays import BoolArray, Float32Array, FloatArray
from ctxzip.kit.once import Once
from ctxzip.score.base import ScoreRequest, UnitScores
from ctxzip.score.embedders import Cache, Embedder
from ctxzip.score.fallback import LexicalWords
from ctxzip.text.units import Passage, Words

__all__ = ["EMBEDDINGS", "EmbeddingScorer", "Recomp", "SentenceVectors", "marginal_relevance"]

# Key in ``Document.metadata`` under which a retriever's sentence embeddings are handed in.
EMBEDDINGS = "sentence_embeddings"


class SentenceVectors(Protocol):
    """Embeddings made before the question; see :class:`ctxzip.SentenceIndex`.

    Attributes:
        titles: whether titles were read with the sentences.
    """

    titles: bool

    def check(self, embedder: Embedder) -> None:
        """Raise ModelError unless an embedder is the one that the vectors were made with."""
        ...

    def find(self, passages: Sequence[Passage]) -> tuple[list[Float32Array | None], list[str]]:
        """Vectors of each passage's units, or None where it is not known; and notes."""
        ...


@dataclass(frozen=True, slots=True)
class Recomp:
    """Settings of compressor ``recomp-extractive``.

    Attributes:
        top_n: most sentences that stay in all documents together, in source order (RECOMP: 1 for
            single-hop questions, 2 for HotpotQA). With it no ratio is needed.
        min_similarity: sentences less similar to the query are dropped; on the model's own scale,
            raw dot products or cosines. With it no ratio is needed.
        titles: put a document's title before each of its sentences. RECOMP's scoring code takes
            the text as it is; what its authors had put into it cannot be seen there.
        diversity: 0 ranks by similarity alone; up to 1, a sentence that resembles better ones is
            ranked lower (maximal marginal relevance).
        duplicate: cosine from which a sentence repeats a better one and is dropped, or None.
        cache: embeddings by text, shared by the caller; looked up before the model is run, and
            filled. Not copied; must be safe for the caller's threads.
        index: embeddings of whole passages, made before the question; a passage that it does not
            hold is read by the model, and the result says so.
        allow_pickle: weights that are pickles may be read, not only safetensors.
    """

    top_n: int | None = None
    min_similarity: float | None = None
    titles: bool = True
    diversity: float = 0.0
    duplicate: float | None = None
    cache: Cache | None = field(default=None, hash=False, compare=False)
    index: SentenceVectors | None = field(default=None, hash=False, compare=False)
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        if self.top_n is not None and self.top_n < 1:
            raise InputError(f"top_n={self.top_n!r} is not at least 1.")
        if not 0 <= self.diversity <= 1:
            raise InputError(f"diversity={self.diversity!r} is not in [0, 1].")
        if self.duplicate is not None and not 0 < self.duplicate <= 1:
            raise InputError(f"duplicate={self.duplicate!r} is not in (0, 1].")
        if self.index is not None and self.index.titles != self.titles:
            raise InputError(
                f"titles={self.titles!r}, but the index was made with"
                f" titles={self.index.titles!r}.",
                hint=f"Give Recomp(titles={self.index.titles!r}, index=...).",
            )

    @property
    def selects(self) -> bool:
        """Whether sentences are ruled out whatever the budget."""
        return self.top_n is not None or self.min_similarity is not None


def marginal_relevance(score: FloatArray, embeddings: Float32Array, diversity: float) -> FloatArray:
    """Similarity less the likeness to better sentences.

    Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and
    Producing Summaries" (SIGIR 1998). The value at which a sentence is chosen never exceeds that of
    the one before, so the values are scores: a budget cuts the ranking anywhere.

    Args:
        score: similarity to the query, float64, shape (n,).
        embeddings: float32, shape (n, d).
        diversity: weight of the likeness to sentences already chosen, in [0, 1].

    Returns:
        float64, shape (n,).
    """
    if not len(score):
        return score
    unit = _unit_length(embeddings)
    value = np.zeros(len(score))
    likeness = np.full(len(score), -np.inf)
    # The query's similarities, made comparable with cosines between sentences.
    relevance = score / max(float(np.abs(score).max()), 1e-12)
    left = np.ones(len(score), bool)
    for _ in range(len(score)):
        penalty = np.where(np.isfinite(likeness), likeness, 0.0)
        marginal = np.where(left, (1 - diversity) * relevance - diversity * penalty, -np.inf)
        best = int(marginal.argmax())
        value[best], left[best] = marginal[best], False
        likeness = np.maximum(likeness, unit @ unit[best])
    return value


def _unit_length(embeddings: Float32Array) -> Float32Array:
    norm = np.linalg.norm(embeddings, axis=1, keepdims=True)
    result: Float32Array = (embeddings / np.maximum(norm, 1e-12)).astype(np.float32)
    return result


def repeated(score: FloatArray, embeddings: Float32Array, cosine: float) -> BoolArray:
    """Which sentences resemble a better one (the earlier of equals) by at least ``cosine``."""
    unit = _unit_length(embeddings)
    result = np.zeros(len(score), bool)
    kept: list[int] = []
    for i in np.argsort(-score, kind="stable").tolist():
        if kept and bool((unit[kept] @ unit[i] >= cosine).any()):
            result[i] = True
        else:
            kept.append(i)
    return result


class EmbeddingScorer:
    """Similarity of every unit to the query.

    Args:
        load: makes the embedder; called once.
        settings: see :class:`Recomp`.
    """

    calibrated = False
    words_first = False

    def __init__(self, load: Callable[[], Embedder], settings: Recomp | None = None) -> None:
        self._embedder = Once.of(load, lambda embedder: embedder.close())
        self._settings = settings if settings is not None else Recomp()
        self._words = LexicalWords()

    @property
    def embedder(self) -> Embedder:
        """What makes the vectors, loaded on first use.

        Raises:
            ModelError: it cannot be loaded, or the index was made with another.
        """
        embedder = self._embedder()
        if self._settings.index is not None:
            self._settings.index.check(embedder)  # once for each embedder
        return embedder

    def units(self, requests: Sequence[ScoreRequest]) -> list[UnitScores]:
        """See :class:`ctxzip.score.base.Scorer`.

        Raises:
            InputError: a request without a query, or precomputed embeddings that do not fit.
        """
        for request in requests:
            if not (request.query and request.query.strip()):
                raise InputError(
                    "recomp-extractive compares sentences with a query, and there is none.",
                    hint='Give query=..., or use compressor="auto".',
                )
        asked, notes = self.embedder.queries([str(request.query) for request in requests])
        parts, told = [], []
        for request in requests:
            known, added = self._known(request.passages)
            parts.append(known)
            told.append(added)
        place = [
            (r, p)
            for r, known_vectors in enumerate(parts)
            for p, v in enumerate(known_vectors)
            if v is None
        ]
        read, added = self.embedder.passages(
            [requests[r].passages[p] for r, p in place],
            titles=self._settings.titles,
            cache=self._settings.cache,
        )
        for (r, p), vectors in zip(place, read, strict=True):
            parts[r][p] = vectors
        return [
            self._scores(
                request, query, [v for v in known_vectors if v is not None], (*notes, *said, *added)
            )
            for request, query, known_vectors, said in zip(
                requests, asked, parts, told, strict=True
            )
        ]

    def _known(self, passages: Sequence[Passage]) -> tuple[list[Float32Array | None], list[str]]:
        """Vectors that need no model: handed in as metadata, or in the index."""
        found = [_handed_in(passage) for passage in passages]
        index = self._settings.index
        if index is None:
            return found, []
        left = [p for p, vectors in enumerate(found) if vectors is None]
        vectors, notes = index.find([passages[p] for p in left])
        for p, rows in zip(left, vectors, strict=True):
            found[p] = rows
        return found, notes

    def _scores(
        self,
        request: ScoreRequest,
        query: Float32Array,
        parts: list[Float32Array],
        notes: tuple[str, ...],
    ) -> UnitScores:
        """Similarities of one request, and what top-n, floor and duplicates rule out."""
        for part, passage in zip(parts, request.passages, strict=True):
            if len(part) and part.shape[1] != len(query):
                raise InputError(
                    f"{EMBEDDINGS} of a document have {part.shape[1]} dimensions, the model's have"
                    f" {len(query)}.",
                    hint=f"Embed with the same model (document id {passage.document.id!r}).",
                )
        settings = self._settings
        sizes = [len(part) for part in parts]
        every = np.concatenate(
            [np.zeros((0, len(query)), np.float32), *(p for p in parts if len(p))]
        )
        score = (every @ query).astype(np.float64)
        eligible = np.ones(len(score), bool)
        if settings.min_similarity is not None:
            eligible &= score >= settings.min_similarity
        if settings.duplicate is not None:
            eligible &= ~repeated(score, every, settings.duplicate)
        if settings.diversity:
            score = marginal_relevance(score, every, settings.diversity)
        if settings.top_n is not None:
            order = np.argsort(np.where(eligible, -score, np.inf), kind="stable")
            eligible[order[settings.top_n :]] = False
        cuts = np.cumsum(sizes)[:-1]
        units = tuple(np.split(score, cuts))
        best = np.array([float(u.max()) if len(u) else 0.0 for u in units])
        return UnitScores(
            units=units, passages=best, notes=notes, eligible=tuple(np.split(eligible, cuts))
        )

    def words(
        self, request: ScoreRequest, scores: UnitScores, words: Sequence[Words]
    ) -> list[FloatArray]:
        """Words within the order of their sentences; only asked where no sentence fits."""
        return self._words(request, scores, words)

    def warmup(self) -> None:
        """Load the checkpoint and run it once."""
        self.embedder.queries(["a"])

    def close(self) -> None:
        """Release the weights; a later call loads them again."""
        self._embedder.close()


def _handed_in(passage: Passage) -> Float32Array | None:
    """Embeddings of a document's units from its metadata, or None.

    Either one row per unit, or a mapping from the sentences' texts.
    """
    found = passage.document.metadata.get(EMBEDDINGS)
    if found is None:
        return None
    texts = passage.unit_texts()
    if isinstance(found, Mapping):
        if any(text not in found for text in texts):
            return None
        found = [found[text] for text in texts]
    array = np.asarray(found, np.float32)
    if len(texts) == 0:
        return np.zeros((0, 0), np.float32)
    if array.ndim != 2 or len(array) != len(texts):
        raise InputError(
            f"metadata[{EMBEDDINGS!r}] has shape {array.shape}; the document has {len(texts)}"
            " sentences.",
            hint="Give one row per sentence, or a mapping from sentence to vector.",
        )
    return array
