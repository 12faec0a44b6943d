"""Requests around a gold passage, for data sets that hold one passage a question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ctxzip.evaluate.baselines import SEED, Bm25, digest
from ctxzip.evaluate.records import Record
from ctxzip.types import Document

__all__ = ["among", "build_requests"]

PASSAGES = 10  # per request, where requests are built around one gold passage
SAMPLED = 300  # requests drawn from a set of single passages


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
    pool = _pool(records)
    others = _lexically_close(pool, PASSAGES) if kind == "qed" else _same_article(pool, seed)
    gold = [r for r in records if any(r.evidence) and len(r.documents) == 1]
    gold.sort(key=lambda record: digest(seed, record.id))
    return [_among(record, others(record), seed) for record in gold[:SAMPLED]]


def among(
    records: Sequence[Record], passages: int, *, chosen: int | None = None, seed: int = SEED
) -> list[Record]:
    """Put the documents of every record among those of others that BM25 ranks closest to it.

    Args:
        records: of one data set.
        passages: documents of each request; a record that has as many is left as it is.
        chosen: how many records to take, drawn by their id; all where None.
        seed: for the order of documents and the draw.
    """
    records = list(records)
    others = _lexically_close(_pool(records), passages)
    if chosen is not None:
        records = sorted(records, key=lambda record: digest(seed, record.id))[:chosen]
    return [
        _among(record, others(record), seed) if len(record.documents) < passages else record
        for record in records
    ]


def _pool(records: Iterable[Record]) -> dict[str, Document]:
    ordered = sorted(records, key=lambda record: record.id)
    return {document.text: document for record in ordered for document in record.documents}


def _lexically_close(pool: Mapping[str, Document], size: int) -> Callable[[Record], list[Document]]:
    passages = list(pool.values())
    index = Bm25([passage.text for passage in passages])

    def closest(record: Record) -> list[Document]:
        order = np.argsort(-index.scores(record.query), kind="stable")
        own = {document.text for document in record.documents}
        wanted = size - len(record.documents)
        found = (passages[i] for i in order[: size + len(own)] if passages[i].text not in own)
        return [passage for passage, _ in zip(found, range(wanted), strict=False)]

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
    own = list(zip(record.documents, record.evidence, strict=True))
    every = [*own, *((passage, ()) for passage in others)]
    every.sort(key=lambda pair: digest(seed, "order", record.id, pair[0].text))
    documents, evidence = zip(*every, strict=True)
    return Record(record.id, record.query, record.answers, tuple(documents), tuple(evidence))
