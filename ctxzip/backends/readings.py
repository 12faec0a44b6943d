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
from ctxzip.units import FloatArray, IntArray

if TYPE_CHECKING:
    from ctxzip.backends.likelihood import TorchLikelihood

__all__ = ["Memory", "Readings", "Row", "State", "TorchReadings", "row_of"]

LIMIT = 256 * 2**20
_PIECE = 512  # tokens whose distributions over the vocabulary are held at a time
_TAILS = 1024


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

    def behind(self, context: int, ends: Sequence[int]) -> list[FloatArray]:
        """Negative log-likelihoods of the question behind the first ``ends`` characters."""
        ...


class Row(NamedTuple):
    """Token ids of a context and a question: where the question begins, how many were left out."""

    ids: IntArray
    start: int
    left_out: int


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
        size = tokens * self._token_bytes
        worse = sorted((i for i, one in self._kept.items() if one[0] > surprise),
                       key=lambda i: -self._kept[i][0])  # fmt: skip
        if size > self._left + sum(self._kept[i][1] for i in worse):
            return
        for i in worse:
            if size <= self._left:
                break
            self._left += self._kept.pop(i)[1]
        self._left -= size
        self._kept[number] = surprise, size, make()

    def get(self, number: int) -> State | None:
        """The state of a context, if it was kept."""
        found = self._kept.get(number)
        return None if found is None else found[2]


def row_of(cache: Any, row: Any, surplus: int) -> Any:
    """One row of a batch's cache without its last tokens.

    Args:
        cache: of the batch; it is not changed.
        row: index of the row, tensor, shape (1,).
        surplus: tokens at its end that go.
    """
    own = copy.deepcopy(cache)
    own.batch_select_indices(row)
    if surplus:
        own.crop(-surplus)
    return own


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
            self._likelihood.losses(hidden[at : at + _PIECE], ids[at + 1 : at + 1 + _PIECE])
            for at in range(0, len(ids) - 1, _PIECE)
        ]
        return np.concatenate([np.zeros(0), *parts])

    def behind(self, context: int, ends: Sequence[int]) -> list[FloatArray]:
        """See :class:`Readings`."""
        text = self._contexts[context] or ""
        given = [text[:end] if text[:end].strip() else None for end in ends]
        rows = self._likelihood.rows(self._query, given, [])
        own = self._rows[context]
        master = own.ids[: own.start]
        if own.left_out or self._memory is None:
            return self._likelihood.read_rows(rows, [])
        tails = []
        for row in rows:
            size = min(len(row.ids), len(master), row.start)
            differs = np.flatnonzero(row.ids[:size] != master[:size])
            # The token before the question is read again: it predicts the first one of it.
            common = min(int(differs[0]) if len(differs) else size, row.start - 1)
            tails.append((common, row.ids[common:]))
        found: list[FloatArray] = []
        state = self._state(context)
        at = 0
        while at < len(tails):
            to, total = at, 0
            while to < len(tails) and (to == at or total + len(tails[to][1]) <= _TAILS):
                total += len(tails[to][1])
                to += 1
            values = self._likelihood.tails(state.fork(), len(master), tails[at:to])
            for (common, _), row, some in zip(tails[at:to], rows[at:to], values, strict=True):
                found.append(np.array(some[row.start - common - 1 :]))
            at = to
        return found

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
