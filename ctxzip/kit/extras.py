"""Packages that an extra brings."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from typing import Any

from ctxzip.errors import MissingExtraError

__all__ = ["missing", "require"]


def require(module: str, extra: str = "torch", package: str | None = None) -> Any:
    """Import a module of an optional package.

    Args:
        module: its name.
        extra: what brings it.
        package: how the package is called, where that is not the module's name.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(package or module, extra) from error


def missing(packages: Iterable[str]) -> list[str]:
    """Those of some packages that are not installed; none of them is imported."""
    return [package for package in packages if importlib.util.find_spec(package) is None]
