"""Files that are there whole or not at all, and their checksums."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from ctxzip.errors import CtxzipError

__all__ = ["OutputError", "output_error", "sha256", "write_whole"]


class OutputError(CtxzipError, OSError):
    """The output cannot be written: the disk is full, or the folder is not ours to write."""


def write_whole(
    path: Path,
    data: bytes | Iterable[bytes] | Callable[[IO[bytes]], object],
    *,
    called: Callable[[Path], Path] | None = None,
) -> Path:
    """Write a file so that it is there whole, on the disk, or not at all.

    Args:
        path: the file.
        data: its content, pieces of it, or what writes it into an open file.
        called: gives the name of a file that is called after its content, which lies complete
            under the name that this is given.

    Returns:
        The file.

    Raises:
        OutputError: it cannot be written; what had that name before is untouched.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            with open(partial, "wb") as file:
                if callable(data):
                    data(file)
                else:
                    file.writelines([data] if isinstance(data, bytes) else data)
                file.flush()
                os.fsync(file.fileno())
            path = path if called is None else called(partial)
            partial.replace(path)
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        _sync(path.parent)
    except OSError as error:
        raise output_error(path, error) from error
    return path


def output_error(path: Path, error: OSError) -> OutputError:
    """What is raised where a file cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    hint = "Make room" if full else "Make it writable, or choose another folder"
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}.",
        hint=f"{hint}, and run the same command again.",
    )


def sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    """Make a rename last; not every system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
