"""``recomp-extractive`` on tiny encoders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import ctxzip
from ctxzip import Document, InputError, ModelError
from ctxzip.backends.pooling import Pooling, pool, pooling_of
from ctxzip.compressors import load
from ctxzip.score.embedding import EMBEDDINGS, Recomp, marginal_relevance, repeated
from ctxzip.segment import sentences
from tests import checkpoints
from tests.contract.promises import check, same

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

QUERY = "When was the pump installed?"
TEXT = (
    "The pump was installed in May 2019. Pressure must not exceed 4.5 bar. Nobody had read the"
    " committee's report. The pump was installed in May 2019. Roads were closed overnight."
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.bert(tmp_path_factory.mktemp("models") / "contriever", head="")


def loaded(folder: Path, **settings: object) -> ctxzip.Compressor:
    chosen = Recomp(**settings)  # type: ignore[arg-type]
    return load("recomp-extractive", model=str(folder), device="cpu", settings=chosen)


def published(folder: Path, query: str, texts: list[str]) -> list[float]:
    """Scores as the paper defines them: masked mean of the states, raw dot product."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    batch = tokenizer([query, *texts], padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    vectors = (states * mask).sum(1) / mask.sum(1)
    return (vectors[1:] @ vectors[0]).tolist()


def test_scores_are_raw_dot_products_of_means(folder: Path):
    document = Document(TEXT, title="Pumps")
    result = ctxzip.compress(document, 0.9, query=QUERY, compressor=loaded(folder))
    units = result.documents[0].units
    texts = [f"Pumps {TEXT[unit.span.start : unit.span.end]}" for unit in units]
    expected = published(folder, QUERY, texts)
    np.testing.assert_allclose([unit.score for unit in units], expected, rtol=1e-4)


def test_top_n_needs_no_budget_and_keeps_source_order(folder: Path):
    documents = [TEXT, "The valve was replaced. It holds 65 psi."]
    result = ctxzip.compress(documents, query=QUERY, compressor=loaded(folder, top_n=2))
    check(result, documents)
    units = [unit for document in result.documents for unit in document.units]
    best = sorted(units, key=lambda unit: -unit.score)[:2]
    assert sorted(unit.score for unit in units if unit.kept) == sorted(u.score for u in best)


@pytest.mark.parametrize("ratio", [0.1, 0.4, 0.8])
def test_a_ceiling_holds_with_whole_sentences(folder: Path, ratio: float):
    texts = checkpoints.texts(4, seed=8)
    result = ctxzip.compress(texts, ratio, query=QUERY, compressor=loaded(folder))
    check(result, texts, count=ctxzip.text.tokens.resolve("o200k_base").count)
    for document in result.documents:
        for unit in document.units:
            if unit.kept:
                a, b = unit.span
                assert document.source.text[a:b] in document.text


def test_a_floor_on_similarity(folder: Path):
    scores = [
        unit.score
        for unit in ctxzip.compress(TEXT, 0.9, query=QUERY, compressor=loaded(folder))
        .documents[0]
        .units
    ]
    floor = sorted(scores)[2]
    result = ctxzip.compress(TEXT, query=QUERY, compressor=loaded(folder, min_similarity=floor))
    kept = [unit.score for unit in result.documents[0].units if unit.kept]
    assert sorted(kept) == sorted(score for score in scores if score >= floor)


def test_repetitions_are_dropped(folder: Path):
    compressor = loaded(folder, top_n=5, duplicate=0.999)
    assert ctxzip.compress(TEXT, query=QUERY, compressor=compressor).text.count("May 2019") == 1


def test_embeddings_are_reused_and_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch):
    cache: dict[str, np.ndarray] = {}
    first = ctxzip.compress(TEXT, 0.5, query=QUERY, compressor=loaded(folder, cache=cache))
    units = sentences.split(TEXT)
    texts = [TEXT[a:b] for a, b in zip(units.start.tolist(), units.end.tolist(), strict=True)]
    assert set(texts) == set(cache)
    rows = np.stack([cache[text] for text in texts])
    for given in (rows, cache):
        document = Document(TEXT, metadata={EMBEDDINGS: given})
        again = ctxzip.compress(document, 0.5, query=QUERY, compressor=loaded(folder))
        assert again.text == first.text
    document = Document(TEXT, metadata={EMBEDDINGS: -rows})
    turned = ctxzip.compress(document, 0.5, query=QUERY, compressor=loaded(folder))
    assert turned.text != first.text
    for wrong in (rows[:2], rows[:, :5]):
        document = Document(TEXT, metadata={EMBEDDINGS: wrong})
        with pytest.raises(InputError):
            ctxzip.compress(document, 0.5, query=QUERY, compressor=loaded(folder))


def test_a_request_is_scored_alike_alone_and_among_others(folder: Path):
    texts = checkpoints.texts(5, seed=12)
    compressor = loaded(folder)
    together = ctxzip.compress_many(texts, 0.4, queries=QUERY, compressor=compressor)
    for text, result in zip(texts, together, strict=True):
        assert same(ctxzip.compress(text, 0.4, query=QUERY, compressor=compressor), result)


def test_a_query_is_needed_and_thresholds_are_refused(folder: Path):
    with pytest.raises(InputError, match="query"):
        ctxzip.compress(TEXT, 0.5, compressor=loaded(folder))
    with pytest.raises(InputError, match="calibrated"):
        ctxzip.compress(TEXT, query=QUERY, threshold=0.5, compressor=loaded(folder))


def test_marginal_relevance_ranks_what_is_new():
    vectors = np.array([[1, 0], [0.999, 0.01], [0.6, 0.8]], np.float32)
    score = vectors.astype(np.float64) @ np.array([1.0, 0.0])
    assert np.argsort(-marginal_relevance(score, vectors, 0.0)).tolist() == [0, 1, 2]
    assert np.argsort(-marginal_relevance(score, vectors, 0.7)).tolist() == [0, 2, 1]
    assert repeated(score, vectors, 0.99).tolist() == [False, True, False]


def test_a_sentence_transformers_folder_brings_its_pooling(folder: Path, tmp_path: Path):
    modules = [
        {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    switches = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(switches))
    prompts = {"prompts": {"query": "query: ", "document": "passage: "}}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 128}')
    assert pooling_of(tmp_path) == Pooling("cls", True, "query: ", "passage: ", 128)
    assert pooling_of(folder) == Pooling()
    modules.append({"idx": 3, "path": "3_Dense", "type": "sentence_transformers.models.Dense"})
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match="Dense"):
        pooling_of(tmp_path)


def test_pooling():
    states = np.array([[3.0, 0.0], [0.0, 4.0]], np.float32)
    assert pool(states, Pooling("mean")).tolist() == [1.5, 2.0]
    assert pool(states, Pooling("max")).tolist() == [3.0, 4.0]
    assert pool(states, Pooling("cls", normalise=True)).tolist() == [1.0, 0.0]
    assert pool(states, Pooling("lasttoken")).tolist() == [0.0, 4.0]


@pytest.mark.parametrize("settings", [{"top_n": 0}, {"diversity": 2.0}, {"duplicate": 0.0}])
def test_settings_are_checked(settings: dict[str, float]):
    with pytest.raises(InputError):
        Recomp(**settings)  # type: ignore[arg-type]
