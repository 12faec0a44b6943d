"""JSON: any selection of members gives JSON that holds just these members."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxzip.segment.structure import JsonLayout, json_members
from ctxzip.text.units import Kind

LONG = "a value that is too long for a small container"
RECORD = {"id": 7, "name": LONG, "tags": ["a", "b"], "more": {"x": LONG, "y": [], "z": [1, LONG]}}


def layout(text: str) -> JsonLayout:
    found = json_members(text)
    assert found is not None
    return found


def render(text: str, found: JsonLayout, selected: list[bool]) -> str:
    return "".join(text[a:b] for a, b in found.spans(np.array(selected, np.bool_)))


@pytest.mark.parametrize("indent", [None, 2])
def test_members(indent: int | None) -> None:
    text = json.dumps(RECORD, indent=indent)
    units = layout(text).units
    found = [text[a:b] for a, b in zip(units.start, units.end, strict=True)]
    assert found[0] == '"id": 7'
    assert found[1] == f'"name": "{LONG}"'
    assert found[3:] == [f'"x": "{LONG}"', '"y": []', "1", f'"{LONG}"']
    assert (units.kind == Kind.JSON_MEMBER).all()
    assert (units.requires == -1).all()


def test_first_kept_member_takes_no_comma() -> None:
    text = json.dumps(RECORD)
    kept = render(text, layout(text), [False, False, False, False, False, False, True])
    assert json.loads(kept) == {"more": {"z": [LONG]}}
    kept = render(text, layout(text), [False, True, False, False, True, False, False])
    assert json.loads(kept) == {"name": LONG, "more": {"y": []}}


def test_nothing_and_everything() -> None:
    text = "  " + json.dumps(RECORD, indent=1) + "\n"
    found = layout(text)
    count = len(found.units)
    assert found.spans(np.ones(count, np.bool_)) == [(0, len(text))]
    assert json.loads(render(text, found, [False] * count)) == {}


def test_json_lines() -> None:
    text = f'{{"a": 1}}\r\n{{"b": "{LONG}", "c": [2]}}\n\n[3]\n'
    found = layout(text)
    assert len(found.units) == 4
    kept = render(text, found, [False, True, False, True])
    assert [json.loads(line) for line in kept.split("\n") if line.strip()] == [{"b": LONG}, [3]]
    assert render(text, found, [True] * 4) == text


@pytest.mark.parametrize(
    "text",
    ["", "7", '"text"', "{}", "[]", "{'a': 1}", '{"a": 1} {"b": 2}', "[1, 2]]", "prose", '{"a": 1'],
)
def test_anything_else_is_refused(text: str) -> None:
    assert json_members(text) is None


def test_what_json_accepts_is_accepted() -> None:
    assert len(layout('{"a": NaN, "a": -Infinity, "\\\\": "\\"", "b": "\\u00e9,]}"}').units) == 4


def test_deep_nesting_does_not_recurse() -> None:
    assert json_members("[" * 100_000 + "1" + "]" * 100_000) is None
    text = '{"a":' * 300 + "1" + "}" * 300
    found = layout(text)
    assert render(text, found, [True]) == text


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=60)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=25,
)


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list) and value:
        for inner in value.values() if isinstance(value, dict) else value:
            yield from leaves(inner)
    else:
        yield value


@settings(deadline=None, max_examples=200)
@given(
    st.lists(VALUES, min_size=1, max_size=5),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_any_selection_parses(
    values: list[Any], indent: int | None, ascii_only: bool, lines: bool, random: Any
) -> None:
    if lines:
        text = "\n".join(json.dumps([value], ensure_ascii=ascii_only) for value in values) + "\n"
    else:
        text = json.dumps(values, indent=indent, ensure_ascii=ascii_only)
    found = json_members(text)
    if found is None:
        assert not any(leaves(values)) or (lines and len(values) == 1)
        return
    selected = [random.random() < 0.5 for _ in found.units.start]
    spans = found.spans(np.array(selected, np.bool_))
    assert all(a < b for a, b in spans)
    kept = "".join(text[a:b] for a, b in spans)
    if lines and len(values) > 1:
        parsed = [json.loads(line) for line in kept.split("\n") if line.strip()]
    else:
        parsed = json.loads(kept)
    covered = np.zeros(len(text), np.bool_)
    for a, b in spans:
        covered[a:b] = True
    expected = []
    for keep, a, b in zip(selected, found.units.start, found.units.end, strict=True):
        assert covered[a:b].all() == keep
        assert covered[a:b].any() == keep
        if keep:
            member = text[a:b]
            try:
                expected += leaves(json.loads(member))
            except ValueError:
                expected += leaves(json.loads("{" + member + "}"))
    if expected:
        assert list(leaves(parsed)) == expected
