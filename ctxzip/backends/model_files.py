"""What lies behind the name of a model, as a value: who asks for it looks into no folder."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ctxzip.backends import bundle
from ctxzip.backends.exported import is_exported

__all__ = ["Format", "ModelFiles", "located"]


class Format(Enum):
    """How the files of a model are laid out."""

    BUNDLE = "a bundle of mini"
    EXPORTED = "a folder that ctxzip export made"
    CHECKPOINT = "a folder as transformers writes it"
    GGUF = "a GGUF file"
    HUB = "a name of the hub"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model by its files.

    Attributes:
        name: what the caller called it.
        format: how they are laid out.
        path: where they lie; None for a name of the hub.
        shipped: they came with this package, wherever it is installed.
    """

    name: str
    format: Format
    path: Path | None = None
    shipped: bool = False


def located(name: str) -> ModelFiles:
    """The files that a name stands for.

    Raises:
        ModelError: the shipped bundle is meant, and this installation has none.
    """
    if name == bundle.SHIPPED:
        return ModelFiles(name, Format.BUNDLE, bundle.find(name), shipped=True)
    path = Path(name)
    if path.suffix == ".gguf":
        return ModelFiles(name, Format.GGUF, path)
    if not path.is_dir():
        return ModelFiles(name, Format.HUB)
    if is_exported(path):
        return ModelFiles(name, Format.EXPORTED, path)
    if bundle.is_bundle(path):
        return ModelFiles(name, Format.BUNDLE, path)
    return ModelFiles(name, Format.CHECKPOINT, path)
