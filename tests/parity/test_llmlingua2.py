"""``llmlingua2`` with ``compat=True`` against llmlingua 0.2.2 as published, on equal weights."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ctxzip
from ctxzip.backends.torch.loading import TOKEN_CLASSIFIER, Placement, TorchEncoder
from ctxzip.compressors.llmlingua2.chunks import Reference
from ctxzip.compressors.llmlingua2.compressor import decide
from ctxzip.score.classifier import LLMLingua2
from ctxzip.types import Budget
from tests import checkpoints

pytest.importorskip("llmlingua")

FORCED = [(), ("\n", "?", ".", "!", ","), ("installed in", "pump", "not"), (".", "n't", "🚀")]


def ours(folder: Path, settings: LLMLingua2) -> Reference:
    encoder = TorchEncoder(str(folder), Placement(device="cpu"), kind=TOKEN_CLASSIFIER)
    return Reference(encoder, settings, encoder.add_tokens)


@pytest.fixture(scope="module")
def decisions(folder: Path) -> Any:
    """Our decisions by settings; checkpoints with equal forced tokens are loaded once."""
    loaded: dict[LLMLingua2, Reference] = {}

    def run(contexts: list[str], budget: Budget, settings: LLMLingua2) -> list[tuple[str, int]]:
        if settings not in loaded:
            loaded[settings] = ours(folder, settings)
        verdicts = decide(loaded[settings], [contexts], [budget], settings)[0]
        return [(w, int(k)) for v in verdicts for w, k in zip(v.words, v.labels, strict=True)]

    return run


def published(reference: Any, contexts: list[str], **arguments: Any) -> list[tuple[str, int]]:
    """Words and labels of the published code; the separators cannot stand in a text."""
    result = reference.compress_prompt_llmlingua2(
        list(contexts), return_word_label=True, word_sep="\x00", label_sep="\x01", **arguments
    )
    pairs = [line.rsplit("\x01", 1) for line in result["fn_labeled_original_prompt"].split("\x00")]
    return [(word, int(label)) for word, label in pairs]


def test_the_same_ids_and_word_probabilities(folder: Path, reference: Any):
    import torch
    from llmlingua.utils import TokenClfDataset

    mine = ours(folder, LLMLingua2(compat=True))
    for text in checkpoints.texts(4, seed=1, longest=40):
        chunks = mine.chunks(text)
        theirs = reference._PromptCompressor__chunk_context(text, {".", "\n"})
        assert [mine.text(chunk) for chunk in chunks] == theirs
        readings = mine.read(chunks)
        dataset = TokenClfDataset(theirs, tokenizer=reference.tokenizer, max_len=512)
        for i, (chunk, reading) in enumerate(zip(chunks, readings, strict=True)):
            ids, mask = dataset[i]["ids"], dataset[i]["mask"] == 1
            assert ids[mask].tolist() == chunk.ids.tolist()
            with torch.no_grad():
                logits = reference.model(input_ids=ids[None], attention_mask=mask[None]).logits
            keep = logits.softmax(-1)[0, :, 1][mask].numpy()
            tokens = reference.tokenizer.convert_ids_to_tokens(ids[mask].tolist())
            words, parts, unforced = reference._PromptCompressor__merge_token_to_word(
                tokens, list(keep), [], {}, False
            )
            assert words == reading.words
            means = [sum(part) / len(part) for part in parts]
            np.testing.assert_allclose(reading.probability, means, atol=1e-5)
            means = [sum(part) / len(part) for part in unforced]
            np.testing.assert_allclose(reading.plain, means, atol=1e-5)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_the_same_words_at_every_rate(reference: Any, decisions: Any, rate: float):
    settings = LLMLingua2(compat=True)
    for text in checkpoints.texts(12, seed=int(rate * 10)):
        assert decisions([text], Budget(ratio=rate), settings) == published(
            reference, [text], rate=rate
        )


@pytest.mark.parametrize("forced", FORCED)
@pytest.mark.parametrize("consecutive", [False, True])
def test_the_same_words_with_forced_tokens(
    reference: Any, decisions: Any, forced: tuple[str, ...], consecutive: bool
):
    rng = random.Random(len(forced))
    for text in checkpoints.texts(4, seed=50 + len(forced)):
        rate, digits = rng.choice([0.2, 0.5, 0.7]), rng.random() < 0.5
        settings = LLMLingua2(
            compat=True,
            force_tokens=forced,
            force_reserve_digit=digits,
            drop_consecutive=consecutive,
            word_probability="first" if digits else "mean",
        )
        assert decisions([text], Budget(ratio=rate), settings) == published(
            reference,
            [text],
            rate=rate,
            force_tokens=list(forced),
            force_reserve_digit=digits,
            drop_consecutive=consecutive,
            token_to_word=settings.word_probability,
        )


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({}, {}),
        ({"contexts": 2}, {"target_context": 2}),
        ({"context_ratio": 0.4}, {"context_level_rate": 0.4}),
        ({"context_tokens": 60}, {"context_level_target_token": 60}),
        ({"force_contexts": (0, 2)}, {"force_context_ids": [0, 2]}),
        ({"token_filter": False}, {"use_token_level_filter": False}),
    ],
)
@pytest.mark.parametrize("target", [None, 40])
def test_the_same_words_of_several_contexts(
    reference: Any,
    decisions: Any,
    settings: dict[str, Any],
    arguments: dict[str, Any],
    target: int | None,
):
    contexts = checkpoints.texts(5, seed=90 + len(settings), longest=6)
    asked = LLMLingua2(compat=True, context_filter=True, **settings)
    budget = Budget(ratio=0.5) if target is None else Budget(tokens=target)
    assert decisions(contexts, budget, asked) == published(
        reference,
        contexts,
        rate=0.5,
        target_token=-1 if target is None else target,
        use_context_level_filter=True,
        **arguments,
    )


def test_long_texts_are_cut_alike(reference: Any, decisions: Any):
    text = " ".join(checkpoints.texts(3, seed=7, longest=40))
    without_ends = " ".join(["pressure valve hose"] * 400)
    for one in (text, without_ends):
        assert decisions([one], Budget(ratio=0.4), LLMLingua2(compat=True)) == published(
            reference, [one], rate=0.4
        )


def test_every_text_that_stays_is_a_slice_of_the_source(folder: Path):
    compressor = ctxzip.load(
        "llmlingua2",
        model=str(folder),
        device="cpu",
        settings=LLMLingua2(compat=True, force_tokens=("installed in", "🚀")),
    )
    documents = [ctxzip.Document(text) for text in checkpoints.texts(20, seed=3)]
    result = compressor.compress(documents, budget=Budget(ratio=0.4))
    for document in result.documents:
        source = document.source.text
        assert document.kept is not None
        assert "".join(source[a:b] for a, b in document.kept) == document.text
        kept = [source[unit.span.start : unit.span.end] for unit in document.units if unit.kept]
        assert all(word in document.text for word in kept)
    assert result.tokens_after < result.tokens_before
