"""What compressors share: one request is a batch of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from ctxzip.errors import BudgetError
from ctxzip.types import Budget, Compression, Document, Options, Request

__all__ = ["DEFAULT_RATIO", "BatchCompressor", "Configured"]

DEFAULT_RATIO = 0.5  # where a request names no budget at all


@runtime_checkable
class Configured(Protocol):
    """A compressor with options of its own; the caller's may have none."""

    options: Options


class BatchCompressor(ABC):
    """A :class:`ctxzip.types.Compressor` that has only its batches to write.

    Attributes:
        name: repeated in its results, unless another compressor answered.
        options: what is rarely set.
        side_by_side: two batches at once are faster than one after the other.
        routes: it is its work to hand requests to others, whose names its results bear. Elsewhere
            another name means that this compressor failed.
    """

    name: str
    options: Options = Options()
    side_by_side = True
    routes = False

    def compress(
        self,
        documents: Sequence[Document],
        *,
        query: str | None = None,
        budget: Budget | None = None,
    ) -> Compression:
        """Compress one request; half of the tokens stay where there is no budget."""
        request = Request(tuple(documents), query, budget if budget is not None else Budget())
        return self.compress_many([request])[0]

    @abstractmethod
    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        """Compress several requests; results in the order given."""

    def floor(self, request: Request) -> int:
        """The lowest ceiling, in tokens, that a request can be compressed under.

        What the caller protects takes so many; 0 where nothing is protected. The request's own
        budget does not count.
        """
        try:
            self.compress_many([replace(request, budget=Budget(tokens=0))])
        except BudgetError as error:
            return error.needed
        return 0

    def warmup(self) -> None:  # noqa: B027  # not every compressor has something to load
        """Load what the first call would load."""

    def close(self) -> None:  # noqa: B027
        """Release what was loaded; a later call loads it again."""
