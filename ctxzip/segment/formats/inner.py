"""What lies inside another format: a fence in markdown, a long string in JSON, a pasted block."""

from __future__ import annotations

from ctxzip.segment.formats import snippet
from ctxzip.segment.formats.table import matching
from ctxzip.segment.tree import Builder

__all__ = ["depth", "inner"]

_MARKUP = frozenset(("html", "htm", "xhtml", "xml", "svg", "vue", "svelte", "jinja", "django"))
_DEEP = 60  # parts above; formats inside formats beyond this are lines


def depth(out: Builder, part: int) -> int:
    """How many parts stand above the ones below ``part``, itself included."""
    count = 0
    while part >= 0:
        part = out.parent[part]
        count += 1
    return count


def inner(
    out: Builder, start: int, end: int, parent: int, hint: str = "", *, code: bool = False
) -> str:
    """Add the parts of a region by its own format, whatever that is.

    Args:
        out: takes the parts.
        start: first character of the region.
        end: one past its last.
        parent: the part that they belong to; its style becomes that of the format.
        hint: an extension or the tag of a fence, in lower case, or "".
        code: it is shown as it is written, like a fence in a document: markup is no page, white
            space no noise.

    Returns:
        The name of the format, "" where the region is blank.
    """
    text = out.text
    while start < end and text[end - 1].isspace():
        end -= 1
    if not text[start:end].strip():
        return ""
    if code:
        out.keep(start, end)
    known = hint in snippet.LANGUAGES or (code and hint in _MARKUP)
    if not known and depth(out, parent) <= _DEEP:
        for row in matching(text, start, end, hint):
            if row.module == "snippet" or (code and row.module in _MARKUP):
                continue
            reader = row.reader()
            if reader.read(out, start, end, parent):
                if parent >= 0:
                    out.restyle(parent, reader.STYLE)
                return row.name
    if parent >= 0:
        out.restyle(parent, snippet.style(hint))
    snippet.read(out, start, end, parent)
    return "snippet"
