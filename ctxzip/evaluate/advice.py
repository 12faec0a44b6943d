"""Averages with their intervals, and how far one can go."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ctxzip.evaluate.cases import FULL, Case, column, grouped
from ctxzip.evaluate.statistics import intervals, lower_bound, paired_bootstrap

__all__ = [
    "METRICS",
    "Advice",
    "Difference",
    "Metric",
    "Row",
    "advise",
    "best",
    "default_metric",
    "differences",
    "summarise",
]


@dataclass(frozen=True, slots=True)
class Metric:
    """How a metric is shown.

    Attributes:
        label: for people.
        quality: in [0, 1], higher is better; what a recommendation can be based on.
        reader: only a reader's answers give it.
        meaning: one line.
    """

    label: str
    quality: bool
    reader: bool
    meaning: str


METRICS: Mapping[str, Metric] = {
    "tokens_kept": Metric("tokens kept", False, False, "tokens after / tokens before"),
    "evidence_recall": Metric(
        "evidence recall", True, False, "evidence of which at least 90% of the words are kept"
    ),
    "all_evidence": Metric(
        "all evidence", True, False, "questions of which no piece of evidence is lost"
    ),
    "answer_recall": Metric(
        "answer recall",
        True,
        False,
        "questions whose answer still stands in the text (SQuAD's"
        " normalisation), of those whose answer stood in it before",
    ),
    "exact_match": Metric(
        "exact match", True, True, "answers that equal an expected one (SQuAD's normalisation)"
    ),
    "f1": Metric("F1", True, True, "overlap of words with the expected answer"),
    "agreement": Metric(
        "agreement", True, True, "overlap of words (F1) with the answer from the full text"
    ),
    "emptied": Metric("emptied", False, False, "documents per question of which nothing is kept"),
    "seconds": Metric("seconds", False, False, "the compressor's time per question"),
    "cost": Metric("cost", False, False, "per question, the compressor's time included"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One compressor at one ratio.

    Attributes:
        arm: the compressor.
        ratio: fraction to keep.
        questions: how many were asked.
        failed: how many of them have no result.
        values: metric → mean, lower and upper end of its 95% interval.
    """

    arm: str
    ratio: float
    questions: int
    failed: int
    values: Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Advice:
    """How far one compressor may go.

    Attributes:
        arm: the compressor.
        ratio: the smallest ratio that keeps the quality, or None.
        tokens_kept: what that ratio kept.
        kept: mean quality relative to the full text, at that ratio or else at the largest.
        bound: what that share is at least, at the confidence asked for.
        reason: in a sentence.
    """

    arm: str
    ratio: float | None
    tokens_kept: float
    kept: float
    bound: float
    reason: str


@dataclass(frozen=True, slots=True)
class Difference:
    """How one compressor differs from another at the same ratio, over the same questions.

    Attributes:
        arm: the compressor.
        ratio: fraction to keep.
        questions: those to which the metric applies for both.
        mean: the mean difference, and the ends of its 95% interval.
        low: see above.
        high: see above.
    """

    arm: str
    ratio: float
    questions: int
    mean: float
    low: float
    high: float


def differences(cases: Sequence[Case], metric: str, against: str) -> list[Difference]:
    """The paired differences of all compressors from one of them, with bootstrap intervals."""
    groups = grouped([case for case in cases if case.arm != FULL])
    found = []
    for (arm, ratio), members in groups.items():
        other = {case.record: case.values.get(metric) for case in groups.get((against, ratio), ())}
        pairs = [
            (value, its)
            for case in members
            if (value := case.values.get(metric)) is not None
            and (its := other.get(case.record)) is not None
        ]
        if arm != against and pairs:
            interval = paired_bootstrap([a for a, _ in pairs], [b for _, b in pairs])
            found.append(Difference(arm, ratio, len(pairs), *interval))
    return found


def summarise(cases: Sequence[Case]) -> list[Row]:
    """Means and 95% bootstrap intervals of every arm and ratio, the full text first."""
    rows = []
    for (arm, ratio), members in grouped(cases).items():
        names = [name for name in METRICS if any(name in case.values for case in members)]
        found: dict[str, tuple[float, float, float]] = {}
        if names:
            values = np.array([column(members, name) for name in names]).T
            for name, *triple in zip(names, *intervals(values), strict=True):
                found[name] = (float(triple[0]), float(triple[1]), float(triple[2]))
        failed = sum(case.failed is not None for case in members)
        rows.append(Row(arm, ratio, len(members), failed, found))
    return sorted(rows, key=lambda row: row.arm != FULL)


def default_metric(cases: Sequence[Case]) -> str | None:
    """The metric that says most of those that were measured."""
    for name in ("f1", "agreement", "evidence_recall", "answer_recall"):
        if any(name in case.values for case in cases if case.arm != FULL):
            return name
    return None


def advise(
    cases: Sequence[Case], metric: str, quality: float, confidence: float = 0.95
) -> list[Advice]:
    """For each compressor the smallest ratio that keeps a share of the full text's quality.

    Ratios are tested from the largest down, and the first that fails ends it, so that looking at
    several does not wear the confidence away; over several compressors it is divided (Bonferroni).
    Cases that failed, and questions to which the metric does not apply, are left out in pairs.

    Args:
        cases: those of the full text among them.
        metric: one of ``METRICS``.
        quality: share of the full text's value that has to stay, in (0, 1].
        confidence: of all recommendations together.
    """
    full = {case.record: case.values.get(metric) for case in cases if case.arm == FULL}
    groups = grouped([case for case in cases if case.arm != FULL])
    arms = list(dict.fromkeys(arm for arm, _ in groups))
    level = (1 - confidence) / max(1, len(arms))
    asked = (metric, quality, level)
    return [
        _advice(arm, {r: members for (a, r), members in groups.items() if a == arm}, full, asked)
        for arm in arms
    ]


def _advice(
    arm: str,
    groups: Mapping[float, Sequence[Case]],
    full: Mapping[int, float | None],
    asked: tuple[str, float, float],
) -> Advice:
    metric, quality, level = asked
    label = METRICS[metric].label
    found: Advice | None = None
    for ratio in sorted(groups, reverse=True):
        pairs = [
            (value, whole)
            for case in groups[ratio]
            if (value := case.values.get(metric)) is not None
            and (whole := full.get(case.record)) is not None
        ]
        kept, bound = _share(pairs, level)
        if math.isnan(bound) or bound < quality:
            if found is not None:
                return found
            reason = f"{label} of the full text is unknown or 0 for every question"
            if not math.isnan(bound):
                reason = f"at {ratio:g} {_told(label, kept, bound, len(pairs))}"
                reason += "; more questions may settle it" if kept >= quality else ""
            return Advice(arm, None, math.nan, kept, bound, reason)
        mean = float(np.nanmean(column(groups[ratio], "tokens_kept")))
        reason = _told(label, kept, bound, len(pairs))
        found = Advice(arm, ratio, mean, kept, bound, reason)
    assert found is not None  # noqa: S101  # an arm has at least one ratio
    return found


def _told(label: str, kept: float, bound: float, questions: int) -> str:
    share = f"{label} is {kept:.1%} of the full text's"
    return f"{share} (lower bound {bound:.1%}, {questions} questions)"


def _share(pairs: Sequence[tuple[float, float]], level: float) -> tuple[float, float]:
    """The quality relative to the full text's, and its lower bound at a level."""
    values, wholes = [value for value, _ in pairs], [whole for _, whole in pairs]
    if sum(wholes) <= 0:
        return math.nan, math.nan
    return sum(values) / sum(wholes), lower_bound(values, wholes, level)


def best(advice: Sequence[Advice]) -> Advice | None:
    """The compressor and ratio that keep the fewest tokens."""
    possible = [item for item in advice if item.ratio is not None]
    return min(possible, key=lambda item: (item.tokens_kept, item.arm), default=None)
