"""A compressor that always answers in time, or says why not.

:class:`Guard` stands around another compressor: it gathers what is asked at the same time into
common batches, gives up on what takes too long, and falls back to the lexical compressor where the
other one fails. It is what pipeline nodes of the frameworks are made of.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ctxzip.api.arguments import compressor_of, options_of
from ctxzip.api.events import Hook, emit, event_of
from ctxzip.api.lanes import Lane, LaneBusyError, Pending, lane_of
from ctxzip.compressors import DEFAULT, FALLBACK, fallback_of
from ctxzip.errors import BudgetError, CtxzipError, InputError
from ctxzip.kit.batch import BatchCompressor
from ctxzip.text import tokens
from ctxzip.types import (
    CompressedDocument,
    Compression,
    Compressor,
    Options,
    Request,
    Span,
    check_text,
)

__all__ = ["CompressionTimeoutError", "Guard", "OnError", "Outcome", "aligned"]

OnError = Literal["fallback", "raise"]
_log = logging.getLogger("ctxzip")


class CompressionTimeoutError(CtxzipError, TimeoutError):
    """A compression was not done in the time that it was given."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A compression and how it came about.

    Attributes:
        compression: the result.
        fallback: why the compressor that was asked for did not make it: ``"error"``,
            ``"timeout"`` or ``"busy"``; None where it did.
        reason: the same in words, or None.
        tokens: tokens before and after of each document of the request, where they were asked
            for; their sums leave out the separators.
    """

    compression: Compression
    fallback: str | None = None
    reason: str | None = None
    tokens: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Guard(BatchCompressor):
    """A :class:`~ctxzip.Compressor` around another, with a time limit and a fallback.

    It holds no thread and no lock of its own, so it can be copied and pickled.

    Attributes:
        compressor: a name that :func:`ctxzip.list_compressors` lists, or a compressor.
        options: what is rarely set; where nothing is given, a compressor object's own.
        timeout: seconds that a request may take, waiting included; None for no limit. A thread
            that hangs cannot be killed: at most ``batching.MOST_THREADS`` of them are left
            behind for each compressor, after which requests fall back at once.
        on_error: ``"fallback"`` answers with the lexical compressor under the same ceiling, and
            with the originals only where no ceiling was given; ``"raise"`` raises. What the
            caller did wrong (:class:`InputError`, :class:`BudgetError`) is raised in any case.
        window: most seconds for which an asynchronous request waits for others to share its
            batch; a lone one waits a third of it, a synchronous one not at all.
        hook: called with the numbers of each compression, beside the subscribers of
            :mod:`ctxzip.api.events`.
        name: the name of the compressor that is asked first.
    """

    compressor: str | Compressor = DEFAULT
    options: Options = field(default_factory=Options)
    timeout: float | None = 30.0
    on_error: OnError = "fallback"
    window: float = 0.003
    hook: Hook | None = field(default=None, compare=False)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        if isinstance(self.compressor, str):
            self.name = self.compressor
        elif isinstance(self.compressor, Compressor):
            self.name = self.compressor.name
        else:  # refused by the first call
            self.name = type(self.compressor).__name__
        if self.options == Options():
            self.options = options_of(self.compressor, None)
        if self.on_error not in ("fallback", "raise"):
            raise InputError(f"on_error={self.on_error!r} is neither 'fallback' nor 'raise'.")
        if self.timeout is not None and not self.timeout > 0:
            raise InputError(f"timeout={self.timeout!r} is not a positive number of seconds.")
        if not 0 <= self.window <= 1:
            raise InputError(f"window={self.window!r} is not a number of seconds in [0, 1].")

    def check(self) -> None:
        """Raise now what a wrong name or a missing package would raise at the first call."""
        compressor_of(self.compressor, self.options)

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        """Compress several requests, each with its own fate."""
        return [outcome.compression for outcome in self.run(requests)]

    def warmup(self) -> None:
        """Load what the first call would load."""
        compressor_of(self.compressor, self.options).warmup()

    def close(self) -> None:
        """Release what the compressor holds; threads end by themselves when they are idle."""
        if isinstance(self.compressor, str):
            lane_of(self.compressor, self.options, self.window).close()
        else:
            compressor_of(self.compressor, self.options).close()

    def run(self, requests: Sequence[Request], *, count: bool = False) -> list[Outcome]:
        """Compress requests in the lane's threads and wait.

        Args:
            requests: each with its own fate.
            count: count the tokens of each document too.

        Raises:
            InputError: a text or an argument cannot be used.
            BudgetError: hard-protected text alone exceeds a ceiling.
            CtxzipError: the compressor failed and there is nothing to fall back to, or it failed
                with ``on_error="raise"``; other errors of the compressor come as they are.
        """
        if not requests:
            return []
        begun = _Begun()
        lane, pending = self._submit(requests, False, count)
        if isinstance(pending, Exception):
            return [self._settle(r, pending, begun, count) for r in requests]
        futures = [entry.future for entry in pending]
        try:
            concurrent.futures.wait(futures, self.timeout)
        finally:
            lane.abandon([t for t in pending if not t.future.done()])
        return [self._settle(t.request, self._result(t), begun, count) for t in pending]

    async def arun(self, requests: Sequence[Request], *, count: bool = False) -> list[Outcome]:
        """:meth:`run` without holding up the event loop; concurrent calls share batches."""
        if not requests:
            return []
        begun = _Begun()
        lane, pending = self._submit(requests, True, count)
        if isinstance(pending, Exception):
            return [await self._asettle(r, pending, begun, count) for r in requests]
        waiting = [asyncio.wrap_future(entry.future) for entry in pending]
        try:
            await asyncio.wait(waiting, timeout=self.timeout)
        finally:
            for future in waiting:
                if not future.cancel() and not future.cancelled():
                    future.exception()  # its error is read elsewhere; asyncio must not complain
            lane.abandon([t for t in pending if not t.future.done()])
        return [await self._asettle(t.request, self._result(t), begun, count) for t in pending]

    def _submit(
        self, requests: Sequence[Request], patient: bool, count: bool
    ) -> tuple[Lane, list[Pending[Outcome]] | LaneBusyError]:
        for request in requests:
            for i, document in enumerate(request.documents):
                check_text(document.text, f"the text of document {i}")
        lane = lane_of(self.compressor, self.options, self.window)
        then = self._counted if count else _plain
        try:
            return lane, lane.submit(requests, patient=patient, then=then)
        except LaneBusyError as busy:
            return lane, busy

    def _counted(self, request: Request, compression: Compression) -> Outcome:
        counter = tokens.resolve(self.options.tokenizer)
        counts = []
        for document, result in zip(request.documents, aligned(request, compression), strict=True):
            text = result.text if result is not None else ""
            before = counter.count(document.text)
            counts.append((before, before if text == document.text else counter.count(text)))
        return Outcome(compression, tokens=tuple(counts))

    def _result(self, entry: Pending[Outcome]) -> Outcome | BaseException:
        if entry.future.cancelled() or not entry.future.done():
            return CompressionTimeoutError(
                f"Compressor {self.name!r} did not answer within {self.timeout} seconds.",
                hint="Allow more time or give it less text.",
            )
        error = entry.future.exception()
        return error if error is not None else entry.future.result()

    def _settle(
        self, request: Request, result: Outcome | BaseException, begun: _Begun, count: bool
    ) -> Outcome:
        """The outcome of a request: its result, or what stands in for it."""
        if isinstance(result, BaseException):
            if self._must_raise(result):
                raise result
            result = self._instead(request, result, count)
        return self._reported(request, result, begun)

    async def _asettle(
        self, request: Request, result: Outcome | BaseException, begun: _Begun, count: bool
    ) -> Outcome:
        if isinstance(result, BaseException) and not self._must_raise(result):
            # Not in the lane: its threads may be the ones that hang.
            result = await asyncio.to_thread(self._instead, request, result, count)
        return self._settle(request, result, begun, count)

    def _must_raise(self, error: BaseException) -> bool:
        callers = isinstance(error, InputError | BudgetError) or not isinstance(error, Exception)
        return callers or self.on_error == "raise"

    def _instead(self, request: Request, error: BaseException, count: bool) -> Outcome:
        """The lexical compressor's result, or the originals where no ceiling forbids them."""
        kind = "error"
        if isinstance(error, CompressionTimeoutError | LaneBusyError):
            kind = "timeout" if isinstance(error, CompressionTimeoutError) else "busy"
        reason = f"{type(error).__name__}: {error}"
        _log.warning("ctxzip: compressor %r failed, falling back. %s", self.name, reason)
        options = self.options
        budget = replace(request.budget, threshold=None)
        unbounded = budget.ratio is None and budget.tokens is None
        compression: Compression | None = None
        # Without a ceiling a threshold was all that was asked; the lexical scorer knows none.
        instead = self._fallback()
        if instead is not None and not (unbounded and request.budget.threshold is not None):
            try:
                simpler = compressor_of(instead, options)
                compression = simpler.compress_many([replace(request, budget=budget)])[0]
            except Exception as second:
                if not unbounded:
                    raise error from second
        elif not unbounded:
            raise error
        if compression is None:
            compression = _originals(request, options)
        path = (f"{self.name}: {kind}, fell back to {compression.compressor}", *compression.path)
        notes = (*compression.notes, f"fell back: {reason}")
        compression = replace(compression, path=path, notes=notes)
        counts = self._counted(request, compression).tokens if count else ()
        return Outcome(compression, kind, reason, counts)

    def _fallback(self) -> str | None:
        """The compressor that answers instead; None where it would only repeat what has failed."""
        ours = isinstance(self.compressor, str | BatchCompressor)
        return fallback_of(self.name) if ours else FALLBACK

    def _reported(self, request: Request, outcome: Outcome, begun: _Begun) -> Outcome:
        seconds = time.perf_counter() - begun.counter
        event = event_of(
            outcome.compression, len(request.documents), begun.clock, seconds, outcome.fallback
        )
        emit(event, self.hook)
        return outcome


class _Begun:
    """When a request was made, on the wall clock and on the one that never jumps."""

    __slots__ = ("clock", "counter")

    def __init__(self) -> None:
        self.clock = time.time_ns()
        self.counter = time.perf_counter()


def _plain(request: Request, compression: Compression) -> Outcome:
    return Outcome(compression)


def aligned(request: Request, compression: Compression) -> list[CompressedDocument | None]:
    """What became of each document of a request; None where it is left out of the result."""
    results = compression.documents
    if len(results) == len(request.documents):
        return list(results)
    # Some were left out, or several were joined into the first of them.
    first = {id(result.source): result for result in results}
    return [first.get(id(document)) for document in request.documents]


def _originals(request: Request, options: Options) -> Compression:
    """The documents as they are, made without the stages, one of which may be what failed."""
    counter = tokens.resolve(options.tokenizer)
    parts = []
    for document in request.documents:
        if document.text:
            title = f"{document.title}\n" if options.titles and document.title else ""
            parts.append(title + document.text)
    text = options.separator.join(parts)
    count = counter.count(text)
    return Compression(
        text=text,
        documents=tuple(
            CompressedDocument((d,), d.text, (Span(0, len(d.text)),) if d.text else ())
            for d in request.documents
        ),
        tokens_before=count,
        tokens_after=count,
        tokenizer=counter.name,
        compressor="originals",
    )
