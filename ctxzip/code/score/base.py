"""What every scorer of source code takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ctxzip.kit.arrays import FloatArray

__all__ = ["CodeScorer", "CodeText", "Inside", "Ranked"]


@dataclass(frozen=True, slots=True)
class CodeText:
    """A function, or another part of a source text, as scorers see it.

    Attributes:
        text: its source.
        name: what it is called, if anything.
        around: names of what it stands in: classes, the path of the file.
    """

    text: str
    name: str = ""
    around: str = ""


class Inside(Protocol):
    """What a scorer can say of the inside of the parts that it ranked."""

    def boundaries(self, part: int) -> list[int] | None:
        """The lines of a part after which a block ends; None to go by its structure."""
        ...

    def blocks(
        self, part: int, blocks: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
    ) -> FloatArray:
        """Usefulness of blocks of a part, float64, shape (n,), at least 0.

        Args:
            part: index of the part.
            blocks: their source, in the order of the part.
            spans: half-open ranges of characters of each in the part's text.
        """
        ...


class Ranked(NamedTuple):
    """What a scorer found out about the parts of a request.

    Attributes:
        scores: usefulness of parts, float64, shape (n,), higher is better.
        inside: asked for blocks and boundaries of the parts that are cut.
        notes: what the caller should know.
    """

    scores: FloatArray
    inside: Inside
    notes: tuple[str, ...] = ()


class CodeScorer(Protocol):
    """Ranks parts of source texts; thread-safe.

    Attributes:
        name: how results call it.
    """

    name: str

    def rank(self, query: str | None, parts: Sequence[CodeText], room: int) -> Ranked:
        """Usefulness of functions for a question.

        Args:
            query: the question, or None.
            parts: the functions and other parts.
            room: tokens that may stay.
        """
        ...

    def close(self) -> None:
        """Release what was loaded."""
        ...
