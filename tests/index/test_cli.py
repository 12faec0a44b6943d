"""``ctxzip corpus index`` as a stranger would use it."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ctxzip.cli import main
from ctxzip.index import SentenceIndex

pytest.importorskip("faiss")

ROWS = [
    {"id": 1, "title": "Pumps", "text": "The pump was installed in May 2019. It is blue."},
    {"id": 2, "text": "Roads were closed overnight. 道路关闭。 🚀"},
    {"id": 3, "text": ""},
]


def lines(path: Path, rows: list[object]) -> Path:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.fixture
def passages(tmp_path: Path) -> Path:
    return lines(tmp_path / "passages.jsonl", list(ROWS))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "passages.index"


def index(*arguments: object) -> int:
    return main(["corpus", "index", *map(str, arguments)])


def test_from_a_file_to_an_answer(
    passages: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert index(passages, "-o", output) == 0
    said = capsys.readouterr()
    assert "3 documents, 3 passages" in said.out
    assert "2.0 times less than float32" in said.out
    assert "3 passages embedded, 0 removed" in said.err
    assert index("-o", output) == 0
    assert "3 documents, 3 passages" in capsys.readouterr().out
    text = tmp_path / "retrieved.txt"
    text.write_text(ROWS[1]["text"])
    ask = ["compress", str(text), "--index", str(output), "-q", "Which roads?", "-r", "0.6"]
    assert main(ask) == 0
    said = capsys.readouterr()
    assert "Roads were closed" in said.out
    assert "not in the index" not in said.err
    text.write_text("Something else. Not known here.")
    assert main(ask) == 0
    assert "1 of 1 passages are not in the index" in capsys.readouterr().err


def test_again_with_more_and_less(passages: Path, output: Path, tmp_path: Path, capsys):
    assert index(passages, "-o", output) == 0
    more = lines(tmp_path / "more.jsonl.gz", [ROWS[0], {"id": 4, "text": "A valve. It leaks."}])
    assert index(more, "-o", output) == 0
    assert "1 passage embedded, 0 removed" in capsys.readouterr().err
    assert SentenceIndex.load(output).documents == 4
    assert index(more, "-o", output, "--sync") == 0
    assert SentenceIndex.load(output).documents == 2
    assert index("-o", output, "--delete", "4", "--delete", "nobody") == 0
    assert "1 of 2 ids deleted" in capsys.readouterr().err
    assert SentenceIndex.load(output).documents == 1
    assert index("-o", output, "--delete", "1") == 0
    assert index(more, "-o", output) == 0
    assert index(passages, "-o", output, "--storage", "int8") == 1
    assert "--rebuild" in capsys.readouterr().err
    assert index(passages, "-o", output, "--storage", "int8", "--rebuild") == 0
    assert SentenceIndex.load(output).storage == "int8"


def test_folders_and_columns(output: Path, tmp_path: Path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    corpus = tmp_path / "corpus"
    corpus.mkdir()
    table = arrow.table({"body": ["One pump. It hums.", "Two valves."], "key": ["p", "v"]})
    parquet.write_table(table, corpus / "part.parquet")
    lines(corpus / "part.jsonl", [{"key": "h", "body": "A hose. It is red."}])
    given = (corpus, "--text-field", "body", "--id-field", "key", "-o", output)
    assert index(*given) == 0
    assert sorted(SentenceIndex.load(output)._entries.ids()) == ["h", "p", "v"]


def test_faulty_records_are_left_out_and_counted(output: Path, tmp_path: Path, capsys):
    path = tmp_path / "faulty.jsonl"
    rows = [b'{"text": "Good text. Really."}', b"{", b'{"id": 7}', b"[1]", b'"text"',
            b'{"text": "\\ud800"}', b'{"text": "caf\xe9"}', b'{"text": 5}']  # fmt: skip
    path.write_bytes(b"\n".join(rows))
    assert index(path, "-o", output, "--strict") == 3
    said = capsys.readouterr()
    assert "1 document, 1 passage, 2 sentences" in said.out
    assert "faulty.jsonl, record 2:" in said.err
    assert "and 2 more faulty records" in said.err
    assert index(path, "-o", output) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.jsonl"], "does not exist"),
        (["corpus.xyz"], "no known format"),
        (["nothing.jsonl"], "No passage"),
        (["nothing.jsonl", "--text-field", "no"], "--text-field"),
        (["binary.txt"], "No passage"),
        (["cut.jsonl.gz"], "No passage"),
        ([], "no index"),
        (["some.jsonl", "--model", "nobody/has-this-model"], "has-this-model"),
        (["some.jsonl", "--storage", "pca8"], "at least 384 sentences"),
        (["some.jsonl", "--components", "9"], "pca8"),
    ],
)
def test_what_cannot_work(
    arguments: list[str], message: str, output: Path, tmp_path: Path, capsys, monkeypatch
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "corpus.xyz").write_text("x")
    (tmp_path / "nothing.jsonl").write_text("\n")
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"text": "One."}\n' * 99)[:-20])
    lines(tmp_path / "some.jsonl", list(ROWS))
    given = [str(tmp_path / a) if "." in a else a for a in arguments]
    assert index(*given, "-o", output) == 1
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_a_place_that_cannot_be_written_is_known_before_the_work(
    passages: Path, tmp_path: Path, capsys, monkeypatch
):
    monkeypatch.setattr(SentenceIndex, "add", None)
    (tmp_path / "file").write_text("")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    for output in ("file", "file/below", "mine"):
        assert index(passages, "-o", tmp_path / output) == 1
        assert capsys.readouterr().err.startswith("ctxzip: ")


@pytest.mark.skipif(os.name == "nt", reason="SIGINT")
def test_ctrl_c_keeps_what_is_done(output: Path, tmp_path: Path):
    rows = [{"id": i, "text": f"Pump {i} hums. " + "Nobody knows. " * 200} for i in range(3000)]
    path = lines(tmp_path / "many.jsonl", list(rows))
    script = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from ctxzip.cli import main\n"
        "from ctxzip.index import sentences\n"
        "from tests.index.test_folder import Lengths\n"
        "sentences.load_embedder = lambda *_: Lengths()\n"
        f"sys.exit(main(['corpus', 'index', {str(path)!r}, '-o', {str(output)!r}]))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "document" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130, said
    assert "run the same command again" in said
    assert 0 < SentenceIndex.load(output).documents < 3000
