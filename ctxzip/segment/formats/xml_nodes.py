"""Tags of XML as nodes in the order of the source, as far as they nest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["CLOSE", "LEAF", "OPEN", "OTHER", "PROLOG", "TEXT", "Nodes", "parse"]

OPEN, LEAF, CLOSE, TEXT, OTHER, PROLOG = range(6)

_DEPTH = 1_000  # deeper nesting is no data

_NAME = r"[A-Za-z_\u0080-\U0010ffff][\w:.\-]*+"
_CDATA = r"<!\[CDATA\[(?:[^\]]++|\](?!\]>))*+\]\]>"
_TOKEN = re.compile(
    rf"""\s*+(?:
    <(?P<name>{_NAME})(?P<attributes>(?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+)>
        (?:(?<=/>)|(?P<leaf>[^<]*+(?:{_CDATA}[^<]*+)?+)(?P<ends></(?P=name)\s*+>)|)
    |</(?P<close>{_NAME})\s*+>
    |(?P<other><!--(?:[^-]++|-(?!->))*+-->|{_CDATA})
    |(?P<prolog><\?(?:[^?]++|\?(?!>))*+\?>|<![A-Z][^<>\[]*+(?:\[(?:[^\]"']++|"[^"]*+"|'[^']*+')*+\]\s*+)?>)
    |(?P<text>[^<\s][^<]*+))""",
    re.VERBOSE,
)


@dataclass(slots=True)
class Nodes:
    """The nodes of a document, in source order.

    Attributes:
        kind: ``OPEN`` tag, ``LEAF`` element, ``CLOSE`` tag, ``TEXT`` beside elements, ``OTHER``
            (comment, CDATA) or ``PROLOG`` (declaration, processing instruction).
        name: of the element, or "".
        start: of each.
        end: one past it.
        inner: where the attributes begin, for elements.
        body: where the text of a leaf begins; 0 where it has none.
        parent: number of the open tag that each stands in, or -1.
        mate: for an open tag the number of its closing tag, -1 without.
        depth: number of open tags around.
        stop: how far the source was read.
    """

    kind: list[int] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    inner: list[int] = field(default_factory=list)
    body: list[int] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    mate: list[int] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)
    stop: int = 0

    def __len__(self) -> int:
        return len(self.kind)

    def add(
        self, kind: int, name: str, start: int, end: int, inner: int, body: int, stack: list[int]
    ) -> None:
        """Add a node below the last of ``stack``."""
        self.kind.append(kind)
        self.name.append(name)
        self.start.append(start)
        self.end.append(end)
        self.inner.append(inner)
        self.body.append(body)
        self.parent.append(stack[-1] if stack else -1)
        self.mate.append(-1)
        self.depth.append(len(stack))


def parse(text: str, start: int, end: int) -> Nodes:
    """Nodes up to where the tags do not nest any more."""
    nodes = Nodes(stop=start)
    stack: list[int] = []
    names: list[str] = []
    match = _TOKEN.match
    at = start
    while at < end and (token := match(text, at, end)) is not None:
        group = token.lastgroup
        stop = token.end()
        if group in ("attributes", "ends"):
            a = token.start("name") - 1
            name = token["name"]
            inner = a + 1 + len(name)
            if group == "ends":
                nodes.add(LEAF, name, a, stop, inner, token.start("leaf"), stack)
            elif text[stop - 2] == "/":
                nodes.add(LEAF, name, a, stop, inner, 0, stack)
            elif len(stack) >= _DEPTH:
                break
            else:
                nodes.add(OPEN, name, a, stop, inner, 0, stack)
                stack.append(len(nodes) - 1)
                names.append(name)
        elif group == "close":
            name = token["close"]
            if not names or names[-1] != name:
                if name not in names[-20:]:
                    break
                while names[-1] != name:
                    names.pop()
                    stack.pop()
            nodes.mate[stack[-1]] = len(nodes)
            names.pop()
            nodes.add(CLOSE, name, token.start("close") - 2, stop, 0, 0, stack)
            stack.pop()
        elif group == "text":
            a = token.start("text")
            body = token["text"].rstrip()
            nodes.add(TEXT, "", a, a + len(body), 0, 0, stack)
        else:
            kind, group = (PROLOG, "prolog") if group == "prolog" else (OTHER, "other")
            nodes.add(kind, "", token.start(group), stop, 0, 0, stack)
        at = stop
        nodes.stop = at
    return nodes
