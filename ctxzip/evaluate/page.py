"""The results as one page: the curves, the table, and what was lost that mattered."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape

from ctxzip.evaluate.advice import METRICS, Row, best
from ctxzip.evaluate.cases import FULL, Case, evidence_of
from ctxzip.evaluate.chart import curves, key
from ctxzip.evaluate.output import Run, sentence, shown
from ctxzip.evaluate.records import Record
from ctxzip.report.marks import Shades, visible
from ctxzip.report.page import document_body, shell
from ctxzip.types import CompressedDocument, Span

__all__ = ["page"]

WORST = 10  # cases shown of each compressor
_REASONS = 5


def page(run: Run) -> str:
    """A self-contained page about a run."""
    arms = list(dict.fromkeys(row.arm for row in run.rows if row.arm != FULL))
    metrics = [n for n, m in METRICS.items() if m.quality and any(n in r.values for r in run.rows)]
    charts = "".join(
        f"<figure><figcaption><b>{METRICS[name].label}</b>: {METRICS[name].meaning}</figcaption>"
        f"{curves(name, run.rows, arms, target=_target(run, name))}</figure>"
        for name in metrics
    )
    lines = sentence(run).split("\n")
    rest = "".join(f"<li>{_text(line)}</li>" for line in lines[1:])
    main = (
        f"<h1>{_text(', '.join(map(str, _data(run))))}: what compression loses</h1>"
        f"<div class='good'><p>{_text(lines[0])}</p><ul>{rest}</ul></div>"
        f"{_failed(run)}"
        f"<h2>Quality and tokens</h2><p class='key'>{key(arms)}</p>{charts}"
        "<p class='hint'>Shaded: 95% intervals, by bootstrap over questions.</p>"
        f"<h2>Everything measured</h2>{_table(run)}"
        f"<h2>What was lost that mattered</h2>{''.join(_worst(run, arm) for arm in arms)}"
        f"<h2>How it was made</h2>{_setup(run)}"
    )
    return shell("evaluation", main)


def _text(value: str) -> str:
    return escape(visible(value))


def _data(run: Run) -> list[object]:
    data = run.setup.get("data")
    return list(data) if isinstance(data, list) else ["Evaluation"]


def _target(run: Run, name: str) -> float | None:
    """The height that was asked for, in the chart that decides."""
    if name != run.metric:
        return None
    full = next((row.values.get(name) for row in run.rows if row.arm == FULL), None)
    return None if full is None or math.isnan(full[0]) else full[0] * run.quality


def _failed(run: Run) -> str:
    failed = [case for case in run.cases if case.failed]
    if not failed:
        return ""
    reasons = dict.fromkeys(case.failed or "" for case in failed)
    listed = "".join(f"<li>{_text(reason)}</li>" for reason in list(reasons)[:_REASONS])
    return (
        f"<p><b>{len(failed):,} of {len(run.cases):,} cases failed</b> and count for nothing:</p>"
        f"<ul>{listed}</ul>"
    )


def _table(run: Run) -> str:
    present = [name for name in METRICS if any(name in row.values for row in run.rows)]
    chosen = best(run.advice)
    titles = "".join(
        f"<th scope='col' title='{escape(METRICS[name].meaning)}'>{METRICS[name].label}</th>"
        for name in present
    )
    body = []
    for row in run.rows:
        mark = chosen is not None and (row.arm, row.ratio) == (chosen.arm, chosen.ratio)
        name = row.arm + ("" if row.arm == FULL else f" at {row.ratio:g}")
        cells = "".join(f"<td>{_cell(row, metric)}</td>" for metric in present)
        body.append(
            f"<tr{' class=best' if mark else ''}><th scope='row'>{_text(name)}</th>{cells}"
            f"<td>{row.failed}</td></tr>"
        )
    return (
        f"<div class='wide'><table><thead><tr><th scope='col'>compressor</th>{titles}"
        f"<th scope='col'>failed</th></tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _cell(row: Row, metric: str) -> str:
    mean, low, high = row.values.get(metric, (math.nan,) * 3)
    text = shown(metric, mean)
    if METRICS[metric].quality and row.arm != FULL and not math.isnan(low):
        text += f"<br><small>{low:.3f} to {high:.3f}</small>"
    return text


def _worst(run: Run, arm: str) -> str:
    """The questions that suffered most, at the ratio that is recommended, or else the largest.

    Where nothing is lost there, at the next smaller one at which something is.
    """
    ratios = sorted((row.ratio for row in run.rows if row.arm == arm), reverse=True)
    advised = next((a.ratio for a in run.advice if a.arm == arm and a.ratio is not None), None)
    start = ratios[0] if advised is None else advised
    full = {case.record: case for case in run.cases if case.arm == FULL}
    parts = []
    for ratio in (r for r in ratios if r <= start):
        losses, known = _losses(run, arm, ratio, full)
        count = f"{len(losses)} of {known} questions lost something"
        limit = f"; the worst {WORST}" if len(losses) > WORST else ""
        shown_cases = "".join(_case(run, case, full[case.record]) for case in losses[:WORST])
        parts.append(f"<h3>{_text(arm)} at {ratio:g}</h3><p>{count}{limit}.</p>{shown_cases}")
        if losses:
            break
    return "".join(parts)


def _losses(run: Run, arm: str, ratio: float, full: Mapping[int, Case]) -> tuple[list[Case], int]:
    """The cases with less quality than the full text, worst first, and how many are known."""
    losses, known = [], 0
    for case in run.cases:
        if case.arm != arm or case.ratio != ratio or run.metric not in case.values:
            continue
        known += 1
        loss = full[case.record].values.get(run.metric, math.nan) - case.values[run.metric]
        if loss > 0:
            losses.append((-loss, case.record, case))
    return [case for _, _, case in sorted(losses, key=lambda loss: loss[:2])], known


def _case(run: Run, case: Case, full: Case) -> str:
    record = run.records[case.record]
    facts = [("expected", " / ".join(record.answers))] if record.answers else []
    if full.answer is not None:
        facts.append(("from the full text", full.answer))
    if case.answer is not None:
        facts.append(("from the compressed text", case.answer))
    pairs = "".join(f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in facts)
    return (
        f"<details class='doc'><summary><h2>{_text(record.query)}</h2>"
        f"<span>{_text(record.id)}</span></summary><dl class='pair b'>{pairs}</dl>"
        f"{_missing(record, case)}</details>"
    )


def _missing(record: Record, case: Case) -> str:
    """The documents of which something that mattered was lost, with that marked."""
    kept = case.kept
    if kept is None:
        return ""
    lost: dict[int, list[Span]] = {}
    for survives, i, span in evidence_of(record, kept):
        if not survives:
            lost.setdefault(i, []).append(span)
    if not lost and not case.values.get("answer_recall", 1.0):
        lost = _answers_in(record)
    parts = []
    for i, spans in sorted(lost.items()):
        document = record.documents[i]
        done = CompressedDocument((document,), kept.text, kept.spans[i])
        if kept.spans[i] is None:
            quoted = "".join(
                f"<li><mark>{_text(document.text[slice(*s)])}</mark></li>" for s in spans
            )
            parts.append(f"<div class='b'><ul>{quoted}</ul></div>")
            continue
        title = document.title or document.id or f"Document {i + 1}"
        body = document_body(done, Shades([done]), spans)
        parts.append(f"<div class='b'><b>{_text(title)}</b></div>{body}")
    return "".join(parts)


def _answers_in(record: Record) -> dict[int, list[Span]]:
    """Where the answers stand, in documents that say no more exactly what is needed."""
    found: dict[int, list[Span]] = {}
    for i, document in enumerate(record.documents):
        for answer in filter(str.strip, record.answers):
            pattern = rf"(?<!\w){re.escape(answer)}(?!\w)"
            for match in re.finditer(pattern, document.text, re.IGNORECASE):
                found.setdefault(i, []).append(Span(*match.span()))
    return found


def _setup(run: Run) -> str:
    pairs = "".join(
        f"<dt>{escape(name)}</dt><dd>{_text(_plain(value))}</dd>"
        for name, value in run.setup.items()
        if value is not None
    )
    skipped: Sequence[str] = run.skipped[:_REASONS]
    lines = "".join(f"<li>{_text(line)}</li>" for line in skipped)
    details = (
        f"<p>{len(run.skipped)} malformed lines were skipped:</p><ul>{lines}</ul>" if lines else ""
    )
    return f"<dl class='pair'>{pairs}</dl>{details}"


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
