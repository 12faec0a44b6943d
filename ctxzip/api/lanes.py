"""Requests that arrive together are compressed together, in threads whose number is bounded.

A lane is one compressor with its queue and its few threads. Whoever needs a compression puts a
request into the lane and waits for its future. The first free thread gathers what arrives within a
few milliseconds, or while other batches run, and hands it to one ``compress_many``.

A thread that hangs cannot be killed. When nobody waits for its batch any more the thread counts as
stuck; when ``MOST_THREADS`` are stuck the lane refuses work at once instead of starting more.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from time import monotonic
from typing import Any, Generic, TypeVar

from ctxzip.api.arguments import compressor_of
from ctxzip.errors import CtxzipError
from ctxzip.kit.batch import BatchCompressor
from ctxzip.kit.once import Once
from ctxzip.types import Compression, Compressor, Options, Request

__all__ = ["MOST_THREADS", "Lane", "LaneBusyError", "Pending", "lane_of"]

MOST_THREADS = 4
# Batches that run side by side while all is well: one, and one beside it, so that a huge request
# does not hold up the small ones. More would only share the same cores.
_PARALLEL = 2
# Where two batches only take turns at the interpreter, the second one begins when the first has
# taken this long.
_HUGE_SECONDS = 0.2
_SHARED = 4  # fewer requests than these are not worth two batches
_MOST_REQUESTS = 64
_MOST_CHARACTERS = 30_000  # about 7,000 tokens: a second or two of a small model on a CPU
# A gathering ends early when nothing has arrived for this part of the window.
_QUIET = 1 / 3
_IDLE_SECONDS = 5.0


T = TypeVar("T")


class LaneBusyError(CtxzipError, RuntimeError):
    """Every thread of a compressor hangs in a call that was given up."""


class Pending(Generic[T]):
    """A request on its way.

    Attributes:
        request: what was asked.
        patient: whether it may wait for company.
        then: makes what is wanted of the compression, in the lane's thread.
        future: what ``then`` made; raises whatever was raised for this request alone.
        abandoned: nobody waits for it any more.
    """

    __slots__ = ("abandoned", "future", "patient", "request", "then")

    def __init__(self, request: Request, patient: bool, then: Callable[[Compression], T]) -> None:
        self.request = request
        self.patient = patient
        self.then = then
        self.future: Future[T] = Future()
        self.abandoned = False

    def settle(self, compression: Compression) -> None:
        """Fulfil the future."""
        try:
            self.future.set_result(self.then(compression))
        except BaseException as error:  # it belongs to whoever waits, not to the thread
            self.future.set_exception(error)


class Lane:
    """A compressor, its queue and its threads. Thread-safe.

    Threads are started when there is work and end after some idle seconds, so a lane needs no
    closing.

    Args:
        compressor: a name or a compressor; a name is loaded by the first thread.
        options: for a name, what is rarely set.
        window: most seconds for which a patient request waits for company.
    """

    def __init__(self, compressor: str | Compressor, options: Options, window: float) -> None:
        self.key = (compressor, options, window)
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        compressor, options, _ = self.key
        self._compressor = Once(
            lambda: compressor_of(compressor, options), lambda loaded: loaded.close()
        )
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)  # the thread that gathers waits here
        self._free = threading.Condition(self._lock)  # idle threads wait here
        self._queue: deque[Pending[Any]] = deque()
        self._gathering = False
        self._threads = 0
        self._begun = 0.0  # when the last batch did
        self._running: dict[int, list[Pending[Any]]] = {}

    def close(self) -> None:
        """Release the compressor; the next batch loads it again."""
        self._compressor.close()

    @property
    def stuck(self) -> int:
        """How many threads are in a batch that nobody waits for any more."""
        with self._lock:
            return self._stuck()

    def _stuck(self) -> int:
        return sum(all(t.abandoned for t in batch) for batch in self._running.values())

    def submit(
        self,
        requests: Sequence[Request],
        *,
        patient: bool,
        then: Callable[[Request, Compression], T],
    ) -> list[Pending[T]]:
        """Queue requests.

        Args:
            requests: they may end up in different batches.
            patient: they may wait for company; otherwise the next free thread takes them.
            then: makes what is wanted of a request and its compression, in the lane's thread.

        Raises:
            LaneBusyError: every thread hangs.
        """
        if self._pid != os.getpid():
            self._reset()  # threads and locks do not survive a fork
        pending = [Pending(request, patient, partial(then, request)) for request in requests]
        with self._lock:
            if self._stuck() >= MOST_THREADS:
                raise LaneBusyError(f"All {MOST_THREADS} threads hang in calls that were given up.")
            self._queue.extend(pending)
            if not patient or len(self._queue) >= _MOST_REQUESTS:
                self._arrived.notify()
            if not self._gathering:
                self._staff()
        return pending

    def abandon(self, pending: Sequence[Pending[Any]]) -> None:
        """Nobody waits for these any more: those not begun never will be."""
        with self._lock:
            for entry in pending:
                entry.abandoned = True
                entry.future.cancel()
            if any(t.abandoned for t in self._queue):
                self._queue = deque(t for t in self._queue if not t.abandoned)
            left = list(self._queue)
            if left and self._stuck() < MOST_THREADS:
                self._staff()
                return
            self._queue.clear()
        for entry in left:
            if entry.future.set_running_or_notify_cancel():
                entry.future.set_exception(LaneBusyError("Every thread hangs."))

    def _staff(self) -> None:
        """See to it that a thread takes what is queued. The lock is held."""
        if self._threads > len(self._running):
            self._free.notify()
        elif self._threads < min(MOST_THREADS, self._stuck() + _PARALLEL):
            threading.Thread(target=self._work, name="ctxzip-lane", daemon=True).start()
            self._threads += 1

    def _work(self) -> None:
        me = threading.get_ident()
        while batch := self._next(me):
            self._run([t for t in batch if t.future.set_running_or_notify_cancel()])
            with self._lock:
                del self._running[me]

    def _next(self, me: int) -> list[Pending[Any]]:
        """The next batch for this thread; empty when it shall end."""
        with self._lock:
            while True:
                while self._gathering or not self._queue or self._crowded():
                    held = self._queue and not self._gathering
                    woken = self._free.wait(_HUGE_SECONDS if held else _IDLE_SECONDS)
                    if not woken and (self._gathering or not self._queue):
                        self._threads -= 1
                        return []
                self._gathering = True
                self._gather()
                self._gathering = False
                batch = self._take()
                if batch:  # otherwise all were given up while they were gathered
                    self._running[me] = batch
                    self._begun = monotonic()
                    if self._queue:
                        self._staff()
                    return batch

    def _take(self) -> list[Pending[Any]]:
        """The next batch, off the queue: all there is, or this thread's share of it.

        Two batches of a model side by side keep the processors busy, one in the model while the
        other one is in Python; one batch of everything would leave them idle in turns. A share is
        half of the fair one: the last batches are short, and so none runs on alone for long.
        """
        batch: list[Pending[Any]] = []
        size = 0
        most = _MOST_REQUESTS
        if self._side_by_side() and all(t.patient for t in self._queue):
            most = max(_SHARED, -(-len(self._queue) // (2 * _PARALLEL)))
        while self._queue and len(batch) < min(most, _MOST_REQUESTS) and size < _MOST_CHARACTERS:
            batch.append(self._queue.popleft())
            size += sum(len(document.text) for document in batch[-1].request.documents)
        return batch

    def _crowded(self) -> bool:
        """Whether enough batches run already; a finishing thread takes what is queued."""
        running = len(self._running) - self._stuck()
        if running and not self._side_by_side() and monotonic() - self._begun < _HUGE_SECONDS:
            return True
        return running >= _PARALLEL

    def _side_by_side(self) -> bool:
        loaded = self._compressor.made
        return loaded.side_by_side if isinstance(loaded, BatchCompressor) else True

    def _gather(self) -> None:
        """Wait for company until the window ends, it falls quiet, or somebody is in a hurry."""
        window = self.key[2]
        end = monotonic() + window
        while len(self._queue) < _MOST_REQUESTS and all(t.patient for t in self._queue):
            seen, left = len(self._queue), end - monotonic()
            if left <= 0:
                return
            self._arrived.wait(min(left, window * _QUIET))
            if len(self._queue) == seen:
                return

    def _run(self, batch: list[Pending[Any]]) -> None:
        if not batch:
            return
        try:
            results = self._compressor().compress_many([t.request for t in batch])
            if len(results) != len(batch):
                raise CtxzipError(f"{len(results)} results for {len(batch)} requests.")
        except BaseException as error:  # the thread must live on and the error reach its caller
            for entry in batch:
                if len(batch) == 1 or entry.abandoned:
                    entry.future.set_exception(error)
                else:  # one bad request must not spoil the others
                    self._run([entry])
            return
        for entry, result in zip(batch, results, strict=True):
            entry.settle(result)


_lanes: list[weakref.ref[Lane]] = []
_lanes_lock = threading.Lock()


def lane_of(compressor: str | Compressor, options: Options, window: float) -> Lane:
    """The lane of this process for a compressor: the same for the same arguments.

    So nodes that are made anew for every question share one bounded set of threads. A lane lives
    as long as somebody holds it, and each of its threads does.
    """
    with _lanes_lock:
        alive = [(ref, lane) for ref in _lanes if (lane := ref()) is not None]
        _lanes[:] = [ref for ref, _ in alive]
        for _, lane in alive:
            known, known_options, known_window = lane.key
            same = known is compressor or (isinstance(known, str) and known == compressor)
            if same and known_window == window and known_options == options:
                return lane
        lane = Lane(compressor, options, window)
        _lanes.append(weakref.ref(lane))
        return lane


def _forget() -> None:
    """In a forked child: another thread may have held the lock, and no lane has its threads."""
    global _lanes_lock  # noqa: PLW0603
    _lanes_lock = threading.Lock()
    _lanes.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
