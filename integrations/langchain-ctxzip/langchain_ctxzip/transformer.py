"""``CtxzipTransformer``: documents shortened offline, before they are indexed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.documents import BaseDocumentTransformer, Document

from ctxzip.api import Form, Scope, acompress_nodes, compress_nodes
from langchain_ctxzip.settings import Settings

__all__ = ["CtxzipTransformer"]


class CtxzipTransformer(Settings, BaseDocumentTransformer):
    """Shortens documents without a question, each under its own budget unless told otherwise.

    Provenance is written as a JSON string, since many vector stores take only plain metadata
    values, and there is no time limit, since nobody waits.
    """

    budget_scope: Scope = "each"
    provenance: Form | None = "json"
    timeout: float | None = None

    def transform_documents(self, documents: Sequence[Document], **kwargs: Any) -> list[Document]:
        """Compress documents; ``kwargs`` are the framework's and not used.

        Raises:
            ctxzip.BudgetError: hard-protected text alone exceeds a ceiling.
        """
        nodes = self._nodes(documents)
        answers = compress_nodes(self.guard, nodes, None, self.budget, self.budget_scope)
        return self._copies(documents, answers)

    async def atransform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> list[Document]:
        """:meth:`transform_documents` without holding up the event loop."""
        nodes = self._nodes(documents)
        answers = await acompress_nodes(self.guard, nodes, None, self.budget, self.budget_scope)
        return self._copies(documents, answers)
