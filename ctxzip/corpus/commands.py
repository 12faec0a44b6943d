"""What the commands of ``ctxzip corpus`` do once their arguments are parsed."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ctxzip.corpus import job
from ctxzip.corpus.read.formats import Fields
from ctxzip.corpus.settings import Resources, Settings
from ctxzip.corpus.show.progress import Quiet, clock, for_stream
from ctxzip.corpus.task import Engine
from ctxzip.corpus.work.local import LocalEngine, processors
from ctxzip.errors import InputError

__all__ = ["compress"]

EXIT_ERRORS = 3
EXIT_STOPPED = 130


def compress(arguments: argparse.Namespace) -> int:
    """``ctxzip corpus compress``."""
    settings = Settings(
        ratio=arguments.ratio,
        target_tokens=arguments.target_tokens,
        threshold=arguments.threshold,
        compressor=arguments.compressor,
        model=arguments.model,
        tokenizer=arguments.tokenizer,
        granularity=arguments.granularity,
        language=arguments.language,
        protect=tuple(arguments.protect),
        fields=fields_of(arguments),
        format=arguments.format,
        shard_bytes=int(arguments.shard_mb * 2**20),
    )
    output = Path(arguments.output)
    cache = arguments.cache or str(output / ".ctxzip" / "cache.sqlite")
    resources = Resources(
        threads=arguments.threads,
        cache=None if arguments.no_cache else cache,
        cache_bytes=int(arguments.cache_mb * 2**20),
    )
    if arguments.price is not None and not arguments.price >= 0:
        raise InputError(f"--price {arguments.price!r} is less than nothing.")
    with _stopping(arguments.quiet) as stop:
        outcome = job.compress(
            arguments.input,
            output,
            settings,
            engine=_engine(arguments),
            resources=resources,
            incremental=arguments.incremental,
            progress=Quiet() if arguments.quiet else for_stream(),
            stop=stop,
        )
    if arguments.report:
        from ctxzip.corpus.show.summary import write

        write(Path(arguments.report), outcome.manifest, outcome.totals, arguments.price)
    if not arguments.quiet:
        _summary(outcome, output, arguments.price)
    if not outcome.complete:
        return EXIT_STOPPED
    return EXIT_ERRORS if arguments.strict and outcome.totals["failed"] else 0


def fields_of(arguments: argparse.Namespace) -> Fields:
    """How the fields of a record are called."""
    return Fields(
        arguments.text_field,
        arguments.id_field,
        arguments.title_field,
        int(arguments.max_record_mb * 2**20),
        arguments.include,
    )


def _engine(arguments: argparse.Namespace) -> Engine:
    devices = tuple(d.strip() for d in (arguments.devices or "auto").split(",") if d.strip())
    if not devices:
        raise InputError(f"--devices {arguments.devices!r} names none.")
    if arguments.workers is not None and arguments.workers < 1:
        raise InputError(f"--workers {arguments.workers} is less than one.")
    if arguments.engine == "ray":
        from ctxzip.corpus.work.cluster import RayEngine

        return RayEngine(
            workers=arguments.workers,
            address=arguments.ray_address,
            cpus=arguments.cpus,
            gpus=arguments.gpus,
        )
    default = len(devices) if arguments.devices else processors()
    return LocalEngine(arguments.workers or default, devices)


@contextmanager
def _stopping(quiet: bool) -> Iterator[threading.Event]:
    """An event that Ctrl-C, or a polite kill, sets; the second one ends the process at once."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(EXIT_STOPPED)  # every finished shard is on the disk already
        stop.set()
        if not quiet:
            text = "ctxzip: finishing the shards at work; again to stop at once\n"
            os.write(sys.stderr.fileno(), text.encode())

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _summary(outcome: job.Outcome, output: Path, price: float | None) -> None:
    """The table at the end, on standard error."""
    totals = outcome.totals
    speed = totals["tokens_before"] / max(1e-9, totals.seconds)
    rows = [
        ("records", f"{totals['records']:,} read, {totals['written']:,} written"),
        ("errors", f"{totals['failed']:,}" + (" (errors.jsonl)" if totals["failed"] else "")),
        ("tokens", f"{totals['tokens_before']:,} -> {totals['tokens_after']:,}"),
        ("saved", f"{totals.saved:,} tokens ({1 - totals.ratio:.1%})"),
    ]
    if price is not None:
        money = totals.saved / 1e6 * price
        rows.append(("money", f"{money:,.2f} saved each time everything is read once"))
    if totals["emptied"]:
        rows.append(("emptied", f"{totals['emptied']:,} records of which nothing fits the budget"))
    rows.append(("compressed once", f"{totals['repeated'] + totals['cached']:,} repeated texts"))
    rows.append(("time", f"{clock(outcome.seconds)}, {speed:,.0f} tokens/s per worker"))
    if outcome.resumed:
        rows.append(("resumed", f"{outcome.resumed:,} shards were done before"))
    width = max(len(name) for name, _ in rows)
    print(f"ctxzip: {'done' if outcome.complete else 'stopped'}: {output}", file=sys.stderr)
    for name, value in rows:
        print(f"  {name:<{width}}  {value}", file=sys.stderr)
    for problem in sorted(totals.problems):
        print(f"ctxzip: note: {problem}", file=sys.stderr)
    if not outcome.complete:
        print("ctxzip: run the same command again to go on", file=sys.stderr)
