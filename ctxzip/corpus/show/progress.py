"""How a job goes: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol, TextIO

__all__ = ["Bar", "Lines", "Progress", "Quiet", "for_stream"]

_EVERY = 10.0  # seconds between plain lines


class Progress(Protocol):
    """Is told how a job goes, from one thread at a time."""

    def begin(self, size: int) -> None:
        """The corpus has so many bytes."""
        ...

    def advance(self, size: int, facts: Mapping[str, Any], *, fresh: bool) -> None:
        """A shard is done, which took ``size`` bytes of the corpus; now, or (not fresh) before."""
        ...

    def end(self) -> None:
        """There will be no more."""
        ...


class Quiet:
    """Says nothing."""

    def begin(self, size: int) -> None:
        """See :class:`Progress`."""

    def advance(self, size: int, facts: Mapping[str, Any], *, fresh: bool) -> None:
        """See :class:`Progress`."""

    def end(self) -> None:
        """See :class:`Progress`."""


class _Count:
    """What both forms show."""

    def __init__(self) -> None:
        self.size = self.read = self.records = self.failed = self.saved = 0
        self.fresh_read = self.fresh_tokens = 0
        self.begun = time.monotonic()

    def add(self, size: int, facts: Mapping[str, Any], fresh: bool) -> None:
        self.read += size
        self.records += int(facts.get("records", 0))
        self.failed += int(facts.get("failed", 0))
        before, after = int(facts.get("tokens_before", 0)), int(facts.get("tokens_after", 0))
        self.saved += before - after
        if fresh:
            self.fresh_read += size
            self.fresh_tokens += before

    def speed(self) -> float:
        """Tokens a second of what is made now."""
        return self.fresh_tokens / max(1e-9, time.monotonic() - self.begun)

    def left(self) -> float | None:
        """Seconds to go, if it goes on like this."""
        if not self.fresh_read:
            return None
        spent = time.monotonic() - self.begun
        return spent * max(0, self.size - self.read) / self.fresh_read

    def text(self) -> str:
        parts = [
            f"{self.records:,} records", f"{self.speed():,.0f} tokens/s",
            f"{self.saved:,} tokens saved",
        ]  # fmt: skip
        if self.failed:
            parts.append(f"{self.failed:,} errors")
        left = self.left()
        parts.append("time left unknown" if left is None else f"{clock(left)} left")
        return ", ".join(parts)


def clock(seconds: float) -> str:
    """A duration as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Lines:
    """A plain line every ten seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._count = _Count()
        self._told = time.monotonic()

    def begin(self, size: int) -> None:
        """See :class:`Progress`."""
        self._count = _Count()
        self._count.size = size

    def advance(self, size: int, facts: Mapping[str, Any], *, fresh: bool) -> None:
        """See :class:`Progress`."""
        self._count.add(size, facts, fresh)
        if time.monotonic() - self._told >= _EVERY:
            self._tell()

    def end(self) -> None:
        """See :class:`Progress`."""

    def _tell(self) -> None:
        self._told = time.monotonic()
        part = min(1.0, self._count.read / max(1, self._count.size))
        print(f"ctxzip: {part:4.0%}  {self._count.text()}", file=self._stream, flush=True)


class Bar:
    """A bar that moves, by rich."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._count = _Count()
        self._bar = RichProgress(
            BarColumn(24),
            TaskProgressColumn(),
            TextColumn("{task.description}"),
            console=Console(file=stream),
            transient=True,
        )
        self._task = self._bar.add_task("reading", total=None)

    def begin(self, size: int) -> None:
        """See :class:`Progress`."""
        self._count = _Count()
        self._count.size = size
        self._bar.update(self._task, total=max(1, size), completed=0)
        self._bar.start()

    def advance(self, size: int, facts: Mapping[str, Any], *, fresh: bool) -> None:
        """See :class:`Progress`."""
        self._count.add(size, facts, fresh)
        self._bar.update(self._task, advance=size, description=self._count.text())

    def end(self) -> None:
        """See :class:`Progress`."""
        self._bar.stop()


def for_stream(stream: TextIO | None = None) -> Progress:
    """What fits a stream, standard error by default."""
    stream = stream if stream is not None else sys.stderr
    if stream.isatty():
        try:
            return Bar(stream)
        except ImportError:  # without the extra: plain lines
            pass
    return Lines(stream)
