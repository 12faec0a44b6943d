"""Whether evidence and answers survive, and how an answer compares with another."""

from __future__ import annotations

import re
import string
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable

from ctxzip.evaluate.baselines import words

__all__ = [
    "answer_kept",
    "evidence_in_text",
    "evidence_kept",
    "exact_match",
    "f1",
    "normalise_answer",
]

KEPT_WORDS = 0.9  # of an evidence span's words, for the span to count as kept

_WORD = re.compile(r"\w+")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def evidence_kept(
    document_text: str, evidence_span: tuple[int, int], kept_spans: Iterable[tuple[int, int]]
) -> bool:
    """Whether at least 90% of the words of an evidence span are kept.

    Words are runs of ``\\w``; a word is kept if all its characters are in kept spans. Kept spans
    are in source order by promise, so kept words are in order too.
    """
    starts: list[int] = []
    ends: list[int] = []
    for start, end in sorted(kept_spans):
        if ends and start <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    total = kept = 0
    for word in _WORD.finditer(document_text, *evidence_span):
        at = bisect_right(starts, word.start()) - 1
        total += 1
        kept += at >= 0 and word.end() <= ends[at]
    return kept >= KEPT_WORDS * total


def evidence_in_text(evidence: str, output: str) -> bool:
    """Whether at least 90% of the words of ``evidence`` stand, in order, in rewritten text.

    By the longest common subsequence of lower-cased words (bit-parallel: Hyyrö, 2004).
    """
    wanted = words(evidence)
    positions: dict[str, int] = defaultdict(int)
    for i, word in enumerate(wanted):
        positions[word] |= 1 << i
    mask = (1 << len(wanted)) - 1
    row = mask
    for word in words(output):
        matches = row & positions.get(word, 0)
        row = ((row + matches) | (row - matches)) & mask
    return len(wanted) - row.bit_count() >= KEPT_WORDS * len(wanted)


def normalise_answer(text: str) -> str:
    """SQuAD's normalisation: lower case, without punctuation, articles and extra whitespace."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def answer_kept(answers: Iterable[str], output: str) -> bool:
    """Whether any of the answers, normalised as for SQuAD, stands in the normalised output.

    As whole words: the answer "no" does not stand in "know". Scripts without spaces have none.
    """
    normalised = f" {normalise_answer(output)} "
    wanted = [answer for answer in map(normalise_answer, answers) if answer]
    return any(
        (answer if _UNSPACED.search(answer) else f" {answer} ") in normalised for answer in wanted
    )


def exact_match(answer: str, expected: Iterable[str]) -> float:
    """1.0 if the answer, normalised as for SQuAD, equals one of the expected ones, else 0.0."""
    normalised = normalise_answer(answer)
    return float(any(normalised == normalise_answer(reference) for reference in expected))


def f1(answer: str, expected: Iterable[str]) -> float:
    """SQuAD's F1: overlap of words with the nearest of the expected answers, in [0, 1].

    Where either has no words left after normalisation, 1.0 if both have none.
    """
    return max((_f1(answer, reference) for reference in expected), default=0.0)


def _f1(answer: str, expected: str) -> float:
    # A script without spaces is compared by its characters.
    ours, theirs = (
        _UNSPACED.sub(r" \g<0> ", normalise_answer(text)).split() for text in (answer, expected)
    )
    if not ours or not theirs:
        return float(ours == theirs)
    common = (Counter(ours) & Counter(theirs)).total()
    return 2 * common / (len(ours) + len(theirs))
