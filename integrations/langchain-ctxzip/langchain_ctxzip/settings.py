"""The fields that every LangChain component of ctxzip has, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from langchain_core.documents import Document
from langchain_core.load.serializable import Serializable
from pydantic import ConfigDict, Field, PrivateAttr, field_serializer, model_validator

from ctxzip import Budget, Compressor, Guard, Options
from ctxzip.api import KEY, Answer, Form, Hook, Node, OnError, Scope, budget_of, encoded

__all__ = ["Settings"]


class Settings(Serializable):
    """How much stays, who compresses, and what happens when that fails.

    Raises:
        pydantic.ValidationError: two ceilings at once, a value out of range, or a compressor that
            does not exist; it is a ``ValueError`` and repeats ctxzip's own message.
        ctxzip.MissingExtraError: the compressor needs a package that is not installed.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    compressor: str | Compressor = "auto"
    """A name that ``ctxzip.list_compressors()`` lists, or a compressor object."""

    ratio: float | None = None
    """Fraction of tokens to keep in (0, 1], or above 1 a compression factor."""

    target_tokens: int | None = Field(default=None, strict=True)
    """Hard ceiling in tokens. Without any budget half of the tokens stay."""

    threshold: float | None = None
    """Calibrated probability below which text is dropped."""

    budget_scope: Scope = "all"
    """``"all"``: the documents share the budget; ``"each"``: it applies to each of them."""

    drop_empty: bool = True
    """Leave out documents of which nothing was kept; otherwise they stay with empty text."""

    options: Options = Field(default_factory=Options)
    """What is rarely set: tokenizer, protection, separator, reserve."""

    title_key: str | None = "title"
    """Metadata key of a title that informs scoring; None for no title."""

    provenance: Form | None = "dict"
    """Form of the metadata entry ``ctxzip``: a mapping, a JSON string for vector stores that take
    only plain values, or None for no entry."""

    timeout: float | None = 30.0
    """Seconds that a call may take; None for no limit."""

    on_error: OnError = "fallback"
    """``"fallback"``: the lexical compressor answers instead, and the originals only where no
    ceiling forbids it; ``"raise"``: the error is raised."""

    batch_window: float = 0.003
    """Most seconds for which an asynchronous call waits for others to share its batch."""

    on_event: Hook | None = Field(default=None, exclude=True)
    """Called with a ``ctxzip.CompressionEvent`` after each compression."""

    _guard: Guard = PrivateAttr()
    _budget: Budget = PrivateAttr()

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain may write this object as JSON: yes."""
        return True

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """What LangChain cannot write as it is: options as plain values, a compressor's name."""
        return {"compressor": self._guard.name, "options": _changed(self.options)}

    @field_serializer("compressor")
    def _compressor_name(self, compressor: str | Compressor) -> str:
        return compressor if isinstance(compressor, str) else compressor.name

    @field_serializer("options")
    def _plain_options(self, options: Options) -> dict[str, Any]:
        return _changed(options)

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

    def _nodes(self, documents: Sequence[Document]) -> list[Node]:
        return [self._node(document) for document in documents]

    def _node(self, document: Document) -> Node:
        metadata = document.metadata or {}
        title = metadata.get(self.title_key) if self.title_key is not None else None
        return Node(
            text=document.page_content or "",
            id=document.id,
            title=title if isinstance(title, str) else None,
            earlier=metadata.get(KEY),
        )

    def _copies(self, documents: Sequence[Document], answers: Sequence[Answer]) -> list[Document]:
        """New documents; those given stay as they are."""
        copies = []
        for document, answer in zip(documents, answers, strict=True):
            if answer.vanished and self.drop_empty:
                continue
            metadata = dict(document.metadata or {})
            if self.provenance is not None:
                metadata[KEY] = encoded(answer.provenance, self.provenance)
            update = {"page_content": answer.text, "metadata": metadata}
            copies.append(document.model_copy(update=update))
        return copies


def _changed(options: Options) -> dict[str, Any]:
    """The options that differ from the defaults."""
    usual = Options()
    values = {f.name: getattr(options, f.name) for f in fields(Options)}
    return {name: value for name, value in values.items() if value != getattr(usual, name)}
