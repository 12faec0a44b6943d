"""Abstractive compression: a model writes new text from the documents.

RECOMP's abstractive compressor (Xu et al., ICLR 2024, arXiv 2310.04408) is a T5 that reads question
and documents and writes a summary, possibly an empty one: then nothing in them helps. The same
stages serve any writer; what it wrote is counted, cut to the ceiling and, where asked, checked.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ctxzip.assemble import identity
from ctxzip.errors import BudgetError, InputError
from ctxzip.prepare import Prepared, prepare
from ctxzip.segment import sentences
from ctxzip.segment import words as word_segmenter
from ctxzip.types import (
    Budget,
    CompressedDocument,
    Compression,
    Compressor,
    Document,
    Options,
    Request,
    Segment,
)

if TYPE_CHECKING:
    from ctxzip.backends.pytorch_lm import Seq2SeqModel

__all__ = ["Abstractive", "RewritingCompressor", "Seq2SeqWriter", "Writer", "unsupported"]


@dataclass(frozen=True, slots=True)
class Abstractive:
    """Settings of compressor ``recomp-abstractive``.

    Attributes:
        beams: 1 for greedy search, as in RECOMP.
        max_tokens: most tokens of a summary, as the model counts them; a ceiling lowers it.
        source_tokens: most tokens of question and documents; more are cut off the end.
        titles: put a document's title before its text.
        check: report numbers and names of a summary that its documents do not hold.
        allow_pickle: weights that are pickles may be read, not only safetensors.
    """

    beams: int = 1
    max_tokens: int = 512
    source_tokens: int = 1024
    titles: bool = True
    check: bool = False
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        if self.beams < 1 or self.max_tokens < 1 or self.source_tokens < 1:
            raise InputError("beams, max_tokens and source_tokens must be at least 1.")


class Writer(Protocol):
    """Writes a summary for each pair of question and text. Thread-safe."""

    def write(
        self, asked: Sequence[tuple[str, str]], limits: Sequence[int | None]
    ) -> tuple[list[str | Exception], tuple[str, ...]]:
        """Summaries, or the reason why there is none.

        Args:
            asked: question (may be empty) and text.
            limits: most tokens of each summary, roughly, or None.
        """
        ...


class Seq2SeqWriter:
    """A T5 or another encoder-decoder with RECOMP's prompt."""

    def __init__(self, load: Callable[[], Seq2SeqModel], settings: Abstractive) -> None:
        self._load = load
        self._settings = settings
        self._lock = threading.Lock()
        self._model: Seq2SeqModel | None = None

    def write(
        self, asked: Sequence[tuple[str, str]], limits: Sequence[int | None]
    ) -> tuple[list[str | Exception], tuple[str, ...]]:
        """See :class:`Writer`."""
        with self._lock:
            if self._model is None:
                self._model = self._load()
            model = self._model
        most = self._settings.max_tokens
        texts, notes = model.generate(
            [f"Question: {q}\n Document: {text}\n Summary: " for q, text in asked],
            source_tokens=self._settings.source_tokens,
            new_tokens=[most if limit is None else max(1, min(most, limit)) for limit in limits],
            beams=self._settings.beams,
        )
        return list(texts), notes

    def close(self) -> None:
        """Release the weights; a later call loads them again."""
        with self._lock:
            self._model = None


class RewritingCompressor:
    """A compressor that gives what a writer makes of the documents. Thread-safe.

    Args:
        name: the compressor's name, repeated in its results.
        writer: writes the summaries.
        fallback: an extractive compressor for requests whose summary failed.
        options: what is rarely set.
        titles: put a document's title before its text for the writer.
        check: report what a summary says and its documents do not.
    """

    def __init__(
        self,
        name: str,
        writer: Writer,
        fallback: Compressor,
        options: Options | None = None,
        *,
        titles: bool = True,
        check: bool = False,
    ) -> None:
        self.name = name
        self.options = options if options is not None else Options()
        self._writer = writer
        self._fallback = fallback
        self._titles = titles
        self._check = check

    def compress(
        self, documents: Sequence[Document], *, query: str | None = None, budget: Budget
    ) -> Compression:
        """Compress one request. Without a ceiling the summary is as long as the model makes it."""
        return self.compress_many([Request(tuple(documents), query, budget)])[0]

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        """Compress several requests in common batches.

        Raises:
            BudgetError: hard-protected text alone exceeds a ceiling.
            InputError: a threshold, which a summary has no use for.
        """
        for request in requests:
            if request.budget.threshold is not None:
                raise InputError(
                    f"threshold={request.budget.threshold!r} means nothing to {self.name!r}.",
                    hint="Give a ratio or target_tokens.",
                )
        prepared = [prepare(request, self.options) for request in requests]
        done = [self._untouched(one) for one in prepared]
        todo = [i for i, result in enumerate(done) if result is None]
        begun = perf_counter()
        written: list[str | Exception] = []
        notes: tuple[str, ...] = ()
        if todo:
            written, notes = self._writer.write(
                [(requests[i].query or "", self._source(prepared[i])) for i in todo],
                [prepared[i].ceiling for i in todo],
            )
        share = (perf_counter() - begun) / max(1, len(todo))
        for i, text in zip(todo, written, strict=True):
            prepared[i].seconds["write"] = share
            if isinstance(text, Exception):
                done[i] = self._fallen_back(requests[i], text)
            else:
                done[i] = self._finished(prepared[i], text, notes)
        return [result for result in done if result is not None]

    def _untouched(self, prepared: Prepared) -> Compression | None:
        before, ceiling = prepared.tokens_before, prepared.ceiling
        if not before:
            return identity(prepared, self.name, "the input is empty")
        if ceiling is not None and ceiling >= before:
            note = f"the input of {before} tokens already fits the ceiling of {ceiling}"
            return identity(prepared, self.name, note)
        return None

    def _source(self, prepared: Prepared) -> str:
        texts = []
        for passage in prepared.passages:
            title = passage.document.title if self._titles else None
            if passage.text.strip():
                texts.append(f"{title} {passage.text}" if title else passage.text)
        return "\n".join(texts)

    def _fallen_back(self, request: Request, error: Exception) -> Compression:
        result = self._fallback.compress_many([request])[0]
        note = f"no summary: {error}; extracted by {result.compressor} instead"
        return replace(
            result, notes=(note, *result.notes), path=(f"{self.name}: {note}", *result.path)
        )

    def _finished(self, prepared: Prepared, text: str, notes: tuple[str, ...]) -> Compression:
        """Keep what is protected, meet the ceiling, check."""
        text, more = _with_protected(prepared, text)
        tokens = prepared.counter.count(text)
        if tokens > prepared.tokens_before:
            return identity(prepared, self.name, "the summary is longer than the input")
        said = [*notes, *more]
        if not text:
            said.append("the summary is empty: the model found nothing that helps")
        if self._check:
            strange = unsupported(
                text, self._source(prepared) + " " + (prepared.request.query or "")
            )
            if strange:
                said.append(f"in the summary but not in the documents: {', '.join(strange)}")
        sources = tuple(passage.document for passage in prepared.passages)
        return Compression(
            text=text,
            documents=(CompressedDocument(sources, text, None),),
            tokens_before=prepared.tokens_before,
            tokens_after=tokens,
            tokenizer=prepared.counter.name,
            compressor=self.name,
            path=(f"{self.name}: {len(sources)} documents rewritten as one text",),
            notes=tuple(said),
            ceiling=prepared.ceiling,
            segments=(Segment(0, len(text), 0, -1),) if text else (),
            seconds=MappingProxyType(prepared.seconds),
        )

    def warmup(self) -> None:
        """Write one summary."""
        self._writer.write([("", "A.")], [1])

    def close(self) -> None:
        """Release the model, where there is one."""
        close = getattr(self._writer, "close", None)
        if close is not None:
            close()


def _with_protected(prepared: Prepared, text: str) -> tuple[str, list[str]]:
    """The text cut to the ceiling, with the hard-protected pieces that it lacks behind it."""
    wanted = [
        passage.text[a:b]
        for passage, spans in zip(prepared.passages, prepared.hard, strict=True)
        for a, b in spans.tolist()
    ]
    notes: list[str] = []
    whole, ceiling = text, prepared.ceiling
    for _ in range(4):
        missing = [piece for piece in dict.fromkeys(wanted) if piece not in text]
        full = "\n".join([part for part in (text, *missing) if part])
        over = 0 if ceiling is None else prepared.counter.count(full) - ceiling
        if over <= 0:
            break
        if not text:
            needed = prepared.counter.count(full)
            raise BudgetError(
                f"The hard-protected text alone takes {needed} tokens; the ceiling is {ceiling}.",
                needed=needed,
                ceiling=int(ceiling or 0),
                hint=f"Allow at least {needed} tokens, or protect less.",
            )
        text = _cut(text, prepared.counter.count(text) - over, prepared.counter.count)
    else:
        return _with_protected_alone(prepared, wanted), ["no room for a summary"]
    if text != whole:
        notes.append("the summary was cut to the ceiling")
    if missing:
        notes.append(f"{len(missing)} protected pieces stand behind the summary, which lacked them")
    return full, notes


def _with_protected_alone(prepared: Prepared, wanted: list[str]) -> str:
    full = "\n".join(dict.fromkeys(wanted))
    needed = prepared.counter.count(full)
    if prepared.ceiling is not None and needed > prepared.ceiling:
        raise BudgetError(
            f"The hard-protected text alone takes {needed} tokens; the ceiling is"
            f" {prepared.ceiling}.",
            needed=needed,
            ceiling=prepared.ceiling,
        )
    return full


def _cut(text: str, most: int, count: Callable[[str], int]) -> str:
    """The longest beginning of at most ``most`` tokens that ends a sentence, else a word."""
    if most <= 0:
        return ""
    sentence_ends = sentences.split(text).end
    word_ends = word_segmenter.split(text)[1]
    for ends in (sentence_ends, word_ends):
        low, high = 0, len(ends)
        while low < high:  # counts grow with the text
            middle = (low + high + 1) // 2
            if count(text[: int(ends[middle - 1])]) <= most:
                low = middle
            else:
                high = middle - 1
        if low:
            return text[: int(ends[low - 1])]
    return ""


_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_WORD = re.compile(r"[^\W\d_][\w'’-]*")


def unsupported(summary: str, source: str) -> list[str]:
    """Numbers and names of a summary that its source does not hold, in order.

    A name is a capitalised word that does not begin a sentence, or one inside a run of them. A
    plain check of strings: it finds what was invented, not what was turned round.
    """
    numbers = {number.replace(",", "") for number in _NUMBER.findall(source)}
    words = {word.casefold() for word in _WORD.findall(source)}
    words |= {word.removesuffix("'s").removesuffix("’s") for word in words}
    starts = set(np.asarray(sentences.split(summary).start).tolist())
    found: dict[int, str] = {}
    for match in _NUMBER.finditer(summary):
        if match.group().replace(",", "") not in numbers:
            found[match.start()] = match.group()
    for match in _WORD.finditer(summary):
        word = match.group().removesuffix("'s").removesuffix("’s")
        opens = match.start() in starts or summary[: match.start()].rstrip("\"'“‘( ") == ""
        if word[:1].isupper() and not opens and word.casefold() not in words:
            found[match.start()] = word
    return list(dict.fromkeys(found[at] for at in sorted(found)))
