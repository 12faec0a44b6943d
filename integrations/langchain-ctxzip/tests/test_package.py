"""The README tells the truth, and the wheel carries the package and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_ctxzip import CtxzipCompressor

import ctxzip

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def count(text: str) -> int:
    """Tokens as the default tokenizer counts them."""
    return ctxzip.compress(text, 1.0, compressor="lexical").tokens_before


def run(block: str, names: dict[str, object]) -> None:
    """Run a block; of a comparison, what stands behind ``# after``."""
    compile(block, "README.md", "exec")
    before, mark, after = block.partition("# after\n")
    exec(compile(after if mark else before, "README.md", "exec"), names)


def test_the_examples_of_the_readme_run(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in BLOCKS:
        run(block, names)
    printed = capsys.readouterr().out
    assert "log-7 " in printed
    assert "12 March 2021" in printed


def test_coming_from_llmlingua_compressor() -> None:
    (block,) = (block for block in BLOCKS if "# before\n" in block)
    names: dict[str, object] = {}
    run(block, names)
    texts = ["The pump was installed in May 2019. Nobody was told of it. " * 20, "It rains. " * 60]
    documents = [Document(text, id=str(i), metadata={"page": i}) for i, text in enumerate(texts)]
    assert count("\n\n".join(texts)) > 300
    compressor = names["compressor"]
    assert isinstance(compressor, CtxzipCompressor)
    result = compressor.compress_documents(documents, "When was the pump installed?")
    assert 0 < count("\n\n".join(document.page_content for document in result)) <= 300
    for document in result:
        source = documents[int(str(document.id))]
        assert document.metadata["page"] == source.metadata["page"]
        for start, end in document.metadata["ctxzip"]["spans"]:
            assert source.page_content[start:end] in document.page_content


def test_the_wheel_has_what_it_should(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    found = {name for name in names if ".dist-info/" not in name}
    package = ROOT / "langchain_ctxzip"
    assert found == {f"langchain_ctxzip/{p.name}" for p in package.iterdir() if p.is_file()}
    assert "langchain_ctxzip/py.typed" in found
    assert any(name.endswith("licenses/LICENSE") for name in names)
