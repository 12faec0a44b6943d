"""Admission to the compressors: a bounded number of requests, and of kinds of requests."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ctxzip.api.guard import Guard
from ctxzip.api.lanes import MOST_THREADS, Lane, lane_of
from ctxzip.compressors import load, tuned
from ctxzip.errors import CtxzipError, InputError
from ctxzip.serve.metrics import Metrics
from ctxzip.serve.settings import Settings
from ctxzip.types import Budget, Compressor, Document, Options

__all__ = ["Admission", "BusyError", "warm"]

# Requests with equal options share batches and threads; so many kinds may be at work at once.
_KINDS = 8


class BusyError(CtxzipError, RuntimeError):
    """The queue is full."""


@dataclass(slots=True)
class _Kind:
    """A compressor with its options, its lane, and how many requests are in it."""

    guard: Guard
    lane: Lane
    inside: int = 0


class Admission:
    """Hands requests to the compressors. Used by one event loop.

    Args:
        settings: limits and choices.
        metrics: where compressions are counted.

    Raises:
        InputError: a compressor is unknown.
        MissingExtraError: a compressor's packages are not installed.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._kinds: OrderedDict[tuple[str, Options], _Kind] = OrderedDict()
        self._first = [self._kind(name, Options()) for name in settings.compressors]

    @property
    def in_flight(self) -> int:
        """Requests that wait or are being compressed."""
        return sum(kind.inside for kind in self._kinds.values())

    @property
    def stuck(self) -> bool:
        """Whether a compressor's threads all hang, which only a new process helps."""
        return any(kind.lane.stuck >= MOST_THREADS for kind in self._first)

    def warmup(self) -> None:
        """Load every compressor, so that what is missing is said before the first request."""
        for name in self._settings.compressors:
            warm(name, self._settings.threads)

    def close(self) -> None:
        """Release the compressors."""
        for kind in self._kinds.values():
            kind.guard.close()

    @contextmanager
    def admit(self, name: str | None, options: Options) -> Iterator[Guard]:
        """A place for one request, and the compressor to use.

        Raises:
            InputError: the service does not offer that compressor.
            BusyError: no place is left.
        """
        chosen = self._settings.compressors[0] if name is None else name
        if chosen not in self._settings.compressors:
            raise InputError(
                f"compressor={chosen!r} is not offered here.",
                hint=f"Use one of: {', '.join(self._settings.compressors)}.",
            )
        if self.in_flight >= self._settings.queue:
            raise BusyError(f"{self._settings.queue} requests are in work or wait already.")
        kind = self._kind(chosen, options)
        kind.inside += 1
        self._metrics.in_flight.inc()
        try:
            yield kind.guard
        finally:
            kind.inside -= 1
            self._metrics.in_flight.dec()

    def _kind(self, name: str, options: Options) -> _Kind:
        known = self._kinds.get((name, options))
        if known is not None:
            self._kinds.move_to_end((name, options))
            return known
        if len(self._kinds) >= _KINDS + len(self._settings.compressors):
            idle = [k for k, v in self._kinds.items() if not v.inside and k[1] != Options()]
            if not idle:
                raise BusyError("Too many requests with different options are in work.")
            del self._kinds[idle[0]]
        guard = Guard(
            _loaded(name, self._settings.threads, options),
            timeout=self._settings.timeout,
            on_error=self._settings.on_error,
            hook=self._metrics.record,
        )
        kind = _Kind(guard, lane_of(guard.compressor, guard.options, guard.window))
        self._kinds[name, options] = kind
        return kind


def _loaded(name: str, threads: int | None, options: Options | None = None) -> Compressor:
    """A compressor of the service; equal models are loaded once.

    Args:
        name: what it is called.
        threads: threads of the shipped model's networks; None for what the container allows.
        options: what is rarely set.
    """
    return load(name, options=options, settings=tuned(name, threads=threads))


def warm(name: str, threads: int | None) -> None:
    """Load what the first request would load: model, vocabulary and rules.

    Raises:
        ModelError: the checkpoint cannot be used.
    """
    compressor = _loaded(name, threads)
    compressor.warmup()
    document = Document("The pump failed on Monday. It was replaced on 12 March.")
    compressor.compress([document], query="When was it replaced?", budget=Budget(ratio=0.5))
