"""Abstractive compression: a model writes new text from the documents.

RECOMP's abstractive compressor (Xu et al., ICLR 2024, arXiv 2310.04408) is a T5 that reads question
and documents and writes a summary, possibly an empty one: then nothing in them helps. The same
stages serve any writer; what it wrote is counted, cut to the ceiling and, where asked, checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from types import MappingProxyType

from ctxzip.compressors.rewriting.check import unsupported
from ctxzip.compressors.rewriting.writers import Writer, Written
from ctxzip.errors import BudgetError, InputError
from ctxzip.kit.batch import BatchCompressor
from ctxzip.render.result import identity
from ctxzip.segment import sentences
from ctxzip.segment import words as word_segmenter
from ctxzip.segment.prepare import Prepared, prepare
from ctxzip.select.search import fit
from ctxzip.types import (
    CompressedDocument,
    Compression,
    Compressor,
    Options,
    Request,
    Segment,
)

__all__ = ["RewritingCompressor"]


_NOTHING = Written("")  # of documents without text


class RewritingCompressor(BatchCompressor):
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

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        """Compress several requests; without a ceiling a summary is as long as the model makes it.

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
        done = [self._untouched(p) for p in prepared]
        todo = [i for i, result in enumerate(done) if result is None]
        sources = {i: self._source(prepared[i]) for i in todo}
        asked = [i for i in todo if sources[i]]
        begun = perf_counter()
        written: dict[int, Written] = {}
        if asked:
            found = self._writer.write(
                [(requests[i].query or "", sources[i]) for i in asked],
                [prepared[i].ceiling for i in asked],
            )
            written = dict(zip(asked, found, strict=True))
        share = (perf_counter() - begun) / max(1, len(asked))
        for i in todo:
            text, notes = written.get(i, _NOTHING)
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
        text, added = _with_protected(prepared, text)
        tokens = prepared.counter.count(text)
        if tokens > prepared.tokens_before:
            return identity(prepared, self.name, "the summary is longer than the input")
        said = [*notes, *added]
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

    def floor(self, request: Request) -> int:
        """See :class:`ctxzip.kit.batch.BatchCompressor`; nothing is written for it."""
        prepared = prepare(request, self.options)
        alone = _completed("", _protected(prepared))
        return prepared.counter.count(alone) if alone else 0

    def warmup(self) -> None:
        """Write one summary."""
        self._writer.write([("", "A.")], [1])

    def close(self) -> None:
        """Release the model, where there is one."""
        self._writer.close()


def _with_protected(prepared: Prepared, text: str) -> tuple[str, list[str]]:
    """The text cut to the ceiling, with the hard-protected pieces that it lacks behind it.

    Raises:
        BudgetError: those pieces alone exceed the ceiling.
    """
    count, size = prepared.counter.count, prepared.counter.count(text)
    wanted = _protected(prepared)

    def shortened(most: int) -> tuple[str, str]:
        summary = text if most >= size else _cut(text, most, count)
        return summary, _completed(summary, wanted)

    found = shortened(size)
    if prepared.ceiling is not None:
        fitted = fit(
            shortened,
            lambda pair: count(pair[1]) if pair[1] else 0,
            prepared.ceiling,
            slack=prepared.ceiling,
            most=size,
            settle=True,
        )
        if fitted is None:
            raise BudgetError.for_protected(count(_completed("", wanted)), prepared.ceiling)
        found = fitted.selected
    summary, full = found
    notes: list[str] = []
    if summary != text:
        notes.append("the summary was cut to the ceiling" if summary else "no room for a summary")
    missing = sum(piece not in summary for piece in wanted)
    if missing:
        notes.append(f"{missing} protected pieces stand behind the summary, which lacked them")
    return full, notes


def _protected(prepared: Prepared) -> list[str]:
    """The different hard-protected pieces of a request."""
    pieces = [
        passage.text[a:b]
        for passage, spans in zip(prepared.passages, prepared.hard, strict=True)
        for a, b in spans.tolist()
    ]
    return list(dict.fromkeys(pieces))


def _completed(summary: str, wanted: Sequence[str]) -> str:
    """A summary and the pieces that it lacks."""
    missing = [piece for piece in wanted if piece not in summary]
    return "\n".join([part for part in (summary, *missing) if part])


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
