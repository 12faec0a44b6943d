"""Headings and what stands under them, read with nothing of the package: an independent check."""

from __future__ import annotations

import re

MARK = re.compile(r"[\s#/|*<!-]*… \d+ \w+[\s|/>*-]*")
_BULLET = re.compile(r"(?:[-*+]|\d+[.)])\s+")


def outline(text: str) -> list[tuple[tuple[str, ...], str]]:
    """``(heading path, line)`` of every line that is no heading, fences left as they are."""
    path: list[tuple[int, str]] = []
    found, fence = [], ""
    for line in text.split("\n"):
        opening = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if opening and not fence:
            fence = opening[1]
        elif opening and opening[1].startswith(fence) and not line.strip().strip("`~"):
            fence = ""
        heading = re.match(r"(#{1,6})\s+(.*)", line)
        if heading and not fence:
            path = [p for p in path if p[0] < len(heading[1])]
            path.append((len(heading[1]), heading[2].strip()))
        elif line.strip() and not MARK.fullmatch(line):
            found.append((tuple(title for _, title in path), " ".join(line.split())))
    return found


def moved(source: str, output: str) -> list[str]:
    """What the output says under another heading than the source, or without one of them."""
    under: dict[tuple[str, ...], str] = {}
    for path, line in outline(source):
        under[path] = under.get(path, "") + "\n" + line
    return [
        f"{line!r} under {path}"
        for path, line in outline(output)
        if _BULLET.sub("", line, count=1) not in under.get(path, "")
    ]


def nesting(text: str) -> dict[str, str]:
    """The item that each list item is indented under, "" for those of the first level."""
    above: list[tuple[int, str]] = []
    found = {}
    for line in text.split("\n"):
        match = re.match(r"( *)(?:[-*+]|\d+[.)]) +(.*)", line)
        if not match:
            if line.strip() and not line.startswith(" ") and not MARK.fullmatch(line):
                above = []
            continue
        column = len(match[1])
        above = [a for a in above if a[0] < column]
        found[match[2]] = above[-1][1] if above else ""
        above.append((column, match[2]))
    return found
