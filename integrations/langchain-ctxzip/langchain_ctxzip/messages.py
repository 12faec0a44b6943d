"""LangChain messages shortened: texts give way, everything that makes up the structure stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from ctxzip import Guard, compress_messages

__all__ = ["role_of", "shorten", "texts_of", "with_texts"]

_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}
# Some chat APIs refuse a message that says nothing.
_EMPTY = "\N{HORIZONTAL ELLIPSIS}"


def role_of(message: BaseMessage) -> str:
    """The role of a message in the terms of the chat APIs."""
    role = getattr(message, "role", None)
    return role if isinstance(role, str) else _ROLES.get(message.type.lower(), message.type)


def shorten(
    messages: Sequence[BaseMessage],
    ratio: float | None,
    target_tokens: int | None,
    guard: Guard,
) -> list[BaseMessage]:
    """Shorten a conversation; old and long messages give way first.

    System messages, the last user message, tool calls and whatever is not text stay as they are.
    The messages given are not changed.

    Args:
        messages: oldest first.
        ratio: fraction of the conversation's tokens to keep, or a compression factor.
        target_tokens: hard ceiling on the tokens of all text contents together.
        guard: who compresses.

    Raises:
        ctxzip.BudgetError: what may not be touched exceeds the ceiling.
    """
    if target_tokens is not None:
        target_tokens = max(0, target_tokens - len(messages))  # room for the ellipses
    result = compress_messages(
        [{"role": role_of(message), "content": message.content} for message in messages],
        ratio,
        target_tokens=target_tokens,
        compressor=guard,
    )
    return [
        _with_content(message, new["content"])
        for message, new in zip(messages, result.messages, strict=True)
    ]


def _with_content(message: BaseMessage, content: Any) -> BaseMessage:
    if content == message.content:
        return message
    return message.model_copy(update={"content": _never_empty(content, message.content)})


def _never_empty(content: Any, original: Any) -> Any:
    if isinstance(content, str):
        return content if content.strip() or not str(original).strip() else _EMPTY
    parts = list(content)
    for i, part in enumerate(parts):
        if part == "":
            parts[i] = _EMPTY
        elif isinstance(part, dict) and part.get("type") == "text" and part.get("text") == "":
            parts[i] = {**part, "text": _EMPTY}
    return parts


def texts_of(content: str | list[Any]) -> list[str]:
    """The texts of a message's content, in order."""
    if isinstance(content, str):
        return [content]
    found = []
    for part in content:
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else part
        if isinstance(text, str):
            found.append(text)
    return found


def with_texts(message: BaseMessage, texts: Sequence[str], metadata: dict[str, Any]) -> BaseMessage:
    """A copy of a message with other texts in the places of its own.

    Args:
        message: stays as it is.
        texts: as many as ``texts_of`` finds in it.
        metadata: what to write into ``response_metadata["ctxzip"]``.
    """
    rest = iter(texts)
    content: Any
    if isinstance(message.content, str):
        content = next(rest)
    else:
        content = []
        for part in message.content:
            if isinstance(part, str):
                content.append(next(rest))
            elif part.get("type") == "text" and isinstance(part.get("text"), str):
                content.append({**part, "text": next(rest)})
            else:
                content.append(part)
    update = {
        "content": _never_empty(content, message.content),
        "response_metadata": {**message.response_metadata, "ctxzip": metadata},
    }
    return message.model_copy(update=update)
