"""What a compression keeps: evidence, answers, tokens and time, on one's own questions.

``ctxzip eval DATA`` compares compressors and ratios, with or without an LLM that answers, and says
how far one can go. Names are imported when they are first used, so that the command line starts
quickly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctxzip.evaluate.cases import Case as Case
    from ctxzip.evaluate.cases import column as column
    from ctxzip.evaluate.cases import evaluate as evaluate
    from ctxzip.evaluate.metrics import answer_kept as answer_kept
    from ctxzip.evaluate.metrics import evidence_in_text as evidence_in_text
    from ctxzip.evaluate.metrics import evidence_kept as evidence_kept
    from ctxzip.evaluate.metrics import normalise_answer as normalise_answer
    from ctxzip.evaluate.records import Record as Record
    from ctxzip.evaluate.records import load_records as load_records
    from ctxzip.evaluate.requests import build_requests as build_requests
    from ctxzip.evaluate.statistics import paired_bootstrap as paired_bootstrap

_LAZY = {
    "Case": "cases",
    "Record": "records",
    "answer_kept": "metrics",
    "build_requests": "requests",
    "column": "cases",
    "evaluate": "cases",
    "evidence_in_text": "metrics",
    "evidence_kept": "metrics",
    "load_records": "records",
    "normalise_answer": "metrics",
    "paired_bootstrap": "statistics",
}

__all__ = [
    "Case",
    "Record",
    "answer_kept",
    "build_requests",
    "column",
    "evaluate",
    "evidence_in_text",
    "evidence_kept",
    "load_records",
    "normalise_answer",
    "paired_bootstrap",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'ctxzip.evaluate' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"ctxzip.evaluate.{_LAZY[name]}"), name)
    globals()[name] = value
    return value
