"""JSON Lines: every line a record, and what identifies it."""

from __future__ import annotations

import json
from typing import Any

from ctxzip.segment.formats import jsonl as reader
from tests.segment.formats.checks_data import NOT_DATA, assert_covers, assert_survives, left
from tests.segment.formats.harness import everything, outputs, tree_of

LOG = [
    {"ts": f"2026-01-0{i}T10:00:00Z", "level": "INFO", "msg": "request done after a while, fine",
     "http": {"status": 200, "path": "/a/long/path/to/some/resource", "ms": 12}}
    for i in range(1, 6)
]  # fmt: skip
TEXT = "\n".join(map(json.dumps, LOG)) + "\n"


def load(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_everything_is_the_data_line_by_line() -> None:
    assert load(everything(TEXT, reader.read, reader.STYLE)) == LOG
    assert_covers(reader, TEXT, between=",")


def test_every_selection_is_part_of_the_data() -> None:
    for got in left(reader, TEXT, load):
        assert all("ts" in record for record in got)


def test_plain_lines_between_stay_where_they_are() -> None:
    lines = TEXT.splitlines()
    text = "\n".join([*lines[:2], "panic: out of memory", *lines[2:], '{"ts": "2026-'])
    full = everything(text, reader.read, reader.STYLE).splitlines()
    assert full[2] == "panic: out of memory"
    assert tree_of(text, reader.read, reader.STYLE).notes == (reader.NOTE,)
    for output in outputs(text, reader.read, reader.STYLE, n=10):
        for line in output.splitlines():
            assert line in ("panic: out of memory", '{"ts": "2026-') or json.loads(line)


def test_survives_any_text() -> None:
    assert_survives(reader, "jsonl")


def test_fits_its_own_only() -> None:
    assert reader.fits(TEXT, 0, len(TEXT))
    pretty = json.dumps(LOG, indent=1)
    assert not reader.fits(pretty, 0, len(pretty))
    for name, text in NOT_DATA.items():
        assert not reader.fits(text, 0, len(text)), name
