"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ctxzip.errors import CtxzipError

__all__ = ["OutputError", "output_error", "write_whole"]


class OutputError(CtxzipError, OSError):
    """The output cannot be written: the disk is full, or the folder is not ours to write."""


def write_whole(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file so that it is there whole, on the disk, or not at all.

    Args:
        path: the file.
        data: its content, or pieces of it.

    Raises:
        OutputError: it cannot be written; what had that name before is untouched.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync(path.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise output_error(path, error) from error


def output_error(path: Path, error: OSError) -> OutputError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    hint = "Make room" if full else "Make it writable, or choose another folder"
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}.",
        hint=f"{hint} and run the same command again: every finished shard is kept.",
    )


def _sync(folder: Path) -> None:
    """Make a rename last; not every system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
