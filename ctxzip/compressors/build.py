"""How each row is built: the only place that wires stages and models together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ctxzip.backends import bundle
from ctxzip.backends.model_files import Format
from ctxzip.compressors.by_kind import Mixed
from ctxzip.compressors.by_language import Auto
from ctxzip.compressors.row import Ask
from ctxzip.compressors.shared import Lease, SharedPipeline
from ctxzip.errors import InputError, MissingExtraError
from ctxzip.kit.batch import BatchCompressor
from ctxzip.kit.extras import missing
from ctxzip.pipeline import Pipeline, Policy
from ctxzip.types import Options

if TYPE_CHECKING:
    from ctxzip.backends.encoder import Encoder
    from ctxzip.backends.torch.causal import CausalModel
    from ctxzip.backends.torch.loading import Placement
    from ctxzip.code.score.base import CodeScorer
    from ctxzip.code.score.likelihood import Likelihood
    from ctxzip.code.settings import LongCodeZip
    from ctxzip.score.embedders import Embedder
    from ctxzip.score.mini.scorer import Mini, MiniScorer

__all__ = ["embedder", "load_mini"]

T = TypeVar("T")
_EXIT_ADAPTER = "doubleyyh/exit-gemma-2b"


def automatic(languages: Sequence[str]) -> Callable[[Ask, Options | None], BatchCompressor]:
    """What builds ``auto``.

    Args:
        languages: ISO 639-1 codes of the texts that go to the shipped model.
    """

    def build(ask: Ask, options: Options | None) -> BatchCompressor:
        if not replace(ask, settings=None).plain:
            raise InputError(
                "A model or settings are given, but no compressor that they are for.",
                hint='Name it: ctxzip.load("llmlingua2", model=...).',
            )

        def text(applied: Options) -> BatchCompressor:
            fallback = lexical(Ask("lexical"), applied)
            model = Ask("mini", settings=ask.settings)
            return Auto(lambda: mini(model, applied), fallback, languages, applied)

        def code(applied: Options) -> BatchCompressor:
            return _code(Ask("longcodezip"), applied)

        return Mixed(
            ask.name,
            code,
            text,
            options if options is not None else Options(),
            calibrated=True,
            routes=True,
        )

    return build


def lexical(ask: Ask, options: Options | None) -> BatchCompressor:
    """BM25 and salience."""
    from ctxzip.score.lexical import LexicalScorer

    return Pipeline(ask.name, LexicalScorer(), options, Policy(side_by_side=False))


def mini(ask: Ask, options: Options | None) -> BatchCompressor:
    """The shipped model, or a bundle like it."""
    return SharedPipeline(ask.name, _mini_scorer(ask), options)


def llmlingua2(ask: Ask, options: Options | None) -> BatchCompressor:
    """A token classifier; with ``compat`` the reference's own decisions."""
    from ctxzip.score.classifier import ClassifierScorer, LLMLingua2

    settings = _settings(ask, LLMLingua2)

    def encoder() -> Encoder:
        return _encoder(ask, settings.allow_pickle, classifier=True)

    if settings.compat:
        from ctxzip.compressors.llmlingua2.compressor import ReferenceCompressor

        # Its own, since forced tokens may add to the model.
        return ReferenceCompressor(encoder, settings, options)
    shared = Lease(
        _key("encoder", ask, settings.allow_pickle), encoder, lambda model: model.close()
    )
    scorer = ClassifierScorer(shared, settings)
    return Pipeline(ask.name, scorer, options, Policy(granularity="word"))


def recomp_extractive(ask: Ask, options: Options | None) -> BatchCompressor:
    """A bi-encoder over sentences."""
    from ctxzip.score.embedding import EmbeddingScorer, Recomp

    settings = _settings(ask, Recomp)
    scorer = EmbeddingScorer(embedder(ask, pickles=settings.allow_pickle), settings)
    policy = Policy(granularity="sentence", selects=settings.selects)
    return Pipeline(ask.name, scorer, options, policy)


def embedder(ask: Ask, *, pickles: bool) -> Lease[Embedder]:
    """What makes vectors of sentences; one for all settings."""

    def make() -> Embedder:
        from ctxzip.backends.exported import ExportedEncoder
        from ctxzip.backends.pooling import Pooling, pooling_of
        from ctxzip.score.embedders import SentenceEmbedder, SituatedEmbedder

        files = ask.files
        if files is not None and files.format is Format.BUNDLE and files.path is not None:
            return SituatedEmbedder(files.path, files.name)
        encoder = _encoder(ask, pickles, classifier=False)
        if isinstance(encoder, ExportedEncoder):
            return SentenceEmbedder(encoder, Pooling(**encoder.manifest["pooling"]))
        from ctxzip.backends.torch.loading import folder_of

        pooling = pooling_of(folder_of(encoder.name, _placement(ask, pickles)))
        if pooling.window is not None:
            window = min(encoder.frame.window, pooling.window)
            encoder.frame = replace(encoder.frame, window=window)
        return SentenceEmbedder(encoder, pooling)

    return Lease(_key("embedder", ask, pickles), make, lambda made: made.close())


def exit_(ask: Ask, options: Options | None) -> BatchCompressor:
    """A language model that is asked about every sentence."""
    from ctxzip.score.likelihood import Exit, LikelihoodScorer

    settings = _settings(ask, Exit)
    name, adapter = ask.model, settings.adapter
    if name is None:
        name, adapter = str(ask.default_model), adapter or _EXIT_ADAPTER
    shared = _causal_model(ask, name, settings.allow_pickle, adapter)
    scorer = LikelihoodScorer(shared, settings)
    return Pipeline(ask.name, scorer, options, Policy(granularity="sentence", threshold=0.5))


def recomp_abstractive(ask: Ask, options: Options | None) -> BatchCompressor:
    """A sequence-to-sequence model that writes summaries."""
    from ctxzip.backends.torch.causal import Seq2SeqModel
    from ctxzip.compressors.rewriting.compressor import RewritingCompressor
    from ctxzip.compressors.rewriting.writers import Abstractive, Seq2SeqWriter

    settings = _settings(ask, Abstractive)
    name, placement = ask.model or str(ask.default_model), _placement(ask, settings.allow_pickle)
    shared = Lease(("seq2seq", name, placement), lambda: Seq2SeqModel(name, placement))
    return RewritingCompressor(
        ask.name,
        Seq2SeqWriter(shared, settings),
        lexical(Ask("lexical"), options),
        options,
        titles=settings.titles,
        check=settings.check,
    )


def chat_summary(ask: Ask, options: Options | None) -> BatchCompressor:
    """An LLM behind an endpoint that writes summaries."""
    from ctxzip.backends.chat import Chat
    from ctxzip.compressors.rewriting.compressor import RewritingCompressor
    from ctxzip.compressors.rewriting.writers import ChatWriter

    settings = _settings(ask, Chat)
    if ask.model is not None:
        settings = replace(settings, model=ask.model)
    fallback = lexical(Ask("lexical"), options)
    writer = ChatWriter(settings)
    return RewritingCompressor(ask.name, writer, fallback, options, check=settings.check)


def longcodezip(ask: Ask, options: Options | None) -> BatchCompressor:
    """Source code by its functions; what is none by its words."""

    def text(applied: Options) -> BatchCompressor:
        return lexical(Ask("lexical"), applied)

    return Mixed(ask.name, lambda applied: _code(ask, applied), text, options)


def _code(ask: Ask, options: Options) -> BatchCompressor:
    """The compressor of documents that are source code."""
    from ctxzip.code.compressor import CodeCompressor
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
    return CodeCompressor(ask.name, _code_scorer(ask, settings, kind), options, settings)


def _code_scorer(ask: Ask, settings: LongCodeZip, kind: str) -> CodeScorer:
    from ctxzip.code.score.perplexity import PerplexityCode
    from ctxzip.code.score.vectors import Embedded
    from ctxzip.code.score.words import LexicalCode
    from ctxzip.score.embedding import EmbeddingScorer

    if kind == "lexical":
        return LexicalCode()
    if kind == "mini":
        return Embedded("mini and words", _mini_scorer(Ask("mini")))
    if kind == "embedding":
        vectors = embedder(replace(ask, settings=None), pickles=False)
        return Embedded("embeddings and words", lambda: EmbeddingScorer(vectors))
    return PerplexityCode(_likelihood(ask, settings), settings.shortlist)


def _likelihood(ask: Ask, settings: LongCodeZip) -> Callable[[], Likelihood]:
    """Likelihoods by an endpoint, or by a causal language model on this machine."""
    endpoint = settings.endpoint

    def make() -> Likelihood:
        if endpoint is not None:
            from ctxzip.code.score.endpoint import EndpointLikelihood

            chosen = endpoint if ask.model is None else replace(endpoint, model=ask.model)
            return EndpointLikelihood(chosen)
        if ask.model is None:
            raise InputError(
                "scorer='perplexity' needs a causal language model.",
                hint='Give model="Qwen/Qwen2.5-Coder-0.5B-Instruct" or a folder, or'
                " settings=ctxzip.LongCodeZip(endpoint=ctxzip.Chat(base_url=...)).",
            )
        from ctxzip.backends.torch.likelihood import TorchLikelihood

        return TorchLikelihood(_load_causal_model(ask.model, _placement(ask, False)))

    return make if endpoint is not None else Lease(_key("likelihood", ask, False), make)


def _causal_model(ask: Ask, name: str, pickles: bool, adapter: str | None) -> Lease[CausalModel]:
    placement = _placement(ask, pickles)
    key = ("causal", name, adapter, placement)
    return Lease(key, lambda: _load_causal_model(name, placement, adapter))


def _load_causal_model(name: str, placement: Placement, adapter: str | None = None) -> CausalModel:
    from ctxzip.backends.torch.causal import CausalModel

    return CausalModel(name, placement, adapter)


def _key(what: str, ask: Ask, pickles: bool) -> Hashable:
    """Equal for equal models, whatever the settings of the method."""
    model = ask.model if ask.model is not None else ask.default_model
    named = ask.model is not None  # only then it may be downloaded
    return what, model, named, ask.device, ask.backend, ask.dtype, ask.compiled, pickles


def _settings(ask: Ask, kind: type[T]) -> T:
    """The settings of a row, checked."""
    if ask.settings is None:
        return kind()
    if not isinstance(ask.settings, kind):
        raise InputError(
            f"settings={ask.settings!r} is not for compressor {ask.name!r}.",
            hint=f"Give a ctxzip.{kind.__name__}.",
        )
    return ask.settings


def _placement(ask: Ask, pickles: bool) -> Placement:
    from ctxzip.backends.torch.loading import Placement

    # Naming a checkpoint is asking for it; the default one is only looked up on this machine.
    return Placement(ask.device, ask.dtype, ask.compiled, ask.model is not None, pickles)


def _encoder(ask: Ask, pickles: bool, *, classifier: bool) -> Encoder:
    """The encoder that a row runs, by whichever backend fits the folder."""
    if ask.runs_onnx:
        from ctxzip.backends.exported import ExportedEncoder

        return ExportedEncoder(Path(str(ask.model)), "token" if classifier else "embedding")
    from ctxzip.backends.torch.loading import ENCODER, TOKEN_CLASSIFIER, TorchEncoder

    name = ask.model or str(ask.default_model)
    kind = TOKEN_CLASSIFIER if classifier else ENCODER
    return TorchEncoder(name, _placement(ask, pickles), kind=kind)


def _mini_scorer(ask: Ask) -> Lease[MiniScorer]:
    """The scorer of the shipped bundle or of another one."""
    from ctxzip.score.mini.scorer import Mini

    settings = _settings(ask, Mini)
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
    files = ask.files
    folder = None if files is None else files.path or Path(files.name)
    device, dtype = ask.device, ask.dtype
    return Lease(
        ("mini", folder, settings, backend, device, dtype),
        lambda: load_mini(folder, settings, backend=backend, device=device, dtype=dtype),
        lambda scorer: scorer.close(),
    )


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
    found = bundle.read(bundle.find(bundle.SHIPPED) if folder is None else folder)
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
