"""``CtxzipTransform``: nodes shortened in an ingestion pipeline, before they are embedded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import BaseNode, TransformComponent
from llama_index.postprocessor.ctxzip.events import dispatcher, report
from llama_index.postprocessor.ctxzip.settings import Settings, merged

from ctxzip.api import Answer, Form, Node, Scope, acompress_nodes, compress_nodes

__all__ = ["CtxzipTransform"]


class CtxzipTransform(Settings, TransformComponent):
    """Shortens nodes without a question, each under its own budget unless told otherwise.

    Provenance is written as a JSON string, since many vector stores take only plain metadata
    values, and there is no time limit, since nobody waits.

    Example:
        >>> IngestionPipeline(transformations=[SentenceSplitter(), CtxzipTransform(ratio=0.7)])
    """

    budget_scope: Scope = Field(
        default="each", description="'all': the nodes share the budget; 'each': one for each node."
    )
    provenance: Form | None = Field(
        default="json",
        description="Form of the metadata entry 'ctxzip': 'dict', 'json', or None for no entry.",
    )
    timeout: float | None = Field(default=None, description="Seconds that a call may take.")

    @classmethod
    def class_name(cls) -> str:
        """Class name."""
        return "CtxzipTransform"

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[BaseNode]:
        """Compress nodes; ``kwargs`` are the framework's and not used.

        Raises:
            ctxzip.BudgetError: hard-protected text alone exceeds a ceiling.
        """
        views = [self._view(node) for node in nodes]
        texts = [view for view in views if view is not None]
        answers = compress_nodes(self.guard, texts, None, self.budget, self.budget_scope)
        return self._finished(nodes, views, answers)

    @dispatcher.span
    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[BaseNode]:
        """Compress nodes without holding up the event loop."""
        views = [self._view(node) for node in nodes]
        texts = [view for view in views if view is not None]
        answers = await acompress_nodes(self.guard, texts, None, self.budget, self.budget_scope)
        return self._finished(nodes, views, answers)

    def _finished(
        self, nodes: Sequence[BaseNode], views: Sequence[Node | None], answers: Sequence[Answer]
    ) -> list[BaseNode]:
        report(answers)
        with_text = [node for node, view in zip(nodes, views, strict=True) if view is not None]
        copies = [
            None if answer.vanished and self.drop_empty else self._copy(node, answer)
            for node, answer in zip(with_text, answers, strict=True)
        ]
        return merged(nodes, copies, views)
