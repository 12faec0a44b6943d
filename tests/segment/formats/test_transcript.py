from __future__ import annotations

import re
import time

import pytest

from ctxzip.segment.formats import transcript
from ctxzip.segment.tree import Tree
from tests.segment.formats.harness import everything, outputs, tree_of

MEETING = """\
Ann: Hello everyone. Shall we begin?
Bob: Yes.
Carl Orr (00:02:11): I have a question about the budget. It is long.
And it has two parts:
- travel
- food

Ann: Go on.
Bob: Yes.
"""
IRC = """\
[12:30] <ann> hi
[12:31] <bob> hello. how are you?
[12:31] *** carl joined
[12:32] <ann> fine
[12:33] <bob> hello. how are you?
"""
WHATSAPP = """\
31.12.21, 22:15 - Ann: Happy new year!
31.12.21, 22:16 - Bob: You too. All of you
and your family
31.12.21, 22:17 - Ann: <Media omitted>
"""
SLACK = """\
Ann Lee  10:32 AM
The deploy failed. Look at it.

Bob Ray  10:35 AM
Which one?

Ann Lee  10:36 AM
staging
"""
BOLD = """\
## Talk

**Ann:** Where is it? I can't see it.

**Bob:** Behind you.

**Ann:** Where is it?
"""
TURNS = {
    MEETING: r"^(Ann|Bob|Carl Orr)(?: \(.*?\))?: *(.*)",
    IRC: r"^\[\d+:\d+\] <(\w+)> *(.*)",
    WHATSAPP: r"^[\d., :]+ - (\w+): *(.*)",
    BOLD: r"^\*\*(\w+):\*\* *(.*)",
}


def read(text: str) -> Tree:
    return tree_of(text, transcript.read, transcript.STYLE)


@pytest.mark.parametrize("text", [*TURNS, SLACK])
def test_all_of_it_is_the_source(text: str) -> None:
    assert transcript.fits(text, 0, len(text))
    assert everything(text, transcript.read, transcript.STYLE).strip() == text.strip()


@pytest.mark.parametrize("text", list(TURNS))
def test_nobody_says_what_another_said(text: str) -> None:
    pattern = re.compile(TURNS[text])

    def said(text: str) -> dict[str, str]:
        """What follows each speaker, on the line and on those below it."""
        found: dict[str, str] = {}
        name = ""
        for line in text.split("\n"):
            turn = pattern.match(line)
            name = turn[1] if turn else name
            if line.strip() and "…" not in line:
                found[name] = found.get(name, "") + "\n" + (turn[2] if turn else line)
        return found

    source = said(text)
    for output in outputs(text, transcript.read, transcript.STYLE, n=30):
        for name, words in said(output).items():
            for line in words.split("\n"):
                for sentence in re.split(r"(?<=[.?!]) ", line):
                    assert sentence in source[name], output


def test_sentences_stand_below_their_speaker() -> None:
    tree = read(MEETING)
    for words, name in [("It is long", "Carl Orr"), ("Go on", "Ann"), ("Shall we", "Ann")]:
        at = next(i for i in range(len(tree)) if MEETING.index(words) < tree.end[i])
        assert tree.labels[int(tree.parent[at])] == name
    heads = tree.parent[tree.parent >= 0]
    assert not tree.content[[int(i) for i in set(heads.tolist()) if tree.parent[i] < 0]].any()


def test_who_joined_is_no_content() -> None:
    tree = read(IRC)
    at = next(i for i in range(len(tree)) if IRC.index("carl") < tree.end[i])
    assert not tree.content[at]


@pytest.mark.parametrize(
    "text",
    [
        "The harbour is old. It was built in 1874: the town paid.\nNobody uses it.\n",
        "# Title\n\n- a: b\n- c: d\n",
        "name: Ann\ncity: Rome\nname: Bob\ncity: Oslo\n",
        "ERROR: failed\nINFO: done\nERROR: failed\nINFO: done\n",
        "2026-11-03 08:00:08 INFO started\n2026-11-03 08:00:09 ERROR failed: x\n" * 3,
        "Q: Is it free?\nA: No.\n\nQ: Is it open?\nA: No.\n",
        '{"Ann": 1,\n"Bob": 2}\n',
        "",
    ],
)
def test_other_texts_are_not_taken(text: str) -> None:
    assert not transcript.fits(text, 0, len(text))


@pytest.mark.parametrize(
    "piece", ["Ann: x\n", "[12:30] <a> x\n", "A\n", "Ann  10:32 AM\nx\n", "[" * 50 + "\n"]
)
def test_time_is_linear(piece: str) -> None:
    def seconds(n: int) -> float:
        text = "Ann: Hi.\nBob: Hi.\nAnn: Bye.\n" + piece * n + "é"
        begin = time.process_time()
        transcript.fits(text, 0, len(text))
        read(text)
        return (time.process_time() - begin) / n

    seconds(100)
    small, large = max(seconds(500) for _ in range(2)), min(seconds(4000) for _ in range(2))
    assert large < 4 * small
