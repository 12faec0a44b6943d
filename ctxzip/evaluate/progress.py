"""How far a long run is."""

from __future__ import annotations

import sys
import time

__all__ = ["Progress"]


class Progress:
    """How far it is: one line that is written over on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._shown = 0.0
        self._begun: dict[str, tuple[float, int]] = {}

    def __call__(self, label: str, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` are done."""
        now = time.monotonic()
        begun, first = self._begun.setdefault(label, (now, done))
        last = done >= total
        if not last and now - self._shown < (0.1 if self._live else 10.0):
            return
        self._shown = now
        left = (now - begun) / max(1, done - first) * (total - done)
        rest = "" if last or done == first else f", {left:.0f} s left"
        line = f"{label}: {done}/{total}{rest}"
        if self._live:
            sys.stderr.write(f"\r\x1b[K{line}" + ("\n" if last else ""))
            sys.stderr.flush()
        else:
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
