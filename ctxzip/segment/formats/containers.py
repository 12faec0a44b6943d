"""Nodes in brackets as parts of a tree: records with their identity, small ones as one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ctxzip.segment.formats.brackets import Nodes
from ctxzip.segment.formats.identity import describes, identity
from ctxzip.segment.formats.strings import LONG, LONGER, add_string
from ctxzip.segment.tree import PLAIN, Builder, Style
from ctxzip.text.units import Kind

__all__ = ["INSIDE", "add_nodes"]

INSIDE = Style(None, separator=",")
_SMALL = 60  # characters of a container that stands whole
_ROW = 400  # of one inside a list of lists
_SECTION = 2000  # of an object of scalars that is best kept whole
_READ = 4000  # of what a model reads for a record
_QUOTES = "\"'"
_COLUMNS = re.compile(r"columns?|headers?|fields|names|schema|keys", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class _Shape:
    """What the nodes are: children of containers, leaves, records, and what always comes along."""

    keys: list[str]
    children: dict[int, list[int]]
    leaf: list[bool]
    record: list[bool]
    always: list[bool]
    owner: dict[int, str] = field(default_factory=dict)  # record: what identifies it


def add_nodes(
    out: Builder, nodes: Nodes, parent: int = -1, between: Sequence[tuple[int, int]] = ()
) -> list[int]:
    """Add nodes below ``parent``.

    Args:
        out: where to.
        nodes: what was read.
        parent: what the outermost ones belong to.
        between: lines that stand between the outermost ones.

    Returns:
        The part of each node, -1 inside of one that is kept whole.
    """
    out.drop_all(nodes.noise)
    return _Writer(out, nodes, _shape(out.text, nodes), parent, list(reversed(between))).write()


def _shape(text: str, nodes: Nodes) -> _Shape:
    n = len(nodes)
    children: dict[int, list[int]] = {-1: []}
    for i, above in enumerate(nodes.parent):
        if above in children:
            children[above].append(i)
        else:
            children[above] = [i]
    is_open = [end >= 0 for end in nodes.open_end]
    of_list = [a < 0 or nodes.key_end[i] < 0 for i, a in enumerate(nodes.parent)]
    small = [
        not container or (nodes.close[i] >= 0 and nodes.size[i] <= _SMALL)
        for i, container in enumerate(is_open)
    ]
    keys = [
        text[a:b].strip(_QUOTES) if b >= 0 else ""
        for a, b in zip(nodes.start, nodes.key_end, strict=True)
    ]
    shape = _Shape(keys, children, small, [False] * n, [False] * n)
    for above, below in children.items():
        containers = [i for i in below if is_open[i]]
        if not containers:
            continue
        if of_list[containers[0]]:
            _mark_list(text, nodes, shape, above, containers)
        elif len(containers) == len(below) >= 2 and all(
            nodes.key_end[children.get(i, [i])[0]] >= 0 for i in containers
        ):
            for i in containers:  # an object of objects: their keys identify them
                shape.record[i] = True
        if above >= 0 and any(not shape.leaf[i] for i in containers):
            _mark_owner(text, nodes, shape, below)
    return shape


def _scalars(
    text: str, nodes: Nodes, keys: list[str], below: list[int]
) -> dict[str, tuple[str, tuple[int, ...]]]:
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for i in below:
        if nodes.open_end[i] < 0 and nodes.key_end[i] >= 0:
            found.setdefault(keys[i], (text[nodes.value[i] : nodes.end[i]], (i,)))
    return found


def _mark_list(text: str, nodes: Nodes, shape: _Shape, above: int, items: list[int]) -> None:
    """Records of a list, and the fields that identify them; rows of a list of lists."""
    objects = [i for i in items if nodes.key_end[shape.children.get(i, [i])[0]] >= 0]
    single = above < 0 and len(items) == 1
    for i in items:
        shape.record[i] = not single
    if len(objects) < len(items):
        kept = set(objects)
        for i in items:
            below = shape.children.get(i, [])
            flat = all(nodes.open_end[j] < 0 for j in below)
            if i not in kept and flat and nodes.close[i] >= 0 and nodes.size[i] <= _ROW:
                shape.leaf[i] = True
            elif i not in kept and below and not single and nodes.open_end[below[0]] < 0:
                shape.always[below[0]] = True  # the first cell of a long row
    if not objects or single:
        return
    fields = [_scalars(text, nodes, shape.keys, shape.children[i]) for i in objects]
    every = [{k: v for k, (v, _) in f.items()} for f in fields]
    names = identity(every)
    if len(every) > 1 and not any(_differs(every, name) for name in names):
        fields = [f | _nested(text, nodes, shape, i) for f, i in zip(fields, objects, strict=True)]
        names = identity([{k: v for k, (v, _) in f.items()} for f in fields])
    for i, record in zip(objects, fields, strict=True):
        for name in names if any(x in record for x in names) else list(record)[:1]:
            if name in record:
                value, path = record[name]
                for j in path:
                    shape.always[j] = True
                shape.owner.setdefault(i, value.strip(_QUOTES)[:80])


def _differs(records: list[dict[str, str]], name: str) -> bool:
    return len({record.get(name) for record in records}) == len(records)


def _nested(
    text: str, nodes: Nodes, shape: _Shape, record: int
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Scalars one level further down, such as ``metadata.name``."""
    found = {}
    for i in shape.children[record]:
        if nodes.open_end[i] >= 0 and i in shape.children:
            for name, (value, path) in _scalars(text, nodes, shape.keys, shape.children[i]).items():
                found[f"{shape.keys[i]}.{name}"] = (value, (i, *path))
    return found


def _mark_owner(text: str, nodes: Nodes, shape: _Shape, below: list[int]) -> None:
    """What says whose the containers of an object are, and the columns of its rows."""
    scalars = _scalars(text, nodes, shape.keys, below)
    for name in describes({k: v for k, (v, _) in scalars.items()}):
        shape.always[scalars[name][1][0]] = True
    lists = [i for i in below if nodes.open_end[i] >= 0 and shape.children.get(i)]
    if any(nodes.open_end[shape.children[i][0]] >= 0 for i in lists):
        for i in lists:
            if _COLUMNS.fullmatch(shape.keys[i]) and nodes.close[i] >= 0:
                flat = all(nodes.open_end[j] < 0 for j in shape.children[i])
                if flat and nodes.size[i] <= _SECTION:
                    shape.leaf[i] = shape.always[i] = True


class _Writer:
    def __init__(
        self,
        out: Builder,
        nodes: Nodes,
        shape: _Shape,
        parent: int,
        between: list[tuple[int, int]],
    ) -> None:
        self.out, self.nodes, self.shape, self.parent = out, nodes, shape, parent
        self.between = between
        self.part = [-1] * len(nodes)
        self.open: list[int] = []

    def write(self) -> list[int]:
        nodes, leaf = self.nodes, self.shape.leaf
        i, n = 0, len(nodes)
        while i < n:
            while self.open and i >= nodes.last[self.open[-1]]:
                self._close(self.open.pop())
            if self.between and nodes.parent[i] < 0:
                self._lines(nodes.start[i])
            if leaf[i]:
                self._leaf(i)
                i = nodes.last[i]
            else:
                self._head(i)
                i += 1
        while self.open:
            self._close(self.open.pop())
        self._lines(len(self.out.text))
        return self.part

    def _lines(self, before: int) -> None:
        while self.between and self.between[-1][0] < before:
            start, end = self.between.pop()
            self.out.add(start, end, Kind.LINE, self.parent)

    def _above(self, i: int) -> int:
        above = self.nodes.parent[i]
        return self.part[above] if above >= 0 else self.parent

    def _tuple(self, i: int) -> bool:
        """Whether a node is a container in which every element owns its comma."""
        at = self.nodes.open_end[i] - 1 if i >= 0 else -1
        return at >= 0 and self.out.text[at] == "(" and at == self.nodes.value[i]

    def _end(self, i: int) -> int:
        """Where the last part of an element ends."""
        nodes = self.nodes
        comma = nodes.comma[i]
        return comma if comma >= 0 and self._tuple(nodes.parent[i]) else nodes.end[i]

    def _always(self, i: int) -> bool:
        above = self.nodes.parent[i]
        return self.shape.always[i] or (above == i - 1 and self._tuple(above))

    def _leaf(self, i: int) -> None:
        nodes, out, shape = self.nodes, self.out, self.shape
        above, always, end = self._above(i), self._always(i), self._end(i)
        value, above_i = nodes.value[i], nodes.parent[i]
        long = LONGER if above_i >= 0 and shape.record[above_i] else LONG
        if end - value > long and nodes.open_end[i] < 0:
            quoted = out.text[value] in _QUOTES and out.text[value] == out.text[nodes.end[i] - 1]
            if quoted and end == nodes.end[i] and out.text.find("\n", value, end) < 0:
                self.part[i] = len(out.start)
                if add_string(out, nodes.start[i], value, end, above, always=always):
                    return
        if shape.record[i]:
            kind = Kind.RECORD if self._keyed(i) else Kind.ROW
        else:
            kind = Kind.FIELD if nodes.key_end[i] >= 0 else Kind.ENTRY
        self.part[i] = out.add(nodes.start[i], end, kind, above, always=always)

    def _keyed(self, i: int) -> bool:
        below = self.shape.children.get(i)
        return not below or self.nodes.key_end[below[0]] >= 0

    def _head(self, i: int) -> None:
        nodes, out, shape = self.nodes, self.out, self.shape
        below = shape.children.get(i, [])
        flat = all(shape.leaf[j] for j in below)
        key = shape.keys[i]
        kind = Kind.HEAD
        if shape.record[i]:
            kind = Kind.RECORD if self._keyed(i) else Kind.ROW
        whole = nodes.close[i] >= 0 and (
            shape.record[i] or (flat and nodes.size[i] <= (_SECTION if self._keyed(i) else LONG))
        )
        self.part[i] = out.add(
            nodes.start[i],
            nodes.open_end[i],
            kind,
            self._above(i),
            always=self._always(i),
            whole=whole,
            content=False,
            label=key or shape.owner.get(i, "") or self._name(i),
            reading=self._reading(i) if whole and nodes.size[i] <= _READ else None,
            style=PLAIN if self._tuple(i) else INSIDE,
        )
        self.open.append(i)

    def _name(self, i: int) -> str:
        return self.out.text[self.nodes.value[i] : self.nodes.open_end[i] - 1]

    def _reading(self, i: int) -> str:
        """Keys and values of a record, without its punctuation."""
        nodes, text, keys = self.nodes, self.out.text, self.shape.keys
        words = []
        for j in range(i, nodes.last[i]):
            key = keys[j]
            if nodes.open_end[j] < 0:
                value = text[nodes.value[j] : nodes.end[j]].strip(_QUOTES)
                words.append(f"{key}: {value}; " if key else f"{value}; ")
            elif key:
                words.append(f"{key}: ")
        return "".join(words).rstrip("; ")

    def _close(self, i: int) -> None:
        close = self.nodes.close[i]
        if close >= 0:
            self.out.add(close, self._end(i), Kind.CLOSER, self.part[i], always=True, content=False)
