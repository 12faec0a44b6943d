"""What is true of a compressor, and what a caller asks of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ctxzip.backends.model_files import Format, ModelFiles, located
from ctxzip.errors import InputError
from ctxzip.kit.batch import BatchCompressor
from ctxzip.types import Options

__all__ = ["Ask", "Row"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What ``load`` was asked for; its arguments, and the name of the row's own checkpoint."""

    name: str
    model: str | None = None
    device: str = "auto"
    backend: str = "auto"
    dtype: str = "auto"
    settings: object = None
    compiled: bool = False
    default_model: str | None = None

    @property
    def plain(self) -> bool:
        """Whether nothing but the name was given."""
        return self == Ask(self.name, default_model=self.default_model)

    @property
    def files(self) -> ModelFiles | None:
        """The files of the model that was named, if one was."""
        return None if self.model is None else located(self.model)

    def is_format(self, *formats: Format) -> bool:
        """Whether a model was named whose files have one of some formats."""
        files = self.files
        return files is not None and files.format in formats

    @property
    def runs_onnx(self) -> bool:
        """Whether the model was exported, and shall run as it is."""
        return self.is_format(Format.EXPORTED) and self.backend != "torch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A compressor: how it is made, and all that others have to know of it.

    Attributes:
        summary: what it does, in a line.
        build: makes it of what was asked for and the options.
        needs: packages that it needs beyond the base install.
        extra: the extra that brings them, or None.
        without: formats of model files that run without these packages.
        default_model: the checkpoint that it takes from this machine's cache where none is named.
        configurable: it takes a model or settings.
        offline: it works without a checkpoint, an endpoint or a device of the caller's.
        bundle: the shipped bundle that it runs where no model is named, or None.
        threads: the threads of its networks, and the memory for what they read, can be set.
        overlaps: its networks run without the interpreter's lock, so that one batch is prepared
            and chosen from while another one is read.
        languages: ISO 639-1 codes of the texts that its model knows; None for all.
        calibrated: its scores are probabilities, so it takes a threshold.
        indexed: it takes sentence embeddings that were made before the question.
        fallback: the row that answers where this one fails; None where nothing is simpler.
    """

    summary: str
    build: Callable[[Ask, Options | None], BatchCompressor]
    needs: tuple[str, ...] = ()
    extra: str | None = None
    without: tuple[Format, ...] = ()
    default_model: str | None = None
    configurable: bool = False
    offline: bool = False
    bundle: str | None = None
    threads: bool = False
    overlaps: bool = False
    languages: tuple[str, ...] | None = None
    calibrated: bool = False
    indexed: bool = False
    fallback: str | None = "lexical"

    def check(self, ask: Ask) -> None:
        """Raise InputError for arguments that this compressor has no use for."""
        if self.default_model is None and not self.configurable and not ask.plain:
            raise InputError(f"Compressor {ask.name!r} takes neither a model nor settings.")
        if ask.backend not in ("auto", "torch", "onnx"):
            raise InputError(
                f"backend={ask.backend!r} is unknown.", hint='Use "auto", "torch" or "onnx".'
            )
        if ask.backend == "onnx" and not self.bundle and not ask.is_format(*self.without):
            raise InputError(
                f'backend="onnx" needs a folder that "ctxzip export" made; model={ask.model!r}.'
            )
