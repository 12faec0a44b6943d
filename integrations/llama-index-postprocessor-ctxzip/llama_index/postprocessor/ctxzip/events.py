"""Events for LlamaIndex's instrumentation: the numbers of each compression, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.base import BaseEvent  # type: ignore[attr-defined]

from ctxzip.api import Answer, event_of

__all__ = ["CtxzipEndEvent", "CtxzipFallbackEvent", "dispatcher", "report"]

dispatcher = get_dispatcher(__name__)


class CtxzipEndEvent(BaseEvent):
    """A compression is done.

    Attributes:
        numbers: tokens before and after, seconds per stage, documents, compressor and path.
    """

    numbers: dict[str, Any]

    @classmethod
    def class_name(cls) -> str:
        """Class name."""
        return "CtxzipEndEvent"


class CtxzipFallbackEvent(BaseEvent):
    """The compressor that was asked for did not answer; another did, or the originals stand.

    Attributes:
        kind: ``"error"``, ``"timeout"`` or ``"busy"``.
        reason: the same in words.
    """

    kind: str
    reason: str

    @classmethod
    def class_name(cls) -> str:
        """Class name."""
        return "CtxzipFallbackEvent"


def report(answers: Sequence[Answer]) -> None:
    """Dispatch the events of the compressions that these answers came from."""
    nodes: dict[int, int] = {}
    for answer in answers:
        nodes[id(answer.outcome)] = nodes.get(id(answer.outcome), 0) + 1
    for outcome in {id(answer.outcome): answer.outcome for answer in answers}.values():
        spent = sum(outcome.compression.seconds.values())
        event = event_of(outcome.compression, nodes[id(outcome)], 0, spent, outcome.fallback)
        dispatcher.event(CtxzipEndEvent(numbers=event.numbers()))
        if outcome.fallback is not None:
            reason = outcome.reason or ""
            dispatcher.event(CtxzipFallbackEvent(kind=outcome.fallback, reason=reason))
