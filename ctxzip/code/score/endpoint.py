"""Log-likelihoods by an endpoint that returns those of the prompt (vLLM, llama.cpp's server)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from ctxzip.backends.chat import Chat, ChatClient, ChatError
from ctxzip.kit.arrays import FloatArray, IntArray
from ctxzip.text.tokens import resolve

__all__ = ["EndpointLikelihood"]


class _Token(NamedTuple):
    """A token of a prompt: its first character, and its log-likelihood where it has one."""

    start: int
    value: float | None


class EndpointLikelihood:
    """Likelihoods of prompts by an OpenAI-compatible ``/completions`` endpoint with ``echo``.

    Args:
        settings: address, model, key, time-outs; see :class:`ctxzip.Chat`.
    """

    def __init__(self, settings: Chat) -> None:
        self._settings = settings
        self._client = ChatClient(settings, "longcodezip")

    @property
    def name(self) -> str:
        """The model's name at the endpoint."""
        return self._client.endpoint("/completions")[1]

    def size(self, text: str) -> int:
        """See :class:`ctxzip.backends.torch.likelihood.Likelihood`: as GPT-4o counts."""
        return resolve("o200k_base").count(text)

    def question(
        self, query: str, contexts: Sequence[str | None]
    ) -> tuple[list[FloatArray], tuple[str, ...]]:
        """See :class:`ctxzip.backends.torch.likelihood.Likelihood`.

        Raises:
            ChatError: the endpoint gave no log-likelihoods.
        """
        return self.read(query, contexts).question, ()

    def read(self, query: str, contexts: Sequence[str | None]) -> EndpointReadings:
        """See :class:`ctxzip.backends.torch.likelihood.Likelihood`.

        Raises:
            ChatError: the endpoint gave no log-likelihoods.
        """
        return EndpointReadings(self, query, contexts)

    def lines(self, lines: Sequence[str]) -> list[float]:
        """See :class:`ctxzip.backends.torch.likelihood.Likelihood`.

        In one request, cut at the lines: a token that holds a line's end counts for that line, so
        the values are close to those of a model on this machine, not equal.
        """
        if not any(lines):
            return [0.0] * len(lines)
        tokens = self.tokens(["\n".join(lines)])[0]
        starts = np.cumsum([0, *(len(line) + 1 for line in lines)])
        place = np.searchsorted(starts, [token.start for token in tokens], side="right") - 1
        sums, counts = np.zeros(len(lines)), np.zeros(len(lines))
        for line, token in zip(place.tolist(), tokens, strict=True):
            if token.value is not None and line < len(lines):
                sums[line] -= token.value
                counts[line] += 1
        means = np.where(counts > 0, sums / np.maximum(counts, 1), math.inf) / math.log(2)
        return [float(mean) if line else 0.0 for mean, line in zip(means, lines, strict=True)]

    def tokens(self, prompts: Sequence[str]) -> list[list[_Token]]:
        """The tokens of prompts, asked for side by side."""
        with ThreadPoolExecutor(min(self._settings.parallel, max(1, len(prompts)))) as pool:
            return list(pool.map(self._one, prompts))

    def _one(self, prompt: str) -> list[_Token]:
        body = {"prompt": prompt, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}
        return self._client.request("/completions", body, lambda data: _read(data, prompt))


class EndpointReadings:
    """A question read behind contexts by an endpoint, which answers for the contexts' tokens too.

    Args:
        likelihood: asks.
        query: the question.
        contexts: the contexts; None for none.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self, likelihood: EndpointLikelihood, query: str, contexts: Sequence[str | None]
    ) -> None:
        self._likelihood = likelihood
        self._query = query
        self._contexts = ["" if context is None else context for context in contexts]
        prefixes = ["" if context is None else context + "\n\n" for context in contexts]
        self._tokens = likelihood.tokens([prefix + query for prefix in prefixes])
        self.question = [
            np.array([-t.value for t in tokens if t.start >= len(prefix) and t.value is not None])
            for prefix, tokens in zip(prefixes, self._tokens, strict=True)
        ]

    def surprisal(self, context: int) -> tuple[IntArray, FloatArray]:
        """See :class:`ctxzip.code.score.likelihood.Readings`."""
        size = len(self._contexts[context])
        known = [
            (t.start, -t.value)
            for t in self._tokens[context]
            if t.start < size and t.value is not None
        ]
        return np.array([at for at, _ in known], np.int64), np.array([v for _, v in known])

    def seeing(self, context: int, parts: Sequence[Sequence[tuple[int, int]]]) -> list[FloatArray]:
        """See :class:`ctxzip.code.score.likelihood.Readings`; an endpoint reads the parts again."""
        text = self._contexts[context]
        given = ["".join(text[a:b] for a, b in spans) for spans in parts]
        return EndpointReadings(self._likelihood, self._query, [g or None for g in given]).question


def _read(data: bytes, prompt: str) -> list[_Token]:
    """The tokens of the prompt in an answer."""
    try:
        found: dict[str, Any] = json.loads(data)["choices"][0]["logprobs"]
        pieces, values = found["tokens"], found["token_logprobs"]
        offsets = found.get("text_offset") or np.cumsum([0, *map(len, pieces)])[:-1].tolist()
        tokens = [
            _Token(int(start), None if value is None else float(value))
            for start, value in zip(offsets, values, strict=True)
            if start < len(prompt)
        ]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ChatError(
            f"the endpoint's answer holds no log-likelihoods of the prompt ({error!r});"
            " it must support echo and logprobs"
        ) from None
    if len(tokens) < 2 or all(token.value is None for token in tokens):
        raise ChatError("the endpoint gives no log-likelihoods of the prompt")
    return tokens
