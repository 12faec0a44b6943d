"""A compression as a run that callbacks and tracers see, with its numbers as custom events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManager, CallbackManager, Callbacks
from langchain_core.documents import Document
from langchain_core.runnables.config import (
    RunnableConfig,
    ensure_config,
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
)

from ctxzip.api import Answer, event_of

__all__ = [
    "COMPRESSED",
    "FELL_BACK",
    "async_callback_manager",
    "callback_manager",
    "inputs",
    "payloads",
]

COMPRESSED = "ctxzip.compression"
FELL_BACK = "ctxzip.fallback"


def _config(callbacks: Callbacks) -> RunnableConfig:
    # Without callbacks of its own the step belongs to the run around it, if there is one.
    return ensure_config({"callbacks": callbacks} if callbacks is not None else None)


def callback_manager(callbacks: Callbacks) -> CallbackManager:
    """The manager for a synchronous step."""
    return get_callback_manager_for_config(_config(callbacks))


def async_callback_manager(callbacks: Callbacks) -> AsyncCallbackManager:
    """The manager for an asynchronous step."""
    return get_async_callback_manager_for_config(_config(callbacks))


def inputs(documents: Sequence[Document], query: str | None) -> dict[str, Any]:
    """What a run says that it was given."""
    return {"documents": list(documents), "query": query}


def payloads(answers: Sequence[Answer]) -> list[tuple[str, dict[str, Any]]]:
    """Names and data of the custom events of a run: one for each compression, more on failure."""
    found: list[tuple[str, dict[str, Any]]] = []
    seen: dict[int, int] = {}
    for answer in answers:
        seen[id(answer.outcome)] = seen.get(id(answer.outcome), 0) + 1
    for outcome in {id(answer.outcome): answer.outcome for answer in answers}.values():
        spent = sum(outcome.compression.seconds.values())
        event = event_of(outcome.compression, seen[id(outcome)], 0, spent, outcome.fallback)
        found.append((COMPRESSED, event.numbers()))
        if outcome.reason is not None:
            found.append((FELL_BACK, {"kind": outcome.fallback, "reason": outcome.reason}))
    return found
