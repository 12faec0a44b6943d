"""Subtitles, SRT and WebVTT: a cue is its number, its times and its text."""

from __future__ import annotations

import re

from ctxzip.segment.formats.lines import lines
from ctxzip.segment.tree import PLAIN, Builder
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

# A mark in place would become the text of a cue.
STYLE = PLAIN
_TIME = r"(?:\d{1,3}:)?\d{1,2}:\d{2}[,.]\d{1,3}"
_TIMES = re.compile(rf"{_TIME}[ \t]*-->(?:[ \t]*{_TIME}(?=[ \t\r]|$).*)?")
_TAG = re.compile(r"<(?:v[^<>\n]*|[^<>\n]{0,60})>|\{\\[^{}\n]{0,60}\}")
_VOICE = re.compile(r"<v(?:\.[\w.-]+)?[ \t]+([^<>\n]{1,80})>")
_META = re.compile(r"(?:NOTE|STYLE|REGION)(?=[ \t]|$)")


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether the region begins with a cue, or with the header of WebVTT and then a cue."""
    rows = []
    for row in lines(text, start, min(end, start + 4000)):
        rows.append(row)
        if len(rows) == 40:
            break
    cues = [i for i, row in enumerate(rows) if _TIMES.fullmatch(text, row[1], row[2])]
    if not cues:
        return False
    if text.startswith("WEBVTT", rows[0][1]) or hint in ("srt", "vtt"):
        return True
    first = cues[0]
    return first == 0 or (first == 1 and text[rows[0][1] : rows[0][2]].lstrip("\ufeff").isdigit())


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add the cues of a region."""
    text = out.text
    blocks = _blocks(text, start, end)
    if not any(_cue(text, block) >= 0 for block in blocks[:40]):
        return False
    for i, block in enumerate(blocks):
        low, high = block[0][0], block[-1][1]
        at = _cue(text, block)
        if at >= 0:
            said = text[block[at + 1][0] : high] if at + 1 < len(block) else ""
            voice = _VOICE.search(said)
            out.add(
                low,
                high,
                Kind.MESSAGE,
                parent,
                content=bool(said),
                label=voice[1] if voice else "",
                reading=(f"{voice[1]}: " if voice else "") + _TAG.sub("", said).strip(),
            )
        elif i == 0 and text.startswith("WEBVTT", low):
            parent = out.add(low, high, Kind.HEAD, parent, content=False)
        elif _META.match(text, low, high):
            out.add(low, high, Kind.HEAD, parent, content=False)
        else:
            for first, stop in block:
                out.add(first, stop, Kind.LINE, parent)
    return True


def _blocks(text: str, start: int, end: int) -> list[list[tuple[int, int]]]:
    """The lines between blank lines, and from each number that stands above times."""
    found: list[list[tuple[int, int]]] = []
    previous = -1
    rows = list(lines(text, start, end))
    timed = [_TIMES.fullmatch(text, a, b) is not None for _, a, b in rows]
    for i, (_, first, stop) in enumerate(rows):
        blank = previous < 0 or text.count("\n", previous, first) > 1
        numbered = i + 1 < len(rows) and timed[i + 1] and text[first:stop].isdigit()
        if blank or numbered:
            found.append([])
        found[-1].append((first, stop))
        previous = stop
    return found


def _cue(text: str, block: list[tuple[int, int]]) -> int:
    """Which line of a block holds times, or -1."""
    for i, (first, stop) in enumerate(block[:2]):
        if _TIMES.fullmatch(text, first, stop):
            return i
    return -1
