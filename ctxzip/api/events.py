"""The numbers of each compression, for whoever wants to watch. Nothing is sent by default.

A hook is any function of one :class:`CompressionEvent`. Events carry numbers and names, never a
character of the texts.

    >>> stop = events.subscribe(lambda event: print(event.tokens_before, event.tokens_after))
    >>> stop()
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

from ctxzip.kit.extras import require
from ctxzip.types import Compression

__all__ = ["CompressionEvent", "Hook", "emit", "event_of", "subscribe", "trace"]

_log = logging.getLogger("ctxzip")


@dataclass(frozen=True, slots=True)
class CompressionEvent:
    """What one compression cost and gave.

    Attributes:
        compressor: which compressor made the result.
        path: what was done and why, in order.
        documents: how many documents shared the budget.
        tokens_before: tokens of the input.
        tokens_after: tokens of the output.
        ceiling: the ceiling in tokens that applied, or None.
        started: wall-clock time at which the request was made, in nanoseconds since the epoch.
        seconds: from the request to the result, waiting included.
        stages: seconds per stage of the compressor itself.
        fallback: why the compressor that was asked for did not do it: ``"error"``,
            ``"timeout"`` or ``"busy"``; None where it did.
    """

    compressor: str
    path: tuple[str, ...]
    documents: int
    tokens_before: int
    tokens_after: int
    ceiling: int | None
    started: int
    seconds: float
    stages: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    fallback: str | None = None

    def numbers(self) -> dict[str, Any]:
        """The event as plain values that every logger and tracer takes."""
        values: dict[str, Any] = {
            "compressor": self.compressor,
            "path": list(self.path),
            "documents": self.documents,
            "tokens_before": self.tokens_before,
            "tokens_after": self.tokens_after,
            "seconds": self.seconds,
        }
        if self.ceiling is not None:
            values["ceiling"] = self.ceiling
        if self.fallback is not None:
            values["fallback"] = self.fallback
        values.update({f"seconds_{stage}": spent for stage, spent in self.stages.items()})
        return values


Hook: TypeAlias = Callable[[CompressionEvent], object]

_hooks: tuple[Hook, ...] = ()
_lock = threading.Lock()


def subscribe(hook: Hook) -> Callable[[], None]:
    """Call ``hook`` with every compression of this process that emits events.

    The hook runs where the caller waits for its result, so it should be quick.

    Returns:
        A function that ends the subscription; calling it twice does no harm.
    """
    global _hooks  # noqa: PLW0603  # one tuple, replaced whole, so that emit needs no lock
    with _lock:
        _hooks = (*_hooks, hook)

    def stop() -> None:
        global _hooks  # noqa: PLW0603
        with _lock:
            rest = list(_hooks)
            if hook in rest:
                rest.remove(hook)
            _hooks = tuple(rest)

    return stop


def emit(event: CompressionEvent, hook: Hook | None = None) -> None:
    """Hand an event to ``hook`` and to every subscriber.

    A hook that raises is logged with its traceback and does not disturb the compression.
    """
    for receiver in _hooks if hook is None else (hook, *_hooks):
        try:
            receiver(event)
        except Exception:
            _log.warning("A hook for ctxzip events raised: %r", receiver, exc_info=True)


def event_of(
    compression: Compression,
    documents: int,
    started: int,
    seconds: float,
    fallback: str | None = None,
) -> CompressionEvent:
    """The event of one finished compression."""
    return CompressionEvent(
        compressor=compression.compressor,
        path=compression.path,
        documents=documents,
        tokens_before=compression.tokens_before,
        tokens_after=compression.tokens_after,
        ceiling=compression.ceiling,
        started=started,
        seconds=seconds,
        stages=compression.seconds,
        fallback=fallback,
    )


def trace(tracer: Any = None) -> Callable[[], None]:
    """Record every compression as an OpenTelemetry span named ``ctxzip.compress``.

    Spans go to the tracer provider that the application has set up, as children of the span that
    is current where the result is awaited; attributes are the numbers of the event.

    Args:
        tracer: an OpenTelemetry tracer; that of the global provider unless given.

    Returns:
        A function that ends the recording.

    Raises:
        MissingExtraError: ``opentelemetry-api`` is not installed.
    """
    otel = require("opentelemetry.trace", "otel", "opentelemetry-api")
    used = tracer if tracer is not None else otel.get_tracer("ctxzip")

    def record(event: CompressionEvent) -> None:
        span = used.start_span("ctxzip.compress", start_time=event.started)
        for name, value in event.numbers().items():
            span.set_attribute(f"ctxzip.{name}", value)
        if event.fallback is not None:
            span.set_status(otel.StatusCode.ERROR, f"fell back after {event.fallback}")
        span.end(end_time=event.started + int(event.seconds * 1e9))

    return subscribe(record)
