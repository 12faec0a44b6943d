"""What scorers read of a request: every part of a tree with the path that it stands under.

A scorer knows passages of units. A tree becomes several of them: the parts that say something by
themselves, in runs under one path, read as the format's reader wrote them (``name: Ann; pop: 3``
for a row), with the path (headings, keys, header cells) in the title. Prose goes through as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ctxzip.kit.arrays import BoolArray, FloatArray, IntArray
from ctxzip.score.base import ScoreRequest, UnitScores, WordRequest
from ctxzip.segment.tree import Tree
from ctxzip.segment.tree_layout import TreeLayout
from ctxzip.text.units import Kind, Passage, Units, Words
from ctxzip.types import Document

__all__ = ["Reading", "Run", "path_of"]

_DATA = (Kind.LINE, Kind.ROW, Kind.RECORD, Kind.ENTRY, Kind.FIELD)
_LABEL = 120  # characters of one step of a path
_PATH = 300  # characters of a whole path
_LONGEST = 4000  # characters that are read of one part


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Parts of one tree that are read as one passage.

    Attributes:
        passage: index of the document.
        parts: their numbers in its tree, int64, shape (k,).
        read: what the scorer gets.
        tree: the tree, None for prose, whose units are handed through.
        unread: no scorer reads it, since lines of data say nothing to it without a question.
    """

    passage: int
    parts: IntArray
    read: Passage
    tree: Tree | None = None
    unread: bool = False

    def texts(self) -> list[str]:
        """What is read of each part."""
        return self.read.unit_texts()

    def labels(self) -> list[str]:
        """What the parts stand under, the nearest first."""
        if self.tree is None:
            return []
        return [self.tree.labels[at] for at in self.above() if self.tree.labels[at]]

    def above(self) -> list[int]:
        """The parts of the tree that these stand under, the nearest first."""
        if self.tree is None or not len(self.parts):
            return []
        found = []
        at = int(self.tree.parent[self.parts[0]])
        while at >= 0:
            found.append(at)
            at = int(self.tree.parent[at])
        return found


class Reading:
    """One request as scorers see it, and the way back.

    Args:
        passages: the documents with their units.
        layouts: how each was segmented; those that are no trees are handed through.
        query: the question, or None.
        language: ISO 639-1 code where the caller gave it.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        layouts: Sequence[object],
        query: str | None,
        language: str | None,
    ) -> None:
        self._passages = tuple(passages)
        self.runs: list[Run] = []
        for i, (passage, layout) in enumerate(zip(passages, layouts, strict=True)):
            if isinstance(layout, TreeLayout):
                self.runs += _runs(i, passage, layout)
            else:
                every = np.arange(len(passage.units))
                self.runs.append(Run(i, every, passage))
        asked = bool(query and query.strip())
        if not asked:
            self.runs = [replace(run, unread=_is_data(run)) for run in self.runs]
        self._given = [run for run in self.runs if not run.unread]
        read = tuple(run.read for run in self._given)
        self.request = ScoreRequest(read, query, language)
        self._plain = all(a is b for a, b in zip(read, passages, strict=False)) and len(
            read
        ) == len(self._passages)

    def back(self, scores: UnitScores) -> UnitScores:
        """Scores of what was read as scores of the parts; they are remembered for the words."""
        self._raw = scores
        if self._plain:
            return scores
        units = self._gather(scores.units, -np.inf)
        lowest = min((float(s.min()) for s in scores.units if len(s)), default=0.0)
        units = [np.where(np.isfinite(s), s, lowest) for s in units]
        eligible: tuple[BoolArray, ...] | None = None
        if scores.eligible is not None:
            eligible = tuple(self._gather(scores.eligible, False))
        passages: FloatArray | None = None
        if scores.passages is not None:
            passages = np.full(len(self._passages), float(scores.passages.min(initial=0.0)))
            for run, value in zip(self._given, scores.passages.tolist(), strict=True):
                passages[run.passage] = max(passages[run.passage], value)
        return replace(scores, units=tuple(units), passages=passages, eligible=eligible)

    def _gather(self, values: Sequence[np.ndarray], missing: object) -> list[np.ndarray]:
        result = [np.full(len(p.units), missing) for p in self._passages]
        for run, value in zip(self._given, values, strict=True):
            result[run.passage][run.parts] = value
        return result

    def words(self, words: Sequence[Words]) -> WordRequest:
        """Words of the parts as words of what was read; see :meth:`words_back`."""
        read = words if self._plain else [self._read_words(run, words) for run in self._given]
        return WordRequest(self.request, self._raw, tuple(read))

    def _read_words(self, run: Run, words: Sequence[Words]) -> Words:
        given = words[run.passage]
        if run.read is self._passages[run.passage]:
            return given
        at = np.searchsorted(run.parts, given.unit)
        inside = (at < len(run.parts)) & (
            run.parts[np.minimum(at, len(run.parts) - 1)] == given.unit
        )
        at = at[inside]
        units = run.read.units
        return Words(units.start[at], units.end[at], at, np.ones(len(at), bool))

    def words_back(self, words: Sequence[Words], values: Sequence[FloatArray]) -> list[FloatArray]:
        """Values of words that were read, in the order of the parts' words."""
        if self._plain:
            return list(values)
        lowest = min((float(v.min()) for v in values if len(v)), default=0.0)
        result = [np.full(len(w), lowest) for w in words]
        for run, value in zip(self._given, values, strict=True):
            given = words[run.passage]
            if run.read is self._passages[run.passage]:
                result[run.passage] = value
            else:
                result[run.passage][np.isin(given.unit, run.parts)] = value
        return result


def _is_data(run: Run) -> bool:
    return run.tree is not None and bool(np.isin(run.read.units.kind, _DATA).all())


def path_of(tree: Tree, part: int, known: dict[int, str]) -> str:
    """The labels above a part, joined; ``known`` remembers those of other parts."""
    steps: list[int] = []
    at = part
    while at >= 0 and at not in known:
        steps.append(at)
        at = int(tree.parent[at])
    path = known[at] if at >= 0 else ""
    for step in reversed(steps):
        label = tree.labels[step][:_LABEL]
        if label:
            path = f"{path} > {label}" if path else label
        known[step] = path = path[-_PATH:]
    return path


def _runs(i: int, passage: Passage, layout: TreeLayout) -> list[Run]:
    """Parts with content, cut where the path changes."""
    tree, text = layout.tree, layout.text
    known: dict[int, str] = {}
    parts = np.flatnonzero(tree.content)
    above = tree.parent[parts].tolist()
    runs: list[Run] = []
    begin = 0
    for k in range(1, len(parts) + 1):
        if k < len(parts) and above[k] == above[begin]:
            continue
        path = path_of(tree, above[begin], known) if above[begin] >= 0 else ""
        runs.append(_run(i, passage, tree, text, parts[begin:k], path))
        begin = k
    return runs or [_run(i, passage, tree, text, parts, "")]


def _run(i: int, passage: Passage, tree: Tree, text: str, parts: IntArray, path: str) -> Run:
    spans: list[tuple[int, int]] = []
    read: list[str] = []
    at = 0
    for part in parts.tolist():
        words = tree.readings[part]
        if words is None:
            words = text[tree.start[part] : min(tree.end[part], tree.start[part] + _LONGEST)]
        words = words.strip() or "-"
        read.append(words)
        spans.append((at, at + len(words)))
        at += len(words) + 1
    joined = "\n".join(read)
    title = " > ".join(t for t in (passage.document.title, path) if t) or None
    units = Units.of(spans, tree.kind[parts].tolist())
    return Run(i, parts, Passage(Document(joined, title=title), joined, units), tree)
