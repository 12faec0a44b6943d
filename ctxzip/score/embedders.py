"""How texts become vectors: sentence by sentence, or each sentence read in its passage."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from ctxzip.backends import bundle
from ctxzip.backends.encoder import Encoder, tokenize
from ctxzip.backends.pooling import Pooling, pool
from ctxzip.errors import InputError
from ctxzip.kit.arrays import Float32Array, IntArray
from ctxzip.score.mini.windows import Tokenize, question, windows
from ctxzip.text.units import Passage

__all__ = ["Cache", "Embedder", "SentenceEmbedder", "SituatedEmbedder"]

Cache: TypeAlias = MutableMapping[str, Float32Array]

_AT_ONCE = 512  # texts whose token states are held together


class Embedder(Protocol):
    """Vectors of queries and of the sentences of passages, compared by the dot product.

    Attributes:
        name: the checkpoint, as the caller named it.
    """

    name: str

    def queries(self, texts: Sequence[str]) -> tuple[Float32Array, list[str]]:
        """One vector per query, float32, shape (n, d), and what the caller should know."""
        ...

    def passages(
        self, passages: Sequence[Passage], *, titles: bool, cache: Cache | None = None
    ) -> tuple[list[Float32Array], list[str]]:
        """One vector per unit: for each passage float32, shape (units, d), and notes.

        Args:
            passages: what is to be embedded.
            titles: a document's title is read with each of its sentences.
            cache: vectors by text, looked up first and filled.
        """
        ...

    def close(self) -> None:
        """Release the weights."""
        ...


class SentenceEmbedder:
    """Every sentence alone, as RECOMP reads them, or with its document's title before it.

    Args:
        encoder: the transformer.
        pooling: how its states become one vector.
    """

    def __init__(self, encoder: Encoder, pooling: Pooling) -> None:
        self.name = encoder.name
        self._encoder = encoder
        self._pooling = pooling

    def queries(self, texts: Sequence[str]) -> tuple[Float32Array, list[str]]:
        """See :class:`Embedder`."""
        found, notes = self._embed(texts, self._pooling.query_prompt)
        return np.stack(found) if found else np.zeros((0, 0), np.float32), notes

    def passages(
        self, passages: Sequence[Passage], *, titles: bool, cache: Cache | None = None
    ) -> tuple[list[Float32Array], list[str]]:
        """See :class:`Embedder`."""
        texts = [_titled(passage, titles) for passage in passages]
        every = dict.fromkeys(text for sentences in texts for text in sentences)
        found = {text: cache[text] for text in every if text in cache} if cache is not None else {}
        missing = [text for text in every if text not in found]
        vectors, notes = self._embed(missing, self._pooling.document_prompt)
        fresh = dict(zip(missing, vectors, strict=True))
        if cache is not None:
            cache.update(fresh)
        found |= fresh
        empty = np.zeros((0, 0), np.float32)
        return [
            np.stack([found[t] for t in sentences]) if sentences else empty for sentences in texts
        ], notes

    def _embed(self, texts: Sequence[str], prompt: str) -> tuple[list[Float32Array], list[str]]:
        found: list[Float32Array] = []
        notes: list[str] = []
        cut = 0
        for at in range(0, len(texts), _AT_ONCE):
            batch = [prompt + text for text in texts[at : at + _AT_ONCE]]
            inputs, shortened = _inputs(self._encoder, batch)
            encoded = self._encoder.forward(inputs)
            notes += [note for note in encoded.notes if note not in notes]
            cut += shortened
            found += [pool(states, self._pooling) for states in encoded.states]
        if cut:
            notes.append(f"{cut} texts were longer than the model reads and were cut")
        return found, notes

    def close(self) -> None:
        """Release the weights; a later call loads them again."""
        self._encoder.close()


class SituatedEmbedder:
    """Sentences as `mini` reads them, inside their passage: the mean of their token states.

    Runs by onnxruntime. Vectors have length 1, so dot products are cosines.

    Args:
        folder: a bundle of `mini`.
        name: what the caller called it.
        threads: threads per network; by default what the container allows, at most 8.
    """

    def __init__(self, folder: Path, name: str, threads: int | None = None) -> None:
        from ctxzip.backends.onnx import OnnxEncoder
        from ctxzip.backends.tokenizers import load_tokenizer

        self.name = name
        found = bundle.read(folder)
        networks = {role: found.networks[role] for role in ("trunk", "late")}
        # The vectors are what is kept, not the states that they are made of.
        self._encoder = OnnxEncoder(found.folder, networks, threads=threads, cache_bytes=0)
        self._tokenize: Tokenize = load_tokenizer(found.tokenizer)
        self._hidden = int(found.manifest["shapes"]["late"]["token_states"][-1])

    def queries(self, texts: Sequence[str]) -> tuple[Float32Array, list[str]]:
        """See :class:`Embedder`."""
        asked = [question(text, self._tokenize) for text in texts]
        if not asked:
            return np.zeros((0, 0), np.float32), []
        states = dict(self._encoder.states([ids for ids, _ in asked]))
        notes = []
        if any(shortened for _, shortened in asked):
            notes.append("a query is longer than the model reads and was cut")
        return _unit(np.stack([states[i].mean(axis=0) for i in range(len(asked))])), notes

    def passages(
        self, passages: Sequence[Passage], *, titles: bool, cache: Cache | None = None
    ) -> tuple[list[Float32Array], list[str]]:
        """See :class:`Embedder`."""
        if cache is not None:
            raise InputError(
                f"model={self.name!r} reads sentences in their passage; a cache by text is of no"
                " use to it.",
                hint="Use an index: ctxzip.SentenceIndex.",
            )
        if not titles:
            passages = [replace(p, document=replace(p.document, title=None)) for p in passages]
        cut = [windows(passage, self._tokenize) for passage in passages]
        place = [(p, w) for p, own in enumerate(cut) for w in range(len(own))]
        total = [np.zeros((len(p.units), self._hidden), np.float32) for p in passages]
        for i, states in self._encoder.states([cut[p][w].ids for p, w in place]):
            p, w = place[i]
            window = cut[p][w]
            first = np.flatnonzero(np.diff(window.unit, prepend=-1))
            sums = np.add.reduceat(states[window.body : -1], first, axis=0)
            total[p][window.unit[first]] += sums
        # Of length 1, so the sum of the states says as much as their mean.
        return [_unit(sums) for sums in total], []

    def close(self) -> None:
        """Release the networks; a later call loads them again."""
        self._encoder.close()


def _titled(passage: Passage, titles: bool) -> list[str]:
    title = passage.document.title if titles else None
    return [f"{title} {text}" if title else text for text in passage.unit_texts()]


def _unit(vectors: Float32Array) -> Float32Array:
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: Float32Array = (vectors / np.maximum(norm, 1e-12)).astype(np.float32)
    return result


def _inputs(encoder: Encoder, texts: list[str]) -> tuple[list[IntArray], int]:
    """Framed ids of each text, and how many had to be cut."""
    frame = encoder.frame
    inputs, cut = [], 0
    for text in tokenize(encoder.tokenizer, texts):
        cut += len(text) > frame.room
        ids = text.ids[: frame.room]
        inputs.append(np.array([*frame.prefix, *ids, *frame.suffix], np.int64))
    return inputs, cut
