"""The vocabulary of ctxzip: frozen records with raw units and no formatted strings."""

from __future__ import annotations

import math
import numbers
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from ctxzip.errors import InputError

__all__ = [
    "Budget",
    "CompressedDocument",
    "Compression",
    "Compressor",
    "Document",
    "Granularity",
    "Options",
    "Request",
    "ScoredUnit",
    "Segment",
    "Span",
]

Granularity = Literal["auto", "sentence", "word"]


class Span(NamedTuple):
    """Half-open character offsets ``[start, end)`` into one document's text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """One retrieved text.

    Attributes:
        text: what may be shortened.
        id: the caller's identifier, handed through untouched.
        title: informs scoring; it is rendered, and counted, only with ``Options(titles=True)``.
        metadata: the caller's mapping, handed through untouched.
    """

    text: str
    id: str | None = None
    title: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Budget:
    """How much text may stay: at most one ceiling, and optionally a floor on usefulness.

    Attributes:
        ratio: in (0, 1] the fraction of tokens to *keep*; above 1 a compression factor
            (``4`` keeps a quarter).
        tokens: ceiling in tokens on the assembled text, separators and markers included.
        threshold: calibrated probability in [0, 1] below which a unit is dropped, whatever
            room is left. Compressors without calibrated scores refuse it.
        reserve: tokens set aside, under the ceiling, for the instruction and the question.
        margin: fraction by which a ceiling in ``tokens`` is lowered, for an LLM whose own
            tokenizer is not public (0.05 is usual).

    Raises:
        InputError: two ceilings at once, or a value out of range.
    """

    ratio: float | None = None
    tokens: int | None = None
    threshold: float | None = None
    reserve: int = 0
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.ratio is not None and self.tokens is not None:
            raise InputError(
                f"Two ceilings at once: ratio={self.ratio!r} and tokens={self.tokens!r}.",
                hint="Give one of them.",
            )
        if self.ratio is not None and not (_is_number(self.ratio) and self.ratio > 0):
            raise InputError(
                f"ratio={self.ratio!r} is not a positive number.",
                hint="Use a fraction to keep such as 0.5, or a compression factor such as 4.",
            )
        if self.tokens is not None and not (_is_integer(self.tokens) and self.tokens >= 0):
            raise InputError(f"tokens={self.tokens!r} is not a whole number of at least 0.")
        if self.threshold is not None and not (
            _is_number(self.threshold) and 0 <= self.threshold <= 1
        ):
            raise InputError(f"threshold={self.threshold!r} is not a probability in [0, 1].")
        if not (_is_integer(self.reserve) and self.reserve >= 0):
            raise InputError(f"reserve={self.reserve!r} is not a whole number of at least 0.")
        if not (_is_number(self.margin) and 0 <= self.margin < 1):
            raise InputError(f"margin={self.margin!r} is not a fraction in [0, 1).")

    def ceiling(self, tokens_before: int) -> int | None:
        """The hard ceiling in tokens for an input of ``tokens_before`` tokens, or None.

        A ratio is rounded down, so that the kept fraction never exceeds it.
        """
        if self.ratio is not None:
            keep = self.ratio if self.ratio <= 1 else 1 / self.ratio
            # The small term undoes binary rounding: 0.7 * 10 must give 7, not 6.
            return max(0, math.floor(keep * tokens_before + 1e-9) - self.reserve)
        if self.tokens is not None:
            return max(0, math.floor(self.tokens * (1 - self.margin) + 1e-9) - self.reserve)
        return None


def _is_number(value: object) -> bool:
    """A real number, NumPy's included, that is finite as a float."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _is_span(value: object) -> bool:
    return isinstance(value, Sequence) and len(value) == 2 and all(map(_is_integer, value))


def _is_integer(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_text(text: object, what: str) -> None:
    """Raise InputError unless ``text`` is a string of whole Unicode characters."""
    if not isinstance(text, str):
        raise InputError(f"{what} is {type(text).__name__}, not a string.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{what} is not valid Unicode: a lone surrogate at character {error.start}.",
            hint="Decode the bytes it came from with errors='replace'.",
        ) from None


@dataclass(frozen=True, slots=True)
class Options:
    """What is rarely set.

    Attributes:
        tokenizer: how tokens are counted: the name of an encoding (``"o200k_base"``) or of an
            OpenAI model, a ``tokenizers.Tokenizer``, or any ``str -> int``.
        protect: literal strings that must survive wherever they stand (hard protection).
        protect_patterns: regular expressions whose matches must survive (hard protection).
        protect_spans: spans that must survive: one sequence of ``(start, end)`` per document.
        protect_soft: keep numbers, negations, ids, URLs and code spans in the sentences that
            are kept; False lets word-level compression drop them.
        keep_tags: honour ``<keep>…</keep>`` in a prompt that is given as one string; the tags
            are removed. Never honoured inside documents: anyone could have written them there.
        granularity: ``"sentence"`` drops whole sentences only, ``"word"`` drops words,
            ``"auto"`` lets the compressor choose by the budget.
        min_per_document: units (sentences, normally) that each document keeps at least, while
            the ceiling allows it.
        reserve: see :class:`Budget`.
        margin: see :class:`Budget`.
        separator: text between documents; counted.
        titles: render each document's title on a line of its own above its text; counted.
        drop_empty: leave documents of which nothing is kept out of ``Compression.documents``.
        language: ISO 639-1 code of the text, where it is known; detected by script otherwise.
    """

    tokenizer: object = "o200k_base"
    protect: Sequence[str] = ()
    protect_patterns: Sequence[str | re.Pattern[str]] = ()
    protect_spans: Sequence[Sequence[tuple[int, int]]] = ()
    protect_soft: bool = True
    keep_tags: bool = False
    granularity: Granularity = "auto"
    min_per_document: int = 0
    reserve: int = 0
    margin: float = 0.0
    separator: str = "\n\n"
    titles: bool = False
    drop_empty: bool = False
    language: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.protect, str):
            raise InputError(
                f"protect={self.protect!r} is one string.", hint="Give a sequence of strings."
            )
        if isinstance(self.protect_patterns, str | re.Pattern):
            raise InputError(
                f"protect_patterns={self.protect_patterns!r} is one pattern.",
                hint="Give a sequence of patterns.",
            )
        if self.granularity not in ("auto", "sentence", "word"):
            raise InputError(
                f"granularity={self.granularity!r} is unknown.",
                hint='Use "auto", "sentence" or "word".',
            )
        if not (_is_integer(self.min_per_document) and self.min_per_document >= 0):
            raise InputError(
                f"min_per_document={self.min_per_document!r} is not a whole number of at least 0."
            )
        check_text(self.separator, f"separator={self.separator!r}")
        if self.language is not None:
            check_text(self.language, f"language={self.language!r}")
        self._check_sequences()

    def _check_sequences(self) -> None:
        for name in ("protect", "protect_patterns", "protect_spans"):
            value = getattr(self, name)
            if not isinstance(value, Sequence):
                raise InputError(f"{name}={value!r} is not a sequence.")
        for spans in self.protect_spans:
            if not isinstance(spans, Sequence) or not all(map(_is_span, spans)):
                raise InputError(
                    f"protect_spans has the entry {spans!r}, which is no sequence of spans.",
                    hint="Give one sequence of (start, end) pairs of whole numbers per document.",
                )


@dataclass(frozen=True, slots=True)
class Request:
    """One compression to make.

    Attributes:
        documents: they share the budget.
        query: the question about them, or None.
        budget: how much may stay; half of the tokens where it says nothing.
        trusted: the caller wrote the texts, so ``Options(keep_tags=True)`` applies to them.
    """

    documents: tuple[Document, ...]
    query: str | None = None
    budget: Budget = Budget()
    trusted: bool = False


class ScoredUnit(NamedTuple):
    """One unit of a document with what was decided about it.

    Attributes:
        span: where it stands in the source.
        score: the compressor's usefulness score; higher is better, comparable within one result.
        kept: whether any of it is in the output.
        protected: whether hard protection kept it.
    """

    span: Span
    score: float
    kept: bool
    protected: bool


@dataclass(frozen=True, slots=True)
class CompressedDocument:
    """What is left of one document.

    Attributes:
        sources: the documents it came from: one, unless a summary joins several.
        text: the compressed text.
        kept: spans of ``sources[0].text`` that make up ``text``, in order; None where the text
            was rewritten. Concatenated they equal ``text``, but for declared insertions.
        score: relevance of the whole document, where the compressor has one.
        units: every scored unit, kept and dropped, in source order.
    """

    sources: tuple[Document, ...]
    text: str
    kept: tuple[Span, ...] | None
    score: float | None = None
    units: Sequence[ScoredUnit] = field(default=(), repr=False, compare=False)

    @property
    def source(self) -> Document:
        """The one source, or the first of several."""
        return self.sources[0]


class Segment(NamedTuple):
    """A piece of the output and where it came from.

    Attributes:
        start: offset in ``Compression.text``.
        end: offset in ``Compression.text``.
        document: index of the input document, or -1 for text that ctxzip inserted.
        source_start: offset in that document's text, or -1 for inserted or rewritten text.
    """

    start: int
    end: int
    document: int
    source_start: int


@dataclass(frozen=True, slots=True)
class Compression:
    """The result of one compression. ``str(result)`` is its text.

    Attributes:
        text: the compressed documents, joined by the separator.
        documents: one entry per input document, in input order.
        tokens_before: tokens of the assembled input, as ``tokenizer`` counts them.
        tokens_after: tokens of ``text``, counted the same way.
        tokenizer: name of the counter.
        compressor: which compressor made the decisions.
        path: what was done and why, in order (``"auto: lexical, because ..."``).
        notes: what the caller should know: relaxed, shortened, fell back.
        ceiling: the ceiling in tokens that applied, or None.
        segments: where every piece of ``text`` came from, in order.
        seconds: wall-clock seconds per stage.
    """

    text: str
    documents: tuple[CompressedDocument, ...]
    tokens_before: int
    tokens_after: int
    tokenizer: str
    compressor: str
    path: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ceiling: int | None = None
    segments: tuple[Segment, ...] = field(default=(), repr=False)
    seconds: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({}), compare=False, hash=False
    )

    # Set by the package: the vocabulary knows nothing of what is built on it.
    _display: ClassVar[Callable[[Compression], str] | None] = None

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str | None:
        """What notebooks show: kept, dropped and protected text."""
        show = type(self)._display
        return show(self) if show is not None else None

    @property
    def ratio(self) -> float:
        """Fraction of tokens kept, in [0, 1]; 1.0 for empty input."""
        return self.tokens_after / self.tokens_before if self.tokens_before else 1.0

    def locate(self, offset: int) -> tuple[int, int] | None:
        """Trace a character of ``text`` to ``(document index, offset in its source text)``.

        Returns:
            None for a character that ctxzip inserted or rewrote.

        Raises:
            InputError: the offset is outside ``text``.
        """
        if not 0 <= offset < len(self.text):
            raise InputError(
                f"offset={offset!r} is outside the text of {len(self.text)} characters."
            )
        at = bisect_right(self.segments, offset, key=lambda segment: segment.start) - 1
        if at < 0:
            return None
        segment = self.segments[at]
        if offset >= segment.end or segment.document < 0 or segment.source_start < 0:
            return None
        return segment.document, segment.source_start + offset - segment.start


@runtime_checkable
class Compressor(Protocol):
    """Documents, a query and a budget in, a :class:`Compression` out. Thread-safe."""

    name: str

    def compress(
        self, documents: Sequence[Document], *, query: str | None = None, budget: Budget
    ) -> Compression:
        """Compress one request."""
        ...

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        """Compress several requests, batching over them; results in the order given."""
        ...

    def warmup(self) -> None:
        """Load what the first call would load."""
        ...

    def close(self) -> None:
        """Release models and threads; a later call loads them again."""
        ...
