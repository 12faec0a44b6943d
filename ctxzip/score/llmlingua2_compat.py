"""The decisions of the published LLMLingua-2 code, word for word, with its quirks.

What is reproduced, and differs from ctxzip's own way: texts are cut into chunks of 510 tokens that
are detokenized and read again; chunks start with ``[CLS]`` and end with ``[SEP]`` by those names,
which XLM-R's tokenizer knows only as ``<unk>``; words are those of the tokenizer; special and
unknown tokens belong to no word; the threshold is a percentile per chunk, weighted by the number of
cl100k_base tokens of each word. Written from the observed behaviour of llmlingua 0.2.2.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ctxzip.backends.encoder import Encoder, FloatStates, kind_of
from ctxzip.errors import InputError, ModelError
from ctxzip.score.classifier import LLMLingua2, keep_probability
from ctxzip.tokens import resolve
from ctxzip.units import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import tokenizers

__all__ = ["MOST_FORCED", "Chunk", "Reading", "Reference"]

LENGTH = 512
MOST_FORCED = 100
# The reference draws the embeddings of its additional tokens after seeding with this.
SEED = 42


@lru_cache(maxsize=100_000)
def _gpt_tokens(word: str) -> int:
    return resolve("cl100k_base").count(word)


class _Piece(NamedTuple):
    """What the reference makes of one token."""

    special: bool
    begins: bool
    shown: str
    bare: str
    forced: bool
    digit: bool


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """A chunk as the reference reads it.

    Attributes:
        surface: tokens of the source that it was cut from.
        tokens: names of the ids that they come to when the detokenized chunk is tokenized again,
            without ``[CLS]`` and ``[SEP]``.
        ids: what the model reads, int64.
        start: source offset of each token, -1 where it has none, int64, shape (tokens,).
        end: one past its end in the source.
    """

    surface: list[str]
    tokens: list[str]
    ids: IntArray
    start: IntArray
    end: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A chunk's words.

    Attributes:
        words: as the reference spells them, "▁" included.
        probability: per word, forced tokens raised; shape (w,).
        plain: the same without forcing.
        start: source offsets, -1 where a word has none.
        end: one past its end in the source.
        exact: some probability is an exact 1.0 by force: the reference then computes in float64.
    """

    words: list[str]
    probability: FloatStates
    plain: FloatStates
    start: IntArray
    end: IntArray
    exact: bool


class Reference:
    """LLMLingua-2's decisions with one checkpoint.

    Args:
        encoder: a token classifier with a WordPiece or Unigram tokenizer.
        settings: see :class:`LLMLingua2`.
        extend: called with a number and a seed, adds that many embeddings to the model; needed
            only where a forced token is several tokens of the checkpoint.

    Raises:
        ModelError: a tokenizer of another kind, or such a forced token without ``extend``.
        InputError: more forced tokens than the reference allows.
    """

    def __init__(
        self,
        encoder: Encoder,
        settings: LLMLingua2,
        extend: Callable[[int, int], None] | None = None,
    ) -> None:
        from tokenizers import Tokenizer

        kind = kind_of(encoder.tokenizer)
        if kind not in ("WordPiece", "Unigram"):
            raise ModelError(
                f"compat=True knows WordPiece and Unigram tokenizers; {encoder.name!r} has {kind}.",
                hint="Use compat=False.",
            )
        if len(settings.force_tokens) > MOST_FORCED:
            raise InputError(f"{len(settings.force_tokens)} force_tokens; at most {MOST_FORCED}.")
        self._encoder = encoder
        self._settings = settings
        self._wordpiece = kind == "WordPiece"
        tokenizer = Tokenizer.from_str(encoder.tokenizer.to_str())
        tokenizer.encode_special_tokens = False
        known = tokenizer.get_added_tokens_decoder().values()
        self._special = {token.content for token in known if token.special}
        names = [f"[NEW{i}]" for i in range(MOST_FORCED)]
        self._tokenizer: tokenizers.Tokenizer = tokenizer
        tokenizer.add_special_tokens(names)
        self._map = {
            token: names[i]
            for i, token in enumerate(settings.force_tokens)
            if len(self._tokens(token)[0]) != 1
        }
        if self._map:
            if extend is None:
                raise ModelError(
                    f"The forced tokens {sorted(self._map)} are several tokens of the checkpoint;"
                    " compat=True then needs its PyTorch weights.",
                    hint='Use backend="torch", or forced tokens of one token each.',
                )
            extend(MOST_FORCED, SEED)
        model = json.loads(tokenizer.to_str())["model"]
        self._unknown: int = (
            tokenizer.token_to_id(model["unk_token"]) or 0 if self._wordpiece else model["unk_id"]
        )
        self._stable = self._reads_alike(encoder)
        self._first, self._last = self._id("[CLS]"), self._id("[SEP]")
        self._names: dict[int, str] = {}
        self._pieces: dict[str, _Piece] = {}

    def _tokens(self, text: str) -> tuple[list[str], list[tuple[int, int]]]:
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return encoding.tokens, encoding.offsets

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        return self._unknown if found is None else int(found)

    def chunks(self, text: str) -> list[Chunk]:
        """The chunks of a context, with the source offsets of their tokens."""
        source, at = _replaced(text, self._map)
        encoding = self._tokenizer.encode(source, add_special_tokens=False)
        tokens, ids = encoding.tokens, encoding.ids
        ends = {*self._settings.chunk_end_tokens}
        ends |= {self._map[token] for token in ends if token in self._map}
        spans = np.array(encoding.offsets, np.int64).reshape(-1, 2)
        start, end = at[spans[:, 0]], at[spans[:, 1]]
        found = []
        low, n = 0, len(tokens)
        while low < n:
            high = n
            if low + LENGTH - 2 <= n - 1:
                last = low + LENGTH - 2
                cut = next((k for k in range(last, low, -1) if tokens[k] in ends), last)
                high = cut + 1
            part = slice(low, high)
            found.append(self._chunk(tokens[part], ids[part], start[part], end[part]))
            low = high
        return found

    def text(self, chunk: Chunk) -> str:
        """The detokenized chunk."""
        return str(self._tokenizer.decoder.decode(chunk.surface))

    def _chunk(self, tokens: list[str], ids: list[int], start: IntArray, end: IntArray) -> Chunk:
        again = tokens
        if not self._stable or tokens[0].startswith("##") or not self._odd.isdisjoint(ids):
            text = self._tokenizer.decoder.decode(tokens)
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
            again, ids = encoding.tokens[: LENGTH - 1], encoding.ids[: LENGTH - 1]
            if again != tokens:
                start, end = _aligned(tokens, again, start, end)
        # Back from ids: the surface of an unknown piece is lost, as in the reference.
        names = [self._names.get(i) or self._name(i) for i in ids[: LENGTH - 1]]
        framed = [self._first, *ids, self._last][:LENGTH]
        return Chunk(tokens, names, np.array(framed, np.int64), start, end)

    def _reads_alike(self, encoder: Encoder) -> bool:
        """Whether a detokenized chunk without odd tokens surely comes to the same tokens again.

        So it is with BERT's own normaliser, pre-tokenizer and decoder: words are split at spaces
        and punctuation, and those are what the decoder puts between tokens or leaves out.
        """
        parts = json.loads(encoder.tokenizer.to_str())
        kinds = [(parts.get(name) or {}).get("type") for name in ("normalizer", "pre_tokenizer")]
        kinds.append((parts.get("decoder") or {}).get("type"))
        added = self._tokenizer.get_added_tokens_decoder()
        self._odd = {self._unknown, *added}
        return kinds == ["BertNormalizer", "BertPreTokenizer", "WordPiece"]

    def _name(self, token: int) -> str:
        self._names[token] = name = str(self._tokenizer.id_to_token(token))
        return name

    def read(self, chunks: Sequence[Chunk]) -> list[Reading]:
        """Run the model over chunks of any number of contexts."""
        encoded = self._encoder.forward([chunk.ids for chunk in chunks])
        return [
            self._words(chunk, keep_probability(logits)[1 : 1 + len(chunk.tokens)])
            for chunk, logits in zip(chunks, encoded.states, strict=True)
        ]

    def _piece(self, token: str) -> _Piece:
        self._pieces[token] = piece = self._look(token)
        return piece

    def _look(self, token: str) -> _Piece:
        forced_tokens, stand_ins = self._settings.force_tokens, set(self._map.values())
        bare = token.lstrip("#" if self._wordpiece else "▁")
        if self._wordpiece:
            inner = bare in forced_tokens or bare in stand_ins
            begins = inner or not token.startswith("##")
        else:
            # A test for a part of the string, as in the reference: "()" counts as punctuation too.
            begins = token in string.punctuation or token in forced_tokens or token in stand_ins
            begins = begins or token.startswith("▁")
        shown = token
        for original, stand_in in self._map.items():
            shown = shown.replace(stand_in, original)
        return _Piece(
            special=token in self._special,
            begins=begins,
            shown=shown,
            bare=bare,
            forced=begins and (bare in forced_tokens or bare in stand_ins),
            digit=bool(re.search(r"\d", shown if begins else token)),
        )

    def _words(self, chunk: Chunk, probability: FloatStates) -> Reading:
        """Merge tokens into words."""
        known = self._pieces
        pieces = [known.get(t) or self._piece(t) for t in chunk.tokens[: len(probability)]]
        used = [i for i, piece in enumerate(pieces) if not piece.special]
        words: list[str] = []
        first: list[int] = []
        for k, i in enumerate(used):
            piece = pieces[i]
            if piece.begins or not words:
                words.append(piece.shown)
                first.append(k)
            else:
                words[-1] += piece.bare
        if not words:
            none = np.zeros(0, np.int64)
            return Reading([], probability[:0], probability[:0], none, none, False)
        chosen = np.array(used)
        digits = self._settings.force_reserve_digit
        raised = np.array([pieces[i].forced or (digits and pieces[i].digit) for i in used])
        own = probability[chosen]
        forced = np.where(raised, np.float32(1.0), own)
        edges = np.array(first)
        count = np.diff([*first, len(used)]).astype(np.float32)
        if self._settings.word_probability == "first":
            value = forced[edges]
            exact = bool(raised[edges].any())
        else:
            value = np.add.reduceat(forced, edges) / count
            exact = bool(np.logical_and.reduceat(raised, edges).any())
        # Without forcing the reference repeats a word's first token in place of the others.
        plain = own[edges]
        start, end = _word_spans(chunk.start[chosen], chunk.end[chosen], edges)
        return Reading(words, value, plain, start, end, exact)

    def keep(self, reading: Reading, reduce_rate: float) -> BoolArray:
        """Which words of a chunk stay."""
        words = reading.words
        if not words:
            return np.zeros(0, bool)
        value = reading.probability.astype(np.float64 if reading.exact else np.float32)
        forced = self._settings.force_tokens if self._settings.drop_consecutive else ()
        if forced:
            value = _lower_repeats(words, value, forced, _percentile(value, int(100 * reduce_rate)))
        weighted = np.repeat(value, [_gpt_tokens(word) for word in words])
        if not len(weighted):
            return np.zeros(len(words), bool)
        threshold = _percentile(weighted, int(100 * reduce_rate + 1))
        wide: FloatArray = value.astype(np.float64)
        kept: BoolArray = wide > threshold
        if threshold == 1.0:
            kept |= wide == 1.0
        return _without_repeats(words, kept, forced) if forced else kept


def _percentile(values: npt.NDArray[Any], percent: int) -> float:
    """As NumPy computes it in the precision of the values."""
    return float(np.percentile(values, percent))


def _lower_repeats(
    words: list[str], value: npt.NDArray[Any], forced: tuple[str, ...], threshold: float
) -> npt.NDArray[Any]:
    """Probability 0 for a forced word that follows itself with nothing likely in between."""
    between, before = False, ""
    for i, word in enumerate(words):
        if word not in forced:
            between |= bool(value[i] > threshold)
            continue
        if between:
            between = False
        elif word == before:
            value = value.astype(np.float64)
            value[i] = 0.0
        before = word
    return value


def _without_repeats(words: list[str], kept: BoolArray, forced: tuple[str, ...]) -> BoolArray:
    """Drop a forced word whose predecessor among the kept ones is the same."""
    last = ""
    for i in np.flatnonzero(kept).tolist():
        if words[i] == last and last in forced:
            kept[i] = False
        else:
            last = words[i]
    return kept


def _replaced(text: str, stand_ins: dict[str, str]) -> tuple[str, IntArray]:
    """``text`` with forced strings replaced, and the source offset of every character and the end.

    A stand-in's characters all stem from the first character of what it stands for.
    """
    at = np.arange(len(text) + 1)
    for original, stand_in in stand_ins.items():
        parts: list[IntArray] = []
        low = 0
        for match in re.finditer(re.escape(original), text):
            parts += [at[low : match.start()], np.full(len(stand_in), at[match.start()])]
            low = match.end()
        if parts:
            at = np.concatenate([*parts, at[low:]])
            text = text.replace(original, stand_in)
    return text, at


def _aligned(
    before: list[str], after: list[str], start: IntArray, end: IntArray
) -> tuple[IntArray, IntArray]:
    """Offsets for the tokens of a chunk that was read again and came out differently."""
    new_start, new_end = np.full(len(after), -1), np.full(len(after), -1)
    for a, b, size in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        new_start[b : b + size] = start[a : a + size]
        new_end[b : b + size] = end[a : a + size]
    return new_start, new_end


def _word_spans(start: IntArray, end: IntArray, edges: IntArray) -> tuple[IntArray, IntArray]:
    """From the spans of tokens to those of words; -1 for words of which no token has a place."""
    far = np.iinfo(np.int64).max
    low = np.minimum.reduceat(np.where(start < 0, far, start), edges)
    high = np.maximum.reduceat(end, edges)
    return np.where(high < 0, -1, low), high
