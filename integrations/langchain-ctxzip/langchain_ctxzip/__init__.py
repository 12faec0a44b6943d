"""ctxzip for LangChain: retrieved documents and conversations under a token budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_ctxzip.compressor import CtxzipCompressor
from langchain_ctxzip.runnable import CtxzipRunnable
from langchain_ctxzip.transformer import CtxzipTransformer

if TYPE_CHECKING:
    from langchain_ctxzip.middleware import CtxzipMiddleware

__all__ = ["CtxzipCompressor", "CtxzipMiddleware", "CtxzipRunnable", "CtxzipTransformer"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name != "CtxzipMiddleware":
        raise AttributeError(f"module 'langchain_ctxzip' has no attribute {name!r}")
    try:
        from langchain_ctxzip.middleware import CtxzipMiddleware
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] not in ("langchain", "langgraph"):
            raise
        raise ImportError(
            "'langchain' is not installed."
            ' Install it with: pip install "langchain-ctxzip[agents]"',
            name=error.name,
        ) from None
    return CtxzipMiddleware
