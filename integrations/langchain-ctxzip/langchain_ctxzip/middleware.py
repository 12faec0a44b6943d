"""``CtxzipMiddleware``: agents of LangChain 1.x that send their model shorter conversations."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain.agents.middleware.types import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from ctxzip import Budget, Compressor, Document, Guard, InputError, Request
from ctxzip.api import Outcome
from langchain_ctxzip.messages import role_of, shorten, texts_of, with_texts

__all__ = ["CtxzipMiddleware"]

_REMEMBERED = 512


class CtxzipMiddleware(AgentMiddleware[Any, Any, Any]):
    """Shortens what the model is sent: long tool results, and old messages of long conversations.

    The agent's state keeps every message whole. System messages, the last user message, tool
    calls and what is not text are sent as they are. A tool result is shortened for the user
    message before it and always to the same text, so that a provider's prompt cache goes on
    working from turn to turn; only ``target_tokens``, once it is exceeded, changes older turns.

    Args:
        tool_tokens: ceiling in tokens on each tool result; None leaves them whole.
        target_tokens: ceiling in tokens on all texts of the conversation, the system prompt
            included; None for no ceiling.
        exclude_tools: names of tools whose results ``tool_tokens`` does not touch.
        compressor: a name, a compressor, or a ``ctxzip.Guard`` with its own time limit.

    Raises:
        ctxzip.InputError: a value is out of range or the compressor does not exist.

    Example:
        >>> agent = create_agent(model, tools, middleware=[CtxzipMiddleware(tool_tokens=800)])
    """

    def __init__(
        self,
        tool_tokens: int | None = 1000,
        target_tokens: int | None = None,
        exclude_tools: Sequence[str] = (),
        compressor: str | Compressor = "auto",
    ) -> None:
        super().__init__()
        for name, value in (("tool_tokens", tool_tokens), ("target_tokens", target_tokens)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise InputError(f"{name}={value!r} is not a whole number.")
            if value is not None and value < 1:
                raise InputError(f"{name}={value!r} is not at least 1.")
        if isinstance(exclude_tools, str):
            raise InputError(f"exclude_tools={exclude_tools!r} is one string.")
        self.tool_tokens = tool_tokens
        self.target_tokens = target_tokens
        self.exclude_tools = frozenset(exclude_tools)
        self.guard = compressor if isinstance(compressor, Guard) else Guard(compressor)
        self.guard.check()
        self._known: OrderedDict[bytes, tuple[list[str], dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any] | AIMessage:
        """Call the model with shorter messages.

        Raises:
            ctxzip.BudgetError: system prompt and question alone exceed ``target_tokens``.
        """
        return handler(request.override(messages=self._shortened(request)))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any] | AIMessage:
        """:meth:`wrap_model_call` without holding up the event loop."""
        messages = await asyncio.to_thread(self._shortened, request)
        return await handler(request.override(messages=messages))

    def _shortened(self, request: ModelRequest[Any]) -> list[Any]:
        messages = self._with_short_tools(request.messages)
        if self.target_tokens is None or not messages:
            return messages
        system = [request.system_message] if request.system_message is not None else []
        return shorten([*system, *messages], None, self.target_tokens, self.guard)[len(system) :]

    def _with_short_tools(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        result = list(messages)
        todo: list[tuple[int, bytes, Request]] = []
        query: str | None = None
        names: dict[str, str] = {}
        for i, message in enumerate(messages):
            if role_of(message) == "user":
                query = "\n".join(texts_of(message.content)) or None
            if isinstance(message, AIMessage):
                names.update({str(call["id"]): call["name"] for call in message.tool_calls})
            if not isinstance(message, ToolMessage) or self.tool_tokens is None:
                continue
            if (message.name or names.get(message.tool_call_id)) in self.exclude_tools:
                continue
            documents = tuple(Document(text) for text in texts_of(message.content))
            # A token is never shorter than a byte, so these cannot be too long.
            if sum(len(d.text.encode(errors="replace")) for d in documents) <= self.tool_tokens:
                continue
            key = _digest([query or "", *(d.text for d in documents)])
            todo.append((i, key, Request(documents, query, Budget(tokens=self.tool_tokens))))
        self._learn([(key, request) for _, key, request in todo])
        for i, key, _ in todo:
            with self._lock:
                texts, metadata = self._known[key]
            if texts != texts_of(messages[i].content):
                result[i] = with_texts(messages[i], texts, metadata)
        return result

    def _learn(self, asked: Sequence[tuple[bytes, Request]]) -> None:
        """See to it that the short texts of all requests are known."""
        with self._lock:
            new = {key: request for key, request in asked if key not in self._known}
        outcomes = self.guard.run(list(new.values()))
        with self._lock:
            for key, outcome in zip(new, outcomes, strict=True):
                self._known[key] = _remembered(outcome)
            for key, _ in asked:
                self._known.move_to_end(key)
            while len(self._known) > max(_REMEMBERED, len(asked)):
                self._known.popitem(last=False)


def _remembered(outcome: Outcome) -> tuple[list[str], dict[str, Any]]:
    compression = outcome.compression
    metadata: dict[str, Any] = {
        "compressor": compression.compressor,
        "tokens_before": compression.tokens_before,
        "tokens_after": compression.tokens_after,
    }
    if outcome.reason is not None:
        metadata["fallback"] = outcome.reason
    return [document.text for document in compression.documents], metadata


def _digest(texts: Sequence[str]) -> bytes:
    state = hashlib.sha256()
    for text in texts:
        encoded = text.encode(errors="surrogatepass")
        state.update(len(encoded).to_bytes(8, "big"))
        state.update(encoded)
    return state.digest()
