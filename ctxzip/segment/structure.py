"""JSON documents as members that can be kept or dropped while the rest stays parseable.

``json.loads`` decides what is JSON; after that brackets, commas and quotes are found and paired
with array operations, so that neither size nor depth costs a Python loop.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ctxzip.kit.arrays import BoolArray, IntArray
from ctxzip.text.units import Kind, Units

__all__ = ["JsonLayout", "json_members"]

_SMALL = 40  # characters up to which an object or array is kept or dropped as a whole


@dataclass(frozen=True, slots=True, eq=False)
class JsonLayout:
    """The members of a JSON document and how to cut it down to some of them.

    Attributes:
        units: the n leaf members, kind ``JSON_MEMBER``, in source order: scalars with their key,
            scalars in arrays, empty and small containers.
    """

    units: Units
    _members: _Members
    _pieces: _Pieces

    def spans(self, selected: BoolArray) -> list[tuple[int, int]]:
        """Slices of the source that hold exactly the selected members.

        Args:
            selected: bool, shape (n,), one entry per unit.

        Returns:
            ``(start, end)`` pairs in order; concatenated they are valid JSON (or JSON Lines)
            with the selected members in their containers. Containers without a selected member
            are left out, but for the outermost. The whole text if everything is selected.
        """
        members, pieces = self._members, self._pieces
        before = np.concatenate(([0], np.cumsum(selected, dtype=np.int64)))
        kept = before[members.high] > before[members.low]
        kept[0] |= members.rooted
        follows = before[members.low] > before[members.parent_low]
        keep = kept[pieces.member] & (~pieces.comma | follows[pieces.member])
        keep[pieces.always] = True
        keep &= pieces.end > pieces.start
        start, end = pieces.start[keep], pieces.end[keep]
        if not len(start):
            return []
        joint = start[1:] == end[:-1]
        first = np.concatenate(([True], ~joint))
        last = np.concatenate((~joint, [True]))
        return list(zip(start[first].tolist(), end[last].tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class _Members:
    """Leaves and containers: the leaves they hold as ``[low, high)``, in source order."""

    low: IntArray
    high: IntArray
    parent_low: IntArray
    rooted: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Pieces:
    """Slices that tile the source; each stands or falls with a member."""

    start: IntArray
    end: IntArray
    member: IntArray
    comma: BoolArray
    always: IntArray


def json_members(text: str) -> JsonLayout | None:
    """Lay out a text that is JSON as a whole.

    Args:
        text: one JSON object or array, or JSON Lines (at least two lines, an object or array
            each).

    Returns:
        None where the text is anything else, is nested too deeply for ``json.loads``, or has no
        members.
    """
    stripped = text.strip(" \t\r\n")
    if not stripped or stripped[0] not in "{[" or stripped[-1] not in "}]":
        return None
    lines = _is_json_lines(text)
    if not lines and not _parses(stripped):
        return None
    return _layout(text, lines)


def _parses(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _is_json_lines(text: str) -> bool:
    first, _, rest = text.lstrip(" \t\r\n").partition("\n")
    if not rest or rest.isspace() or not _parses(first):
        return False
    lines = (line.strip(" \t\r") for line in rest.split("\n"))
    return all(not line or (line[0] in "{[" and _parses(line)) for line in lines)


@dataclass(frozen=True, slots=True, eq=False)
class _Tokens:
    """Brackets (1 opens, -1 closes) and commas (0) outside strings, a virtual pair around all."""

    position: IntArray
    kind: IntArray
    before: IntArray  # one past the last character before the token that is not whitespace
    behind: IntArray  # the first such character behind it
    opener: IntArray  # the opening bracket that a comma or closing bracket belongs to
    closer: IntArray  # the closing bracket of an opening one


_OPEN, _CLOSE, _COMMA, _QUOTE, _ESCAPE, _WHITE = range(1, 7)
_CLASS = np.zeros(256, np.uint8)
for _characters, _class in (
    (b"[{", _OPEN),
    (b"]}", _CLOSE),
    (b",", _COMMA),
    (b'"', _QUOTE),
    (b"\\", _ESCAPE),
    (b" \t\r\n", _WHITE),
):
    _CLASS[list(_characters)] = _class


def _tokens(text: str, lines: bool) -> _Tokens:
    # One byte a character: what is not Latin-1 becomes a question mark, which JSON never uses.
    classes = _CLASS[np.frombuffer(text.encode("latin-1", "replace"), np.uint8)]
    quotes = np.flatnonzero(classes == _QUOTE)
    escape_start, escape_end = _runs(classes == _ESCAPE)
    if len(escape_start):
        run = np.searchsorted(escape_end, quotes)
        run = np.minimum(run, len(escape_end) - 1)
        odd = (escape_end[run] - escape_start[run]) % 2 == 1
        quotes = quotes[~((escape_end[run] == quotes) & odd)]
    inside = np.zeros(len(classes), np.bool_)
    inside[quotes] = True
    np.logical_xor.accumulate(inside, out=inside)
    position = np.flatnonzero((classes > 0) & (classes <= _COMMA) & ~inside)
    kind = np.array([0, 1, -1, 0], np.int64)[classes[position]]
    if lines:
        ends = np.flatnonzero((np.cumsum(kind) == 0) & (kind == -1))[:-1]
        position = np.insert(position, ends + 1, position[ends] + 1)
        kind = np.insert(kind, ends + 1, 0)
    position = np.concatenate(([-1], position, [len(classes)]))
    kind = np.concatenate(([1], kind, [-1]))
    start, end = _runs(classes == _WHITE)
    # A run of length 0 at either side, so that every search finds one.
    start = np.concatenate(([-2], start, [len(classes) + 2]))
    end = np.concatenate(([-2], end, [len(classes) + 2]))
    run = np.searchsorted(start, position) - 1
    before = np.where(end[run] >= position, start[run], position)
    run = np.searchsorted(end, position + 1, side="right")
    behind = np.where(start[run] <= position + 1, end[run], position + 1)
    return _Tokens(position, kind, before, behind, *_pairs(kind))


def _runs(mask: BoolArray) -> tuple[IntArray, IntArray]:
    """Start and end of each run of True."""
    padded = np.concatenate(([False], mask, [False]))
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return edges[::2], edges[1::2]


def _pairs(kind: IntArray) -> tuple[IntArray, IntArray]:
    """The container of each token: sorted by depth, the tokens of a container are neighbours."""
    depth = np.cumsum(kind) + (kind == -1)
    small: npt.NDArray[np.integer] = depth.astype(np.int16) if depth.max() < 32768 else depth
    order = np.argsort(small, kind="stable")
    opens = kind[order] == 1
    slot = np.maximum.accumulate(np.where(opens, np.arange(len(order)), 0))
    opener = np.empty(len(kind), np.int64)
    opener[order] = order[slot]
    closer = np.full(len(kind), -1, np.int64)
    closing = np.flatnonzero(kind == -1)
    closer[opener[closing]] = closing
    return opener, closer


def _layout(text: str, lines: bool) -> JsonLayout | None:
    tokens = _tokens(text, lines)
    position, kind, before = tokens.position, tokens.kind, tokens.before
    count = len(kind)
    content = tokens.behind
    # The member after an opening bracket or comma; nothing stands between [ and ].
    at = np.flatnonzero(kind[:-1] >= 0)
    following = kind[at + 1]
    container = following == 1
    exists = container | (before[at + 1] > position[at] + 1) & (before[at + 1] > content[at])
    closer = np.where(container, tokens.closer[at + 1], -1)
    finish = np.where(container, position[closer] + 1, before[at + 1])
    leaf = ~container | (closer == at + 2) & (before[closer] == position[at + 1] + 1)
    leaf |= container & (finish - content[at] <= _SMALL)
    if not lines:
        leaf[0] = False
    # What lies inside a small container belongs to it.
    change = np.zeros(count + 1, np.int64)
    whole = leaf & container & exists
    np.add.at(change, at[whole] + 1, 1)
    np.add.at(change, closer[whole], -1)
    visible = exists & (np.cumsum(change)[at] == 0)
    at, container, closer, finish, leaf = (
        array[visible] for array in (at, container, closer, finish, leaf)
    )
    if not leaf.any():
        return None
    units = Units(
        start=content[at[leaf]],
        end=finish[leaf],
        kind=np.full(int(leaf.sum()), int(Kind.JSON_MEMBER), np.int64),
        requires=np.full(int(leaf.sum()), -1, np.int64),
    )
    members = _members(tokens, at, closer, leaf, rooted=not lines)
    return JsonLayout(units, members, _pieces(tokens, at, closer, leaf, container))


def _members(
    tokens: _Tokens, at: IntArray, closer: IntArray, leaf: BoolArray, rooted: bool
) -> _Members:
    before = np.concatenate(([0], np.cumsum(leaf)))
    low = before[:-1]
    last = np.where(leaf, at, closer)
    high = before[np.searchsorted(at, last, side="right")]
    # A parent's leaves begin where the first member after its bracket stands.
    parent_low = before[np.searchsorted(at, tokens.opener[at])]
    return _Members(low, high, parent_low, rooted)


def _pieces(
    tokens: _Tokens, at: IntArray, closer: IntArray, leaf: BoolArray, container: BoolArray
) -> _Pieces:
    position, kind, before = tokens.position, tokens.kind, tokens.before

    def up_to(token: IntArray) -> IntArray:
        """Whitespace before a comma stays with the member, before a closing bracket with that."""
        return np.where(kind[token] == 0, position[token], before[token])

    index = np.arange(len(at))
    start = position[at] + 1
    after_leaf = np.where(container, np.minimum(closer + 1, len(kind) - 1), at + 1)
    end = np.where(leaf, up_to(after_leaf), position[at + 1] + 1)
    commas = np.flatnonzero(kind[at] == 0)
    nested = np.flatnonzero(~leaf)
    close = closer[nested]
    close_end = np.maximum(up_to(np.minimum(close + 1, len(kind) - 1)), position[close] + 1)
    starts = np.concatenate((start, position[at[commas]], before[close], before[-1:]))
    ends = np.concatenate((end, position[at[commas]] + 1, close_end, position[-1:]))
    member = np.concatenate((index, commas, nested, [0]))
    comma = np.zeros(len(starts), np.bool_)
    comma[len(index) : len(index) + len(commas)] = True
    order = np.lexsort((ends, starts))
    always = np.flatnonzero(order == len(starts) - 1)
    return _Pieces(starts[order], ends[order], member[order], comma[order], always)
