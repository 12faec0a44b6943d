"""``ctxzip corpus index``: embed a corpus before the questions come."""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any

from ctxzip.errors import InputError

if TYPE_CHECKING:
    from ctxzip.corpus.read.formats import Blob
    from ctxzip.corpus.read.sources import Source
    from ctxzip.index import SentenceIndex

__all__ = ["add_index"]

_EPILOG = """\
The passages must be what the retriever will return: same text, same title. Then

  ctxzip corpus index passages.jsonl -o passages.index
  ctxzip compress retrieved.txt --query "..." --index passages.index

embeds at query time the query alone. Run again, it embeds only what is new; passages of an id that
comes again replace what the id stood for. Without INPUT and --delete it says what the index holds.
"""
_SHOWN = 5
_SAVE_SECONDS = 120.0
EXIT_FAULTS = 3


def add_index(commands: Any) -> None:
    """Register ``index``."""
    parser = commands.add_parser(
        "index",
        help="embed sentences once, so that a question costs its own encoding only",
        description="Embed every sentence of a corpus, for recomp-extractive at query time.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_run)
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="files or folders of passages")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="the index")
    parser.add_argument(
        "-m", "--model", metavar="MODEL",
        help="folder or hub name of a bi-encoder, or a folder that ctxzip export made; default: "
        "mini, the shipped model",
    )  # fmt: skip
    parser.add_argument(
        "--storage", choices=["float32", "float16", "int8", "pca8"],
        help="float16 (default) loses nothing; int8 takes a half and pca8 a quarter of it",
    )  # fmt: skip
    parser.add_argument(
        "--components", type=int, metavar="N",
        help="principal components of pca8; default: half of the dimensions",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", help="cpu, cuda or mps; default: the best")
    parser.add_argument("--language", metavar="XX", help="language of the corpus; default: guessed")
    parser.add_argument("--text-field", default="text", metavar="NAME", help="default: text")
    parser.add_argument("--id-field", default="id", metavar="NAME", help="default: id")
    parser.add_argument("--title-field", default="title", metavar="NAME", help="default: title")
    parser.add_argument("--no-titles", action="store_true", help="do not read titles")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--sync", action="store_true", help="delete what INPUT does not hold any more")
    how.add_argument("--rebuild", action="store_true", help="replace the index by a new one")
    parser.add_argument(
        "--delete", action="append", default=[], metavar="ID", help="delete a document; repeatable"
    )
    parser.add_argument(
        "--strict", action="store_true", help=f"exit code {EXIT_FAULTS} if a record is faulty"
    )


class _Stop(Exception):  # noqa: N818
    """Ctrl-C was pressed; a batch is done."""


class _Progress:
    """Says how far it is, saves from time to time, and stops between two batches."""

    def __init__(self, index: SentenceIndex, folder: Path, overwrite: bool) -> None:
        self._index, self._folder, self._overwrite = index, folder, overwrite
        self._begun = self._saved = monotonic()
        self._said = -math.inf
        self._pause = _SAVE_SECONDS
        self._tty = sys.stderr.isatty()
        self.stopped = False

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """The first Ctrl-C."""
        self.stopped = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        lead = "\n" if self._tty else ""
        _say(f"{lead}ctxzip: finishing the batch; Ctrl-C again stops at once")

    def __call__(self, documents: int) -> None:
        """After every batch."""
        now = monotonic()
        if now - self._said >= (0.2 if self._tty else 10.0):
            self._said = now
            rate = documents / max(now - self._begun, 1e-9)
            line = f"{_count(documents, 'document')}, {_count(self._index.sentences, 'sentence')}"
            line = f"{line}, {rate:,.0f} documents/s"
            print(f"\r{line}" if self._tty else line, end="" if self._tty else "\n",
                  file=sys.stderr, flush=True)  # fmt: skip
        if self.stopped:
            raise _Stop
        if now - self._saved >= self._pause and self._index.ready:
            self.save()
            # A big index takes long to write; then it is written more rarely.
            self._saved, spent = monotonic(), monotonic() - now
            self._pause = max(_SAVE_SECONDS, 20 * spent)

    def save(self) -> None:
        """Write what there is."""
        self._index.save(self._folder, overwrite=self._overwrite)
        self._overwrite = False

    def done(self) -> None:
        """End the line."""
        if self._tty and self._said > 0:
            _say("")


def _run(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.output)
    index = _index_of(arguments, folder)
    if arguments.inputs or arguments.delete:
        _check_output(folder, arguments.rebuild)
    faults: list[str] = []
    if arguments.inputs:
        records = _documents(arguments, folder, faults)
        first = next(records, None)  # a wrong path or field is known before the model is loaded
        _put(arguments, index, folder, _again(first, records))
    if arguments.delete:
        deleted = index.delete(arguments.delete)
        _say(f"{deleted} of {len(set(arguments.delete))} ids deleted")
        index.save(folder)
    for fault in faults[:_SHOWN]:
        _say(f"ctxzip: left out: {fault}")
    if len(faults) > _SHOWN:
        _say(f"ctxzip: and {len(faults) - _SHOWN:,} more faulty records")
    print(_summary(index))
    return EXIT_FAULTS if faults and arguments.strict else 0


def _check_output(folder: Path, overwrite: bool) -> None:
    """Fail before the work rather than after it."""
    from ctxzip.index.folder import MANIFEST, check_target

    if not (folder / MANIFEST).exists():
        check_target(folder, None, overwrite)
    there = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(f"The index {str(folder)!r} cannot be written: {there} is no folder that"
                         " may be written to.")  # fmt: skip


def _again(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    if first is not None:
        yield first
        yield from rest


def _put(
    arguments: argparse.Namespace,
    index: SentenceIndex,
    folder: Path,
    documents: Iterator[Mapping[str, object]],
) -> None:
    """Embed, save and say what happened."""
    progress = _Progress(index, folder, arguments.rebuild)
    before = signal.signal(signal.SIGINT, progress.interrupt)
    begun = monotonic()
    try:
        change = (index.sync if arguments.sync else index.add)(documents, progress=progress)
    except _Stop:
        progress.done()
        if index.ready:
            progress.save()
            held = _count(index.documents, "document")
            _say(f"ctxzip: {folder} holds {held}; run the same command again to go on")
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, before)
    progress.done()
    if not index.passages:
        raise InputError("No passage to embed was found.", hint="See --text-field.")
    progress.save()
    for note in change.notes:
        _say(f"ctxzip: note: {note}")
    _say(
        f"{_count(change.documents, 'document')} read in {monotonic() - begun:.1f} s:"
        f" {_count(change.embedded, 'passage')} embedded, {change.removed:,} removed"
    )


def _index_of(arguments: argparse.Namespace, folder: Path) -> SentenceIndex:
    """A new index, or the one that lies there, if it is what was asked for."""
    from ctxzip.backends import bundle
    from ctxzip.index import SentenceIndex
    from ctxzip.index.folder import MANIFEST

    exists = (folder / MANIFEST).exists()
    if not exists and not arguments.inputs:
        raise InputError(f"There is no index in {str(folder)!r}.", hint="Name the INPUT.")
    if not exists or arguments.rebuild:
        if not arguments.inputs:
            raise InputError("--rebuild needs an INPUT.")
        return SentenceIndex(
            arguments.model or bundle.SHIPPED,
            storage=arguments.storage or "float16",
            components=arguments.components,
            titles=not arguments.no_titles,
            language=arguments.language,
            device=arguments.device,
        )
    index = SentenceIndex.load(folder, model=arguments.model, device=arguments.device)
    asked = {
        "storage": arguments.storage,
        "components": arguments.components,
        "language": arguments.language,
        "titles": False if arguments.no_titles else None,
    }
    for name, value in asked.items():
        if value is not None and getattr(index, name) != value:
            raise InputError(
                f"The index {str(folder)!r} was made with {name}={getattr(index, name)!r}, not"
                f" {value!r}.",
                hint="Name another folder, or use --rebuild.",
            )
    return index


def _documents(
    arguments: argparse.Namespace, folder: Path, faults: list[str]
) -> Iterator[Mapping[str, object]]:
    """The records of every file as mappings for the index; faults are collected."""
    from ctxzip.corpus.read.formats import Fields, read
    from ctxzip.corpus.read.sources import find

    fields = Fields(text=arguments.text_field, id=arguments.id_field)
    for source in find(arguments.inputs, exclude=folder):
        for blob in read(source, fields):
            if blob.fault is not None:
                faults.append(f"{source.name}, record {blob.line}: {blob.fault}")
                continue
            for number, row in enumerate(_rows(source, blob, faults), blob.line):
                document = _document(row, arguments)
                if isinstance(document, str):
                    faults.append(f"{source.name}, record {number}: {document}")
                else:
                    yield document


def _rows(source: Source, blob: Blob, faults: list[str]) -> Iterator[Any]:
    from ctxzip.corpus.read.formats import arrow

    if source.columnar:
        with arrow().ipc.open_stream(io.BytesIO(blob.raw)) as reader:
            yield from reader.read_all().to_pylist()
        return
    try:
        yield json.loads(blob.raw)
    except (ValueError, RecursionError) as error:
        faults.append(f"{source.name}, record {blob.line}: {error}")


def _document(row: Any, arguments: argparse.Namespace) -> Mapping[str, object] | str:
    """A document, or why there is none."""
    if not isinstance(row, Mapping):
        return f"{type(row).__name__} instead of an object"
    text = row.get(arguments.text_field)
    title, identifier = row.get(arguments.title_field), row.get(arguments.id_field)
    for name, value in ((arguments.text_field, text), (arguments.title_field, title)):
        if value is None and name == arguments.title_field:
            continue
        if not isinstance(value, str):
            return f"no text in the field {name!r}"
        if any("\ud800" <= character <= "\udfff" for character in value):
            return f"invalid Unicode in the field {name!r}"
    return {"text": text, "title": title, "id": identifier}


def _summary(index: SentenceIndex) -> str:
    full = index.sentences * index.dimension * 4
    return (
        f"{_count(index.documents, 'document')}, {_count(index.passages, 'passage')},"
        f" {_count(index.sentences, 'sentence')} by {index.model},"
        f" {index.storage}: {index.nbytes / 2**20:,.1f} MiB of vectors"
        f" ({full / max(1, index.nbytes):.1f} times less than float32)"
    )


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
