"""INI and its kin, checked with configparser."""

from __future__ import annotations

import configparser

import pytest

from ctxzip.segment.formats import ini as reader
from tests.segment.formats.checks_data import NOT_DATA, assert_covers, assert_survives, left
from tests.segment.formats.harness import everything, outputs, tree_of

RECORDS = """\
[items.01]
rank =
name        = Ann
population  = 3
[items.02]
rank = 2
name        = Bob
population  = 3

[items.03]
rank = 2
name        = Cleo
population  = 3
"""
UNIT = """\
; all of it
[Unit]
Description=Foo
After=network.target

# the program
[Service]
ExecStart=/bin/foo --a=b \\
    --long
Environment=A=1
# again
Restart=always

[Install]
WantedBy=multi-user.target
"""
SETUP = """\
[metadata]
name = pkg
version = 1.0

[options]
install_requires =
    requests>=2
    click

[options.extras_require]
name = pkg
"""
ENV = """\
# database
DB_HOST=localhost
DB_PASS="a b"
export X_Y=1
"""
PROPERTIES = """\
! of the server
server.port=8080
server.name = other \\
    continued
x.y.z: foo
"""
GIT = """\
[core]
\tbare = false
[remote "origin"]
\turl = git@x.org:a/b.git
\tfetch = +refs/heads/*:refs/remotes/origin/*
[branch "main"]
\tremote = origin
"""
SECTIONS = {"records": RECORDS, "unit": UNIT, "setup": SETUP, "git": GIT}


def load(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#", ";", "…"))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


@pytest.mark.parametrize("text", [*SECTIONS.values(), ENV, PROPERTIES])
def test_everything_is_the_source(text: str) -> None:
    full = everything(text, reader.read, reader.STYLE)
    assert full.split() == text.split()
    assert_covers(reader, text)


@pytest.mark.parametrize("name", SECTIONS)
def test_every_selection_is_part_of_the_data(name: str) -> None:
    text = SECTIONS[name]
    assert load(everything(text, reader.read, reader.STYLE)) == load(text)
    for got in left(reader, text, load):
        assert got
        assert all(got.values()), "a section without a key says nothing"
        if name == "records":
            assert all("name" in record for record in got.values())


@pytest.mark.parametrize("text", [ENV, PROPERTIES])
def test_lines_without_sections_stand_whole(text: str) -> None:
    known = set(text.splitlines())
    for output in outputs(text, reader.read, reader.STYLE, n=10):
        assert set(output.splitlines()) <= known


def test_a_comment_stands_with_the_section_below_it() -> None:
    for output in outputs(UNIT, reader.read, reader.STYLE, n=10):
        assert ("# the program" in output) == ("[Service]" in output)


def test_a_continued_value_stands_whole() -> None:
    tree = tree_of(UNIT, reader.read, reader.STYLE)
    parts = [UNIT[a:b] for a, b in zip(tree.start, tree.end, strict=True)]
    assert "ExecStart=/bin/foo --a=b \\\n    --long" in parts


def test_survives_any_text() -> None:
    assert_survives(reader, "ini")


def test_fits_its_own_only() -> None:
    for text in (*SECTIONS.values(), ENV, PROPERTIES):
        assert reader.fits(text, 0, len(text)), text
    for name, text in NOT_DATA.items():
        assert not reader.fits(text, 0, len(text)), name
    for text in ("x = 1\ny = 2\nz = x + y\n", "for x in y:\n  a = b\n", "SELECT a\nWHERE b = c\n"):
        assert not reader.fits(text, 0, len(text)), text
