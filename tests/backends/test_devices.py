"""The methods with checkpoints on every device that there is, and the ways to run them faster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import ctxzip
from ctxzip import Document
from ctxzip.text.tokens import resolve
from tests import checkpoints
from tests.contract.promises import check

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

QUERY = "When was the pump installed?"
METHODS = ("llmlingua2", "recomp-extractive", "exit")
TEXTS = [
    "The pump was installed in May 2019. Pressure must not exceed 4.5 bar. Nobody had read the"
    " committee's report.",
    "Roads were closed overnight; temperatures fell to -12 °C. He said he would come. He did not.",
    "水泵在五月安装。压力不得超过四点五巴。 Ship it 🚀🚀 now!",
]


def _absent(device: str) -> str:
    """Why a device cannot be tested here; empty if it can."""
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }[device]
    return "" if there else f"this machine has no {device}"


DEVICES = [
    pytest.param(name, marks=pytest.mark.skipif(bool(_absent(name)), reason=_absent(name)))
    for name in ("cpu", "cuda", "mps")
]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "llmlingua2": checkpoints.bert(root / "classifier"),
        "recomp-extractive": checkpoints.bert(root / "encoder", head=""),
        "exit": checkpoints.llama(root / "causal"),
    }


def compressed(
    method: str, folders: dict[str, Path], ratio: float = 0.5, **placement: object
) -> ctxzip.Compression:
    compressor = ctxzip.load(method, model=str(folders[method]), **placement)  # type: ignore[arg-type]
    documents = [Document(text, title="Log") for text in TEXTS]
    return ctxzip.compress(documents, ratio, query=QUERY, compressor=compressor)


def scores(result: ctxzip.Compression) -> np.ndarray:
    return np.array([unit.score for document in result.documents for unit in document.units])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", METHODS)
def test_a_device_gives_the_scores_of_the_processor(
    method: str, device: str, folders: dict[str, Path]
):
    found = compressed(method, folders, device=device, dtype="float32")
    check(found, TEXTS, count=resolve("o200k_base").count)
    expected = compressed(method, folders, device="cpu", dtype="float32")
    np.testing.assert_allclose(scores(found), scores(expected), rtol=2e-3, atol=2e-3)
    if device == "cpu":
        assert found.text == expected.text


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_chosen_by_itself_keeps_the_promises(
    method: str, device: str, folders: dict[str, Path]
):
    for ratio in (0.2, 0.6):
        found = compressed(method, folders, ratio, device=device)
        check(found, TEXTS, count=resolve("o200k_base").count)
        assert found.text


@pytest.mark.parametrize("method", METHODS)
def test_bfloat16_on_the_processor(method: str, folders: dict[str, Path]):
    found = compressed(method, folders, device="cpu", dtype="bfloat16")
    check(found, TEXTS, count=resolve("o200k_base").count)
    exact = scores(compressed(method, folders, device="cpu", dtype="float32"))
    assert not np.array_equal(scores(found), exact), "the numbers show that it was used"
    # 8 bits of mantissa: about one part in a hundred after a few layers.
    assert np.corrcoef(scores(found), exact)[0, 1] > 0.99
    assert np.abs(scores(found) - exact).max() < 0.1 * max(1.0, np.abs(exact).max())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["llmlingua2", "exit"])
def test_a_compiled_model_decides_alike(method: str, folders: dict[str, Path]):
    dynamo = pytest.importorskip("torch._dynamo")
    dynamo.reset()
    dynamo.utils.counters.clear()
    placed = {"device": "cpu", "dtype": "float32"}
    found = compressed(method, folders, compiled=True, **placed)
    assert dynamo.utils.counters["stats"]["unique_graphs"] > 0, "something was compiled"
    expected = compressed(method, folders, **placed)
    np.testing.assert_allclose(scores(found), scores(expected), atol=1e-4)
    assert found.text == expected.text
