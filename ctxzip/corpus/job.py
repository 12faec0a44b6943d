"""START HERE: a job over a corpus, from the files to the manifest.

    sources   what was named      → files, grouped into splits          read/sources.py
    read      a split             → shards of records, with keys        read/formats.py, shards.py
    work      a shard             → its compressed bytes and counts     work/worker.py, cache.py
    store     bytes, counts       → files, each whole or not there      work/store.py

An engine runs reading and work: in this process or several (work/local.py), or on Ray
(work/cluster.py). This module compares what is asked with what is done, writes what comes back, and
counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ctxzip.corpus.read import sources
from ctxzip.corpus.read.shards import Seen, name_of
from ctxzip.corpus.read.sources import Source, Split
from ctxzip.corpus.settings import Resources, Settings, digest
from ctxzip.corpus.show.progress import Progress, Quiet
from ctxzip.corpus.show.totals import Totals
from ctxzip.corpus.task import Engine, Task
from ctxzip.corpus.work.encode import learn_schema
from ctxzip.corpus.work.local import LocalEngine
from ctxzip.corpus.work.store import Store
from ctxzip.corpus.work.worker import Result
from ctxzip.errors import InputError

__all__ = ["Outcome", "compress"]

_FORMAT = 1
_WRITING = 4  # shards that wait for the disk


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job.

    Attributes:
        totals: counts over everything that is done.
        complete: False where it was stopped before the end.
        seconds: wall-clock time of this run.
        resumed: shards that were done before.
        manifest: what was written to ``manifest.json``.
    """

    totals: Totals
    complete: bool
    seconds: float
    resumed: int
    manifest: dict[str, Any]


def compress(
    given: Sequence[str],
    output: str | Path,
    settings: Settings,
    *,
    engine: Engine | None = None,
    resources: Resources | None = None,
    incremental: bool = False,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Outcome:
    """Compress every record of a corpus; a job that was stopped or killed goes on where it was.

    Args:
        given: files and folders.
        output: the folder of the result.
        settings: what decides the output.
        engine: where it runs; in this process by default.
        resources: devices, threads and the cache; by default a cache in the output folder.
        incremental: keep what is unchanged of an earlier job and make the rest again.
        progress: is told how it goes.
        stop: when set, what was begun is finished and the job ends.

    Raises:
        InputError: the input cannot be found, or input or settings changed since the job began.
        OutputError: the output cannot be written; finished shards stay.
        CtxzipError: the compressor cannot be used.
    """
    begun = time.perf_counter()
    folder = Path(output)
    found = sources.find(given, include=settings.fields.include, exclude=folder)
    splits = sources.splits(found)
    store = Store(folder, settings.format)
    with store.locked():
        task = _task(store, found, splits, settings, resources, incremental)
        run = _Run(store, task, progress or Quiet(), stop or threading.Event())
        complete = run.through(engine or LocalEngine())
        totals = Totals.of(facts for _, facts in store.checkpoints())
        seconds = time.perf_counter() - begun
        job = store.job() or {}
        manifest = _manifest(job, store, totals, complete, seconds)
        store.end(run.names, manifest, complete=complete)
    return Outcome(totals, complete, seconds, run.resumed, manifest)


def _task(
    store: Store,
    sources: Sequence[Source],
    splits: Sequence[Split],
    settings: Settings,
    resources: Resources | None,
    incremental: bool,
) -> Task:
    """The task, after a look at what an earlier job left here."""
    earlier = store.job()
    settings.options  # noqa: B018  # raises for what cannot be
    if settings.format == "parquet":
        same = earlier is not None and earlier["settings"].get("format") == "parquet"
        known = earlier["settings"]["schema"] if earlier is not None and same else None
        fresh = known is None or incremental
        settings = replace(
            settings, schema=learn_schema(splits, settings.fields) if fresh else known
        )
    facts = settings.facts()
    asked = {
        "format": _FORMAT,
        "settings": facts,
        "inputs": [[source.name, source.size] for source in sources],
    }
    finished: dict[str, str] = {}
    pooled: frozenset[str] = frozenset()
    if earlier is not None and incremental:
        pooled = frozenset(store.to_pool())
    elif earlier is not None:
        _refuse_changes(earlier, asked, store)
        finished = store.finished()
    if earlier != asked:
        store.begin(asked)
    if resources is None:
        resources = Resources(cache=str(store.hidden / "cache.sqlite"))
    return Task(splits, settings, resources, facts, digest(facts), finished, pooled)


def _refuse_changes(earlier: dict[str, Any], asked: dict[str, Any], store: Store) -> None:
    hint = "Add --incremental to make again what changed, or choose another folder."
    before, now = earlier.get("settings", {}), asked["settings"]
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            was, is_now = _shown(before.get(name)), _shown(now.get(name))
            raise InputError(
                f"{store.folder} was begun with {name} {was}; now it is {is_now}.", hint=hint
            )
    if earlier.get("inputs") != asked["inputs"]:
        old = {str(name): size for name, size in earlier.get("inputs", ())}
        new = dict(map(tuple, asked["inputs"]))
        changed = [n for n in new if n in old and old[n] != new[n]]
        added, gone = [n for n in new if n not in old], [n for n in old if n not in new]
        what = "; ".join(
            f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
            for names, kind in ((changed, "changed"), (added, "new"), (gone, "gone"))
            if names
        )
        raise InputError(
            f"The input is not that which {store.folder} was begun with: "
            f"{what or 'files have another order'}.",
            hint=hint,
        )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _Run:
    """One run of an engine over a task: writes, counts, tells."""

    def __init__(self, store: Store, task: Task, progress: Progress, stop: threading.Event) -> None:
        self.names: set[str] = set()
        self.resumed = 0
        self._store = store
        self._task = task
        self._progress = progress
        self._stop = stop
        self._lock = threading.Lock()

    def through(self, engine: Engine) -> bool:
        """Run; whether the end was reached."""
        task = self._task
        self._progress.begin(sum(split.size for split in task.splits))
        writing: list[Future[None]] = []
        results = engine.run(task, self._stop)
        try:
            with ThreadPoolExecutor(1, "ctxzip-writer") as writer:
                for item in results:
                    if isinstance(item, Seen):
                        self._seen(item)
                        continue
                    writing.append(writer.submit(self._finish, item))
                    # What failed is raised here; a full disk must not be noticed at the end only.
                    while writing and (writing[0].done() or len(writing) > _WRITING):
                        writing.pop(0).result()
                for future in writing:
                    future.result()
        finally:
            _close(results)
            self._progress.end()
        return not self._stop.is_set()

    def _finish(self, result: Result) -> None:
        name = name_of(result.split, result.index)
        self._store.finish(name, result.data, result.facts)
        self._count(name, result.advanced, result.facts, fresh=True)

    def _seen(self, seen: Seen) -> None:
        if seen.changed:
            raise InputError(
                f"The records of shard {seen.name} (from {seen.source}) changed since it was made.",
                hint="Add --incremental to make again what changed, or choose another folder.",
            )
        if seen.key in self._task.pooled:
            facts = self._store.adopt(seen.name, seen.key)
        else:
            facts = self._store.checkpoint(seen.name)
        self.resumed += 1
        self._count(seen.name, seen.advanced, facts, fresh=False)

    def _count(self, name: str, advanced: int, facts: dict[str, Any], *, fresh: bool) -> None:
        with self._lock:  # called by the writer and by whoever runs the job
            self.names.add(name)
            self._progress.advance(advanced, facts, fresh=fresh)


def _close(results: Iterator[Any]) -> None:
    close = getattr(results, "close", None)
    if close is not None:
        close()


def _manifest(
    job: dict[str, Any], store: Store, totals: Totals, complete: bool, seconds: float
) -> dict[str, Any]:
    settings = dict(job.get("settings", {}))
    return {
        "format": _FORMAT,
        "complete": complete,
        "version": settings.pop("version", None),
        "model_sha256": settings.pop("model_sha256", None),
        "settings": settings,
        "inputs": [{"name": name, "bytes": size} for name, size in job.get("inputs", ())],
        "counts": totals.counts(),
        "seconds": {"this_run": round(seconds, 3), "work": round(totals.seconds, 3)},
        "problems": sorted(totals.problems),
        "shards": [
            {
                "file": store.part(name).name,
                "sha256": facts["sha256"],
                "bytes": facts["bytes"],
                "records": facts["written"],
            }
            for name, facts in store.checkpoints()
            if facts["bytes"]
        ],
    }
