"""Packages that an extra brings."""

from __future__ import annotations

from typing import Any

from ctxzip.errors import MissingExtraError

__all__ = ["require"]


def require(package: str, extra: str = "torch") -> Any:
    """Import an optional package.

    Raises:
        MissingExtraError: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(package, extra) from error
