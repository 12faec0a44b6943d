"""What a compression keeps: evidence, answers, tokens and time, on one's own questions.

``ctxzip eval DATA`` compares compressors and ratios, with or without an LLM that answers, and says
how far one can go; ``python -m ctxzip.evaluate`` prints the plain tables of the README.
Names are imported when they are first used, so that the command line starts quickly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctxzip.evaluate.compare import Outcome as Outcome
    from ctxzip.evaluate.compare import evaluate as evaluate
    from ctxzip.evaluate.compare import main as main
    from ctxzip.evaluate.compare import table as table
    from ctxzip.evaluate.metrics import answer_kept as answer_kept
    from ctxzip.evaluate.metrics import evidence_in_text as evidence_in_text
    from ctxzip.evaluate.metrics import evidence_kept as evidence_kept
    from ctxzip.evaluate.metrics import normalise_answer as normalise_answer
    from ctxzip.evaluate.records import Record as Record
    from ctxzip.evaluate.records import load_records as load_records
    from ctxzip.evaluate.requests import build_requests as build_requests
    from ctxzip.evaluate.statistics import paired_bootstrap as paired_bootstrap

_LAZY = {
    "Outcome": "compare",
    "Record": "records",
    "answer_kept": "metrics",
    "build_requests": "requests",
    "evaluate": "compare",
    "evidence_in_text": "metrics",
    "evidence_kept": "metrics",
    "load_records": "records",
    "main": "compare",
    "normalise_answer": "metrics",
    "paired_bootstrap": "statistics",
    "table": "compare",
}

__all__ = [
    "Outcome",
    "Record",
    "answer_kept",
    "build_requests",
    "evaluate",
    "evidence_in_text",
    "evidence_kept",
    "load_records",
    "main",
    "normalise_answer",
    "paired_bootstrap",
    "table",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'ctxzip.evaluate' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"ctxzip.evaluate.{_LAZY[name]}"), name)
    globals()[name] = value
    return value
