"""What `keep` keeps without a question, beside other ways to rank words; see ``evaluate.py``."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from keep_labels import Surprisal

from ctxzip.evaluate import Record, answer_kept, load_records
from ctxzip.evaluate.baselines import digest
from ctxzip.kit.arrays import FloatArray
from ctxzip.score.base import ScoreRequest
from ctxzip.score.mini.scorer import MiniScorer
from ctxzip.segment import sentences
from ctxzip.segment import words as word_segmenter
from ctxzip.segment.function_words import function_words
from ctxzip.text.units import Passage, Words
from ctxzip.types import Document

_WORD = re.compile(r"\w+")


def keep(data: Path, scorer: MiniScorer, language_model: Path | None) -> None:
    """Without a query: how many answers to everything asked about a paragraph survive whole."""
    names = ["mini", "idf", "stop words first", "random"]
    surprisal = None
    if language_model is not None:
        names.append("surprisal")
        surprisal = Surprisal(language_model)
    print("\n| set | words kept | " + " | ".join(names) + " |")
    print("|---|---|" + "---|" * len(names))
    for name in ("squad_dev", "qed_dev"):
        asked: dict[tuple[str, str], list[Record]] = {}
        for record in load_records(data / f"{name}.jsonl.xz"):
            document = record.documents[0]
            asked.setdefault((document.title or "", document.text), []).append(record)
        chosen = sorted(asked, key=lambda key: digest(0, *key))[:300]
        frequency = Counter(w for _, text in asked for w in set(_WORD.findall(text.lower())))
        frequency[""] = len(asked)
        rankings: dict[str, Callable[[str, str], FloatArray]] = {
            "mini": lambda title, text: _keep(scorer, title, text),
            "idf": lambda _, text, counts=frequency: _idf(text, counts),
            "stop": lambda _, text: _stop(text),
            "random": lambda _, text: np.random.default_rng(len(text)).random(len(_split(text)[0])),
        }
        if surprisal is not None:
            rankings["surprisal"] = lambda _, text: next(surprisal([text]))
        ranked = {method: [rank(*key) for key in chosen] for method, rank in rankings.items()}
        for fraction in (0.5, 0.33):
            cells = []
            for values in ranked.values():
                hits = [
                    answer_kept(record.answers, _shortened(key[1], value, fraction))
                    for key, value in zip(chosen, values, strict=True)
                    for record in asked[key]
                ]
                cells.append(f"{np.mean(hits):.3f}")
            print(f"| {name} | {fraction:.0%} | " + " | ".join(cells) + " |", flush=True)


def _split(text: str) -> tuple[Any, Any]:
    return word_segmenter.split(text)


def _keep(scorer: MiniScorer, title: str, text: str) -> FloatArray:
    units = sentences.split(text)
    request = ScoreRequest((Passage(Document(text, title=title), text, units),), None)
    start, end = _split(text)
    unit = np.maximum(np.searchsorted(units.start, start, side="right") - 1, 0)
    words = Words(start, end, unit, np.zeros(len(start), bool))
    return scorer.words(request, scorer.units([request])[0], [words])[0]


def _idf(text: str, frequency: Counter[str]) -> FloatArray:
    value = [
        max(
            (
                math.log(frequency[""] / max(1, frequency[w]))
                for w in _WORD.findall(text[a:b].lower())
            ),
            default=-1.0,
        )
        for a, b in zip(*_split(text), strict=True)
    ]
    return np.array(value)


def _stop(text: str) -> FloatArray:
    common, generator = function_words("en"), np.random.default_rng(0)
    value = [
        float(any(w not in common for w in _WORD.findall(text[a:b].lower())))
        + 0.01 * generator.random()
        for a, b in zip(*_split(text), strict=True)
    ]
    return np.array(value)


def _shortened(text: str, value: FloatArray, fraction: float) -> str:
    start, end = _split(text)
    chosen = np.sort(np.argsort(-value, kind="stable")[: max(1, int(fraction * len(start)))])
    return " ".join(text[a:b] for a, b in zip(start[chosen], end[chosen], strict=True))
