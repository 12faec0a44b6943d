"""Values in brackets with exact offsets, read as far as they parse: JSON and Python's repr.

One scanner for both: a :class:`Grammar` says what the tokens are. A regular expression cuts the
text into tokens; everything behind it (which bracket closes which, what belongs to what, where the
syntax breaks) is array arithmetic, so there is no recursion and a token costs a fraction of a
microsecond.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ctxzip.kit.arrays import BoolArray, IntArray

__all__ = ["JSON", "PYTHON", "Grammar", "Nodes", "scan"]

DEPTH = 200  # containers nested deeper are not read as such


@dataclass(frozen=True, slots=True)
class Grammar:
    """What stands between brackets.

    Attributes:
        token: matches at every place: a string or another scalar, an opening round bracket with
            the name before it, another bracket, comma or sign with the white space behind it,
            white space, any character.
        scalar: what a token that is not in quotes must be to be a value.
        key: what a token that is not in quotes must be to be a key.
        quotes: what strings begin with.
        signs: what may stand between a key and its value.
        strict: no comma before a closing bracket, braces hold keys, other brackets none.
    """

    token: re.Pattern[str]
    scalar: re.Pattern[str]
    key: re.Pattern[str]
    quotes: str
    signs: str
    strict: bool


_STRING = r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'
_NUMBER = r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?"
JSON = Grammar(
    token=re.compile(rf"{_STRING}|[{{}}\[\],:]\s*+|\s++|[^\s\"{{}}\[\],:]++|\""),
    scalar=re.compile(rf"{_NUMBER}|true|false|null|NaN|-?Infinity"),
    key=re.compile(r"(?!)"),
    quotes='"',
    signs=":",
    strict=True,
)

_QUOTED = (
    r"(?:[bBuU]?[rR]?|[rR][bB])"
    r"(?:'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+'|\"[^\"\\\n]*+(?:\\.[^\"\\\n]*+)*+\")"
)
_WORD = r"[^\W\d][\w.]*"
PYTHON = Grammar(
    token=re.compile(
        rf"{_QUOTED}(?:\s++{_QUOTED})*+|\([^()\[\]{{}}\n]{{0,200}}\)(?=\s*:)|(?:{_WORD}+)?\("
        rf"|[{{}}\[\]),:=]\s*+|\s++|<[^<>\n]{{1,200}}>|[^\s'\"()\[\]{{}},:=<]++|."
    ),
    scalar=re.compile(
        rf"[bBuUrR]{{1,2}}(['\"]).*\1|[+-]?[\d.][\w.+-]*|[+-]?{_WORD}|<.+>", re.DOTALL
    ),
    key=re.compile(
        rf"[bBuUrR]{{1,2}}(['\"]).*\1|[+-]?[\d.][\w.+-]*|{_WORD}|<.+>|\(.*\)", re.DOTALL
    ),
    quotes="\"'",
    signs=":=",
    strict=False,
)

_SCALAR, _KEY, _OPEN, _CLOSE, _COMMA, _SIGN, _BAD, _BEGIN = range(8)
_FOLLOWS = np.zeros((8, 8), bool)
for _before, _after in (
    (_BEGIN, (_OPEN, _KEY)),
    (_SCALAR, (_COMMA, _CLOSE)),
    (_KEY, (_SIGN,)),
    (_SIGN, (_SCALAR, _OPEN)),
    (_OPEN, (_SCALAR, _KEY, _OPEN, _CLOSE)),
    (_CLOSE, (_COMMA, _CLOSE, _OPEN)),
    (_COMMA, (_SCALAR, _KEY, _OPEN, _CLOSE)),
):
    _FOLLOWS[_before, list(_after)] = True


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """Elements in the order of the source, a container before what it holds.

    Attributes:
        start: first character, of the key if there is one.
        key_end: one past the key, or -1 without a key.
        value: first character of the value.
        end: one past the value; where reading stopped for a container that is not closed.
        comma: one past the comma behind it, or -1.
        parent: the container that holds it, or -1.
        open_end: one past the opening bracket of a container, or -1.
        last: one past the last node inside.
        close: where the closing bracket of a container stands, or -1.
        size: characters without insignificant white space.
        noise: insignificant white space and commas, int64, shape (k, 2).
        stop: where reading ended.
        broken: whether it ended at what does not follow the syntax, not at the end of the text.
    """

    start: list[int]
    key_end: list[int]
    value: list[int]
    end: list[int]
    comma: list[int]
    parent: list[int]
    open_end: list[int]
    last: list[int]
    close: list[int]
    size: list[int]
    noise: IntArray
    stop: int
    broken: bool

    def __len__(self) -> int:
        return len(self.start)

    @property
    def whole(self) -> bool:
        """Whether every container is closed."""
        return all(a < 0 or b >= 0 for a, b in zip(self.open_end, self.close, strict=True))


@dataclass(slots=True, eq=False)
class _Tokens:
    """Tokens without the white space between them, int64 arrays of equal length."""

    start: IntArray
    end: IntArray
    kind: IntArray
    bracket: IntArray  # the bracket that it opens or closes
    blank: IntArray  # (k, 2), the white space


def scan(text: str, start: int, end: int, grammar: Grammar) -> Nodes:
    """Read the values at ``text[start:end]``, one after the other, as far as they parse.

    Only containers and members (a key with its value) may stand outside of brackets.
    """
    tokens = _tokens(text, start, end, grammar)
    level, valid = _levels(tokens)
    holder, partner = _brackets(tokens, level, valid)
    sound = _valid(tokens, level, holder, partner, valid, grammar)
    n = sound
    while n and tokens.kind[n - 1] in (_KEY, _SIGN):  # a key without its value
        n -= 1
    return _nodes(tokens, level, holder, partner, n, start, sound < len(tokens.kind))


def _tokens(text: str, start: int, end: int, grammar: Grammar) -> _Tokens:
    found = grammar.token.findall(text, start, end)
    ends = start + np.cumsum(np.fromiter(map(len, found), np.int64, len(found)))
    starts = ends - np.diff(ends, prepend=start)
    codes = np.frombuffer(text[start:end].encode("utf-32-le", "surrogatepass"), "<u4")
    first = codes[starts - start]
    mark = _MARK[np.minimum(first, len(_MARK) - 1)]
    stops = np.where(mark, starts + 1, ends)
    final = codes[stops - 1 - start]
    blank = _BLANK[np.minimum(first, len(_BLANK) - 1)]
    kind = np.full(len(found), _SCALAR, np.int64)
    kind[first == ord(",")] = _COMMA
    kind[np.isin(first, list(map(ord, grammar.signs)))] = _SIGN
    kind[mark & np.isin(first, list(map(ord, ")]}")))] = _CLOSE
    kind[np.isin(final, list(map(ord, "([{")))] = _OPEN
    inner = np.flatnonzero(~blank)
    kind, first = kind[inner], first[inner]
    named = (kind == _SCALAR) & (np.concatenate([kind[1:], [_BAD]]) == _SIGN)
    quoted = np.isin(first, list(map(ord, grammar.quotes))) & (ends - starts > 1)[inner]
    kind[named] = _KEY
    for kinds, fullmatch in ((_KEY, grammar.key.fullmatch), (_SCALAR, grammar.scalar.fullmatch)):
        unsure = np.flatnonzero((kind == kinds) & ~quoted)
        right = [fullmatch(found[i]) is not None for i in inner[unsure].tolist()]
        kind[unsure[~np.array(right, bool)]] = _BAD
    white = np.stack([np.where(blank, starts, stops), ends], axis=1)
    white = white[white[:, 1] > white[:, 0]]
    return _Tokens(starts[inner], stops[inner], kind, final[inner].astype(np.int64), white)


_MARK = np.array([chr(i) in "{}[]),:=" for i in range(128)] + [False])
_BLANK = np.array([chr(i).isspace() for i in range(0x3001)] + [False])


def _levels(tokens: _Tokens) -> tuple[IntArray, int]:
    """How many brackets are open before each token, and how many tokens are nested soundly."""
    step = (tokens.kind == _OPEN).astype(np.int64) - (tokens.kind == _CLOSE)
    after = np.cumsum(step)
    wrong = np.flatnonzero((after < 0) | (after > DEPTH))
    return after - step, int(wrong[0]) if len(wrong) else len(after)


def _brackets(tokens: _Tokens, level: IntArray, n: int) -> tuple[IntArray, IntArray]:
    """For each of the first n tokens the bracket that holds it, and for brackets the other one."""
    kind = tokens.kind[:n]
    opens = np.flatnonzero(kind == _OPEN)
    depth = np.concatenate([level[opens] + 1, level[:n]])
    which = np.concatenate([opens, np.arange(n)])
    order = np.lexsort((which, depth))
    is_open = order < len(opens)
    latest = np.maximum.accumulate(np.where(is_open, np.arange(len(order)), 0))
    holder = np.full(n, -1, np.int64)
    inside = ~is_open & (depth[order] > 0)
    holder[which[order[inside]]] = which[order[latest[inside]]]
    partner = np.full(n, -1, np.int64)
    closes = np.flatnonzero(kind == _CLOSE)
    partner[closes] = holder[closes]
    partner[holder[closes]] = closes
    return holder, partner


def _valid(
    tokens: _Tokens,
    level: IntArray,
    holder: IntArray,
    partner: IntArray,
    n: int,
    grammar: Grammar,
) -> int:
    """How many of the first n tokens follow the syntax."""
    if not n:
        return 0
    kind, level = tokens.kind[:n], level[:n]
    before = np.concatenate([[_BEGIN], kind[:-1]])
    fine = _FOLLOWS[before, kind]
    fine &= ~((before == _CLOSE) & (kind == _OPEN) & (level > 0))
    bracket = np.where(holder >= 0, tokens.bracket[holder], 0)
    braces = bracket == ord("{")
    element = ((before == _OPEN) | (before == _COMMA) | (before == _BEGIN)) & (kind != _CLOSE)
    if grammar.strict:
        fine &= ~element | (braces == (kind == _KEY)) | (level == 0)
        fine &= ~((before == _COMMA) & (kind == _CLOSE))
    else:
        fine &= ~element | (kind != _KEY) | (bracket != ord("["))
    fine &= ~(element & (level == 0) & (kind == _SCALAR))
    closing = kind == _CLOSE
    pair = np.zeros(n, np.int64)
    pair[closing] = tokens.bracket[holder[closing]]
    wanted = np.select(
        [pair == ord("{"), pair == ord("["), pair == ord("(")], [ord("}"), ord("]"), ord(")")]
    )
    fine &= ~closing | (wanted == tokens.bracket[:n])
    wrong = np.flatnonzero(~fine)
    return int(wrong[0]) if len(wrong) else n


def _useless(tokens: _Tokens, commas: IntArray, holder: IntArray) -> IntArray:
    """Commas before a closing bracket; in round brackets without a name they make a tuple."""
    at = holder[commas]
    named = tokens.end[at] - tokens.start[at] > 1
    commas = commas[named | (tokens.bracket[at] != ord("("))]
    return np.stack([tokens.start[commas], tokens.end[commas]], axis=1)


def _nodes(
    tokens: _Tokens,
    level: IntArray,
    holder: IntArray,
    partner: IntArray,
    n: int,
    start: int,
    broken: bool,
) -> Nodes:
    kind = tokens.kind[:n]
    value: BoolArray = (kind == _SCALAR) | (kind == _OPEN)
    at = np.flatnonzero(value)
    number = np.cumsum(value) - 1
    before = np.concatenate([[_BEGIN], kind[:-1]])[at] if n else at
    named = before == _SIGN
    opens = kind[at] == _OPEN
    other = np.where(opens, partner[at], at)
    closed = (other >= 0) & (other < n)
    final = np.where(closed, other, n - 1)
    stop = int(tokens.end[n - 1]) if n else start
    end = np.where(closed, tokens.end[final], stop)
    first = np.where(named, tokens.start[np.maximum(at - 2, 0)], tokens.start[at])
    after = np.minimum(final + 1, max(n - 1, 0))
    comma = closed & (final + 1 < n) & (kind[after] == _COMMA)
    blank = tokens.blank[tokens.blank[:, 1] <= stop]
    gone = np.concatenate([[0], np.cumsum(blank[:, 1] - blank[:, 0])])
    within = gone[np.searchsorted(blank[:, 0], end)] - gone[np.searchsorted(blank[:, 0], first)]
    next_token = np.searchsorted(tokens.start, blank[:, 0])
    noise = blank[level[np.minimum(next_token, len(level) - 1)] > 0] if n else blank[:0]
    trailing = np.flatnonzero((kind[:-1] == _COMMA) & (kind[1:] == _CLOSE))
    if len(trailing):
        noise = np.concatenate([noise, _useless(tokens, trailing[holder[trailing] >= 0], holder)])
    holds = holder[at]
    return Nodes(
        start=first.tolist(),
        key_end=np.where(named, tokens.end[np.maximum(at - 2, 0)], -1).tolist(),
        value=tokens.start[at].tolist(),
        end=end.tolist(),
        comma=np.where(comma, tokens.end[after], -1).tolist(),
        parent=np.where(holds >= 0, number[np.maximum(holds, 0)], -1).tolist(),
        open_end=np.where(opens, tokens.end[at], -1).tolist(),
        last=np.where(opens, number[final] + 1, np.arange(len(at)) + 1).tolist(),
        close=np.where(opens & closed, tokens.start[final], -1).tolist(),
        size=(end - first - within).tolist(),
        noise=noise,
        stop=stop,
        broken=broken,
    )
