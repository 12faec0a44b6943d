"""Indexes that are named by their folder, kept open between calls."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from ctxzip.errors import InputError
from ctxzip.index.folder import stamp as stamp_of
from ctxzip.index.sentences import SentenceIndex

__all__ = ["opened"]


_MOST_OPEN = 4
_open: dict[Path, tuple[tuple[int, int, int], SentenceIndex]] = {}
_opening = threading.Lock()


def opened(index: SentenceIndex | str | os.PathLike[str]) -> SentenceIndex:
    """An index, or the one of a folder, which is read once and again after it was saved anew.

    Raises:
        InputError: it is neither, or no index lies there.
        ModelError: see :meth:`SentenceIndex.load`.
    """
    if isinstance(index, SentenceIndex):
        return index
    if not isinstance(index, str | os.PathLike):
        raise InputError(f"index={index!r} is neither a ctxzip.SentenceIndex nor a folder.")
    folder = Path(index).resolve()
    with _opening:
        stamp = stamp_of(folder)
        known = _open.pop(folder, None)
        if known is None or known[0] != stamp:
            known = (stamp, SentenceIndex.load(folder))
        _open[folder] = known
        while len(_open) > _MOST_OPEN:
            del _open[next(iter(_open))]
        return known[1]
