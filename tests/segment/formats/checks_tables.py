"""What the tests of tables share: rows of an output are rows of the source, in order."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from ctxzip.segment.tree import Builder

__all__ = ["assert_linear", "assert_never_raises", "assert_rows", "unmarked"]


def unmarked(text: str) -> str:
    """An output without the lines that say what was left out."""
    return "\n".join([line for line in text.split("\n") if "…" not in line])


def assert_rows(source: Sequence[object], output: Sequence[object], said: str) -> None:
    """Every row of the output is one of the source, in the same order, none twice."""
    rest = iter(source)
    for row in output:
        assert any(row == other for other in rest), f"{row!r} in {said!r}"


def assert_linear(read: Callable[..., object], piece: str, n: int = 1000, head: str = "") -> None:
    """Eight times the text takes about eight times as long."""

    takes_builder = read.__name__ == "read"

    def seconds(times: int) -> float:
        text = head + piece * times
        best = float("inf")
        for _ in range(2):
            begun = time.process_time()
            read(Builder(text) if takes_builder else text, 0, len(text))
            best = min(best, time.process_time() - begun)
        return best

    assert seconds(8 * n) < 20 * seconds(n) + 0.05


def assert_never_raises(
    fits: Callable[..., bool], read: Callable[..., object], text: str, seed: int = 0
) -> None:
    """Cut anywhere and with characters changed, a text gives a sound tree or is refused."""
    dice = random.Random(seed)
    torn = ["", " ", "\n\n", "\x00", "\r", "\ud800", '"', "<", "|||", "'" * 3]
    for _ in range(150):
        a, b = sorted(dice.choices(range(len(text) + 1), k=2))
        piece = text[a:b]
        for _ in range(dice.randrange(4)):
            at = dice.randrange(len(piece) + 1)
            piece = piece[:at] + dice.choice("\"'<>|,;()\n\t\x00\r-/ é\ud800") + piece[at + 1 :]
        torn.append(piece)
    for piece in torn:
        fits(piece, 0, len(piece))
        out = Builder(piece)
        if read(out, 0, len(piece)) is False:
            assert not out.start
            assert not out.noise
            continue
        tree = out.tree("test")
        covered = bytearray(len(piece))
        for a, b in [
            *zip(tree.start.tolist(), tree.end.tolist(), strict=True),
            *tree.noise.tolist(),
        ]:
            covered[a:b] = b"x" * (b - a)
        left = "".join(c for c, x in zip(piece, covered, strict=True) if not x and not c.isspace())
        assert not left.strip(",\x00"), f"{left!r} of {piece!r} is nowhere"
