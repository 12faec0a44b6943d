"""Every compressor by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ctxzip.compressors.build import (
    _MODELS,
    _TORCH,
    _Ask,
    _chat_summary,
    _code,
    _embedder,
    _exit,
    _is_mini,
    _lexical,
    _llmlingua2,
    _longcodezip,
    _mini,
    _recomp_abstractive,
    _recomp_extractive,
    _runs_onnx,
)
from ctxzip.compressors.by_kind import Mixed
from ctxzip.compressors.by_language import Auto
from ctxzip.errors import InputError, MissingExtraError
from ctxzip.kit.batch import BatchCompressor
from ctxzip.kit.extras import missing
from ctxzip.kit.once import Once
from ctxzip.types import Compressor, Options

if TYPE_CHECKING:
    from ctxzip.score.embedders import Embedder

__all__ = ["CompressorInfo", "list_compressors", "load", "load_embedder"]


@dataclass(frozen=True, slots=True)
class CompressorInfo:
    """What there is to know of a compressor before it is loaded.

    Attributes:
        name: what ``load`` and ``compress(..., compressor=)`` take.
        summary: what it does, in a line.
        needs: packages that it needs beyond the base install.
        extra: the extra that brings them, or None.
        available: whether they are installed.
        model: the checkpoint that it takes from this machine's cache unless ``load(model=)`` names
            another; it is never downloaded unasked. None where no checkpoint is needed.
    """

    name: str
    summary: str
    needs: tuple[str, ...]
    extra: str | None
    available: bool
    model: str | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    summary: str
    build: Callable[[_Ask, Options | None], BatchCompressor]
    needs: tuple[str, ...] = ()
    extra: str | None = None
    model: str | None = None
    configurable: bool = False


def load_embedder(model: str, device: str = "auto") -> Embedder:
    """What makes the vectors of ``load("recomp-extractive", model=model, device=device)``."""
    load("recomp-extractive", model=model, device=device)  # which says what is missing
    return _embedder(_Ask("recomp-extractive", model, device), False)()


_MINI_LANGUAGES = ("en",)
_ROWS = {
    "mini": _Row(
        "the shipped model: probability that a sentence, or a word, is needed; English",
        _mini,
        configurable=True,
    ),
    "lexical": _Row("BM25 to the query, salience without one; no model", _lexical),
    "llmlingua2": _Row(
        "LLMLingua-2: keep probability of every word; the query is not read",
        _llmlingua2,
        needs=_TORCH,
        extra="torch",
        model=_MODELS["llmlingua2"],
    ),
    "recomp-extractive": _Row(
        "RECOMP: sentences by similarity of embeddings to the query",
        _recomp_extractive,
        needs=_TORCH,
        extra="torch",
        model=_MODELS["recomp-extractive"],
    ),
    "exit": _Row(
        "EXIT: a language model says of every sentence whether it helps",
        _exit,
        needs=_TORCH,
        extra="torch",
        model=_MODELS["exit"],
    ),
    "recomp-abstractive": _Row(
        "RECOMP: a sequence-to-sequence model writes a summary",
        _recomp_abstractive,
        needs=_TORCH,
        extra="torch",
        model=_MODELS["recomp-abstractive"],
    ),
    "longcodezip": _Row(
        "LongCodeZip: source code by function and block; words, embeddings or perplexity",
        _longcodezip,
        configurable=True,
    ),
    "chat-summary": _Row(
        "an LLM behind an OpenAI-compatible endpoint writes a summary",
        _chat_summary,
        configurable=True,
    ),
}


def list_compressors() -> tuple[CompressorInfo, ...]:
    """Every compressor that ctxzip knows, in the order in which ``auto`` prefers them."""
    return tuple(
        CompressorInfo(name, row.summary, row.needs, row.extra, not missing(row.needs), row.model)
        for name, row in _ROWS.items()
    )


def load(
    name: str = "auto",
    *,
    options: Options | None = None,
    model: str | None = None,
    device: str = "auto",
    backend: str = "auto",
    dtype: str = "auto",
    settings: object = None,
    compiled: bool = False,
) -> Compressor:
    """A compressor by name, ready to be used from several threads.

    Equal models are loaded once per process, whatever the options.

    Args:
        name: a name that :func:`list_compressors` lists, or ``"auto"``.
        options: what is rarely set; applies to every call of the result.
        model: a folder or a hub name, which may be downloaded. Without it only what is on this
            machine is used.
        device: ``"cpu"``, ``"cuda"``, ``"mps"``, or ``"auto"`` for the best there is.
        backend: ``"torch"``, ``"onnx"`` for a folder that ``ctxzip export`` made, or ``"auto"``.
        dtype: ``"float32"``, ``"float16"``, ``"bfloat16"``, or ``"auto"``.
        settings: the method's own switches, such as ``ctxzip.LLMLingua2(compat=True)``.
        compiled: run a PyTorch model through ``torch.compile``.

    Raises:
        InputError: no compressor has that name, or an argument does not fit it.
        MissingExtraError: the packages that it needs are not installed.
        ModelError: the checkpoint cannot be used; raised by the first call or ``warmup()``.
    """
    ask = _Ask(name, model, device, backend, dtype, settings, compiled)
    if name == "auto":
        return _auto(ask, options)
    row = _ROWS.get(name)
    if row is None:
        near = difflib.get_close_matches(str(name), ["auto", *_ROWS], n=3, cutoff=0.4)
        raise InputError(
            f"compressor={name!r} is unknown.",
            hint=f"Nearest: {', '.join(near)}."
            if near
            else f"Use one of: auto, {', '.join(_ROWS)}.",
        )
    if row.model is None and not row.configurable and ask != _Ask(name):
        raise InputError(f"Compressor {name!r} takes neither a model nor settings.")
    if backend not in ("auto", "torch", "onnx"):
        raise InputError(f"backend={backend!r} is unknown.", hint='Use "auto", "torch" or "onnx".')
    absent = [] if _runs_onnx(ask) or _is_mini(ask) else missing(row.needs)
    if absent:
        raise MissingExtraError(absent[0], row.extra or "all")
    return row.build(ask, options)


def _auto(ask: _Ask, options: Options | None) -> BatchCompressor:
    settings = ask.settings
    if replace(ask, settings=None) != _Ask("auto"):
        raise InputError(
            "A model or settings are given, but no compressor that they are for.",
            hint='Name it: ctxzip.load("llmlingua2", model=...).',
        )
    options = options if options is not None else Options()

    def text(some: Options) -> BatchCompressor:
        fallback = load("lexical", options=some)
        model = Once(lambda: load("mini", options=some, settings=settings))
        return Auto(model, fallback, _MINI_LANGUAGES, some)

    def code(some: Options) -> BatchCompressor:
        return _code(_Ask("longcodezip"), some)

    return Mixed("auto", code, text, options, calibrated=True, routes=True)
