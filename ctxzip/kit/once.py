"""Things that are made on first use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Once"]

T = TypeVar("T")


class Once(Generic[T]):
    """Makes something on the first call, and again on the first one after it was let go.

    Thread-safe: callers that come while it is made wait. What cannot be made is tried again.

    Args:
        make: makes it.
        end: releases what it holds when it is let go; by default nothing but this reference is.
    """

    def __init__(self, make: Callable[[], T], end: Callable[[T], object] | None = None) -> None:
        self._make = make
        self._end = end
        self._lock = threading.Lock()
        self._made: list[T] = []

    @classmethod
    def of(cls, make: Callable[[], T], end: Callable[[T], object] | None = None) -> Once[T]:
        """What is such a thing already, or one that is made of a plain function."""
        return make if isinstance(make, Once) else cls(make, end)

    def __call__(self) -> T:
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    @property
    def made(self) -> T | None:
        """What was made; nothing is made for it."""
        return next(iter(self._made), None)

    def close(self) -> None:
        """Let it go; the next call makes it again."""
        with self._lock:
            made, self._made = self._made, []
        if self._end is not None:
            for one in made:
                self._end(one)
