"""What a causal language model read of a question behind some contexts, kept for closer questions.

Which functions are cut is known only after all were read. Their states are kept meanwhile, so that
asking for the inside of one costs a few tokens instead of another reading: how surprising each of
its tokens was needs none, and the question behind its first lines needs the question's own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from ctxzip.backends.pytorch import require
from ctxzip.units import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from ctxzip.backends.likelihood import TorchLikelihood

__all__ = [
    "PIECE",
    "Likelihood",
    "Memory",
    "Readings",
    "Row",
    "State",
    "Tail",
    "TorchReadings",
    "state_of",
]

LIMIT = 256 * 2**20
PIECE = 512  # tokens whose distributions over the vocabulary are held at a time
_TAILS = 1024
_ASKED = 48  # tokens of a long question that are asked of parts


class Readings(Protocol):
    """A question read behind contexts."""

    @property
    def question(self) -> list[FloatArray]:
        """For each context, negative log-likelihoods of the question's tokens."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the caller should know."""
        ...

    def surprisal(self, context: int) -> tuple[IntArray, FloatArray]:
        """First character, and negative log-likelihood, of the tokens of a context.

        Its first token has none and is left out, as is what the model could not read.
        """
        ...

    def seeing(self, context: int, parts: Sequence[Sequence[tuple[int, int]]]) -> list[FloatArray]:
        """Negative log-likelihoods of the question where it sees parts of a context only.

        Of a long question it may be a stretch only, the same for all parts.

        Args:
            context: its index.
            parts: for each answer, the half-open ranges of characters that are seen, in order.
        """
        ...


class Likelihood(Protocol):
    """What perplexities are computed from. Thread-safe."""

    @property
    def name(self) -> str:
        """Of the model."""
        ...

    def size(self, text: str) -> int:
        """Tokens of a text as the model reads it; about, where only an endpoint knows."""
        ...

    def question(
        self, query: str, contexts: Sequence[str | None]
    ) -> tuple[list[FloatArray], tuple[str, ...]]:
        """Negative log-likelihoods of a question behind each context, and notes.

        Args:
            query: the question.
            contexts: texts; a blank line is put between each and the question. None for none.

        Returns:
            One array per context, with a value for every token of the question; without a context
            the first token has none.
        """
        ...

    def read(self, query: str, contexts: Sequence[str | None]) -> Readings:
        """The same, kept so that the inside of the contexts can be asked for.

        Args:
            query: the question.
            contexts: as above.
        """
        ...

    def lines(self, lines: Sequence[str]) -> list[float]:
        """Perplexity of each line given the lines before it, as its binary logarithm.

        An empty line has 0.0; the first token of all has no likelihood, so a first line of one
        token has infinity.
        """
        ...


class Row(NamedTuple):
    """Token ids of a context and a question: where the question begins, how many were left out."""

    ids: IntArray
    start: int
    left_out: int


class Tail(NamedTuple):
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
        worse = sorted((i for i, one in self._kept.items() if one[0] > surprise),
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


class TorchReadings:
    """A question read behind contexts by PyTorch.

    Args:
        likelihood: reads.
        query: the question.
        contexts: the contexts; None for none.
        limit: bytes of states that are kept.
    """

    def __init__(
        self,
        likelihood: TorchLikelihood,
        query: str,
        contexts: Sequence[str | None],
        limit: int = LIMIT,
    ) -> None:
        self._likelihood = likelihood
        self._query = query
        self._contexts = list(contexts)
        notes: list[str] = []
        self._rows: list[Row] = likelihood.rows(query, contexts, notes)
        # Layers that forget, or keep something else, cannot be asked again.
        full = likelihood.model.full
        self._memory = Memory(_token_bytes(likelihood.model), limit) if full else None
        self.question = likelihood.read_rows(self._rows, notes, self._memory)
        self.notes = tuple(dict.fromkeys(notes))

    def surprisal(self, context: int) -> tuple[IntArray, FloatArray]:
        """See :class:`Readings`."""
        text, row = self._contexts[context] or "", self._rows[context]
        offsets = self._likelihood.offsets(f"{text}\n\n{self._query}")[row.left_out :]
        inside = np.flatnonzero(offsets[1 : row.start] < len(text)) + 1
        return offsets[inside], self._losses(context)[inside - 1]

    def _losses(self, context: int) -> FloatArray:
        """Negative log-likelihoods of a context's tokens but the first."""
        ids = self._rows[context].ids[: self._rows[context].start]
        if self._memory is None or not self._likelihood.bare_head:
            return self._likelihood.read_rows([Row(ids, 1, 0)], [])[0]
        hidden = self._state(context).hidden
        parts = [
            self._likelihood.losses(hidden[at : at + PIECE], ids[at + 1 : at + 1 + PIECE])
            for at in range(0, len(ids) - 1, PIECE)
        ]
        return np.concatenate([np.zeros(0), *parts])

    def seeing(self, context: int, parts: Sequence[Sequence[tuple[int, int]]]) -> list[FloatArray]:
        """See :class:`Readings`.

        The tokens of the parts were read in their context and are looked at as they are; what
        stands behind them follows the last of them. So an answer costs the question's tokens.
        """
        text, row = self._contexts[context] or "", self._rows[context]
        if self._memory is None:
            given = ["".join(text[a:b] for a, b in some) for some in parts]
            rows = self._likelihood.rows(self._query, [one or None for one in given], [])
            return self._likelihood.read_rows(rows, [])
        starts = self._likelihood.offsets(f"{text}\n\n{self._query}")[row.left_out :]
        # Read again: what parts context and question, at least the token before the question.
        own = min(int(np.searchsorted(starts, len(text))), row.start - 1)
        state = self._state(context)
        ids = np.concatenate([row.ids[own : row.start], self._asked(context)])
        tails = []
        for some in parts:
            seen = np.zeros(row.start, bool)
            seen[0] = True  # models rest their attention on the first token
            for low, high in some:
                seen[:own] |= (starts[:own] >= low) & (starts[:own] < high)
            at = int(np.flatnonzero(seen)[-1]) + 1
            tails.append(Tail(seen, at, ids, row.start - own))
        size = max(1, _TAILS // len(ids))
        found: list[FloatArray] = []
        for at in range(0, len(tails), size):
            found += self._likelihood.tails(state.fork(), row.start, tails[at : at + size])[0]
        return found

    def _asked(self, context: int) -> IntArray:
        """Token ids of the stretch of the question that the context makes likelier than any other.

        All of it if it is short. What the context says nothing about tells no part from another.
        """
        row = self._rows[context]
        ids = row.ids[row.start :]
        if len(ids) <= _ASKED or None not in self._contexts:
            return ids
        alone = self.question[self._contexts.index(None)]
        n = min(len(alone), len(ids))
        gain = np.zeros(len(ids))
        gain[len(ids) - n :] = alone[len(alone) - n :] - self.question[context][len(ids) - n :]
        upto = np.concatenate([np.zeros(1), np.cumsum(gain)])
        at = int(np.argmax(upto[_ASKED:] - upto[:-_ASKED]))
        return ids[at : at + _ASKED]

    def _state(self, context: int) -> State:
        """What was kept of a context; it is read again where it was not."""
        kept = self._memory.get(context) if self._memory is not None else None
        if kept is not None:
            return kept
        row = self._rows[context]
        return self._likelihood.state(row.ids[: row.start])


def _token_bytes(model: Any) -> int:
    """Bytes of the states of one token: keys and values of all layers, and the last state."""
    config = model.model.config
    heads = getattr(config, "num_attention_heads", 1)
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    groups = getattr(config, "num_key_value_heads", None) or heads
    numbers = 2 * config.num_hidden_layers * groups * size + config.hidden_size
    return int(numbers * require("torch").finfo(model.model.dtype).bits // 8)
