"""Folders that ``ctxzip export`` made: a checkpoint as ONNX, run without PyTorch.

A folder holds ``ctxzip.json`` (what it is, and a checksum of every file), ``tokenizer.json`` and
``model.onnx``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctxzip.backends.encoder import Encoded, Frame, plain
from ctxzip.errors import ModelError
from ctxzip.kit.arrays import Float32Array, IntArray
from ctxzip.kit.disk import sha256
from ctxzip.kit.once import Once
from ctxzip.kit.padding import batches, padded

__all__ = ["FORMAT", "MANIFEST", "ExportedEncoder", "is_exported", "read_manifest"]

MANIFEST = "ctxzip.json"
FORMAT = 1
_BATCH_TOKENS = 2048


def is_exported(folder: Path) -> bool:
    """Whether ``ctxzip export`` made a folder."""
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path, head: str) -> Mapping[str, Any]:
    """The manifest of an exported folder, with every file checked.

    Raises:
        ModelError: it is damaged, of a newer format, or was exported with another head.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        files: dict[str, str] = manifest["files"]
        found, made = manifest["head"], manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / MANIFEST} cannot be read: {error}.") from error
    if made != FORMAT:
        raise ModelError(
            f"{folder} has format {made}; this version reads {FORMAT}.", hint="Export it again."
        )
    if found != head:
        raise ModelError(
            f"{folder} was exported with --head {found}; --head {head} is needed here.",
            hint="Export it again.",
        )
    for name, digest in files.items():
        if not (folder / name).is_file() or sha256(folder / name) != digest:
            raise ModelError(
                f"{folder / name} is missing or damaged.", hint="Copy or export it again."
            )
    return manifest


class ExportedEncoder:
    """An :class:`ctxzip.backends.encoder.Encoder` over an exported folder. Thread-safe.

    Args:
        folder: what ``ctxzip export`` made.
        head: ``"token"``, ``"sentence"`` or ``"embedding"``.
        threads: threads of the runtime; the processors of this process by default, at most 8.
    """

    add_tokens = None  # an exported model is as it is

    def __init__(self, folder: Path, head: str, threads: int | None = None) -> None:
        from tokenizers import Tokenizer

        self.name = str(folder)
        self.manifest = read_manifest(folder, head)
        self._session = Once(lambda: _session(folder / "model.onnx", threads))
        try:
            self.tokenizer = plain(Tokenizer.from_file(str(folder / "tokenizer.json")))
        except Exception as error:  # tokenizers raises bare Exceptions
            raise ModelError(f"{folder / 'tokenizer.json'} cannot be read: {error}.") from error
        frame = self.manifest["frame"]
        self.frame = Frame(
            tuple(frame["prefix"]), tuple(frame["suffix"]), int(frame["pad"]), int(frame["window"])
        )

    def forward(self, inputs: Sequence[IntArray]) -> Encoded:
        """See :class:`ctxzip.backends.encoder.Encoder`."""
        states: list[Float32Array | None] = [None] * len(inputs)
        for batch, length in batches([len(ids) for ids in inputs], _BATCH_TOKENS):
            size = min(length, self.frame.window)
            ids, mask = padded([inputs[i] for i in batch], size, self.frame.pad)
            found = self._run(ids, mask)
            for row, i in enumerate(batch):
                states[i] = (
                    found[row, : len(inputs[i])] if found.ndim == 3 else found[row : row + 1]
                )
        return Encoded([found for found in states if found is not None])

    def _run(self, ids: IntArray, mask: IntArray) -> Float32Array:
        inputs = {"input_ids": ids, "attention_mask": mask}
        found: Float32Array = self._session().run(None, inputs)[0]
        return found

    def close(self) -> None:
        """Release the session; the next call opens it again."""
        self._session.close()


def _session(path: Path, threads: int | None) -> Any:
    from ctxzip.backends import onnx

    return onnx.load_session(path, threads if threads is not None else onnx.default_threads())
