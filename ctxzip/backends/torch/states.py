"""States of texts that a causal language model read, kept as long as there is room."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

from ctxzip.kit.arrays import BoolArray, IntArray
from ctxzip.kit.extras import require

__all__ = ["LIMIT", "PIECE", "Memory", "Row", "State", "Suffix", "state_of"]
LIMIT = 256 * 2**20
PIECE = 512  # tokens whose distributions over the vocabulary are held at a time


class Row(NamedTuple):
    """Token ids of a context and a question: where the question begins, how many were left out."""

    ids: IntArray
    start: int
    left_out: int


class Suffix(NamedTuple):
    """Tokens that are read against the cache of a text.

    Attributes:
        seen: which tokens of the text they see, bool, shape (tokens of the text,).
        at: position of the first.
        ids: token ids.
        asked: index of the first that is asked for, at least 1.
    """

    seen: BoolArray
    at: int
    ids: IntArray
    asked: int


class State(NamedTuple):
    """What is kept of one context of n tokens.

    Attributes:
        hidden: the last hidden states, tensor, shape (n, d).
        cache: keys and values of every layer, one row of n tokens.
    """

    hidden: Any
    cache: Any

    def fork(self) -> Any:
        """A copy of the cache; transformers changes a cache in place."""
        return copy.deepcopy(self.cache)


class Memory:
    """States of the contexts behind which a question is most likely, up to a size.

    Args:
        token_bytes: size of the states of one token.
        limit: bytes that are kept at most.
    """

    def __init__(self, token_bytes: int, limit: int = LIMIT) -> None:
        self._token_bytes = token_bytes
        self._left = limit
        self._kept: dict[int, tuple[float, int, State]] = {}

    def offer(self, number: int, surprise: float, tokens: int, make: Callable[[], State]) -> None:
        """Keep the state of a context if there is room, or worse ones that can go.

        Args:
            number: of the context.
            surprise: of the question behind it; the lowest are kept.
            tokens: of the context.
            make: gives its state.
        """
        if number in self._kept:  # from a batch that was run again in halves
            self._left += self._kept.pop(number)[1]
        size = tokens * self._token_bytes
        worse = sorted((i for i, kept in self._kept.items() if kept[0] > surprise),
                       key=lambda i: -self._kept[i][0])  # fmt: skip
        if size > self._left + sum(self._kept[i][1] for i in worse):
            return
        for i in worse:
            if size <= self._left:
                break
            self._left += self._kept.pop(i)[1]
        state = make()
        self._left -= size
        self._kept[number] = surprise, size, state

    def get(self, number: int) -> State | None:
        """The state of a context, if it was kept."""
        found = self._kept.get(number)
        return None if found is None else found[2]


def state_of(hidden: Any, cache: Any, place: slice) -> State:
    """The state of some tokens of a sequence; a copy, so that the sequence can go.

    Args:
        hidden: last hidden states of the sequence, tensor, shape (n, d).
        cache: of the sequence; it is not changed.
        place: of the tokens.
    """
    own = require("transformers").DynamicCache()
    for i, layer in enumerate(cache.layers):
        own.update(layer.keys[:, :, place], layer.values[:, :, place], i)  # which copies them
    return State(hidden[place].clone(), own)
