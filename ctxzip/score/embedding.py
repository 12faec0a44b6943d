"""Sentence embeddings compared with the query's: RECOMP's extractive compressor.

Xu et al., "RECOMP: Improving Retrieval-Augmented LMs with Compression and Selective Augmentation"
(ICLR 2024, arXiv 2310.04408). RECOMP's own checkpoints are Contrievers: the mean of the token
states, compared by the raw dot product. A sentence-transformers folder brings its own pooling,
normalisation and prompts, which are read from its files and applied here, in NumPy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ctxzip.backends.encoder import Encoder, FloatStates, tokenize
from ctxzip.backends.pooling import Pooling, pool
from ctxzip.errors import InputError
from ctxzip.score.base import ScoreRequest, UnitScores
from ctxzip.score.fallback import LexicalWords
from ctxzip.units import BoolArray, FloatArray, IntArray, Passage, Words

__all__ = ["EMBEDDINGS", "EmbeddingScorer", "Recomp", "marginal_relevance"]

# Key in ``Document.metadata`` under which a retriever's sentence embeddings are handed in.
EMBEDDINGS = "sentence_embeddings"
Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recomp:
    """Settings of compressor ``recomp-extractive``.

    Attributes:
        top_n: most sentences that stay in all (RECOMP: 1 for single-hop questions, 2 for
            HotpotQA). With it no ratio is needed.
        min_similarity: sentences less similar to the query are dropped; on the model's own scale,
            raw dot products or cosines. With it no ratio is needed.
        titles: put a document's title before each of its sentences, as RECOMP does.
        diversity: 0 ranks by similarity alone; up to 1, a sentence that resembles better ones is
            ranked lower (maximal marginal relevance).
        duplicate: cosine from which a sentence repeats a better one and is dropped, or None.
        cache: embeddings by text, shared by the caller; looked up before the model is run, and
            filled. Not copied; must be safe for the caller's threads.
        allow_pickle: weights that are pickles may be read, not only safetensors.
    """

    top_n: int | None = None
    min_similarity: float | None = None
    titles: bool = True
    diversity: float = 0.0
    duplicate: float | None = None
    cache: MutableMapping[str, Vector] | None = field(default=None, hash=False, compare=False)
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        if self.top_n is not None and self.top_n < 1:
            raise InputError(f"top_n={self.top_n!r} is not at least 1.")
        if not 0 <= self.diversity <= 1:
            raise InputError(f"diversity={self.diversity!r} is not in [0, 1].")
        if self.duplicate is not None and not 0 < self.duplicate <= 1:
            raise InputError(f"duplicate={self.duplicate!r} is not in (0, 1].")

    @property
    def selects(self) -> bool:
        """Whether sentences are ruled out whatever the budget."""
        return self.top_n is not None or self.min_similarity is not None


def marginal_relevance(score: FloatArray, embeddings: FloatStates, diversity: float) -> FloatArray:
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


def _unit_length(embeddings: FloatStates) -> FloatStates:
    norm = np.linalg.norm(embeddings, axis=1, keepdims=True)
    result: FloatStates = (embeddings / np.maximum(norm, 1e-12)).astype(np.float32)
    return result


def repeated(score: FloatArray, embeddings: FloatStates, cosine: float) -> BoolArray:
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
        load: makes the encoder and says how its states become one vector; called once.
        settings: see :class:`Recomp`.
    """

    calibrated = False
    words_first = False

    def __init__(
        self, load: Callable[[], tuple[Encoder, Pooling]], settings: Recomp | None = None
    ) -> None:
        self._load = load
        self._settings = settings if settings is not None else Recomp()
        self._lock = threading.Lock()
        self._loaded: tuple[Encoder, Pooling] | None = None
        self._words = LexicalWords()

    def _model(self) -> tuple[Encoder, Pooling]:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def embed(self, texts: Sequence[str], *, query: bool = False) -> tuple[FloatStates, list[str]]:
        """Embeddings of texts, float32, shape (n, d), and what the caller should know.

        A text beyond the model's window is cut, as the reference cuts it.
        """
        encoder, pooling = self._model()
        prompt = pooling.query_prompt if query else pooling.document_prompt
        cache = self._settings.cache if not query else None
        found: dict[str, Vector] = {}
        if cache is not None:
            found = {text: cache[text] for text in texts if text in cache}
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        notes: list[str] = []
        if missing:
            inputs, cut = _inputs(encoder, [prompt + text for text in missing])
            encoded = encoder.forward(inputs)
            notes += encoded.notes
            if cut:
                notes.append(f"{cut} texts were longer than the model reads and were cut")
            for text, states in zip(missing, encoded.states, strict=True):
                found[text] = pool(states, pooling)
                if cache is not None:
                    cache[text] = found[text]
        if not texts:
            return np.zeros((0, 0), np.float32), notes
        return np.stack([found[text] for text in texts]), notes

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
        asked, notes = self.embed([str(request.query) for request in requests], query=True)
        texts: list[str] = []
        given: dict[tuple[int, int], FloatStates] = {}
        for r, request in enumerate(requests):
            for p, passage in enumerate(request.passages):
                ready = _handed_in(passage)
                if ready is not None:
                    given[r, p] = ready
                else:
                    texts += self._texts(passage)
        embedded, more = self.embed(texts)
        result = []
        at = 0
        for r, request in enumerate(requests):
            parts = []
            for p, passage in enumerate(request.passages):
                size = len(passage.units)
                if (r, p) in given:
                    parts.append(given[r, p])
                else:
                    parts.append(embedded[at : at + size])
                    at += size
            result.append(self._scores(request, asked[r], parts, (*notes, *more)))
        return result

    def _texts(self, passage: Passage) -> list[str]:
        title = passage.document.title if self._settings.titles else None
        return [f"{title} {text}" if title else text for text in passage.unit_texts()]

    def _scores(
        self,
        request: ScoreRequest,
        query: Vector,
        parts: list[FloatStates],
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
        self.embed(["a"], query=True)

    def close(self) -> None:
        """Release the weights; a later call loads them again."""
        with self._lock:
            if self._loaded is not None:
                self._loaded[0].close()


def _inputs(encoder: Encoder, texts: list[str]) -> tuple[list[IntArray], int]:
    """Framed ids of each text, and how many had to be cut."""
    frame = encoder.frame
    inputs, cut = [], 0
    for text in tokenize(encoder.tokenizer, texts):
        cut += len(text) > frame.room
        ids = text.ids[: frame.room]
        inputs.append(np.array([*frame.prefix, *ids, *frame.suffix], np.int64))
    return inputs, cut


def _handed_in(passage: Passage) -> FloatStates | None:
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
