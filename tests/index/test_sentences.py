"""The sentence index: the same decisions, found by content, with only the query encoded."""

from __future__ import annotations

import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import ctxzip
from ctxzip import Document, InputError, MissingExtraError, ModelError, Options, Recomp
from ctxzip.compressors import load_embedder
from ctxzip.index import SentenceIndex, sentences
from ctxzip.kit.arrays import Float32Array
from ctxzip.score.embedders import Cache, SentenceEmbedder, SituatedEmbedder
from ctxzip.segment.prepare import passage_of
from ctxzip.text.units import Passage
from tests import checkpoints
from tests.contract.promises import check, same

pytest.importorskip("faiss")

QUERY = "When was the pump installed?"
DOCUMENTS = [
    Document(
        "The pump was installed in May 2019. Pressure must not exceed 4.5 bar. Nobody had read"
        " the committee's report.",
        id="a",
        title="Pumps",
    ),
    Document("Roads were closed overnight. The valve was replaced. It holds 65 psi.", id="b"),
    Document("水泵在五月安装。压力不得超过四点五巴。 🚀🚀 Ship it now! 😀", id="c", title="泵"),
    Document(
        "| part | stock |\n|---|---|\n| hose | 12 |\n\n# Notes\n\n- one\n- two. Three.", id="d"
    ),
    Document('{"pump": {"year": 2019}, "ok": true, "text": "<|endoftext|> [SEP]"}', id="e"),
    Document("", id="f"),
]


@pytest.fixture(scope="module")
def made() -> SentenceIndex:
    index = SentenceIndex(storage="float32")
    change = index.add(DOCUMENTS)
    assert (change.documents, change.embedded, change.removed) == (6, 6, 0)
    assert change.sentences == index.sentences > 10
    return index


@pytest.fixture
def folder(made: SentenceIndex, tmp_path: Path) -> Path:
    made.save(tmp_path / "index", overwrite=True)
    return tmp_path / "index"


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many passages the models embed, call by call."""
    counts: list[int] = []

    def counting(original: Callable[..., object]) -> Callable[..., object]:
        def passages(self: object, some: list[Passage], **named: object) -> object:
            if some:
                counts.append(len(some))
            return original(self, some, **named)

        return passages

    for kind in (SentenceEmbedder, SituatedEmbedder):
        monkeypatch.setattr(kind, "passages", counting(kind.passages))
    return counts


class Hashed:
    """An embedder that needs no model: words hashed into 64 numbers."""

    name = "hashed"

    def queries(self, texts: Sequence[str]) -> tuple[Float32Array, list[str]]:
        rows = np.zeros((len(texts), 64), np.float32)
        for i, text in enumerate(texts):
            for word in text.split():
                rows[i] += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(64)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), []

    def passages(
        self, passages: Sequence[Passage], *, titles: bool, cache: Cache | None = None
    ) -> tuple[list[Float32Array], list[str]]:
        return [self.queries(passage.unit_texts())[0] for passage in passages], []

    def close(self) -> None:
        pass


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Hashed:
    monkeypatch.setattr(sentences, "load_embedder", lambda *_: Hashed())
    return Hashed()


def exact(documents: list[Document], model: str = "mini") -> list[np.ndarray]:
    passages = [passage_of(document) for document in documents]
    return load_embedder(model).passages(passages, titles=True)[0]


def test_only_the_query_is_encoded_and_decisions_stay(folder: Path, embedded: list[int]):
    plain = ctxzip.load("recomp-extractive", model="mini")
    ctxzip.compress(DOCUMENTS, 0.4, query=QUERY, index=folder)  # the first call looks at the model
    for ratio in (0.2, 0.5, 0.8):
        expected = ctxzip.compress(DOCUMENTS, ratio, query=QUERY, compressor=plain)
        embedded.clear()
        found = ctxzip.compress(DOCUMENTS, ratio, query=QUERY, index=folder)
        assert embedded == []
        assert found.text == expected.text
        assert found.notes == expected.notes
        check(found, [document.text for document in DOCUMENTS])
        for ours, theirs in zip(found.documents, expected.documents, strict=True):
            scores = [[unit.score for unit in d.units] for d in (ours, theirs)]
            np.testing.assert_allclose(*scores, atol=1e-5)


def test_passages_of_a_call_may_come_in_any_order_and_number(made: SentenceIndex):
    prompts = [[DOCUMENTS[3], DOCUMENTS[0]], [DOCUMENTS[0]], [DOCUMENTS[1], DOCUMENTS[0]]]
    together = ctxzip.compress_many(prompts, 0.5, queries=QUERY, index=made)
    for prompt, result in zip(prompts, together, strict=True):
        assert same(ctxzip.compress(prompt, 0.5, query=QUERY, index=made), result)


def test_what_is_not_in_the_index_is_encoded_and_told(made: SentenceIndex, embedded: list[int]):
    fresh = Document("The pump stood still. It was installed by nobody.", title="Pumps")
    other = Document(DOCUMENTS[0].text, title="Another title")
    result = ctxzip.compress([*DOCUMENTS, fresh, other], 0.5, query=QUERY, index=made)
    assert embedded[-1] == 2
    assert result.notes == ("2 of 8 passages are not in the index and were encoded",)
    plain = ctxzip.load("recomp-extractive", model="mini")
    expected = ctxzip.compress([*DOCUMENTS, fresh, other], 0.5, query=QUERY, compressor=plain)
    assert result.text == expected.text


def test_text_that_is_cut_otherwise_is_encoded(made: SentenceIndex):
    greek = Document("One; two is here; three is there; four is nowhere to be found.")
    index = SentenceIndex()
    index.add([greek])
    options = Options(language="el")
    result = ctxzip.compress(greek, 0.5, query="two", index=index, options=options)
    assert "1 of 1 passages are not in the index" in result.notes[0]
    index = SentenceIndex(language="el")
    index.add([greek])
    result = ctxzip.compress(greek, 0.5, query="two", index=index, options=options)
    assert result.notes == ()


@pytest.mark.parametrize(
    ("storage", "less", "loss"),
    [("float32", 1, 1e-6), ("float16", 2, 1e-3), ("int8", 4, 0.03), ("pca8", 8, 0.9)],
)
def test_storages(hashed: Hashed, storage: str, less: int, loss: float, tmp_path: Path):
    documents = [Document(text) for text in checkpoints.texts(40, seed=5)]
    documents += [Document(f"Pump {i} was replaced in {1900 + i}. It is blue.") for i in range(110)]
    index = SentenceIndex(storage=storage)
    index.add(documents)
    assert index.nbytes * less == index.sentences * index.dimension * 4
    index.save(tmp_path / "index")
    index = SentenceIndex.load(tmp_path / "index")
    passages = [passage_of(document) for document in documents]
    found, notes = index.find(passages)
    assert notes == []
    for vectors, expected in zip(found, hashed.passages(passages, titles=True)[0], strict=True):
        assert vectors is not None
        assert vectors.shape == expected.shape
        assert (np.linalg.norm(vectors - expected, axis=1) <= loss).all()


def test_components_are_a_choice_of_pca8(hashed: Hashed):
    documents = [f"Pump {i} was replaced in {1900 + i}. It is blue." for i in range(200)]
    error = []
    for components in (8, 32, 64):
        index = SentenceIndex(storage="pca8", components=components)
        index.add(documents)
        assert index.nbytes == components * index.sentences
        passages = [passage_of(Document(text)) for text in documents]
        found = np.concatenate([v for v in index.find(passages)[0] if v is not None])
        expected = np.concatenate(hashed.passages(passages, titles=True)[0])
        error.append(float(np.linalg.norm(found - expected)))
    assert error[0] > error[1] > error[2]
    for wrong in ({"components": 64}, {"storage": "int4"}, {"storage": "pca8", "components": 0}):
        with pytest.raises(InputError):
            SentenceIndex(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="64 dimensions"):
        SentenceIndex(storage="pca8", components=65).add(["One."])


def test_too_few_sentences_for_components(hashed: Hashed, tmp_path: Path):
    index = SentenceIndex(storage="pca8")
    index.add(DOCUMENTS)
    assert not index.ready
    with pytest.raises(InputError, match="at least 64 sentences"):
        index.save(tmp_path / "index")
    with pytest.raises(InputError, match="at least 64 sentences"):
        index.find([passage_of(DOCUMENTS[0])])
    assert not (tmp_path / "index").exists()
    index.add([f"Pump {i} was replaced in {1900 + i}." for i in range(70)])
    index.save(tmp_path / "index")


def test_known_content_is_not_embedded_again(folder: Path, embedded: list[int]):
    index = SentenceIndex.load(folder)
    change = index.add([*DOCUMENTS, Document(DOCUMENTS[0].text, id="copy", title="Pumps")])
    assert (change.documents, change.embedded, change.sentences) == (7, 0, 0)
    assert embedded == []
    assert (index.documents, index.passages) == (7, 6)


def test_an_id_stands_for_what_came_last(folder: Path):
    index = SentenceIndex.load(folder)
    chunks = [Document("The pump is new. It is red.", id="a"), Document("It is loud.", id="a")]
    change = index.add(chunks)
    assert (change.embedded, change.removed) == (2, 1)
    assert index.find([passage_of(DOCUMENTS[0])])[0] == [None]
    documents = [*chunks, *DOCUMENTS[1:]]
    found, _ = index.find([passage_of(document) for document in documents])
    for vectors, expected in zip(found, exact(documents), strict=True):
        np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_delete(folder: Path):
    index = SentenceIndex.load(folder)
    index.add([Document(DOCUMENTS[1].text, id="copy")])
    assert index.delete(["a", "b", "nobody"]) == 2
    found, _ = index.find([passage_of(document) for document in DOCUMENTS])
    assert found[0] is None
    for vectors, expected in zip(found[1:], exact(DOCUMENTS[1:]), strict=True):
        np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert index.sentences == sum(len(vectors) for vectors in found[1:])
    with pytest.raises(InputError, match="one string"):
        index.delete("copy")
    assert index.delete(["copy", *"cdef"]) == 5
    assert (index.documents, index.passages, index.sentences) == (0, 0, 0)
    index.save(folder)
    emptied = SentenceIndex.load(folder)
    assert emptied.passages == 0
    assert "6 of 6" in ctxzip.compress(DOCUMENTS, 0.5, query=QUERY, index=emptied).notes[0]


def test_sync_leaves_nothing_else(folder: Path):
    index = SentenceIndex.load(folder)
    new = Document("A new pump came.", id="g")
    change = index.sync([DOCUMENTS[0], new])
    assert (change.documents, change.embedded, change.removed) == (2, 1, 5)
    assert index.documents == 2
    found, _ = index.find([passage_of(new), passage_of(DOCUMENTS[1])])
    np.testing.assert_allclose(found[0], exact([new])[0], atol=1e-5)
    assert found[1] is None


def test_a_faulty_document_leaves_what_came_before(folder: Path):
    index = SentenceIndex.load(folder)
    many = [Document(f"Pump {i}.\n\n" + " " * 33_000 + "End.", id=f"p{i}") for i in range(2)]
    with pytest.raises(InputError, match="Document 2"):
        index.add([*many, 7])  # type: ignore[list-item]
    assert index.documents == 8
    assert index.find([passage_of(many[1])])[0][0] is not None


def test_a_batch_that_fails_leaves_no_rows(folder: Path, monkeypatch: pytest.MonkeyPatch):
    index = SentenceIndex.load(folder)
    before = index.sentences
    original = index._entries.put

    def put(*arguments: object) -> None:
        monkeypatch.setattr(index._entries, "put", original)
        raise KeyboardInterrupt

    monkeypatch.setattr(index._entries, "put", put)
    new = Document("A new pump came. It is green.")
    with pytest.raises(KeyboardInterrupt):
        index.add([new])
    assert index.sentences == before
    index.add([new])
    np.testing.assert_allclose(index.find([passage_of(new)])[0][0], exact([new])[0], atol=1e-5)


def test_questions_go_on_while_documents_are_added(folder: Path):
    index = SentenceIndex.load(folder)
    expected = ctxzip.compress(DOCUMENTS, 0.5, query=QUERY, index=index).text
    failures: list[object] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            found = ctxzip.compress(DOCUMENTS, 0.5, query=QUERY, index=index).text
            if found != expected:
                failures.append(found)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(4):
        index.add([Document(f"Pump {i} was added. It works.", id=f"x{i}")])
        index.delete([f"x{i}"])
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_titles_belong_to_the_index(made: SentenceIndex):
    with pytest.raises(InputError, match="titles=True"):
        Recomp(titles=False, index=made)
    index = SentenceIndex(titles=False)
    index.add(DOCUMENTS)
    other = Document(DOCUMENTS[0].text, title="Another title")
    result = ctxzip.compress([other, *DOCUMENTS[1:]], 0.5, query=QUERY, index=index)
    assert result.notes == ()


def test_settings_of_ones_own(made: SentenceIndex):
    compressor = ctxzip.load(
        "recomp-extractive", model="mini", settings=Recomp(top_n=2, index=made)
    )
    result = ctxzip.compress(DOCUMENTS, query=QUERY, compressor=compressor)
    assert sum(unit.kept for document in result.documents for unit in document.units) == 2
    assert "May 2019" in result.text


def test_what_does_not_go_with_an_index(made: SentenceIndex):
    for compressor in ("lexical", ctxzip.load("mini")):
        with pytest.raises(InputError, match="recomp-extractive"):
            ctxzip.compress(DOCUMENTS, query=QUERY, index=made, compressor=compressor)
    with pytest.raises(InputError, match="neither"):
        ctxzip.compress(DOCUMENTS, query=QUERY, index=7)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="query"):
        ctxzip.compress(DOCUMENTS, 0.5, index=made)
    cached = ctxzip.load("recomp-extractive", model="mini", settings=Recomp(cache={}))
    with pytest.raises(InputError, match="cache"):
        ctxzip.compress(DOCUMENTS, 0.5, query=QUERY, compressor=cached)


def test_without_faiss_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"ctxzip\[index\]"):
        SentenceIndex().add(["One."])


def test_the_shipped_model_needs_no_pytorch(folder: Path):
    script = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "import ctxzip\n"
        f"result = ctxzip.compress({DOCUMENTS[0].text!r}, 0.5, query={QUERY!r},"
        f" index={str(folder)!r})\n"
        "print(result.text, result.notes)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("The pump was installed in May 2019.")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return checkpoints.bert(tmp_path_factory.mktemp("models") / "encoder", head="")


def test_a_checkpoint_decides_alike(checkpoint: Path, tmp_path: Path, embedded: list[int]):
    index = SentenceIndex(str(checkpoint), storage="float32", device="cpu")
    index.add(DOCUMENTS)
    index.save(tmp_path / "index")
    plain = ctxzip.load("recomp-extractive", model=str(checkpoint), device="cpu")
    expected = ctxzip.compress(DOCUMENTS, 0.5, query=QUERY, compressor=plain)
    loaded = SentenceIndex.load(tmp_path / "index", device="cpu")
    loaded.check(load_embedder(str(checkpoint), "cpu"))
    embedded.clear()
    assert ctxzip.compress(DOCUMENTS, 0.5, query=QUERY, index=loaded).text == expected.text
    assert embedded == []


@pytest.mark.filterwarnings("ignore")
def test_an_exported_folder_serves_its_index(checkpoint: Path, tmp_path: Path):
    pytest.importorskip("onnx")
    from ctxzip.compressors.export import export

    bundle = export(str(checkpoint), "embedding", tmp_path / "bundle").folder
    index = SentenceIndex(str(checkpoint), device="cpu")
    index.add(DOCUMENTS)
    index.save(tmp_path / "index")
    plain = ctxzip.load("recomp-extractive", model=str(checkpoint), device="cpu")
    expected = ctxzip.compress(DOCUMENTS, 0.5, query=QUERY, compressor=plain)
    served = SentenceIndex.load(tmp_path / "index", model=str(bundle))
    assert ctxzip.compress(DOCUMENTS, 0.5, query=QUERY, index=served).text == expected.text


def test_another_model_is_refused(checkpoint: Path, folder: Path, tmp_path: Path):
    stale = SentenceIndex.load(folder, model=str(checkpoint), device="cpu")
    with pytest.raises(ModelError, match=r"'mini'; .*encoder' gives 32 dimensions instead of 384"):
        ctxzip.compress(DOCUMENTS, 0.5, query=QUERY, index=stale)
    with pytest.raises(ModelError, match="make the index again"):
        stale.add(["Something new."])
    import torch
    from transformers import AutoModel, AutoTokenizer

    index = SentenceIndex(str(checkpoint), device="cpu")
    index.add(DOCUMENTS)
    index.save(tmp_path / "other")
    model = AutoModel.from_pretrained(checkpoint)
    with torch.no_grad():
        model.encoder.layer[1].output.dense.weight.neg_()
    model.save_pretrained(tmp_path / "tuned")
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(tmp_path / "tuned")
    tuned = SentenceIndex.load(tmp_path / "other", model=str(tmp_path / "tuned"), device="cpu")
    with pytest.raises(ModelError, match="differ by"):
        ctxzip.compress(DOCUMENTS, 0.5, query=QUERY, index=tuned)
