"""The same job on Ray: a Ray Data pipeline whose actors hold the model.

    splits → read (a task per split, a row per shard) → Worker (a pool of actors) → this process

Rows are bytes: packed shards in, the bytes of finished ones out. Only this process writes, so the
output folder, its checkpoints and its lock are those of the local engine, and so is the output,
byte for byte. The input must be readable under the same path on every node.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ctxzip.corpus.read.shards import Seen, Shard
from ctxzip.corpus.settings import Resources, Settings
from ctxzip.corpus.task import Task
from ctxzip.corpus.work.local import processors
from ctxzip.corpus.work.reader import read_split
from ctxzip.corpus.work.worker import Result, Worker
from ctxzip.errors import CtxzipError, InputError
from ctxzip.kit.extras import require

__all__ = ["RayEngine"]

# Rows on their way through the pipeline; each kind uses some of the columns.
_SHARD, _SEEN, _RESULT, _FAILED = range(4)
_READER = 0.25  # CPUs of a task that reads: it mostly waits


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Runs a task on Ray.

    A cluster that this process is connected to already is used; otherwise ``address`` is, and
    without one a cluster is started on this machine, and ended with the job.

    Attributes:
        workers: actors; by default as many as the cluster has room for.
        address: of a running cluster.
        cpus: CPUs of an actor; may be a fraction.
        gpus: GPUs of an actor; may be a fraction. Its model then runs on ``"cuda"``.
    """

    workers: int | None = None
    address: str | None = None
    cpus: float = 1
    gpus: float = 0

    def __post_init__(self) -> None:
        if self.cpus < 0 or self.gpus < 0 or not (self.cpus or self.gpus):
            raise InputError(f"An actor with {self.cpus} CPUs and {self.gpus} GPUs cannot run.")

    def run(self, task: Task, stop: threading.Event) -> Iterator[Result | Seen]:
        """Results in the order in which they are done; after ``stop`` no others."""
        least = (self.workers or 1) * self.cpus + _READER
        with _connected(self.address, least) as ray, _quiet():
            try:
                for row in self._pipeline(ray, task).iter_rows():
                    if stop.is_set():
                        return
                    yield _item(row)
            except ray.exceptions.RayError as error:
                raise CtxzipError(
                    f"Ray failed: {_last_line(error)}.",
                    hint="Run the same command again: every finished shard is kept.",
                ) from error

    def _pipeline(self, ray: Any, task: Task) -> Any:
        workers = self._fitting(ray)
        resources = task.resources
        if resources.threads is None:
            resources = replace(resources, threads=max(1, int(self.cpus)))
        if self.gpus:
            resources = replace(resources, device="cuda")
        context = ray.data.DataContext.get_current().copy()
        context.enable_progress_bars = False
        context.target_max_block_size = 1  # a row is a shard: each goes on as soon as it is there
        with _current(ray, context):
            numbers = [{"split": i} for i in range(len(task.splits))]
            dataset = ray.data.from_items(numbers, override_num_blocks=len(numbers))
            read = dataset.map_batches(
                _read, batch_size=1, num_cpus=_READER, fn_kwargs={"task": task}
            )
            return read.map_batches(
                _Actor,
                batch_size=1,
                zero_copy_batch=True,
                compute=ray.data.ActorPoolStrategy(size=workers),
                num_cpus=self.cpus,
                num_gpus=self.gpus,
                fn_constructor_args=(task.settings, resources, task.facts),
            )

    def _fitting(self, ray: Any) -> int:
        """How many actors to start: beside them a reader must fit, or nothing would ever move."""
        found = ray.cluster_resources()
        cpus, gpus = found.get("CPU", 0), found.get("GPU", 0)
        room = [(cpus - _READER) / self.cpus] if self.cpus else []
        if self.gpus:
            room.append(gpus / self.gpus)
        most = int(min(room) + 1e-9)
        if most < (self.workers or 1):
            raise InputError(
                f"The cluster has {cpus:g} CPUs and {gpus:g} GPUs, room for {most} actors with "
                f"{self.cpus:g} and {self.gpus:g} beside a reader with {_READER} CPUs; "
                f"{self.workers or 1} are asked for.",
                hint="Ask for fewer --workers, or fewer --cpus or --gpus for each.",
            )
        return self.workers or most


@contextlib.contextmanager
def _connected(address: str | None, least: float) -> Iterator[Any]:
    """Ray, connected to a cluster; one that was started here is ended here."""
    # No figures about anybody's use are sent; Ray reads this where it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = require("ray", "ray")
    require("ray.data", "ray", "ray")
    if ray.is_initialized():
        yield ray
        return
    try:
        options: dict[str, Any] = {"address": address}
        if address is None:
            cpus = max(processors(), math.ceil(least))
            options = {"address": "local", "num_cpus": cpus, "include_dashboard": False}
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"The cluster at {address}" if address else "A cluster on this machine"
        raise InputError(f"{where} cannot be reached: {error}.") from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _current(ray: Any, context: Any) -> Iterator[None]:
    """Make datasets under a context of our own, and leave the caller's as it was."""
    before = ray.data.DataContext.get_current()
    ray.data.DataContext._set_current(context)
    try:
        yield
    finally:
        ray.data.DataContext._set_current(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the plans and progress that Ray Data logs; the job tells how it goes."""
    log = logging.getLogger("ray.data")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _row(kind: int, head: object, data: bytes) -> dict[str, list[Any]]:
    return {"kind": [kind], "head": [json.dumps(head)], "data": [data]}


def _read(batch: dict[str, Any], task: Task) -> Iterator[dict[str, list[Any]]]:
    """A task of Ray: the shards of a split, a batch of one row each."""
    for number in batch["split"]:
        for item in read_split(task.splits[int(number)], task):
            if isinstance(item, Seen):
                facts = [item.name, item.key, item.changed, item.source, item.advanced]
                yield _row(_SEEN, facts, b"")
            else:
                yield _row(_SHARD, None, item.pack())


class _Actor:
    """An actor of Ray: a worker."""

    def __init__(self, settings: Settings, resources: Resources, facts: dict[str, Any]) -> None:
        self._problem: CtxzipError | None = None
        try:
            self._worker = Worker(settings, resources, facts)
        except CtxzipError as error:
            self._problem = error  # Ray would start the actor again and again

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        if batch["kind"][0] != _SHARD:
            return {name: [values[0]] for name, values in batch.items()}
        if self._problem is not None:
            return _row(_FAILED, str(self._problem), b"")
        try:
            done = self._worker.run(Shard.unpack(bytes(batch["data"][0])))
        except CtxzipError as error:
            return _row(_FAILED, str(error), b"")
        return _row(_RESULT, [done.split, done.index, done.facts, done.advanced], done.data)


def _item(row: dict[str, Any]) -> Result | Seen:
    head = json.loads(row["head"])
    if row["kind"] == _FAILED:
        raise CtxzipError(head)
    if row["kind"] == _SEEN:
        return Seen(*head)
    split, index, facts, advanced = head
    return Result(split, index, bytes(row["data"]), facts, advanced)


def _last_line(error: Exception) -> str:
    return str(error).strip().rsplit("\n", 1)[-1].rstrip(".")
