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
    from ctxzip.api import acompress as acompress
    from ctxzip.api import compress as compress
    from ctxzip.api import compress_many as compress_many
    from ctxzip.compressors import CompressorInfo as CompressorInfo
    from ctxzip.compressors import list_compressors as list_compressors
    from ctxzip.compressors import load as load
    from ctxzip.messages import MessagesCompression as MessagesCompression
    from ctxzip.messages import compress_messages as compress_messages

__version__ = "0.1.0"

_LAZY = {
    "CompressorInfo": "ctxzip.compressors",
    "MessagesCompression": "ctxzip.messages",
    "acompress": "ctxzip.api",
    "compress": "ctxzip.api",
    "compress_many": "ctxzip.api",
    "compress_messages": "ctxzip.messages",
    "list_compressors": "ctxzip.compressors",
    "load": "ctxzip.compressors",
}

__all__ = [
    "Budget",
    "BudgetError",
    "CompressedDocument",
    "Compression",
    "Compressor",
    "CompressorInfo",
    "CtxzipError",
    "Document",
    "InputError",
    "MessagesCompression",
    "MissingExtraError",
    "ModelError",
    "Options",
    "Request",
    "ScoredUnit",
    "Segment",
    "Span",
    "__version__",
    "acompress",
    "compress",
    "compress_many",
    "compress_messages",
    "list_compressors",
    "load",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'ctxzip' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
