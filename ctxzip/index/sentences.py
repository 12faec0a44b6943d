"""Sentence embeddings made before the question, so that at query time only the query is encoded.

What Xu et al. (RECOMP, ICLR 2024) compute per question, the embeddings of the retrieved sentences,
does not depend on it. A :class:`SentenceIndex` holds them for a whole corpus, found again by the
content of the retrieved passage. Storing fewer components in 8 bits follows Huerga-Pérez et al.,
"Optimization of embeddings storage for RAG systems using quantization and dimensionality reduction
techniques" (arXiv 2505.00105).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctxzip.backends import bundle
from ctxzip.backends.model_files import located
from ctxzip.compressors import load_embedder, load_indexed
from ctxzip.errors import InputError, ModelError
from ctxzip.index.entries import Entries, key_of
from ctxzip.index.folder import Header, check_target, read, write
from ctxzip.index.vectors import Vectors, check_storage, rows_of
from ctxzip.kit.arrays import Float32Array, split_like
from ctxzip.score.embedders import Embedder
from ctxzip.segment.prepare import document_of, passage_of
from ctxzip.text.units import Passage
from ctxzip.types import Compressor, Document, Options

__all__ = ["Change", "SentenceIndex"]

_CHARACTERS = 32_000  # of passages that are embedded together
# Largest difference, as a part of a vector's length, that half precision and 8-bit weights make
# between two runs of the same model; other models differ by a multiple of it.
_TOLERANCE = 0.1
_PROBE = Document(
    "The pump of hall 3 was replaced on 4 May 2021, after two failures in one week. Nobody was"
    " hurt. Die Ursache war ein gebrochenes Lager; la réparation a coûté 1 250 €.",
    title="Maintenance log",
)
_QUESTION = "Why was the pump replaced?"


@dataclass(frozen=True, slots=True)
class Change:
    """What :meth:`SentenceIndex.add` or :meth:`SentenceIndex.sync` did.

    Attributes:
        documents: documents that were read.
        embedded: passages that were embedded because their content was new.
        removed: passages that were dropped because no document has them any more.
        sentences: sentences that were embedded.
        notes: what the caller should know (sentences that were cut).
    """

    documents: int
    embedded: int
    removed: int
    sentences: int
    notes: tuple[str, ...]


class SentenceIndex:
    """Embeddings of every sentence of a corpus. Thread-safe.

    A passage is found by its content: the text, the title and how it is cut into sentences. What a
    retriever returns must therefore be what was indexed. ``Document.id`` names documents for
    deletion and replacement; without one, the content is the id.

    Args:
        model: what ``ctxzip.load("recomp-extractive", model=...)`` takes, or ``"mini"``, the
            shipped model, which needs no PyTorch.
        storage: ``"float32"``, ``"float16"``, ``"int8"`` (8 bits per number) or ``"pca8"``
            (principal components in 8 bits).
        components: principal components of ``"pca8"``; half of the dimensions by default.
        titles: a document's title is read with its sentences.
        language: ISO 639-1 code of the corpus; give the same in ``Options(language=...)``.
        device: as for :func:`ctxzip.load`.

    Raises:
        InputError: an argument cannot be used.
        MissingExtraError: faiss, or what the model needs, is not installed.
    """

    def __init__(
        self,
        model: str = bundle.SHIPPED,
        *,
        storage: str = "float16",
        components: int | None = None,
        titles: bool = True,
        language: str | None = None,
        device: str = "auto",
    ) -> None:
        check_storage(storage, components)
        self.model = model
        self.storage = storage
        self.titles = titles
        self.language = language
        self.components = components
        self._device = device
        self._vectors: Vectors | None = None
        self._probe: Float32Array | None = None
        self._entries = Entries()
        self._versions: dict[Path, str] = {}  # of the folders that this was read from or saved to
        self._made_by = model
        self._agreed: Embedder | None = None
        # Queries go on while documents are embedded; only changes of the tables hold them up.
        self._writing = threading.Lock()
        self._lock = threading.RLock()

    @property
    def documents(self) -> int:
        """Documents, counted by their ids."""
        return self._entries.documents

    @property
    def passages(self) -> int:
        """Different passages."""
        return len(self._entries)

    @property
    def sentences(self) -> int:
        """Stored vectors."""
        return 0 if self._vectors is None else len(self._vectors)

    @property
    def dimension(self) -> int:
        """Numbers per vector, as the model gives them; 0 as long as nothing was embedded."""
        return 0 if self._vectors is None else self._vectors.dimension

    @property
    def nbytes(self) -> int:
        """Bytes of the stored vectors."""
        return 0 if self._vectors is None else self._vectors.nbytes

    @property
    def ready(self) -> bool:
        """Whether enough sentences were seen to learn ranges and components from."""
        return self._vectors is not None and self._vectors.ready

    def add(
        self,
        documents: Iterable[str | Document | Mapping[str, object]],
        *,
        progress: Callable[[int], object] | None = None,
    ) -> Change:
        """Embed and store documents; known content is not embedded again.

        All passages of one id belong into one call: they replace what the id stood for before.

        Args:
            documents: strings, documents or mappings, as for :func:`ctxzip.compress`; read lazily.
            progress: called with the number of documents done, from time to time.

        Raises:
            InputError: a document that cannot be used; those before it are stored.
            ModelError: the model cannot be used, or is not the one that this index was made with.
        """
        return self._put(documents, progress, only=False)

    def sync(
        self,
        documents: Iterable[str | Document | Mapping[str, object]],
        *,
        progress: Callable[[int], object] | None = None,
    ) -> Change:
        """:meth:`add`, then delete every other document: the index is as if made from these."""
        return self._put(documents, progress, only=True)

    def _put(
        self,
        documents: Iterable[str | Document | Mapping[str, object]],
        progress: Callable[[int], object] | None,
        only: bool,
    ) -> Change:
        read = embedded = sentences = 0
        notes: list[str] = []
        seen: set[str] = set()
        with self._writing:
            try:
                given = (document_of(item, i) for i, item in enumerate(documents))
                for batch in _batches(given, self.language):
                    keyed = [(key_of(passage, self.titles), passage) for passage in batch]
                    fresh = {key: p for key, p in keyed if not self._entries.has(key)}
                    sentences += self._embed(fresh, notes)
                    self._link(keyed, seen)
                    read, embedded = read + len(batch), embedded + len(fresh)
                    if progress is not None:
                        progress(read)
                if only:
                    with self._lock:
                        every = self._entries.ids()
                        self._entries.unlink(
                            [identifier for identifier in every if identifier not in seen]
                        )
            finally:
                removed = self._sweep()
        return Change(read, embedded, removed, sentences, tuple(notes))

    def _embed(self, fresh: Mapping[bytes, Passage], notes: list[str]) -> int:
        """Embed and store passages; returns the number of their sentences."""
        if not fresh:
            return 0
        embedder = load_embedder(self.model, self._device)
        self.check(embedder)
        found, said = embedder.passages(list(fresh.values()), titles=self.titles)
        notes += [note for note in said if note not in notes]
        with self._lock:
            if self._vectors is None:
                self._probe = _probe(embedder, self.titles)
                self._vectors = Vectors(self.storage, self._probe.shape[1], self.components)
            first = len(self._vectors)
            every = [rows for rows in found if len(rows)]
            if every:
                self._vectors.add(np.concatenate(every))
            for (key, passage), rows in zip(fresh.items(), found, strict=True):
                self._entries.put(key, passage, first)
                first += len(rows)
        return sum(map(len, found))

    def _link(self, keyed: Sequence[tuple[bytes, Passage]], seen: set[str]) -> None:
        """Give ids their passages; what an id stood for before this call is forgotten."""
        with self._lock:
            for key, passage in keyed:
                own = passage.document.id
                identifier = own if own is not None else key.hex()
                if identifier not in seen:
                    seen.add(identifier)
                    self._entries.unlink([identifier])
                self._entries.link(identifier, key)

    def delete(self, ids: Iterable[str]) -> int:
        """Delete documents.

        Args:
            ids: ids of documents; unknown ones are passed over.

        Returns:
            How many documents were deleted. A passage that other documents have too stays.
        """
        if isinstance(ids, str):
            raise InputError(f"ids={ids!r} is one string.", hint="Give a list of ids.")
        with self._writing, self._lock:
            before = self.documents
            self._entries.unlink(ids)
            self._sweep()
            return before - self.documents

    def _sweep(self) -> int:
        """Drop the passages that no document has."""
        with self._lock:
            gone = np.zeros(self.sentences, bool)
            gone[self._entries.rows :] = True  # of a batch that was not finished
            removed = self._entries.sweep(gone)
            if self._vectors is not None and gone.any():
                self._vectors.remove(gone)
            return removed

    def check(self, embedder: Embedder) -> None:
        """Make sure that an embedder is the one that the vectors were made with.

        Raises:
            ModelError: it gives other vectors.
        """
        with self._lock:
            if self._probe is None or self._agreed is embedder:
                return
            found = _probe(embedder, self.titles)
            if found.shape != self._probe.shape:
                how = f"{found.shape[1]} dimensions instead of {self._probe.shape[1]}"
            else:
                gap = np.linalg.norm(found - self._probe, axis=1)
                worst = float((gap / np.maximum(np.linalg.norm(self._probe, axis=1), 1e-9)).max())
                if worst <= _TOLERANCE:
                    self._agreed = embedder
                    return
                how = f"vectors that differ by {worst:.0%} of their length"
        raise ModelError(
            f"The index was made with the model {self._made_by!r}; {embedder.name!r} gives {how}.",
            hint="Use the model that it was made with, or make the index again.",
        )

    def find(self, passages: Sequence[Passage]) -> tuple[list[Float32Array | None], list[str]]:
        """Vectors of each passage's units, float32, shape (units, d), or None; and notes."""
        with self._lock:
            places = [self._entries.find(key_of(p, self.titles), p) for p in passages]
            known = [place for place in places if place is not None]
            rows = rows_of([first for first, _ in known], [count for _, count in known])
            vectors = self._vectors.read(rows) if self._vectors is not None else None
        notes = []
        if len(known) < len(passages):
            missing = len(passages) - len(known)
            notes.append(
                f"{missing} of {len(passages)} passages are not in the index and were encoded"
            )
        parts = iter([] if vectors is None else split_like(vectors, [range(n) for _, n in known]))
        return [None if place is None else next(parts, None) for place in places], notes

    def compressor(self, options: Options | None = None) -> Compressor:
        """``recomp-extractive`` with this index; settings of its own take ``Recomp(index=...)``."""
        return load_indexed(self, self.model, device=self._device, options=options)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write a folder, or bring one up to date, in one step.

        Whoever reads it meanwhile, or after a crash, has the old index or the new one.

        Args:
            path: a new folder, an empty one, or the one that this index was loaded from.
            overwrite: replace whatever index lies there.

        Raises:
            InputError: it cannot be written there, something else lies there, another process
                changed the index since it was read, or there is nothing to write.
        """
        folder = Path(path)
        with self._writing, self._lock:
            if self._vectors is None or self._probe is None:
                raise InputError("The index is empty; there is nothing to save.")
            self._vectors.finish()
            header = Header(
                model=_findable(self.model),
                storage=self.storage,
                dimension=self._vectors.dimension,
                components=self._vectors.components,
                learnt=self._vectors.learnt,
                loss=self._vectors.loss,
                titles=self.titles,
                language=self.language,
            )
            check_target(folder, self._versions.get(folder.resolve()), overwrite)
            version = write(folder, header, self._vectors, self._entries, self._probe)
            self._versions[folder.resolve()] = version

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, model: str | None = None, device: str = "auto"
    ) -> SentenceIndex:
        """Read an index; every byte is checked against its checksum.

        Args:
            path: the folder that :meth:`save` wrote.
            model: where the model is, if not where it was when the index was made.
            device: as for :func:`ctxzip.load`.

        Raises:
            InputError: no index lies there.
            ModelError: it is damaged, of another format, or cut into sentences by another version.
        """
        folder = Path(path)
        header, vectors, entries, probe, version = read(folder)
        result = cls(
            model if model is not None else header.model,
            storage=header.storage,
            components=header.components if header.storage == "pca8" else None,
            titles=header.titles,
            language=header.language,
            device=device,
        )
        result._vectors, result._entries, result._probe = vectors, entries, probe
        result._made_by = header.model
        result._versions[folder.resolve()] = version
        return result


def _findable(model: str) -> str:
    """The name of a model by which it is found from wherever the index is loaded."""
    files = located(model)
    return model if files.path is None or files.shipped else str(files.path.resolve())


def _probe(embedder: Embedder, titles: bool) -> Float32Array:
    """What an embedder makes of fixed sentences and a question, shape (n, d)."""
    passages, _ = embedder.passages([passage_of(_PROBE, "en")], titles=titles)
    asked, _ = embedder.queries([_QUESTION])
    found: Float32Array = np.concatenate([*passages, asked])
    return found


def _batches(documents: Iterable[Document], language: str | None) -> Iterator[list[Passage]]:
    batch: list[Passage] = []
    size = 0
    for document in documents:
        batch.append(passage_of(document, language))
        size += len(document.text)
        if size >= _CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
