"""How the columns of a table of aligned text are told apart."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ctxzip.segment.formats.cells import _is_value as is_value

__all__ = ["BARS", "NONE", "SPACES", "WIDE", "Line", "Shape", "place", "shape", "words"]

_Word = tuple[int, int, str]  # where it stands in its line
Line = tuple[int, int, int]  # line start, first character that is no blank, one past the last
NONE, SPACES, WIDE, BARS = range(4)  # what stands between two cells once padding is gone

_SAMPLE = 80
_BAR = re.compile(r"[|│┃║]")
_BORDER = re.compile(
    r"[\s+|\-=:─━═┌┬┐├┼┤└┴┘╭╮╰╯┏┳┓┡╇┩┣╋┫┗┻┛╔╦╗╠╬╣╚╩╝┠┨╞╪╡│┃║╟╢]*[-=─━═]{2}[\s+|\-=:─━═┌┬┐├┼┤└┴┘╭╮╰╯┏┳┓┡╇┩┣╋┫┗┻┛╔╦╗╠╬╣╚╩╝┠┨╞╪╡│┃║╟╢]*"
)
_CROSSES = re.compile(r"[+┼╇╋╬╪|]")
_RULED = re.compile(r"(?:-{2,}|={2,})(?: +(?:-{2,}|={2,}))+|-{4,}|={4,}")
_WIDE = re.compile(r"[^\s](?:[^\s]| (?=[^\s]))*")
_WORD = re.compile(r"\S+")
_MULTI = re.compile(
    r"Mounted on|(?:Local|Foreign|Peer|Remote) Address(?::Port)?|PID/Program name|Process Name"
    r"|CONTAINER ID|IMAGE ID|NETWORK ID|VOLUME NAME|\S+"
)
_FOOTER = re.compile(r"\(\d+ rows?\)|\d+ rows? in set.*|\(\d+ rows? affected\)")
_LISTED = re.compile(r"[-dlbcpsD][-rwxsStT]{9}[.+@]?\s+\d+\s+\S+\s+\S+.*")
_LISTING = re.compile(r"total [\d.,]+[KMGT]?|[^\s|][^|]{0,200}:")
_YEAR = re.compile(r"(?:19|20)\d\d")
_NAME = re.compile(r"[^\W\d_]|[%#*]")
_NO_NAME = re.compile(r"[|={};\"<>`\\]|[,!?]$|://| \S*[a-z]\.$")


@dataclass(frozen=True, slots=True)
class Shape:
    """A table in a block of lines.

    Attributes:
        first: lines before its header.
        head: lines of the header; 0 where there is none.
        names: the cells of the header.
        gap: what stands between two cells once padding is gone; NONE leaves padding alone.
        spans: where the names stand in the line of the header.
        ruled: whether dashes under the names say how far a column reaches.
        loose: whether cells that stand one blank apart may be of two columns.
        outer: whether rows stand between bars too.
        listing: ``ls -l``.
    """

    first: int
    head: int
    names: list[str] = field(default_factory=list)
    gap: int = NONE
    spans: list[tuple[int, int]] = field(default_factory=list)
    ruled: bool = False
    loose: bool = False
    outer: bool = False
    listing: bool = False

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.names)

    def cells(self, text: str, line: Line) -> list[str]:
        """The cells of a row, one for each name."""
        at, first, stop = line
        row = text[first:stop]
        if self.gap == BARS:
            return bars(row, self.outer)
        if self.gap == WIDE:
            return _WIDE.findall(row)
        if self.gap == SPACES:
            return row.split(None, self.width - 1)
        pattern = _WORD if self.loose else _WIDE
        return self._placed(
            [(m.start() - at, m.end() - at, m.group()) for m in pattern.finditer(text, first, stop)]
        )

    def _placed(self, found: list[_Word]) -> list[str]:
        placed = [""] * len(self.spans)
        starts = [a for a, _ in self.spans]
        ends = {b: i for i, (_, b) in enumerate(self.spans)}
        for a, b, word in found:
            i = max(0, bisect_right(starts, a) - 1)
            if not self.ruled and starts[i] != a:
                if b in ends:
                    i = ends[b]
                elif a >= self.spans[i][1] and i + 1 < len(starts) and b > starts[i + 1]:
                    i += 1
            placed[i] = f"{placed[i]} {word}" if placed[i] else word
        return placed

    def is_border(self, text: str, line: Line) -> bool:
        """Whether a line only frames the table."""
        return self.gap == BARS and _BORDER.fullmatch(text, line[1], line[2]) is not None

    def is_footer(self, row: str) -> bool:
        """``(2 rows)``"""
        return row[-1] in ")s" and _FOOTER.fullmatch(row) is not None

    def is_odd(self, row: str) -> bool:
        """Whether a line below the header is no row."""
        if self.listing:
            return _LISTED.fullmatch(row) is None
        if self.gap == SPACES or self.loose:
            return self.width > 3 and row.count(" ") < 2 and len(row.split()) == 1
        return self.width > 2 and "  " not in row and "\t" not in row

    def is_row(self, row: str) -> bool:
        """Whether a line below the header is neither odd nor a footer."""
        return not self.is_odd(row) and not self.is_footer(row)

    def hangs(self, indent: int) -> bool:
        """Whether a row that begins this far right goes on with the one above it."""
        return len(self.spans) > 1 and self.spans[0][0] == 0 and indent >= self.spans[1][0]

    def goes_on(self, text: str, line: Line) -> bool:
        """psql says with a ``+`` that a cell goes on in the next line."""
        row = text[line[1] : line[2]]
        return (
            "+" in row
            and re.search(r"\S *\+ *(?:\||$)", row) is not None
            and not row.startswith("|")
        )


def shape(text: str, block: Sequence[Line], commanded: bool = False) -> Shape | None:
    """The table that a block of lines is, or None."""
    found = _barred(text, block) or _listing(text, block) or _ruled(text, block)
    if found is not None:
        return found
    for i in range(min(8, len(block) - 1)):
        found = _plain(text, block, i, commanded)
        if found is not None:
            return found
    return None


def bars(row: str, outer: bool) -> list[str]:
    """The cells between bars."""
    parts = [part.strip() for part in _BAR.split(row)]
    return parts[1:-1] if outer else parts


def words(text: str, line: Line, pattern: re.Pattern[str]) -> list[_Word]:
    """What matches in a line, with its place in the line."""
    at, first, stop = line
    return [(m.start() - at, m.end() - at, m.group()) for m in pattern.finditer(text, first, stop)]


def place(text: str, line: Line, width: int) -> int:
    """Where the last of ``width`` columns begins, which may hold blanks of its own."""
    _, first, stop = line
    cells = text[first:stop].split(None, width - 1)
    return stop - len(cells[-1]) if len(cells) == width else stop


def _barred(text: str, block: Sequence[Line]) -> Shape | None:
    """psql, mysql and tables drawn with lines."""
    for i in range(1, min(4, len(block))):
        _, first, stop = block[i]
        if not _BORDER.fullmatch(text, first, stop):
            continue
        above = text[block[i - 1][1] : block[i - 1][2]]
        rule = text[first:stop]
        if _BORDER.fullmatch(above) or not _BAR.search(above):
            continue
        outer = above[0] in "|│┃║" and above[-1] in "|│┃║"
        names = bars(above, outer)
        crosses = len(_CROSSES.findall(rule))
        framed = outer and i > 1 and _BORDER.fullmatch(text, block[i - 2][1], block[i - 2][2])
        if rule[0] == "|" or not (framed or (not outer and crosses == len(names) - 1)):
            continue
        return Shape(i - 1, 2, names, BARS, outer=outer)
    return None


def _listing(text: str, block: Sequence[Line]) -> Shape | None:
    sample = block[:_SAMPLE]
    listed = sum(_LISTED.fullmatch(text, a, b) is not None for _, a, b in sample)
    lead = sum(_LISTING.fullmatch(text, a, b) is not None for _, a, b in sample[:2])
    if not listed or listed + lead < len(sample):
        return None
    rows = [text[a:b].split(None, 8) for _, a, b in block]
    fits = all(len(row) >= 9 for row in rows if len(row) > 2 and row[0] != "total")
    return Shape(0, 0, [""] * 9, SPACES if fits else NONE, listing=True)


def _ruled(text: str, block: Sequence[Line]) -> Shape | None:
    """A header with dashes below it, as pip prints it."""
    for i in range(1, min(6, len(block) - 1)):
        _, first, stop = block[i]
        if text[first] not in "-=" or not _RULED.fullmatch(text, first, stop):
            continue
        spans = [(a, b) for a, b, _ in words(text, block[i], _WORD)]
        if len(spans) < 2:
            head = words(text, block[i - 1], _WIDE)
            spans = [(a, b) for a, b, _ in head]
        if len(spans) < 2:
            continue
        probe = Shape(i - 1, 2, [""] * len(spans), NONE, spans, ruled=True, loose=True)
        names = probe.cells(text, block[i - 1])
        rows = [probe.cells(text, line) for line in block[i + 1 :]]
        if sum(sum(map(bool, row)) > 1 for row in rows) * 2 < len(rows):
            continue
        full = all(all(row) and all(" " not in c for c in row[:-1]) for row in [names, *rows])
        return Shape(i - 1, 2, names, SPACES if full else NONE, spans, ruled=True, loose=True)
    return None


def _plain(text: str, block: Sequence[Line], i: int, commanded: bool) -> Shape | None:
    """A header whose names stand over columns."""
    _, first, stop = block[i]
    line = text[first:stop]
    if len(line) > 2000 or not (
        "  " in line or "\t" in line or "  " in text[block[i + 1][1] : block[i + 1][2]]
    ):
        return None
    body = block[i + 1 :]
    letters = [c for c in line if c.isalpha()]
    upper = bool(letters) and sum(map(str.isupper, letters)) * 4 >= len(letters) * 3
    sure = commanded or upper
    tries = []
    for pattern, gap in ((_WIDE, WIDE), (_MULTI, SPACES)):
        names = _with_first(text, words(text, block[i], pattern), body)
        named = [_is_name(word) for _, _, word in names if word]
        enough = 2 * len(named) <= 3 * sum(named) and upper and gap == WIDE
        if len(names) > 1 and named[0] and (all(named) or enough):
            tries.append((names, gap))
    for full in (True, False):
        for names, gap in tries:
            found = _measured(text, body, names, gap, sure, full)
            if found is not None:
                return replace(found, first=i)
    return None


def _with_first(text: str, names: list[_Word], body: Sequence[Line]) -> list[_Word]:
    """The names of a header, with one for a first column that has none, as in ``free``."""
    ends = [words(text, line, _WORD)[0][1] for line in body[:_SAMPLE]]
    if names and max(ends) <= names[0][0] and "  " in text[body[0][0] : body[0][2]]:
        return [(0, max(ends), ""), *names]
    return names


def _is_name(word: str) -> bool:
    if len(word) > 60 or _NO_NAME.search(word):
        return False
    return bool(_NAME.search(word) and not is_value(word)) or bool(_YEAR.fullmatch(word))


def _measured(
    text: str, body: Sequence[Line], names: list[_Word], gap: int, sure: bool, strict: bool
) -> Shape | None:
    """The shape of a table under ``names``, if its rows stand under them.

    Strictly, every row has a cell for every name; otherwise some may be empty.
    """
    k = len(names)
    spans = [(a, b) for a, b, _ in names]
    probe = Shape(0, 1, [word for _, _, word in names], NONE, spans, loose=gap == SPACES)
    rows = [line for line in body if probe.is_row(text[line[1] : line[2]])]
    if len(rows) < (1 if sure and k > 2 else 2) or len(rows) * 2 < len(body):
        return None
    sample = [words(text, line, _WIDE if gap == WIDE else _WORD) for line in rows[:_SAMPLE]]
    if any(row[0][2] == probe.names[0] for row in sample):
        return None
    aligned = _aligned(sample, spans)
    if k == 2 and not (sure and len(rows) > 1 and aligned == 1):
        return None
    if not strict:
        few = gap == WIDE and not _about(sample, k)
        return probe if k > 2 and aligned >= (0.7 if sure else 0.85) and not few else None
    if gap == WIDE:
        fits = aligned >= 0.6 or (sure and k > 2)
        full = fits and all(len(_WIDE.findall(text, a, b)) == k for _, a, b in rows)
    else:
        fits = aligned >= 0.7 and k > 2 and all(_in_place(row, spans) for row in sample)
        full = fits and all(len(text[a:b].split(None, k - 1)) == k for _, a, b in rows)
    return replace(probe, gap=gap) if full else None


def _about(sample: list[list[_Word]], k: int) -> bool:
    """Whether most rows have about as many cells as there are names."""
    return sum(k // 2 < len(row) <= k + 1 for row in sample) * 4 >= len(sample) * 3


def _aligned(sample: list[list[_Word]], spans: list[tuple[int, int]]) -> float:
    """The share of cells that begin or end where a name does."""
    starts = {a for a, _ in spans}
    ends = {b for _, b in spans}
    n = hit = 0
    for row in sample:
        for a, b, _ in row[: len(spans)]:
            n += 1
            hit += a in starts or b in ends
    return hit / max(1, n)


def _in_place(row: list[_Word], spans: list[tuple[int, int]]) -> bool:
    """Whether field ``i`` stands under name ``i``, as far as no long field has moved it."""
    for i, (a, b, _) in enumerate(row[: len(spans) - 1]):
        low = spans[i - 1][1] if i else 0
        high = spans[i + 1][0]
        if b > high:
            return True  # it reaches under the next name: what follows is moved
        if b <= low or a < low - 1:
            return False
    return True
