"""Key and value lines: cards keep their first line, nothing is joined."""

from __future__ import annotations

from ctxzip.segment.formats import keyvalue as reader
from tests.segment.formats.checks_data import NOT_DATA, assert_covers, assert_survives
from tests.segment.formats.harness import everything, outputs

CARDS = """\
Name: Ann Lee
Role: admin
City: Rome

Name: Bob
Role: admin
City: Oslo

Name: Cleo
Role: user
City: Oslo
"""
HEADERS = """\
HTTP/1.1 200 OK
Content-Type: text/html
Content-Length:    12
Set-Cookie: a=1
Set-Cookie: b=2
X-Long: bar
 continued
"""
MEMORY = """\
MemTotal:       16303428 kB
MemFree:         1203172 kB
Active(anon):     203172 kB
HugePages_Total:       0
"""


def test_everything_is_the_source() -> None:
    for text in (CARDS, HEADERS, MEMORY):
        assert everything(text, reader.read, reader.STYLE).split() == text.split()
        assert_covers(reader, text)


def test_a_line_stands_in_its_card() -> None:
    source = [card.splitlines() for card in CARDS.split("\n\n")]
    for output in outputs(CARDS, reader.read, reader.STYLE):
        lines = [line for line in output.splitlines() if line and "…" not in line]
        card: list[str] = []
        for line in lines:
            if line.startswith("Name"):
                card = next(one for one in source if one[0] == line)
            assert line in card


def test_a_header_stands_with_the_line_on_which_it_goes_on() -> None:
    for output in outputs(HEADERS, reader.read, reader.STYLE):
        assert (" continued" in output) == ("X-Long: bar" in output)


def test_survives_any_text() -> None:
    assert_survives(reader, "")


def test_fits_its_own_only() -> None:
    for text in (CARDS, HEADERS, MEMORY):
        assert reader.fits(text, 0, len(text)), text
    for name, text in NOT_DATA.items():
        assert not reader.fits(text, 0, len(text)), name
