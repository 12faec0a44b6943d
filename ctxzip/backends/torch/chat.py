"""A causal language model that answers prompts, run by PyTorch; GGUF files are read, too."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from ctxzip.backends.torch.loading import (
    Placement,
    _loaded,
    _quiet,
    gguf_source,
    halving,
    resolve_device,
    resolve_dtype,
)
from ctxzip.errors import InputError
from ctxzip.kit.extras import require
from ctxzip.kit.padding import batches

__all__ = ["ChatModel"]

_CPU_TOKENS, _GPU_TOKENS = 2048, 32_768
_WINDOW = 8192  # where a checkpoint does not say


class ChatModel:
    """Answers prompts greedily, in the form of the checkpoint's chat template. Thread-safe.

    Args:
        name: a folder, a ``.gguf`` file, or a hub name.
        placement: where and how.

    Raises:
        ModelError: it cannot be loaded.
        MissingExtraError: PyTorch, transformers, or gguf for a ``.gguf`` file is missing.
    """

    def __init__(self, name: str, placement: Placement) -> None:
        transformers = require("transformers")
        self.name = name
        folder, source = gguf_source(name)
        self._tokenizer = _loaded(
            folder, placement, transformers.AutoTokenizer.from_pretrained, **source
        )
        device = resolve_device(placement.device)
        model = _loaded(
            folder,
            placement,
            transformers.AutoModelForCausalLM.from_pretrained,
            dtype=resolve_dtype(placement.dtype, device),
            **source,
            **({} if source else {"use_safetensors": None if placement.pickles else True}),
        )
        self._model = model.to(device).eval()
        self._lock = threading.Lock()
        positions = getattr(self._model.config, "max_position_embeddings", None)
        self.window = int(positions or _WINDOW)

    def answer(
        self, prompts: Sequence[str], max_tokens: int
    ) -> Iterator[tuple[int, tuple[str, int, int] | Exception]]:
        """Answer every prompt; equal lengths share a batch, so nothing is padded.

        Args:
            prompts: what the user says.
            max_tokens: most tokens of an answer.

        Yields:
            Index of the prompt, and its answer with the tokens read and written; an InputError for
            a prompt that is longer than the model's window.
        """
        encoded = [self._encode(prompt) for prompt in prompts]
        fitting: list[int] = []
        for i, ids in enumerate(encoded):
            if len(ids) + max_tokens > self.window:
                yield (
                    i,
                    InputError(
                        f"The prompt has {len(ids)} tokens; {self.name} reads {self.window} in all."
                    ),
                )
            else:
                fitting.append(i)
        most = _CPU_TOKENS if self._model.device.type == "cpu" else _GPU_TOKENS
        for members, _ in batches([len(encoded[i]) for i in fitting], most, 1):
            batch = [fitting[k] for k in members]
            with self._lock:
                found = halving(
                    lambda part: self._generate([encoded[i] for i in part], max_tokens), batch, []
                )
            yield from zip(batch, found, strict=True)

    def _encode(self, prompt: str) -> list[int]:
        if self._tokenizer.chat_template is None:
            plain: list[int] = self._tokenizer(prompt)["input_ids"]
            return plain
        text = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
        )
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _generate(self, rows: list[list[int]], max_tokens: int) -> list[tuple[str, int, int]]:
        torch = require("torch")
        ids = torch.tensor(rows, device=self._model.device)
        end = self._tokenizer.eos_token_id
        pad = self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else end
        with torch.inference_mode(), _quiet():
            found = self._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=max_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=pad,
            )
        new = found[:, ids.shape[1] :].tolist()
        texts = self._tokenizer.batch_decode(new, skip_special_tokens=True)
        written = [sum(token not in (pad, end) for token in row) + 1 for row in new]
        return [
            (text.strip(), ids.shape[1], min(count, max_tokens))
            for text, count in zip(texts, written, strict=True)
        ]
