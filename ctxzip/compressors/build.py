"""How each row is built: the only place that wires stages and models together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from ctxzip.backends import bundle
from ctxzip.compressors.by_kind import Mixed
from ctxzip.errors import InputError, MissingExtraError
from ctxzip.kit.batch import BatchCompressor
from ctxzip.kit.extras import missing
from ctxzip.kit.once import Once
from ctxzip.pipeline import Pipeline, Policy
from ctxzip.types import Options

if TYPE_CHECKING:
    from ctxzip.backends.encoder import Encoder
    from ctxzip.backends.torch.causal import CausalModel, Seq2SeqModel
    from ctxzip.backends.torch.loading import Placement
    from ctxzip.code.score.base import CodeScorer
    from ctxzip.code.score.likelihood import Likelihood
    from ctxzip.code.settings import LongCodeZip
    from ctxzip.score.embedders import Embedder
    from ctxzip.score.mini.scorer import Mini, MiniScorer

__all__ = ["load_mini", "situated"]

T = TypeVar("T")
_EXIT_ADAPTER = "doubleyyh/exit-gemma-2b"
_TORCH = ("torch", "transformers")
# The checkpoint of each row that has one.
_MODELS = {
    "llmlingua2": "microsoft/llmlingua-2-bert-base-multilingual-cased-meetingbank",
    "recomp-extractive": "fangyuan/nq_extractive_compressor",
    "exit": "google/gemma-2b-it",
    "recomp-abstractive": "fangyuan/nq_abstractive_compressor",
}


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


def _lexical(ask: _Ask, options: Options | None) -> BatchCompressor:
    from ctxzip.score.lexical import LexicalScorer

    return Pipeline(ask.name, _shared(ask, LexicalScorer), options, Policy(side_by_side=False))


def _mini(ask: _Ask, options: Options | None) -> BatchCompressor:
    from ctxzip.score.mini.scorer import Mini

    settings = _settings(ask, Mini)
    folder = None if ask.model is None else Path(ask.model)
    backend = ask.backend
    if backend == "auto":  # onnxruntime, unless a GPU or another precision is asked for by name
        plain = ask.device in ("auto", "cpu") and ask.dtype in ("auto", "float32")
        backend = "onnx" if plain else "torch"
    if backend == "torch" and (absent := missing(["torch", "onnx"])):
        raise MissingExtraError(absent[0], "export")
    if backend == "onnx" and ask.device not in ("auto", "cpu"):
        raise InputError(f'backend="onnx" of mini runs on the CPU; device={ask.device!r}.')
    if ask.compiled:
        raise InputError("mini takes no compiled=True.")
    scorer = _shared(
        ask,
        lambda: load_mini(folder, settings, backend=backend, device=ask.device, dtype=ask.dtype),
    )
    return Pipeline(ask.name, scorer, options)


def _llmlingua2(ask: _Ask, options: Options | None) -> BatchCompressor:
    from ctxzip.score.classifier import ClassifierScorer, LLMLingua2

    settings = _settings(ask, LLMLingua2)

    def encoder() -> Encoder:
        return _encoder(ask, settings.allow_pickle, classifier=True)

    if settings.compat:
        from ctxzip.compressors.llmlingua2.compressor import ReferenceCompressor

        return ReferenceCompressor(encoder, settings, options)
    scorer = _shared(ask, lambda: ClassifierScorer(encoder, settings))
    return Pipeline(ask.name, scorer, options, Policy(granularity="word"))


def _recomp_extractive(ask: _Ask, options: Options | None) -> BatchCompressor:
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
        from ctxzip.score.embedders import SentenceEmbedder, SituatedEmbedder

        bundle = situated(ask.model) if ask.model is not None else None
        if bundle is not None:
            return SituatedEmbedder(bundle, str(ask.model))
        encoder = _encoder(ask, pickles, classifier=False)
        if isinstance(encoder, ExportedEncoder):
            return SentenceEmbedder(encoder, Pooling(**encoder.manifest["pooling"]))
        from ctxzip.backends.torch.loading import folder_of

        pooling = pooling_of(folder_of(encoder.name, _placement(ask, pickles)))
        if pooling.window is not None:
            window = min(encoder.frame.window, pooling.window)
            encoder.frame = replace(encoder.frame, window=window)
        return SentenceEmbedder(encoder, pooling)

    return _shared(replace(ask, settings=pickles), lambda: Once(make))


def _exit(ask: _Ask, options: Options | None) -> BatchCompressor:
    from ctxzip.score.likelihood import Exit, LikelihoodScorer

    settings = _settings(ask, Exit)

    def language_model() -> CausalModel:
        from ctxzip.backends.torch.causal import CausalModel

        name, adapter = ask.model, settings.adapter
        if name is None:
            name, adapter = _MODELS[ask.name], adapter or _EXIT_ADAPTER
        return CausalModel(name, _placement(ask, settings.allow_pickle), adapter)

    scorer = _shared(ask, lambda: LikelihoodScorer(language_model, settings))
    return Pipeline(ask.name, scorer, options, Policy(granularity="sentence", threshold=0.5))


def _recomp_abstractive(ask: _Ask, options: Options | None) -> BatchCompressor:
    from ctxzip.compressors.rewriting.compressor import RewritingCompressor
    from ctxzip.compressors.rewriting.writers import Abstractive, Seq2SeqWriter

    settings = _settings(ask, Abstractive)

    def language_model() -> Seq2SeqModel:
        from ctxzip.backends.torch.causal import Seq2SeqModel

        name = ask.model or _MODELS[ask.name]
        return Seq2SeqModel(name, _placement(ask, settings.allow_pickle))

    writer = _shared(ask, lambda: Seq2SeqWriter(language_model, settings))
    fallback = _lexical(_Ask("lexical"), options)
    return RewritingCompressor(
        ask.name, writer, fallback, options, titles=settings.titles, check=settings.check
    )


def _longcodezip(ask: _Ask, options: Options | None) -> BatchCompressor:
    def text(some: Options) -> BatchCompressor:
        return _lexical(_Ask("lexical"), some)

    return Mixed(ask.name, lambda some: _code(ask, some), text, options)


def _code(ask: _Ask, options: Options) -> BatchCompressor:
    """The compressor of documents that are source code."""
    from ctxzip.code.compressor import CodeCompressor
    from ctxzip.code.score.vectors import Embedded
    from ctxzip.code.score.words import LexicalCode
    from ctxzip.code.settings import LongCodeZip

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
            return Embedded("mini and words", lambda: _shared(_Ask("mini"), load_mini))
        if kind == "embedding":
            from ctxzip.score.embedding import EmbeddingScorer

            row = replace(ask, name="recomp-extractive", settings=None)
            return Embedded("embeddings and words", lambda: EmbeddingScorer(_embedder(row, False)))
        return _perplexity(ask, settings)

    scorer = _shared(ask, make)
    return CodeCompressor(ask.name, scorer, options, settings)


def _perplexity(ask: _Ask, settings: LongCodeZip) -> CodeScorer:
    """Perplexities by an endpoint, or by a causal language model on this machine."""
    from ctxzip.code.score.perplexity import PerplexityCode

    def likelihood() -> Likelihood:
        if settings.endpoint is not None:
            from ctxzip.code.score.endpoint import EndpointLikelihood

            chat = settings.endpoint
            return EndpointLikelihood(chat if ask.model is None else replace(chat, model=ask.model))
        if ask.model is None:
            raise InputError(
                "scorer='perplexity' needs a causal language model.",
                hint='Give model="Qwen/Qwen2.5-Coder-0.5B-Instruct" or a folder, or'
                " settings=ctxzip.LongCodeZip(endpoint=ctxzip.Chat(base_url=...)).",
            )
        from ctxzip.backends.torch.causal import CausalModel
        from ctxzip.backends.torch.likelihood import TorchLikelihood

        return TorchLikelihood(CausalModel(ask.model, _placement(ask, False)))

    return PerplexityCode(likelihood, settings.shortlist)


def _chat_summary(ask: _Ask, options: Options | None) -> BatchCompressor:
    from ctxzip.backends.chat import Chat
    from ctxzip.compressors.rewriting.compressor import RewritingCompressor
    from ctxzip.compressors.rewriting.writers import ChatWriter

    settings = _settings(ask, Chat)
    if ask.model is not None:
        settings = replace(settings, model=ask.model)
    fallback = _lexical(_Ask("lexical"), options)
    return RewritingCompressor(
        ask.name, ChatWriter(settings), fallback, options, check=settings.check
    )


_loaded: dict[_Ask, object] = {}
_lock = threading.Lock()


def _shared(ask: _Ask, make: Callable[[], T]) -> T:
    """What was made for an equal ask before."""
    with _lock:
        if ask not in _loaded:
            _loaded[ask] = make()
        return cast(T, _loaded[ask])


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
    return ask.name == "recomp-extractive" and bool(ask.model and situated(ask.model))


def _placement(ask: _Ask, pickles: bool) -> Placement:
    from ctxzip.backends.torch.loading import Placement

    # Naming a checkpoint is asking for it; the default one is only looked up on this machine.
    return Placement(ask.device, ask.dtype, ask.compiled, ask.model is not None, pickles)


def _encoder(ask: _Ask, pickles: bool, *, classifier: bool) -> Encoder:
    """The encoder that a row runs, by whichever backend fits the folder."""
    if _runs_onnx(ask):
        from ctxzip.backends.exported import ExportedEncoder

        return ExportedEncoder(Path(str(ask.model)), "token" if classifier else "embedding")
    from ctxzip.backends.torch.loading import ENCODER, TOKEN_CLASSIFIER, TorchEncoder

    name = ask.model or _MODELS[ask.name]
    kind = TOKEN_CLASSIFIER if classifier else ENCODER
    return TorchEncoder(name, _placement(ask, pickles), kind=kind)


def load_mini(
    folder: Path | None = None,
    settings: Mini | None = None,
    *,
    backend: str = "onnx",
    device: str = "auto",
    dtype: str = "auto",
) -> MiniScorer:
    """The scorer of a bundle.

    Args:
        folder: the bundle; the shipped one where None.
        settings: threads and memory; the defaults where None.
        backend: ``"onnx"`` (onnxruntime on the CPU), or ``"torch"`` for the other two arguments.
        device: see :func:`ctxzip.load`.
        dtype: see :func:`ctxzip.load`; by default float32.

    Raises:
        ModelError: a file is missing, damaged, or of an unknown format.
    """
    from ctxzip.backends.tokenizers import load_tokenizer
    from ctxzip.score.mini.combiner import combiner_of
    from ctxzip.score.mini.scorer import Encoder as Networks
    from ctxzip.score.mini.scorer import Mini, MiniScorer

    settings = settings if settings is not None else Mini()
    found = bundle.read(bundle.find("mini") if folder is None else folder)
    encoder: Networks
    if backend == "torch":
        from ctxzip.backends.torch.mini import TorchMiniEncoder

        encoder = TorchMiniEncoder(
            found.folder,
            found.networks,
            device=device,
            dtype=dtype,
            cache_bytes=settings.cache_bytes,
        )
    else:
        from ctxzip.backends.onnx import OnnxEncoder

        encoder = OnnxEncoder(
            found.folder, found.networks, threads=settings.threads, cache_bytes=settings.cache_bytes
        )
    combiner = combiner_of(found.manifest)
    importance = np.asarray(found.manifest["query_importance"], np.float32)
    return MiniScorer(encoder, load_tokenizer(found.tokenizer), combiner, importance)


def situated(model: str) -> Path | None:
    """The folder of a `mini` bundle that a model name stands for, or None."""
    if model == "mini":
        return bundle.find("mini")
    folder = Path(model)
    return folder if (folder / "manifest.json").is_file() else None
