"""Lines that nothing more is known about: source code, commands and their output, plain text.

Lines between two blank lines are a block that is best kept whole. A line belongs to the one above
it that is indented less, so that a statement keeps the header of its function and an option the
section that it is indented under.
"""

from __future__ import annotations

import re
from itertools import pairwise

from ctxzip.segment import sentences
from ctxzip.segment.formats.lines import lines
from ctxzip.segment.tree import LINES, Builder, Style
from ctxzip.text.units import Kind

__all__ = ["LANGUAGES", "STYLE", "fits", "read", "style"]

STYLE = LINES
_DEEP = 40
_LONG = 1500
_HASH = (
    "python py python3 pycon sh bash shell zsh fish ruby rb perl pl r julia jl elixir ex exs tcl"
    " nim make makefile dockerfile docker cmake powershell ps1 nix gdscript crystal awk"
)
_SLASHES = (
    "js javascript jsx ts typescript tsx java c h cpp c++ cc hpp cs csharp go golang rust rs swift"
    " kotlin kt scala dart php groovy gradle objc objective-c zig proto protobuf solidity sol scss"
    " less glsl cuda cu d fsharp f# v wgsl"
)
_DASHES = "haskell hs lua ada vhdl elm"
_SEMICOLON = "lisp clojure clj scheme racket asm nasm elisp"
_PREFIX = {
    **dict.fromkeys(_HASH.split(), "# "),
    **dict.fromkeys(_SLASHES.split(), "// "),
    **dict.fromkeys(_DASHES.split(), "-- "),
    **dict.fromkeys(_SEMICOLON.split(), "; "),
}
LANGUAGES = frozenset(_PREFIX)
_STYLES = {prefix: Style(prefix) for prefix in _PREFIX.values()}
_MARKUP = Style("<!-- ", " -->")
_CLOSES = re.compile(r"[)\]}]+[;,]?|end;?|fi|done|esac|\"\"\"|'''|\*/")
_GOES_ON = re.compile(r"(?:\} *)?(?:else|elif|elsif|except|catch|finally|rescue|ensure)\b")


def style(hint: str) -> Style:
    """How omissions are said in the language that ``hint`` names."""
    if hint in ("html", "htm", "xhtml", "xml", "svg", "vue", "svelte"):
        return _MARKUP
    prefix = _PREFIX.get(hint)
    return LINES if prefix is None else _STYLES[prefix]


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether the hint names a programming language; content alone says nothing."""
    return hint in LANGUAGES


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add the lines of a region, in blocks."""
    text = out.text
    above: list[tuple[int, int]] = []  # (indentation, part) of the lines that are still open
    block: tuple[int, int] | None = None  # the same of the first line of a block
    rows = list(lines(text, start, end))
    adjacent = [False, *(text.count("\n", a[2], b[0]) == 1 for a, b in pairwise(rows))]
    fence = -1  # a fence inside the code, as in a docstring
    for (low, first, stop), follows in zip(rows, adjacent, strict=True):
        if fence >= 0:
            closes = text.startswith(("```", "~~~"), first) and not text[first:stop].strip("`~")
            kind = Kind.CLOSER if closes else Kind.LINE
            out.add(first, stop, kind, fence, always=closes, content=not closes)
            fence = -1 if closes else fence
            continue
        indent = len(text[low:first].expandtabs(4)) if first > low else 0
        while above and above[-1][0] > indent:
            above.pop()
        closes = bool(above) and above[-1][0] == indent
        closes = closes and _CLOSES.fullmatch(text, first, stop) is not None
        opener = above[-1][1] if above and above[-1][0] == indent else -1
        if opener >= 0 and not closes and not _GOES_ON.match(text, first, stop):
            above.pop()
            opener = -1
        if block is not None and block[0] > indent:
            block = None
        if closes:
            out.add(first, stop, Kind.CLOSER, opener, always=True, content=False)
            continue
        below = above[-1][1] if above else parent
        if opener >= 0:
            below, indent = opener, indent + 1
        elif follows and block is not None and block[0] == indent:
            below = block[1]
        at = _line(out, first, stop, below)
        if text.startswith(("```", "~~~"), first):
            fence = at
        if opener < 0 and (not follows or block is None):
            block = (indent, at)
        if len(above) < _DEEP:
            above.append((indent, at))
    return True


def _line(out: Builder, start: int, end: int, parent: int) -> int:
    """Add a line; one that is far too long in pieces that belong to its beginning."""
    if end - start <= _LONG:
        return out.add(start, end, Kind.LINE, parent, whole=True)
    units = sentences.split(out.text[start:end])
    spans = zip(units.start.tolist(), units.end.tolist(), strict=True)
    low, high = next(spans)
    at = out.add(start + low, start + high, Kind.LINE, parent, whole=True)
    for low, high in spans:
        out.add(start + low, start + high, Kind.SENTENCE, at)
    return at
