"""TOML: every selection loads as a part of the data."""

from __future__ import annotations

import tomllib

from ctxzip.segment.formats import toml as reader
from tests.segment.formats.checks_data import NOT_DATA, assert_covers, assert_survives, left
from tests.segment.formats.harness import everything, outputs, tree_of

TEXT = '''\
# the project
title = "x"   # its title
aligned      = 3
dependencies = [
  "alpha>=1",  # the first
  # for the second
  "beta>=2",
  "gamma>=3", "delta",
  "epsilon-is-a-long-name-so-that-the-array-is-divided-into-its-lines",
  { a = 1, b = [1,
    2] },
]

numbers = [NUMBERS]

[tool.black]
line-length = 88

[tool.ruff]
# longer than that of black
line-length = 100
name.dotted = "x"
"quoted key" = { a = 1, b = "x" }
when = 1979-05-27 07:32:00Z

[[users]]
name = "Ann"
age = 31
[users.address]
city = "Rome"
[[users.pets]]
name = "Rex"
kind = "dog"
[[users.pets]]
name = "Tom"
kind = "dog"

[between]
x = 1

[users.more]
city = "Oslo"

[[users]]
name = "Bob"
age = 31
[users.address]
city = "Rome"

[other]
text = """
a string over lines [not.a.table] that is long enough to be divided into its lines:
[not.a.table]
y = 1 and so on, for as many characters as it takes to be long, which are three hundred,
so here are some more of them, and again some more of them, and the last ones of all,
until it ends."""
literal = \'\'\'it's\'\'\'
'''.replace("NUMBERS", ", ".join(f'{{ n = {i}, s = "a, b" }}' for i in range(20)))


def test_everything_is_the_source() -> None:
    full = everything(TEXT, reader.read, reader.STYLE)
    assert tomllib.loads(full) == tomllib.loads(TEXT)
    assert full.split() == TEXT.split()
    assert_covers(reader, TEXT)


def test_every_selection_is_part_of_the_data() -> None:
    for got in left(reader, TEXT, tomllib.loads, cut=True, n=40):
        for user in got.get("users", ()):
            assert "name" in user
            assert all("name" in pet for pet in user.get("pets", ()))


def test_comments_stand_with_the_key_below_them() -> None:
    for output in outputs(TEXT, reader.read, reader.STYLE, n=10):
        if "# longer" in output:
            assert "[tool.ruff]\n# longer than that of black\nline-length = 100" in output


def test_an_array_is_divided_by_its_lines() -> None:
    tree = tree_of(TEXT, reader.read, reader.STYLE)
    parts = [TEXT[a:b] for a, b in zip(tree.start, tree.end, strict=True)]
    assert '# for the second\n  "beta>=2",' in parts
    assert '"gamma>=3", "delta",' in parts
    assert "{ a = 1, b = [1,\n    2] }," in parts


def test_broken_text_is_read_as_far_as_it_goes() -> None:
    text = TEXT + "\nthis = is broken\nx = 1\n"
    tree = tree_of(text, reader.read, reader.STYLE)
    assert tree.notes == (reader.NOTE,)
    assert_covers(reader, text)


def test_survives_any_text() -> None:
    assert_survives(reader, "toml")


def test_fits_its_own_only() -> None:
    assert reader.fits(TEXT, 0, len(TEXT))
    assert reader.fits('[a]\nb = "c"\n', 0, 12)
    for name, text in NOT_DATA.items():
        assert not reader.fits(text, 0, len(text)), name
    for text in (
        "[Unit]\nDescription=Foo bar\nAfter=x.target\n",
        'x = "a"\nprint(x)\n',
        "[1]\n[2]\n",
    ):
        assert not reader.fits(text, 0, len(text)), text
