"""The shipped model: a query-free reading, a second one of what looks promising, a combiner.

With a query, a unit's score is the calibrated probability that answering needs it. Its features
are in ``features.py``: the cosine of its situated embedding (the mean of its token states, read
inside its window) with the query's, late interaction (Khattab and Zaharia, "ColBERT", SIGIR 2020),
BM25, the context around it, second-hop links from the best units of other passages, and what a
cross-encoder says, which reads the most promising windows again, with the query. Without a query,
a word's score is its keep probability (the role of Pan et al., "LLMLingua-2", ACL 2024).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ctxzip.backends.encoder import CrossReading
from ctxzip.kit.arrays import BoolArray, Float32Array, FloatArray, IntArray, runs, split_like
from ctxzip.score.base import ScoreRequest, UnitScores, WordRequest
from ctxzip.score.lexical import index_request as read_words
from ctxzip.score.mini import features
from ctxzip.score.mini.combiner import Combiner, combine
from ctxzip.score.mini.windows import Tokenize, Window, question, windows
from ctxzip.score.repeats import repeats
from ctxzip.text.units import Passage, Words

__all__ = ["Encoder", "Mini", "MiniScorer", "read_request"]

SHORTLIST = 8  # windows that the cross-encoder re-reads, where there is one
_AHEAD = 60_000  # characters read ahead; a token's states take 3 kB of the encoder's memory
_DROPPED = -20.0  # log-odds of the words of a unit that says what an earlier one said
_REPEATED = 0.02  # what stays of the probability of a unit that says what an earlier one said
# English articles before a word: they say the least, so they make room for other words.
# Capitals only where a sentence begins: "The Hague" and "hepatitis A" hold none.
_ARTICLE = re.compile(r"""(?<!\S)(?:a|an|the|A|An|The)(?=\s+["'“‘(\[$€£]?\w)""")
_RELEVANCE = 0.5  # weight of a unit's relevance, in log-odds, beside a word's keep log-odds


class Encoder(Protocol):
    """The networks of a bundle; see :class:`ctxzip.backends.onnx.OnnxEncoder`."""

    @property
    def remembers(self) -> bool: ...
    def in_use(self) -> AbstractContextManager[None]: ...
    def has(self, name: str) -> bool: ...
    def states(self, windows: Sequence[IntArray]) -> Iterator[tuple[int, Float32Array]]: ...
    def keep(self, windows: Sequence[IntArray]) -> Iterator[tuple[int, Float32Array]]: ...
    def cross(
        self, pairs: Sequence[tuple[IntArray, IntArray]]
    ) -> Iterator[tuple[int, CrossReading]]: ...
    def warmup(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """What is handed back for the words of a request.

    Attributes:
        windows: of each passage.
        logits: log-odds of each unit of each passage, added to those of its words.
        keep: keep logits of windows, by passage and index, as far as they were read.
    """

    windows: tuple[list[Window], ...]
    logits: tuple[FloatArray, ...]
    keep: dict[tuple[int, int], Float32Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mini:
    """Settings of ``load("mini", settings=...)``.

    Attributes:
        threads: threads per network; by default what the container allows, at most 8.
        cache_bytes: memory for what was read of documents, so that a second question over them
            costs its own reading only; 0 keeps nothing.
    """

    threads: int | None = None
    cache_bytes: int = 256 * 2**20


def sigmoid(values: FloatArray) -> FloatArray:
    """Logits → probabilities."""
    result: FloatArray = 1.0 / (1.0 + np.exp(-np.clip(values, -60, 60)))
    return result


def read_request(
    request: ScoreRequest, cut: Sequence[list[Window]], encoder: Encoder, asked: Float32Array
) -> list[features.Reading]:
    """One forward over every window of a request, pooled; token states are not kept.

    Args:
        request: the passages.
        cut: their windows.
        encoder: the networks.
        asked: token states of the query with its special tokens, float32, shape (Q + 2, H).
    """
    place = [(p, w) for p, own in enumerate(cut) for w in range(len(own))]
    inner = features.unit_length(asked[1:-1])
    pools = [
        features.Pool(len(p.units), c, inner) for p, c in zip(request.passages, cut, strict=True)
    ]
    for i, states in encoder.states([cut[p][w].ids for p, w in place]):
        p, w = place[i]
        pools[p].add(w, states)
    return [pool.reading() for pool in pools]


class MiniScorer:
    """Scores by a `mini` bundle. Thread-safe.

    Args:
        encoder: its networks.
        tokenize: its tokenizer.
        combiner: its combiner.
        query_weight: weight of each hidden unit in the importance of a query token, shape (H,).
    """

    calibrated = True
    words_first = True

    def __init__(
        self,
        encoder: Encoder,
        tokenize: Tokenize,
        combiner: Combiner,
        query_weight: Float32Array,
    ) -> None:
        self._encoder = encoder
        self._tokenize = tokenize
        self._combiner = combiner
        self._query_weight = query_weight

    def units(self, requests: Sequence[ScoreRequest]) -> list[UnitScores]:
        """See :class:`ctxzip.score.base.Scorer`."""
        with self._encoder.in_use():
            return self._units(requests)

    def _units(self, requests: Sequence[ScoreRequest]) -> list[UnitScores]:
        result: list[UnitScores] = []
        for group in runs(requests, _length, _AHEAD):
            cuts = [[windows(p, self._tokenize) for p in request.passages] for request in group]
            if len(group) > 1:
                self._read_ahead(group, cuts)
            for request, cut in zip(group, cuts, strict=True):
                score = self._relevance if _asks(request) else self._salience
                result.append(score(request, cut))
        return result

    def _read_ahead(
        self, requests: Sequence[ScoreRequest], cuts: Sequence[list[list[Window]]]
    ) -> None:
        """Read the windows of several requests in common batches; the encoder remembers them."""
        ahead: dict[bool, list[IntArray]] = {True: [], False: []}
        for request, cut in zip(requests, cuts, strict=True):
            found = [window.ids for own in cut for window in own]
            if _asks(request):
                found.append(question(request.query or "", self._tokenize)[0])
            ahead[_asks(request)] += found
        self._ahead(self._encoder.states, ahead[True])
        self._ahead(self._encoder.keep, ahead[False])

    def _ahead(
        self,
        read: Callable[[Sequence[IntArray]], Iterator[tuple[int, Float32Array]]],
        ids: Sequence[IntArray],
    ) -> None:
        """Run the encoder for its memory's sake."""
        if self._encoder.remembers:
            for _ in read(ids):
                pass

    def read_ahead(self, asked: Sequence[WordRequest]) -> None:
        """See :class:`ctxzip.score.base.ReadsAhead`."""
        ids = []
        for request in asked:
            state, place = _to_read(request.scores, request.words)
            ids += [state.windows[p][w].ids for p, w in place if (p, w) not in state.keep]
        with self._encoder.in_use():
            self._ahead(self._encoder.keep, ids)

    def words(
        self, request: ScoreRequest, scores: UnitScores, words: Sequence[Words]
    ) -> list[FloatArray]:
        """Keep log-odds of each word, plus those of its unit: its relevance, or its repetition.

        Articles of English text come last.
        """
        state, place = _to_read(scores, words)
        known = dict(state.keep)
        todo = [at for at in place if at not in known]
        with self._encoder.in_use():
            for i, logits in self._encoder.keep([state.windows[p][w].ids for p, w in todo]):
                known[todo[i]] = logits
        read: list[list[tuple[Window, Float32Array]]] = [[] for _ in words]
        for p, w in place:
            window = state.windows[p][w]
            read[p].append((window, known[p, w][window.body : -1]))
        result = []
        english = request.language in (None, "en")
        for passage, own, parts, logit in zip(
            request.passages, words, read, state.logits, strict=True
        ):
            value = _word_logits(own, parts) + _RELEVANCE * logit[own.unit]
            if english:
                value[_articles(passage, own)] = _DROPPED
            result.append(value)
        return result

    def unit_features(
        self, request: ScoreRequest, cut: list[list[Window]] | None = None
    ) -> tuple[FloatArray, IntArray, list[list[Window]]]:
        """Features of every unit of a request with a query; the training of the combiner uses it.

        Args:
            request: a request with a query.
            cut: the windows of each passage, where they are known.

        Returns:
            float64 (n, F), the passage of each unit, int64 (n,), and the windows of each passage.
        """
        asked, _ = question(request.query or "", self._tokenize)
        states = next(iter(self._encoder.states([asked])))[1]
        if cut is None:
            cut = [windows(passage, self._tokenize) for passage in request.passages]
        index = read_words(request)
        readings = read_request(request, cut, self._encoder, states)
        given = features.signals(readings, request.query or "", states, index, self._query_weight)
        cross = self._cross(asked, cut, readings, given)
        return features.features(given, cross), index.passage, cut

    def _relevance(self, request: ScoreRequest, cut: list[list[Window]]) -> UnitScores:
        query = request.query or ""
        notes: tuple[str, ...] = ()
        if question(query, self._tokenize)[1]:
            notes = ("the query is longer than the model's window and was shortened for scoring",)
        sizes = [len(p.units) for p in request.passages]
        all_units = [p.units for p in request.passages]
        if not sum(sizes):
            empty = tuple(np.zeros(0) for _ in sizes)
            return UnitScores(empty, np.zeros(len(sizes)), _State(tuple([] for _ in sizes), empty))
        given, passage, _ = self.unit_features(request, cut)
        logits = combine(self._combiner, given)
        index = read_words(request)
        repeated = repeats(index.term, index.unit, len(logits), index.telling)
        score = sigmoid(logits) * np.where(repeated, _REPEATED, 1.0)
        best = np.zeros(len(sizes))
        np.maximum.at(best, passage, score)
        parts = tuple(split_like(np.where(repeated, _DROPPED, logits), all_units))
        return UnitScores(
            tuple(split_like(score, all_units)), best, _State(tuple(cut), parts), notes
        )

    def _cross(
        self,
        asked: IntArray,
        cut: Sequence[list[Window]],
        readings: Sequence[features.Reading],
        given: features.Signals,
    ) -> FloatArray:
        """What the cross-encoder says of each unit; see :func:`features.features`."""
        n = len(given.passage)
        if not self._encoder.has("cross"):
            return np.full((n, 3), np.nan)
        first = np.cumsum([0, *(len(r.tokens) for r in readings)])
        place = [(p, w) for p, own in enumerate(cut) for w in range(len(own))]
        score = features.base(given)
        best = np.array([score[first[p] + cut[p][w].unit].max() for p, w in place])
        chosen = np.argsort(-best, kind="stable")[:SHORTLIST].tolist()
        pairs = [(asked, cut[place[i][0]][place[i][1]].ids) for i in chosen]
        total, count = np.zeros(n), np.zeros(n)
        similar = np.full((n, len(asked)), -np.inf)
        answer, whole = np.full(n, -np.inf), np.full(n, -np.inf)
        for i, found in self._encoder.cross(pairs):
            p, w = place[chosen[i]]
            unit, text = first[p] + cut[p][w].unit, slice(cut[p][w].body, -1)
            np.add.at(total, unit, found.relevance[text])
            np.add.at(count, unit, 1)
            np.maximum.at(similar, unit, found.similar[text])
            np.logaddexp.at(answer, unit, found.answer[text])
            whole[unit] = np.maximum(whole[unit], found.window)
        relevance = total / np.maximum(count, 1) + similar.sum(axis=1)
        result = np.column_stack([relevance, answer, whole])
        result[count == 0] = np.nan
        return result

    def _salience(self, request: ScoreRequest, cut: list[list[Window]]) -> UnitScores:
        """Mean keep probability of the tokens of each unit; repeated units come last."""
        place = [(p, w) for p, own in enumerate(cut) for w in range(len(own))]
        total = [np.zeros(len(p.units)) for p in request.passages]
        count = [np.zeros(len(p.units)) for p in request.passages]
        known: dict[tuple[int, int], Float32Array] = {}
        for i, logits in self._encoder.keep([cut[p][w].ids for p, w in place]):
            p, w = place[i]
            known[p, w] = logits
            window = cut[p][w]
            np.add.at(total[p], window.unit, sigmoid(logits[window.body : -1].astype(np.float64)))
            np.add.at(count[p], window.unit, 1)
        scores = [t / np.maximum(c, 1) for t, c in zip(total, count, strict=True)]
        flags = split_like(_repeated(request, cut), scores)
        units = tuple(s * np.where(f, _REPEATED, 1.0) for s, f in zip(scores, flags, strict=True))
        logits_of = tuple(np.where(f, _DROPPED, 0.0) for f in flags)
        return UnitScores(units, None, _State(tuple(cut), logits_of, known))

    def warmup(self) -> None:
        """Load the networks."""
        self._encoder.warmup()

    def close(self) -> None:
        """Release them."""
        self._encoder.close()


def _to_read(scores: UnitScores, words: Sequence[Words]) -> tuple[_State, list[tuple[int, int]]]:
    """What was handed back, and the windows (passage, index) in which the words stand."""
    state = scores.state
    if not isinstance(state, _State):
        raise TypeError("These scores are not of this scorer.")
    wanted = [np.unique(own.unit[~own.whole]) for own in words]
    return state, [
        (p, w)
        for p, own in enumerate(state.windows)
        for w, window in enumerate(own)
        if len(wanted[p]) and np.isin(window.unit, wanted[p]).any()
    ]


def _repeated(request: ScoreRequest, cut: Sequence[list[Window]]) -> BoolArray:
    """Which units say again what an earlier one said, bool, shape (n,)."""
    first = np.cumsum([0, *(len(p.units) for p in request.passages)])
    none = np.zeros(int(first[-1]), bool)
    read = [
        (w.ids[w.body : -1], w.unit + at)
        for at, own in zip(first[:-1], cut, strict=True)
        for w in own
    ]
    if not read:
        return none
    # Most texts repeat nothing, and their tokens tell that sooner than their words.
    ids, unit = (np.concatenate(column) for column in zip(*read, strict=True))
    every = np.zeros(int(ids.max()) + 1, bool)
    if not repeats(ids, unit, len(none), every, similarity=0.6).any():
        return none
    index = read_words(request)
    return repeats(index.term, index.unit, len(none), index.telling)


def _asks(request: ScoreRequest) -> bool:
    return bool(request.query and request.query.strip())


def _length(request: ScoreRequest) -> int:
    return sum(len(passage.text) for passage in request.passages)


def _articles(passage: Passage, words: Words) -> IntArray:
    """The words that are articles, int64."""
    text, begins = passage.text, set(passage.units.start.tolist())
    found = [
        (match.start(), match.end())
        for match in _ARTICLE.finditer(text)
        if text[match.start()].islower() or match.start() in begins
    ]
    if not found or not len(words):
        return np.zeros(0, np.int64)
    start, end = np.array(found, np.int64).T
    word = np.maximum(np.searchsorted(words.start, start, side="right") - 1, 0)
    result: IntArray = word[(words.start[word] == start) & (words.end[word] == end)]
    return result


def _word_logits(words: Words, read: Sequence[tuple[Window, Float32Array]]) -> FloatArray:
    """The largest logit among the tokens of each word; 0 for a word without tokens."""
    value = np.full(len(words), -np.inf)
    for window, logits in read:
        word = np.searchsorted(words.start, window.start, side="right") - 1
        inside = (word >= 0) & (window.start < words.end[np.maximum(word, 0)])
        np.maximum.at(value, word[inside], logits[inside])
    result: FloatArray = np.where(np.isfinite(value), value, 0.0)
    return result
