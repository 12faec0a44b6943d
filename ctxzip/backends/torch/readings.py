"""What a causal language model read of a question behind some contexts, kept for closer questions.

Which functions are cut is known only after all were read. Their states are kept meanwhile, so that
asking for the inside of one costs a few tokens instead of another reading: how surprising each of
its tokens was needs none, and the question behind its first lines needs the question's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ctxzip.backends.torch.causal import CausalModel
from ctxzip.backends.torch.states import LIMIT, PIECE, Memory, Row, State, Suffix
from ctxzip.kit.arrays import FloatArray, IntArray
from ctxzip.kit.extras import require

__all__ = ["TorchReadings"]

_TAILS = 1024
_ASKED = 48  # tokens of a long question that are asked of parts


class Reader(Protocol):
    """Reads rows of tokens; see :class:`ctxzip.backends.torch.likelihood.TorchLikelihood`."""

    bare_head: bool | None

    @property
    def model(self) -> CausalModel: ...
    def rows(self, query: str, contexts: Sequence[str | None], notes: list[str]) -> list[Row]: ...
    def read_rows(
        self, rows: Sequence[Row], notes: list[str], memory: Memory | None = None
    ) -> list[FloatArray]: ...
    def offsets(self, text: str) -> IntArray: ...
    def losses(self, hidden: Any, following: IntArray) -> FloatArray: ...
    def read_suffixes(
        self, cache: Any, length: int, suffixes: Sequence[Suffix], *, states: bool = False
    ) -> tuple[list[FloatArray], Any]: ...
    def state(self, ids: IntArray) -> State: ...


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
        likelihood: Reader,
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
            given = ["".join(text[a:b] for a, b in spans) for spans in parts]
            rows = self._likelihood.rows(self._query, [part or None for part in given], [])
            return self._likelihood.read_rows(rows, [])
        starts = self._likelihood.offsets(f"{text}\n\n{self._query}")[row.left_out :]
        # Read again: what parts context and question, at least the token before the question.
        own = min(int(np.searchsorted(starts, len(text))), row.start - 1)
        state = self._state(context)
        ids = np.concatenate([row.ids[own : row.start], self._asked(context)])
        suffixes = []
        for spans in parts:
            seen = np.zeros(row.start, bool)
            seen[0] = True  # models rest their attention on the first token
            for low, high in spans:
                seen[:own] |= (starts[:own] >= low) & (starts[:own] < high)
            at = int(np.flatnonzero(seen)[-1]) + 1
            suffixes.append(Suffix(seen, at, ids, row.start - own))
        size = max(1, _TAILS // len(ids))
        found: list[FloatArray] = []
        for at in range(0, len(suffixes), size):
            batch = suffixes[at : at + size]
            found += self._likelihood.read_suffixes(state.fork(), row.start, batch)[0]
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
