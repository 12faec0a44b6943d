"""The snippets of the README that users are told to move to run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ctxzip
from tests import checkpoints

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
CONTEXTS = checkpoints.texts(3, seed=9, longest=20)


def after(heading: str) -> str:
    """What a section's first Python block says behind ``# after``."""
    section = README.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    block = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert block is not None, heading
    before, mark, code = block.group(1).partition("# after")
    assert mark, heading
    assert "import" in before
    return code.partition("\n")[2]


def test_coming_from_langchain():
    pytest.importorskip("langchain_ctxzip")
    from langchain_core.documents import Document

    space: dict[str, object] = {}
    exec(after("Coming from LangChain's LLMLinguaCompressor"), space)
    documents = [
        Document(text * 3, id=str(i), metadata={"page": i}) for i, text in enumerate(CONTEXTS)
    ]
    count = ctxzip.text.tokens.resolve("o200k_base").count
    assert count("\n\n".join(d.page_content for d in documents)) > 300
    result = space["compressor"].compress_documents(documents, "When was the pump installed?")  # type: ignore[attr-defined]
    assert 0 < count("\n\n".join(d.page_content for d in result)) <= 300
    for document in result:
        source = documents[int(document.id)]
        assert document.metadata["page"] == source.metadata["page"]
        assert all(line in source.page_content for line in document.page_content.split("\n")[:1])


def test_coming_from_llmlingua(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    folder = checkpoints.bert(tmp_path / "classifier")
    load = ctxzip.load

    def tiny(name: str, *, model: str, settings: object) -> ctxzip.Compressor:
        assert model.startswith("microsoft/llmlingua-2-")
        return load(name, model=str(folder), settings=settings)

    monkeypatch.setattr(ctxzip, "load", tiny)
    space: dict[str, object] = {"contexts": CONTEXTS}
    exec(after("Coming from LLMLingua"), space)
    count = ctxzip.text.tokens.resolve("o200k_base").count
    whole = count("\n\n".join(CONTEXTS))
    assert 0.25 * whole < count(str(space["text"])) <= 0.33 * whole
