"""LongCodeZip's decisions against those of the published code; see ``make_canonical_code.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ctxzip
from tests import checkpoints

pytest.importorskip("transformers")

from tests.parity.make_canonical_code import differences, ours

CANONICAL: dict[str, Any] = json.loads(
    (Path(__file__).parent / "canonical_code.json").read_text("utf-8")
)


def test_the_published_code_makes_the_same_choices(tmp_path: Path):
    folder = checkpoints.by_formula(tmp_path / "model", "causal")
    expected = CANONICAL["decisions"]
    assert len(expected) >= 30
    assert sum(bool(one.get("boundaries")) for one in expected) >= 10
    assert sum(one.get("kept") is not None for one in expected) >= 10
    found = ours(folder, CANONICAL["functions"], CANONICAL["query"])
    worst = differences(expected, found)
    assert worst["choices"] == 0
    assert worst["lines"] < 1e-5
    assert worst["rate"] < 1e-4
    # Perplexities of hundreds, in float32 there.
    assert worst["score"] < 1e-3
    assert worst["values"] < 1e-3


def test_compat_puts_out_slices_and_says_that_the_ratio_is_a_goal(tmp_path: Path):
    folder = checkpoints.by_formula(tmp_path / "model", "causal")
    text = "\n\n".join(CANONICAL["functions"][:6])
    compressor = ctxzip.load(
        "longcodezip",
        model=str(folder),
        device="cpu",
        settings=ctxzip.LongCodeZip(compat=True),
    )
    document = ctxzip.Document(text, id="functions.py")
    result = ctxzip.compress([document], 0.5, query=CANONICAL["query"], compressor=compressor)
    assert "goal" in result.notes[0]
    assert 0 < result.tokens_after < result.tokens_before
    for start, end, document, source in result.segments:
        piece = result.text[start:end]
        assert document == 0
        assert text[source : source + len(piece)] == piece if source >= 0 else "line" in piece
