"""Which words of the input a compression kept."""

from __future__ import annotations

import numpy as np

from ctxzip.segment import words as word_segmenter
from ctxzip.text.spans import overlapping
from ctxzip.text.units import Units
from ctxzip.types import Compression

__all__ = ["word_labels"]


def word_labels(result: Compression) -> list[list[tuple[str, bool]]]:
    """Every word of every source document with whether it is in the output.

    Args:
        result: of an extractive compressor; nothing of a rewritten document counts as kept.

    Returns:
        One list of ``(word, kept)`` per document of the result, in source order.
    """
    labels = []
    for document in result.documents:
        text = document.source.text
        start, end = word_segmenter.split(text)
        none = np.zeros(len(start), np.int64)
        kept = np.array(document.kept or (), np.int64).reshape(-1, 2)
        flags = overlapping(Units(start, end, none, none - 1), kept)
        labels.append(
            [
                (text[a:b], keep)
                for a, b, keep in zip(start.tolist(), end.tolist(), flags.tolist(), strict=True)
            ]
        )
    return labels
