"""Vectors in little memory: a faiss index of one of four storages, read by row number.

A vector that is read comes back in full dimension and as float32, so that the dot product with a
query is the one that the model defines, less what the storage lost.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from ctxzip.errors import InputError, ModelError
from ctxzip.kit.arrays import BoolArray, Float32Array, IntArray
from ctxzip.kit.extras import require

__all__ = ["STORAGES", "Vectors", "check_storage", "rows_of"]


STORAGES = ("float32", "float16", "int8", "pca8")
_CHUNK = 1 << 20
# Vectors from which the axes and the ranges of the numbers are learnt.
_LEARN = 65_536


class Vectors:
    """Rows of float32 numbers, stored smaller. Thread-safe.

    Args:
        storage: ``"float32"``; ``"float16"``; ``"int8"``: 8 bits per number, over the range of each
            dimension; ``"pca8"``: the same after a projection onto the principal components.
        dimension: numbers per vector.
        components: principal components of ``"pca8"``; half of the dimensions by default.

    Raises:
        InputError: an unknown storage, or more components than dimensions.
        MissingExtraError: faiss is not installed.
    """

    def __init__(self, storage: str, dimension: int, components: int | None = None) -> None:
        check_storage(storage, components)
        self.storage = storage
        self.dimension = dimension
        self.components = components if components is not None else max(1, dimension // 2)
        if storage == "pca8" and self.components > dimension:
            raise InputError(
                f"components={components!r}, but the model's vectors have {dimension} dimensions."
            )
        self._faiss = require("faiss", "index")
        self.learnt = 0  # vectors that ranges and components were learnt from
        self.loss = 0.0  # of these, see _loss
        self._index = self._empty()
        self._waiting: list[Float32Array] = []  # until there are enough to learn from
        self._count = 0
        self._lock = threading.Lock()

    def _empty(self) -> Any:
        faiss, inner = self._faiss, self._faiss.METRIC_INNER_PRODUCT
        if self.storage == "float32":
            return faiss.IndexFlatIP(self.dimension)
        if self.storage == "float16":
            kind = faiss.ScalarQuantizer.QT_fp16
            return faiss.IndexScalarQuantizer(self.dimension, kind, inner)
        eight = faiss.ScalarQuantizer.QT_8bit
        if self.storage == "int8":
            return faiss.IndexScalarQuantizer(self.dimension, eight, inner)
        smaller = faiss.IndexScalarQuantizer(self.components, eight, inner)
        return faiss.IndexPreTransform(faiss.PCAMatrix(self.dimension, self.components), smaller)

    def __len__(self) -> int:
        return self._count

    @property
    def ready(self) -> bool:
        """Whether nothing waits for more vectors to learn from."""
        return not self._waiting

    @property
    def nbytes(self) -> int:
        """Bytes of the stored vectors."""
        return len(self) * int(self._index.sa_code_size())

    def add(self, rows: Float32Array) -> None:
        """Append vectors, float32, shape (n, dimension).

        Raises:
            ModelError: they are not finite.
        """
        if not np.isfinite(rows).all():
            raise ModelError(
                "The model's embeddings are not finite numbers.",
                hint='Load it with dtype="float32".',
            )
        with self._lock:
            rows = np.ascontiguousarray(rows, np.float32)
            self._count += len(rows)
            if self._outgrown(rows):
                stored = self._index.reconstruct_n(0, self._index.ntotal)
                self._waiting, self._index = [stored], self._empty()
            if self._index.is_trained:
                self._index.add(rows)
                return
            self._waiting.append(rows)
            if self._count >= _LEARN:
                self._learn()

    def _outgrown(self, rows: Float32Array) -> bool:
        """Whether what was learnt from few vectors is too little for those that come."""
        lossy = self.storage in ("int8", "pca8")
        if not lossy or not self._index.is_trained or self.learnt >= _LEARN:
            return False
        return self._count >= 2 * self.learnt or self._loss(rows) > 1.5 * self.loss

    def _loss(self, rows: Float32Array) -> float:
        """How far vectors are from what is stored of them, as a part of their length."""
        stored = self._index.sa_decode(self._index.sa_encode(rows))
        return float(np.linalg.norm(stored - rows) / max(float(np.linalg.norm(rows)), 1e-12))

    def finish(self) -> None:
        """Learn from what there is, where nothing was learnt yet.

        Raises:
            InputError: there are too few vectors.
        """
        with self._lock:
            if self._waiting:
                self._learn()

    def _learn(self) -> None:
        rows = np.concatenate(self._waiting)
        if self.storage == "pca8" and len(rows) < self.dimension:
            raise InputError(
                f"storage='pca8' learns {self.components} components from at least"
                f" {self.dimension} sentences; there are {len(rows)}.",
                hint="Use storage='float16' or 'int8' for a corpus as small as this.",
            )
        self._index.train(rows)
        self._index.add(rows)
        self._waiting, self.learnt, self.loss = [], len(rows), self._loss(rows)

    def read(self, rows: IntArray) -> Float32Array:
        """Vectors by row number, int64, shape (n,); float32, shape (n, dimension)."""
        if not len(rows):
            return np.zeros((0, self.dimension), np.float32)
        self.finish()
        with self._lock:
            found: Float32Array = self._index.reconstruct_batch(np.ascontiguousarray(rows))
        return found

    def remove(self, gone: BoolArray) -> None:
        """Delete rows, bool, shape (len,); the others move up in order."""
        self.finish()
        rows = np.flatnonzero(gone).astype(np.int64)
        if not len(rows):
            return
        with self._lock:
            self._index.remove_ids(rows)
            self._count -= len(rows)

    def write(self, file: IO[bytes]) -> None:
        """Write a faiss index, which faiss itself can read too."""
        self.finish()
        faiss = self._faiss
        with self._lock:
            faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write, _CHUNK))

    @classmethod
    def open(cls, path: Path, storage: str, dimension: int, components: int) -> Vectors:
        """Read what :meth:`write` wrote; ``learnt`` and ``loss`` are for the caller to set.

        Raises:
            ModelError: the file holds something else.
        """
        result = cls(storage, dimension, components if storage == "pca8" else None)
        try:
            index = result._faiss.read_index(str(path))
        except RuntimeError as error:
            raise ModelError(f"{path} cannot be read by faiss: {error}.") from error
        made, wanted = (_shape(result._faiss, stored) for stored in (index, result._index))
        if made != wanted:
            raise ModelError(f"{path} holds {made}, not {wanted} as its manifest says.")
        result._index, result._count = index, int(index.ntotal)
        return result


def _shape(faiss: Any, index: Any) -> str:
    index = faiss.downcast_index(index)
    return f"{type(index).__name__} of {index.d} dimensions, {index.sa_code_size()} bytes each"


def check_storage(storage: str, components: int | None) -> None:
    """Raise InputError for what :class:`Vectors` does not take."""
    if storage not in STORAGES:
        raise InputError(
            f"storage={storage!r} is unknown.", hint=f"Use one of: {', '.join(STORAGES)}."
        )
    if components is not None and storage != "pca8":
        raise InputError(f"components={components!r} is for storage='pca8' only.")
    if components is not None and components < 1:
        raise InputError(f"components={components!r} is not at least 1.")


def rows_of(first: Sequence[int], count: Sequence[int]) -> IntArray:
    """Row numbers of several runs, one after the other, int64."""
    if not len(first):
        return np.zeros(0, np.int64)
    start, size = np.asarray(first, np.int64), np.asarray(count, np.int64)
    shift = np.repeat(start - np.concatenate([[0], np.cumsum(size)[:-1]]), size)
    found: IntArray = np.arange(len(shift), dtype=np.int64) + shift
    return found
