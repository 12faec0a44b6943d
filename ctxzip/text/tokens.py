"""Counting tokens as the target LLM does, offline.

``resolve`` turns whatever names or does the tokenization into a :class:`TokenCounter`. Nothing here
downloads or reads the network; ``o200k_base`` and ``cl100k_base`` are shipped in ``ctxzip/data``.
"""

from __future__ import annotations

import functools
import operator
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
import numpy.typing as npt

from ctxzip.errors import InputError
from ctxzip.kit.arrays import IntArray
from ctxzip.text.vocabulary import encoding_name, load

if TYPE_CHECKING:
    import tiktoken
    import tokenizers

__all__ = [
    "CallableCounter",
    "HuggingFaceCounter",
    "TiktokenCounter",
    "TokenCounter",
    "resolve",
]

_SURROGATE = re.compile("[\ud800-\udfff]")
_BLOCK = 1024
_PAGE = 131_072
_OBJECTS_REMEMBERED = 8


@runtime_checkable
class TokenCounter(Protocol):
    """Counts tokens the way one LLM does. Thread-safe.

    Attributes:
        name: names the tokenizer in results.
    """

    name: str

    def count(self, text: str) -> int:
        """Number of tokens in ``text``; the strings of special tokens count as ordinary text."""
        ...

    def starts(self, text: str) -> IntArray | None:
        """Character offset at which each token starts.

        A token that starts inside a character, as byte-level tokens may, is given that
        character's offset.

        Returns:
            int64, shape (count(text),), never decreasing; None where tokens cannot be located.
        """
        ...


class TiktokenCounter:
    """Counts with a ``tiktoken.Encoding``.

    The count equals ``len(encoding.encode_ordinary(text))`` but for two kinds of text. Where 1,024
    characters and more are all letters, all digits, all symbols or all whitespace, the text is cut
    into blocks of that length first, because there tiktoken is slow (quadratic in old versions) or
    overflows its stack; that can add one or two tokens at each cut. Surrogates count as U+FFFD.

    Args:
        encoding: any tiktoken encoding.
        name: shown in results; the encoding's own name unless given.
        lengths: bytes of each token by rank, uint8, shape (tokens,), where they are known already.
    """

    def __init__(
        self,
        encoding: tiktoken.Encoding,
        name: str | None = None,
        lengths: npt.NDArray[np.uint8] | None = None,
    ) -> None:
        self.name = name or encoding.name
        self._encoding = encoding
        self._lengths: IntArray | None = None if lengths is None else lengths.astype(np.int64)

    def count(self, text: str) -> int:
        """Number of tokens in ``text``."""
        text = _without_surrogates(text)
        return sum(len(self._encoding.encode_ordinary(piece)) for piece in _pieces(text))

    def starts(self, text: str) -> IntArray:
        """Character offset of each token: int64, shape (count(text),), never decreasing."""
        text = _without_surrogates(text)
        ids = [self._encoding.encode_ordinary(piece) for piece in _pieces(text)]
        tokens = np.concatenate([np.array(piece, np.int64) for piece in ids])
        sizes = self._byte_lengths()[tokens]
        starts: IntArray = np.cumsum(sizes) - sizes
        if text.isascii():
            return starts
        # Bytes 10xxxxxx continue a character; every other byte begins one.
        data = np.frombuffer(text.encode(), np.uint8)
        character = np.cumsum((data & 0xC0) != 0x80, dtype=np.int64) - 1
        return np.take(character, starts)

    def _byte_lengths(self) -> IntArray:
        if self._lengths is None:
            lengths = np.zeros(self._encoding.n_vocab, np.int64)
            for token in range(self._encoding.n_vocab):
                try:
                    lengths[token] = len(self._encoding.decode_single_token_bytes(token))
                except KeyError:  # ids between the ranks and the special tokens are unused
                    continue
            self._lengths = lengths
        return self._lengths


class HuggingFaceCounter:
    """Counts with a ``tokenizers.Tokenizer``, without adding special tokens.

    Works on a copy that neither truncates nor pads and reads special tokens as ordinary text, so
    the caller's object is never changed, and changing it later does not change the count. Text of
    more than 131,072 characters is encoded in pieces, for memory; tokenizers that mark the
    beginning of a text may count one token more for each piece.

    Raises:
        InputError: the tokenizer has parts written in Python, so it cannot be copied.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, name: str) -> None:
        from tokenizers import Tokenizer

        self.name = name
        try:
            self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        except Exception as error:
            raise InputError(
                f"The {name} cannot be copied: {error}.",
                hint="Give a function instead, which counts with it: str -> int.",
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True

    def count(self, text: str) -> int:
        """Number of tokens in ``text``."""
        return sum(len(encoding.ids) for _, encoding in self._encoded(text))

    def starts(self, text: str) -> IntArray:
        """Character offset of each token: int64, shape (count(text),), never decreasing."""
        found = [np.zeros(0, np.int64)]
        for at, encoding in self._encoded(text):
            offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
            found.append(offsets[:, 0] + at)
        return np.maximum.accumulate(np.concatenate(found))

    def _encoded(self, text: str) -> Iterator[tuple[int, tokenizers.Encoding]]:
        at = 0
        for piece in _pages(_without_surrogates(text)):
            try:
                yield at, self._tokenizer.encode(piece, add_special_tokens=False)
            except Exception as error:
                raise InputError(
                    f"The {self.name} cannot encode {_short(piece)}: {error}."
                ) from error
            at += len(piece)


class CallableCounter:
    """Counts with a function of the caller's; where its tokens lie is not known."""

    def __init__(self, function: Callable[[str], int]) -> None:
        self.name = _qualified_name(function)
        self._function = function

    def count(self, text: str) -> int:
        """What the function says.

        Raises:
            InputError: it gave something other than a whole number of at least 0.
        """
        result: Any = self._function(text)
        try:
            tokens = -1 if isinstance(result, bool) else operator.index(result)
        except TypeError:
            tokens = -1
        if tokens < 0:
            raise InputError(
                f"The token counter {self.name} gave {_short(result)}.",
                hint="It must give the number of tokens, a whole number of at least 0.",
            )
        return tokens

    def starts(self, text: str) -> None:
        """Nothing: a function says how many tokens there are, not where."""


def resolve(tokenizer: object) -> TokenCounter:
    """The counter that ``tokenizer`` stands for.

    Args:
        tokenizer: the name of an encoding (``"o200k_base"``) or of an OpenAI model (``"gpt-4o"``,
            also ``"openai/gpt-4o"``), a ``tokenizers.Tokenizer``, a fast tokenizer of transformers,
            a ``tiktoken.Encoding``, any ``str -> int``, or a :class:`TokenCounter`. Named counters
            are made once a process; for tokenizer objects the last few are remembered.

    Raises:
        InputError: the name is not known or its vocabulary is not on this machine, or the object
            is none of these.
    """
    if isinstance(tokenizer, str):
        return _named(encoding_name(tokenizer))
    if isinstance(tokenizer, TokenCounter):
        return tokenizer
    kind = type(tokenizer)
    if kind.__module__.partition(".")[0] == "tiktoken" or hasattr(tokenizer, "backend_tokenizer"):
        return _remembered(tokenizer)
    if kind.__module__.partition(".")[0] == "tokenizers":
        return _remembered(tokenizer)
    if _is_counting_function(tokenizer):
        return CallableCounter(tokenizer)
    raise InputError(
        f"tokenizer={_short(tokenizer)} is no tokenizer.",
        hint='Give a name such as "o200k_base", a tokenizers.Tokenizer, or a function str -> int.',
    )


def _is_counting_function(value: object) -> TypeGuard[Callable[[str], int]]:
    return callable(value) and not isinstance(value, type)


_lock = threading.RLock()
_objects: OrderedDict[int, tuple[object, TokenCounter]] = OrderedDict()


def _remembered(tokenizer: Any) -> TokenCounter:
    """A counter for a tokenizer object; copying one takes up to a second, so a few are kept."""
    with _lock:
        known = _objects.get(id(tokenizer))
        if known is not None and known[0] is tokenizer:
            _objects.move_to_end(id(tokenizer))
            return known[1]
        counter = _counter_of(tokenizer)
        _objects[id(tokenizer)] = (tokenizer, counter)
        if len(_objects) > _OBJECTS_REMEMBERED:
            _objects.popitem(last=False)
        return counter


def _counter_of(tokenizer: Any) -> TokenCounter:
    if hasattr(tokenizer, "encode_ordinary"):
        return TiktokenCounter(tokenizer)
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(backend, "to_str"):
        raise InputError(f"tokenizer={_short(tokenizer)} is no tokenizer that can count.")
    given_name = getattr(tokenizer, "name_or_path", None)
    name = given_name if isinstance(given_name, str) and given_name else None
    return HuggingFaceCounter(backend, f"tokenizer of {name}" if name else _describe(backend))


def _describe(tokenizer: tokenizers.Tokenizer) -> str:
    size = tokenizer.get_vocab_size(with_added_tokens=False)
    return f"{type(tokenizer.model).__name__} tokenizer of {size} tokens"


def _named(name: str) -> TokenCounter:
    with _lock:  # without it two threads that start together would both load the vocabulary
        return _loaded(name)


@functools.cache
def _loaded(name: str) -> TokenCounter:
    encoding, lengths = load(name)
    return TiktokenCounter(encoding, name, lengths)


def _pages(text: str) -> Iterator[str]:
    """``text`` in pieces that end with a line if they can, or before a space."""
    at = 0
    while len(text) - at > _PAGE:
        middle, end = at + _PAGE // 2, at + _PAGE
        cut = text.rfind("\n", middle, end) + 1 or text.rfind(" ", middle, end)
        cut = cut if cut > at else end
        yield text[at:cut]
        at = cut
    yield text[at:]


def _pieces(text: str) -> Iterator[str]:
    """``text``, cut where it holds a whole block of one class of characters."""
    start = 0
    for at in range(0, len(text) - _BLOCK + 1, _BLOCK):
        if _one_class().fullmatch(text, at, at + _BLOCK):
            if at > start:
                yield text[start:at]
            yield text[at : at + _BLOCK]
            start = at + _BLOCK
    if start < len(text) or not text:
        yield text[start:]


@functools.cache
def _one_class() -> Any:
    import regex  # a dependency of tiktoken

    return regex.compile(r"[\p{L}\p{M}]++|[^\s\p{L}\p{N}]++|\p{N}++|\s++")


def _without_surrogates(text: str) -> str:
    """``text`` with each surrogate replaced, so that offsets stay and UTF-8 can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text


def _qualified_name(function: Callable[..., object]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    if not hasattr(function, "__qualname__"):
        function = type(function)
    module = getattr(function, "__module__", None)
    name: str = function.__qualname__
    return name if module in (None, "builtins") else f"{module}.{name}"


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
