"""What a compression keeps: evidence, answers, tokens and time, on requests with known evidence.

``python -m ctxzip.evaluate --data DIR`` prints the table. A data set is a file of JSON lines,
plain, ``.gz`` or ``.xz``, one record a line::

    {"id", "query", "answers": [str, ...],
     "documents": [{"title", "text", "evidence": [[start, end], ...]}, ...]}

``evidence`` are half-open character offsets into ``text``. Metrics are averages over requests.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import math
import os
import re
import string
import sys
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from ctxzip.baselines import BASELINES, SEED, Bm25, digest, words
from ctxzip.compressors import load
from ctxzip.errors import CtxzipError, InputError
from ctxzip.types import Budget, Compression, Document, Request, Span

__all__ = [
    "Outcome",
    "Record",
    "answer_kept",
    "build_requests",
    "evaluate",
    "evidence_in_text",
    "evidence_kept",
    "load_records",
    "main",
    "paired_bootstrap",
    "table",
]

PASSAGES = 10  # per request, where requests are built around one gold passage
SAMPLED = 300  # requests drawn from a set of single passages
KEPT_WORDS = 0.9  # of an evidence span's words, for the span to count as kept

_WORD = re.compile(r"\w+")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


# --- records ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """A question, the documents it is asked about, and what of them is needed to answer it.

    Attributes:
        id: unique within its data set.
        query: the question.
        answers: alternative spellings of the answer; may be empty.
        documents: what a retriever returned.
        evidence: for each document the spans that are needed; may be empty.
    """

    id: str
    query: str
    answers: tuple[str, ...]
    documents: tuple[Document, ...]
    evidence: tuple[tuple[Span, ...], ...]


def load_records(path: str | os.PathLike[str]) -> Iterator[Record]:
    """Read a data set, one record at a time.

    Raises:
        InputError: the file cannot be read, or a line is malformed; it names file and line.
    """
    try:
        with _open(Path(path)) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _parsed(line, f"{path}, line {number}")
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}.") from error


def _parsed(line: str, where: str) -> Record:
    try:
        return _record(json.loads(line))
    except KeyError as error:
        raise InputError(f"{where}: the field {error} is missing.") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: {error}.") from error


def _open(path: Path) -> IO[str]:
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8")
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return open(path, encoding="utf-8")


def _record(row: Any) -> Record:
    if not isinstance(row, dict):
        raise TypeError(f"a record is an object, not {type(row).__name__}")
    documents, evidence = [], []
    for part in row["documents"]:
        text = _string(part["text"], "text")
        title = part.get("title")
        documents.append(Document(text, title=None if title is None else _string(title, "title")))
        spans = tuple(Span(int(start), int(end)) for start, end in part.get("evidence", ()))
        for span in spans:
            if not 0 <= span.start < span.end <= len(text):
                raise ValueError(f"evidence {list(span)} lies outside a text of {len(text)}")
        evidence.append(spans)
    if not documents:
        raise ValueError("documents is empty")
    answers = tuple(_string(answer, "answers") for answer in row.get("answers", ()))
    query = _string(row["query"], "query")
    return Record(_string(row["id"], "id"), query, answers, tuple(documents), tuple(evidence))


def _string(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{field}={value!r} is not a string")
    return value


# --- requests ---------------------------------------------------------------------------------


def build_requests(name: str, records: Iterable[Record], *, seed: int = SEED) -> list[Record]:
    """Turn the records of a data set into requests; the same ones for the same seed.

    ``qed*``: 300 records, each the gold passage among the 9 passages of other records that BM25
    ranks closest to its question. ``squad*``: 300 records, each the gold paragraph among 9 others
    of the same article. Every other set is used as it is. Records without evidence are left out.
    """
    records = list(records)
    kind = name.partition("_")[0]
    if kind not in ("qed", "squad"):
        return [record for record in records if any(record.evidence)]
    pool = {r.documents[0].text: r.documents[0] for r in sorted(records, key=lambda r: r.id)}
    others = _lexically_close(pool) if kind == "qed" else _same_article(pool, seed)
    gold = [r for r in records if any(r.evidence) and len(r.documents) == 1]
    gold.sort(key=lambda record: digest(seed, record.id))
    return [_among(record, others(record), seed) for record in gold[:SAMPLED]]


def _lexically_close(pool: Mapping[str, Document]) -> Callable[[Record], list[Document]]:
    passages = list(pool.values())
    index = Bm25([passage.text for passage in passages])

    def closest(record: Record) -> list[Document]:
        order = np.argsort(-index.scores(record.query), kind="stable")
        own = record.documents[0].text
        return [passages[i] for i in order[:PASSAGES] if passages[i].text != own][: PASSAGES - 1]

    return closest


def _same_article(pool: Mapping[str, Document], seed: int) -> Callable[[Record], list[Document]]:
    articles: dict[str | None, list[Document]] = defaultdict(list)
    for passage in pool.values():
        articles[passage.title].append(passage)

    def siblings(record: Record) -> list[Document]:
        own = record.documents[0]
        rest = [passage for passage in articles[own.title] if passage.text != own.text]
        return sorted(rest, key=lambda p: digest(seed, record.id, p.text))[: PASSAGES - 1]

    return siblings


def _among(record: Record, others: Sequence[Document], seed: int) -> Record:
    own = record.documents[0]
    documents = sorted([own, *others], key=lambda p: digest(seed, "order", record.id, p.text))
    evidence = tuple(record.evidence[0] if p is own else () for p in documents)
    return Record(record.id, record.query, record.answers, tuple(documents), evidence)


# --- metrics ----------------------------------------------------------------------------------


def evidence_kept(
    document_text: str, evidence_span: tuple[int, int], kept_spans: Iterable[tuple[int, int]]
) -> bool:
    """Whether at least 90% of the words of an evidence span are kept.

    Words are runs of ``\\w``; a word is kept if all its characters are in kept spans. Kept spans
    are in source order by promise, so kept words are in order too.
    """
    starts: list[int] = []
    ends: list[int] = []
    for start, end in sorted(kept_spans):
        if ends and start <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    words = kept = 0
    for word in _WORD.finditer(document_text, *evidence_span):
        at = bisect_right(starts, word.start()) - 1
        words += 1
        kept += at >= 0 and word.end() <= ends[at]
    return kept >= KEPT_WORDS * words


def evidence_in_text(evidence: str, output: str) -> bool:
    """Whether at least 90% of the words of ``evidence`` stand, in order, in rewritten text.

    By the longest common subsequence of lower-cased words (bit-parallel: Hyyrö, 2004).
    """
    wanted = words(evidence)
    positions: dict[str, int] = defaultdict(int)
    for i, word in enumerate(wanted):
        positions[word] |= 1 << i
    mask = (1 << len(wanted)) - 1
    row = mask
    for word in words(output):
        matches = row & positions.get(word, 0)
        row = ((row + matches) | (row - matches)) & mask
    return len(wanted) - row.bit_count() >= KEPT_WORDS * len(wanted)


def normalise_answer(text: str) -> str:
    """SQuAD's normalisation: lower case, without punctuation, articles and extra whitespace."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def answer_kept(answers: Iterable[str], output: str) -> bool:
    """Whether any of the answers, normalised as for SQuAD, stands in the normalised output.

    As whole words: the answer "no" does not stand in "know".
    """
    normalised = f" {normalise_answer(output)} "
    found = (f" {answer} " in normalised for answer in map(normalise_answer, answers) if answer)
    return any(found)


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


def paired_bootstrap(
    a: Sequence[float], b: Sequence[float], *, resamples: int = 10_000, seed: int = SEED
) -> tuple[float, float, float]:
    """Difference of the means of ``a`` and ``b`` over the same requests, and its 95% interval.

    Raises:
        InputError: they are empty or differ in length.
    """
    if len(a) != len(b) or not len(a):
        raise InputError(f"Values of {len(a)} and {len(b)} requests cannot be compared in pairs.")
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    n = len(difference)
    generator = np.random.default_rng(seed)
    step = max(1, 2_000_000 // n)
    means = [
        difference[generator.integers(0, n, (min(step, resamples - done), n))].mean(axis=1)
        for done in range(0, resamples, step)
    ]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(difference.mean()), float(low), float(high)


# --- the table --------------------------------------------------------------------------------


class Method(Protocol):
    """Any :class:`ctxzip.types.Compressor`, or a baseline."""

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]: ...


def evaluate(method: Method, records: Sequence[Record], ratio: float) -> list[Outcome]:
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


def _method(name: str) -> Method:
    return BASELINES[name] if name in BASELINES else load(name)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: print one table per set and ratio, and one pooled over the sets."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
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
        methods = {name: _method(name) for name in options.methods.split(",")}
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


if __name__ == "__main__":
    raise SystemExit(main())
