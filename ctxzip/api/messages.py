"""Chat messages: shorten long and old contents, leave roles, order and tool structure alone.

Understood are the shapes of the large chat APIs: ``{"role", "content"}`` with a string or a list of
parts, of which ``text`` parts and the texts inside ``tool_result`` parts are contents; tool calls,
images and whatever else a message carries are handed through as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from ctxzip.api.arguments import budget_of, compressor_of, options_of
from ctxzip.errors import BudgetError, InputError
from ctxzip.kit.batch import DEFAULT_RATIO
from ctxzip.text import tokens
from ctxzip.types import Budget, Compression, Compressor, Document, Options, Request, check_text

__all__ = ["MessagesCompression", "Plan", "compress_messages", "plan"]

_UNTOUCHED_ROLES = ("system", "developer")
# The newest content may keep this many times what the oldest may.
_RECENCY = 3.0

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class MessagesCompression:
    """The result of :func:`compress_messages`.

    Attributes:
        messages: new messages, as many as there were, in the same order.
        tokens_before: tokens of all text contents, without the chat format's own overhead.
        tokens_after: the same of ``messages``.
        tokenizer: name of the counter.
        query: the question that contents were compressed for, or None.
        parts: for each shortened content ``(index of its message, its compression)``.
        notes: what the caller should know.
    """

    messages: list[dict[str, Any]]
    tokens_before: int
    tokens_after: int
    tokenizer: str
    query: str | None
    parts: tuple[tuple[int, Compression], ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """Fraction of tokens kept; 1.0 for empty input."""
        return self.tokens_after / self.tokens_before if self.tokens_before else 1.0


@dataclass(frozen=True, slots=True)
class _Content:
    """One text inside the messages: where it stands, what it says, whether it may be shortened."""

    message: int
    path: Path
    text: str
    tokens: int
    free: bool


def compress_messages(
    messages: Sequence[Mapping[str, Any]],
    ratio: float | None = None,
    *,
    query: str | None = None,
    target_tokens: int | None = None,
    compressor: str | Compressor = "auto",
    options: Options | None = None,
) -> MessagesCompression:
    """Shorten a conversation; old and long contents give way first.

    System messages, the message that the query comes from, tool calls and everything that is not
    text stay as they are; their texts count towards the budget.

    Args:
        messages: chat messages, oldest first; never changed.
        ratio: fraction of the conversation's tokens to keep, or a compression factor.
        query: what the answer is wanted for; the last user message unless given.
        target_tokens: hard ceiling on the tokens of all text contents together.
        compressor: as for :func:`ctxzip.compress`.
        options: as for :func:`ctxzip.compress`.

    Raises:
        InputError: something is not a message; it says which.
        BudgetError: what may not be touched exceeds the ceiling.
    """
    options = options_of(compressor, options)
    planned = plan(messages, ratio, query=query, target_tokens=target_tokens, options=options)
    return planned.finish(compressor_of(compressor, options).compress_many(planned.requests))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be compressed of a conversation, for whoever compresses it elsewhere.

    Attributes:
        requests: one for each content that has to be shortened, with its share of the budget.
    """

    requests: list[Request]
    _messages: list[dict[str, Any]]
    _work: list[_Content]
    _before: int
    _tokenizer: str
    _query: str | None
    _notes: tuple[str, ...] = ()

    def finish(self, compressed: Sequence[Compression]) -> MessagesCompression:
        """The conversation with the results of ``requests`` in their places."""
        for content, result in zip(self._work, compressed, strict=True):
            _put(self._messages[content.message], content.path, result.text)
        after = self._before - sum(
            result.tokens_before - result.tokens_after for result in compressed
        )
        parts = tuple((c.message, result) for c, result in zip(self._work, compressed, strict=True))
        return MessagesCompression(
            self._messages, self._before, after, self._tokenizer, self._query, parts, self._notes
        )


def plan(
    messages: Sequence[Mapping[str, Any]],
    ratio: float | None = None,
    *,
    query: str | None = None,
    target_tokens: int | None = None,
    options: Options,
) -> Plan:
    """The first half of :func:`compress_messages`, with the same arguments and errors."""
    budget = budget_of(ratio, target_tokens, None, options)
    if budget.ratio is None and budget.tokens is None:
        budget = replace(budget, ratio=DEFAULT_RATIO)
    counter = tokens.resolve(options.tokenizer)
    asking = _asking(messages)
    contents = _contents(messages, asking, counter)
    if query is None and asking is not None:
        query = "\n".join(c.text for c in contents if c.message == asking) or None
    before = sum(c.tokens for c in contents)
    ceiling = budget.ceiling(before)
    if ceiling is None:
        raise InputError("A conversation needs a ratio or target_tokens.")
    result: list[dict[str, Any]] = [_copy(message) for message in messages]
    if before <= ceiling:
        note = f"the conversation of {before} tokens already fits the ceiling of {ceiling}"
        return Plan([], result, [], before, counter.name, query, (note,))
    shares = _share(contents, ceiling)
    work = [(c, share) for c, share in zip(contents, shares, strict=True) if share < c.tokens]
    requests = [Request((Document(c.text),), query, Budget(tokens=share)) for c, share in work]
    return Plan(requests, result, [c for c, _ in work], before, counter.name, query)


def _asking(messages: Sequence[Mapping[str, Any]]) -> int | None:
    """The last user message that says something itself, not only hands back a tool's result."""
    for i in range(len(messages) - 1, -1, -1):
        message = messages[i]
        if not isinstance(message, Mapping) or message.get("role") != "user":
            continue
        content = message.get("content")
        if isinstance(content, str):
            if content.strip():
                return i
        elif isinstance(content, Sequence) and any(
            isinstance(part, Mapping) and part.get("type") == "text" for part in content
        ):
            return i
    return None


def _contents(
    messages: Sequence[Mapping[str, Any]], asking: int | None, counter: tokens.TokenCounter
) -> list[_Content]:
    if isinstance(messages, str | Mapping):
        raise InputError(f"messages is one {type(messages).__name__}.", hint="Give a sequence.")
    found = []
    for i, message in enumerate(messages):
        if not isinstance(message, Mapping) or "role" not in message:
            raise InputError(
                f"Message {i} is not a mapping with a 'role': {str(message)[:80]!r}.",
                hint='Give messages such as {"role": "user", "content": "..."}.',
            )
        free = message["role"] not in _UNTOUCHED_ROLES and i != asking
        for path, text in _texts(message.get("content"), ("content",)):
            check_text(text, f"the content of message {i}")
            found.append(_Content(i, path, text, counter.count(text), free))
    return found


def _texts(content: object, path: Path) -> list[tuple[Path, str]]:
    """The texts of a message's content with the way to each."""
    if isinstance(content, str):
        return [(path, content)]
    if not isinstance(content, Sequence):
        return []
    found: list[tuple[Path, str]] = []
    for k, part in enumerate(content):
        if isinstance(part, str):
            found.append(((*path, k), part))
        elif isinstance(part, Mapping):
            if part.get("type") in ("text", "input_text", "output_text"):
                found += _texts(part.get("text"), (*path, k, "text"))
            elif part.get("type") == "tool_result":
                found += _texts(part.get("content"), (*path, k, "content"))
    return found


def _share(contents: list[_Content], ceiling: int) -> list[int]:
    """Tokens that each content may keep: a level that rises from the oldest to the newest.

    A content below its level stays whole, so short ones are untouched until the long ones have
    come down to them.

    Raises:
        BudgetError: what may not be touched exceeds the ceiling.
    """
    fixed = sum(c.tokens for c in contents if not c.free)
    if fixed > ceiling:
        raise BudgetError(
            f"System messages and the question take {fixed} tokens; the ceiling is {ceiling}.",
            needed=fixed,
            ceiling=ceiling,
            hint=f"Allow at least {fixed} tokens.",
        )
    last = max((c.message for c in contents), default=0) or 1
    weight = [1.0 + (_RECENCY - 1.0) * c.message / last for c in contents]

    def shares(level: float) -> list[int]:
        return [
            min(c.tokens, int(level * w)) if c.free else c.tokens
            for c, w in zip(contents, weight, strict=True)
        ]

    low, high = 0.0, float(max((c.tokens for c in contents), default=0))
    for _ in range(60):
        middle = (low + high) / 2
        if sum(shares(middle)) <= ceiling:
            low = middle
        else:
            high = middle
    return shares(low)


def _copy(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message of one's own, as deep as its content may be changed."""
    copied = dict(message)
    if not isinstance(copied.get("content"), str):
        copied["content"] = deepcopy(copied.get("content"))
        if "content" not in message:
            del copied["content"]
    return copied


def _put(message: dict[str, Any], path: Path, text: str) -> None:
    place: Any = message
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = text
