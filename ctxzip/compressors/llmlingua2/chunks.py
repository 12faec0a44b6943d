"""What the published LLMLingua-2 code reads, word for word, with its quirks.

What is reproduced, and differs from ctxzip's own way: texts are cut into chunks of 510 tokens that
are detokenized and read again; chunks start with ``[CLS]`` and end with ``[SEP]`` by those names,
which XLM-R's tokenizer knows only as ``<unk>``; words are those of the tokenizer; special and
unknown tokens belong to no word. Written from the observed behaviour of llmlingua 0.2.2.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ctxzip.backends.encoder import Encoder, kind_of
from ctxzip.compressors.llmlingua2.choice import Reading, gpt_tokens
from ctxzip.errors import InputError, ModelError
from ctxzip.kit.arrays import BoolArray, Float32Array, IntArray
from ctxzip.score.classifier import LLMLingua2, keep_probability

if TYPE_CHECKING:
    import tokenizers

__all__ = ["MOST_FORCED", "Chunk", "Reference"]

LENGTH = 512
MOST_FORCED = 100
# The reference draws the embeddings of its additional tokens after seeding with this.
SEED = 42


class _Piece(NamedTuple):
    """What the reference makes of one token."""

    special: bool
    begins: bool
    raised: bool
    shown: str
    bare: str


class _Pieces:
    """The pieces of the vocabulary by id, each looked at when it first comes up.

    Args:
        size: one more than the largest id.
        look: makes a piece of an id.
    """

    def __init__(self, size: int, look: Callable[[int], _Piece]) -> None:
        self._look = look
        self._known = np.zeros(size, bool)
        self._flags = np.zeros((3, size), bool)
        self._texts = np.empty((2, size), object)
        self._cost = np.zeros(size, np.int64)

    def of(self, ids: IntArray) -> tuple[BoolArray, npt.NDArray[np.object_], IntArray]:
        """Special, begins, raised of each id, bool, (3, n); how it is shown and bare, (2, n).

        And cl100k_base tokens of what is shown, int64, (n,).
        """
        known = self._known[ids]
        for i in [] if known.all() else np.unique(ids[~known]).tolist():
            piece = self._look(i)
            self._flags[:, i] = piece[:3]
            self._texts[:, i] = piece[3:]
            self._cost[i] = gpt_tokens(piece.shown)
            self._known[i] = True
        return self._flags[:, ids], self._texts[:, ids], self._cost[ids]


class _Surface:
    """The tokens of a text as they stand in it, made when they are first asked for: that is slow.

    Args:
        encoding: of the text.
    """

    __slots__ = ("_encoding", "_tokens")

    def __init__(self, encoding: tokenizers.Encoding) -> None:
        self._encoding = encoding
        self._tokens: list[str] | None = None

    def of(self, part: slice = slice(None)) -> list[str]:
        """Those of a part; all of them by default."""
        if self._tokens is None:
            self._tokens = list(self._encoding.tokens)
        return self._tokens[part]


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """A chunk as the reference reads it.

    Attributes:
        surface: tokens of the source that it was cut from.
        tokens: what they come to when the detokenized chunk is tokenized again, without ``[CLS]``
            and ``[SEP]``, int64, shape (tokens,).
        ids: what the model reads, int64.
        start: source offset of each token, -1 where it has none, int64, shape (tokens,).
        end: one past its end in the source.
    """

    surface: Callable[[], list[str]]
    tokens: IntArray
    ids: IntArray
    start: IntArray
    end: IntArray


class Reference:
    """LLMLingua-2's words and probabilities with one checkpoint.

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
        self._tokenizer: tokenizers.Tokenizer = tokenizer
        self._map = self._stand_ins(extend)
        parts = json.loads(tokenizer.to_str())
        model = parts["model"]
        self._unknown: int = (
            tokenizer.token_to_id(model["unk_token"]) or 0 if self._wordpiece else model["unk_id"]
        )
        self._stable = self._reads_alike(parts)
        self._first, self._last = self._id("[CLS]"), self._id("[SEP]")
        size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        self._pieces = _Pieces(size, self._look)
        ends = set(settings.chunk_end_tokens)
        self._ends = ends | {self._map[token] for token in ends if token in self._map}
        self._end_ids = {tokenizer.token_to_id(token) for token in self._ends} - {None}
        self._odd = self._read_otherwise(size)

    def _stand_ins(self, extend: Callable[[int, int], None] | None) -> dict[str, str]:
        """Additional tokens for the forced tokens that are several of the checkpoint's."""
        names = [f"[NEW{i}]" for i in range(MOST_FORCED)]
        self._tokenizer.add_special_tokens(names)
        found = {
            token: names[i]
            for i, token in enumerate(self._settings.force_tokens)
            if len(self._tokens(token)[0]) != 1
        }
        if found:
            if extend is None:
                raise ModelError(
                    f"The forced tokens {sorted(found)} are several tokens of the checkpoint;"
                    " compat=True then needs its PyTorch weights.",
                    hint='Use backend="torch", or forced tokens of one token each.',
                )
            extend(MOST_FORCED, SEED)
        return found

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
        ids = np.array(encoding.ids, np.int64)
        n = len(ids)
        surface = _Surface(encoding)

        def ends(k: int) -> bool:
            # An unknown token has its own surface in some tokenizers, else the id says it.
            return ids[k] in self._end_ids if self._stable else surface.of()[k] in self._ends

        spans = np.fromiter(chain.from_iterable(encoding.offsets), np.int64, 2 * n).reshape(n, 2)
        start, end = (spans if at is None else at[spans]).T
        found = []
        low = 0
        while low < n:
            high = n
            if low + LENGTH - 2 <= n - 1:
                high = low + LENGTH - 1
                high = next((k + 1 for k in range(high - 1, low, -1) if ends(k)), high)
            part = slice(low, high)
            found.append(self._chunk(partial(surface.of, part), ids[part], start[part], end[part]))
            low = high
        return found

    def text(self, chunk: Chunk) -> str:
        """The detokenized chunk."""
        return str(self._tokenizer.decoder.decode(chunk.surface()))

    def _chunk(
        self, surface: Callable[[], list[str]], ids: IntArray, start: IntArray, end: IntArray
    ) -> Chunk:
        if not self._stable or self._odd[ids].any() or self._within(ids[0]):
            tokens = surface()
            text = self._tokenizer.decoder.decode(tokens)
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
            again, ids = encoding.tokens[: LENGTH - 1], np.array(encoding.ids, np.int64)
            if again != tokens:
                start, end = _aligned(tokens, again, start, end)
        ids = ids[: LENGTH - 1]
        framed = np.empty(min(len(ids) + 2, LENGTH), np.int64)
        framed[0], framed[-1] = self._first, self._last
        framed[1 : len(ids) + 1] = ids
        return Chunk(surface, ids, framed, start, end)

    def _within(self, token_id: int) -> bool:
        """Whether a token goes on with a word."""
        return str(self._tokenizer.id_to_token(token_id)).startswith("##")

    def _reads_alike(self, parts: dict[str, Any]) -> bool:
        """Whether a detokenized chunk without odd tokens surely comes to the same tokens again.

        So it is with BERT's own normaliser, pre-tokenizer and decoder: words are split at spaces
        and punctuation, and those are what the decoder puts between tokens or leaves out. What is
        unknown is unknown as a whole word, and reads as the name of the unknown token.
        """
        kinds = [(parts.get(name) or {}).get("type") for name in ("normalizer", "pre_tokenizer")]
        kinds.append((parts.get("decoder") or {}).get("type"))
        return kinds == ["BertNormalizer", "BertPreTokenizer", "WordPiece"]

    def _read_otherwise(self, size: int) -> BoolArray:
        """Ids of which the name, between spaces, may come to something else; shape (size,)."""
        odd = np.zeros(size, bool)
        added = self._tokenizer.get_added_tokens_decoder()
        for i, token in added.items():
            plain = not (token.lstrip or token.rstrip or token.single_word or token.normalized)
            odd[i] = not (plain and token.special)
        odd[self._unknown] |= self._unknown not in added
        return odd

    def read(self, chunks: Sequence[Chunk]) -> list[Reading]:
        """Run the model over chunks of any number of contexts."""
        if not chunks:
            return []
        encoded = self._encoder.forward([chunk.ids for chunk in chunks])
        lengths = [len(logits) for logits in encoded.states]
        every = keep_probability(np.concatenate(encoded.states))
        found = [
            every[low + 1 : min(low + 1 + len(chunk.tokens), high)]
            for chunk, (low, high) in zip(chunks, pairwise(_sums(lengths).tolist()), strict=True)
        ]
        return self._words(chunks, found)

    def _look(self, token_id: int) -> _Piece:
        # From the id: the surface of an unknown piece is lost, as in the reference.
        token = str(self._tokenizer.id_to_token(token_id))
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
        raised = begins and (bare in forced_tokens or bare in stand_ins)
        if self._settings.force_reserve_digit:
            raised = raised or bool(re.search(r"\d", shown if begins else token))
        return _Piece(token in self._special, begins, raised, shown, bare)

    def _words(
        self, chunks: Sequence[Chunk], probabilities: Sequence[Float32Array]
    ) -> list[Reading]:
        """Merge the tokens of chunks into words; all chunks in common arrays."""
        sizes = [len(chunk) for chunk in probabilities]
        bounds = _sums(sizes)
        flags, texts, costs = self._pieces.of(
            np.concatenate([c.tokens[:n] for c, n in zip(chunks, sizes, strict=True)])
        )
        chosen = np.flatnonzero(~flags[0])
        low = np.searchsorted(chosen, bounds)
        begins, raised = flags[1:, chosen]
        begins[low[:-1][np.diff(low) > 0]] = True
        edges = np.flatnonzero(begins)
        cuts = np.searchsorted(edges, low).tolist()
        words: list[str] = texts[0, chosen[edges]].tolist()
        rest = np.flatnonzero(~begins)
        place = np.searchsorted(edges, rest, side="right") - 1
        for k, bare in zip(place.tolist(), texts[1, chosen[rest]].tolist(), strict=True):
            words[k] += bare
        cost = costs[chosen[edges]]
        longer = np.unique(place)
        cost[longer] = [gpt_tokens(words[k]) for k in longer.tolist()]
        own = np.concatenate(probabilities)[chosen]
        # Without forcing the reference repeats a word's first token in place of the others.
        value = plain = own[edges]
        exact = np.zeros(len(edges), bool)
        if len(edges) and self._settings.word_probability == "first":
            exact = raised[edges]
            value = np.where(exact, np.float32(1.0), plain)
        elif len(edges):
            forced = np.where(raised, np.float32(1.0), own) if raised.any() else own
            lengths = np.diff(np.append(edges, len(chosen))).astype(np.float32)
            value = np.divide(np.add.reduceat(forced, edges), lengths, dtype=np.float32)
            exact = np.logical_and.reduceat(raised, edges)
        start = np.concatenate([c.start[:n] for c, n in zip(chunks, sizes, strict=True)])[chosen]
        end = np.concatenate([c.end[:n] for c, n in zip(chunks, sizes, strict=True)])[chosen]
        start, end = _word_spans(start, end, edges)
        return [
            Reading(
                words[i:j],
                value[i:j],
                plain[i:j],
                cost[i:j],
                start[i:j],
                end[i:j],
                bool(exact[i:j].any()),
            )
            for i, j in pairwise(cuts)
        ]


def _replaced(text: str, stand_ins: dict[str, str]) -> tuple[str, IntArray | None]:
    """``text`` with forced strings replaced, and the source offset of every character and the end.

    A stand-in's characters all stem from the first character of what it stands for. None for the
    offsets where nothing was replaced.
    """
    if not any(original in text for original in stand_ins):
        return text, None
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


def _sums(lengths: Sequence[int]) -> IntArray:
    """Where each of some parts begins, and the end of the last."""
    return np.cumsum([0, *lengths])


def _word_spans(start: IntArray, end: IntArray, edges: IntArray) -> tuple[IntArray, IntArray]:
    """From the spans of tokens to those of words; -1 for words of which no token has a place."""
    far = np.iinfo(np.int64).max
    low = np.minimum.reduceat(np.where(start < 0, far, start), edges)
    high = np.maximum.reduceat(end, edges)
    return np.where(high < 0, -1, low), high
