"""JSON: every selection parses and says nothing that the source does not say."""

from __future__ import annotations

import json

import pytest

from ctxzip.segment.formats import json as reader
from tests.segment.formats.checks_data import (
    NOT_DATA,
    assert_covers,
    assert_survives,
    left,
    part,
)
from tests.segment.formats.harness import everything, outputs, tree_of

NOTE = "handle with care, this side up, do not stack more than four of them"
STOCK = [
    {"sku": f"SKU-{i}", "stock": 79, "tags": ["a", "b", NOTE], "size": {"h": None, "x": NOTE}}
    for i in range(3)
]  # fmt: skip
ORDER = {
    "order": {
        "id": "o-17",
        "customer": "Ann",
        "lines": [
            {"sku": "NB-900", "qty": 2, "note": NOTE},
            {"sku": "NB-901", "qty": 2, "note": NOTE},
        ],
        "total": 1284.5,
    }
}
SERVICES = {
    "web": {"image": "nginx", "ports": [80, 443], "note": NOTE},
    "db": {"image": "postgres", "ports": [5432], "note": NOTE},
}
ROWS = {"columns": ["id", "name"], "rows": [[1, "Ann", NOTE], [2, "Bob", NOTE], [3, "Ann", NOTE]]}
DEEP = {"a": {"b": [[{"c": [1, 2, {"d": [], "e": {}, "f": NOTE}]}, 3], ""]}, "x": "", "y": [{}]}
DOCUMENTS = {"stock": STOCK, "order": ORDER, "services": SERVICES, "rows": ROWS, "deep": DEEP}
BODY = 'He said \\"no.\\" and left. ' * 8 + "\\nA new line \\u00e9 here.\\n\\n" + "More text. " * 20
ANSWER = f'{{"status": 200, "body": "{BODY}"}}'


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_everything_is_the_data_without_white_space(name: str, indent: int | None) -> None:
    text = json.dumps(DOCUMENTS[name], indent=indent)
    full = everything(text, reader.read, reader.STYLE)
    assert full == json.dumps(DOCUMENTS[name], separators=(",", ":"))
    assert_covers(reader, text, between=",")


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_selection_is_part_of_the_data(name: str, indent: int | None) -> None:
    for got in left(reader, json.dumps(DOCUMENTS[name], indent=indent), json.loads):
        assert got


def test_a_record_keeps_what_identifies_it() -> None:
    for got in left(reader, json.dumps(STOCK), json.loads):
        assert all("sku" in record for record in got)


def test_fields_that_identify_are_preferred_by_name() -> None:
    records = [
        {"load": i * 1.5, "seen": f"{i}:00", "hostname": f"h{i}", "note": NOTE} for i in range(4)
    ]
    for got in left(reader, json.dumps(records), json.loads):
        assert all("load" in record and "hostname" in record for record in got)


def test_without_such_a_name_the_first_unique_field_identifies() -> None:
    disks = [{"mount": f"/m{i}", "used_pct": 10 * i, "kind": "ssd", "note": NOTE} for i in range(4)]
    for got in left(reader, json.dumps(disks), json.loads):
        assert all("mount" in record for record in got)


def test_a_record_may_be_identified_one_level_down() -> None:
    pods = {
        "items": [
            {"kind": "Pod", "metadata": {"name": f"p{i}", "note": NOTE}, "node": "n1"}
            for i in range(3)
        ]
    }
    for got in left(reader, json.dumps(pods), json.loads):
        assert all("name" in pod["metadata"] for pod in got["items"])


def test_the_lines_of_an_order_bring_its_customer() -> None:
    for got in left(reader, json.dumps(ORDER), json.loads):
        assert got["order"]["customer"] == "Ann"


def test_rows_bring_their_columns() -> None:
    for got in left(reader, json.dumps(ROWS), json.loads):
        assert got["columns"] == ROWS["columns"]


def test_a_long_string_is_divided_and_no_escape_torn() -> None:
    source = json.loads(ANSWER)
    tree = tree_of(ANSWER, reader.read, reader.STYLE)
    assert len(tree) > 20
    for got in left(reader, ANSWER, json.loads, cut=True):
        assert got.get("status", 200) == 200
        assert len(got.get("body", "")) <= len(source["body"])
    assert json.loads(everything(ANSWER, reader.read, reader.STYLE)) == source


def test_a_record_reads_as_keys_and_values() -> None:
    text = json.dumps([{"id": 7, "first_name": "Ann", "tags": ["x"], "note": NOTE}] * 2)
    tree = tree_of(text, reader.read, reader.STYLE)
    assert tree.readings[1] == f"id: 7; first_name: Ann; tags: x; note: {NOTE}"


@pytest.mark.parametrize("share", [0.3, 0.62, 0.9])
def test_what_is_cut_off_is_read_as_far_as_it_goes(share: float) -> None:
    text = json.dumps(STOCK, indent=1)
    text = text[: int(len(text) * share)]
    tree = tree_of(text, reader.read, reader.STYLE)
    assert tree.notes == (reader.NOTE,)
    assert_covers(reader, text, between=",")
    for output in outputs(text, reader.read, reader.STYLE, n=10):
        assert output.count("{") <= text.count("{")


def test_complete_records_of_a_cut_text_keep_their_identity() -> None:
    text = json.dumps(STOCK)
    for output in outputs(text[: text.rindex("SKU-2") - 5], reader.read, reader.STYLE, n=20):
        closed = output.rstrip(",") + "]"
        if closed.count("{") == closed.count("}"):
            assert part(STOCK, json.loads(closed))


def test_text_behind_the_data_stays() -> None:
    text = json.dumps(ORDER) + "\nTook 3 s.\nDone.\n"
    assert everything(text, reader.read, reader.STYLE).endswith("}\nTook 3 s.\nDone.")
    assert not tree_of(text, reader.read, reader.STYLE).notes


def test_reading_goes_on_behind_what_is_broken() -> None:
    text = '[\n{"id": 1, "a": "x"},\n{"id": 2, "a": oops},\n{"id": 3},\n{"id": 4, "a": "z"}\n]'
    tree = tree_of(text, reader.read, reader.STYLE)
    whole = [text[a:b] for a, b in zip(tree.start, tree.end, strict=True)]
    assert '{"id": 4, "a": "z"}' in whole
    assert tree.notes == (reader.NOTE,)
    assert_covers(reader, text, between=",")


def test_members_without_braces_are_read() -> None:
    text = '"name": "x",\n"files": ["a", "b"],\n"scripts": {"test": "jest"}\n'
    assert reader.fits(text, 0, len(text))
    for output in outputs(text, reader.read, reader.STYLE, n=10):
        assert part(json.loads(f"{{{text}}}"), json.loads(f"{{{output}}}"))


def test_several_documents_in_a_row() -> None:
    text = json.dumps(ORDER, indent=1) + "\n" + json.dumps(SERVICES, indent=1)
    assert everything(text, reader.read, reader.STYLE).count("\n") == 1


def test_survives_any_text() -> None:
    assert_survives(reader, "json")


def test_fits_its_own_only() -> None:
    for value in DOCUMENTS.values():
        for indent in (None, 2):
            text = json.dumps(value, indent=indent)
            assert reader.fits(text, 0, len(text))
            assert reader.fits(text, 0, len(text) // 2)
    assert reader.fits(ANSWER, 0, len(ANSWER))
    for name, text in NOT_DATA.items():
        assert not reader.fits(text, 0, len(text)), name
    for text in ("[1]", "[section]\na = 1\n", "{'a': 1}", "{x: 1}", '"Yes," he said. "No."'):
        assert not reader.fits(text, 0, len(text)), text
