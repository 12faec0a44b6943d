"""The command line: in this process, which is quick, or as a process, where that is the point."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from ctxzip.cli import main

__all__ = ["Finished", "called", "line", "started"]


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command left behind; texts as UTF-8."""

    returncode: int
    stdout: str
    stderr: str


def line(*arguments: object) -> list[str]:
    """What a process is started with."""
    return [sys.executable, "-m", "ctxzip", *map(str, arguments)]


def started(*arguments: object, stdin: str = "", **more: Any) -> Finished:
    """Run ``ctxzip`` as a process."""
    run = subprocess.run(
        line(*arguments), input=stdin.encode(), capture_output=True, check=False, **more
    )
    return Finished(run.returncode, run.stdout.decode(), run.stderr.decode())


def called(*arguments: object, stdin: str = "") -> Finished:
    """Run ``ctxzip`` in this process."""
    given, out, err = (
        io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
        for data in (stdin.encode(), b"", b"")
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, stream in (("stdin", given), ("stdout", out), ("stderr", err)):
            patch.setattr(sys, name, stream)
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        for stream in (out, err):
            stream.flush()
    return Finished(code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode())
