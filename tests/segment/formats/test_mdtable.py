import re

import pytest

from ctxzip.segment.formats import mdtable as reader
from ctxzip.text.units import Kind
from tests.segment.formats.checks_tables import (
    assert_linear,
    assert_never_raises,
    assert_rows,
    unmarked,
)
from tests.segment.formats.harness import everything, outputs, tree_of

PADDED = """| Product   | Stock | Note            |
| :-------- | ----: | --------------- |
| Cedar     |    79 |                 |
| Birch     |    35 | a \\| b          |
| Dogwood   |    79 | `x  \\|  y`      |
| Cedar     |    35 | last            |
"""
BARE = "name | age\n--- | ---\nAnn | 31\nBob | 45\nZoe | 31\n"
HEADLESS = "| Ann | 31 |\n| Bob | 45 |\n| Zoe | 31 |\n"


def rows(text: str) -> list[list[str]]:
    lines = [line.strip().removeprefix("|").removesuffix("|") for line in text.split("\n") if line]
    cells = [[c.strip() for c in re.split(r"(?<!\\)\|", line)] for line in lines]
    return [row for row in cells if not all(re.fullmatch(":?-+:?", cell) for cell in row)]


@pytest.mark.parametrize("text", [PADDED, BARE])
def test_every_output_is_the_header_and_rows_of_the_source(text: str) -> None:
    assert reader.fits(text, 0, len(text))
    source = rows(text)
    assert [list(map(squeezed, row)) for row in rows(everything(text, reader.read))] == [
        list(map(squeezed, row)) for row in source
    ]
    for output in outputs(text, reader.read, reader.STYLE):
        assert re.match(r"\|?[^\n]*\n\|?[\s|:-]+(\n|$)", output), "a header has its delimiter row"
        found = rows(unmarked(output))
        assert list(map(squeezed, found[0])) == list(map(squeezed, source[0]))
        assert_rows(
            [list(map(squeezed, row)) for row in source[1:]],
            [list(map(squeezed, row)) for row in found[1:]],
            output,
        )


def squeezed(cell: str) -> str:
    return re.sub(" +", " ", cell)


def test_padding_is_noise() -> None:
    assert everything(PADDED, reader.read) == (
        "| Product | Stock | Note |\n| :-------- | ----: | --------------- |\n| Cedar | 79 | |\n"
        "| Birch | 35 | a \\| b |\n| Dogwood | 79 | `x  \\|  y` |\n| Cedar | 35 | last |"
    )


def test_rows_read_as_cells_under_their_names() -> None:
    tree = tree_of(PADDED, reader.read)
    assert tree.kind.tolist() == [Kind.HEAD, *[Kind.ROW] * 4]
    assert tree.labels[0] == "Product | Stock | Note"
    assert tree.readings[1:3] == [
        "Product: Cedar; Stock: 79",
        "Product: Birch; Stock: 35; Note: a \\| b",
    ]


def test_omissions_are_marked_as_rows() -> None:
    marks = [o for o in outputs(PADDED, reader.read, reader.STYLE) if "…" in o]
    assert any("\n| … 2 rows |\n" in output for output in marks)
    marks = [o for o in outputs(BARE, reader.read, reader.STYLE) if "…" in o]
    assert all(line.startswith("… ") for o in marks for line in o.split("\n") if "…" in line)


def test_rows_without_a_header_stand_alone() -> None:
    assert reader.fits(HEADLESS, 0, len(HEADLESS))
    tree = tree_of(HEADLESS, reader.read)
    assert tree.parent.tolist() == [-1, -1, -1]
    for output in outputs(HEADLESS, reader.read, reader.STYLE):
        assert_rows(rows(HEADLESS), rows(unmarked(output)), output)


@pytest.mark.parametrize(
    "text",
    [
        "a | b\n",
        "Heading\n-------\ntext | more\n",
        "+---+---+\n| a | b |\n+---+---+\n| 1 | 2 |\n+---+---+\n",
        " id | name\n----+------\n  1 | Ann\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n\nA paragraph.\n",
        "cat a | grep b\n",
        "",
    ],
)
def test_other_text_is_not_taken(text: str) -> None:
    assert not reader.fits(text, 0, len(text))


def test_hostile_text_takes_linear_time() -> None:
    head = "| a | b |\n|---|---|\n"
    for piece in ("|" * 9, "| a " + " " * 50, "| \\" * 5, "|\t\t a |\n", " " * 40):
        assert_linear(reader.read, piece, head=head)
        assert_linear(reader.read, piece, head="|" + piece)


def test_broken_text_never_raises() -> None:
    assert_never_raises(reader.fits, reader.read, PADDED * 3)
