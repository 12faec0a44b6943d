"""Every compressor by name: the only place that wires stages and models together."""

from __future__ import annotations

import difflib
import importlib.util
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from ctxzip.auto import Auto
from ctxzip.errors import InputError, MissingExtraError
from ctxzip.mixed import Mixed
from ctxzip.pipeline import Pipeline, Policy
from ctxzip.types import Compressor, Options

if TYPE_CHECKING:
    from ctxzip.backends.encoder import Encoder
    from ctxzip.backends.pytorch import Placement
    from ctxzip.backends.pytorch_lm import CausalModel, Seq2SeqModel
    from ctxzip.backends.readings import Likelihood
    from ctxzip.code.settings import LongCodeZip
    from ctxzip.score.code import CodeScorer
    from ctxzip.score.embedders import Embedder

__all__ = ["CompressorInfo", "list_compressors", "load", "load_embedder"]

T = TypeVar("T")


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
class _Ask:
    """What ``load`` was asked for; equal asks share their model."""

    name: str
    model: str | None = None
    device: str = "auto"
    backend: str = "auto"
    dtype: str = "auto"
    settings: object = None
    compiled: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    summary: str
    build: Callable[[_Ask, Options | None], Compressor]
    needs: tuple[str, ...] = ()
    extra: str | None = None
    model: str | None = None
    configurable: bool = False


def _lexical(ask: _Ask, options: Options | None) -> Compressor:
    from ctxzip.score.lexical import LexicalScorer

    return Pipeline(ask.name, _shared(ask, LexicalScorer), options, Policy(side_by_side=False))


def _mini(ask: _Ask, options: Options | None) -> Compressor:
    from ctxzip.score import mini

    settings = _settings(ask, mini.Mini)
    folder = None if ask.model is None else Path(ask.model)
    backend = ask.backend
    if backend == "auto":  # onnxruntime, unless a GPU or another precision is asked for by name
        plain = ask.device in ("auto", "cpu") and ask.dtype in ("auto", "float32")
        backend = "onnx" if plain else "torch"
    if backend == "torch" and (missing := _missing(["torch", "onnx"])):
        raise MissingExtraError(missing[0], "export")
    if backend == "onnx" and ask.device not in ("auto", "cpu"):
        raise InputError(f'backend="onnx" of mini runs on the CPU; device={ask.device!r}.')
    if ask.compiled:
        raise InputError("mini takes no compiled=True.")
    scorer = _shared(
        ask,
        lambda: mini.load(folder, settings, backend=backend, device=ask.device, dtype=ask.dtype),
    )
    return Pipeline(ask.name, scorer, options)


def _llmlingua2(ask: _Ask, options: Options | None) -> Compressor:
    from ctxzip.score.classifier import ClassifierScorer, LLMLingua2

    settings = _settings(ask, LLMLingua2)

    def encoder() -> Encoder:
        return _encoder(ask, settings.allow_pickle, classifier=True)

    if settings.compat:
        from ctxzip.compat import ReferenceCompressor

        return ReferenceCompressor(encoder, settings, options)
    scorer = _shared(ask, lambda: ClassifierScorer(encoder, settings))
    return Pipeline(ask.name, scorer, options, Policy(granularity="word"))


def _recomp_extractive(ask: _Ask, options: Options | None) -> Compressor:
    from ctxzip.score.embedding import EmbeddingScorer, Recomp

    settings = _settings(ask, Recomp)
    scorer = EmbeddingScorer(_embedder(ask, settings.allow_pickle), settings)
    policy = Policy(granularity="sentence", selects=settings.selects)
    return Pipeline(ask.name, scorer, options, policy)


def _embedder(ask: _Ask, pickles: bool) -> Callable[[], Embedder]:
    """What makes the vectors of ``recomp-extractive``; one for all settings, loaded once."""

    def make() -> Embedder:
        from ctxzip.backends.exported import ExportedEncoder
        from ctxzip.backends.pooling import Pooling, pooling_of
        from ctxzip.score.embedders import SentenceEmbedder, SituatedEmbedder, situated

        bundle = situated(ask.model) if ask.model is not None else None
        if bundle is not None:
            return SituatedEmbedder(bundle, str(ask.model))
        encoder = _encoder(ask, pickles, classifier=False)
        if isinstance(encoder, ExportedEncoder):
            return SentenceEmbedder(encoder, Pooling(**encoder.manifest["pooling"]))
        from ctxzip.backends.pytorch import folder_of

        pooling = pooling_of(folder_of(encoder.name, _placement(ask, pickles)))
        if pooling.window is not None:
            window = min(encoder.frame.window, pooling.window)
            encoder.frame = replace(encoder.frame, window=window)
        return SentenceEmbedder(encoder, pooling)

    return _shared(replace(ask, settings=pickles), lambda: _Once(make))


def load_embedder(model: str, device: str = "auto") -> Embedder:
    """What makes the vectors of ``load("recomp-extractive", model=model, device=device)``."""
    load("recomp-extractive", model=model, device=device)  # which says what is missing
    return _embedder(_Ask("recomp-extractive", model, device), False)()


def _exit(ask: _Ask, options: Options | None) -> Compressor:
    from ctxzip.score.likelihood import Exit, LikelihoodScorer

    settings = _settings(ask, Exit)

    def language_model() -> CausalModel:
        from ctxzip.backends.pytorch_lm import CausalModel

        name, adapter = ask.model, settings.adapter
        if name is None:
            name, adapter = str(_ROWS[ask.name].model), adapter or _EXIT_ADAPTER
        return CausalModel(name, _placement(ask, settings.allow_pickle), adapter)

    scorer = _shared(ask, lambda: LikelihoodScorer(language_model, settings))
    return Pipeline(ask.name, scorer, options, Policy(granularity="sentence", threshold=0.5))


def _recomp_abstractive(ask: _Ask, options: Options | None) -> Compressor:
    from ctxzip.rewrite import Abstractive, RewritingCompressor, Seq2SeqWriter

    settings = _settings(ask, Abstractive)

    def language_model() -> Seq2SeqModel:
        from ctxzip.backends.pytorch_lm import Seq2SeqModel

        name = ask.model or str(_ROWS[ask.name].model)
        return Seq2SeqModel(name, _placement(ask, settings.allow_pickle))

    writer = _shared(ask, lambda: Seq2SeqWriter(language_model, settings))
    fallback = load("lexical", options=options)
    return RewritingCompressor(
        ask.name, writer, fallback, options, titles=settings.titles, check=settings.check
    )


def _longcodezip(ask: _Ask, options: Options | None) -> Compressor:
    def text(some: Options) -> Compressor:
        return load("lexical", options=some)

    return Mixed(ask.name, lambda some: _code(ask, some), text, options)


def _code(ask: _Ask, options: Options) -> Compressor:
    """The compressor of documents that are source code."""
    from ctxzip.code.compressor import CodeCompressor
    from ctxzip.code.settings import LongCodeZip
    from ctxzip.score.code import Embedded, LexicalCode

    settings = _settings(ask, LongCodeZip)
    kind = settings.scorer
    if kind == "auto":
        kind = "lexical" if ask.model is None and settings.endpoint is None else "perplexity"
    if kind == "lexical" and ask.model is not None:
        raise InputError(
            f"model={ask.model!r} is given, but scorer='lexical' takes none.",
            hint="Leave scorer out, or use scorer='perplexity' or 'embedding'.",
        )

    def make() -> CodeScorer:
        if kind == "lexical":
            return LexicalCode()
        if kind == "mini":
            from ctxzip.score import mini

            return Embedded("mini and words", lambda: _shared(_Ask("mini"), mini.load))
        if kind == "embedding":
            from ctxzip.score.embedding import EmbeddingScorer

            row = replace(ask, name="recomp-extractive", settings=None)
            return Embedded("embeddings and words", lambda: EmbeddingScorer(_embedder(row, False)))
        return _perplexity(ask, settings)

    scorer = _shared(ask, make)
    return CodeCompressor(ask.name, scorer, options, settings)


def _perplexity(ask: _Ask, settings: LongCodeZip) -> CodeScorer:
    """Perplexities by an endpoint, or by a causal language model on this machine."""
    from ctxzip.score.perplexity import PerplexityCode

    def likelihood() -> Likelihood:
        if settings.endpoint is not None:
            from ctxzip.score.endpoint import EndpointLikelihood

            chat = settings.endpoint
            return EndpointLikelihood(chat if ask.model is None else replace(chat, model=ask.model))
        if ask.model is None:
            raise InputError(
                "scorer='perplexity' needs a causal language model.",
                hint='Give model="Qwen/Qwen2.5-Coder-0.5B-Instruct" or a folder, or'
                " settings=ctxzip.LongCodeZip(endpoint=ctxzip.Chat(base_url=...)).",
            )
        from ctxzip.backends.likelihood import TorchLikelihood
        from ctxzip.backends.pytorch_lm import CausalModel

        return TorchLikelihood(CausalModel(ask.model, _placement(ask, False)))

    return PerplexityCode(likelihood, settings.shortlist)


def _chat_summary(ask: _Ask, options: Options | None) -> Compressor:
    from ctxzip.chat import Chat, ChatWriter
    from ctxzip.rewrite import RewritingCompressor

    settings = _settings(ask, Chat)
    if ask.model is not None:
        settings = replace(settings, model=ask.model)
    fallback = load("lexical", options=options)
    return RewritingCompressor(
        ask.name, ChatWriter(settings), fallback, options, check=settings.check
    )


_MINI_LANGUAGES = ("en",)
_EXIT_ADAPTER = "doubleyyh/exit-gemma-2b"
_TORCH = ("torch", "transformers")
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
        model="microsoft/llmlingua-2-bert-base-multilingual-cased-meetingbank",
    ),
    "recomp-extractive": _Row(
        "RECOMP: sentences by similarity of embeddings to the query",
        _recomp_extractive,
        needs=_TORCH,
        extra="torch",
        model="fangyuan/nq_extractive_compressor",
    ),
    "exit": _Row(
        "EXIT: a language model says of every sentence whether it helps",
        _exit,
        needs=_TORCH,
        extra="torch",
        model="google/gemma-2b-it",
    ),
    "recomp-abstractive": _Row(
        "RECOMP: a sequence-to-sequence model writes a summary",
        _recomp_abstractive,
        needs=_TORCH,
        extra="torch",
        model="fangyuan/nq_abstractive_compressor",
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
_loaded: dict[_Ask, object] = {}
_lock = threading.Lock()


def list_compressors() -> tuple[CompressorInfo, ...]:
    """Every compressor that ctxzip knows, in the order in which ``auto`` prefers them."""
    return tuple(
        CompressorInfo(name, row.summary, row.needs, row.extra, not _missing(row.needs), row.model)
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
    missing = [] if _runs_onnx(ask) or _is_mini(ask) else _missing(row.needs)
    if missing:
        raise MissingExtraError(missing[0], row.extra or "all")
    return row.build(ask, options)


def _auto(ask: _Ask, options: Options | None) -> Compressor:
    settings = ask.settings
    if replace(ask, settings=None) != _Ask("auto"):
        raise InputError(
            "A model or settings are given, but no compressor that they are for.",
            hint='Name it: ctxzip.load("llmlingua2", model=...).',
        )
    options = options if options is not None else Options()

    def text(some: Options) -> Compressor:
        fallback = load("lexical", options=some)
        model = _Once(lambda: load("mini", options=some, settings=settings))
        return Auto(model, fallback, _MINI_LANGUAGES, some)

    def code(some: Options) -> Compressor:
        return _code(_Ask("longcodezip"), some)

    return Mixed("auto", code, text, options, calibrated=True)


class _Once(Generic[T]):
    """Makes something on the first call. Thread-safe."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make: Callable[[], T] | None = make
        self._lock = threading.Lock()

    def __call__(self) -> T:
        with self._lock:
            if self._make is not None:
                self._made = self._make()
                self._make = None
            return self._made


def _shared(ask: _Ask, make: Callable[[], T]) -> T:
    """What was made for an equal ask before."""
    with _lock:
        if ask not in _loaded:
            _loaded[ask] = make()
        return cast(T, _loaded[ask])


def _missing(needs: Sequence[str]) -> list[str]:
    return [package for package in needs if importlib.util.find_spec(package) is None]


def _settings(ask: _Ask, kind: type[T]) -> T:
    """The settings of a row, checked."""
    if ask.settings is None:
        return kind()
    if not isinstance(ask.settings, kind):
        raise InputError(
            f"settings={ask.settings!r} is not for compressor {ask.name!r}.",
            hint=f"Give a ctxzip.{kind.__name__}.",
        )
    return ask.settings


def _runs_onnx(ask: _Ask) -> bool:
    """Whether an exported folder is asked for."""
    from ctxzip.backends.exported import is_exported

    exported = ask.model is not None and is_exported(Path(ask.model))
    if ask.backend == "onnx" and not exported and ask.name != "mini":
        raise InputError(
            f'backend="onnx" needs a folder that "ctxzip export" made; model={ask.model!r}.'
        )
    return exported and ask.backend != "torch"


def _is_mini(ask: _Ask) -> bool:
    """Whether ``recomp-extractive`` shall use the shipped model's embeddings."""
    from ctxzip.score.embedders import situated

    return ask.name == "recomp-extractive" and bool(ask.model and situated(ask.model))


def _placement(ask: _Ask, pickles: bool) -> Placement:
    from ctxzip.backends.pytorch import Placement

    # Naming a checkpoint is asking for it; the default one is only looked up on this machine.
    return Placement(ask.device, ask.dtype, ask.compiled, ask.model is not None, pickles)


def _encoder(ask: _Ask, pickles: bool, *, classifier: bool) -> Encoder:
    """The encoder that a row runs, by whichever backend fits the folder."""
    if _runs_onnx(ask):
        from ctxzip.backends.exported import ExportedEncoder

        return ExportedEncoder(Path(str(ask.model)), "token" if classifier else "embedding")
    from ctxzip.backends.pytorch import ENCODER, TOKEN_CLASSIFIER, TorchEncoder

    name = ask.model or str(_ROWS[ask.name].model)
    kind = TOKEN_CLASSIFIER if classifier else ENCODER
    return TorchEncoder(name, _placement(ask, pickles), kind=kind)
