"""Many outputs of one reader: every closed selection of a small text, samples of a large one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from ctxzip.segment.layout import Marks
from ctxzip.segment.tree import Builder, Style, Tree
from ctxzip.segment.tree_layout import TreeLayout, cut, without_noise

Read = Callable[..., object]


def tree_of(text: str, read: Read, style: Style | None = None) -> Tree:
    """The tree that ``read(builder, 0, len(text))`` writes."""
    out = Builder(text) if style is None else Builder(text, style)
    assert read(out, 0, len(text)) is not False, "the reader refused its own format"
    return out.tree("test")


def everything(text: str, read: Read, style: Style | None = None) -> str:
    """The output with every part kept: the source without what carries no information."""
    tree = tree_of(text, read, style)
    clean, tree = without_noise(text, tree)
    return TreeLayout(clean, tree).kept(np.ones(len(tree), bool)).text(clean)


def outputs(
    text: str, read: Read, style: Style | None = None, *, n: int = 60, seed: int = 0
) -> Iterator[str]:
    """Outputs of random closed selections, fine and coarse, with every kind of marks."""
    full = tree_of(text, read, style)
    clean, fine = without_noise(text, full)
    random = np.random.default_rng(seed)
    for limit, marks in itertools.product((0, 40, 10**9), (Marks.NONE, Marks.PARENT, Marks.EACH)):
        tree, _ = cut(fine, np.maximum(1, (fine.end - fine.start) // 4), limit)
        layout = TreeLayout(clean, tree)
        seeds = [np.eye(len(tree), dtype=bool)[i] for i in range(min(len(tree), 40))]
        for share in random.uniform(0.02, 0.9, n):
            seeds.append(random.random(len(tree)) < share)
        for chosen in seeds:
            wanted = chosen & tree.content
            if not wanted.any():
                continue
            kept = layout.kept(layout.closed(wanted), marks)
            assert (kept.spans[1:, 0] >= kept.spans[:-1, 1]).all(), (
                "slices in the order of the source"
            )
            yield kept.text(clean)
