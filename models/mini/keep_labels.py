"""What `keep` learns: how much each character of a paragraph is needed, and surprisal.

    python models/mini/keep_labels.py --language-model DIR --data DIR --out surprisal.jsonl

writes the surprisal of the words of SQuAD's training paragraphs by a small causal language model,
for ``train.py --surprisal``. It goes on where an earlier file ends.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from prepare import content, held_out, load
from run import DATA

from ctxzip.kit.arrays import FloatArray
from ctxzip.segment import words as word_segmenter

# What is not an answer gets these: about how often such a word turns out to be one.
WEIGHT = {"shared": 0.12, "negations": 0.09, "names": 0.07, "surprisal": 0.12}
SIGNALS = ("answers", "shared", "names", "negations")
_NAME = re.compile(r"\b(?:[A-Z][\w.-]*|\w*\d[\w.,]*)")
_NEGATION = re.compile(r"\b(?:not|no|never|none|nor|without|cannot|n't)\b", re.I)
_WORD = re.compile(r"\w+")
_TOGETHER = 32  # paragraphs that the language model is given at once


def targets(
    text: str,
    records: Sequence[dict[str, Any]],
    signals: Collection[str] = SIGNALS,
    surprisal: Sequence[float] | None = None,
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """How much each character is needed, and where the answers are.

    Args:
        text: a paragraph.
        records: everything that was asked about it.
        signals: what counts. ``answers``: 1 in an answer to any question. ``shared``: a content
            word that an evidence sentence shares with its question. ``names`` and numbers.
            ``negations``. ``surprisal``: content words by their rank, the most surprising the most.
        surprisal: of each word; needed for that signal only.

    Returns:
        (characters,) targets in 0..1, and the answers as ranges of characters.
    """
    spans = []
    target = np.zeros(len(text), np.float32)
    marks = [*_forms(text, signals), *_shared(text, records if "shared" in signals else ())]
    if "surprisal" in signals and surprisal is not None:
        marks += _surprising(text, surprisal)
    for start, end, value in marks:
        np.maximum(target[start:end], value, out=target[start:end])
    for record in records if "answers" in signals else ():
        evidence = record["documents"][0]["evidence"]
        for answer in filter(None, dict.fromkeys(record["answers"])):
            found = [text.find(answer, a, b) for a, b in evidence] + [text.find(answer)]
            at = next((i for i in found if i >= 0), -1)
            if at >= 0:
                target[at : at + len(answer)] = 1.0
                spans.append((at, at + len(answer)))
    return target, spans


def _forms(text: str, signals: Collection[str]) -> Iterator[tuple[int, int, float]]:
    """Names, numbers and negations."""
    for match in _NAME.finditer(text) if "names" in signals else ():
        before = text[: match.start()].rstrip()
        if match.group()[0].isdigit() or (before and before[-1] not in ".!?"):
            yield (*match.span(), WEIGHT["names"])
    for match in _NEGATION.finditer(text) if "negations" in signals else ():
        yield (*match.span(), WEIGHT["negations"])


def _shared(text: str, records: Sequence[dict[str, Any]]) -> Iterator[tuple[int, int, float]]:
    """Content words that an evidence sentence shares with its question."""
    for record in records:
        asked = set(content(record["query"]))
        for a, b in record["documents"][0]["evidence"]:
            for match in _WORD.finditer(text, a, b):
                if not asked.isdisjoint(content(match.group())):
                    yield (*match.span(), WEIGHT["shared"])


def _surprising(text: str, surprisal: Sequence[float]) -> Iterator[tuple[int, int, float]]:
    """Content words by the rank of their surprisal among those of the text."""
    start, end = word_segmenter.split(text)
    told = [i for i in range(len(start)) if content(text[start[i] : end[i]])]
    for rank, i in enumerate(sorted(told, key=lambda i: surprisal[i])):
        yield int(start[i]), int(end[i]), WEIGHT["surprisal"] * (rank + 1) / len(told)


class Surprisal:
    """Words by the mean surprisal of their tokens, as Selective-Context ranks them.

    Li et al., "Compressing Context to Enhance Inference Efficiency of Large Language Models" (EMNLP
    2023). The first token has none and counts as the most surprising.

    Args:
        folder: of a causal language model.
        dtype: as in :class:`~ctxzip.backends.torch.loading.Placement`.
    """

    def __init__(self, folder: Path, dtype: str = "float32") -> None:
        from ctxzip.backends.torch.causal import CausalModel
        from ctxzip.backends.torch.likelihood import TorchLikelihood
        from ctxzip.backends.torch.loading import Placement

        self._likelihood = TorchLikelihood(CausalModel(str(folder), Placement(dtype=dtype)))

    def __call__(self, texts: Sequence[str]) -> Iterator[FloatArray]:
        """(words,) of each text, in nats; infinity where there is none."""
        rows = [self._likelihood.rows(text, [None], [])[0] for text in texts]
        for text, row, loss in zip(texts, rows, self._likelihood.read_rows(rows, []), strict=True):
            at = self._likelihood.offsets(text)[row.left_out + row.start :]
            start, end = word_segmenter.split(text)
            # A token begins with the space before its word.
            word = np.searchsorted(end, at, side="right")
            inside = word < len(start)
            total = np.bincount(word[inside], loss[inside], minlength=len(start))
            count = np.bincount(word[inside], minlength=len(start))
            yield np.where(count > 0, total / np.maximum(count, 1), np.inf)


def paragraphs(data: Path) -> list[str]:
    """SQuAD's training paragraphs, but those held out, in an order drawn by lot."""
    documents = [record["documents"][0] for record in load(data, "squad_train")]
    texts = dict.fromkeys(d["text"] for d in documents if not held_out(d["title"], "squad"))
    return random.Random(0).sample(list(texts), len(texts))


def read(path: Path) -> dict[str, list[float]]:
    """The surprisals of the words of each text in a file that this script wrote."""
    with path.open(encoding="utf-8") as lines:
        return {row["text"]: row["surprisal"] for row in map(json.loads, lines)}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--language-model", type=Path, required=True, help="folder of a causal one")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="paragraphs; default all of them")
    options = parser.parse_args()
    known = read(options.out) if options.out.exists() else {}
    texts = [t for t in paragraphs(options.data)[: options.limit] if t not in known]
    surprisal = Surprisal(options.language_model, "bfloat16")
    with options.out.open("a", encoding="utf-8") as out:
        for at in range(0, len(texts), _TOGETHER):
            some = texts[at : at + _TOGETHER]
            for text, values in zip(some, surprisal(some), strict=True):
                told = [round(min(float(v), 99.0), 2) for v in values]
                out.write(json.dumps({"text": text, "surprisal": told}) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
