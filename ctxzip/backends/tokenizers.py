"""A bundle's tokenizer file: strings in, token ids and character offsets out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ctxzip.errors import ModelError
from ctxzip.kit.arrays import IntArray

__all__ = ["Tokens", "load_tokenizer"]


class Tokens(NamedTuple):
    """The tokens of one string: ids and half-open character offsets, int64, shape (n,) each."""

    ids: IntArray
    start: IntArray
    end: IntArray


def load_tokenizer(path: Path) -> Callable[[Sequence[str]], list[Tokens]]:
    """Read a ``tokenizer.json``.

    Returns:
        A thread-safe function that tokenizes strings without special tokens, truncation or
        padding; ``[SEP]`` and the like in a text are text.

    Raises:
        ModelError: the file is missing or damaged.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ModelError(
            f"The tokenizer {path} cannot be read: {error}.", hint="Reinstall ctxzip."
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True

    def tokenize(texts: Sequence[str]) -> list[Tokens]:
        found = []
        for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
            offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
            ids = np.array(encoding.ids, np.int64)
            found.append(Tokens(ids, offsets[:, 0], offsets[:, 1]))
        return found

    return tokenize
