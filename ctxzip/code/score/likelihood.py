"""What perplexities are computed from, whoever reads: PyTorch, or an endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ctxzip.kit.arrays import FloatArray, IntArray

__all__ = ["Likelihood", "Readings"]


class Readings(Protocol):
    """A question read behind contexts."""

    @property
    def question(self) -> list[FloatArray]:
        """For each context, negative log-likelihoods of the question's tokens."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the caller should know."""
        ...

    def surprisal(self, context: int) -> tuple[IntArray, FloatArray]:
        """First character, and negative log-likelihood, of the tokens of a context.

        Its first token has none and is left out, as is what the model could not read.
        """
        ...

    def seeing(self, context: int, parts: Sequence[Sequence[tuple[int, int]]]) -> list[FloatArray]:
        """Negative log-likelihoods of the question where it sees parts of a context only.

        Of a long question it may be a stretch only, the same for all parts.

        Args:
            context: its index.
            parts: for each answer, the half-open ranges of characters that are seen, in order.
        """
        ...


class Likelihood(Protocol):
    """What perplexities are computed from. Thread-safe."""

    @property
    def name(self) -> str:
        """Of the model."""
        ...

    def size(self, text: str) -> int:
        """Tokens of a text as the model reads it; about, where only an endpoint knows."""
        ...

    def question(
        self, query: str, contexts: Sequence[str | None]
    ) -> tuple[list[FloatArray], tuple[str, ...]]:
        """Negative log-likelihoods of a question behind each context, and notes.

        Args:
            query: the question.
            contexts: texts; a blank line is put between each and the question. None for none.

        Returns:
            One array per context, with a value for every token of the question; without a context
            the first token has none.
        """
        ...

    def read(self, query: str, contexts: Sequence[str | None]) -> Readings:
        """The same, kept so that the inside of the contexts can be asked for.

        Args:
            query: the question.
            contexts: as above.
        """
        ...

    def lines(self, lines: Sequence[str]) -> list[float]:
        """Perplexity of each line given the lines before it, as its binary logarithm.

        An empty line has 0.0; the first token of all has no likelihood, so a first line of one
        token has infinity.
        """
        ...
