"""What an encoder checkpoint offers, whichever runtime runs it, and how its inputs are batched."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from ctxzip.errors import ModelError
from ctxzip.kit.arrays import Float32Array, IntArray

if TYPE_CHECKING:
    import tokenizers

__all__ = [
    "CrossReading",
    "Encoded",
    "Encoder",
    "Frame",
    "Text",
    "frame_of",
    "tokenize",
]


@dataclass(frozen=True, slots=True)
class Frame:
    """The special tokens around what a model reads, and how much fits between them.

    Attributes:
        prefix: ids before the text.
        suffix: ids behind it.
        pad: id that fills up a batch.
        window: most tokens of one input, ``prefix`` and ``suffix`` included.
    """

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    pad: int
    window: int

    @property
    def room(self) -> int:
        """Tokens of text that fit one input."""
        return self.window - len(self.prefix) - len(self.suffix)


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What a model made of some inputs.

    Attributes:
        states: per input one float32 array, shape (tokens, k): logits, or hidden states.
        notes: what the caller should know (a batch that had to be halved).
    """

    states: list[Float32Array]
    notes: tuple[str, ...] = ()


class Encoder(Protocol):
    """A transformer that reads token ids and gives a row of numbers per token. Thread-safe.

    Attributes:
        name: the checkpoint, as the caller named it.
        tokenizer: neither truncates nor pads; special-token strings in a text are plain text.
        frame: what stands around a text.
    """

    name: str
    tokenizer: tokenizers.Tokenizer
    frame: Frame

    @property
    def add_tokens(self) -> Callable[[int, int], None] | None:
        """Gives the model more embeddings: their number, and a seed; None where it cannot grow."""
        ...

    def forward(self, inputs: Sequence[IntArray]) -> Encoded:
        """Run the model.

        Args:
            inputs: token ids with the frame's special tokens, int64, shape (tokens,) each.
        """
        ...

    def close(self) -> None:
        """Release the weights."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A text as tokens, without special tokens.

    Attributes:
        ids: int64, shape (t,).
        start: first character of each token, int64, shape (t,).
        end: one past its last character, int64, shape (t,).
    """

    ids: IntArray
    start: IntArray
    end: IntArray

    def __len__(self) -> int:
        return len(self.ids)


def tokenize(tokenizer: tokenizers.Tokenizer, texts: Sequence[str]) -> list[Text]:
    """Token ids and character offsets of each text."""
    found = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    result = []
    for encoding in found:
        offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
        result.append(Text(np.array(encoding.ids, np.int64), offsets[:, 0], offsets[:, 1]))
    return result


def plain(tokenizer: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """A copy that neither truncates nor pads and reads special-token strings as text."""
    from tokenizers import Tokenizer

    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    copy.encode_special_tokens = True
    return copy


def frame_of(tokenizer: tokenizers.Tokenizer, pad: int | None, window: int, name: str) -> Frame:
    """Learn the special tokens from what the tokenizer puts around a text.

    Raises:
        ModelError: the tokenizer's post-processor changes the text's own tokens.
    """
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    full = tokenizer.encode("a", add_special_tokens=True).ids
    at = next((i for i in range(len(full)) if full[i : i + len(bare)] == bare), None)
    if at is None:
        raise ModelError(f"The tokenizer of {name!r} puts nothing recognisable around a text.")
    return Frame(tuple(full[:at]), tuple(full[at + len(bare) :]), pad or 0, window)


def pad_id(tokenizer: tokenizers.Tokenizer) -> int | None:
    """The padding id that a tokenizer file declares, or that its usual name stands for."""
    declared = tokenizer.padding
    if declared:
        return int(declared["pad_id"])
    for token in ("[PAD]", "<pad>", "<|padding|>", "<|endoftext|>"):
        found = tokenizer.token_to_id(token)
        if found is not None:
            return int(found)
    return None


def kind_of(tokenizer: tokenizers.Tokenizer) -> str:
    """What the tokenizer's model is: ``"WordPiece"``, ``"Unigram"``, ``"BPE"``, ``"WordLevel"``."""
    return str(json.loads(tokenizer.to_str())["model"].get("type", ""))


class CrossReading(NamedTuple):
    """What the cross-encoder says of a window of L tokens and a query of Q, all float32.

    Attributes:
        relevance: logit of each token, shape (L,).
        answer: logit that it belongs to an answer, shape (L,).
        similar: its weighted similarity with each query token, shape (L, Q).
        window: logit of the window.
    """

    relevance: Float32Array
    answer: Float32Array
    similar: Float32Array
    window: float
