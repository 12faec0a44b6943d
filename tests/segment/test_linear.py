"""Work grows with the text, whatever the text: counted in ratios of time, never in seconds."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import pytest

from ctxzip.segment import sentences, structure, words

HOSTILE = [
    *("\n", "x", "(", "a.a.", "|", "- ", ". ", "A. ", "“", "字。", '" ', "e.g. ", "> \n", "```\n"),
    *("<!--\n", "{\n", "[\n\n", "[1]\n", "a\n\n", "字", "ก", "👍🏽", "a\u0301", "=", "-\n", "\\"),
    *("a|\n-|-\n", '{"a":', '"\\"', "--a", "\u200d", "One here. ", "(a. B", "~~~a\n", "\t", "- - "),
    *(
        "<!-- -->",
        "<!-- -->\n",
        "[1, 2] ",
        "[1, 2]\n",
        "|a|\n|-|\n",
        "> ```\n",
        "---\n",
        "a\n---\n",
    ),
]


def seconds(function: Callable[[str], object], text: str) -> float:
    best = float("inf")
    gc.disable()
    try:
        for _ in range(3):
            begin = time.process_time()
            function(text)
            best = min(best, time.process_time() - begin)
    finally:
        gc.enable()
    return best


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
@pytest.mark.parametrize("function", [sentences.split, words.split, structure.json_members])
def test_hostile_text_takes_linear_time(function: Callable[[str], object], piece: str) -> None:
    small, factor = 6_000, 10
    text = piece * (small // len(piece))
    function(text)
    # Quadratic work would give 100; a floor keeps the clock's grain out of the ratio.
    ratio = seconds(function, text * factor) / max(seconds(function, text), 2e-3)
    assert ratio < 4 * factor
