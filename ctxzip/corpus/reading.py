"""Reading a split, and passing over the shards of it that are done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ctxzip.corpus.inputs import Split
from ctxzip.corpus.shards import Shard, cut
from ctxzip.corpus.task import Task

__all__ = ["Seen", "read_split"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A shard that need not be made again.

    Attributes:
        name: its name.
        key: what it is made of now.
        changed: the finished shard of that name was made of something else.
        source: the file in which it begins, for messages.
        advanced: bytes of the corpus that were read for it.
    """

    name: str
    key: str
    changed: bool
    source: str
    advanced: int


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
