"""What the pages tell their readers to run, runs; what they point at, is there.

The pages of the integrations run in the tests of their own packages.
"""

from __future__ import annotations

import ast
import asyncio
import glob
import hashlib
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import ctxzip
from ctxzip import cli
from tests import checkpoints
from tests.benchmarks import peers

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "*/README.md", "*/*/README.md", "*/*/CHANGELOG.md", "tests/*/*.md")
    for path in ROOT.glob(pattern)
    if not path.relative_to(ROOT).as_posix().startswith(".")
)
CONTEXTS = checkpoints.texts(3, seed=9, longest=20)
# Never ends, needs several machines, or a model that no test has.
ONLY_PARSED = {"serve", "play", "--ray-address", "--reader", "--reader-hf"}

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SHOWN = re.compile(r"^(\S.*?)  # (\".*\"|\([\d, ]+\))$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]+)?\)")
_COMMAND = re.compile(
    r"`((?:python|make|ctxzip|pip) [^`\n]+)`|^ {4}(python .*(?:(?<=\\)\n.*)*)", re.M
)
_EXTRA = re.compile(r"([\w./-]+)\[([a-z]+)\]")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def page(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def blocks(path: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page: language and content."""
    return _BLOCK.findall(page(path))


# Pages that a test of their own runs, with what they need.
APART = {"README.md", "ctxzip/compressors/README.md"}
OTHERS = [
    name(path)
    for path in PAGES
    if not path.is_relative_to(ROOT / "integrations") and name(path) not in APART
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's folder: the files that the pages' commands name."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for folder in ("src", "docs"):
        (tmp_path / folder).mkdir()
    for number, text in enumerate(CONTEXTS):
        (tmp_path / "docs" / f"{number}.md").write_text(text * 3, encoding="utf-8")
    retry = "def delay(attempt):\n    # The retry delay doubles.\n    return 2**attempt\n"
    (tmp_path / "src" / "retry.py").write_text(retry, encoding="utf-8")
    rows = [{"text": "The valve was replaced on 3 May 2021. Nobody was hurt."}]
    rows += [{"text": text} for text in CONTEXTS]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "passages.jsonl").write_text(lines, encoding="utf-8")
    (indented,) = re.findall(r"^    (question,.*)\n    (.*)$", page("README.md"), re.MULTILINE)
    (tmp_path / "questions.csv").write_text("\n".join(indented) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ctxzip.corpus.commands.processors", lambda: 1)
    return tmp_path


def run(path: str, space: dict[str, object], *, without: str = "(?!)") -> None:
    """Run a page's blocks from top to bottom; ``without`` leaves out those that it is found in."""
    for language, content in blocks(path):
        if re.search(without, content):
            continue
        if language == "sh":
            for line in commands(content):
                shell(line)
        elif language == "python":
            python(content, path, space)
        elif language == "json":
            json.loads(content)
        else:
            assert language == "text", language
            shown = iter(str(space["result"]).splitlines())
            for line in content.splitlines():
                assert line in shown, f"{line!r} is not put out, or not in this order"


def python(content: str, path: str, space: dict[str, object]) -> None:
    """Run a block, of a comparison what stands behind ``# after``, and compare what it shows."""
    compile(content, path, "exec")
    _, mark, after = content.partition("# after")
    exec(compile(after.partition("\n")[2] if mark else content, path, "exec"), space)
    for expression, expected in _SHOWN.findall(content):
        assert eval(expression, space) == ast.literal_eval(expected)


def commands(content: str) -> Iterator[list[str]]:
    """The commands of a block, as arguments."""
    for line in content.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def shell(words: list[str]) -> None:
    """Run a command, or as much of it as can be run here."""
    if words[0] == "ctxzip":
        arguments = [found for word in words[1:] for found in sorted(glob.glob(word)) or [word]]
        if ONLY_PARSED & {*arguments}:
            cli._parser().parse_args(arguments)
        else:
            assert cli.main(arguments) == 0, words
    elif words[0] == "curl":
        posted(words)
    elif words[0] == "pip":
        installable(words)
    elif words[0] == "make":
        assert words[1] in targets()
    elif words[0] == "python":
        known_flags(words)
    else:
        assert words[:2] == ["ray", "start"], words


def posted(words: list[str]) -> None:
    """Send to the service what ``curl`` would send."""
    pytest.importorskip("fastapi")
    from ctxzip.serve.app import create_app
    from ctxzip.serve.settings import Settings
    from tests.serve.asgi import JSON, Client

    where = next(word for word in words if word.startswith("localhost:"))
    body = words[words.index("-d") + 1].encode()
    client = Client(create_app(Settings(compressors=("lexical",))))
    answer = asyncio.run(client.send("POST", urlsplit(f"//{where}").path, [body], [JSON]))
    assert answer.status == 200, answer.body
    assert answer.json()["text"]


def installable(words: list[str]) -> None:
    """Whether an installation is one from a checkout, and what it names is there."""
    assert words[1] == "install"
    assert "-e" in words
    for before, one in pairwise(words[1:]):
        folder, _, extra = one.rstrip("]").partition("[")
        if before == "-e":
            assert not extra or extra in extras(ROOT / folder), words
        else:
            assert "ctxzip" not in one, "not on PyPI"


def extras(folder: Path) -> set[str]:
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return set(project["optional-dependencies"])


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):", page("Makefile"), re.MULTILINE))


def test_the_readme_runs(place: Path, capsys: pytest.CaptureFixture[str]):
    run("README.md", {}, without="your_")
    assert (place / "page.html").stat().st_size > 10_000
    assert (place / "ctxzip-eval" / "report.html").exists()
    assert "52 hours" in capsys.readouterr().out


def test_the_readme_runs_in_langchain():
    pytest.importorskip("langchain_classic")
    pytest.importorskip("langchain_ctxzip")
    from langchain_core.documents import Document
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_core.vectorstores import InMemoryVectorStore

    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
    store.add_documents([Document(text * 3, id=str(i)) for i, text in enumerate(CONTEXTS)])
    (block,) = (text for _, text in blocks("README.md") if "import CtxzipCompressor" in text)
    space: dict[str, object] = {"your_retriever": store.as_retriever()}
    python(block, "README.md", space)
    found = space["retriever"].invoke("When was the pump installed?")  # type: ignore[attr-defined]
    assert found
    assert all(document.metadata["ctxzip"]["compressor"] for document in found)


def test_the_readme_runs_in_llama_index():
    pytest.importorskip("llama_index.postprocessor.ctxzip")
    from llama_index.core import MockEmbedding, VectorStoreIndex
    from llama_index.core.llms import MockLLM
    from llama_index.core.schema import TextNode

    nodes = [TextNode(text=text * 3, id_=str(i)) for i, text in enumerate(CONTEXTS)]
    index = VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=8))
    as_query_engine = index.as_query_engine

    class Index:
        def as_query_engine(self, **arguments: object) -> object:
            return as_query_engine(llm=MockLLM(), **arguments)

    (block,) = (text for _, text in blocks("README.md") if "import CtxzipPostprocessor" in text)
    space: dict[str, object] = {"your_index": Index()}
    python(block, "README.md", space)
    found = space["engine"].query("When was the pump installed?")  # type: ignore[attr-defined]
    assert found.source_nodes


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
    run("ctxzip/compressors/README.md", space)
    count = ctxzip.text.tokens.resolve("o200k_base").count
    whole = count("\n\n".join(CONTEXTS))
    assert 0.25 * whole < count(str(space["text"])) <= 0.33 * whole


@pytest.mark.parametrize("path", [path for path in OTHERS if blocks(path)])
def test_a_page_runs(path: str, place: Path):
    run(path, {})


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_what_a_page_points_at_is_there(path: Path):
    for target, anchor in _LINK.findall(path.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        found = path.parent / target if target else path
        assert found.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor[1:] in slugs, f"{target}{anchor}"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_commands_in_a_page_exist(path: Path):
    for inline, indented in _COMMAND.findall(path.read_text(encoding="utf-8")):
        words = shlex.split((inline or indented).replace("\\\n", " "), comments=True)
        if words[0] == "make":
            assert words[1] in targets(), words
        elif words[0] == "pip":
            for owner, extra in _EXTRA.findall(" ".join(words)):
                folder = ROOT if owner in ("ctxzip", ".") else ROOT / "integrations" / owner
                assert extra in extras(folder), words
        else:
            known_flags(words)


def known_flags(words: list[str]) -> None:
    """Whether the module or script of a command is there and knows its switches."""
    if words[1:3] == ["-m", "pytest"]:
        assert all((ROOT / word).exists() for word in words[3:] if "/" in word), words
        return
    if words[0] == "ctxzip":
        source = ROOT / "ctxzip"
    elif words[1] == "-m":
        source = ROOT / words[2].replace(".", "/")
        source = source if source.is_dir() else source.with_suffix(".py")
    else:
        source = (ROOT / words[1]).parent  # scripts share switches with those beside them
        assert (ROOT / words[1]).exists(), words
    assert source.exists(), words
    files = sorted(source.rglob("*.py")) if source.is_dir() else [source]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    for word in words:
        if word.startswith("--"):
            assert f'"{word.strip("[]")}"' in text, f"{word} of {' '.join(words)}"


def test_the_table_of_peers_is_written_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    before = page("tests/benchmarks/README.md")
    copy = tmp_path / "README.md"
    copy.write_text(before, encoding="utf-8")
    monkeypatch.setattr(peers, "README", copy)
    peers.into_readme("| a new table |")
    after = copy.read_text(encoding="utf-8")
    head, tail = before.partition(peers.BEGIN)[0], before.partition(peers.END)[2]
    assert after.startswith(head)
    assert after.endswith(tail)
    assert "| a new table |" in after
    assert "trimwise" not in after.removeprefix(head).removesuffix(tail)
    assert _LINK.findall(after) == _LINK.findall(before)


def test_the_models_are_those_of_the_table():
    text = page("models/README.md")
    for row in ctxzip.list_compressors():
        assert row.model is None or f"| `{row.name}` | `{row.model}`" in text
    manifest = (ROOT / "models/mini/bundle/manifest.json").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() in text
