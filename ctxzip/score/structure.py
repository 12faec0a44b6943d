"""What structure says about usefulness, whichever scorer reads the parts.

With a question: a part under a heading or key that the question names is likely meant, and so is
one that holds an identifier, version or number of the question that hardly another part holds;
similarity of meaning says little about either. Without one: severities, rare templates, outliers,
in place of what a model of prose would say about a line of a log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ctxzip.kit.arrays import FloatArray, IntArray
from ctxzip.score.base import UnitScores
from ctxzip.score.lexical import spellings, stems
from ctxzip.score.reading import Reading, Run
from ctxzip.score.salience import Fields, structure_salience
from ctxzip.segment.function_words import detect, function_words
from ctxzip.text.units import Kind

__all__ = ["with_structure"]

_NAMED = 0.9  # of the range of scores: what a part gains under a heading that the question names
_IDENTIFIED = 0.9  # ... or by an identifier of the question
_MEANT, _KEYED = 0.5, 0.5  # gain from which keys are compared, and what they add
_RARE = 0.03  # share of the parts up to which an identifier tells something
_TOKEN = re.compile(r"[^\s,;:!?\"'“”‘’()\[\]{}<>|=`*]+")
_KEY = re.compile(r"([A-Za-z_][\w .\-]{0,40}?)[\"']?\s*[:=]")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_\-./]")
# Words of questions about a text rather than of what is asked.
_ASKING = frozenset(
    [
        "list",
        "listed",
        "lists",
        "name",
        "named",
        "tell",
        "say",
        "says",
        "said",
        "describe",
        "explain",
        "give",
        "show",
        "find",
        "documentation",
        "documented",
        "docs",
        "entry",
        "entries",
        "item",
        "items",
        "section",
        "sections",
        "under",
        "question",
        "questions",
        "answer",
        "point",
        "points",
        "mean",
        "means",
        "come",
        "came",
        "happen",
        "happened",
        "change",
        "changes",
        "changed",
        "section",
        "text",
        "document",
        "page",
        "value",
        "values",
        "what's",
    ]
)


def with_structure(reading: Reading, scores: UnitScores, *, calibrated: bool) -> UnitScores:
    """Scores of the parts of all trees, with what their structure says.

    Args:
        reading: the request.
        scores: of all its units, as :meth:`ctxzip.score.reading.Reading.back` gives them.
        calibrated: they are probabilities.

    Returns:
        The same scores where the request holds no tree.
    """
    runs = [run for run in reading.runs if run.tree is not None]
    if not runs:
        return scores
    units = [values.astype(np.float64) for values in scores.units]
    every = np.concatenate([values[np.isfinite(values)] for values in units])
    low, high = (0.0, 1.0) if calibrated else (float(every.min()), float(every.max()))
    span = high - low or 1.0
    if not reading.request.query or not reading.request.query.strip():
        for run, gain in _unasked(runs):
            units[run.passage][run.parts] = low + span * gain
        return replace(scores, units=tuple(units))
    for run, gain in _asked(reading.request.query, runs, reading.request.language):
        own = (units[run.passage][run.parts] - low) / span
        # Two reasons of which either suffices, where scores are probabilities.
        own = 1.0 - (1.0 - own) * (1.0 - gain) if calibrated else own + gain
        units[run.passage][run.parts] = low + span * own
    return replace(scores, units=tuple(units))


def _unasked(runs: Sequence[Run]) -> Iterator[tuple[Run, FloatArray]]:
    """Salience of the runs that are lines of data, in [0, 1]."""
    data = [run for run in runs if run.unread]
    if not data:
        return
    texts = [text for run in data for text in run.texts()]
    kinds = np.concatenate([run.read.units.kind for run in data])
    fields = [_fields(text, kind) for text, kind in zip(texts, kinds.tolist(), strict=True)]
    given = fields if any(fields) else None
    found = structure_salience(texts, kinds, given)
    found = np.minimum(found / max(1.0, float(found.max(initial=0.0))), 1.0)
    at = 0
    for run in data:
        yield run, found[at : at + len(run.parts)]
        at += len(run.parts)


def _fields(text: str, kind: int) -> Fields | None:
    if kind not in (Kind.ROW, Kind.RECORD):
        return None
    pairs = [field.partition(": ") for field in text.split("; ")]
    return [(key, value) for key, colon, value in pairs if colon and len(key) < 80]


@dataclass(frozen=True, slots=True)
class _Question:
    """The words of a question.

    Attributes:
        words: stems of its content words.
        identifiers: tokens that hold a digit, or are written as no word of prose is.
    """

    words: frozenset[str]
    identifiers: tuple[str, ...]
    language: str | None
    common: frozenset[str]


def _question(query: str, language: str | None) -> _Question:
    spelled = spellings(_CAMEL.sub(" ", query))[0]
    language = language or detect(spelled)
    common = function_words(language or "en") | _ASKING
    content = [word for word in spelled if word not in common]
    tokens = [token.rstrip(".") for token in _TOKEN.findall(query)]
    odd = [t for t in tokens if len(t) > 1 and (any(map(str.isdigit, t)) or _CAMEL.search(t[1:]))]
    return _Question(
        frozenset(stems(content, language)), tuple(dict.fromkeys(odd)), language, common
    )


def _asked(
    query: str, runs: Sequence[Run], language: str | None
) -> Iterator[tuple[Run, FloatArray]]:
    asked = _question(query, language)
    gains = [np.zeros(len(run.parts)) for run in runs]
    _name(asked, runs, gains)
    _identify(asked, runs, gains)
    _keys(asked, runs, gains)
    yield from zip(runs, gains, strict=True)


def _name(asked: _Question, runs: Sequence[Run], gains: Sequence[FloatArray]) -> None:
    """Raise what stands under labels that the question names."""
    words = [[_label_words(label, asked) for label in run.labels()] for run in runs]
    labels = {frozenset(w) for some in words for w in some if w}
    if not labels or not asked.words:
        return
    carrying = {w: sum(w in label for label in labels) for w in asked.words}
    rarity = {w: 1.0 / n for w, n in carrying.items() if n}
    # The subject of the whole text (a product's name) stands in hardly a heading.
    size = sum(1.0 if w in rarity else 0.5 for w in asked.words)
    for k, some in enumerate(words):
        best = 0.0
        for label in some:
            hit = label & asked.words
            if hit:
                rare = max(rarity[w] for w in hit) ** 0.5
                best = max(best, len(hit) / len(label) * len(hit) / size * rare)
        gains[k] += _NAMED * best**0.5


def _label_words(label: str, asked: _Question) -> frozenset[str]:
    spelled = spellings(_CAMEL.sub(" ", label[:200]))[0]
    content = [w for w in spelled if w not in asked.common] or spelled
    return frozenset(stems(content, asked.language))


def _identify(asked: _Question, runs: Sequence[Run], gains: Sequence[FloatArray]) -> None:
    """Raise what holds an identifier of the question that hardly another part holds."""
    total = sum(len(run.parts) for run in runs)
    for token in asked.identifiers:
        pattern = re.compile(rf"(?<![\w]){re.escape(token)}(?![\w]|[.\-]\w)", re.IGNORECASE)
        hits = _hits(pattern, runs)
        count = sum(len(at) for at in hits.values())
        if not count or (count > max(3, _RARE * total) and len(hits) > max(1, 0.1 * len(runs))):
            continue
        for k, at in _with_records(runs, hits).items():
            gains[k][at] = 1.0 - (1.0 - gains[k][at]) * (1.0 - _IDENTIFIED)


def _hits(pattern: re.Pattern[str], runs: Sequence[Run]) -> dict[int, IntArray]:
    """The parts of each run that hold an identifier, or stand under one."""
    hits: dict[int, IntArray] = {}
    for k, run in enumerate(runs):
        if any(pattern.search(label) for label in run.labels()):
            hits[k] = np.arange(len(run.parts))
            continue
        found = [match.start() for match in pattern.finditer(run.read.text)]
        if found:
            at = np.searchsorted(run.read.units.start, found, side="right") - 1
            hits[k] = np.unique(at)
    return hits


def _with_records(runs: Sequence[Run], hits: dict[int, IntArray]) -> dict[int, IntArray]:
    """With every part of the records that the parts found identify."""
    owners = set()
    for k, at in hits.items():
        run = runs[k]
        if run.tree is not None:
            parts = run.parts[at]
            above = run.tree.parent[parts[run.tree.always[parts]]]
            owners |= {(run.passage, int(i)) for i in above if i >= 0}
    if not owners:
        return hits
    wider = dict(hits)
    for k, run in enumerate(runs):
        if any((run.passage, i) in owners for i in run.above()):
            wider[k] = np.arange(len(run.parts))
    return wider


def _keys(asked: _Question, runs: Sequence[Run], gains: Sequence[FloatArray]) -> None:
    """Among the parts of what the question names, raise those with keys that it asks for."""
    for run, gain in zip(runs, gains, strict=True):
        meant = np.flatnonzero(gain >= _MEANT)
        if len(meant) < 2:
            continue
        texts = run.texts()
        for i in meant.tolist():
            spelled = spellings(_CAMEL.sub(" ", " ".join(_KEY.findall(texts[i][:2000]))))[0]
            hit = asked.words.intersection(stems(spelled, asked.language))
            if hit:
                gain[i] = 1.0 - (1.0 - gain[i]) * (1.0 - _KEYED * len(hit) / len(asked.words))
