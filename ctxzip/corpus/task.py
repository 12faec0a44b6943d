"""What an engine is handed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ctxzip.corpus.read.sources import Split
from ctxzip.corpus.settings import Resources, Settings

if TYPE_CHECKING:
    from ctxzip.corpus.read.shards import Seen
    from ctxzip.corpus.work.worker import Result

__all__ = ["Engine", "Task"]


@dataclass(frozen=True, slots=True)
class Task:
    """The work of a job, the same for every engine.

    Attributes:
        splits: the corpus.
        settings: what decides the output.
        resources: what does not.
        facts: the settings as plain values, with version and model.
        salt: digest of what decides the output; part of every key.
        finished: keys of the shards that are done, by name.
        pooled: keys of earlier shards that can be taken over.
    """

    splits: Sequence[Split]
    settings: Settings
    resources: Resources
    facts: dict[str, Any]
    salt: str
    finished: Mapping[str, str]
    pooled: frozenset[str]


class Engine(Protocol):
    """Runs a task somewhere."""

    def run(self, task: Task, stop: threading.Event) -> Iterator[Result | Seen]:
        """Results in any order; soon after ``stop`` is set there are no more."""
        ...
