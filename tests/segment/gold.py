"""Hand-written segmentations, read from the text files beside this module."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent


class Case(NamedTuple):
    """A text and the pieces that it should fall into."""

    name: str
    text: str
    pieces: list[str]


def load(file: str, mark: str) -> list[Case]:
    """Read cases that begin with ``%% name``; ``mark`` stands where a piece begins."""
    cases = []
    for block in ("\n" + (HERE / file).read_text(encoding="utf-8")).split("\n%% ")[1:]:
        name, _, body = block.partition("\n")
        pieces = [piece.strip() for piece in body.split(mark)]
        cases.append(Case(name, body.replace(mark, ""), [piece for piece in pieces if piece]))
    return cases


def sentences() -> list[Case]:
    return load("gold_sentences.txt", "¦")


def words() -> list[Case]:
    """One case a line."""
    return [
        Case(case.name, line.replace("|", ""), line.split("|"))
        for case in load("gold_words.txt", "¦")
        for line in case.text.splitlines()
    ]
