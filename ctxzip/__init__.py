"""ctxzip: send an LLM less text and get the same answer.

    >>> import ctxzip
    >>> result = ctxzip.compress(passages, 0.3, query="When was the valve replaced?")
    >>> result.text, result.tokens_before, result.tokens_after

Names are imported when they are first used, so ``import ctxzip`` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ctxzip.errors import BudgetError, CtxzipError, InputError, MissingExtraError, ModelError
from ctxzip.kit import moved
from ctxzip.types import (
    Budget,
    CompressedDocument,
    Compression,
    Compressor,
    Document,
    Options,
    Request,
    ScoredUnit,
    Segment,
    Span,
)

if TYPE_CHECKING:
    from ctxzip import report as report
    from ctxzip.api.calls import acompress as acompress
    from ctxzip.api.calls import compress as compress
    from ctxzip.api.calls import compress_many as compress_many
    from ctxzip.api.events import CompressionEvent as CompressionEvent
    from ctxzip.api.guard import CompressionTimeoutError as CompressionTimeoutError
    from ctxzip.api.guard import Guard as Guard
    from ctxzip.api.labels import word_labels as word_labels
    from ctxzip.api.messages import MessagesCompression as MessagesCompression
    from ctxzip.api.messages import compress_messages as compress_messages
    from ctxzip.api.source_files import Files as Files
    from ctxzip.api.source_files import read_files as read_files
    from ctxzip.backends.chat import Chat as Chat
    from ctxzip.code.settings import LongCodeZip as LongCodeZip
    from ctxzip.compressors import CompressorInfo as CompressorInfo
    from ctxzip.compressors import list_compressors as list_compressors
    from ctxzip.compressors import load as load
    from ctxzip.compressors.rewriting.writers import Abstractive as Abstractive
    from ctxzip.index import SentenceIndex as SentenceIndex
    from ctxzip.score.classifier import LLMLingua2 as LLMLingua2
    from ctxzip.score.embedding import Recomp as Recomp
    from ctxzip.score.likelihood import Exit as Exit
    from ctxzip.score.mini.scorer import Mini as Mini

__version__ = "0.1.0"


def _display(result: Compression) -> str:
    shown: str = importlib.import_module("ctxzip.report").fragment(result)
    return shown


Compression._display = _display
moved.install()

_LAZY = {
    "Abstractive": "ctxzip.compressors.rewriting.writers",
    "Chat": "ctxzip.backends.chat",
    "CompressionEvent": "ctxzip.api.events",
    "CompressionTimeoutError": "ctxzip.api.guard",
    "CompressorInfo": "ctxzip.compressors",
    "Exit": "ctxzip.score.likelihood",
    "Files": "ctxzip.api.source_files",
    "Guard": "ctxzip.api.guard",
    "LLMLingua2": "ctxzip.score.classifier",
    "MessagesCompression": "ctxzip.api.messages",
    "LongCodeZip": "ctxzip.code.settings",
    "Mini": "ctxzip.score.mini.scorer",
    "Recomp": "ctxzip.score.embedding",
    "SentenceIndex": "ctxzip.index",
    "acompress": "ctxzip.api.calls",
    "compress": "ctxzip.api.calls",
    "compress_many": "ctxzip.api.calls",
    "compress_messages": "ctxzip.api.messages",
    "list_compressors": "ctxzip.compressors",
    "load": "ctxzip.compressors",
    "read_files": "ctxzip.api.source_files",
    "word_labels": "ctxzip.api.labels",
}

__all__ = [
    "Abstractive",
    "Budget",
    "BudgetError",
    "Chat",
    "CompressedDocument",
    "Compression",
    "CompressionEvent",
    "CompressionTimeoutError",
    "Compressor",
    "CompressorInfo",
    "CtxzipError",
    "Document",
    "Exit",
    "Files",
    "Guard",
    "InputError",
    "LLMLingua2",
    "LongCodeZip",
    "MessagesCompression",
    "Mini",
    "MissingExtraError",
    "ModelError",
    "Options",
    "Recomp",
    "Request",
    "ScoredUnit",
    "Segment",
    "SentenceIndex",
    "Span",
    "__version__",
    "acompress",
    "compress",
    "compress_many",
    "compress_messages",
    "list_compressors",
    "load",
    "read_files",
    "report",
    "word_labels",
]


def __getattr__(name: str) -> object:
    if name == "report":
        return importlib.import_module("ctxzip.report")
    if name not in _LAZY:
        raise AttributeError(f"module 'ctxzip' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
