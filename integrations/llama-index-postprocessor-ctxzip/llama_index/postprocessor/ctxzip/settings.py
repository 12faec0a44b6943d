"""The fields that both LlamaIndex components of ctxzip have, and how they treat nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from llama_index.core.bridge.pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    field_serializer,
    model_validator,
)
from llama_index.core.schema import BaseNode, MediaResource, MetadataMode, TextNode
from llama_index.core.schema import Node as AnyNode

from ctxzip import Budget, Compressor, Guard, Options
from ctxzip.api import KEY, Answer, Form, Hook, Node, OnError, Scope, budget_of, encoded

__all__ = ["Settings"]


class Settings(BaseModel):
    """How much stays, who compresses, and what happens when that fails.

    Raises:
        pydantic.ValidationError: two ceilings at once, a value out of range, or a compressor that
            does not exist; it is a ``ValueError`` and repeats ctxzip's own message.
        ctxzip.MissingExtraError: the compressor needs a package that is not installed.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    compressor: str | Compressor = Field(
        default="auto", description="Name of a ctxzip compressor, or a compressor object."
    )
    ratio: float | None = Field(
        default=None,
        description="Fraction of tokens to keep in (0, 1], or above 1 a compression factor.",
    )
    target_tokens: int | None = Field(
        default=None, strict=True, description="Hard ceiling in tokens on the texts of the nodes."
    )
    threshold: float | None = Field(
        default=None, description="Calibrated probability below which text is dropped."
    )
    budget_scope: Scope = Field(
        default="all", description="'all': the nodes share the budget; 'each': one for each node."
    )
    drop_empty: bool = Field(default=True, description="Leave out nodes of which nothing was kept.")
    options: Options = Field(default_factory=Options, description="What is rarely set.")
    title_key: str | None = Field(
        default="title", description="Metadata key of a title that informs scoring."
    )
    provenance: Form | None = Field(
        default="dict",
        description="Form of the metadata entry 'ctxzip': 'dict', 'json', or None for no entry.",
    )
    timeout: float | None = Field(default=30.0, description="Seconds that a call may take.")
    on_error: OnError = Field(
        default="fallback",
        description="'fallback': the lexical compressor answers; 'raise': the error is raised.",
    )
    batch_window: float = Field(
        default=0.003, description="Most seconds for which asynchronous calls wait for company."
    )
    on_event: Hook | None = Field(
        default=None, exclude=True, description="Called with the numbers of each compression."
    )

    _guard: Guard = PrivateAttr()
    _budget: Budget = PrivateAttr()

    @field_serializer("compressor")
    def _compressor_name(self, compressor: str | Compressor) -> str:
        return compressor if isinstance(compressor, str) else compressor.name

    @field_serializer("options")
    def _plain_options(self, options: Options) -> dict[str, Any]:
        usual = Options()
        values = {f.name: getattr(options, f.name) for f in fields(Options)}
        return {name: value for name, value in values.items() if value != getattr(usual, name)}

    @model_validator(mode="after")
    def _wire(self) -> Settings:
        self._guard = Guard(
            compressor=self.compressor,
            options=self.options,
            timeout=self.timeout,
            on_error=self.on_error,
            window=self.batch_window,
            hook=self.on_event,
        )
        self._guard.check()
        self._budget = budget_of(
            self.ratio, self.target_tokens, self.threshold, self._guard.options
        )
        return self

    @property
    def guard(self) -> Guard:
        """The compressor that these settings describe, with its time limit and fallback."""
        return self._guard

    @property
    def budget(self) -> Budget:
        """How much may stay."""
        return self._budget

    def _view(self, node: BaseNode) -> Node | None:
        """A node as ctxzip needs it; None where it has no text, as most image nodes."""
        text = text_of(node)
        if not text:
            return None
        metadata = node.metadata or {}
        title = metadata.get(self.title_key) if self.title_key is not None else None
        return Node(
            text=text,
            id=node.node_id,
            title=title if isinstance(title, str) else None,
            offset=getattr(node, "start_char_idx", None) or 0,
            earlier=metadata.get(KEY),
        )

    def _copy(self, node: BaseNode, answer: Answer) -> BaseNode:
        """A new node with the compressed text; the one given stays as it is."""
        update: dict[str, Any] = {
            "metadata": dict(node.metadata or {}),
            "relationships": dict(node.relationships or {}),
            "excluded_llm_metadata_keys": list(node.excluded_llm_metadata_keys or ()),
            "excluded_embed_metadata_keys": list(node.excluded_embed_metadata_keys or ()),
        }
        if self.provenance is not None:
            update["metadata"][KEY] = encoded(answer.provenance, self.provenance)
            for name in ("excluded_llm_metadata_keys", "excluded_embed_metadata_keys"):
                if KEY not in update[name]:
                    update[name].append(KEY)
        if isinstance(node, TextNode):
            return node.model_copy(update={**update, "text": answer.text})
        if isinstance(node, AnyNode):
            resource = node.text_resource or MediaResource()
            shorter = resource.model_copy(update={"text": answer.text})
            return node.model_copy(update={**update, "text_resource": shorter})
        copy = node.model_copy(update=update, deep=True)
        copy.set_content(answer.text)
        return copy


def text_of(node: BaseNode) -> str:
    """The text of a node without its metadata; empty where it has none."""
    try:
        return node.get_content(metadata_mode=MetadataMode.NONE) or ""
    except NotImplementedError:
        return ""


def merged(
    given: Sequence[Any], kept: Sequence[Any | None], views: Sequence[Node | None]
) -> list[Any]:
    """Copies where there was text, the original where there was none, in the order given."""
    rest = iter(kept)
    found = [one if view is None else next(rest) for one, view in zip(given, views, strict=True)]
    return [one for one in found if one is not None]
