"""Reading a split, and passing over the shards of it that are done."""

from __future__ import annotations

from collections.abc import Iterator

from ctxzip.corpus.read.shards import Seen, Shard, cut
from ctxzip.corpus.read.sources import Split
from ctxzip.corpus.task import Task

__all__ = ["read_split"]


def read_split(split: Split, task: Task) -> Iterator[Shard | Seen]:
    """The shards of a split; those done come as :class:`Seen`."""
    settings = task.settings
    for shard in cut(split, settings.fields, settings.shard_bytes, task.salt):
        done = task.finished.get(shard.name)
        if done is None and shard.key not in task.pooled:
            yield shard
            continue
        source = shard.places[0].source if shard.places else split.sources[0].name
        changed = done is not None and done != shard.key
        yield Seen(shard.name, shard.key, changed, source, shard.advanced)
