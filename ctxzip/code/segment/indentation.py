"""Source text that no grammar reads: statements, bodies and definitions by their indentation."""

from __future__ import annotations

import re

from ctxzip.code.segment.tree import Builder, CodeNode, NodeKind

__all__ = ["by_indentation"]

_DEEPEST = 40
# What only continues or closes the statement before it.
_CLOSES = re.compile(
    r"\s*(?:[)\]}]|(?:end|fi|done|esac|else|elif|elsif|elseif|except|finally|catch|rescue|ensure"
    r"|then|begin|where|endif|endwhile|endfor|endfunction|endmodule|endtask|endcase|until|loop)\b)",
    re.I,
)
_OPENS = re.compile(r"\s*[{(\[]\s*$")
_FUNCTION = re.compile(
    r"\s*(?:[\w@.:<>\[\]*&]+\s+)*?(?:def|fn|fun|func|function|sub|proc|procedure|method|macro"
    r"|subroutine|task|defun|defmacro|defp?|let rec)\b[\s*]*([\w.:!?'-]*)",
    re.I,
)
_CLASS = re.compile(
    r"\s*(?:[\w@]+\s+)*?(?:class|struct|interface|trait|module|namespace|object|impl|enum"
    r"|protocol|extension|record|package body|type)\s+([\w.:]+)",
    re.I,
)
_CALL_LIKE = re.compile(r"\s*[\w:<>*&\[\]. ]*?([A-Za-z_]\w*)\s*\([^;]*\)[^;]*\{\s*$")
_NOT_CALLS = frozenset({"if", "for", "while", "switch", "catch", "return", "foreach", "using"})
_COMMENT = re.compile(r"\s*(?:#(?!include|define|if|endif|else)|//|--|;|%|/\*|\*(?:\s|/|$)|\"\"\")")


def by_indentation(builder: Builder, first: int, end: int, marker: str, parent: int = -1) -> None:
    """Add the nodes of some lines.

    A statement is a line with the deeper lines behind it and the line that closes it; comments go
    with what they stand over.

    Args:
        builder: takes the nodes.
        first: the first line.
        end: one past the last.
        marker: pattern of the markers.
        parent: index of the node around them.
    """
    widths = [
        len(line.expandtabs(8)) - len(line.expandtabs(8).lstrip()) if line.strip() else -1
        for line in builder.lines[first:end]
    ]
    depth = builder.nodes[parent].depth + 1 if parent >= 0 else 0
    _Indentation(builder, first, widths, marker).read(first, end, parent, depth)


class _Indentation:
    def __init__(self, builder: Builder, shift: int, widths: list[int], marker: str) -> None:
        self._builder = builder
        self._shift = shift
        self._widths = widths
        self._marker = marker

    def _width(self, line: int) -> int:
        return self._widths[line - self._shift]

    def read(self, first: int, end: int, parent: int, depth: int) -> None:
        """Add the statements of some lines and what is in them."""
        builder, group = self._builder, self._builder.group()
        at = builder.blanks(first, end)
        if at >= end:
            return
        indent = builder.indent(at)
        while at < end:
            start = at
            at = self._statement(at, end)
            stop = at
            while stop > start and self._width(stop - 1) < 0:
                stop -= 1
            head = self._head(start, stop)
            kind, name = self._kind(head, stop)
            index = builder.add(
                CodeNode(
                    start, stop, builder.blanks(stop, end), kind, name, parent, group, depth, 0,
                    indent, self._marker, head=head,
                )
            )  # fmt: skip
            inner = self._body(head, stop)
            if depth < _DEEPEST and inner is not None:
                self.read(*inner, index, depth + 1)
            builder.close(index)
            at = builder.blanks(stop, end)

    def _statement(self, at: int, end: int) -> int:
        """One past a statement: its comments, its line, what is deeper, what closes it."""
        lines = self._builder.lines
        base = self._width(at)
        while at + 1 < end and _COMMENT.match(lines[at]) and self._width(at + 1) == base:
            at += 1
        at += 1
        while at < end:
            width = self._width(at)
            if width < 0:
                following = self._builder.blanks(at, end)
                if following >= end or self._width(following) <= base:
                    if following < end and self._width(following) == base:
                        closes = _CLOSES.match(lines[following]) is not None
                        at = following if closes else at
                        if closes:
                            continue
                    break
                at = following
            elif width > base or (width == base and self._continues(lines[at])):
                at += 1
            else:
                break
        return at

    @staticmethod
    def _continues(line: str) -> bool:
        return _CLOSES.match(line) is not None or _OPENS.fullmatch(line) is not None

    def _head(self, start: int, stop: int) -> int:
        while start + 1 < stop and _COMMENT.match(self._builder.lines[start]):
            start += 1
        return start

    def _kind(self, head: int, stop: int) -> tuple[NodeKind, str]:
        line = self._builder.lines[head][:160]  # some of the patterns are not linear
        if stop - head < 2:
            return "code", ""
        if found := _CLASS.match(line):
            return "class", found.group(1)
        if found := _FUNCTION.match(line):
            return "function", found.group(1)
        if (found := _CALL_LIKE.match(line)) and found.group(1) not in _NOT_CALLS:
            return "function", found.group(1)
        return "code", ""

    def _body(self, head: int, stop: int) -> tuple[int, int] | None:
        """The first run of lines that are deeper than the statement's own."""
        base = self._width(head)
        first = head + 1
        while first < stop and self._width(first) <= base:
            first += 1
        last = first
        while last < stop and (self._width(last) > base or self._width(last) < 0):
            last += 1
        return (first, last) if first < last else None
