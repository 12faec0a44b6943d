"""Log-likelihoods by a causal language model: every token is read once.

A question is scored behind a context in one pass over both. The perplexity of each line given all
lines before it takes one pass over the whole text: the tokens of the text up to a line differ from
those of the whole only at the line's end, so what differs is looked up in the same pass's
distributions, and the few tokens behind it are read against its cache, all of them at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ctxzip.backends.torch.causal import CausalModel
from ctxzip.backends.torch.loading import halving
from ctxzip.backends.torch.readings import TorchReadings
from ctxzip.backends.torch.states import PIECE, Memory, Row, State, Suffix, state_of
from ctxzip.kit.arrays import BoolArray, FloatArray, IntArray
from ctxzip.kit.extras import require
from ctxzip.kit.padding import longest_first, packs, padded

__all__ = ["TorchLikelihood"]

_BATCH = 1024
_ALIKE = 0.8
_PACKED = 512


class _Target(NamedTuple):
    """A likelihood that is asked for: of token ``id`` behind the first ``at`` tokens of a row."""

    at: int
    id: int


class TorchLikelihood:
    """Likelihoods by a model that PyTorch runs.

    Args:
        model: the language model.

    Attributes:
        bare_head: whether its logits are its last states times its output embeddings; None as long
            as that was not seen.
    """

    def __init__(self, model: CausalModel) -> None:
        self.model = model
        self._tokenizer: Any = model.tokenizer
        self.bare_head: bool | None = None

    @property
    def name(self) -> str:
        """Of the model."""
        return self.model.name

    def size(self, text: str) -> int:
        """See :class:`ctxzip.code.score.likelihood.Likelihood`."""
        return len(self._tokenizer.encode(text, add_special_tokens=True))

    @property
    def tokens_read(self) -> int:
        """Tokens that went through the model so far, padding included."""
        return self.model.tokens_read

    def question(
        self, query: str, contexts: Sequence[str | None]
    ) -> tuple[list[FloatArray], tuple[str, ...]]:
        """See :class:`ctxzip.code.score.likelihood.Likelihood`."""
        notes: list[str] = []
        found = self.read_rows(self.rows(query, contexts, notes), notes)
        return found, tuple(dict.fromkeys(notes))

    def read(self, query: str, contexts: Sequence[str | None]) -> TorchReadings:
        """See :class:`ctxzip.code.score.likelihood.Likelihood`."""
        return TorchReadings(self, query, contexts)

    def rows(self, query: str, contexts: Sequence[str | None], notes: list[str]) -> list[Row]:
        """What the model reads for a question behind each context."""
        prefixes = ["" if context is None else context + "\n\n" for context in contexts]
        whole = self._ids([prefix + query for prefix in prefixes])
        before = [len(ids) for ids in self._ids(prefixes)]
        rows = []
        for ids, size, context in zip(whole, before, contexts, strict=True):
            over = max(0, len(ids) - self.model.window)
            if over:
                notes.append(
                    f"a part is longer than the model's {self.model.window} tokens: its beginning"
                    " was left out for scoring"
                )
            start = max(1, size - over) if context is not None else 1
            rows.append(Row(ids[over:], start, over))
        return rows

    def lines(self, lines: Sequence[str]) -> list[float]:
        """See :class:`ctxzip.code.score.likelihood.Likelihood`."""
        if not lines:
            return []
        upto = ["\n".join(lines[: i + 1]) for i in range(len(lines))]
        lead = ["\n".join(lines[:i]) + "\n" if i else "" for i in range(len(lines))]
        texts = self._ids(upto)
        starts = [0, *(len(ids) for ids in self._ids(lead[1:]))]
        master = texts[-1][: self.model.window]
        targets: list[_Target] = []
        suffixes: list[Suffix] = []
        apart: dict[int, Row] = {}
        # Where each likelihood comes from: a suffix, or the pass over the text (-1), and its index.
        plan: list[list[tuple[int, int]]] = []
        for i, (ids, start) in enumerate(zip(texts, starts, strict=True)):
            asked: list[tuple[int, int]] = []
            plan.append(asked)
            if not lines[i]:
                continue
            common = _common(ids, master)
            over = max(0, len(ids) - self.model.window)
            if len(ids) > common + 1 and (over or not self.model.full):
                apart[i] = Row(ids[over:], max(1, start - over), over)
                continue
            if len(ids) > common + 1:
                suffixes.append(Suffix(np.arange(len(master)) < common, common, ids[common:], 1))
            for at in range(max(1, start), len(ids)):
                if at <= common:
                    asked.append((-1, len(targets)))
                    targets.append(_Target(at, int(ids[at])))
                else:
                    asked.append((len(suffixes) - 1, at - common - 1))
        values, behind = self._pass(master, targets, suffixes)
        alone = dict(zip(apart, self.read_rows(list(apart.values()), []), strict=True))
        result = []
        for i, (line, asked) in enumerate(zip(lines, plan, strict=True)):
            found = [values[k] if n < 0 else behind[n][k] for n, k in asked]
            found = found or list(alone.get(i, ()))
            mean = float(np.mean(found)) if found else math.inf
            result.append(0.0 if not line else mean / math.log(2))
        return result

    def _ids(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids as the checkpoint frames a text."""
        if not texts:
            return []
        found = self._tokenizer(list(texts), add_special_tokens=True)["input_ids"]
        return [np.array(row, np.int64) for row in found]

    def read_rows(
        self, rows: Sequence[Row], notes: list[str], memory: Memory | None = None
    ) -> list[FloatArray]:
        """Likelihoods from ``start`` on in independent rows; the longest first."""
        result = [np.zeros(0)] * len(rows)
        asked = [i for i, row in enumerate(rows) if len(row.ids) > row.start]
        lengths = [len(rows[i].ids) for i in asked]
        # Where a token can be told what to look at, rows stand behind one another: no padding.
        full = self.model.full
        together = packs(lengths, _PACKED) if full else longest_first(lengths, _BATCH, _ALIKE)
        for batch in ([asked[k] for k in members] for members in together):

            def run(members: list[int]) -> list[FloatArray]:
                read = self._pack if full and len(members) > 1 else self._batch
                return read({i: rows[i] for i in members}, memory)

            for i, found in zip(batch, halving(run, batch, notes), strict=True):
                result[i] = found
        return result

    def _pack(self, rows: dict[int, Row], memory: Memory | None) -> list[FloatArray]:
        """Rows behind one another in one sequence, each of which sees only itself."""
        nothing = np.zeros(0, bool)
        parts = [Suffix(nothing, 0, row.ids, row.start) for row in rows.values()]
        found, output = self.read_suffixes(None, 0, parts, states=memory is not None)
        if memory is not None:
            _offer(memory, rows, found, output.hidden_states[-1][0], self.model.cached(output))
        return found

    def _batch(self, rows: dict[int, Row], memory: Memory | None) -> list[FloatArray]:
        """Rows side by side; padding stands behind them, where no token of theirs looks.

        With a memory it is a single one.
        """
        torch = require("torch")
        ids, _ = padded([row.ids[:-1] for row in rows.values()])  # the last predicts nothing
        length = ids.shape[1]
        wanted = sorted({at - 1 for row in rows.values() for at in range(row.start, len(row.ids))})
        found = [np.zeros(len(row.ids) - row.start) for row in rows.values()]
        cache: Any = None
        hidden: list[Any] = []
        with torch.inference_mode():
            for low, high in self._pieces(length):
                keep = [at for at in wanted if low <= at < high]
                keep_cache = high < length or memory is not None
                logits, output = self._forward(
                    ids[:, low:high], keep, low, cache, keep_cache, states=memory is not None
                )
                cache = self.model.cached(output)
                if memory is not None:
                    hidden.append(output.hidden_states[-1])
                    if keep:
                        self._learn_head(hidden[-1][0, keep[0] - low], logits[0, 0])
                for place, at in enumerate(keep):
                    for i, row in enumerate(rows.values()):
                        if row.start <= at + 1 < len(row.ids):
                            distribution = logits[i, place]
                            loss = distribution.logsumexp(-1) - distribution[row.ids[at + 1]]
                            found[i][at + 1 - row.start] = float(loss)
        if memory is not None:
            _offer(memory, rows, found, torch.cat(hidden, 1)[0], cache)
        return found

    def _pieces(self, length: int) -> list[tuple[int, int]]:
        """In which pieces a sequence is read; not all states can be gone on from."""
        step = max(1, length) if self.model.stateful else PIECE
        return [(low, min(length, low + step)) for low in range(0, length, step)]

    def _learn_head(self, state: Any, logits: Any) -> None:
        """Find out ``bare_head`` from one state and its logits."""
        if self.bare_head is None:
            bare = self.model.head(state).float()
            self.bare_head = require("torch").allclose(bare, logits, rtol=1e-3, atol=1e-3)

    def state(self, ids: IntArray) -> State:
        """The states of one text."""
        torch = require("torch")
        cache: Any = None
        hidden = []
        with torch.inference_mode():
            for low in range(0, len(ids), PIECE):
                part = ids[None, low : low + PIECE]
                _, output = self._forward(part, [], low, cache, keep_cache=True, states=True)
                cache = self.model.cached(output)
                hidden.append(output.hidden_states[-1][0])
            return State(torch.cat(hidden), cache)

    def losses(self, hidden: Any, following: IntArray) -> FloatArray:
        """Negative log-likelihood of the token that follows each of some states, shape (n,)."""
        torch = require("torch")
        with torch.inference_mode():
            logits = self.model.head(hidden[: len(following)]).float()
            labels = torch.from_numpy(following).to(logits.device)
            found = logits.logsumexp(-1) - logits.gather(1, labels[:, None])[:, 0]
            return np.asarray(found.cpu().numpy(), np.float64)

    def offsets(self, text: str) -> IntArray:
        """First character of every token, as the checkpoint frames a text."""
        found = self._tokenizer(text, add_special_tokens=True, return_offsets_mapping=True)
        return np.array([start for start, _ in found["offset_mapping"]], np.int64)

    def _forward(
        self,
        ids: Any,
        keep: list[int],
        low: int,
        cache: Any,
        keep_cache: bool,
        *,
        states: bool = False,
    ) -> tuple[Any, Any]:
        """Logits at some positions, float32, (rows, len(keep), vocabulary), and the output."""
        torch = require("torch")
        model = self.model
        given = torch.from_numpy(np.ascontiguousarray(ids)).to(model.model.device)
        arguments: dict[str, Any] = {"output_hidden_states": True} if states else {}
        local = [at - low for at in keep] or [0]
        output = model.call(
            given, keep=local, cache=cache, use_cache=keep_cache or cache is not None, **arguments
        )
        model.count_tokens(given.numel())
        logits = output.logits if model.sparse else output.logits[:, local]
        return logits.float(), output

    def _pass(
        self, master: IntArray, targets: list[_Target], suffixes: list[Suffix]
    ) -> tuple[list[float], list[FloatArray]]:
        """One pass over a text, and one more over all that differs from it.

        Args:
            master: token ids of the text.
            targets: likelihoods in the text itself.
            suffixes: what is read behind beginnings of the text.

        Returns:
            The likelihoods asked for, and for each suffix those of its tokens but the first.
        """
        torch = require("torch")
        values = [0.0] * len(targets)
        by_place: dict[int, list[int]] = {}
        for k, target in enumerate(targets):
            by_place.setdefault(target.at - 1, []).append(k)
        cache: Any = None
        with torch.inference_mode():
            for low, high in self._pieces(len(master)):
                keep = [at for at in range(low, high) if at in by_place]
                keep_cache = high < len(master) or bool(suffixes)
                logits, output = self._forward(master[None, low:high], keep, low, cache, keep_cache)
                cache = self.model.cached(output)
                for at, row in zip(keep, logits[0], strict=False):
                    total = float(row.logsumexp(-1))
                    for k in by_place[at]:
                        values[k] = total - float(row[targets[k].id])
            behind = self.read_suffixes(cache, len(master), suffixes)[0] if suffixes else []
        return values, behind

    def read_suffixes(
        self, cache: Any, length: int, suffixes: Sequence[Suffix], *, states: bool = False
    ) -> tuple[list[FloatArray], Any]:
        """Suffixes behind the cache of a text, all in one forward: each sees its part, and itself.

        Args:
            cache: of the text, changed here; None for no text.
            length: tokens of the text.
            suffixes: what is read.
            states: the output has states and a cache.

        Returns:
            Negative log-likelihoods of the tokens of each suffix from ``asked`` on, and the model's
            output.
        """
        torch = require("torch")
        model = self.model
        device, dtype = model.model.device, model.model.dtype
        sizes = [len(suffix.ids) - 1 for suffix in suffixes]  # the last token predicts nothing
        total = sum(sizes)
        ids = np.concatenate([suffix.ids[:-1] for suffix in suffixes])[None]
        places = zip(suffixes, sizes, strict=True)
        positions = np.concatenate([np.arange(suffix.at, suffix.at + n) for suffix, n in places])
        seen, keep = _visible(suffixes, sizes, length)
        mask = torch.zeros((1, 1, total, length + total), dtype=dtype, device=device)
        mask.masked_fill_(torch.from_numpy(~seen).to(device), torch.finfo(dtype).min)
        arguments: dict[str, Any] = {"output_hidden_states": True} if states else {}
        with torch.inference_mode():
            output = model.call(
                torch.from_numpy(ids).to(device),
                keep=keep,
                cache=cache,
                attention_mask=mask,
                position_ids=torch.from_numpy(positions[None]).to(device),
                use_cache=states or cache is not None,
                **arguments,
            )
            model.count_tokens(total)
            logits = (output.logits[0] if model.sparse else output.logits[0, keep]).float()
            if states:
                self._learn_head(output.hidden_states[-1][0, keep[0]], logits[0])
            asked = np.concatenate([suffix.ids[suffix.asked :] for suffix in suffixes])
            labels = torch.from_numpy(asked).to(logits.device)
            losses = logits.logsumexp(-1) - logits.gather(1, labels[:, None])[:, 0]
        values = np.asarray(losses.cpu().numpy(), np.float64)
        ends = np.cumsum([len(suffix.ids) - suffix.asked for suffix in suffixes])
        return np.split(values, ends[:-1]), output


def _visible(
    suffixes: Sequence[Suffix], sizes: Sequence[int], length: int
) -> tuple[BoolArray, list[int]]:
    """What each token of suffixes behind one another sees, and where logits are wanted.

    Args:
        suffixes: what is read.
        sizes: tokens of each.
        length: tokens of the text before them.

    Returns:
        bool, shape (tokens, length + tokens), and places among the tokens.
    """
    total = sum(sizes)
    seen = np.zeros((total, length + total), bool)
    keep: list[int] = []
    at = 0
    for suffix, size in zip(suffixes, sizes, strict=True):
        seen[at : at + size, :length] = suffix.seen
        seen[at : at + size, length + at : length + at + size] = np.tri(size, dtype=bool)
        keep += range(at + suffix.asked - 1, at + size)
        at += size
    return seen, keep


def _offer(
    memory: Memory, rows: dict[int, Row], found: list[FloatArray], hidden: Any, cache: Any
) -> None:
    """Offer the states of the contexts of rows behind one another to the memory."""
    low = 0
    for (number, row), values in zip(rows.items(), found, strict=True):
        make = partial(state_of, hidden, cache, slice(low, low + row.start))
        memory.offer(number, float(values.mean()), row.start, make)
        low += len(row.ids) - 1


def _common(first: IntArray, second: IntArray) -> int:
    """How many tokens two rows have in common at their beginning."""
    size = min(len(first), len(second))
    differs = np.flatnonzero(first[:size] != second[:size])
    return int(differs[0]) if len(differs) else size
