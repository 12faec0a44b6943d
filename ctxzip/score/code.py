"""Functions ranked for a question without a language model: words of identifiers, or embeddings.

Identifiers are split at underscores and changes of case and stemmed, so that "parse the header"
finds ``parseHeaders``. BM25 over them counts what a function is called, and what its class and file
are called, more than what it says.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from ctxzip.score.base import Scorer, ScoreRequest
from ctxzip.score.function_words import function_words
from ctxzip.score.lexical import stems
from ctxzip.types import Document
from ctxzip.units import FloatArray, IntArray, Passage, Units

__all__ = [
    "ByWords",
    "CodeScorer",
    "CodeText",
    "Embedded",
    "Inside",
    "LexicalCode",
    "Ranked",
    "spoken",
]

K1, B = 1.4, 0.6
_NAME, _AROUND = 5.0, 1.0
_RELATED = 0.35
_IDENTIFIER = re.compile(r"[^\W\d_][^\W_]*(?:_+[^\W_]+)*|_+[^\W_]+(?:_+[^\W_]+)*|\d+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
# Words of the languages themselves, which tell no function from another.
_KEYWORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "args",
        "as",
        "async",
        "await",
        "bool",
        "break",
        "class",
        "const",
        "continue",
        "def",
        "do",
        "done",
        "elif",
        "else",
        "end",
        "except",
        "false",
        "fi",
        "final",
        "finally",
        "fn",
        "for",
        "from",
        "func",
        "function",
        "if",
        "impl",
        "import",
        "in",
        "int",
        "is",
        "isinstance",
        "kwargs",
        "lambda",
        "len",
        "let",
        "mod",
        "new",
        "none",
        "not",
        "null",
        "of",
        "or",
        "param",
        "params",
        "pass",
        "private",
        "pub",
        "public",
        "raise",
        "return",
        "returns",
        "rtype",
        "self",
        "static",
        "str",
        "struct",
        "the",
        "then",
        "this",
        "throws",
        "to",
        "true",
        "try",
        "type",
        "use",
        "var",
        "void",
        "while",
        "with",
        "yield",
    ]
)


@dataclass(frozen=True, slots=True)
class CodeText:
    """A function, or another part of a source text, as scorers see it.

    Attributes:
        text: its source.
        name: what it is called, if anything.
        around: names of what it stands in: classes, the path of the file.
    """

    text: str
    name: str = ""
    around: str = ""


class Inside(Protocol):
    """What a scorer can say of the inside of the parts that it ranked."""

    def boundaries(self, part: int) -> list[int] | None:
        """The lines of a part after which a block ends; None to go by its structure."""
        ...

    def blocks(
        self, part: int, blocks: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
    ) -> FloatArray:
        """Usefulness of blocks of a part, float64, shape (n,), at least 0.

        Args:
            part: index of the part.
            blocks: their source, in the order of the part.
            spans: half-open ranges of characters of each in the part's text.
        """
        ...


class ByWords:
    """The inside of parts by the words of identifiers.

    Args:
        query: the question, or None: then no block is better than another.
    """

    def __init__(self, query: str | None) -> None:
        self._query = query

    def boundaries(self, part: int) -> None:
        """Blocks follow the structure of the code."""

    def blocks(
        self, part: int, blocks: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
    ) -> FloatArray:
        """See :class:`Inside`."""
        if not self._query or not self._query.strip():
            return np.zeros(len(blocks))
        return _Index([CodeText(block) for block in blocks]).bm25(self._query)


class Ranked(NamedTuple):
    """What a scorer found out about the parts of a request.

    Attributes:
        scores: usefulness of parts, float64, shape (n,), higher is better.
        inside: asked for blocks and boundaries of the parts that are cut.
        notes: what the caller should know.
    """

    scores: FloatArray
    inside: Inside
    notes: tuple[str, ...] = ()


class CodeScorer(Protocol):
    """Ranks parts of source texts; thread-safe.

    Attributes:
        name: how results call it.
    """

    name: str

    def rank(self, query: str | None, parts: Sequence[CodeText], room: int) -> Ranked:
        """Usefulness of functions for a question.

        Args:
            query: the question, or None.
            parts: the functions and other parts.
            room: tokens that may stay.
        """
        ...

    def close(self) -> None:
        """Release what was loaded."""
        ...


@lru_cache(maxsize=200_000)
def _parts(identifier: str) -> tuple[str, ...]:
    """The lower-cased words of an identifier, and it as a whole where there are several."""
    found = [part.lower() for part in _PART.findall(identifier)]
    if len(found) > 1:
        found.append(identifier.strip("_").lower())
    return tuple(found)


def code_words(text: str) -> list[str]:
    """The words of a source text or of a question about one."""
    return [word for match in _IDENTIFIER.findall(text) for word in _parts(match)]


def spoken(part: CodeText, most: int = 1200) -> str:
    """A function as a sentence of its words, for models that read prose: its name comes first."""
    names = [" ".join(_parts(n)[:6]) for n in (part.name, part.around) if n]
    seen: dict[str, None] = {}
    for match in _IDENTIFIER.findall(part.text):
        words = _parts(match)
        words = words[:-1] if len(words) > 1 else words
        if any(word not in _KEYWORDS for word in words):
            seen.setdefault(" ".join(words))
    return (". ".join([*names, " ".join(seen)]) + ".")[:most]


class LexicalCode:
    """BM25 over the words of identifiers."""

    name = "lexical"

    def rank(self, query: str | None, parts: Sequence[CodeText], room: int) -> Ranked:
        """See :class:`CodeScorer`. Without a question, what others call is ranked high."""
        asked = query and query.strip()
        return Ranked(
            _Index(parts).bm25(query) if query and asked else _central(parts), ByWords(query)
        )

    def close(self) -> None:
        """Nothing to release."""


class _Index:
    """The words of the parts of one request as numbers; what a part is called counts more."""

    def __init__(self, parts: Sequence[CodeText]) -> None:
        spelled: dict[str, int] = {}
        term: list[IntArray] = []
        place: list[IntArray] = []
        weight: list[FloatArray] = []
        for i, part in enumerate(parts):
            for text, times in ((part.text, 1.0), (part.name, _NAME), (part.around, _AROUND)):
                if not text:
                    continue
                ids = [spelled.setdefault(w, len(spelled)) for w in code_words(text)]
                term.append(np.array(ids, np.int64))
                place.append(np.full(len(ids), i))
                weight.append(np.full(len(ids), times))
        vocabulary: dict[str, int] = {}
        self.stemmed = stems(list(spelled), "en")
        to_stem = np.array(
            [vocabulary.setdefault(s, len(vocabulary)) for s in self.stemmed], np.int64
        )
        none = np.zeros(0, np.int64)
        raw = np.concatenate([none, *term])
        self.vocabulary = vocabulary
        self.term = to_stem[raw] if len(raw) else none
        self.place = np.concatenate([none, *place])
        self.weight = np.concatenate([np.zeros(0), *weight])
        self.length = np.bincount(self.place, minlength=len(parts)).astype(np.float64)

    def bm25(self, query: str) -> FloatArray:
        """BM25 with partial credit for words that are short for, or longer than, those asked."""
        n = len(self.length)
        score = np.zeros(n)
        wanted = self._wanted(query)
        if not n or not wanted:
            return score
        norm = K1 * (1 - B + B * self.length / max(float(self.length.mean()), 1e-9))
        order = np.argsort(self.term, kind="stable")
        term, place, weight = self.term[order], self.place[order], self.weight[order]
        for terms in wanted:
            tf = np.zeros(n)
            for t, share in terms:
                low, high = np.searchsorted(term, [t, t + 1])
                tf += share * np.bincount(place[low:high], weight[low:high], minlength=n)
            df = float((tf > 0.5).sum())
            idf = np.log1p((n - df + 0.5) / (df + 0.5))
            score += idf * tf * (K1 + 1) / (tf + norm)
        return score

    def _wanted(self, query: str) -> list[list[tuple[int, float]]]:
        """For each word of the question the terms that count for it, and how much."""
        common = function_words("en")
        words = [w for w in code_words(query) if w not in _KEYWORDS and w not in common]
        words = words or code_words(query)
        found = []
        for stem in dict.fromkeys(stems(words, "en")):
            terms = [(self.vocabulary[stem], 1.0)] if stem in self.vocabulary else []
            if len(stem) >= 4:
                terms += [
                    (t, _RELATED)
                    for other, t in self.vocabulary.items()
                    if other != stem
                    and ((len(other) >= 3 and stem.startswith(other)) or other.startswith(stem))
                ]
            if terms:
                found.append(terms)
        return found


def _central(parts: Sequence[CodeText]) -> FloatArray:
    """How often each part is named by others, for requests without a question."""
    named: dict[str, int] = {}
    for part in parts:
        for word in set(re.findall(r"[^\W\d]\w*", part.text)):
            named[word] = named.get(word, 0) + 1
    calls = [float(named.get(part.name, 1) - 1) if part.name else 0.5 for part in parts]
    public = [0.0 if part.name.startswith("_") and part.name[:2] != "__" else 0.7 for part in parts]
    sizes = np.array([len(part.text) for part in parts], np.float64)
    score: FloatArray = np.log1p(calls) + np.array(public) - 0.15 * np.log1p(sizes / 200)
    return score


class Embedded:
    """Functions by a scorer of prose (``mini``, or a bi-encoder), together with their words.

    The scorer reads each function as a sentence of its words. Its score and BM25's are added, each
    scaled by its spread above its median, since neither is calibrated on code.

    Args:
        name: how results call it.
        load: makes the scorer; called once, on first use.
        weight: how much it counts beside BM25.
    """

    def __init__(self, name: str, load: Callable[[], Scorer], weight: float = 1.0) -> None:
        self.name = name
        self._load = load
        self._lock = threading.Lock()
        self._scorer: Scorer | None = None
        self._lexical = LexicalCode()
        self._weight = weight

    def rank(self, query: str | None, parts: Sequence[CodeText], room: int) -> Ranked:
        """See :class:`CodeScorer`."""
        words = self._lexical.rank(query, parts, room)
        if not query or not query.strip() or not parts:
            return words
        with self._lock:
            if self._scorer is None:
                self._scorer = self._load()
            scorer = self._scorer
        texts = [spoken(part) for part in parts]
        passages = tuple(
            Passage(Document(text), text, Units.of([(0, len(text))])) for text in texts
        )
        found = scorer.units([ScoreRequest(passages, query, "en")])[0]
        meaning = np.array([float(one[0]) for one in found.units])
        # Blocks are too short to say what they mean: their words decide.
        return Ranked(_fused(words.scores, meaning, self._weight), words.inside, found.notes)

    def close(self) -> None:
        """Release the scorer."""
        with self._lock:
            scorer, self._scorer = self._scorer, None
        if scorer is not None:
            scorer.close()


def _fused(first: FloatArray, second: FloatArray, weight: float) -> FloatArray:
    """Sum of the two scores, each scaled by its spread above its median."""

    def scaled(values: FloatArray) -> FloatArray:
        top = float(np.quantile(values, 0.98)) if len(values) else 0.0
        middle = float(np.median(values)) if len(values) else 0.0
        result: FloatArray = (values - middle) / max(top - middle, 1e-9)
        return result

    fused: FloatArray = scaled(first) + weight * scaled(second)
    return fused
