"""Causal and sequence-to-sequence language models run by PyTorch."""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ctxzip.backends.torch.loading import (
    Placement,
    _loaded,
    _quiet,
    counts_from_padding,
    halving,
    load_model,
    load_tokenizer,
)
from ctxzip.errors import ModelError
from ctxzip.kit.arrays import Float32Array, IntArray
from ctxzip.kit.extras import require
from ctxzip.kit.padding import batches, longest_first, padded

__all__ = ["CausalModel", "Seq2SeqModel"]

# How checkpoints of causal language models call themselves; the second one as GPT-2 does.
_CAUSAL = ("ForCausalLM", "GPT2LMHeadModel")
_CPU_TOKENS, _GPU_TOKENS = 1024, 16_384
_STATES = {"linear_attention"}  # the kind of every layer, where none keeps keys and values


class CausalModel:
    """A causal language model that reads continuations of one prefix. Thread-safe.

    Args:
        name: folder, ``.gguf`` file or hub name.
        placement: where and how.
        adapter: folder or hub name of a LoRA adapter, merged into the weights.

    Attributes:
        tokenizer: the transformers tokenizer.
        window: most tokens of prefix and continuation together.
        tokens_read: tokens that went through the model so far, padding included.
        sparse: the model gives logits at chosen positions only.
        stateful: some layers keep a state that stands for all tokens before.
    """

    def __init__(self, name: str, placement: Placement, adapter: str | None = None) -> None:
        self.name = name
        self.tokenizer = load_tokenizer(name, placement)
        self._lock = threading.Lock()
        self.model = load_model(name, placement, "AutoModelForCausalLM", *_CAUSAL)
        if adapter is not None:
            self.model = _adapted(self.model, adapter, placement)
        self.window = int(getattr(self.model.config, "max_position_embeddings", 0) or 8192)
        self.tokens_read = 0
        parameters = inspect.signature(self.model.forward).parameters
        self.sparse = "logits_to_keep" in parameters
        # Some know no positions, and some count their own.
        counts = counts_from_padding(self.model.config)
        self._positions = "position_ids" in parameters and not counts
        # Its name, as an argument and in the output, depends on the version of transformers.
        names = [name for name in ("past_key_values", "cache") if name in parameters]
        if not names or set(getattr(self.model.config, "layer_types", None) or ()) == _STATES:
            raise ModelError(
                f"{name!r} keeps no keys and values of what it read; they are needed here.",
                hint="Use a checkpoint with attention.",
            )
        self._cache = names[0]
        self.stateful = bool(getattr(self.model, "_is_stateful", False))
        if placement.compiled:
            self.model = require("torch").compile(self.model, dynamic=True)

    def continuations(
        self, prefix: IntArray, suffixes: Sequence[IntArray], wanted: Sequence[int]
    ) -> tuple[Float32Array, tuple[str, ...]]:
        """Logits behind the last token of each suffix; the prefix is read once for all.

        transformers changes a cache in place, so every batch works on a copy, and positions are
        given explicitly because the padding behind short suffixes must not count.

        Args:
            prefix: token ids, int64, shape (p,), p >= 1.
            suffixes: token ids of each continuation, int64, shape (s,), s >= 1.
            wanted: ids whose logits are asked for.

        Returns:
            float32, shape (n, len(wanted)), and notes.
        """
        torch = require("torch")
        notes: list[str] = []
        result = np.zeros((len(suffixes), len(wanted)), np.float32)
        device = self.model.device
        most = _CPU_TOKENS if device.type == "cpu" else _GPU_TOKENS
        with torch.inference_mode():
            ids = torch.from_numpy(prefix).to(device)[None]
            cache = self.cached(self.call(ids, use_cache=True, keep=[len(prefix) - 1]))
            self.count_tokens(len(prefix))
            for batch in longest_first([len(suffix) for suffix in suffixes], most):

                def run(members: list[int]) -> list[Float32Array]:
                    return self._batch(cache, len(prefix), [suffixes[i] for i in members], wanted)

                for i, row in zip(batch, halving(run, batch, notes), strict=True):
                    result[i] = row
        return result, tuple(notes)

    def _batch(
        self, cache: Any, before: int, rows: list[IntArray], wanted: Sequence[int]
    ) -> list[Float32Array]:
        torch = require("torch")
        device = self.model.device
        ids, behind = padded(rows)
        length = ids.shape[1]
        mask = np.concatenate([np.ones((len(rows), before), np.int64), behind], axis=1)
        own = copy.deepcopy(cache)
        try:
            own.batch_repeat_interleave(len(rows))
        except AttributeError as error:
            raise ModelError(
                f"{self.name!r} keeps a state instead of keys and values in some layers; it cannot"
                " be shared.",
                hint="Use a checkpoint whose layers all have attention.",
            ) from error
        positions = torch.arange(before, before + length, device=device)[None].expand(len(rows), -1)
        ends = sorted({len(row) - 1 for row in rows})
        output = self.call(
            torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(mask).to(device),
            cache=own,
            keep=ends,
            **({"position_ids": positions} if self._positions else {}),
        )
        self.count_tokens(ids.size)
        logits = output.logits[:, :, list(wanted)].float().cpu().numpy()
        at = {end: i for i, end in enumerate(ends)} if self.sparse else None
        return [
            logits[i, at[len(row) - 1] if at is not None else len(row) - 1]
            for i, row in enumerate(rows)
        ]

    def call(self, ids: Any, *, keep: list[int], cache: Any = None, **arguments: Any) -> Any:
        """The model's output; where it can, with logits at the positions ``keep`` only.

        It goes on from ``cache``, which is changed, where there is one.
        """
        if cache is not None:
            arguments[self._cache] = cache
        if self.sparse:
            arguments["logits_to_keep"] = require("torch").tensor(keep, device=ids.device)
        return self.model(input_ids=ids, **arguments)

    def cached(self, output: Any) -> Any:
        """The keys and values in an output."""
        return getattr(output, self._cache)

    @property
    def full(self) -> bool:
        """Whether every layer looks at, and keeps, all tokens before, and can be told which.

        Positions must be an argument that counts, and a mask of any shape must be looked at.
        """
        config = self.model.config
        attention = getattr(config, "_attn_implementation", None)
        if not self._positions or attention not in ("sdpa", "eager"):
            return False
        if self.stateful or getattr(config, "alibi", False):
            return False
        kinds = getattr(config, "layer_types", None)
        if kinds is not None:
            return set(kinds) == {"full_attention"}
        if "local" in getattr(config, "attention_layers", ()):  # GPT-Neo
            return False
        return getattr(config, "sliding_window", None) is None

    def head(self, hidden: Any) -> Any:
        """Last hidden states through the output embeddings, shape (n, d) → (n, vocabulary).

        In most architectures these are the logits; some scale or bend them further.
        """
        return self.model.get_output_embeddings()(hidden)

    def count_tokens(self, tokens: int) -> None:
        """Add to ``tokens_read``."""
        with self._lock:
            self.tokens_read += int(tokens)


def _adapted(model: Any, adapter: str, placement: Placement) -> Any:
    """A model with a LoRA adapter merged into its weights."""
    peft = require("peft")

    def load(name: str, local_files_only: bool = False, **_: Any) -> Any:
        return peft.PeftModel.from_pretrained(model, name, local_files_only=local_files_only)

    merged = _loaded(adapter, placement, load)
    return merged.merge_and_unload().eval()


class Seq2SeqModel:
    """An encoder-decoder that writes a text for each of several texts. Thread-safe.

    Args:
        name: folder or hub name.
        placement: where and how.
    """

    def __init__(self, name: str, placement: Placement) -> None:
        self.name = name
        self.tokenizer = load_tokenizer(name, placement)
        self.model = load_model(
            name, placement, "AutoModelForSeq2SeqLM", "ForConditionalGeneration"
        )
        self._lock = threading.Lock()

    def generate(
        self, prompts: Sequence[str], *, source_tokens: int, new_tokens: Sequence[int], beams: int
    ) -> tuple[list[str], list[tuple[str, ...]]]:
        """Write one text per prompt, greedily or by beam search; never sampled.

        Prompts of one length limit are batched by length, and a batch pads only what is left.

        Args:
            prompts: what the encoder reads.
            source_tokens: most tokens of a prompt; more are cut off its end.
            new_tokens: most tokens of each text.
            beams: 1 for greedy search.

        Returns:
            The texts without special tokens, and notes on each.
        """
        torch = require("torch")
        notes: list[str] = []
        whole, encoded = self._encoded(prompts, source_tokens)
        said = f"the model reads {source_tokens} tokens; the prompt was cut"
        texts = [""] * len(prompts)
        device = self.model.device
        most = _CPU_TOKENS * 4 if device.type == "cpu" else _GPU_TOKENS

        def run(members: list[int]) -> list[str]:
            ids = torch.tensor([encoded[i] for i in members], device=device)  # of one length
            with torch.inference_mode(), _quiet():
                found = self.model.generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=new_tokens[members[0]],
                    num_beams=beams,
                    do_sample=False,
                )
            decoded: list[str] = self.tokenizer.batch_decode(found, skip_special_tokens=True)
            return decoded

        for batch in _unpadded(list(map(len, encoded)), new_tokens, most):
            for i, text in zip(batch, halving(run, batch, notes), strict=True):
                texts[i] = text.strip()
        return texts, [(*notes, said) if length > source_tokens else (*notes,) for length in whole]

    def _encoded(
        self, prompts: Sequence[str], source_tokens: int
    ) -> tuple[list[int], list[list[int]]]:
        """Lengths of prompts in tokens, and their ids, cut to the model's window."""
        with self._lock:  # a tokenizer keeps how it shall truncate
            whole = self.tokenizer(list(prompts), truncation=False)["input_ids"]
            ids = self.tokenizer(list(prompts), truncation=True, max_length=source_tokens)
        return list(map(len, whole)), ids["input_ids"]


def _unpadded(lengths: Sequence[int], limits: Sequence[int], most: int) -> Iterator[list[int]]:
    """Batches of prompts with equal limits and equal lengths: no padding, so no influence."""
    for limit in dict.fromkeys(limits):
        members = [i for i, own in enumerate(limits) if own == limit]
        for batch, _ in batches([lengths[i] for i in members], most, 1):
            yield [members[k] for k in batch]


def single_token(tokenizer: Any, word: str, name: str) -> int:
    """The id of a word that is one token.

    Raises:
        ModelError: it is several.
    """
    ids = tokenizer.encode(word, add_special_tokens=False)
    if len(ids) != 1:
        raise ModelError(
            f"{word!r} is {len(ids)} tokens for {name!r}; one is needed.",
            hint="Give other answers in the settings.",
        )
    return int(ids[0])
