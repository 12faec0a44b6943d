"""The tree of a text that has a structure: which reader takes it."""

from __future__ import annotations

import re

from ctxzip.segment.formats.table import matching
from ctxzip.segment.tree import Builder, Tree

__all__ = ["tree_of"]

_EXTENSION = re.compile(r"\.([A-Za-z][A-Za-z0-9]{0,9})$")


def tree_of(text: str, name: str = "") -> Tree | None:
    """The tree of a text.

    Args:
        text: any text.
        name: the document's title or id; where it is a file name, its extension is a hint.

    Returns:
        None for running text, which has no other parts than sentences.
    """
    end = len(text.rstrip(" \r\n\f\v"))  # tabs at the end of a line are empty cells
    start = len(text) - len(text.lstrip())
    if start >= end:
        return None
    extension = _EXTENSION.search(name.strip())
    hint = extension.group(1).lower() if extension else ""
    for row in matching(text, start, end, hint):
        if row.module == "snippet":
            continue
        reader = row.reader()
        out = Builder(text, reader.STYLE)
        if reader.read(out, start, end):
            return out.tree(row.name)
    return None
