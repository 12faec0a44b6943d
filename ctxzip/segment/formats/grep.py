"""Search results and lists of paths: grep and ripgrep, find, ``ls -R``, git status, diffstat, tree.

Each match is an entry that names its file, or stands below the file's name where the source has it
so. In a drawn tree an entry belongs to its directory.
"""

from __future__ import annotations

import re
from itertools import pairwise

from ctxzip.segment.formats.rows import Row, add_row, rows, sample
from ctxzip.segment.tree import LINES, Builder
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = LINES

_DEPTH = 200
_PATH = r"(?:[A-Za-z]:)?(?:[\w.@~+%$()\[\]{},!#=-]|[/\\](?![/\\ ]))+"
_NUMBERED = re.compile(rf"(?P<path>{_PATH}):(?P<n>\d+):(?:\d+:)?")
_CONTEXT = re.compile(rf"(?P<path>{_PATH})-\d+-")
_UNNUMBERED = re.compile(
    r"(?P<path>[\w./@~+-]*[\w/]\.\w{1,10}|[\w.@~+-]*/[\w./@~+-]+):(?![/:])\s*\S"
)
_BINARY = re.compile(r"(?:grep: |rg: )|Binary file \S+ matches")
_UNDER = re.compile(r"\d+(?::\d+:|[:-])(?=\s|.)")
_ONLY_PATH = re.compile(
    r"(?:\./|\.\./|/|~/|[A-Za-z]:\\)?[\w.@+%$()\[\]{},!#=~-]+(?:[/\\][\w.@+%$()\[\]{},!#=~ -]*)*$"
)
_EXTENSION = re.compile(r"\.\w{1,10}$")
_STATUS = re.compile(r"(?:[ MADRCUT?!]{2}|[MADRCUT]\d*) ?[\t ]\S")
_STAT = re.compile(r" ?\S.* \| +(?:\d+ [+-]*|Bin .*)$")
_STAT_TOTAL = re.compile(r" ?\d+ files? changed")
_TREE = re.compile(r"[│| \t\xa0]*(?:[├└|`+])(?:─{1,3}|-{1,3}) ")
_LISTED = re.compile(r"(?P<path>\S.*):$")


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Nearly every line is a match, a path, a status, or a branch of a tree."""
    return _shape(sample(text, start, end)) != ""


def _shape(found: list[str]) -> str:  # noqa: PLR0911  # one shape after the other
    """Which of the shapes a region has."""
    n = len(found)
    if not n:
        return ""
    total = sum(_STAT_TOTAL.match(line) is not None for line in found)
    if sum(_STAT.match(line) is not None for line in found) + total >= max(n, 2):
        return "flat"
    if sum(_TREE.match(line) is not None for line in found) >= max(1, (n - 3) * 0.9):
        return "tree"
    if _is_grep(found):
        return "flat"
    if _is_heading(found):
        return "heading"
    if n > 1 and all(_STATUS.match(line) for line in found):
        return "flat" if any("/" in line or _EXTENSION.search(line) for line in found) else ""
    if _is_listing(found):
        return "listing"
    return "flat" if _are_paths(found) else ""


def _is_grep(found: list[str]) -> bool:
    matches = [_NUMBERED.match(line) for line in found]
    hits = sum(match is not None and _is_path(match["path"]) for match in matches)
    if hits:
        others = sum(
            match is None and (line == "--" or bool(_CONTEXT.match(line) or _BINARY.match(line)))
            for match, line in zip(matches, found, strict=True)
        )
        return hits >= 1 and (hits + others) * 10 >= 9 * len(found)
    plain = [match for line in found if (match := _UNNUMBERED.match(line))]
    return len(found) >= 2 and len(plain) * 10 >= 9 * len(found)


def _is_path(path: str) -> bool:
    return "/" in path or "\\" in path or _EXTENSION.search(path) is not None


def _is_heading(found: list[str]) -> bool:
    """A path, then numbered lines."""
    heads = sum(bool(_UNDER.match(b) and _is_head(a)) for a, b in pairwise(found))
    under = sum(bool(_UNDER.match(line)) for line in found)
    return heads >= 1 and _is_head(found[0]) and (heads + under) * 10 >= 9 * len(found)


def _is_head(line: str) -> bool:
    return _ONLY_PATH.match(line) is not None and _is_path(line) and not _UNDER.match(line)


def _is_listing(found: list[str]) -> bool:
    """``ls -R``: ``./directory:`` and names below."""
    heads = [match["path"] for line in found if (match := _LISTED.match(line))]
    if not heads or not (found[0].endswith(":") and all(_ONLY_PATH.match(head) for head in heads)):
        return False
    names = sum(len(line.split()) <= 8 and ":" not in line for line in found)
    return (
        ("/" in heads[0] or heads[0] == ".") and len(heads) + names >= len(found) and len(found) > 1
    )


def _are_paths(found: list[str]) -> bool:
    paths = [line for line in found if _ONLY_PATH.match(line.strip())]
    if len(paths) * 20 < 19 * len(found):
        return False
    clear = sum("/" in line.strip("/") or "\\" in line for line in paths)
    named = sum(_EXTENSION.search(line) is not None for line in paths)
    spaced = sum(" " in line.strip() for line in paths)
    return (
        clear * 2 >= len(paths) or (named == len(paths) and len(paths) > 1)
    ) and spaced * 4 <= len(paths)


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add the entries of a region."""
    shape = _shape(sample(out.text, start, end))
    if not shape:
        return False
    found = rows(out.text, start, end)
    if shape == "tree":
        _read_tree(out, found, parent)
    elif shape in ("heading", "listing"):
        _read_headed(out, found, parent, _UNDER if shape == "heading" else None)
    else:
        _read_flat(out, found, parent)
    return True


def _read_flat(out: Builder, found: list[Row], parent: int) -> None:
    for row in found:
        body = out.text[row.first : row.stop]
        if body == "--":  # between groups of lines
            add_row(out, row, parent, content=False)
        elif _CONTEXT.match(body) and not _NUMBERED.match(body):
            add_row(out, row, parent)
        else:
            out.add(row.first, row.stop, Kind.ENTRY, parent)


def _read_headed(
    out: Builder, found: list[Row], parent: int, under: re.Pattern[str] | None
) -> None:
    """Names of files or directories, and what stands below each."""
    head = parent
    for i, row in enumerate(found):
        body = out.text[row.body : row.stop]
        if under is None:
            is_head = _LISTED.match(body) is not None
        else:
            is_head = not under.match(body) and body != "--"
        if is_head:
            following = found[i + 1] if i + 1 < len(found) else None
            alone = following is None or (under is None and following.gap)
            head = out.add(
                row.first,
                row.stop,
                Kind.ENTRY,
                parent,
                whole=not alone,
                content=alone,
                label=body.rstrip(":"),
            )
        else:
            out.add(row.first, row.stop, Kind.ENTRY, head, content=body != "--")


def _read_tree(out: Builder, found: list[Row], parent: int) -> None:
    """A drawn tree: what stands deeper belongs to the directory above it."""
    open_ = [(-1, parent)]  # column of the name, part
    for row in found:
        body = out.text[row.body : row.stop]
        branch = _TREE.match(body)
        column = branch.end() if branch else 0
        while len(open_) > 1 and open_[-1][0] >= column:
            open_.pop()
        name = body[column:].strip()
        root = branch is None and (row is found[0] or _ONLY_PATH.match(name) is not None)
        part = out.add(
            row.first,
            row.stop,
            Kind.ENTRY,
            open_[-1][1] if branch else parent,
            whole=True,
            label=name[:80] if branch or root else "",
        )
        if (branch or root) and len(open_) < _DEPTH:
            open_.append((column, part))
