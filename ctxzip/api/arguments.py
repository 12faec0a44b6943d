"""What the arguments of every way to call come to: a budget, a request, a compressor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ctxzip.compressors import load
from ctxzip.errors import InputError
from ctxzip.kit.batch import Configured
from ctxzip.segment.prepare import document_of
from ctxzip.types import Budget, Compressor, Document, Options, Request, check_text

__all__ = ["Prompt", "budget_of", "compressor_of", "options_of", "request_of"]

Prompt: TypeAlias = (
    "str | Document | Mapping[str, object] | Sequence[str | Document | Mapping[str, object]]"
)


def budget_of(
    ratio: float | None, target_tokens: int | None, threshold: float | None, options: Options
) -> Budget:
    """The budget that the arguments of the one-line door mean."""
    if ratio is not None and target_tokens is not None:
        raise InputError(
            f"Two ceilings at once: ratio={ratio!r} and target_tokens={target_tokens!r}.",
            hint="Give one of them.",
        )
    try:
        return Budget(ratio, target_tokens, threshold, options.reserve, options.margin)
    except InputError as error:
        # Budget knows the ceiling as ``tokens``; here the caller gave it another name.
        raise InputError(str(error).replace("tokens=", "target_tokens=", 1)) from None


def request_of(prompt: Prompt, query: str | None, budget: Budget) -> Request:
    """One request from whatever the caller handed in."""
    if query is not None:
        check_text(query, "query")
    trusted = isinstance(prompt, str)
    items = [prompt] if isinstance(prompt, str | Document | Mapping) else prompt
    if not isinstance(items, Sequence) or isinstance(items, bytes | bytearray):
        raise InputError(
            f"prompt is {type(prompt).__name__}, not text.",
            hint="Give a string, documents, or mappings with a 'text'.",
        )
    documents = tuple(document_of(item, i) for i, item in enumerate(items))
    return Request(documents, query, budget, trusted)


def options_of(compressor: str | Compressor, options: Options | None) -> Options:
    """The options that apply: the caller's, else the compressor object's, else the defaults."""
    if options is None:
        own = compressor.options if isinstance(compressor, Configured) else None
        return own if isinstance(own, Options) else Options()
    if not isinstance(options, Options):
        raise InputError(f"options={options!r} is not a ctxzip.Options.")
    return options


def compressor_of(compressor: str | Compressor, options: Options) -> Compressor:
    """The compressor that the caller means."""
    if isinstance(compressor, str):
        return load(compressor, options=options)
    if not isinstance(compressor, Compressor):
        raise InputError(
            f"compressor={compressor!r} is neither a name nor a compressor.",
            hint="See ctxzip.list_compressors().",
        )
    if options != options_of(compressor, None):
        raise InputError(
            f"options are given beside the compressor {compressor.name!r}, which has its own.",
            hint="Give them to ctxzip.load(name, options=...).",
        )
    return compressor
