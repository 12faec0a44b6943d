"""Which functions stay, how much of each, and which blocks: a plan for every document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ctxzip.code.render import Plan
from ctxzip.code.score.base import Inside
from ctxzip.code.segment.tree import CodeTree
from ctxzip.code.select.blocks import Blocks, blocks_of, choose_blocks
from ctxzip.code.select.items import Item
from ctxzip.code.select.knapsack import adaptive_rates
from ctxzip.code.settings import LongCodeZip
from ctxzip.kit.arrays import FloatArray

__all__ = ["Planner", "Source"]

_MARKER = 8  # tokens of a marker line, about
_WHOLE = 0.9
_CALLED = re.compile(r"([^\W\d]\w*)\s*[(<!{]|[.:>]\s*([^\W\d]\w*)|@([^\W\d]\w*)")
_IMPORT = re.compile(r"\s*(?:import|from|#\s*include|use|using|require|package|source|\.)\b")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One document, segmented and counted.

    Attributes:
        tree: its tree.
        line_cost: tokens of its lines, accumulated, shape (lines + 1,).
        opening: tokens that its first kept line brings (separator, title).
        forced: nodes that hold protected text.
    """

    tree: CodeTree
    line_cost: list[int]
    opening: int
    forced: tuple[int, ...]

    def cost(self, lines: Sequence[tuple[int, int]]) -> int:
        """Tokens of some ranges of lines."""
        return sum(self.line_cost[b] - self.line_cost[a] for a, b in lines)


@dataclass(slots=True, eq=False)
class Planner:
    """Plans one request for any budget.

    Attributes:
        sources: its documents.
        items: what competes, over all documents.
        scores: usefulness of each item, float64, shape (n,).
        inside: asked for blocks and boundaries of the functions that are cut.
        settings: see :class:`LongCodeZip`.
        coarse_only: documents inside whose functions nothing may be left out.
        minimum: items that each document gets first, while they fit.
    """

    sources: Sequence[Source]
    items: Sequence[Item]
    scores: FloatArray
    inside: Inside
    settings: LongCodeZip
    coarse_only: set[int] = field(default_factory=set)
    minimum: int = 0
    _fine: dict[int, tuple[Blocks, FloatArray]] = field(default_factory=dict)

    def plan(self, budget: int) -> list[Plan]:
        """The documents under about ``budget`` tokens; what is protected always stays."""
        draft = _Draft(self, budget)
        order = self._order()
        chosen = self._coarse(draft, order)
        rates = self._rates(draft, chosen)
        for i in chosen:
            if rates[i] >= _WHOLE and draft.price(i) <= draft.left:
                draft.take(i)
        for i in chosen:
            if not draft.has(i):
                self._partly(draft, i, rates[i])
        if self.settings.keep_signatures:
            self._signatures(draft)
        for i in chosen:
            draft.complete(i)
        self._fill(draft, order)
        for i in order[: len(chosen) + 3]:
            if not draft.has(i):
                self._partly(draft, i, 1.0)
        return draft.plans

    def _fill(self, draft: _Draft, order: list[int]) -> None:
        """What fits whole into the room that is left, by falling score."""
        for i in order:
            if draft.left < _MARKER:
                break
            if draft.has(i):
                continue
            if draft.price(i) <= draft.left:
                draft.take(i)
            elif self.items[i].kind == "code":
                for node in self.items[i].nodes:
                    draft.take_statement(i, node)

    def _order(self) -> list[int]:
        """Items by falling score, the best of every document first where a minimum is wanted."""
        order: list[int] = np.argsort(-self.scores, kind="stable").tolist()
        if not self.minimum:
            return order
        seen: dict[int, int] = {}
        early: list[int] = []
        late: list[int] = []
        for i in order:
            d = self.items[i].document
            seen[d] = seen.get(d, 0) + 1
            (early if seen[d] <= self.minimum else late).append(i)
        return early + late

    def _coarse(self, draft: _Draft, order: list[int]) -> list[int]:
        """Items by falling score until they would fill the fine stage's share."""
        keep = self.settings.fine_ratio if self.settings.fine else 1.0
        room = draft.left / keep
        chosen: list[int] = []
        for i in order:
            price = draft.price(i)
            if price > room:
                break
            chosen.append(i)
            room -= price
        return chosen

    def _rates(self, draft: _Draft, chosen: list[int]) -> dict[int, float]:
        """How much of each chosen item stays."""
        functions = [i for i in chosen if self._divisible(i)]
        rates = dict.fromkeys(chosen, 1.0)
        if not functions:
            return rates
        others = sum(draft.price(i) for i in chosen if not self._divisible(i))
        tokens = sum(draft.price(i) for i in functions) or 1
        lines = [self.items[i].size() for i in functions]
        share = max(0.0, draft.left - others) / tokens
        found = adaptive_rates(
            lines,
            [float(self.scores[i]) for i in functions],
            sum(lines) * min(1.0, share),
            beta=self.settings.beta,
            small=self.settings.min_lines,
        )
        rates.update(zip(functions, found, strict=True))
        return rates

    def _divisible(self, i: int) -> bool:
        item = self.items[i]
        return (
            self.settings.fine
            and item.kind == "function"
            and item.document not in self.coarse_only
            and bool(self.sources[item.document].tree.children(item.nodes[0]))
        )

    def _partly(self, draft: _Draft, i: int, rate: float) -> None:
        """As much of a function as its rate and the room allow; nothing where that is little."""
        if not self._divisible(i):
            if draft.price(i) <= draft.left:
                draft.take(i)
            return
        item = self.items[i]
        source = self.sources[item.document]
        header = source.cost(source.tree.own(item.nodes[0])) + draft.around(i) + _MARKER
        room = min(draft.left - header, int(rate * item.cost))
        if room < max(_MARKER, item.cost // 5):
            return
        blocks, value = self._blocks(i)
        nodes, spent = choose_blocks(blocks, value, room, _MARKER)
        if nodes:
            draft.take_nodes(i, nodes, spent + header)

    def _blocks(self, i: int) -> tuple[Blocks, FloatArray]:
        """The blocks of a function and their worth; asked for once."""
        if i not in self._fine:
            item = self.items[i]
            source = self.sources[item.document]
            node = item.nodes[0]
            first = source.tree.nodes[node].first
            ends = self.inside.boundaries(i)
            lines = None if ends is None else [first + line for line in ends]
            blocks = blocks_of(source.tree, node, source.line_cost, lines)
            places = source.tree.starts - source.tree.starts[first]
            spans = [
                [(int(places[a]), int(places[b])) for a, b in ranges] for ranges in blocks.lines
            ]
            self._fine[i] = blocks, self.inside.blocks(i, blocks.text, spans)
        return self._fine[i]

    def _signatures(self, draft: _Draft) -> None:
        """Imports, and headers of the functions that kept code calls."""
        called = set()
        for i, item in enumerate(self.items):
            if draft.has(i):
                text = item.text(self.sources[item.document].tree)
                called |= {name for match in _CALLED.findall(text) for name in match if name}
        for i, item in enumerate(self.items):
            if draft.has(i) or item.document not in draft.opened:
                continue
            tree = self.sources[item.document].tree
            if item.kind == "code":
                for node in item.nodes:
                    if _IMPORT.match(tree.slice(tree.nodes[node].head, tree.nodes[node].stop)):
                        draft.take_statement(i, node)
            elif item.kind == "function" and item.name in called:
                draft.stub(i)


class _Draft:
    """Plans in the making, with what they cost so far."""

    def __init__(self, planner: Planner, budget: int) -> None:
        self._planner = planner
        self.plans = [Plan(source.tree) for source in planner.sources]
        self.opened: set[int] = set()
        self._taken: dict[int, int] = {}
        self._partial: set[int] = set()
        self.left = budget
        for d, source in enumerate(planner.sources):
            for node in source.forced:
                self.left -= self._open(d) + self._chain(d, node)
                self.plans[d].keep(node, whole=False)

    def _open(self, document: int) -> int:
        if document in self.opened:
            return 0
        self.opened.add(document)
        return self._planner.sources[document].opening + _MARKER

    def _chain(self, document: int, node: int) -> int:
        """Tokens of the own lines of a node and of what is around it, as far as they are new."""
        source, plan = self._planner.sources[document], self.plans[document]
        total = 0
        while node >= 0 and node not in plan.kept:
            total += source.cost(source.tree.own(node)) + _MARKER
            node = source.tree.nodes[node].parent
        return total

    def has(self, i: int) -> bool:
        """Whether an item is in, whole or partly."""
        return i in self._taken

    def around(self, i: int) -> int:
        """What an item brings beside its own lines."""
        item = self._planner.items[i]
        source = self._planner.sources[item.document]
        opening = 0 if item.document in self.opened else source.opening + _MARKER
        return opening + self._chain(item.document, source.tree.nodes[item.nodes[0]].parent)

    def price(self, i: int) -> int:
        """What it costs to take an item whole."""
        return self._planner.items[i].cost + self.around(i) + _MARKER

    def take(self, i: int) -> None:
        """An item as a whole."""
        item = self._planner.items[i]
        self._taken[i] = self.price(i)
        self.left -= self._taken[i]
        self._open(item.document)
        for node in item.nodes:
            self.plans[item.document].keep(node, whole=item.kind != "class")

    def take_nodes(self, i: int, nodes: Sequence[int], price: int) -> None:
        """A part of a function."""
        item = self._planner.items[i]
        self._taken[i] = price
        self._partial.add(i)
        self.left -= price
        self._open(item.document)
        plan = self.plans[item.document]
        plan.keep(item.nodes[0], whole=False)
        for node in nodes:
            plan.keep(node, whole=False)

    def complete(self, i: int) -> None:
        """The rest of a function that is partly in, if there is room."""
        item = self._planner.items[i]
        missing = item.cost - self._taken.get(i, 0)
        if i in self._partial and missing <= self.left:
            self._partial.discard(i)
            self.left -= max(0, missing)
            self.plans[item.document].keep(item.nodes[0], whole=True)

    def take_statement(self, i: int, node: int) -> None:
        """One statement of a run, if there is room."""
        document = self._planner.items[i].document
        source, plan = self._planner.sources[document], self.plans[document]
        if node in plan.kept:
            return
        at = source.tree.nodes[node]
        price = source.cost([(at.first, at.end)]) + _MARKER + self._chain(document, at.parent)
        price += 0 if document in self.opened else source.opening + _MARKER
        if price <= self.left:
            self.left -= price
            self._open(document)
            plan.keep(node, whole=True)

    def stub(self, i: int) -> None:
        """The header of a function."""
        item = self._planner.items[i]
        source = self._planner.sources[item.document]
        node, children = item.nodes[0], source.tree.children(item.nodes[0])
        if not children or node in self.plans[item.document].kept:
            return
        price = self._chain(item.document, node) + 3 * _MARKER
        if price <= self.left and price < item.cost:
            self.left -= price
            self._taken[i] = price
            plan = self.plans[item.document]
            plan.keep(node, whole=False)
            plan.stubs.add(node)
