"""Every example runs as its reader would run it, and says something."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ctxzip
from ctxzip.text import tokens

ROOT = Path(__file__).resolve().parents[1]
Run = Callable[..., str]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def started(path: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        timeout=120,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs an example in this process, from another folder."""

    def example(path: Path, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [str(path), *arguments])
        monkeypatch.chdir("/")
        runpy.run_path(str(path), run_name="__main__")
        said = capsys.readouterr()
        assert not said.err
        return said.out

    return example


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs(path: Path, run: Run):
    assert len(run(path).split()) > 50


def test_it_runs_as_its_reader_would_run_it():
    assert len(started(ROOT / "examples" / "one_string.py").split()) > 50


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_uses_public_names_only(path: Path):
    text = path.read_text(encoding="utf-8")
    assert "from ctxzip" not in text
    assert "import ctxzip." not in text
    for name in {word.split("(")[0] for word in text.split("ctxzip.")[1:]}:
        public = name.split()[0].strip(",:)]`'\"").split(".")[0]
        assert public in ctxzip.__all__, public


def test_the_demo_says_what_happened(run: Run):
    printed = run(ROOT / "examples" / "demo.py", "--compressor", "lexical", "--ratio", "0.3")
    for word in ("Question", "before", "after", "tokens", "kept", "ms"):
        assert word in printed
    assert "\033" not in printed, "no colours into a pipe"


def test_the_documents_example_stays_under_its_ceiling(run: Run):
    printed = run(ROOT / "examples" / "documents_with_query.py")
    before, after, allowed = (
        int(part)
        for part in printed.split(" were allowed")[0].splitlines()[-1].replace(";", "").split()
        if part.isdigit()
    )
    assert after <= allowed < before


def test_the_sample_is_what_it_claims_to_be():
    sample = json.loads((ROOT / "examples" / "sample.json").read_text(encoding="utf-8"))
    text = "\n\n".join(document["text"] for document in sample["documents"])
    assert 2_000 <= tokens.resolve("o200k_base").count(text) <= 4_000
    assert len(sample["documents"]) == len({d["id"] for d in sample["documents"]}) == 13
    assert sample["question"].endswith("?")
    assert "|---|" in text
    assert "```python" in text
    record = next(d["text"] for d in sample["documents"] if d["id"] == "INC-2025-00731")
    assert json.loads(record)["excursion"]["above_8c_minutes"] == 25
