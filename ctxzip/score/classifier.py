"""Keep probabilities from a token classifier: LLMLingua-2.

Pan et al., "LLMLingua-2: Data Distillation for Efficient and Faithful Task-Agnostic Prompt
Compression" (Findings of ACL 2024, arXiv 2403.12968). The model reads windows of at most its own
length; a word's probability is the mean over its tokens. Which characters belong to a word follows
from the tokenizer's offsets, so any token classification checkpoint works.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ctxzip.backends.encoder import Encoder, Text, tokenize
from ctxzip.errors import InputError, ModelError
from ctxzip.kit.arrays import BoolArray, Float32Array, FloatArray, IntArray
from ctxzip.kit.once import Once
from ctxzip.score.base import ScoreRequest, UnitScores
from ctxzip.segment import words as word_segmenter
from ctxzip.text.units import Passage, Words

__all__ = ["ClassifierScorer", "LLMLingua2", "keep_probability", "windows"]


@dataclass(frozen=True, slots=True)
class LLMLingua2:
    """Settings of compressor ``llmlingua2``; the names of the reference stand in brackets.

    Attributes:
        compat: reproduce the reference's decisions word for word, quirks included: a threshold per
            chunk of 512 tokens, words of the checkpoint's tokenizer, a rate that is a goal and no
            ceiling. Only for WordPiece and Unigram tokenizers, as in the reference.
        force_tokens: words with one of these strings in them come first, whatever the model says.
        force_reserve_digit: the same for words with a digit.
        drop_consecutive: a forced token that follows itself is not forced again.
        word_probability: ``"mean"`` over a word's tokens, or the ``"first"`` one's
            (``token_to_word``).
        context_filter: with several documents, drop the least probable ones whole first
            (``use_context_level_filter``); how many, the next attributes say. ``compat`` takes the
            document rate ``(rate + 1) / 2`` where they say nothing, as the reference does.
        contexts: how many documents stay (``target_context``).
        context_ratio: which fraction of the documents stays (``context_level_rate``).
        context_tokens: the same as a number of tokens (``context_level_target_token``); only with
            ``compat``.
        force_contexts: indices of documents that stay (``force_context_ids``).
        token_filter: drop words (``use_token_level_filter``); False only drops documents.
        chunk_end_tokens: where ``compat`` cuts long texts; otherwise windows end with sentences.
        allow_pickle: weights that are pickles may be read, not only safetensors.
    """

    compat: bool = False
    force_tokens: tuple[str, ...] = ()
    force_reserve_digit: bool = False
    drop_consecutive: bool = False
    word_probability: Literal["mean", "first"] = "mean"
    context_filter: bool = False
    contexts: int | None = None
    context_ratio: float | None = None
    context_tokens: int | None = None
    force_contexts: tuple[int, ...] = ()
    token_filter: bool = True
    chunk_end_tokens: tuple[str, ...] = (".", "\n")
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.force_tokens, str):
            raise InputError(f"force_tokens={self.force_tokens!r} is one string.")
        if any(not token for token in self.force_tokens):
            raise InputError("force_tokens holds an empty string.")
        if self.word_probability not in ("mean", "first"):
            raise InputError(
                f"word_probability={self.word_probability!r} is unknown.",
                hint='Use "mean" or "first".',
            )
        if self.context_ratio is not None and not 0 < self.context_ratio <= 1:
            raise InputError(f"context_ratio={self.context_ratio!r} is not in (0, 1].")
        if self.contexts is not None and self.contexts < 1:
            raise InputError(f"contexts={self.contexts!r} is not at least 1.")
        if not self.compat and (self.context_tokens is not None or not self.token_filter):
            raise InputError(
                "context_tokens and token_filter=False are only known to compat=True.",
                hint="Give contexts or context_ratio, or granularity in Options.",
            )
        if not self.compat and self.context_filter and not (self.contexts or self.context_ratio):
            raise InputError(
                "context_filter=True does not say how many documents stay.",
                hint="Give contexts or context_ratio.",
            )


def keep_probability(logits: Float32Array) -> Float32Array:
    """P(keep) per token from the logits of two labels, the second of which is "keep".

    Args:
        logits: shape (tokens, labels); one label is taken for a logit of "keep".

    Returns:
        float32, shape (tokens,).

    Raises:
        ModelError: there are more than two labels.
    """
    if logits.shape[1] == 1:
        return np.asarray(1 / (1 + np.exp(-logits[:, 0])), np.float32)
    if logits.shape[1] != 2:
        raise ModelError(
            f"The checkpoint has {logits.shape[1]} labels; drop and keep are needed.",
            hint="Use a checkpoint that was trained for compression.",
        )
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers[:, 1] / powers.sum(axis=1), np.float32)


def windows(text: Text, ends: IntArray, room: int) -> list[tuple[int, int]]:
    """Cut a tokenized text into windows that end with a unit where one ends.

    Args:
        text: its tokens.
        ends: one past the last character of each unit, ascending, int64, shape (n,).
        room: most tokens of a window.

    Returns:
        Half-open ranges of tokens, in order, without gaps.
    """
    cuts = np.searchsorted(text.start, ends, side="left")
    found = []
    at = 0
    while at < len(text):
        to = min(at + room, len(text))
        if to < len(text):
            last = int(np.searchsorted(cuts, to, side="right")) - 1
            # A window that is nearly empty is not worth a forward of its own.
            if last >= 0 and cuts[last] > at + room // 4:
                to = int(cuts[last])
        found.append((at, to))
        at = to
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Probabilities:
    """A passage's tokens with their keep probabilities, float64, shape (t,)."""

    text: Text
    keep: FloatArray

    def over(self, start: IntArray, end: IntArray, *, first: bool = False) -> FloatArray:
        """Mean (or first) probability of the tokens that touch each span; 0 where none does."""
        low = np.searchsorted(self.text.end, start, side="right")
        high = np.maximum(np.searchsorted(self.text.start, end, side="left"), low)
        if first:
            padded = np.append(self.keep, 0.0)
            return np.where(high > low, padded[np.minimum(low, len(self.keep))], 0.0)
        total = np.concatenate([[0.0], np.cumsum(self.keep)])
        mean: FloatArray = (total[high] - total[low]) / np.maximum(high - low, 1)
        return mean


class ClassifierScorer:
    """Token keep probabilities as scores of words, and their means as scores of units.

    Args:
        load: makes the encoder, a token classifier; called once, on first use.
        settings: see :class:`LLMLingua2`.
    """

    calibrated = True
    words_first = True

    def __init__(self, load: Callable[[], Encoder], settings: LLMLingua2 | None = None) -> None:
        self._encoder = Once.of(load, lambda encoder: encoder.close())
        self._settings = settings if settings is not None else LLMLingua2()

    @property
    def encoder(self) -> Encoder:
        """The token classifier, loaded on first use."""
        return self._encoder()

    def units(self, requests: Sequence[ScoreRequest]) -> list[UnitScores]:
        """See :class:`ctxzip.score.base.Scorer`; the query is not read."""
        passages = [passage for request in requests for passage in request.passages]
        read, notes = self._read(passages)
        result = []
        at = 0
        for request in requests:
            own = read[at : at + len(request.passages)]
            at += len(own)
            means = tuple(
                probabilities.over(p.units.start, p.units.end)
                for probabilities, p in zip(own, request.passages, strict=True)
            )
            documents = np.array(
                [
                    probabilities.keep.mean() if len(probabilities.keep) else 0.0
                    for probabilities in own
                ]
            )
            result.append(
                UnitScores(
                    units=means,
                    passages=documents,
                    state=tuple(own),
                    notes=notes,
                    eligible=self._eligible(documents, request),
                )
            )
        return result

    def _read(self, passages: Sequence[Passage]) -> tuple[list[Probabilities], tuple[str, ...]]:
        """Keep probabilities of all passages, in common batches."""
        encoder = self.encoder
        frame = encoder.frame
        texts = tokenize(encoder.tokenizer, [passage.text for passage in passages])
        inputs: list[IntArray] = []
        where: list[tuple[int, int, int]] = []
        for i, (text, passage) in enumerate(zip(texts, passages, strict=True)):
            for low, high in windows(text, passage.units.end, frame.room):
                inputs.append(np.array([*frame.prefix, *text.ids[low:high], *frame.suffix]))
                where.append((i, low, high))
        encoded = encoder.forward(inputs)
        keep = [np.zeros(len(text)) for text in texts]
        skip = len(frame.prefix)
        for (i, low, high), logits in zip(where, encoded.states, strict=True):
            keep[i][low:high] = keep_probability(logits)[skip : skip + high - low]
        return [Probabilities(t, k) for t, k in zip(texts, keep, strict=True)], encoded.notes

    def _eligible(
        self, documents: FloatArray, request: ScoreRequest
    ) -> tuple[BoolArray, ...] | None:
        """Which units may stay after whole documents were dropped; None where none is."""
        settings, n = self._settings, len(documents)
        if n < 2 or not settings.context_filter:
            return None
        keep = n
        if settings.contexts is not None:
            keep = min(settings.contexts, n)
        elif settings.context_ratio is not None:
            keep = max(1, round(settings.context_ratio * n))
        chosen = np.zeros(n, bool)
        chosen[np.argsort(-documents, kind="stable")[:keep]] = True
        chosen[[i for i in settings.force_contexts if 0 <= i < n]] = True
        return tuple(
            np.full(len(p.units), c) for p, c in zip(request.passages, chosen.tolist(), strict=True)
        )

    def words(
        self, request: ScoreRequest, scores: UnitScores, words: Sequence[Words]
    ) -> list[FloatArray]:
        """Mean probability over each word's tokens, attached punctuation aside."""
        read = scores.state
        if not isinstance(read, tuple):
            raise TypeError("scores are not of this scorer")
        return [
            self._words(passage.text, probabilities, own)
            for passage, probabilities, own in zip(request.passages, read, words, strict=True)
        ]

    def _words(self, text: str, read: Probabilities, words: Words) -> FloatArray:
        if not len(words):
            return np.zeros(0)
        start, end = word_segmenter.cores(text, words.start, words.end)
        bare = (end > start) & ~words.whole
        start, end = np.where(bare, start, words.start), np.where(bare, end, words.end)
        value = read.over(start, end, first=self._settings.word_probability == "first")
        settings = self._settings
        if not (settings.force_tokens or settings.force_reserve_digit):
            return value
        forced = ""
        for i, (a, b) in enumerate(zip(words.start.tolist(), words.end.tolist(), strict=True)):
            word = text[a:b]
            hit = next((token for token in settings.force_tokens if token in word), "")
            again = settings.drop_consecutive and hit and word == forced
            if (hit and not again) or (
                settings.force_reserve_digit and any(c.isdigit() for c in word)
            ):
                value[i] = 1.0 + value[i]
            forced = word if hit else ""
        return value

    def warmup(self) -> None:
        """Load the checkpoint and run it once."""
        frame = self.encoder.frame
        self.encoder.forward([np.array([*frame.prefix, *frame.suffix], np.int64)])

    def close(self) -> None:
        """Release the weights; a later call loads them again."""
        self._encoder.close()
