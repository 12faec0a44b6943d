"""Every compressor by name; what is true of one is an attribute of its row, and asked of it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctxzip.backends import bundle
from ctxzip.backends.model_files import Format
from ctxzip.compressors import build
from ctxzip.compressors.row import Ask, Row
from ctxzip.errors import InputError, MissingExtraError
from ctxzip.kit.extras import missing
from ctxzip.types import Compressor, Options

if TYPE_CHECKING:
    from ctxzip.score.embedders import Embedder
    from ctxzip.score.embedding import SentenceVectors

__all__ = [
    "DEFAULT",
    "FALLBACK",
    "ROWS",
    "CompressorInfo",
    "fallback_of",
    "list_compressors",
    "load",
    "load_embedder",
    "load_indexed",
    "row_of",
    "tuned",
]

DEFAULT = "auto"
FALLBACK = "lexical"
_TORCH = ("torch", "transformers")
_SHIPPED_LANGUAGES = ("en",)

ROWS = {
    "mini": Row(
        summary="the shipped model: probability that a sentence, or a word, is needed; English",
        build=build.mini,
        configurable=True,
        offline=True,
        bundle=bundle.SHIPPED,
        threads=True,
        overlaps=True,
        languages=_SHIPPED_LANGUAGES,
        calibrated=True,
    ),
    FALLBACK: Row(
        summary="BM25 to the query, salience without one; no model",
        build=build.lexical,
        offline=True,
        fallback=None,
    ),
    "llmlingua2": Row(
        summary="LLMLingua-2: keep probability of every word; the query is not read",
        build=build.llmlingua2,
        needs=_TORCH,
        extra="torch",
        without=(Format.EXPORTED,),
        default_model="microsoft/llmlingua-2-bert-base-multilingual-cased-meetingbank",
        calibrated=True,
    ),
    "recomp-extractive": Row(
        summary="RECOMP: sentences by similarity of embeddings to the query",
        build=build.recomp_extractive,
        needs=_TORCH,
        extra="torch",
        without=(Format.EXPORTED, Format.BUNDLE),
        default_model="fangyuan/nq_extractive_compressor",
        languages=("en",),
        indexed=True,
    ),
    "exit": Row(
        summary="EXIT: a language model says of every sentence whether it helps",
        build=build.exit_,
        needs=_TORCH,
        extra="torch",
        default_model="google/gemma-2b-it",
        languages=("en",),
        calibrated=True,
    ),
    "recomp-abstractive": Row(
        summary="RECOMP: a sequence-to-sequence model writes a summary",
        build=build.recomp_abstractive,
        needs=_TORCH,
        extra="torch",
        default_model="fangyuan/nq_abstractive_compressor",
        languages=("en",),
    ),
    "longcodezip": Row(
        summary="LongCodeZip: source code by function and block; words, embeddings or perplexity",
        build=build.longcodezip,
        configurable=True,
    ),
    "chat-summary": Row(
        summary="an LLM behind an OpenAI-compatible endpoint writes a summary",
        build=build.chat_summary,
        configurable=True,
    ),
}

_DEFAULT_ROW = Row(
    summary="the shipped model for prose that it knows, words for other prose, and code as code",
    build=build.automatic(_SHIPPED_LANGUAGES),
    configurable=True,
    offline=True,
    bundle=bundle.SHIPPED,
    threads=True,
    overlaps=True,
    calibrated=True,
    indexed=True,
)


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
        languages: ISO 639-1 codes of the texts that its own model knows; None for all.
        calibrated: whether it takes a threshold.
    """

    name: str
    summary: str
    needs: tuple[str, ...]
    extra: str | None
    available: bool
    model: str | None = None
    languages: tuple[str, ...] | None = None
    calibrated: bool = False


def row_of(name: str) -> Row:
    """The row of a compressor.

    Raises:
        InputError: no compressor has that name; it says which ones are near.
    """
    if name == DEFAULT:
        return _DEFAULT_ROW
    if name in ROWS:
        return ROWS[name]
    names = [DEFAULT, *ROWS]
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.4)
    raise InputError(
        f"compressor={name!r} is unknown.",
        hint=f"Nearest: {', '.join(near)}." if near else f"Use one of: {', '.join(names)}.",
    )


def fallback_of(name: str) -> str | None:
    """The compressor that answers where another one fails, which may be the caller's own."""
    known = name == DEFAULT or name in ROWS
    return row_of(name).fallback if known else FALLBACK


def list_compressors() -> tuple[CompressorInfo, ...]:
    """Every compressor that ctxzip knows, in the order in which ``auto`` prefers them."""
    return tuple(
        CompressorInfo(
            name,
            row.summary,
            row.needs,
            row.extra,
            not missing(row.needs),
            row.default_model,
            row.languages,
            row.calibrated,
        )
        for name, row in ROWS.items()
    )


def load(
    name: str = DEFAULT,
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

    Equal models are loaded once per process, whatever the options. Closing the last compressor that
    uses one releases it; :func:`ctxzip.compressors.unload` releases what nobody uses any more.

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
    row = row_of(name)
    ask = Ask(name, model, device, backend, dtype, settings, compiled, row.default_model)
    row.check(ask)
    absent = [] if ask.is_format(*row.without) and backend != "torch" else missing(row.needs)
    if absent:
        raise MissingExtraError(absent[0], row.extra or "all")
    return row.build(ask, options)


def tuned(
    name: str, *, threads: int | None = None, cache_bytes: int | None = None
) -> object | None:
    """Settings for the networks of a compressor; None where it has none that can be set.

    Args:
        name: of the compressor.
        threads: of each network; what the container allows by default.
        cache_bytes: memory for what was read of documents.
    """
    if not row_of(name).threads or (threads is None and cache_bytes is None):
        return None
    from ctxzip.score.mini.scorer import Mini

    memory = {} if cache_bytes is None else {"cache_bytes": cache_bytes}
    return Mini(threads=threads, **memory)


_INDEXED = next(name for name, row in ROWS.items() if row.indexed)


def load_embedder(model: str, device: str = "auto") -> Embedder:
    """What makes the vectors of the compressor that takes a sentence index.

    Args:
        model: a folder, a hub name, or ``"mini"``, the shipped model.
        device: as for :func:`load`.
    """
    load(_INDEXED, model=model, device=device)  # which says what is missing
    return build.embedder(Ask(_INDEXED, model, device), pickles=False)()


def load_indexed(
    index: SentenceVectors, model: str, *, device: str = "auto", options: Options | None = None
) -> Compressor:
    """The compressor that takes a sentence index, with one.

    Args:
        index: the index.
        model: as for :func:`load_embedder`.
        device: as for :func:`load`.
        options: as for :func:`load`.
    """
    from ctxzip.score.embedding import Recomp

    settings = Recomp(titles=index.titles, index=index)
    return load(_INDEXED, model=model, device=device, settings=settings, options=options)
