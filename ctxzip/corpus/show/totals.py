"""Counts over the shards of a job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Totals"]

_SAMPLES = 12
_COUNTED = (
    "records", "written", "failed", "repeated", "cached", "emptied", "tokens_before",
    "tokens_after", "bytes",
)  # fmt: skip


@dataclass(slots=True)
class Totals:
    """Sums of checkpoints.

    Attributes:
        sums: by the names in ``_COUNTED``.
        compressors: records by the compressor that made them.
        bins: histogram of the fraction of tokens kept, 20 bins over [0, 1].
        samples: before and after of the records whose keys are smallest: a random choice that is
            the same every time.
        seconds: time of all workers together.
        problems: what was wrong beside the records, such as a broken cache.
    """

    sums: Counter[str] = field(default_factory=Counter)
    compressors: Counter[str] = field(default_factory=Counter)
    bins: list[int] = field(default_factory=list)
    samples: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    seconds: float = 0.0
    problems: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, checkpoints: Iterable[Mapping[str, Any]]) -> Totals:
        """Sum up checkpoints."""
        totals = cls()
        for facts in checkpoints:
            totals.add(facts)
        return totals

    def add(self, facts: Mapping[str, Any]) -> None:
        """Add a checkpoint."""
        for name in _COUNTED:
            self.sums[name] += int(facts.get(name, 0))
        self.compressors.update(facts.get("compressors", {}))
        bins = facts.get("bins", [])
        self.bins = [a + b for a, b in zip(self.bins, bins, strict=True)] if self.bins else [*bins]
        samples = {**dict(self.samples), **dict(map(tuple, facts.get("samples", ())))}
        self.samples = sorted(samples.items())[:_SAMPLES]
        self.seconds += float(facts.get("seconds", 0.0))
        if "problem" in facts:
            self.problems.add(str(facts["problem"]))

    def __getitem__(self, name: str) -> int:
        return self.sums[name]

    @property
    def saved(self) -> int:
        """Tokens that a reader of the whole corpus is spared."""
        return self["tokens_before"] - self["tokens_after"]

    @property
    def ratio(self) -> float:
        """Fraction of tokens kept; 1.0 for an empty corpus."""
        return self["tokens_after"] / self["tokens_before"] if self["tokens_before"] else 1.0

    def counts(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            **{name: self.sums[name] for name in _COUNTED},
            "tokens_saved": self.saved,
            "compressors": dict(sorted(self.compressors.items())),
        }
