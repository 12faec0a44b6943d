"""What goes over the wire: the models behind the OpenAPI document.

All offsets are in Unicode code points, as Python counts them, half-open.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ctxzip.api.messages import MessagesCompression
from ctxzip.types import Compression, Document, Granularity, Options, Span

__all__ = [
    "CompressIn",
    "CompressOut",
    "ErrorOut",
    "HealthOut",
    "MessagesIn",
    "MessagesOut",
    "messages_out",
    "result_out",
]


class _In(BaseModel):
    """A misspelt field is an error, and so is a value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class DocumentIn(_In):
    """One retrieved text."""

    text: str
    id: str | None = None
    title: str | None = Field(
        default=None, description="Informs scoring; rendered only with titles=true."
    )


class OptionsIn(_In):
    """What is rarely set; see ctxzip.Options."""

    tokenizer: str = Field(
        default="o200k_base", description="An encoding, or an OpenAI model's name."
    )
    protect: list[str] = Field(default=[], description="Literal strings that must survive.")
    protect_soft: bool = True
    granularity: Granularity = "auto"
    min_per_document: int = 0
    reserve: int = 0
    margin: float = 0.0
    separator: str = "\n\n"
    titles: bool = False
    drop_empty: bool = False
    language: str | None = None

    def options(self) -> Options:
        """The same as ctxzip knows it.

        Raises:
            InputError: a value is out of range.
        """
        return Options(**{**self.model_dump(), "protect": tuple(self.protect)})


_Ratio = Annotated[
    float | None,
    Field(description="Fraction of tokens to keep in (0, 1], or above 1 a compression factor."),
]
_Tokens = Annotated[int | None, Field(description="Hard ceiling in tokens, instead of a ratio.")]
_Name = Annotated[
    str | None, Field(description="One of the compressors that the service was started with.")
]


class CompressIn(_In):
    """Documents that share a budget, and the question about them."""

    documents: str | list[str | DocumentIn] = Field(
        examples=[["The pump failed on Monday. It was replaced on 12 March. Nobody was hurt."]]
    )
    query: str | None = Field(default=None, examples=["When was the pump replaced?"])
    ratio: _Ratio = Field(default=None, examples=[0.5])
    target_tokens: _Tokens = None
    threshold: float | None = Field(
        default=None,
        description="Drop what is useful with a smaller probability (calibrated scores only).",
    )
    compressor: _Name = None
    options: OptionsIn = OptionsIn()
    units: bool = Field(
        default=False, description="Answer with every scored unit, dropped ones included."
    )

    def texts(self) -> list[Document]:
        """The documents, in order."""
        given = [self.documents] if isinstance(self.documents, str) else self.documents
        return [
            Document(document)
            if isinstance(document, str)
            else Document(document.text, document.id, document.title)
            for document in given
        ]


class MessagesIn(_In):
    """A conversation, oldest message first."""

    messages: list[dict[str, Any]] = Field(
        examples=[[{"role": "user", "content": "When was the pump replaced?"}]]
    )
    query: str | None = Field(default=None, description="The last user message unless given.")
    ratio: _Ratio = None
    target_tokens: _Tokens = None
    compressor: _Name = None
    options: OptionsIn = OptionsIn()


class UnitOut(BaseModel):
    """A sentence or word with what was decided about it."""

    start: int
    end: int
    score: float
    kept: bool
    protected: bool


class DocumentOut(BaseModel):
    """What is left of one document; ``kept`` is null where the text was rewritten."""

    index: int = Field(description="Which of the documents that were sent.")
    id: str | None
    text: str
    kept: list[tuple[int, int]] | None
    score: float | None
    units: list[UnitOut] | None = None


class CompressOut(BaseModel):
    """The compressed text and how it came about."""

    text: str
    tokens_before: int
    tokens_after: int
    ratio: float
    ceiling: int | None
    tokenizer: str
    compressor: str
    path: list[str]
    notes: list[str]
    fallback: str | None = Field(description="Why another compressor answered, or null.")
    seconds: dict[str, float] = Field(description="Per stage of the compressor.")
    documents: list[DocumentOut]


class MessagesOut(BaseModel):
    """The conversation with shorter contents; roles, order and tool calls as they were."""

    messages: list[dict[str, Any]]
    tokens_before: int
    tokens_after: int
    ratio: float
    tokenizer: str
    query: str | None
    shortened: list[int] = Field(description="Indices of the messages that are shorter now.")
    notes: list[str]


class Error(BaseModel):
    """What was wrong and what to do."""

    type: str
    message: str
    details: list[dict[str, Any]] | None = None
    needed: int | None = Field(default=None, description="Tokens that the protected text takes.")
    ceiling: int | None = None


class ErrorOut(BaseModel):
    """The body of every answer that is not 200."""

    error: Error


class HealthOut(BaseModel):
    """Whether the service can work."""

    status: str
    version: str
    compressors: list[str]
    in_flight: int


def result_out(
    result: Compression, sent: list[Document], fallback: str | None, units: bool
) -> dict[str, Any]:
    """A compression as :class:`CompressOut` describes it."""
    place = {id(document): i for i, document in enumerate(sent)}
    documents = []
    for document in result.documents:
        row: dict[str, Any] = {
            "index": place.get(id(document.source), 0),
            "id": document.source.id,
            "text": document.text,
            "kept": None if document.kept is None else [list(span) for span in document.kept],
            "score": document.score,
        }
        if units:
            row["units"] = [_unit(u.span, u.score, u.kept, u.protected) for u in document.units]
        documents.append(row)
    return {
        "text": result.text,
        "tokens_before": result.tokens_before,
        "tokens_after": result.tokens_after,
        "ratio": result.ratio,
        "ceiling": result.ceiling,
        "tokenizer": result.tokenizer,
        "compressor": result.compressor,
        "path": list(result.path),
        "notes": list(result.notes),
        "fallback": fallback,
        "seconds": dict(result.seconds),
        "documents": documents,
    }


def _unit(span: Span, score: float, kept: bool, protected: bool) -> dict[str, Any]:
    # JSON knows no infinity.
    finite = max(-1e9, min(1e9, float(score)))
    return {
        "start": int(span[0]),
        "end": int(span[1]),
        "score": finite,
        "kept": bool(kept),
        "protected": bool(protected),
    }


def messages_out(result: MessagesCompression) -> dict[str, Any]:
    """A conversation as :class:`MessagesOut` describes it."""
    return {
        "messages": result.messages,
        "tokens_before": result.tokens_before,
        "tokens_after": result.tokens_after,
        "ratio": result.ratio,
        "tokenizer": result.tokenizer,
        "query": result.query,
        "shortened": sorted({index for index, _ in result.parts}),
        "notes": list(result.notes),
    }
