"""``llmlingua2`` on a tiny checkpoint: what differs from the reference on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import ctxzip
from ctxzip import InputError, ModelError, Options
from ctxzip.backends.encoder import tokenize
from ctxzip.kit.padding import batches
from ctxzip.score.classifier import LLMLingua2, keep_probability, windows
from tests import checkpoints
from tests.contract.promises import check, same

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

TEXTS = checkpoints.texts(6, seed=2, longest=20)


@pytest.fixture(scope="module", params=["wordpiece", "unigram"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make = checkpoints.bert if request.param == "wordpiece" else checkpoints.xlm_roberta
    # A name that says nothing about the model.
    return make(tmp_path_factory.mktemp("models") / "renamed")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def loaded(folder: Path, options: Options | None = None, **settings: object) -> ctxzip.Compressor:
    return ctxzip.load(
        "llmlingua2",
        model=str(folder),
        device="cpu",
        options=options,
        settings=LLMLingua2(**settings),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("ratio", [0.1, 0.33, 0.5, 0.9])
@pytest.mark.parametrize("query", [None, "Which pump?"])
def test_the_promises(folder: Path, ratio: float, query: str | None):
    result = ctxzip.compress(TEXTS, ratio, query=query, compressor=loaded(folder))
    check(result, TEXTS, count=ctxzip.text.tokens.resolve("o200k_base").count)
    assert result.ratio > 0.9 * ratio, "the rate is really met"


def test_words_are_dropped_even_with_a_query(folder: Path):
    result = ctxzip.compress(TEXTS[0], 0.5, query="Which pump?", compressor=loaded(folder))
    assert len(result.documents[0].kept or ()) > 3


def test_a_request_is_scored_alike_alone_and_among_others(folder: Path):
    compressor = loaded(folder)
    together = ctxzip.compress_many(TEXTS, 0.4, compressor=compressor)
    for text, result in zip(TEXTS, together, strict=True):
        assert same(ctxzip.compress(text, 0.4, compressor=compressor), result)


def test_a_threshold_is_a_probability(folder: Path):
    result = ctxzip.compress(TEXTS, threshold=0.5, compressor=loaded(folder))
    for document in result.documents:
        assert all(unit.score >= 0.5 for unit in document.units if unit.kept)


def test_forced_words_and_digits_stay(folder: Path):
    text = "The pump was not there. It cost 12 francs in all. Nobody bought the other valve."
    compressor = loaded(
        folder, Options(protect_soft=False), force_tokens=("valve",), force_reserve_digit=True
    )
    result = ctxzip.compress(text, 0.3, compressor=compressor)
    assert "valve" in result.text
    assert "12" in result.text


def test_words_are_labelled(folder: Path):
    text = "The pump was not there. It cost 12 francs in all. Nobody bought the other valve."
    result = ctxzip.compress(text, 0.5, compressor=loaded(folder))
    labels = ctxzip.word_labels(result)[0]
    assert [word for word, _ in labels] == text.split()
    assert [word for word, kept in labels if kept] == result.text.split()


def test_whole_documents_are_dropped_first(folder: Path):
    documents = checkpoints.texts(4, seed=9)
    result = ctxzip.compress(
        documents, 0.5, compressor=loaded(folder, context_filter=True, contexts=1)
    )
    assert sum(bool(document.text) for document in result.documents) == 1
    best = max(result.documents, key=lambda document: document.score or 0.0)
    assert best.text


def test_unknown_characters_and_spacing_survive(folder: Path):
    text = "Ship it 🚀🚀 now.\n\n\tポンプは５月に設置された。  Fine."
    assert ctxzip.compress(text, 1.0, compressor=loaded(folder)).text == text


def test_windows_end_with_units(folder: Path):
    from ctxzip.backends.torch.loading import TOKEN_CLASSIFIER, Placement, TorchEncoder

    encoder = TorchEncoder(str(folder), Placement(device="cpu"), kind=TOKEN_CLASSIFIER)
    source = "One short sentence here. " * 300
    text = tokenize(encoder.tokenizer, [source])[0]
    ends = np.array([i + 1 for i, c in enumerate(source) if c == "."])
    cut = windows(text, ends, 100)
    assert [a for a, _ in cut[1:]] == [b for _, b in cut[:-1]]
    assert (cut[0][0], cut[-1][1]) == (0, len(text))
    assert all(0 < b - a <= 100 for a, b in cut)
    assert all(source[text.end[b - 1] - 1] == "." for _, b in cut[:-1])
    assert windows(text, np.array([len(source)]), 100)[0] == (0, 100)


def test_a_full_device_halves_the_batch(folder: Path, monkeypatch: pytest.MonkeyPatch):
    from ctxzip.backends.torch import loading

    run = loading.TorchEncoder._run

    def tight(self: object, rows: list[object], length: int) -> object:
        if len(rows) > 1:
            raise torch.OutOfMemoryError("no room")
        return run(self, rows, length)  # type: ignore[arg-type]

    expected = ctxzip.compress(TEXTS * 2, 0.5, compressor=loaded(folder))
    monkeypatch.setattr(loading.TorchEncoder, "_run", tight)
    # Settings that differ, so that no loaded model is shared.
    result = ctxzip.compress(TEXTS * 2, 0.5, compressor=loaded(folder, chunk_end_tokens=()))
    assert result.text == expected.text
    assert any("halved" in note for note in result.notes)


def test_a_tokenizer_file_that_pads_and_truncates_is_read_without(folder: Path, tmp_path: Path):
    import shutil

    from tokenizers import Tokenizer

    shutil.copytree(folder, tmp_path / "padded")
    file = str(tmp_path / "padded" / "tokenizer.json")
    tokenizer = Tokenizer.from_file(file)
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(128)
    tokenizer.save(file)
    expected = ctxzip.compress(TEXTS, 0.5, compressor=loaded(folder))
    assert ctxzip.compress(TEXTS, 0.5, compressor=loaded(tmp_path / "padded")).text == expected.text


def test_batches_hold_one_padded_length():
    lengths = [3, 500, 17, 16, 40, 33, 2]
    seen = []
    for members, size in batches(lengths, 64):
        assert all(size - 16 < lengths[i] <= size for i in members)
        seen += members
    assert sorted(seen) == list(range(len(lengths)))


def test_two_labels_are_needed():
    with pytest.raises(ModelError, match="3 labels"):
        keep_probability(np.zeros((4, 3), np.float32))
    np.testing.assert_allclose(keep_probability(np.zeros((2, 2), np.float32)), 0.5)


@pytest.mark.parametrize(
    "settings",
    [
        {"force_tokens": ("",)},
        {"word_probability": "max"},
        {"contexts": 0},
        {"context_ratio": 1.5},
        {"context_tokens": 5},
        {"context_filter": True},
    ],
)
def test_settings_are_checked(settings: dict[str, object]):
    with pytest.raises(InputError):
        LLMLingua2(**settings)  # type: ignore[arg-type]


def test_checkpoints_of_another_kind_are_refused(tmp_path: Path):
    bare = checkpoints.bert(tmp_path / "bare", head="")
    with pytest.raises(ModelError, match="ForTokenClassification"):
        ctxzip.compress("a b c. d e f.", 0.5, compressor=loaded(bare))
    with pytest.raises(ModelError, match="cannot be loaded"):
        ctxzip.compress("a b c. d e f.", 0.5, compressor=loaded(tmp_path / "nothing"))


def test_what_was_not_asked_for_is_not_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="not on this machine"):
        ctxzip.load("llmlingua2").warmup()


def test_arguments_that_do_not_fit_are_named(folder: Path):
    with pytest.raises(InputError, match="settings"):
        ctxzip.load("llmlingua2", model=str(folder), settings=object())
    with pytest.raises(InputError, match="neither a model"):
        ctxzip.load("lexical", model=str(folder))
    with pytest.raises(InputError, match="backend"):
        ctxzip.load("llmlingua2", model=str(folder), backend="jax")
    with pytest.raises(InputError, match="ctxzip export"):
        ctxzip.load("llmlingua2", model=str(folder), backend="onnx")
    with pytest.raises(InputError, match="device"):
        ctxzip.load("llmlingua2", model=str(folder), device="tpu").warmup()
    with pytest.raises(InputError, match="dtype"):
        ctxzip.load("llmlingua2", model=str(folder), device="cpu", dtype="int3").warmup()


def test_what_is_above_a_percentile_is_as_numpy_says():
    from ctxzip.compressors.llmlingua2.choice import _above

    rng = np.random.default_rng(5)
    for _ in range(400):
        n = int(rng.integers(1, 120))
        kind = rng.choice([np.float32, np.float64])
        # Coarse values make ties, powers make steps that are too small to be sure of.
        values = rng.choice([rng.random(n), rng.random(n).round(1), 1 - rng.random(n) ** 9 * 1e-6])
        values = values.astype(kind)
        counts = rng.integers(rng.integers(0, 2), 4, n)
        percent = int(rng.integers(1, 101))
        weighted = np.repeat(values, counts)
        expected = np.zeros(n, bool)
        if len(weighted):
            threshold = float(np.percentile(weighted, percent))
            expected = values.astype(np.float64) > threshold
            expected |= (values == 1) & (threshold == 1)
        assert (_above(values, counts, percent) == expected).all()
