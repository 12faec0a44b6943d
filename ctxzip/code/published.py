"""LongCodeZip's own choices, as its published code makes them.

For comparison. Its ceiling is none: functions are taken by falling score until they exceed the
budget by up to 100 tokens and one function, and the rate applies again to the lines of what was
taken. Where its code does not do what its paper says, the code is followed: the first token of the
question does not count for functions but counts for blocks, and blank lines are read as one space.

Two things of it are not here. Its chunker: functions come ready cut. And its second model: it takes
the perplexities of lines from Qwen2.5-Coder-0.5B-Instruct whatever model ranks the functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ctxzip.code.score.perplexity import PerplexityCode, numbered_lines, spikes
from ctxzip.code.select.knapsack import adaptive_rates, knapsack

__all__ = ["Reference", "Verdict"]

_BUDGET_MORE = 100
_MOST_ITEMS, _MOST_CAPACITY = 100, 2000
_FIRST = ("def ", "class ", "function ", "fn ", "func ")


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What is decided about one function.

    Attributes:
        score: PPL(q) - PPL(q | function).
        selected: it is taken in the coarse stage.
        rate: how much of it stays, or None where it is not taken.
        line_perplexities: binary logarithm of the perplexity of each line, where it was read.
        boundaries: lines behind which a block ends.
        blocks: lines of each block, as half-open ranges.
        values: PPL(q) - PPL(q | block).
        kept: the blocks that stay; None where the function stays whole.
    """

    score: float
    selected: bool
    rate: float | None = None
    line_perplexities: tuple[float, ...] = ()
    boundaries: tuple[int, ...] = ()
    blocks: tuple[tuple[int, int], ...] = ()
    values: tuple[float, ...] = ()
    kept: tuple[int, ...] | None = None


class Reference:
    """Decides as the published code does.

    Args:
        scorer: its perplexities, and the model's own count of tokens.
        beta: see :class:`~ctxzip.code.settings.LongCodeZip`.
        min_lines: likewise.
        comment: what a line comment of the language begins with.
    """

    def __init__(
        self,
        scorer: PerplexityCode,
        *,
        beta: float = 0.5,
        min_lines: int = 5,
        comment: str = "#",
    ) -> None:
        self._scorer = scorer
        self._count = scorer.likelihood.size
        self._beta = beta
        self._min_lines = min_lines
        self._comment = comment

    def decide(self, functions: Sequence[str], query: str, rate: float) -> list[Verdict]:
        """What stays of each function at a rate; all that fits stays whole.

        Args:
            functions: source of each.
            query: the question.
            rate: fraction that stays, applied twice.
        """
        sizes = [self._count(text) for text in functions]
        target = int(sum(sizes) * rate)
        if sum(sizes) <= target:
            return [Verdict(0.0, True, 1.0) for _ in functions]
        scores, _ = self._scorer.values(query, functions, skip=1)
        chosen = self._coarse(scores.tolist(), sizes, target)
        lines = [text.count("\n") + 1 for text in functions]
        rates = dict(zip(chosen, self._rates(chosen, lines, scores.tolist(), rate), strict=True))
        return [
            self._fine(text, query, float(scores[i]), rates[i], sizes[i])
            if i in rates
            else Verdict(float(scores[i]), False)
            for i, text in enumerate(functions)
        ]

    def _rates(
        self, chosen: list[int], lines: list[int], scores: list[float], rate: float
    ) -> list[float]:
        """The adaptive budget; where nothing is left for large functions all stay whole."""
        wanted = int(sum(lines[i] for i in chosen) * rate)
        small = sum(lines[i] for i in chosen if lines[i] < self._min_lines)
        if wanted <= small:
            return [1.0] * len(chosen)
        return adaptive_rates(
            [lines[i] for i in chosen],
            [scores[i] for i in chosen],
            wanted,
            beta=self._beta,
            small=self._min_lines,
        )

    @staticmethod
    def _coarse(scores: list[float], sizes: list[int], target: int) -> list[int]:
        """Functions by falling score; the one that exceeds the budget is the last."""
        left = target + _BUDGET_MORE
        chosen = []
        for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
            left -= sizes[i]
            chosen.append(i)
            if left < 0:
                break
        return sorted(chosen)

    def _fine(self, text: str, query: str, score: float, rate: float, size: int) -> Verdict:
        """The blocks of one function, and which of them stay."""
        lines = numbered_lines(text)
        perplexities = self._scorer.likelihood.lines(lines)
        ends = spikes(perplexities)
        edges = [0, *(end + 1 for end in ends), len(lines)]
        ranges = tuple(pairwise(edges))
        blocks = ["\n".join(lines[a:b]) for a, b in ranges]
        known = (tuple(perplexities), tuple(ends), ranges)
        filled = sum(1 for block in blocks if block.strip())
        if rate >= 0.999 or filled < self._min_lines:
            return Verdict(score, True, rate, *known)
        values, _ = self._scorer.values(query, blocks)
        forced = {i for i, block in enumerate(blocks) if self._stays(block)}
        kept = self._select(blocks, values.tolist(), forced, int(size * rate))
        return Verdict(score, True, rate, *known, tuple(values.tolist()), tuple(sorted(kept)))

    def _stays(self, block: str) -> bool:
        """Whether the first line that is not blank defines, comments or returns something."""
        line = next((line for line in block.split("\n") if line.strip()), None)
        if line is None:
            return False
        defines = any(word in line for word in _FIRST)
        return defines or line.strip().startswith(self._comment) or "return " in line

    def _select(
        self, blocks: Sequence[str], values: Sequence[float], forced: set[int], target: int
    ) -> set[int]:
        """The knapsack over what is not forced, exact up to 100 blocks and 2,000 tokens."""
        weights = [self._count(block) for block in blocks]
        room = max(0, target - sum(weights[i] for i in forced))
        if room <= 0:
            return forced
        worth = {
            i: value if math.isfinite(value) else 0.0
            for i, value in enumerate(values)
            if i not in forced
        }
        order = sorted(worth, key=lambda i: worth[i] / max(weights[i], 1), reverse=True)
        if len(order) > _MOST_ITEMS or room > _MOST_CAPACITY:
            taken = set()
            for i in order:
                if weights[i] <= room:
                    taken.add(i)
                    room -= weights[i]
            return forced | taken
        # From the last to the first, so that of equal sets the same one is taken as there.
        order.reverse()
        found = knapsack(
            [worth[i] for i in order],
            [weights[i] for i in order],
            list(range(1, len(order) + 1)),
            room,
        )
        return forced | {order[k] for k in np.flatnonzero(found).tolist()}
