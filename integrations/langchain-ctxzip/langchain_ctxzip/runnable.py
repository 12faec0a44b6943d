"""``CtxzipRunnable``: a compressor as a step of an LCEL chain."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from langchain_core.callbacks import (
    AsyncCallbackManagerForChainRun,
    CallbackManagerForChainRun,
    Callbacks,
)
from langchain_core.documents import Document
from langchain_core.prompt_values import ChatPromptValue, PromptValue, StringPromptValue
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import ConfigDict

from ctxzip import Budget, Guard, InputError, Request
from ctxzip import Document as Source
from langchain_ctxzip.messages import shorten

__all__ = ["CtxzipRunnable"]


@runtime_checkable
class DocumentCompressor(Protocol):
    """What the step asks for; ``CtxzipCompressor`` has it."""

    ratio: float | None
    target_tokens: int | None

    @property
    def budget(self) -> Budget: ...
    @property
    def guard(self) -> Guard: ...
    def compress_documents(
        self, documents: Sequence[Document], query: str | None, callbacks: Callbacks | None = None
    ) -> list[Document]: ...
    async def acompress_documents(
        self, documents: Sequence[Document], query: str | None, callbacks: Callbacks | None = None
    ) -> list[Document]: ...


class CtxzipRunnable(RunnableSerializable[Any, Any]):
    """Takes a mapping or a prompt value and gives the same, compressed; see ``as_runnable``.

    A mapping keeps its other keys. A chat prompt keeps its roles, its system messages, its last
    user message and its tool calls.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    compressor: DocumentCompressor
    documents_key: str = "documents"
    query_key: str = "query"

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain may write this object as JSON: yes."""
        return True

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002  # the framework's name
        """Compress.

        Raises:
            ctxzip.InputError: the input is neither a mapping with documents nor a prompt value.
            ctxzip.BudgetError: what may not be touched exceeds the ceiling.
        """
        return self._call_with_config(self._compress, input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """:meth:`invoke` without holding up the event loop."""
        return await self._acall_with_config(self._acompress, input, config, **kwargs)

    def _compress(self, given: Any, run_manager: CallbackManagerForChainRun) -> Any:
        if isinstance(given, PromptValue):
            return self._prompt(given)
        documents, query = self._parts(given)
        result = self.compressor.compress_documents(documents, query, run_manager.get_child())
        return {**given, self.documents_key: result}

    async def _acompress(self, given: Any, run_manager: AsyncCallbackManagerForChainRun) -> Any:
        if isinstance(given, PromptValue):
            return await asyncio.to_thread(self._prompt, given)
        documents, query = self._parts(given)
        result = await self.compressor.acompress_documents(
            documents, query, run_manager.get_child()
        )
        return {**given, self.documents_key: result}

    def _parts(self, given: Any) -> tuple[list[Document], str | None]:
        if not isinstance(given, Mapping) or self.documents_key not in given:
            what = sorted(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
            raise InputError(
                f"The input is neither a prompt value nor a mapping with {self.documents_key!r}:"
                f" {what}.",
                hint="as_runnable(documents_key=..., query_key=...) takes other names.",
            )
        documents = list(given[self.documents_key] or [])
        for i, document in enumerate(documents):
            if not isinstance(document, Document):
                raise InputError(f"Document {i} is {type(document).__name__}, not a Document.")
        query = given.get(self.query_key)
        if query is not None and not isinstance(query, str):
            raise InputError(f"{self.query_key!r} is {type(query).__name__}, not a string.")
        return documents, query

    def _prompt(self, prompt: PromptValue) -> PromptValue:
        settings = self.compressor
        if isinstance(prompt, StringPromptValue):
            request = Request((Source(prompt.text),), None, settings.budget)
            text = settings.guard.run([request])[0].compression.text
            return prompt.model_copy(update={"text": text})
        if isinstance(prompt, ChatPromptValue):
            guard = settings.guard
            messages = shorten(prompt.messages, settings.ratio, settings.target_tokens, guard)
            return prompt.model_copy(update={"messages": messages})
        raise InputError(f"A {type(prompt).__name__} cannot be compressed.")
