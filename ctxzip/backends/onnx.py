"""A `mini` bundle run by onnxruntime: token ids in, NumPy arrays out.

The forward over documents needs no query, so its results are kept in memory by the content of the
window (least recently used go first). Batches are formed by length under a token budget, and
padding is masked: a text has the same numbers alone and among others, to about 1e-6.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ctxzip.backends.encoder import CrossReading
from ctxzip.errors import ModelError
from ctxzip.kit.arrays import Float32Array, IntArray
from ctxzip.kit.padding import padded, shortest_first

__all__ = ["OnnxEncoder", "default_threads", "load_session"]

BATCH_TOKENS = 512  # what a core's caches hold: a third faster than 4096
CACHE_BYTES = 256 * 2**20


class _Cache:
    """Arrays by key, the least recently used dropped above a number of bytes. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._size = 0
        self._items: OrderedDict[bytes, Float32Array] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> Float32Array | None:
        with self._lock:
            found = self._items.get(key)
            if found is not None:
                self._items.move_to_end(key)
            return found

    def put(self, key: bytes, value: Float32Array) -> None:
        with self._lock:
            if key in self._items or value.nbytes > self.limit:
                return
            self._items[key] = value
            self._size += value.nbytes
            while self._size > self.limit:
                self._size -= self._items.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        with self._lock:
            self._items.clear()
            self._size = 0


class OnnxEncoder:
    """The networks of a bundle. Thread-safe; sessions are made on first use.

    Args:
        folder: the bundle's folder.
        files: file name of each network: ``trunk``, ``late``, ``keep`` and, where it has one,
            ``cross``.
        threads: threads per network; by default the processors this process may use, at most 8.
        cache_bytes: memory for results over documents; 0 keeps none.
    """

    def __init__(
        self,
        folder: Path,
        files: dict[str, str],
        *,
        threads: int | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._paths = {name: folder / file for name, file in files.items()}
        self._threads = threads if threads is not None else default_threads()
        self._sessions: dict[tuple[str, int], Any] = {}
        self._users = 0
        self._lock = threading.Lock()
        self._cache = _Cache(cache_bytes)
        self._batch_tokens = BATCH_TOKENS

    @property
    def remembers(self) -> bool:
        """Whether what was read is found again without reading it."""
        return self._cache.limit > 0

    def has(self, name: str) -> bool:
        """Whether the bundle holds a network."""
        return name in self._paths

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Around the readings of one caller, so that callers side by side share the processors.

        Each of them is fastest in total with its own half: threads of one network that wait for
        those of another cost a tenth of the time. Nobody side by side, no second set of sessions.
        """
        with self._lock:
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1

    def states(self, windows: Sequence[IntArray]) -> Iterator[tuple[int, Float32Array]]:
        """Token states of windows, in any order: pairs of index and float32 (length, H)."""
        return self._read("late", windows)

    def keep(self, windows: Sequence[IntArray]) -> Iterator[tuple[int, Float32Array]]:
        """Keep logits of windows, in any order: pairs of index and float32 (length,)."""
        return self._read("keep", windows)

    def cross(
        self, pairs: Sequence[tuple[IntArray, IntArray]]
    ) -> Iterator[tuple[int, CrossReading]]:
        """Read windows together with queries, in any order.

        Args:
            pairs: the ids of a query and of a window, both with their special tokens.
        """
        places: dict[bytes, list[int]] = {}
        for i, (query, _) in enumerate(pairs):
            places.setdefault(query.tobytes(), []).append(i)
        asked_once = list(places.values())
        queries: dict[int, Float32Array] = {}
        for k, states in self._trunk([pairs[indices[0]][0] for indices in asked_once]):
            queries.update(dict.fromkeys(asked_once[k], states))
        read = dict(self._trunk([window for _, window in pairs]))
        for batch in shortest_first([len(q) + len(w) for q, w in pairs], self._batch_tokens):
            asked, asked_mask = padded([queries[i] for i in batch])
            given, mask = padded([read[i] for i in batch])
            logits, similar, window = self._run(
                "cross", query=asked, query_mask=asked_mask, window=given, window_mask=mask
            )
            for row, i in enumerate(batch):
                width, size = len(pairs[i][0]), len(pairs[i][1])
                yield (
                    i,
                    CrossReading(
                        relevance=logits[row, :size, 0],
                        answer=logits[row, :size, 1],
                        similar=similar[row, :size, :width],
                        window=float(window[row]),
                    ),
                )

    def warmup(self) -> None:
        """Load every network."""
        for name in self._paths:
            self._session(name, self._threads)

    def close(self) -> None:
        """Release the networks and what was remembered."""
        with self._lock:
            self._sessions.clear()
        self._cache.clear()

    def _trunk(self, windows: Sequence[IntArray]) -> Iterator[tuple[int, Float32Array]]:
        def run(batch: list[int]) -> Float32Array:
            ids, mask = padded([windows[i] for i in batch])
            return self._run("trunk", ids=ids, mask=mask)[0]

        return self._remembered("trunk", windows, run)

    def _read(self, name: str, windows: Sequence[IntArray]) -> Iterator[tuple[int, Float32Array]]:
        """A branch over the trunk; both run batch by batch, so memory is bounded by the batch."""

        def run(batch: list[int]) -> Float32Array:
            trunk = dict(self._trunk([windows[i] for i in batch]))
            states, mask = padded([trunk[row] for row in range(len(batch))])
            return self._run(name, states=states, mask=mask)[0]

        return self._remembered(name, windows, run)

    def _remembered(
        self,
        name: str,
        windows: Sequence[IntArray],
        run: Callable[[list[int]], Float32Array],
    ) -> Iterator[tuple[int, Float32Array]]:
        """Results from memory where they are known, else from ``run``, batch by batch."""
        todo: list[int] = []
        keys: list[bytes] = []
        for i, ids in enumerate(windows):
            key = name.encode() + hashlib.blake2b(ids.tobytes(), digest_size=16).digest()
            keys.append(key)
            found = self._cache.get(key)
            if found is None:
                todo.append(i)
            else:
                yield i, found
        for batch in shortest_first([len(windows[i]) for i in todo], self._batch_tokens):
            chosen = [todo[k] for k in batch]
            result = run(chosen)
            for row, i in enumerate(chosen):
                value = result[row, : len(windows[i])].copy()
                self._cache.put(keys[i], value)
                yield i, value

    def _run(self, name: str, **inputs: npt.NDArray[Any]) -> list[Float32Array]:
        threads = self._threads if self._users < 2 else max(1, self._threads // 2)
        try:
            outputs: list[Float32Array] = self._session(name, threads).run(None, inputs)
        except Exception as error:  # onnxruntime has no common base class of its errors
            if type(error).__module__.partition(".")[0] != "onnxruntime":
                raise
            raise ModelError(f"{self._paths[name]} failed to run: {error}") from error
        return outputs

    def _session(self, name: str, threads: int) -> Any:
        with self._lock:
            if (name, threads) not in self._sessions:
                self._sessions[name, threads] = self._open(name, threads)
            return self._sessions[name, threads]

    def _open(self, name: str, threads: int) -> Any:
        return load_session(self._paths[name], threads)


def load_session(path: Path, threads: int) -> Any:
    """A network that runs on the CPU.

    Raises:
        ModelError: it cannot be loaded.
    """
    try:
        import onnxruntime  # type: ignore[import-untyped]
    except ImportError as error:
        raise ModelError(
            f"onnxruntime cannot be loaded: {error}.", hint="pip install onnxruntime"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Waiting threads would burn the processors that other requests need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(
            f"{path} cannot be loaded: {error}.",
            hint="Reinstall ctxzip, or fetch the bundle again.",
        ) from error


def default_threads() -> int:
    """Processors that this process may use, at most 8: its affinity, and its container's quota."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        count = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            count = min(count, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return min(8, count)
