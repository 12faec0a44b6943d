"""Exported folders give what PyTorch gives, and need no PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ctxzip
from ctxzip import InputError, ModelError
from ctxzip.backends.exported import MANIFEST
from ctxzip.cli import main
from ctxzip.compressors.export import export
from ctxzip.score.classifier import LLMLingua2
from tests import checkpoints

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnx")
pytestmark = pytest.mark.filterwarnings("ignore")

TEXTS = checkpoints.texts(6, seed=31, longest=15)
QUERY = "When was the pump installed?"


@pytest.fixture(scope="module", params=["wordpiece", "unigram"])
def token_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make = checkpoints.bert if request.param == "wordpiece" else checkpoints.xlm_roberta
    return make(tmp_path_factory.mktemp("models") / "token")


@pytest.mark.parametrize("compat", [False, True])
def test_a_token_classifier_decides_alike(token_folder: Path, tmp_path: Path, compat: bool):
    done = export(str(token_folder), "token", tmp_path / "bundle")
    assert done.difference < 1e-4
    assert done.agreement == 1.0
    for text in TEXTS:
        results = [
            ctxzip.compress(
                text,
                0.5,
                compressor=ctxzip.load(
                    "llmlingua2", model=str(folder), settings=LLMLingua2(compat=compat)
                ),
            )
            for folder in (token_folder, done.folder)
        ]
        assert results[0].text == results[1].text


def test_int8_decides_nearly_alike(token_folder: Path, tmp_path: Path):
    plain = export(str(token_folder), "token", tmp_path / "float32")
    small = export(str(token_folder), "token", tmp_path / "int8", int8=True)
    assert small.size < plain.size
    assert small.agreement >= 0.97
    compressor = ctxzip.load("llmlingua2", model=str(small.folder))
    together = ctxzip.compress_many(TEXTS, 0.5, compressor=compressor)
    for text, result in zip(TEXTS, together, strict=True):
        assert ctxzip.compress(text, 0.5, compressor=compressor).text == result.text


def test_an_encoder_embeds_alike_without_pytorch(tmp_path: Path):
    folder = checkpoints.bert(tmp_path / "encoder", head="")
    done = export(str(folder), "embedding", tmp_path / "bundle")
    assert done.agreement > 0.9999
    expected = ctxzip.compress(
        TEXTS[0], 0.5, query=QUERY, compressor=ctxzip.load("recomp-extractive", model=str(folder))
    )
    script = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "import ctxzip, pathlib\n"
        f"text = pathlib.Path({str(tmp_path / 'text')!r}).read_bytes().decode()\n"
        f"compressor = ctxzip.load('recomp-extractive', model={str(done.folder)!r})\n"
        f"result = ctxzip.compress(text, 0.5, query={QUERY!r}, compressor=compressor)\n"
        "sys.stdout.buffer.write(result.text.encode())\n"
    )
    (tmp_path / "text").write_bytes(TEXTS[0].encode())
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout.decode() == expected.text


def test_a_sequence_classifier_needs_no_pytorch(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    import numpy as np
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = checkpoints.bert(tmp_path / "ranker", head="SequenceClassification", labels=3)
    target = tmp_path / "bundle"
    assert main(["export", str(folder), "--head", "sentence", "-o", str(target)]) == 0
    assert "labels equal" in capsys.readouterr().out
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    inputs = [tokenizer(text, truncation=True)["input_ids"] for text in TEXTS]
    with torch.no_grad():
        expected = [model(torch.tensor([ids])).logits[0].tolist() for ids in inputs]
    (tmp_path / "inputs.json").write_text(json.dumps(inputs))
    script = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "import json, pathlib, numpy as np\n"
        "from ctxzip.backends.exported import ExportedEncoder\n"
        f"encoder = ExportedEncoder(pathlib.Path({str(target)!r}), 'sentence')\n"
        f"inputs = json.loads(pathlib.Path({str(tmp_path / 'inputs.json')!r}).read_text())\n"
        "states = encoder.forward([np.array(ids, np.int64) for ids in inputs]).states\n"
        "print(json.dumps([one[0].tolist() for one in states]))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()
    np.testing.assert_allclose(json.loads(run.stdout), expected, atol=1e-4)


def test_the_command_says_how_it_compares(
    token_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    target = tmp_path / "bundle"
    assert main(["export", str(token_folder), "--head", "token", "-o", str(target)]) == 0
    said = capsys.readouterr().out
    assert "MiB" in said
    assert "decisions equal" in said
    assert json.loads((target / MANIFEST).read_text())["head"] == "token"
    assert main(["export", str(token_folder), "--head", "token", "-o", str(target)]) == 1
    assert main(["export", str(tmp_path / "no"), "--head", "token", "-o", str(tmp_path / "x")]) == 1
    assert not (tmp_path / "x").exists()


def test_what_does_not_fit_is_refused(token_folder: Path, tmp_path: Path):
    done = export(str(token_folder), "token", tmp_path / "bundle")
    with pytest.raises(ModelError, match="--head embedding"):
        ctxzip.load("recomp-extractive", model=str(done.folder)).compress(
            [ctxzip.Document("One. Two.")], query="Two?", budget=ctxzip.Budget(ratio=0.5)
        )
    with pytest.raises(InputError, match="head"):
        export(str(token_folder), "word", tmp_path / "other")
    compressor = ctxzip.load(
        "llmlingua2",
        model=str(done.folder),
        settings=LLMLingua2(compat=True, force_tokens=("installed in",)),
    )
    with pytest.raises(ModelError, match="PyTorch weights"):
        ctxzip.compress("One. Two.", 0.5, compressor=compressor)
    (done.folder / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="damaged"):
        ctxzip.compress(
            "One. Two.",
            0.5,
            compressor=ctxzip.load("llmlingua2", model=str(done.folder), dtype="float32"),
        )
