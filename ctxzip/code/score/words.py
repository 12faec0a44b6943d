"""Functions ranked for a question by the words of their identifiers, without a language model.

Identifiers are split at underscores and changes of case and stemmed, so that "parse the header"
finds ``parseHeaders``. BM25 over them counts what a function is called, and what its class and file
are called, more than what it says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ctxzip.code.score.base import CodeText, Ranked
from ctxzip.kit.arrays import FloatArray, IntArray
from ctxzip.score.lexical import stems
from ctxzip.segment.function_words import function_words

__all__ = ["ByWords", "LexicalCode", "spoken"]

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
        """See :class:`ctxzip.code.score.base.Inside`."""
        if not self._query or not self._query.strip():
            return np.zeros(len(blocks))
        return _Index([CodeText(block) for block in blocks]).bm25(self._query)


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
        """See :class:`ctxzip.code.score.base.CodeScorer`.

        Without a question, what others call is ranked high.
        """
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
