"""Whether a summary says what its source does not."""

from __future__ import annotations

import re

import numpy as np

from ctxzip.segment import sentences

__all__ = ["unsupported"]
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")


_WORD = re.compile(r"[^\W\d_][\w'’-]*")


def unsupported(summary: str, source: str) -> list[str]:
    """Numbers and names of a summary that its source does not hold, in order.

    A name is a capitalised word that does not begin a sentence, or one inside a run of them. A
    plain check of strings: it finds what was invented, not what was turned round.
    """
    numbers = {number.replace(",", "") for number in _NUMBER.findall(source)}
    words = {word.casefold() for word in _WORD.findall(source)}
    words |= {word.removesuffix("'s").removesuffix("’s") for word in words}
    starts = set(np.asarray(sentences.split(summary).start).tolist())
    found: dict[int, str] = {}
    for match in _NUMBER.finditer(summary):
        if match.group().replace(",", "") not in numbers:
            found[match.start()] = match.group()
    for match in _WORD.finditer(summary):
        word = match.group().removesuffix("'s").removesuffix("’s")
        opens = match.start() in starts or summary[: match.start()].rstrip("\"'“‘( ") == ""
        if word[:1].isupper() and not opens and word.casefold() not in words:
            found[match.start()] = word
    return list(dict.fromkeys(found[at] for at in sorted(found)))
