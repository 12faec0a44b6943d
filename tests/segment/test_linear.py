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
    gc.disable()
    try:
        begin = time.process_time()
        function(text)
        return time.process_time() - begin
    finally:
        gc.enable()


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
@pytest.mark.parametrize("function", [sentences.split, words.split, structure.json_members])
def test_hostile_text_takes_linear_time(function: Callable[[str], object], piece: str) -> None:
    small, factor = 6_000, 10
    text = piece * (small // len(piece))
    function(text)
    # Quadratic work would give 100; a floor keeps the clock's grain out of the ratio. What looks
    # too slow is looked at again: something else may have held the processor.
    short, long = float("inf"), float("inf")
    for _ in range(5):
        short = min(short, seconds(function, text))
        long = min(long, seconds(function, text * factor))
        if long < 4 * factor * max(short, 2e-3):
            return
    raise AssertionError(f"{factor} times the text takes {long / short:.0f} times as long")
