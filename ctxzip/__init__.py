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
    from ctxzip.api import acompress as acompress
    from ctxzip.api import compress as compress
    from ctxzip.api import compress_many as compress_many
    from ctxzip.chat import Chat as Chat
    from ctxzip.code.settings import LongCodeZip as LongCodeZip
    from ctxzip.compressors import CompressorInfo as CompressorInfo
    from ctxzip.compressors import list_compressors as list_compressors
    from ctxzip.compressors import load as load
    from ctxzip.events import CompressionEvent as CompressionEvent
    from ctxzip.guard import CompressionTimeoutError as CompressionTimeoutError
    from ctxzip.guard import Guard as Guard
    from ctxzip.index import SentenceIndex as SentenceIndex
    from ctxzip.inputs import Files as Files
    from ctxzip.inputs import read_files as read_files
    from ctxzip.labels import word_labels as word_labels
    from ctxzip.messages import MessagesCompression as MessagesCompression
    from ctxzip.messages import compress_messages as compress_messages
    from ctxzip.rewrite import Abstractive as Abstractive
    from ctxzip.score.classifier import LLMLingua2 as LLMLingua2
    from ctxzip.score.embedding import Recomp as Recomp
    from ctxzip.score.likelihood import Exit as Exit
    from ctxzip.score.mini import Mini as Mini

__version__ = "0.1.0"

_LAZY = {
    "Abstractive": "ctxzip.rewrite",
    "Chat": "ctxzip.chat",
    "CompressionEvent": "ctxzip.events",
    "CompressionTimeoutError": "ctxzip.guard",
    "CompressorInfo": "ctxzip.compressors",
    "Exit": "ctxzip.score.likelihood",
    "Files": "ctxzip.inputs",
    "Guard": "ctxzip.guard",
    "LLMLingua2": "ctxzip.score.classifier",
    "MessagesCompression": "ctxzip.messages",
    "LongCodeZip": "ctxzip.code.settings",
    "Mini": "ctxzip.score.mini",
    "Recomp": "ctxzip.score.embedding",
    "SentenceIndex": "ctxzip.index",
    "acompress": "ctxzip.api",
    "compress": "ctxzip.api",
    "compress_many": "ctxzip.api",
    "compress_messages": "ctxzip.messages",
    "list_compressors": "ctxzip.compressors",
    "load": "ctxzip.compressors",
    "read_files": "ctxzip.inputs",
    "word_labels": "ctxzip.labels",
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
