"""The local engine: a reader, workers and a bounded number of shards between them."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ctxzip.corpus.read.shards import Seen, Shard
from ctxzip.corpus.settings import Resources, Settings
from ctxzip.corpus.task import Task
from ctxzip.corpus.work.reader import read_split
from ctxzip.corpus.work.worker import Result, Worker
from ctxzip.errors import CtxzipError

__all__ = ["LocalEngine", "processors"]

T = TypeVar("T")
_AHEAD = 2  # shards that are read or finished beyond those at work


def processors() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Runs a task on this machine.

    Attributes:
        workers: processes; with one everything stays in this process.
        devices: where each worker's model runs, in turn.
    """

    workers: int = 1
    devices: Sequence[str] = ("auto",)

    def run(self, task: Task, stop: threading.Event) -> Iterator[Result | Seen]:
        """Results in the order in which they are done; after ``stop`` those begun, no others."""
        resources = task.resources
        if resources.threads is None:
            resources = replace(resources, threads=max(1, processors() // self.workers))
        shards = _ahead(_read(task), stop)
        begin = (task.settings, resources, task.facts)
        try:
            if self.workers == 1:
                device = self.devices[0]
                worker = Worker(task.settings, replace(resources, device=device), task.facts)
                with closing(worker), ThreadPoolExecutor(1, "ctxzip-worker") as threads:
                    yield from _pump(threads, worker.run, shards, 2, stop)
            else:
                yield from self._processes(begin, shards, stop)
        finally:
            shards.close()

    def _processes(
        self,
        begin: tuple[Settings, Resources, dict[str, Any]],
        shards: Iterator[Shard | Seen],
        stop: threading.Event,
    ) -> Iterator[Result | Seen]:
        context = multiprocessing.get_context("spawn")
        devices = context.Queue()
        for i in range(self.workers):
            devices.put(self.devices[i % len(self.devices)])
        others = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(self.workers, context, _begin, (*begin, devices))
        try:
            yield from _pump(pool, _work, shards, self.workers + 1, stop)
            pool.shutdown()
        except BrokenProcessPool as error:
            raise CtxzipError(
                "A worker process ended unexpectedly, perhaps for want of memory.",
                hint="Run the same command again, with fewer --workers or a smaller --shard-mb.",
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()  # after an error nobody waits for what it still does


def _pump(
    pool: Executor,
    work: Callable[[Shard], Result],
    shards: Iterator[Shard | Seen],
    most: int,
    stop: threading.Event,
) -> Iterator[Result | Seen]:
    """Keep ``most`` shards at work; hand over what is done."""
    running: set[Future[Result]] = set()
    left = True
    while left or running:
        while left and len(running) < most and not stop.is_set():
            item = next(shards, None)
            if item is None:
                left = False
            elif isinstance(item, Seen):
                yield item
            else:
                running.add(pool.submit(work, item))
        left = left and not stop.is_set()
        if stop.is_set():  # those that no worker has begun are not waited for
            running = {future for future in running if not future.cancel()}
        if running:
            # Wakes now and then to notice that the job shall stop.
            done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def _read(task: Task) -> Iterator[Shard | Seen]:
    for split in task.splits:
        yield from read_split(split, task)


def _ahead(items: Iterator[T], stop: threading.Event) -> Any:
    """Run an iterator in a thread, a few items ahead."""
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(_AHEAD)
    closed = threading.Event()

    def put(item: T | None, error: BaseException | None) -> bool:
        while not closed.is_set() and not stop.is_set():
            try:
                ready.put((item, error), timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def fill() -> None:
        try:
            for item in items:
                if not put(item, None):
                    return
            put(None, None)
        except BaseException as error:  # it belongs to whoever iterates
            put(None, error)

    def drain() -> Iterator[T]:
        thread = threading.Thread(target=fill, name="ctxzip-reader", daemon=True)
        thread.start()
        try:
            while not stop.is_set():
                try:
                    item, error = ready.get(timeout=0.2)
                except queue.Empty:
                    continue
                if error is not None:
                    raise error
                if item is None:
                    return
                yield item
        finally:
            closed.set()

    return drain()


_worker: Worker | None = None
_problem: CtxzipError | None = None


def _begin(settings: Settings, resources: Resources, facts: dict[str, Any], devices: Any) -> None:
    """Set up a worker process."""
    global _worker, _problem  # noqa: PLW0603
    # Ctrl-C reaches the whole group; the job decides what is still finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_watch, name="ctxzip-watch", daemon=True).start()
    try:
        _worker = Worker(settings, replace(resources, device=devices.get()), facts)
        if "torch" in sys.modules:  # the processes would fight for the processors
            sys.modules["torch"].set_num_threads(resources.threads or 1)
    except CtxzipError as error:
        _problem = error  # raised by the first call: what an initializer raises is lost


def _watch() -> None:
    """End with the parent, however it ended: a killed job must not leave workers behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(shard: Shard) -> Result:
    try:
        if _worker is None:
            raise _problem or CtxzipError("The worker was not set up.")
        return _worker.run(shard)
    except CtxzipError as error:
        raise CtxzipError(str(error)) from None  # some of ours cannot be pickled
