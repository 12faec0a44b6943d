"""Every compressor by name: the only place that wires stages and models together."""

from __future__ import annotations

import difflib
import importlib.util
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ctxzip.errors import InputError, MissingExtraError
from ctxzip.pipeline import Pipeline
from ctxzip.score.base import Scorer
from ctxzip.types import Compressor, Options

__all__ = ["CompressorInfo", "list_compressors", "load"]


@dataclass(frozen=True, slots=True)
class CompressorInfo:
    """What there is to know of a compressor before it is loaded.

    Attributes:
        name: what ``load`` and ``compress(..., compressor=)`` take.
        summary: what it does, in a line.
        needs: packages that it needs beyond the base install.
        extra: the extra that brings them, or None.
        available: whether they are installed.
    """

    name: str
    summary: str
    needs: tuple[str, ...]
    extra: str | None
    available: bool


@dataclass(frozen=True, slots=True)
class _Row:
    summary: str
    scorer: Callable[[], Scorer]
    needs: tuple[str, ...] = ()
    extra: str | None = None


def _lexical() -> Scorer:
    from ctxzip.score.lexical import LexicalScorer

    return LexicalScorer()


_ROWS = {
    "lexical": _Row("BM25 to the query, salience without one; no model", _lexical),
}
_scorers: dict[str, Scorer] = {}
_lock = threading.Lock()


def list_compressors() -> tuple[CompressorInfo, ...]:
    """Every compressor that ctxzip knows, in the order in which ``auto`` prefers them."""
    return tuple(
        CompressorInfo(name, row.summary, row.needs, row.extra, not _missing(row.needs))
        for name, row in _ROWS.items()
    )


def load(name: str = "auto", *, options: Options | None = None) -> Compressor:
    """A compressor by name, ready to be used from several threads.

    Models are loaded once per process, whatever the options.

    Args:
        name: a name that :func:`list_compressors` lists, or ``"auto"``.
        options: what is rarely set; applies to every call of the result.

    Raises:
        InputError: no compressor has that name.
        MissingExtraError: the packages that it needs are not installed.
    """
    if name == "auto":
        return _auto(options)
    row = _ROWS.get(name)
    if row is None:
        near = difflib.get_close_matches(str(name), ["auto", *_ROWS], n=3, cutoff=0.4)
        raise InputError(
            f"compressor={name!r} is unknown.",
            hint=f"Nearest: {', '.join(near)}."
            if near
            else f"Use one of: auto, {', '.join(_ROWS)}.",
        )
    missing = _missing(row.needs)
    if missing:
        raise MissingExtraError(missing[0], row.extra or "all")
    return Pipeline(name, _scorer(name, row), options)


def _auto(options: Options | None) -> Compressor:
    return load("lexical", options=options)


def _scorer(name: str, row: _Row) -> Scorer:
    with _lock:
        if name not in _scorers:
            _scorers[name] = row.scorer()
        return _scorers[name]


def _missing(needs: Sequence[str]) -> list[str]:
    return [package for package in needs if importlib.util.find_spec(package) is None]
