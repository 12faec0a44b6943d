"""``CtxzipPostprocessor``: between a retriever and the response synthesizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.postprocessor.ctxzip.events import dispatcher, report
from llama_index.postprocessor.ctxzip.settings import Settings, merged

from ctxzip.api import Answer, Node, acompress_nodes, compress_nodes

__all__ = ["CtxzipPostprocessor"]


class CtxzipPostprocessor(Settings, BaseNodePostprocessor):
    """Shortens retrieved nodes to what the question needs, under a token budget.

    New nodes come back: with the id, score, order, relationships and metadata of those given,
    which are not changed. ``metadata["ctxzip"]`` says which spans were kept, counted from
    ``start_char_idx`` where the node has one; it is hidden from the LLM and the embedding model.
    Nodes without text, such as images, pass as they are.

    The budget counts the texts of the nodes, not the metadata that a prompt may show beside them.

    Example:
        >>> engine = index.as_query_engine(
        ...     node_postprocessors=[CtxzipPostprocessor(target_tokens=1000)]
        ... )
    """

    @classmethod
    def class_name(cls) -> str:
        """Class name."""
        return "CtxzipPostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        """Compress nodes.

        Raises:
            ctxzip.InputError: an argument cannot be used, or the compressor needs a query.
            ctxzip.BudgetError: hard-protected text alone exceeds the ceiling.
        """
        query = query_bundle.query_str if query_bundle is not None else None
        with self.callback_manager.event(CBEventType.RERANKING, self._payload(nodes, query)) as on:
            views = [self._view(one.node) for one in nodes]
            texts = [view for view in views if view is not None]
            answers = compress_nodes(self.guard, texts, query, self.budget, self.budget_scope)
            found = self._finished(nodes, views, answers)
            on.on_end(payload={EventPayload.NODES: found})
        return found

    @dispatcher.span
    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        """Compress nodes without holding up the event loop.

        Calls that are made at the same time share batches of the model; their results are the
        same as one after another.
        """
        query = query_bundle.query_str if query_bundle is not None else None
        with self.callback_manager.event(CBEventType.RERANKING, self._payload(nodes, query)) as on:
            views = [self._view(one.node) for one in nodes]
            texts = [view for view in views if view is not None]
            answers = await acompress_nodes(
                self.guard, texts, query, self.budget, self.budget_scope
            )
            found = self._finished(nodes, views, answers)
            on.on_end(payload={EventPayload.NODES: found})
        return found

    def _payload(self, nodes: Sequence[NodeWithScore], query: str | None) -> dict[str, Any]:
        """What callback handlers are told at the start; reranking is the nearest kind of event."""
        return {
            EventPayload.NODES: list(nodes),
            EventPayload.QUERY_STR: query,
            EventPayload.MODEL_NAME: self.guard.name,
        }

    def _finished(
        self,
        nodes: Sequence[NodeWithScore],
        views: Sequence[Node | None],
        answers: Sequence[Answer],
    ) -> list[NodeWithScore]:
        report(answers)
        with_text = [one for one, view in zip(nodes, views, strict=True) if view is not None]
        copies = [
            None
            if answer.vanished and self.drop_empty
            else one.model_copy(update={"node": self._copy(one.node, answer)})
            for one, answer in zip(with_text, answers, strict=True)
        ]
        return merged(nodes, copies, views)
