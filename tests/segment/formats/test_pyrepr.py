"""Python's repr: every selection evaluates to a part of the data."""

from __future__ import annotations

import ast
import json
import pprint
from typing import Any

import pytest

from ctxzip.segment.formats import json as json_reader
from ctxzip.segment.formats import pyrepr as reader
from tests.segment.formats.checks_data import NOT_DATA, assert_covers, assert_survives, left
from tests.segment.formats.harness import everything, outputs

NOTE = "it's a note that is long enough for the record to be divided"
USERS = [
    {"id": i, "name": "Ann", "tags": ("a", "b", NOTE), "one": (NOTE + "!" * 9,), "x": None}
    for i in range(3)
]  # fmt: skip
TEXTS = {
    "repr": repr(USERS),
    "pprint": pprint.pformat(USERS, width=60),
    "commas": "{'a': [1, 2, 'b' 'c',], 'd': ({'e': '"
    + NOTE.replace("'", "")
    + "'},), (1, 2): None,}",
}
OBJECTS = (
    "[User(id=1, name='Ann', tags=['a', 'b'], born=datetime.date(1990, 1, 2), note='x"
    + "x" * 60
    + "'), "
    "User(id=2, name='Ann', tags=[], born=datetime.date(1990, 1, 2), role=<Role.ADMIN: 1>)]"
)


@pytest.mark.parametrize("name", TEXTS)
def test_everything_evaluates_to_the_data(name: str) -> None:
    text = TEXTS[name]
    assert ast.literal_eval(everything(text, reader.read, reader.STYLE)) == ast.literal_eval(text)
    assert_covers(reader, text, between=",")


@pytest.mark.parametrize("name", TEXTS)
def test_every_selection_is_part_of_the_data(name: str) -> None:
    for got in left(reader, TEXTS[name], ast.literal_eval, cut=True):
        if isinstance(got, list):
            assert all("id" in record for record in got)


def fields(text: str) -> Any:
    """Calls as dictionaries, so that they can be compared."""
    return [
        {k.arg: ast.unparse(k.value) for k in call.keywords if not isinstance(k.value, ast.List)}
        for call in ast.parse(text, mode="eval").body.elts  # type: ignore[attr-defined]
    ]


def test_objects_keep_their_identity() -> None:
    text = OBJECTS.replace("<Role.ADMIN: 1>", "Role.ADMIN")
    for got in left(reader, text, fields):
        assert all("id" in record for record in got)
    full = everything(OBJECTS, reader.read, reader.STYLE)
    assert full == OBJECTS.replace(", ", ",")


def test_survives_any_text() -> None:
    assert_survives(reader, "python")


def test_fits_its_own_only() -> None:
    for text in (*TEXTS.values(), OBJECTS):
        assert reader.fits(text, 0, len(text))
        assert not json_reader.fits(text, 0, len(text))
    for name, text in NOT_DATA.items():
        assert not reader.fits(text, 0, len(text)), name
    for text in ("print('a')", "foo(bar)\nbaz(1)\n", "(see below)", "main() {\n  x = 'a';\n}"):
        assert not reader.fits(text, 0, len(text)), text


def test_cut_off_text_is_read_as_far_as_it_goes() -> None:
    text = TEXTS["repr"][:-40]
    assert all(outputs(text, reader.read, reader.STYLE, n=5))
    assert json.dumps(everything(text, reader.read, reader.STYLE))
