"""RECOMP and EXIT against scores that the authors' code gave; see ``make_canonical.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ctxzip
from ctxzip import Document
from tests import checkpoints

pytest.importorskip("transformers")

CANONICAL: dict[str, Any] = json.loads(
    (Path(__file__).parent / "canonical.json").read_text("utf-8")
)
DOCUMENTS = [
    Document(" ".join(one["sentences"]), title=one["title"] or None)
    for one in CANONICAL["documents"]
]


@pytest.mark.parametrize(
    ("name", "kind", "tolerance"),
    [("recomp-extractive", "encoder", 1e-3), ("exit", "causal", 1e-4)],
)
def test_the_authors_code_gives_the_same_scores(
    tmp_path: Path, name: str, kind: str, tolerance: float
):
    folder = checkpoints.by_formula(tmp_path / "model", kind)
    compressor = ctxzip.load(name, model=str(folder), device="cpu")
    result = ctxzip.compress(
        DOCUMENTS,
        0.9,
        query=CANONICAL["query"],
        compressor=compressor,
        threshold=0.0 if name == "exit" else None,
    )
    units = [unit for document in result.documents for unit in document.units]
    expected = CANONICAL["recomp" if name == "recomp-extractive" else "exit"]
    texts = [s for one in CANONICAL["documents"] for s in one["sentences"]]
    sources = [d.source.text for d in result.documents for _ in d.units]
    assert [s[u.span.start : u.span.end] for s, u in zip(sources, units, strict=True)] == texts
    assert np.ptp(expected) > 10 * tolerance, "the scores tell sentences apart"
    np.testing.assert_allclose([unit.score for unit in units], expected, atol=tolerance)
