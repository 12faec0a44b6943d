"""The folder of an index: whole or as it was, and never trusted blindly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import ctxzip
from ctxzip import Document, InputError, ModelError
from ctxzip.index import SentenceIndex, opened, sentences
from ctxzip.index import folder as files
from ctxzip.index.vectors import Vectors
from ctxzip.kit.arrays import Float32Array
from ctxzip.kit.disk import sha256
from ctxzip.score.embedders import Cache
from ctxzip.segment import sentences as segmenter
from ctxzip.segment.prepare import passage_of
from ctxzip.text.units import Passage

pytest.importorskip("faiss")

FIRST = [Document(f"Pump {i} was replaced. It is blue.", id=str(i)) for i in range(5)]
MORE = [Document(f"Valve {i} leaks. Nobody knows.", id=f"v{i}") for i in range(5)]


class Lengths:
    """An embedder that needs no model: a vector tells the lengths of words."""

    name = "lengths"

    def queries(self, texts: Sequence[str]) -> tuple[Float32Array, list[str]]:
        rows = [np.bincount([len(w) % 8 for w in text.split()], minlength=8) for text in texts]
        return np.array(rows, np.float32).reshape(-1, 8), []

    def passages(
        self, passages: Sequence[Passage], *, titles: bool, cache: Cache | None = None
    ) -> tuple[list[Float32Array], list[str]]:
        return [self.queries(passage.unit_texts())[0] for passage in passages], []

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "load_embedder", lambda *_: Lengths())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    index = SentenceIndex()
    index.add(FIRST)
    index.save(tmp_path / "some" / "index")
    return tmp_path / "some" / "index"


def holds(index: SentenceIndex, documents: list[Document]) -> bool:
    return all(v is not None for v in index.find([passage_of(d) for d in documents])[0])


def test_what_is_saved_comes_back(folder: Path):
    index = SentenceIndex.load(folder)
    assert (index.documents, index.passages, index.sentences) == (5, 5, 10)
    assert (index.storage, index.titles, index.language, index.model) == (
        "float16",
        True,
        None,
        "mini",
    )
    assert holds(index, FIRST)
    assert index.delete(["0"]) == 1


def test_an_update_leaves_no_old_files(folder: Path):
    index = SentenceIndex.load(folder)
    index.add(MORE)
    index.save(folder)
    index.delete(["v0"])
    index.save(folder)
    assert sorted(path.suffix for path in folder.iterdir()) == [".faiss", ".json", ".npz"]
    again = SentenceIndex.load(folder)
    assert holds(again, [*FIRST, *MORE[1:]])
    assert not holds(again, MORE[:1])


def test_the_same_content_gives_the_same_bytes(folder: Path, tmp_path: Path):
    index = SentenceIndex()
    index.add(FIRST)
    index.save(tmp_path / "other")
    for path in folder.iterdir():
        assert (tmp_path / "other" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("suffix", [".faiss", ".npz"])
@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_damage_is_noticed(folder: Path, suffix: str, how: str):
    path = next(path for path in folder.iterdir() if path.suffix == suffix)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(data if how == "flipped" else data[:-1])
    with pytest.raises(ModelError, match=r"missing or damaged.*again"):
        SentenceIndex.load(folder)


def test_a_manifest_that_is_none(folder: Path):
    path = folder / files.MANIFEST
    manifest = json.loads(path.read_text())
    for wrong in ("", "{", "[]", '{"format": 1}', "\x00"):
        path.write_text(wrong)
        with pytest.raises(ModelError, match="cannot be read"):
            SentenceIndex.load(folder)
    for change, message in (
        ({"format": 2}, "format 2"),
        ({"segmenter": "0"}, "other sentences"),
        ({"dimension": 9}, "manifest"),
        ({"storage": "int8"}, "manifest"),
        ({"storage": "int4"}, "int4"),
    ):
        path.write_text(json.dumps({**manifest, **change}))
        with pytest.raises(ctxzip.CtxzipError, match=message):
            SentenceIndex.load(folder)


def test_arrays_that_do_not_fit_together(folder: Path):
    path = folder / files.MANIFEST
    manifest = json.loads(path.read_text())
    stored = folder / manifest["files"]["passages"]["name"]
    with np.load(stored) as arrays:
        good = dict(arrays)
    for name, wrong in (("count", good["count"] + 1), ("id_entry", good["id_entry"] + 99)):
        np.savez(stored, **{**good, name: wrong})
        manifest["files"]["passages"]["sha256"] = sha256(stored)
        path.write_text(json.dumps(manifest))
        with pytest.raises(ModelError, match="fit together"):
            SentenceIndex.load(folder)
    np.savez(stored, **{**good, "id": np.array([object()])})
    manifest["files"]["passages"]["sha256"] = sha256(stored)
    path.write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="pickle"):
        SentenceIndex.load(folder)


def test_a_changed_segmenter(folder: Path, monkeypatch: pytest.MonkeyPatch):
    original = segmenter.split
    files.segmenter.cache_clear()
    monkeypatch.setattr(segmenter, "split", lambda text: original(text.replace("!", ",")))
    try:
        with pytest.raises(ModelError, match=r"other sentences.*again"):
            SentenceIndex.load(folder)
    finally:
        files.segmenter.cache_clear()


def test_where_no_index_lies(tmp_path: Path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match="no index"):
            SentenceIndex.load(path)
        with pytest.raises(InputError, match="no index"):
            ctxzip.compress("One. Two.", query="Two?", index=path)


def test_other_peoples_folders_are_left_alone(folder: Path, tmp_path: Path):
    index = SentenceIndex()
    with pytest.raises(InputError, match="empty"):
        index.save(tmp_path / "new")
    index.add(MORE)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="other things"):
            index.save(tmp_path / "mine", overwrite=overwrite)
    with pytest.raises(InputError, match="an index already"):
        index.save(folder)
    index.save(folder, overwrite=True)
    assert holds(SentenceIndex.load(folder), MORE)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        index.save(tmp_path / "file")
    with pytest.raises(InputError, match="cannot be written"):
        index.save(tmp_path / "file" / "below")


def test_a_change_by_somebody_else_is_not_lost(folder: Path):
    mine, theirs = SentenceIndex.load(folder), SentenceIndex.load(folder)
    theirs.add(MORE)
    theirs.save(folder)
    mine.delete(["0"])
    with pytest.raises(InputError, match="somebody else"):
        mine.save(folder)
    assert holds(SentenceIndex.load(folder), [*FIRST, *MORE])


@pytest.mark.parametrize("where", ["vectors", "passages", "manifest"])
def test_a_full_disk_leaves_the_old_index(
    folder: Path, where: str, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    owner: object = {"vectors": Vectors, "passages": np, "manifest": files.json}[where]
    name = {"vectors": "write", "passages": "savez", "manifest": "dumps"}[where]
    index = SentenceIndex.load(folder)
    index.add(MORE)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, full)
        with pytest.raises(InputError, match=r"cannot be written: No space left"):
            index.save(folder)
    old = SentenceIndex.load(folder)
    assert holds(old, FIRST)
    assert not holds(old, MORE)
    assert not list(folder.glob(".*"))
    index.save(folder)
    assert holds(SentenceIndex.load(folder), [*FIRST, *MORE])
    assert len(list(folder.iterdir())) == 3


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder(folder: Path):
    index = SentenceIndex.load(folder)
    folder.chmod(0o500)
    try:
        with pytest.raises(InputError, match="cannot be written"):
            index.save(folder)
    finally:
        folder.chmod(0o700)


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_kill_leaves_the_old_index_or_the_new_one(tmp_path: Path):
    folder = tmp_path / "index"
    script = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from pathlib import Path\n"
        "from ctxzip.index import SentenceIndex, folder as files, sentences\n"
        "from tests.index.test_folder import FIRST, MORE, Lengths\n"
        "sentences.load_embedder = lambda *_: Lengths()\n"
        f"folder = Path({str(folder)!r})\n"
        "if (folder / files.MANIFEST).exists():\n"
        "    index = SentenceIndex.load(folder)\n"
        "else:\n"
        "    index = SentenceIndex()\n"
        "    index.add(FIRST)\n"
        "    index.save(folder)\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    index.add(MORE)\n"
        "    index.save(folder)\n"
        "    index.delete([d.id for d in MORE])\n"
        "    index.save(folder)\n"
    )
    generator = np.random.default_rng(3)
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(float(generator.uniform(0, 0.2)))
            process.send_signal(signal.SIGKILL)
        index = SentenceIndex.load(folder)
        assert holds(index, FIRST)
        assert index.documents in (5, 10)
        assert holds(index, MORE) == (index.documents == 10)


def test_a_folder_is_read_once_and_again_when_it_changed(folder: Path):
    first = opened(folder)
    assert opened(str(folder)) is first
    assert opened(first) is first
    index = SentenceIndex.load(folder)
    index.add(MORE)
    index.save(folder)
    second = opened(folder)
    assert second is not first
    assert holds(second, MORE)


def test_many_sentences_are_learnt_from_in_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("ctxzip.index.vectors._LEARN", 20)
    index = SentenceIndex(storage="int8")
    index.add(FIRST)
    assert not index.ready
    index.add(MORE)
    assert index.ready
    index.add([Document(f"Hose {i} is long and new.", id=f"h{i}") for i in range(20)])
    index.save(tmp_path / "index")
    loaded = SentenceIndex.load(tmp_path / "index")
    passage = passage_of(FIRST[3])
    expected = Lengths().passages([passage], titles=True)[0][0]
    np.testing.assert_allclose(loaded.find([passage])[0][0], expected, atol=0.05)


@pytest.mark.parametrize("storage", ["int8", "pca8"])
def test_what_was_learnt_from_little_is_learnt_again(storage: str, tmp_path: Path):
    small = [Document("aaaa " * (i % 3), id=f"s{i}") for i in range(12)]
    large = [
        Document(" ".join("a" * (1 + (i * j) % 8) for j in range(1, 9)) + ".", id=f"l{i}")
        for i in range(60)
    ]
    passages = [passage_of(document) for document in large]
    expected = np.concatenate(Lengths().passages(passages, titles=True)[0])
    error = []
    for first in ([], small):
        index = SentenceIndex(storage=storage)
        if first:
            index.add([*first, *FIRST])
            index.save(tmp_path / "index")
            index = SentenceIndex.load(tmp_path / "index")
        index.add(large)
        found = np.concatenate([v for v in index.find(passages)[0] if v is not None])
        error.append(float(np.linalg.norm(found - expected)))
    assert error[1] <= 1.5 * error[0] + 0.1
    for document in FIRST:
        passage = passage_of(document)
        stored = index.find([passage])[0][0]
        original = Lengths().passages([passage], titles=True)[0][0]
        assert np.linalg.norm(stored - original) < (0.2 if storage == "int8" else 4)


def test_a_model_in_a_folder_is_found_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    index = SentenceIndex("model")
    index.add(FIRST)
    index.save("index")
    monkeypatch.chdir("/")
    assert SentenceIndex.load(tmp_path / "index").model == str(tmp_path / "model")
