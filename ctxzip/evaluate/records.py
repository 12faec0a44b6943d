"""Questions with their documents, from JSON lines, JSON or CSV.

A record is an object with a question, its documents and, where known, answers and evidence::

    {"id": ..., "query": ..., "answers": [str, ...],
     "documents": [{"title", "text", "evidence": [[start, end], ...]}, ...]}

``evidence`` are half-open character offsets into ``text``. The simple form has a question, one or
several contexts as plain strings, and one or several answers, under the names that ``ALIASES``
lists; evidence may then be given as strings that stand in the contexts. A CSV file has the same
names as columns, with ``context_1``, ``context_2``, ... for several contexts, or a JSON list in a
cell.
"""

from __future__ import annotations

import ast
import csv
import gzip
import io
import json
import lzma
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ctxzip.errors import CtxzipError, InputError
from ctxzip.types import Document, Span, check_text

__all__ = ["ALIASES", "Record", "load_records"]

ALIASES: Mapping[str, tuple[str, ...]] = {
    "query": ("query", "question", "user_input"),
    "documents": ("documents", "contexts", "context", "passages", "retrieved_contexts"),
    "answers": ("answers", "answer", "ground_truths", "ground_truth", "reference"),
    "evidence": ("evidence", "supporting_facts"),
    "id": ("id",),
}
_EXPECTED = "a question ('query' or 'question') and its 'documents', 'contexts' or 'context'"
_NUMBERED = re.compile(r"(?:contexts?|documents?|passages?)[ _]?(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """A question, the documents it is asked about, and what of them is needed to answer it.

    Attributes:
        id: the caller's identifier; the number of the line where there is none.
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


def load_records(
    path: str | os.PathLike[str], *, skipped: list[str] | None = None
) -> Iterator[Record]:
    """Read a data set, one record at a time.

    Args:
        path: JSON lines, ``.json`` (a list), ``.csv`` or ``.tsv``; plain, ``.gz`` or ``.xz``.
        skipped: where it is given, malformed lines are left out and named here.

    Raises:
        InputError: the file cannot be read, or a line is malformed; it names file and line, and
            what was expected.
    """
    path = Path(path)
    try:
        for where, row in _rows(path):
            try:
                yield _parsed(row, where)
            except InputError as error:
                if skipped is None:
                    raise
                skipped.append(str(error))
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}.") from error


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Where each record stands, and the record: an object, or a line of JSON."""
    kind = Path(path.stem).suffix if path.suffix in (".gz", ".xz") else path.suffix
    with _open(path) as file:
        if kind.lower() in (".csv", ".tsv"):
            yield from _cells(path, file.read(), "\t" if kind.lower() == ".tsv" else None)
        elif kind.lower() == ".json":
            yield from _entries(path, file.read())
        else:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}, line {number}", line


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    if path.suffix == ".xz":
        return lzma.open(path, "rb")
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    return open(path, "rb")


def _entries(path: Path, data: bytes) -> Iterator[tuple[str, Any]]:
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not JSON: {error}.", hint="JSON lines belong in a file named .jsonl."
        ) from error
    if not isinstance(found, list):
        raise InputError(f"{path} holds {type(found).__name__}, not a list of records.")
    for number, row in enumerate(found, 1):
        yield f"{path}, entry {number}", row


def _cells(path: Path, data: bytes, delimiter: str | None) -> Iterator[tuple[str, Any]]:
    # Bytes that are no UTF-8 become lone surrogates, which are refused in the line they stand in.
    text = data.decode("utf-8-sig", "surrogateescape")
    header = text.partition("\n")[0]
    if delimiter is None:
        delimiter = ";" if ";" in header and "," not in header else ","
    with _long_cells():
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        lines: list[tuple[int, list[str] | csv.Error]] = []
        while True:
            begins = reader.line_num + 1
            try:
                lines.append((begins, next(reader)))
            except StopIteration:
                break
            except csv.Error as error:
                lines.append((begins, error))
    if not lines:
        raise InputError(
            f"{path} is empty.", hint=f"The first line names the columns: {_EXPECTED}."
        )
    names = _columns(path, lines[0][1])
    for number, cells in lines[1:]:
        where = f"{path}, line {number}"
        if isinstance(cells, csv.Error):
            yield where, cells
        elif any(cell.strip() for cell in cells):
            wrong = len(cells) != len(names)
            mismatch = ValueError(f"{len(cells)} cells, but the first line names {len(names)}")
            yield where, mismatch if wrong else _row_of(names, cells)


@contextmanager
def _long_cells() -> Iterator[None]:
    """The csv module refuses cells of more than 128 kB unless it is told otherwise."""
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _columns(path: Path, header: list[str] | csv.Error) -> list[str]:
    names = [] if isinstance(header, csv.Error) else [name.strip().lower() for name in header]
    asked = any(name in ALIASES["query"] for name in names)
    given = any(name in ALIASES["documents"] or _NUMBERED.fullmatch(name) for name in names)
    if not asked or not given:
        raise InputError(
            f"{path}, line 1: the columns are {', '.join(map(repr, names[:12])) or 'unreadable'}.",
            hint=f"Expected are columns for {_EXPECTED}.",
        )
    return names


def _row_of(names: list[str], cells: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    contexts = []
    for name, cell in zip(names, cells, strict=True):
        numbered = _NUMBERED.fullmatch(name)
        if numbered:
            contexts.append((int(numbered[1]), cell))
        elif cell.strip():
            row[name] = cell if name in ("id", *ALIASES["query"]) else _list_of(cell)
    if contexts:
        row["documents"] = [cell for _, cell in sorted(contexts) if cell.strip()]
    return row


def _list_of(cell: str) -> str | list[str]:
    """A cell that holds a list of strings, as JSON or as Python prints it; else the cell."""
    if not re.match(r"""\[\s*["']""", cell):
        return cell
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(found, list) and all(isinstance(item, str) for item in found):
            return found
    return cell


def _parsed(row: Any, where: str) -> Record:
    try:
        if isinstance(row, Exception):
            raise row
        if isinstance(row, bytes):
            row = json.loads(row.decode("utf-8-sig"))
        return _record(row, where.rpartition(", ")[2])
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not UTF-8 text (byte {error.start}).") from error
    except KeyError as error:
        raise InputError(
            f"{where}: the field {error} is missing.", hint=f"A record needs {_EXPECTED}."
        ) from error
    except CtxzipError as error:
        raise InputError(f"{where}: {error}") from error
    except (ValueError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise InputError(f"{where}: {error}.", hint=f"A record needs {_EXPECTED}.") from error


def _record(row: Any, place: str) -> Record:
    if not isinstance(row, dict):
        raise TypeError(f"a record is an object, not {type(row).__name__}")
    documents, evidence = [], []
    for part in _listed(_field(row, "documents"), "documents"):
        document, spans = _document(part)
        documents.append(document)
        evidence.append(spans)
    if not documents:
        raise ValueError("documents is empty")
    loose = row.get("evidence")
    if isinstance(loose, list | str):
        _locate(_listed(loose, "evidence"), documents, evidence)
    answers = _listed(_field(row, "answers", ()), "answers")
    number = row.get("id", place)
    if isinstance(number, bool) or not isinstance(number, str | int):
        raise TypeError(f"id={number!r} is neither a string nor a number")
    return Record(
        str(number),
        _string(_field(row, "query"), "query"),
        tuple(_string(answer, "answers") for answer in answers),
        tuple(documents),
        tuple(map(tuple, evidence)),
    )


def _document(part: Any) -> tuple[Document, list[Span]]:
    if isinstance(part, str):
        return Document(_string(part, "context")), []
    if not isinstance(part, dict):
        raise TypeError(f"a document is a string or an object, not {type(part).__name__}")
    text = _string(part["text"], "text")
    title, name = part.get("title"), part.get("id")
    spans = [Span(int(start), int(end)) for start, end in part.get("evidence", ())]
    for span in spans:
        if not 0 <= span.start < span.end <= len(text):
            raise ValueError(f"evidence {list(span)} lies outside a text of {len(text)}")
    title = None if title is None else _string(title, "title")
    return Document(text, id=None if name is None else str(name), title=title), spans


def _locate(
    wanted: Iterable[object], documents: list[Document], evidence: list[list[Span]]
) -> None:
    """Add the spans at which evidence given as text stands."""
    for evidence_text in wanted:
        text = _string(evidence_text, "evidence").strip()
        for document, spans in zip(documents, evidence, strict=True):
            at = document.text.find(text) if text else -1
            if at >= 0:
                spans.append(Span(at, at + len(text)))
                break
        else:
            raise ValueError(f"the evidence {text[:60]!r} stands in none of the documents")


def _field(row: Mapping[str, Any], name: str, default: Any = None) -> Any:
    for alias in ALIASES[name]:
        if row.get(alias) is not None:
            return row[alias]
    if default is None:
        raise KeyError(name)
    return default


def _listed(value: Any, name: str) -> list[Any]:
    if isinstance(value, str | dict):
        return [value]
    if not isinstance(value, list | tuple):
        raise TypeError(f"{name} is {type(value).__name__}, not a list")
    return list(value)


def _string(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{field}={value!r} is not a string")
    check_text(value, field)
    return value
