"""What is true of a compressor stands in its row, and is true."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ctxzip
from ctxzip import Budget, Document, InputError
from ctxzip.compressors import DEFAULT, FALLBACK, fallback_of, row_of, tuned
from ctxzip.compressors.table import ROWS
from ctxzip.kit.batch import BatchCompressor
from ctxzip.score.mini.scorer import Mini

NAMES = [DEFAULT, *ROWS]
PACKAGE = Path(ctxzip.__file__).parent
RUNNABLE = [DEFAULT, "mini", FALLBACK, "longcodezip"]


@pytest.mark.parametrize("name", NAMES)
def test_a_fallback_is_a_row_that_needs_nothing(name: str):
    instead = fallback_of(name)
    assert (instead is None) is (name == FALLBACK)
    if instead is not None:
        assert row_of(instead).offline
        assert not row_of(instead).needs


def test_a_compressor_of_the_callers_falls_back_too():
    assert fallback_of("my own") == FALLBACK


@pytest.mark.parametrize("name", NAMES)
def test_what_needs_packages_names_the_extra_that_brings_them(name: str):
    row = row_of(name)
    assert bool(row.needs) == bool(row.extra) == bool(row.default_model)
    if row.extra is not None:
        assert f"{row.extra} = [" in (PACKAGE.parent / "pyproject.toml").read_text("utf-8")
    assert not (row.offline and row.needs)


@pytest.mark.parametrize("name", RUNNABLE)
def test_calibrated_rows_take_a_threshold_and_others_refuse_it(name: str):
    def under(threshold: float) -> ctxzip.Compression:
        text = Document("The pump is new. It was bought in May.")
        return ctxzip.load(name).compress(
            [text], query="Is it new?", budget=Budget(threshold=threshold)
        )

    if row_of(name).calibrated:
        assert under(0.0).text
    else:
        with pytest.raises(InputError, match="threshold"):
            under(0.0)


@pytest.mark.parametrize("name", RUNNABLE)
def test_every_row_obeys_the_contract(name: str):
    loaded = ctxzip.load(name, options=ctxzip.Options(titles=True))
    assert isinstance(loaded, BatchCompressor)
    assert loaded.name == name
    assert loaded.options == ctxzip.Options(titles=True)
    assert loaded.floor(ctxzip.Request((Document("The pump is new."),))) == 0


@pytest.mark.parametrize("name", NAMES)
def test_threads_are_set_where_there_are_some(name: str):
    found = tuned(name, threads=3, cache_bytes=7)
    assert found == (Mini(threads=3, cache_bytes=7) if row_of(name).threads else None)
    assert tuned(name) is None
    assert tuned(name, threads=None, cache_bytes=None) is None


def test_the_listing_says_what_the_rows_say():
    for info in ctxzip.list_compressors():
        row = row_of(info.name)
        facts = (row.summary, row.needs, row.extra, row.default_model, row.languages)
        assert (info.summary, info.needs, info.extra, info.model, info.languages) == facts
        assert info.calibrated == row.calibrated


def _asked_for(tree: ast.AST) -> Iterator[tuple[int, object]]:
    """Constants that something is compared with, or that a compressor is loaded by."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                parts = side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]
                yield from ((p.lineno, p.value) for p in parts if isinstance(p, ast.Constant))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            first = node.args[0]
            if node.func.id in ("load", "compressor_of") and isinstance(first, ast.Constant):
                yield first.lineno, first.value


def test_nobody_else_asks_for_a_compressor_by_name():
    """``compressor == "mini"`` anywhere but in the table is a fact that belongs into a row."""
    others = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "compressors"]
    others.remove(PACKAGE / "code" / "settings.py")  # its scorers have such names
    assert len(others) > 100
    for path in others:
        for line, name in _asked_for(ast.parse(path.read_text("utf-8"))):
            assert name not in ROWS, f"{path.relative_to(PACKAGE)}:{line} asks for {name!r}"
