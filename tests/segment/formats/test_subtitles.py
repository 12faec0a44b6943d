from __future__ import annotations

import re
import time

import pytest

from ctxzip.segment.formats import subtitles
from tests.segment.formats.harness import everything, outputs, tree_of

SRT = """\
1
00:00:01,000 --> 00:00:04,000
Hello there.

2
00:00:05,000 --> 00:00:07,000
- Who is it?
- General
Kenobi!

3
00:00:08,000 --> 00:00:09,500
Hello there.
"""
VTT = """\
WEBVTT - A talk

NOTE made by hand

00:01.000 --> 00:04.000 align:start
<v Ann>Hello there.

intro
00:05.000 --> 00:07.000
Bye. <i>Really.</i>

00:08.000 --> 00:09.000
<v Bob>Hello there.
"""


def cues(text: str) -> list[str]:
    blocks = re.split(r"\n\s*\n", text.strip().replace("\r\n", "\n"))
    return [block for block in blocks if "-->" in block]


@pytest.mark.parametrize("text", [SRT, VTT, SRT.replace("\n", "\r\n")])
def test_cues_stay_whole(text: str) -> None:
    assert subtitles.fits(text, 0, len(text))
    assert everything(text, subtitles.read, subtitles.STYLE).strip() == text.strip()
    source = cues(text)
    assert len(source) == 3
    for output in outputs(text, subtitles.read, subtitles.STYLE, n=20):
        assert set(cues(output)) <= set(source)
        assert "…" not in output
        assert text is not VTT or output.startswith("WEBVTT")


def test_a_model_reads_what_is_said() -> None:
    tree = tree_of(VTT, subtitles.read)
    assert tree.readings[2:] == ["Ann: Hello there.", "Bye. Really.", "Bob: Hello there."]
    assert tree.labels[2] == "Ann"
    assert tree.content.tolist() == [False, False, True, True, True]


@pytest.mark.parametrize(
    "text",
    [
        "1\n2\n3\n",
        "a --> b\n",
        "The cue 00:00:01,000 --> 00:00:04,000 is text.\n",
        "",
        "# A\n\n- b\n",
    ],
)
def test_other_texts_are_not_taken(text: str) -> None:
    assert not subtitles.fits(text, 0, len(text))


def test_cues_without_blank_lines_and_cut_off() -> None:
    text = SRT.replace("\n\n", "\n") + "4\n00:00:10,000 --> "
    assert everything(text, subtitles.read, subtitles.STYLE).strip() == text.strip()
    assert len(tree_of(text, subtitles.read)) == 4


@pytest.mark.parametrize(
    "piece", ["1\n00:00:01,000 --> 00:00:04,000\nx\n\n", "<v " * 20 + "\n", "1\n"]
)
def test_time_is_linear(piece: str) -> None:
    def seconds(n: int) -> float:
        text = SRT + "\n" + piece * n
        begin = time.process_time()
        tree_of(text, subtitles.read)
        return (time.process_time() - begin) / n

    seconds(100)
    small, large = max(seconds(500) for _ in range(2)), min(seconds(4000) for _ in range(2))
    assert large < 4 * small
