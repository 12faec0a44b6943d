"""``python -m ctxzip.evaluate``: methods side by side on data sets with known evidence.

Prints what each keeps at each ratio. Metrics are averages over requests.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctxzip.compressors import load
from ctxzip.errors import CtxzipError, InputError
from ctxzip.evaluate.baselines import BASELINES
from ctxzip.evaluate.metrics import answer_kept, evidence_in_text, evidence_kept
from ctxzip.evaluate.records import Record, load_records
from ctxzip.evaluate.requests import build_requests
from ctxzip.evaluate.statistics import paired_bootstrap
from ctxzip.types import Budget, Compression, Compressor, Request

__all__ = ["Outcome", "evaluate", "main", "method_of", "table"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one compression kept.

    Attributes:
        evidence_recall: mean over the request's evidence spans, 0 or 1 each.
        all_evidence: 1.0 if every span is kept, else 0.0.
        answer: 1.0 or 0.0; nan where not even the whole input holds an answer.
        tokens_kept: tokens after / tokens before.
        seconds: mean wall-clock time per request of the batch it was in.
    """

    evidence_recall: float
    all_evidence: float
    answer: float
    tokens_kept: float
    seconds: float


def _judge(record: Record, result: Compression, seconds: float) -> Outcome:
    exact = len(result.documents) == len(record.documents)
    found = []
    for i, (document, spans) in enumerate(zip(record.documents, record.evidence, strict=True)):
        kept = result.documents[i].kept if exact else None
        for span in spans:
            if kept is not None:
                found.append(evidence_kept(document.text, span, kept))
            else:
                found.append(evidence_in_text(document.text[slice(*span)], result.text))
    answer = math.nan
    if any(answer_kept(record.answers, document.text) for document in record.documents):
        answer = float(answer_kept(record.answers, result.text))
    return Outcome(sum(found) / len(found), float(all(found)), answer, result.ratio, seconds)


def evaluate(method: Compressor, records: Sequence[Record], ratio: float) -> list[Outcome]:
    """Compress every record's documents to ``ratio`` of their tokens and judge the results."""
    requests = [Request(r.documents, r.query, Budget(ratio=ratio)) for r in records]
    started = time.perf_counter()
    results = method.compress_many(requests)
    seconds = (time.perf_counter() - started) / max(1, len(records))
    return [_judge(*pair, seconds) for pair in zip(records, results, strict=True)]


def table(outcomes: Mapping[str, Sequence[Outcome]], *, against: str = "bm25") -> str:
    """A markdown table: a line per method, and its difference in evidence recall to one of them."""
    lines = [
        "| method | tokens kept | evidence recall | all evidence | answer recall | ms/request "
        f"| recall over {against} (95%) |\n|---|---|---|---|---|---|---|"
    ]
    base = outcomes.get(against)
    for name, rows in outcomes.items():
        versus = "-"
        if base is not None and name != against:
            difference, low, high = paired_bootstrap(
                [o.evidence_recall for o in rows], [o.evidence_recall for o in base]
            )
            versus = f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]"
        means = [
            f"{np.mean([o.tokens_kept for o in rows]):.3f}",
            f"{np.mean([o.evidence_recall for o in rows]):.3f}",
            f"{np.mean([o.all_evidence for o in rows]):.3f}",
            f"{np.mean([o.answer for o in rows if o.answer >= 0] or [math.nan]):.3f}",
            f"{np.mean([o.seconds for o in rows]) * 1000:.1f}",
        ]
        lines.append(f"| {name} | {' | '.join(means)} | {versus} |")
    return "\n".join(lines)


def _find(data: Path, name: str) -> Path:
    for suffix in (".jsonl.xz", ".jsonl.gz", ".jsonl"):
        if (path := data / (name + suffix)).exists():
            return path
    raise InputError(
        f"No data set {name!r} in {str(data)!r}.",
        hint="Set --data, or the environment variable CTXZIP_DATA, to the folder of the data sets.",
    )


def method_of(name: str) -> Compressor:
    return BASELINES[name] if name in BASELINES else load(name)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: print one table per set and ratio, and one pooled over the sets."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    parser = argparse.ArgumentParser("python -m ctxzip.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("CTXZIP_DATA", beside))
    parser.add_argument("--sets", default="hotpotqa_dev,qed_dev", help="names, comma-separated")
    parser.add_argument("--ratios", default="0.3", help="fractions to keep, comma-separated")
    parser.add_argument("--methods", default="lexical,bm25,lead,random")
    parser.add_argument("--limit", type=int, help="requests per set")
    options = parser.parse_args(arguments)
    try:
        sets = {
            name: build_requests(name, load_records(_find(Path(options.data), name)))
            for name in options.sets.split(",")
        }
        methods = {name: method_of(name) for name in options.methods.split(",")}
        for ratio in map(float, options.ratios.split(",")):
            pooled: dict[str, list[Outcome]] = defaultdict(list)
            for name, every in sets.items():
                records = every[: options.limit]
                rows = {key: evaluate(m, records, ratio) for key, m in methods.items()}
                print(f"\n{name}, {len(records)} requests, ratio {ratio:g}\n\n{table(rows)}")
                for key, outcomes in rows.items():
                    pooled[key] += outcomes
            if len(sets) > 1:
                print(f"\npooled, ratio {ratio:g}\n\n{table(pooled)}")
    except CtxzipError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
