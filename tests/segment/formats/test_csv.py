import csv
import io

import pytest

from ctxzip.segment.formats import csv as reader
from ctxzip.segment.tree import Builder
from ctxzip.text.units import Kind
from tests.segment.formats.checks_tables import (
    assert_linear,
    assert_never_raises,
    assert_rows,
    unmarked,
)
from tests.segment.formats.harness import everything, outputs, tree_of

STOCK = """product,sku,stock,note
Cedar,SKU-1,79,
"Birch, white",SKU-2,35,"two
lines, and a ""quote"" in it"
Dogwood,SKU-3,79,
Cedar,SKU-4,35,last one
"""
SEMICOLON = "name;price;city\nAnn;1,50;Rome\nBob;2,50;Oslo\nZoe;1,50;Rome\n"
TABS = "id\tname\tnote\n1\tAnn\tx\n2\tBob\t\n\tZoe\tx\n4\t\t\n"
BARS = "id|name|city\n1|Ann|Rome\n2|Bob|Oslo\n"


def rows(text: str, delimiter: str) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]


@pytest.mark.parametrize(
    ("text", "delimiter"), [(STOCK, ","), (SEMICOLON, ";"), (TABS, "\t"), (BARS, "|")]
)
def test_every_output_is_the_header_and_rows_of_the_source(text: str, delimiter: str) -> None:
    assert reader.fits(text, 0, len(text))
    assert everything(text, reader.read) == text.rstrip("\n")
    source = rows(text, delimiter)
    for output in outputs(text, reader.read):
        found = rows(unmarked(output), delimiter)
        assert found[0] == source[0]
        assert_rows(source[1:], found[1:], output)


def test_a_row_reads_as_its_cells_under_their_names() -> None:
    tree = tree_of(STOCK, reader.read)
    assert tree.labels[0] == "product | sku | stock | note"
    assert not tree.content[0]
    assert tree.readings[1] == "product: Cedar; sku: SKU-1; stock: 79"
    assert tree.readings[2] == (
        'product: Birch, white; sku: SKU-2; stock: 35; note: two\nlines, and a "quote" in it'
    )


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("name,age\nann,31\nbob,45\nzoe,31\n", True),
        ("date,region,sold\n2024-01-01,north,5\n2024-01-02,south,7\n", True),
        ("country,2010,2011,2012\nitaly,1,2,3\nspain,4,5,6\n", True),
        (",a,b\n0,1.5,2.5\n1,1.5,2.5\n", True),
        ("2024-01-01,north,5\n2024-01-02,south,7\n2024-01-03,north,9\n", False),
        ("1,Ann,active\n2,Bob,active\n3,Zoe,closed\n", False),
        ("ann,rome,active\nbob,oslo,active\nann,rome,closed\n", False),
    ],
)
def test_a_header_is_told_from_a_row(text: str, header: bool) -> None:
    assert reader.fits(text, 0, len(text), "csv")
    assert (tree_of(text, reader.read).kind[0] == Kind.HEAD) == header


def test_lines_before_the_header_stand_for_themselves() -> None:
    text = "# units: EUR\nReport of May\n\nname,price,city\nAnn,5,Rome\nBob,6,Oslo\n"
    tree = tree_of(text, reader.read)
    assert tree.kind.tolist() == [Kind.LINE, Kind.LINE, Kind.HEAD, Kind.ROW, Kind.ROW]
    assert tree.parent.tolist() == [-1, -1, -1, 2, 2]


def test_a_stray_quote_swallows_no_more_than_its_line() -> None:
    text = 'name,size,city\nAnn,5,Rome\n"Bob,6" pipe,Oslo\nZoe,7,Bari\nEve,8,Rome\n'
    assert len(tree_of(text, reader.read)) == 5
    text = "name,size,city\n" + "Ann,5,Rome\n" * 10 + '"Bob,6,Oslo\n' + "Zoe,7,Bari\n" * 4000
    tree = tree_of(text, reader.read)
    assert len(tree) == 4012
    assert "quote" in tree.notes[0]


def test_ragged_rows_are_rows() -> None:
    text = "a,b,c\n1,2,3\n1,2\n1,2,3,4\n4,5,6\n7,8,9\n" + "1,2,3\n" * 20
    tree = tree_of(text, reader.read)
    assert tree.readings[2:4] == ["a: 1; b: 2", "a: 1; b: 2; c: 3; 4"]


@pytest.mark.parametrize(
    "text",
    [
        "Hello, this is prose, and it goes on.\nIt has commas, a few, in every line.\n"
        "Some have two, some three, some more.\n",
        "2024-01-01 10:00:00,123 INFO web started\n2024-01-01 10:00:01,456 INFO web ready\n"
        "2024-01-01 10:00:02,123 ERROR web died\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n",
        " id | name\n----+------\n  1 | Ann\n  2 | Bob\n",
        '{"a": 1, "b": 2}\n{"a": 2, "b": 3}\n{"a": 3, "b": 4}\n',
        "int a = 1; int b;\nint c = 2; int d;\nint e = 3; int f;\n",
        "print(a, b, c)\nprint(d, e, f)\nprint(g, h, i)\n",
        "[1, 2, 3],\n[4, 5, 6],\n[7, 8, 9],\n",
        "\tfor x in y:\n\t\tprint(x)\n\treturn\n",
        "name: a\nport: 80\n",
        "src/a.py:12: def f(a, b):\nsrc/b.py:9: def g(a, b):\n",
        "cat a | grep b\ncat c | grep d\ncat e | grep f\n",
        "one line, no more\n",
        "",
    ],
)
def test_other_text_is_not_taken(text: str) -> None:
    assert not reader.fits(text, 0, len(text))


def test_hostile_text_takes_linear_time() -> None:
    for piece in ('"a\n', '"",""\n', 'a,"b\n', ",,,,\n", '"' * 9, "a,b,c\r\n", '""b,\n"'):
        assert_linear(reader.read, piece, n=400, head="a,b,c\n1,2,3\n")


def test_broken_text_never_raises() -> None:
    assert_never_raises(reader.fits, reader.read, STOCK * 3)


def test_columns_of_a_refused_text_leave_nothing_behind() -> None:
    out = Builder("no table here")
    assert reader.read(out, 0, len(out.text)) is False
    assert not out.start
