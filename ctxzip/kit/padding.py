"""Batches of rows of like length, and their padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ctxzip.kit.arrays import IntArray

__all__ = ["batches", "longest_first", "packs", "padded", "shortest_first"]

_Number = TypeVar("_Number", bound=np.generic)


def batches(
    lengths: Sequence[int], most: int, multiple: int = 16
) -> Iterator[tuple[list[int], int]]:
    """Group inputs of like length.

    An input's padded length depends on nothing but its own length, and a batch holds one padded
    length only: so what a model computes for an input does not depend on its neighbours.

    Args:
        lengths: tokens of each input.
        most: padded tokens of one batch, unless a single input has more.
        multiple: padded lengths are multiples of this.

    Yields:
        Indices of a batch's inputs and their padded length, longest first.
    """
    rounded = np.maximum(1, -(-np.array(lengths, np.int64) // multiple)) * multiple
    order = np.argsort(-rounded, kind="stable")
    for size in np.unique(rounded)[::-1].tolist():
        members = order[rounded[order] == size].tolist()
        step = max(1, most // size)
        for at in range(0, len(members), step):
            yield members[at : at + step], size


def shortest_first(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Indices by length in batches of at most ``most`` tokens, padded to the longest of each."""
    batch: list[int] = []
    for i in np.argsort(np.asarray(lengths), kind="stable").tolist():
        if batch and lengths[i] * (len(batch) + 1) > most:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def longest_first(lengths: Sequence[int], most: int, alike: float = 0.0) -> Iterator[list[int]]:
    """The same from the longest down, so that what does not fit a device is known at once.

    Args:
        lengths: tokens of each input, at least 1.
        most: padded tokens of one batch, unless a single input has more.
        alike: share of a batch's longest input that its others have at least.
    """
    left = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    while left:
        longest = lengths[left[0]]
        candidates = left[: max(1, most // longest)]
        batch = [i for i in candidates if lengths[i] >= alike * longest]
        left = left[len(batch) :]
        yield batch


def packs(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Indices in as few packs of at most ``most`` tokens as first fit finds, longest first.

    An input that is longer is a pack of its own.
    """
    found: list[list[int]] = []
    room: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        k = next((k for k, left in enumerate(room) if left >= lengths[i]), len(found))
        if k == len(found):
            found.append([])
            room.append(most)
        found[k].append(i)
        room[k] -= lengths[i]
    return found


def padded(
    rows: Sequence[npt.NDArray[_Number]], length: int | None = None, fill: Any = 0
) -> tuple[npt.NDArray[_Number], IntArray]:
    """Rows of ids or of states side by side, and what of them is no padding.

    Args:
        rows: shape (n, ...) each.
        length: how long they become; as long as the longest by default.
        fill: what stands behind the end of a row.

    Returns:
        Shape (rows, length, ...), and the mask, int64, shape (rows, length).
    """
    size = max(map(len, rows)) if length is None else length
    result = np.full((len(rows), size, *rows[0].shape[1:]), fill, rows[0].dtype)
    mask = np.zeros((len(rows), size), np.int64)
    for i, row in enumerate(rows):
        result[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return result, mask
