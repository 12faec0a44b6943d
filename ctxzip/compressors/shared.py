"""Models that compressors share, and how they are let go.

What is loaded for equal arguments is loaded once per process, and every compressor in whose use it
is counts. When the last of them is closed the model is released. A compressor that was dropped
without closing leaves its model for the next one; of models that nobody uses the last few are kept.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ctxzip.kit.once import Once
from ctxzip.pipeline import Pipeline, Policy
from ctxzip.types import Compression, Options, Request

__all__ = ["MOST_IDLE", "Lease", "SharedPipeline", "unload"]

T = TypeVar("T")
MOST_IDLE = 4  # models that are kept though no compressor uses them

_Key = Hashable


@dataclass(slots=True)
class _Entry:
    """A model and the numbers of its users."""

    model: Once[Any]
    users: set[int] = field(default_factory=set)


_entries: OrderedDict[_Key, _Entry] = OrderedDict()  # the latest used last
_lock = threading.Lock()
_numbers = itertools.count()
# Users that were dropped: the collector may run anywhere, so it only notes who is gone.
_gone: deque[tuple[_Key, int]] = deque()


class Lease(Once[T]):
    """One compressor's part in a shared model, which is made on its first call. Thread-safe.

    Args:
        key: equal for equal models.
        make: makes the model.
        end: releases what it holds.
    """

    def __init__(
        self, key: _Key, make: Callable[[], T], end: Callable[[T], object] | None = None
    ) -> None:
        super().__init__(make, end)
        self._key = key
        self._number = next(_numbers)
        weakref.finalize(self, _gone.append, (key, self._number)).atexit = False

    def __call__(self) -> T:
        with _lock:
            entry = _entries.get(self._key)
            if entry is None:
                entry = _entries[self._key] = _Entry(Once(self._make, self._end))
            entry.users.add(self._number)
            _entries.move_to_end(self._key)
            idle = _idle()[:-MOST_IDLE]
            left = [_entries.pop(key) for key in idle]
        _close(left)
        model: T = entry.model()
        return model

    @property
    def made(self) -> T | None:
        """The model, where this user's call has made it."""
        with _lock:
            entry = _entries.get(self._key)
            return entry.model.made if entry and self._number in entry.users else None

    def close(self) -> None:
        """Stop using the model; it is released where nobody else uses it."""
        with _lock:
            _sweep()
            entry = _entries.get(self._key)
            if entry is None or self._number not in entry.users:
                return
            entry.users.discard(self._number)
            left = [] if entry.users else [_entries.pop(self._key)]
        _close(left)


class SharedPipeline(Pipeline):
    """A pipeline whose scorer others may use too; closing it takes the scorer from nobody.

    Args:
        name: see :class:`ctxzip.pipeline.Pipeline`.
        scorer: its part in the scorer.
        options: see there.
        policy: see there.
    """

    def __init__(
        self,
        name: str,
        scorer: Lease[Any],
        options: Options | None = None,
        policy: Policy | None = None,
    ) -> None:
        super().__init__(name, scorer(), options, policy)
        self._lease = scorer

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        """See :class:`ctxzip.pipeline.Pipeline`."""
        self.scorer = self._lease()  # which loads it again where it was released
        return super().compress_many(requests)

    def warmup(self) -> None:
        """Load what the first call would load."""
        self.scorer = self._lease()
        super().warmup()

    def close(self) -> None:
        """Stop using the scorer; it is released where nobody else uses it."""
        self._lease.close()


def unload() -> int:
    """Release the models that no compressor uses; one that was loaded is in use until it is closed.

    Returns:
        How many were released.
    """
    with _lock:
        left = [_entries.pop(key) for key in _idle()]
    _close(left)
    return len(left)


def _idle() -> list[_Key]:
    """Models without users, the one that was used longest ago first. The lock is held."""
    _sweep()
    return [key for key, entry in _entries.items() if not entry.users]


def _sweep() -> None:
    """Take note of users that were dropped. The lock is held."""
    while _gone:
        key, number = _gone.popleft()
        if key in _entries:
            _entries[key].users.discard(number)


def _close(left: list[_Entry]) -> None:
    for entry in left:
        entry.model.close()
