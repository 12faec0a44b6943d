"""The list of what is under contract is the list of what there is."""

from __future__ import annotations

import ctxzip

from .rows import ROWS, Loaded


def test_every_compressor_is_under_contract():
    assert {row.name for row in ROWS} == {"auto", *(c.name for c in ctxzip.list_compressors())}
    assert len({str(row) for row in ROWS}) == len(ROWS)


def test_a_row_is_the_compressor_that_it_says(row: Loaded):
    loaded = row.load()
    assert isinstance(loaded, ctxzip.Compressor)
    assert loaded.name == row.facts.name
