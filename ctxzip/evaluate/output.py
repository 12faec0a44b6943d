"""The results as a table for a terminal, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from ctxzip.evaluate.advice import METRICS, Advice, Difference, Row, best
from ctxzip.evaluate.cases import FULL, Case, evidence_of
from ctxzip.evaluate.records import Record

__all__ = ["Run", "cases_csv", "compared", "sentence", "shown", "summary_csv", "table", "to_json"]


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that an evaluation found out.

    Attributes:
        records: the questions.
        cases: what became of each.
        rows: averages.
        advice: how far each compressor may go.
        metric: what the advice is based on, or None where nothing can be recommended.
        quality: the share of the full text's quality that was asked for.
        setup: how it was made: versions, files, settings; JSON values.
        skipped: malformed lines that were left out.
        differences: from the compressor that the others are compared with.
        against: its name, or None.
    """

    records: Sequence[Record]
    cases: Sequence[Case]
    rows: Sequence[Row]
    advice: Sequence[Advice]
    metric: str | None
    quality: float
    setup: Mapping[str, object]
    skipped: Sequence[str] = ()
    differences: Sequence[Difference] = ()
    against: str | None = None


def shown(metric: str, value: float) -> str:
    """A value as people read it."""
    if math.isnan(value):
        return "–"
    if metric == "seconds":
        return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"
    if metric == "cost":
        return f"{value * 1000:.4g}/1,000"
    if metric == "emptied":
        return f"{value:.2f}"
    return f"{value:.3f}"


def table(run: Run) -> str:
    """The rows in columns; quality with its 95% interval."""
    present = [name for name in METRICS if any(name in row.values for row in run.rows)]
    header = ["compressor", "ratio", *(METRICS[name].label for name in present), "failed"]
    if not any(row.failed for row in run.rows):
        header.pop()
    lines = [header]
    for row in run.rows:
        cells = [row.arm, "" if row.arm == FULL else f"{row.ratio:g}"]
        for name in present:
            mean, low, high = row.values.get(name, (math.nan,) * 3)
            text = shown(name, mean)
            if METRICS[name].quality and row.arm != FULL and not math.isnan(low):
                text += f" [{low:.3f}, {high:.3f}]"
            cells.append(text)
        cells.append(str(row.failed))
        lines.append(cells[: len(header)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    ruled = [*lines[:1], ["-" * width for width in widths], *lines[1:]]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in ruled
    )


def compared(run: Run) -> str:
    """What each compressor gains over the one that it is compared with, a line for each ratio."""
    if run.metric is None or not run.differences:
        return ""
    lines = [f"{METRICS[run.metric].label} over {run.against}, with 95% intervals:"]
    lines += [
        f"  {item.arm} at {item.ratio:g}: {item.mean:+.3f} [{item.low:+.3f}, {item.high:+.3f}]"
        f" ({item.questions} questions)"
        for item in run.differences
    ]
    return "\n".join(lines)


def sentence(run: Run) -> str:
    """The recommendation in words."""
    if run.metric is None:
        return (
            "No recommendation: the data hold neither evidence nor answers, and no reader was"
            " asked. Add answers to the data, or a reader (--reader, --reader-hf)."
        )
    label = METRICS[run.metric].label
    goal = f"{run.quality:.1%} of the full text's {label}, with 95% confidence"
    chosen = best(run.advice)
    lines = []
    if chosen is not None:
        lines.append(
            f"Recommended: {chosen.arm} at ratio {chosen.ratio:g} ({chosen.tokens_kept:.1%} of the"
            f" tokens) keeps at least {goal}."
        )
    else:
        lines.append(f"No ratio that was tried keeps {goal}.")
    for item in run.advice:
        ratio = "none" if item.ratio is None else f"ratio {item.ratio:g}"
        lines.append(f"  {item.arm}: {ratio}; {item.reason}.")
    return "\n".join(lines)


def to_json(run: Run) -> str:
    """Setup, averages with intervals, advice and every case; numbers that are unknown are null."""
    value = {
        "setup": run.setup,
        "skipped": list(run.skipped),
        "recommendation": {
            "metric": run.metric,
            "quality": run.quality,
            "best": None if (chosen := best(run.advice)) is None else _advice(chosen),
            "compressors": [_advice(item) for item in run.advice],
        },
        "differences": [asdict(item) for item in run.differences],
        "against": run.against,
        "rows": [
            {
                "compressor": row.arm,
                "ratio": row.ratio,
                "questions": row.questions,
                "failed": row.failed,
                **{
                    name: {"mean": _known(mean), "low": _known(low), "high": _known(high)}
                    for name, (mean, low, high) in row.values.items()
                },
            }
            for row in run.rows
        ],
        "cases": [_case(run, case) for case in run.cases],
    }
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _advice(advice: Advice) -> dict[str, object]:
    return {
        "compressor": advice.arm,
        "ratio": advice.ratio,
        "tokens_kept": _known(advice.tokens_kept),
        "kept": _known(advice.kept),
        "at_least": _known(advice.bound),
        "reason": advice.reason,
    }


def _case(run: Run, case: Case) -> dict[str, object]:
    record = run.records[case.record]
    lost = []
    if case.kept is not None:
        lost = [
            {"document": i, "start": span.start, "end": span.end}
            for survives, i, span in evidence_of(record, case.kept)
            if not survives
        ]
    return {
        "id": record.id,
        "compressor": case.arm,
        "ratio": case.ratio,
        "values": {name: _known(value) for name, value in case.values.items()},
        "lost_evidence": lost,
        "answer": case.answer,
        "failed": case.failed,
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def summary_csv(run: Run) -> str:
    """A line per compressor and ratio: means, and lower and upper ends of the intervals."""
    names = [name for name in METRICS if any(name in row.values for row in run.rows)]
    columns = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    lines: list[list[object]] = [["compressor", "ratio", "questions", "failed", *columns]]
    for row in run.rows:
        numbers = [
            "" if math.isnan(value) else value
            for name in names
            for value in row.values.get(name, (math.nan,) * 3)
        ]
        lines.append([row.arm, row.ratio, row.questions, row.failed, *numbers])
    return _csv(lines)


def cases_csv(run: Run) -> str:
    """A line per question, compressor and ratio."""
    names = list(dict.fromkeys(name for case in run.cases for name in case.values))
    lines: list[list[object]] = [["id", "compressor", "ratio", *names, "answer", "failed"]]
    for case in run.cases:
        numbers = [case.values.get(name, "") for name in names]
        text = [_inert(case.answer or ""), _inert(case.failed or "")]
        identifier = _inert(run.records[case.record].id)
        lines.append([identifier, case.arm, case.ratio, *numbers, *text])
    return _csv(lines)


def _inert(text: str) -> str:
    """Spreadsheets run cells that begin like a formula; a quote before them stops that."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _csv(lines: Sequence[Sequence[object]]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows(lines)
    return file.getvalue()
