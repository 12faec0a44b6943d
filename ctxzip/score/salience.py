"""What counts where nothing was asked: severities, what is rare, what stands out, what came last.

Lines, events, rows and records get a usefulness without a query. A line's *template* is what is
left when numbers, ids and words that hardly another line has are masked: an error says something by
its severity, any other line by how rare its template is in the request, and both say it once. In
rows and records a value counts that lies far from the median of its column, or that few have.

Templates follow the idea of Drain (He et al., ICWS 2017), by document frequency instead of a tree.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctxzip.kit.arrays import BoolArray, FloatArray, IntArray
from ctxzip.segment.formats.trace import library_frame
from ctxzip.text.units import Kind

__all__ = ["Weights", "severity", "structure_salience"]

Fields = Sequence[tuple[str, str]]

_READ = 400  # characters of a text that make its template
_LOOKED = 3000  # characters that are searched for a severity

_DIGITS = str.maketrans("123456789", "000000000")
_VARIABLE = re.compile(r"(?<![\w.\-])(?=[A-Za-z_.\-]*\d)[\w.\-]+")
_WORD = re.compile(r"[^\W\d]+|0|[^\w\s]")
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?%?$")

# Words that are severities: in capitals wherever they stand, in small letters where a level stands.
_LEVELS = {
    1.0: "FATA FATAL CRIT CRITICAL EMERG EMERGENCY PANI PANIC ALERT",
    0.8: "ERR ERRO ERROR SEVERE FAIL FAILED FAILURE",
    0.35: "WARN WARNING",
    0.0: "INF INFO INFORMATION NOTICE LOG NORMAL CONFIG",
    -0.1: "DEBU DEBUG TRACE VERBOSE FINE FINER FINEST",
}
_BY_WORD = {word: level for level, words in _LEVELS.items() for word in words.split()}
_LEVEL = re.compile(
    rf"(?<![A-Za-z])(?:{'|'.join(sorted(_BY_WORD, key=len, reverse=True))})(?![A-Za-z])"
)
_SMALL = frozenset(form for word in _BY_WORD for form in (word.lower(), word.capitalize()))
_MARKED = re.compile(  # level=error, [error], "level":"error", error: behind a name
    r"(?:^|(?:level|lvl|severity|priority)[\"']?\s*[=:]\s*[\"']?|\[|[:|\]]\s|\s-\s|^\S+\s+|\t)"
    rf"({'|'.join(sorted(_SMALL, key=len, reverse=True))})(?=[\]:\"'|,;\s]|$)"
)
_SAID = re.compile(
    r"^[ \t]*(?:level|severity|priority)[\"']?[ \t]*[:=][ \t]*[\"']?(\w+)", re.M | re.I
)
_LETTER = re.compile(  # a letter in the place of a level: Android, klog and glog
    r"(?:(?P<klog>[IWEFD])\d{4} \d\d:"
    r"|\d\d-\d\d \d\d:\d\d:\d\d\.\d+ +\d+ +\d+ (?P<android>[VDIWEFA]) )"
)
_PRIORITY = re.compile(r"<(\d{1,3})>")
_STATUS = re.compile(r"(?:\" |status[\"']?[=: ]+|HTTP/\d(?:\.\d)?\"? )([1-5]\d\d)\b")
_MAY_BE_THROWN = re.compile(
    r"[Ee]rror|xception|Traceback|panicked|FAIL|not ok|[✕✗×●✖]|segfault|core dumped|^E ", re.M
)
_THROWN = re.compile(
    r"Traceback \(most recent|panicked at"
    r"|^\s*(?:Caused by: )?(?:\w[\w$.]*\.)?[A-Z]\w*(?:Exception|Error)\b"
    r"|^E {2,}\S|^not ok |^\s*[✕✗×●✖] |\berror(?:\[\w+\])?: |--- FAIL|\*\*\* .*Error \d|segfault"
    r"|core dumped",
    re.M,
)
_BAD_WORDS = (
    "exception exceptions fail fails failed failing failure failures error errors fatal panic"
    " crash crashed crashes abort"
    " aborted aborting aborts denied refused reject rejects rejected unreachable unable cannot"
    " timeout corrupt corrupted"
    " corruption invalid illegal killed lost deadlock overflow oom oomkilled violation"
    " unexpected mismatch declined missing"
)
_BAD = frozenset(
    form for word in _BAD_WORDS.split() for form in (word, word.capitalize(), word.upper())
)
_BAD_PHRASE = re.compile(r"\b(?:could(?:n't| not)|can't|timed out|out of memory)\b", re.I)
_NONE = re.compile(
    r"\berrors?[\"']?\s*[:=]\s*[\"']?(?:null|none|false|0|ok|\[\]|\"\")"
    r"|\b(?:no|0|without|zero) (?:errors?|failures?|warnings?|exceptions?)\b|\b0 failed\b",
    re.I,
)
_RUN = re.compile(r"[A-Za-z]{3,}")
_FRAME = ("at ", 'File "', "from /", "#0 ", "... ")
_LETTERS = {"F": 1.0, "A": 1.0, "E": 0.8, "W": 0.35, "I": 0.0, "D": -0.1, "V": -0.1}


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each ingredient counts; 0 leaves it out.

    Attributes:
        severity: of a fatal line; others in proportion.
        rarity: of a template that occurs once.
        repeat: what is left for each further line of one template.
        still: what is left of the severity of a further line at least, where few are as severe.
        many: share of lines as severe from which on severity tells nothing about a further line.
        dull: of its severity what a line loses where all others are as severe.
        near: of the severity of the line before or after.
        edge: of the first and the last.
        change: of a line that says something else than the last one of its template.
        outlier: of a value far from its column's median, or that few have.
    """

    severity: float = 1.0
    rarity: float = 0.4
    repeat: float = 0.5
    still: float = 0.8
    many: float = 0.4
    dull: float = 0.5
    near: float = 0.03
    edge: float = 0.03
    change: float = 0.02
    outlier: float = 0.6


def structure_salience(
    texts: Sequence[str],
    kinds: IntArray | None = None,
    fields: Sequence[Fields | None] | None = None,
    weights: Weights | None = None,
) -> FloatArray:
    """The usefulness of each line, row, record or event, where nothing was asked.

    Args:
        texts: of n units of one request, in order.
        kinds: :class:`~ctxzip.units.Kind` of each, int64, shape (n,); heads and closers get 0.
        fields: ``(key, value)`` pairs of rows and records, None for units that have none.
        weights: of the ingredients.

    Returns:
        float64, shape (n,), at least 0; 1 is a fatal error of a template that occurs once.
    """
    weights = weights or Weights()
    n = len(texts)
    if not n:
        return np.zeros(0)
    severe = np.array(_severities(texts))
    score = _combined(severe, _templates(texts), weights) * _standing(texts)
    if fields is not None and weights.outlier:
        score += weights.outlier * _outliers(fields)
    if kinds is not None:
        score[np.isin(kinds, (Kind.HEAD, Kind.CLOSER))] = 0.0
    return np.maximum(score, 0.0)


def _standing(texts: Sequence[str]) -> FloatArray:
    """Frames of a trace explain an error, they are none: those of libraries least of all."""
    out = np.ones(len(texts))
    for i, text in enumerate(texts):
        if text.startswith(_FRAME) or (
            text[:1] in " \t|" and text[:80].lstrip(" \t|").startswith(_FRAME)
        ):
            out[i] = 0.1 if library_frame(text[:_READ]) else 0.4
    return out


def severity(text: str) -> float:
    """How bad a text says that things are: 1 fatal, 0.8 an error, 0.35 a warning, 0 or below calm.

    A level in the place where its format has levels decides; without one, or on a calm line, words
    of failure count a little.
    """
    return _severities([text])[0]


def _severities(texts: Sequence[str]) -> list[float]:
    """:func:`severity` of each; lines that differ in digits only are read once."""
    known: dict[str, tuple[float | None, float]] = {}
    out = []
    heads = [text[:_READ].split("\n", 1)[0] for text in texts]
    for text, head, alike in zip(texts, heads, _alike(heads), strict=True):
        found = known.get(alike)
        if found is None:
            found = known[alike] = _of_line(alike)
        level, bad = found
        if len(head) < len(text) and (level or 0.0) < 0.2:
            rest = text[len(head) : _LOOKED]
            said = _SAID.search(rest)
            if said:
                level = _BY_WORD.get(said[1].upper(), level)
            bad = max(bad, 0.7 if _MAY_BE_THROWN.search(rest) and _THROWN.search(rest) else 0.0)
        if level is None:
            level = _by_number(head)
            if level is not None:
                bad = 0.0 if level <= 0.0 else bad
        out.append(level if level is not None and level > 0.2 else bad + min(level or 0.0, 0.0))
    return out


def _by_number(head: str) -> float | None:
    """A severity that is a number: the priority of syslog, the status of HTTP."""
    if head[:1] == "<" and (priority := _PRIORITY.match(head)):
        return (1.0, 1.0, 1.0, 0.8, 0.35, 0.0, 0.0, -0.1)[int(priority[1]) % 8]
    if ('" ' in head or "status" in head or "HTTP/" in head) and (status := _STATUS.search(head)):
        return 0.8 if status[1] >= "500" else 0.3 if status[1] >= "400" else 0.0
    return None


def _of_line(line: str) -> tuple[float | None, float]:
    """The level that a line has, None without one, and what its words say."""
    letter = _LETTER.match(line)
    words = _RUN.findall(line)
    level = _LETTERS[letter["klog"] or letter["android"]] if letter else None
    if level is None and (found := _LEVEL.search(line)):
        level = _BY_WORD[found[0]]
    if level is None and not _SMALL.isdisjoint(words) and (found := _MARKED.search(line)):
        level = _BY_WORD[found[1].upper()]
    if level is not None and level > 0.2:
        return level, 0.0
    if _MAY_BE_THROWN.search(line) and _THROWN.search(line) and not _NONE.search(line):
        return level, 0.7 if level is None else 0.2
    failed = not _BAD.isdisjoint(words) or _BAD_PHRASE.search(line) is not None
    if not failed or _NONE.search(line):
        return level, 0.0
    return level, 0.3 if level is None else 0.12


@dataclass(frozen=True, slots=True, eq=False)
class _Templates:
    """Templates of n texts.

    Attributes:
        masked: number of each text without its numbers, int64, shape (n,).
        number: of the template of each, which has no rare words either, int64, shape (n,).
        count: texts of the same template, int64, shape (n,).
        order: how many of the same template stand before it, int64, shape (n,).
    """

    masked: IntArray
    number: IntArray
    count: IntArray
    order: IntArray


def _templates(texts: Sequence[str]) -> _Templates:
    heads = [_ends(text) for text in texts]
    numbers: dict[str, int] = {}
    masked = [numbers.setdefault(line, len(numbers)) for line in _masked(heads)]
    times = np.bincount(masked).tolist()
    words = [_WORD.findall(line) for line in numbers]
    frequency: Counter[str] = Counter()
    for found, n in zip(words, times, strict=True):
        for word in set(found):
            frequency[word] += n
    few = max(1, len(texts) // 50)
    keys: dict[tuple[str, ...], int] = {}
    of = [keys.setdefault(_key(found, frequency, few), len(keys)) for found in words]
    lines = np.array(masked, np.int64)
    number = np.array(of, np.int64)[lines]
    by = np.argsort(number, kind="stable")
    first = np.searchsorted(number[by], number[by])
    order = np.empty(len(texts), np.int64)
    order[by] = np.arange(len(texts)) - first
    return _Templates(lines, number, np.bincount(number)[number], order)


def _ends(text: str) -> str:
    """The first line of a text, and the last: of an event with a trace the message."""
    head = text[:_READ].split("\n", 1)[0]
    if len(head) == len(text) or len(head) == _READ:
        return head
    return f"{head} {text[text.rfind(chr(10)) + 1 :][:_READ]}"


def _alike(heads: list[str]) -> list[str]:
    """The lines with all digits alike."""
    return "\n".join(heads).translate(_DIGITS).split("\n")


def _masked(heads: list[str]) -> list[str]:
    """The lines with every word that holds a digit as ``0``; those that differ in digits once."""
    alike = _alike(heads)
    different = dict.fromkeys(alike)
    masked = _VARIABLE.sub("0", "\n".join(different)).split("\n")
    of = dict(zip(different, masked, strict=True))
    return [of[line] for line in alike]


def _key(words: list[str], frequency: Counter[str], few: int) -> tuple[str, ...]:
    """A line without the words that hardly another line has, unless it is made of such words."""
    key = tuple(["*" if frequency[word] <= few else word for word in words])
    plain = sum(map(str.isalpha, words))
    return tuple(words) if 2 * key.count("*") > plain else key


def _combined(severe: FloatArray, templates: _Templates, weights: Weights) -> FloatArray:
    n = len(severe)
    rare = np.log(n / templates.count) / np.log(max(n, 2))
    again = weights.repeat ** np.minimum(templates.order, 60)
    ranks = np.sort(severe)
    share = 1.0 - np.searchsorted(ranks, severe) / n  # of those at least as severe
    telling = np.clip(1.0 - share / weights.many, 0.0, 1.0)
    bad = severe * np.maximum(again, weights.still * telling) * (1 - weights.dull * share)
    score: FloatArray = weights.severity * bad + weights.rarity * rare * again
    near = np.zeros(n)
    near[1:] = severe[:-1]
    near[:-1] = np.maximum(near[:-1], severe[1:])
    score += weights.near * np.maximum(near, 0.0)
    score += weights.change * _changes(templates)
    score[0] += weights.edge
    score[-1] += weights.edge
    return score


def _changes(templates: _Templates) -> BoolArray:
    """Which texts say something else than the last of their template, where few ever do."""
    by = np.lexsort((templates.order, templates.number))
    number, masked = templates.number[by], templates.masked[by]
    changed = np.zeros(len(by), bool)
    changed[by[1:]] = (number[1:] == number[:-1]) & (masked[1:] != masked[:-1])
    times = np.bincount(templates.number, changed)[templates.number]
    return changed & (times * 5 <= templates.count)


def _outliers(fields: Sequence[Fields | None]) -> FloatArray:
    """How far each record stands out, in [0, 1]: by that of its fields that does most."""
    columns: dict[str, tuple[list[int], list[str]]] = {}
    records = 0
    for i, pairs in enumerate(fields):
        records += bool(pairs)
        for key, value in pairs or ():
            where, values = columns.setdefault(key, ([], []))
            where.append(i)
            values.append(value)
    out = np.zeros(len(fields))
    for where, values in columns.values():
        if len(values) * 20 <= records:  # a field that hardly a record has
            stands = np.full(len(values), np.log(records / len(values)) / np.log(records))
        else:
            stands = _column(values)
        np.maximum.at(out, where, stands)
    return out


def _column(values: list[str]) -> FloatArray:
    """How far each value of a column stands out from the others."""
    n = len(values)
    if n < 8:
        return np.zeros(n)
    numbers = [
        float(v.replace(",", "").rstrip("%")) if _NUMBER.match(v) else np.nan for v in values
    ]
    given = np.array(numbers)
    known = np.isfinite(given)
    out = _rarity(values)
    if known.sum() * 5 >= 4 * n:
        out = np.where(known, _far(given, known), np.maximum(out, 0.5))
    return out


def _far(given: FloatArray, known: BoolArray) -> FloatArray:
    """Robust z-scores from 3.5 on, mapped to (0, 1): median and median absolute deviation."""
    away = np.abs(given - np.median(given[known]))
    spread = 1.4826 * np.median(away[known]) or 1.2533 * away[known].mean()
    if not spread:
        return np.zeros(len(given))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        score: FloatArray = np.nan_to_num(np.clip(1.0 - 3.5 / (away / spread), 0.0, 1.0))
    return score


def _rarity(values: list[str]) -> FloatArray:
    """Rarity of a value among few different ones; 0 where every record has its own."""
    times = Counter(values)
    n = len(values)
    if len(times) * 5 > n:
        return np.zeros(n)
    count = np.array([times[value] for value in values])
    return np.where(count * 20 <= n, np.log(n / count) / np.log(n), 0.0)
