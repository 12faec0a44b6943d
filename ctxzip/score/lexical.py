"""Scores without a model: BM25 to the query, salience and redundancy without one.

BM25 is Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), over the units of
one request. A unit is read in its context: its passage's own score (title included) and its
neighbours' count too, since a retriever's passages are mostly right or wrong as a whole.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ctxzip.kit.arrays import BoolArray, FloatArray, IntArray, distinct, split_like
from ctxzip.score.base import ScoreRequest, UnitScores
from ctxzip.score.repeats import repeats
from ctxzip.segment import words as word_segmenter
from ctxzip.segment.function_words import detect, function_words
from ctxzip.text.units import Kind, Passage, Words

__all__ = [
    "LexicalIndex",
    "LexicalScorer",
    "bm25",
    "index_request",
    "query_terms",
    "spellings",
    "stems",
]

K1 = 1.2
B = 0.5
PASSAGE_WEIGHT = 0.5
NEIGHBOUR_WEIGHT = 0.25

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
# Scripts written without spaces: a run of letters is many words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0002ffff]"
)
_SNOWBALL = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek",
    "en": "english", "es": "spanish", "eu": "basque", "fi": "finnish", "fr": "french",
    "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian",
    "lt": "lithuanian", "nl": "dutch", "no": "norwegian", "pt": "portuguese", "ro": "romanian",
    "ru": "russian", "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip
_NEGATIONS = frozenset(
    {"not", "no", "never", "none", "nor", "neither", "without", "cannot", "nicht", "kein", "keine"}
    | {"ne", "pas", "jamais", "nunca", "non", "mai", "não", "niet", "не", "don't", "doesn't"}
    | {"didn't", "isn't", "aren't", "wasn't", "weren't", "won't", "can't", "couldn't", "shouldn't"}
)
_stemming = threading.Lock()


def spellings(text: str) -> tuple[list[str], IntArray]:
    """The lower-cased words of a text and the offset of each.

    Returns:
        n words and their first characters, int64, shape (n,).
    """
    mixed = not text.isascii() and _UNSPACED.search(text) is not None
    found: list[str] = []
    offsets: list[int] = []
    for match in _WORD.finditer(text):
        if mixed and _UNSPACED.search(match.group()):
            starts, ends = word_segmenter.split(text, match.start(), match.end())
            offsets += starts.tolist()
            found += [text[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
        else:
            found.append(match.group())
            offsets.append(match.start())
    # One call for all words: lower() is quick on a long string and slow on many short ones.
    return " ".join(found).lower().split(" ") if found else [], np.array(offsets, np.int64)


@cache
def _stemmer(language: str) -> object | None:
    import Stemmer

    name = _SNOWBALL.get(language)
    return None if name is None else Stemmer.Stemmer(name)


def stems(words: list[str], language: str | None) -> list[str]:
    """Snowball stems of lower-case words; the words themselves where there is no stemmer."""
    stemmer = _stemmer(language) if language else None
    if stemmer is None:
        return words
    with _stemming:  # a Stemmer object is not thread-safe
        result: list[str] = stemmer.stemWords(words)  # type: ignore[attr-defined]
    return result


@dataclass(frozen=True, slots=True, eq=False)
class LexicalIndex:
    """The words of one request as numbers.

    Attributes:
        term: stem of each word, int64, shape (w,).
        unit: unit of each word, counted over all passages, int64, shape (w,).
        passage: passage of each unit, int64, shape (n,).
        length: words per unit, float64, shape (n,).
        function: whether a term is a function word, bool, shape (terms,).
        telling: whether a term is a number or negates, bool, shape (terms,).
        vocabulary: stem → term.
        titles: terms of each passage's title.
        language: what the words were taken for.
    """

    term: IntArray
    unit: IntArray
    passage: IntArray
    length: FloatArray
    function: BoolArray
    telling: BoolArray
    vocabulary: dict[str, int]
    titles: tuple[IntArray, ...]
    language: str | None


def index_request(request: ScoreRequest) -> LexicalIndex:
    """Read every passage once."""
    texts = [spellings(passage.text) for passage in request.passages]
    titles = [spellings(passage.document.title or "")[0] for passage in request.passages]
    spelled: dict[str, int] = {}
    number = [
        np.array([spelled.setdefault(w, len(spelled)) for w in words], np.int64)
        for words in [*(words for words, _ in texts), *titles]
    ]
    language = request.language or detect([w for words, _ in texts for w in words[:2000]])
    unique = list(spelled)
    vocabulary: dict[str, int] = {}
    to_term = np.array(
        [vocabulary.setdefault(s, len(vocabulary)) for s in stems(unique, language)], np.int64
    )
    function = np.zeros(len(vocabulary), bool)
    common = function_words(language) if language else frozenset()
    function[to_term[np.array([w in common for w in unique], bool)]] = True
    telling = np.array([t in _NEGATIONS or any(map(str.isdigit, t)) for t in vocabulary], bool)
    first = np.cumsum([0, *(len(p.units) for p in request.passages)])
    unit, term = [], []
    for i, (passage, (_, at)) in enumerate(zip(request.passages, texts, strict=True)):
        if not len(at) or not len(passage.units):
            continue
        inside = np.searchsorted(passage.units.start, at, side="right") - 1
        unit.append(np.maximum(inside, 0) + first[i])
        term.append(to_term[number[i]])
    units = np.concatenate(unit) if unit else np.zeros(0, np.int64)
    sizes = [len(p.units) for p in request.passages]
    return LexicalIndex(
        term=np.concatenate(term) if term else np.zeros(0, np.int64),
        unit=units,
        passage=np.repeat(np.arange(len(sizes)), sizes),
        length=np.bincount(units, minlength=int(first[-1])).astype(np.float64),
        function=function,
        telling=telling,
        vocabulary=vocabulary,
        titles=tuple(to_term[n] if len(n) else n for n in number[len(texts) :]),
        language=language,
    )


def query_terms(query: str, index: LexicalIndex) -> IntArray:
    """The query's content terms that occur in the request; its function words if nothing else."""
    words = spellings(query)[0]
    known = [index.vocabulary[s] for s in stems(words, index.language) if s in index.vocabulary]
    terms = np.unique(np.array(known, np.int64))
    content = terms[~index.function[terms]]
    return content if len(content) else terms


def bm25(terms: IntArray, term: IntArray, place: IntArray, length: FloatArray) -> FloatArray:
    """BM25 of ``terms`` against every place (a unit or a passage).

    Args:
        terms: the query's distinct terms, shape (q,).
        term: term of each word, shape (w,).
        place: place of each word, shape (w,).
        length: words per place, shape (n,).

    Returns:
        float64, shape (n,).
    """
    score = np.zeros(len(length))
    filled = max(1, int((length > 0).sum()))
    norm = K1 * (1 - B + B * length / max(length.sum() / filled, 1e-9))
    hits = np.isin(term, terms)
    term, place = term[hits], place[hits]
    for t in terms.tolist():
        tf = np.bincount(place[term == t], minlength=len(length)).astype(np.float64)
        df = int((tf > 0).sum())
        idf = np.log1p((filled - df + 0.5) / (df + 0.5))
        score += idf * tf * (K1 + 1) / (tf + norm)
    return score


def _relevance(query: str, index: LexicalIndex, n_passages: int) -> tuple[FloatArray, FloatArray]:
    """Scores of units and passages to a query."""
    terms = query_terms(query, index)
    own = bm25(terms, index.term, index.unit, index.length)
    place = index.passage[index.unit]
    titled = [np.full(len(t), i) for i, t in enumerate(index.titles)]
    all_terms = np.concatenate([index.term, *index.titles])
    all_places = np.concatenate([place, *titled])
    lengths = np.bincount(all_places, minlength=n_passages).astype(np.float64)
    passages = bm25(terms, all_terms, all_places, lengths)
    near = np.zeros(len(own))
    same = index.passage[1:] == index.passage[:-1]
    near[1:] = np.where(same, own[:-1], 0)
    near[:-1] = np.maximum(near[:-1], np.where(same, own[1:], 0))
    return own + PASSAGE_WEIGHT * passages[index.passage] + NEIGHBOUR_WEIGHT * near, passages


def _salience(index: LexicalIndex) -> FloatArray:
    """How much of what the request talks about a unit says: mean weight of its content words."""
    n = len(index.length)
    content = ~index.function[index.term]
    term, unit = index.term[content], index.unit[content]
    tf = np.bincount(term, minlength=len(index.function)).astype(np.float64)
    # A term's document frequency over units, without counting a repetition inside one.
    pair = distinct(unit * len(index.function) + term) % max(1, len(index.function))
    df = np.bincount(pair, minlength=len(index.function)).astype(np.float64)
    weight = np.log1p(tf) * np.log1p(n / np.maximum(df, 1))
    total = np.bincount(unit, weights=weight[term], minlength=n)
    score: FloatArray = total / (np.bincount(unit, minlength=n) + 3.0)
    return score


def _required(passages: Sequence[Passage], score: FloatArray) -> FloatArray:
    """For each unit the score of the unit that it requires: a row is read with its header."""
    result, at = np.zeros(len(score)), 0
    for passage in passages:
        needs = passage.units.requires
        row = np.flatnonzero(needs >= 0)
        result[at + row] = score[at + needs[row]]
        at += len(needs)
    return result


def _position(index: LexicalIndex) -> FloatArray:
    """1 for the first unit of a passage, falling towards 0."""
    starts = np.searchsorted(index.passage, index.passage, side="left")
    return np.asarray(1.0 / (1.0 + np.arange(len(index.passage)) - starts), np.float64)


class LexicalScorer:
    """BM25 with context where there is a query, salience where there is none."""

    calibrated = False
    words_first = False

    def units(self, requests: Sequence[ScoreRequest]) -> list[UnitScores]:
        """See :class:`ctxzip.score.base.Scorer`."""
        return [self._score(request) for request in requests]

    def _score(self, request: ScoreRequest) -> UnitScores:
        index = index_request(request)
        passages: FloatArray | None = None
        if request.query and request.query.strip() and len(index.length):
            score, passages = _relevance(request.query, index, len(request.passages))
        else:
            score = _salience(index) * (1.0 + 0.5 * _position(index))
        score = score + 0.5 * _required(request.passages, score)
        kinds = np.concatenate([p.units.kind for p in request.passages] or [np.zeros(0, np.int64)])
        score = np.where(kinds == Kind.HEADING, 0.7 * score, score)
        duplicate = repeats(index.term, index.unit, len(index.length), index.telling)
        # Below everything else, in the order they would have had.
        score = np.where(duplicate, score - (np.ptp(score) + 1.0 if len(score) else 1.0), score)
        by_passage = split_like(score, [passage.units for passage in request.passages])
        return UnitScores(units=tuple(by_passage), passages=passages, state=index)

    def words(
        self, request: ScoreRequest, scores: UnitScores, words: Sequence[Words]
    ) -> list[FloatArray]:
        """Informativeness of each word, function words last, weighted by its unit's rank."""
        index = scores.state
        if not isinstance(index, LexicalIndex):
            raise TypeError("scores are not of this scorer")
        every = np.concatenate([*scores.units, np.zeros(0)])
        low, high = (float(every.min()), float(every.max())) if len(every) else (0.0, 0.0)
        asked = query_terms(request.query, index) if request.query else np.zeros(0, np.int64)
        tf = np.bincount(index.term, minlength=len(index.function)).astype(np.float64)
        rarity = np.log1p(tf.sum() / np.maximum(tf, 1)) / max(np.log1p(tf.sum()), 1e-9)
        rarity = np.where(index.function, 0.0, 0.4 + 0.6 * rarity)
        rarity[asked] += 0.5
        result = []
        for passage, own, unit_scores in zip(request.passages, words, scores.units, strict=True):
            value = self._words(passage, own, index, rarity)
            relevance = (unit_scores[own.unit] - low) / max(high - low, 1e-9)
            result.append(value + relevance)
        return result

    @staticmethod
    def _words(
        passage: Passage, words: Words, index: LexicalIndex, rarity: FloatArray
    ) -> FloatArray:
        """Informativeness of each word by itself, in about [0, 1.6]."""
        text = passage.text
        starts, ends = word_segmenter.cores(text, words.start, words.end)
        pairs = zip(starts.tolist(), ends.tolist(), strict=True)
        cores = [text[a:b] for a, b in pairs]
        spelled: dict[str, int] = {}
        number = np.array([spelled.setdefault(c, len(spelled)) for c in cores], np.int64)
        unique = list(spelled)
        terms = [
            index.vocabulary.get(s, -1) for s in stems([w.lower() for w in unique], index.language)
        ]
        known = np.array(terms, np.int64)
        value = np.where(known >= 0, rarity[np.maximum(known, 0)] if len(rarity) else 0.0, 0.5)
        named = np.array([w[:1].isupper() or any(c.isdigit() for c in w) for w in unique], bool)
        function = index.function[np.maximum(known, 0)] & (known >= 0) if len(rarity) else named
        value = value + np.where(named & ~function, 0.2, 0.0)
        result: FloatArray = np.where(words.whole, 1.0, value[number] if len(number) else 1.0)
        return result

    def warmup(self) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to release."""
