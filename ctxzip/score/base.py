"""What a scorer is: units in, usefulness out, batched over requests."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

from ctxzip.kit.arrays import BoolArray, FloatArray
from ctxzip.text.units import Passage, Words

__all__ = ["Asking", "ReadsAhead", "ScoreRequest", "Scorer", "UnitScores", "WordRequest"]


@dataclass(frozen=True, slots=True, eq=False)
class ScoreRequest:
    """What a scorer is asked: the passages of one request and the question about them.

    Attributes:
        passages: the documents with their units.
        query: the question, or None.
        language: ISO 639-1 code where the caller gave it.
    """

    passages: tuple[Passage, ...]
    query: str | None
    language: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class UnitScores:
    """What a scorer answers for one request.

    Attributes:
        units: usefulness per unit, one array of shape (n_units,) for each passage; higher is
            better, comparable over the passages of the request.
        passages: usefulness per passage, shape (n_passages,), or None.
        state: whatever the scorer wants handed back for the words of the same request.
        notes: what the caller should know (a query that was shortened).
        eligible: units that the method itself allows to stay (its top-n, documents that it did not
            drop), bool, one array of shape (n_units,) for each passage, or None for all.
    """

    units: tuple[FloatArray, ...]
    passages: FloatArray | None = None
    state: object = None
    notes: tuple[str, ...] = ()
    eligible: tuple[BoolArray, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class WordRequest:
    """Words that are to be scored.

    Attributes:
        request: the request whose words they are.
        scores: its units' scores.
        words: one entry per passage.
    """

    request: ScoreRequest
    scores: UnitScores
    words: tuple[Words, ...]


class Scorer(Protocol):
    """Gives every unit a usefulness; thread-safe.

    Attributes:
        calibrated: unit scores are probabilities, so ``threshold=`` means something.
        words_first: without a query, drop words everywhere rather than whole sentences.
    """

    calibrated: bool
    words_first: bool

    def units(self, requests: Sequence[ScoreRequest]) -> list[UnitScores]:
        """Score the units of every request, batching as the model likes."""
        ...

    def words(
        self, request: ScoreRequest, scores: UnitScores, words: Sequence[Words]
    ) -> list[FloatArray]:
        """Score the words of some units; ``words`` has one entry per passage.

        Returns:
            One array of shape (n_words,) per passage, comparable over the request.
        """
        ...

    def warmup(self) -> None:
        """Load what the first call would load."""
        ...

    def close(self) -> None:
        """Release what was loaded."""
        ...


@runtime_checkable
class ReadsAhead(Protocol):
    """A scorer whose model reads the words of several requests in common batches."""

    def read_ahead(self, asked: Sequence[WordRequest]) -> None:
        """Read what :meth:`Scorer.words` will be asked for, and remember it until then."""
        ...


T = TypeVar("T")


# A computation that asks for the scores of words and waits for them, so that those of several
# requests can be read in common batches.
Asking: TypeAlias = Generator[WordRequest, list[FloatArray], T]
