"""Near-duplicate passages: MinHash with banding, in 128 bytes a passage, checked exactly.

Broder, "On the resemblance and containment of documents", 1997; Leskovec et al., "Mining of Massive
Datasets", chapter 3. Passages are only compared where their numbers and negations are the same: a
log line about pump 3 is no duplicate of one about pump 4.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Signatures", "fold", "jaccard", "shingles"]

UIntArray = npt.NDArray[np.uint64]

_BANDS, _ROWS = 16, 4  # finds 99.99% of pairs of similarity 0.8, and a third of those of 0.4
_WORD = re.compile(r"\w+")
_TELLING = re.compile(
    r"\d+(?:[.,]\d+)*|\b(?:not|no|never|none|nor|without|cannot|kein\w*|nicht|nie|ohne|pas|jamais|sans"
    r"|ningún|nunca|sin)\b|n['\u2019]t\b|[不没無无非]"
)
_draw = np.random.default_rng(20240607)
_MULTIPLY = _draw.integers(1, 2**63, _BANDS * _ROWS, dtype=np.uint64) | np.uint64(1)
_ADD = _draw.integers(0, 2**63, _BANDS * _ROWS, dtype=np.uint64)


def fold(text: str) -> str:
    """What two copies of a text have in common: neither case nor spacing."""
    return " ".join(text.casefold().split())


def shingles(folded: str) -> UIntArray:
    """Hashes of three words in a row, or of five characters where words are not told apart.

    Returns:
        Sorted and distinct, uint64, shape (s,).
    """
    words = _WORD.findall(folded)
    if len(folded) > 12 * max(1, len(words)):
        letters = "".join(words)
        words, width = list(letters), 5
    else:
        width = 3
    if not words:
        return np.zeros(0, np.uint64)
    codes = np.array([zlib.crc32(word.encode("utf-8", "replace")) for word in words], np.uint64)
    width = min(width, len(codes))
    total = np.zeros(len(codes) - width + 1, np.uint64)
    for i in range(width):
        total = total * np.uint64(0x9E3779B97F4A7C15) + codes[i : len(codes) - width + 1 + i]
    return np.unique(total)


def jaccard(a: UIntArray, b: UIntArray) -> float:
    """Size of the intersection over that of the union."""
    common = len(np.intersect1d(a, b, assume_unique=True))
    union = len(a) + len(b) - common
    return common / union if union else 1.0


class Signatures:
    """What must be remembered of every passage to find those that resemble an earlier one."""

    def __init__(self) -> None:
        self._whole = array("Q")
        self._bands = array("Q")

    def __len__(self) -> int:
        return len(self._whole)

    def add(self, text: str) -> None:
        """Remember a passage."""
        folded = fold(text)
        self._whole.append(_hash(folded))
        found = shingles(folded)
        if not len(found):
            self._bands.extend([self._whole[-1]] * _BANDS)
            return
        telling = np.uint64(_hash(" ".join(sorted(set(_TELLING.findall(folded))))))
        mixed = (found[:, None] + _ADD[None, :]) * _MULTIPLY[None, :]
        least = (mixed >> np.uint64(16)).min(axis=0).reshape(_BANDS, _ROWS)
        key = np.full(_BANDS, telling)
        for i in range(_ROWS):
            key = (key ^ least[:, i]) * np.uint64(0xFF51AFD7ED558CCD)
            key ^= key >> np.uint64(33)
        self._bands.frombytes(key.tobytes())

    def copies(self) -> npt.NDArray[np.int64]:
        """The first passage of the same folded text, for every passage: int64, shape (n,)."""
        return _heads(np.frombuffer(self._whole, np.uint64))

    @property
    def last(self) -> int:
        """Hash of the last passage, but for case and spacing."""
        return self._whole[-1]

    def like(self, i: int, heads: Sequence[int], similarity: float) -> bool:
        """Whether a passage seems to resemble one of some others, by the bands they share."""
        bands = np.frombuffer(self._bands, np.uint64).reshape(len(self), _BANDS)
        shared = (bands[heads] == bands[i]).mean(axis=1)
        return bool((shared >= similarity**_ROWS).any())

    def candidates(self) -> dict[int, list[int]]:
        """Earlier passages that each passage may resemble, where there are any."""
        n = len(self)
        if not n:
            return {}
        bands = np.frombuffer(self._bands, np.uint64).reshape(n, _BANDS)
        found: dict[int, set[int]] = {}
        for band in range(_BANDS):
            heads = _heads(np.ascontiguousarray(bands[:, band]))
            later = np.flatnonzero(heads != np.arange(n))
            for i, head in zip(later.tolist(), heads[later].tolist(), strict=True):
                found.setdefault(i, set()).add(head)
        return {i: sorted(heads) for i, heads in found.items()}


def _heads(keys: UIntArray) -> npt.NDArray[np.int64]:
    """For every entry the index of the first one that equals it."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    heads: npt.NDArray[np.int64] = first[inverse].astype(np.int64)
    return heads


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
