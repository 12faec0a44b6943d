"""``CtxzipCompressor``: between a retriever and an LLM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import RunnableSerializable

from ctxzip.api import acompress_nodes, compress_nodes
from langchain_ctxzip import tracing
from langchain_ctxzip.runnable import CtxzipRunnable
from langchain_ctxzip.settings import Settings

__all__ = ["CtxzipCompressor"]


class CtxzipCompressor(Settings, BaseDocumentCompressor):
    """Shortens retrieved documents to what the question needs, under a token budget.

    Documents keep their id, metadata and order; the text of each is cut from its original, and
    ``metadata["ctxzip"]`` says which spans of it were kept. The documents given are not changed.

    Example:
        >>> compressor = CtxzipCompressor(target_tokens=1000)
        >>> retriever = ContextualCompressionRetriever(
        ...     base_compressor=compressor, base_retriever=vector_store.as_retriever()
        ... )
    """

    def compress_documents(
        self, documents: Sequence[Document], query: str | None, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Compress documents for a query.

        Args:
            documents: what was retrieved.
            query: the question, or None where the compressor needs none.
            callbacks: see the step as a run named ``CtxzipCompressor``.

        Raises:
            ctxzip.InputError: an argument cannot be used, or the compressor needs a query.
            ctxzip.BudgetError: hard-protected text alone exceeds the ceiling.
        """
        manager = tracing.callback_manager(callbacks)
        run = manager.on_chain_start(
            None, tracing.inputs(documents, query), name=type(self).__name__
        )
        try:
            nodes = self._nodes(documents)
            answers = compress_nodes(self.guard, nodes, query, self.budget, self.budget_scope)
            result = self._copies(documents, answers)
        except BaseException as error:
            run.on_chain_error(error)
            raise
        if manager.handlers:
            for name, data in tracing.payloads(answers):
                manager.on_custom_event(name, data, run_id=run.run_id)
        run.on_chain_end({"documents": result})
        return result

    async def acompress_documents(
        self, documents: Sequence[Document], query: str | None, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """:meth:`compress_documents` without holding up the event loop.

        Calls that are made at the same time share batches of the model; their results are the
        same as one after another.
        """
        manager = tracing.async_callback_manager(callbacks)
        run = await manager.on_chain_start(
            None, tracing.inputs(documents, query), name=type(self).__name__
        )
        try:
            nodes = self._nodes(documents)
            answers = await acompress_nodes(
                self.guard, nodes, query, self.budget, self.budget_scope
            )
            result = self._copies(documents, answers)
        except BaseException as error:
            await run.on_chain_error(error)
            raise
        if manager.handlers:
            for name, data in tracing.payloads(answers):
                await manager.on_custom_event(name, data, run_id=run.run_id)
        await run.on_chain_end({"documents": result})
        return result

    def as_runnable(
        self, documents_key: str = "documents", query_key: str = "query"
    ) -> RunnableSerializable[Any, Any]:
        """A step for LCEL chains.

        It takes a mapping with documents and a query and gives the same mapping with the
        documents compressed, or takes a prompt value and gives a shorter one of the same kind.

        Args:
            documents_key: where the mapping holds the documents.
            query_key: where it holds the question; it may be missing.
        """
        return CtxzipRunnable(compressor=self, documents_key=documents_key, query_key=query_key)
