"""What every way to call checks before any compressor is asked: once, not once per compressor."""

from __future__ import annotations

import math

import numpy as np
import pytest

import ctxzip
from ctxzip import InputError, Options

TEXT = "The pump is new. It runs."


@pytest.mark.parametrize("ratio", [0, -1, -0.5, math.nan, math.inf, "0.5", True])
def test_a_wrong_ratio_is_named(ratio: object):
    with pytest.raises(InputError, match="ratio") as caught:
        ctxzip.compress(TEXT, ratio)
    assert repr(ratio) in str(caught.value)


@pytest.mark.parametrize("target", [-1, 2.5, "10", True])
def test_a_wrong_ceiling_is_named(target: object):
    with pytest.raises(InputError, match="tokens") as caught:
        ctxzip.compress(TEXT, target_tokens=target)
    assert repr(target) in str(caught.value)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan, "x"])
def test_a_wrong_threshold_is_named(threshold: object):
    with pytest.raises(InputError, match="threshold"):
        ctxzip.compress(TEXT, threshold=threshold)


def test_two_ceilings_are_refused():
    with pytest.raises(InputError, match="Two ceilings"):
        ctxzip.compress(TEXT, 0.5, target_tokens=10)


@pytest.mark.parametrize(
    "prompt",
    [
        None,
        b"bytes",
        42,
        [b"bytes"],
        [None],
        ["text", 3],
        {"content": "no text"},
        [{"text": None}],
        [{"text": b"x"}],
        [{"id": "only"}],
        [{"text": "x", "title": 3}],
        [{"text": "x", "metadata": 3}],
        "lone \ud800 surrogate",
        ["fine", "lone \udfff surrogate"],
        ctxzip.Document(None),  # type: ignore[arg-type]
    ],
)
def test_what_is_not_text_is_refused(prompt: object):
    with pytest.raises(InputError) as caught:
        ctxzip.compress(prompt, 0.5)
    assert len(str(caught.value)) > 20


@pytest.mark.parametrize("query", [3, b"bytes", ["a"], "lone \ud800"])
def test_a_query_that_is_not_text_is_refused(query: object):
    with pytest.raises(InputError, match="query"):
        ctxzip.compress(TEXT, 0.5, query=query)


@pytest.mark.parametrize(
    "options",
    [
        {"protect_spans": [[(0, 3)], [(0, 3)]]},
        {"protect_spans": [[(5, 2)]]},
        {"protect_spans": [[(0, 999)]]},
        {"protect_spans": [[(-3, 2)]]},
        {"protect_patterns": ["(unclosed"]},
        {"protect_spans": [[(0.5, 3)]]},
        {"protect_spans": [(0, 3)]},
        {"protect_spans": [None]},
        {"protect": [3]},
        {"protect": [""]},
        {"protect": None},
        {"language": 3},
        {"separator": "\ud800"},
        {"tokenizer": "no-such-tokenizer"},
        {"tokenizer": 7},
        {"tokenizer": lambda text: "many"},
        {"tokenizer": lambda text: -1},
    ],
)
def test_wrong_options_are_named(options: dict[str, object]):
    with pytest.raises(InputError):
        ctxzip.compress(TEXT, 0.5, options=Options(**options))


def test_options_must_be_options():
    with pytest.raises(InputError, match="options"):
        ctxzip.compress(TEXT, 0.5, options={"protect": ["pump"]})


def test_numbers_of_numpy_are_numbers():
    plain = ctxzip.compress(TEXT, 0.5)
    assert ctxzip.compress(TEXT, np.float32(0.5)).text == plain.text
    assert ctxzip.compress(TEXT, target_tokens=np.int64(4)).tokens_after <= 4


def test_an_unknown_compressor_gets_the_nearest_names():
    with pytest.raises(InputError, match="lexical") as caught:
        ctxzip.compress(TEXT, compressor="lexcial")
    assert "lexcial" in str(caught.value)


def test_queries_must_match_prompts():
    with pytest.raises(InputError, match="2"):
        ctxzip.compress_many([TEXT, TEXT], 0.5, queries=["one"])
    for prompts in (TEXT, 3, None):
        with pytest.raises(InputError, match="prompts"):
            ctxzip.compress_many(prompts, 0.5)
