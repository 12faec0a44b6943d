"""What compressors share: one request is a batch of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ctxzip.types import Budget, Compression, Document, Request

__all__ = ["DEFAULT_RATIO", "BatchCompressor"]

DEFAULT_RATIO = 0.5  # where a request names no budget at all


class BatchCompressor(ABC):
    """A :class:`ctxzip.types.Compressor` that has only its batches to write.

    Attributes:
        side_by_side: two batches at once are faster than one after the other.
    """

    side_by_side = True

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
