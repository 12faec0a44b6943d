"""The command line; as a process where streams, signals or the locale are what is tested."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.command import called, line, started

TEXT = (
    "The night shift replaced valve V-221 on 3 May 2021 after a leak. The cafeteria opens at noon. "
    "Paint is blue. The manual is kept in cabinet 7. Visitors receive a yellow badge at the gate.\n"
)
QUERY = "When was the valve replaced?"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_text_to_stdout_and_a_summary_to_stderr(file):
    arguments = ("compress", file, "--query", QUERY, "--ratio", 0.4)
    for run in (called(*arguments), started(*arguments)):
        assert run.returncode == 0
        assert "3 May 2021" in run.stdout
        assert "Paint" not in run.stdout
        assert run.stderr.count("\n") == 1
        assert "tokens" in run.stderr


def test_standard_input_is_the_default_and_a_dash_means_it():
    plain = called("compress", "-q", QUERY, "-t", 20, stdin=TEXT)
    dash = called("compress", "-", "-q", QUERY, "-t", 20, stdin=TEXT)
    assert plain.returncode == 0
    assert plain.stdout == dash.stdout != ""


def test_several_files_share_the_budget_and_json_tells_all(file, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("It rained. It snowed all week long.\n", encoding="utf-8")
    run = called("compress", file, other, "-q", QUERY, "-t", 20, "--json")
    result = json.loads(run.stdout)
    assert result["tokens_after"] <= 20
    assert [d["id"] for d in result["documents"]] == [str(file), str(other)]
    for document, source in zip(result["documents"], (file, other), strict=True):
        text = source.read_text(encoding="utf-8")
        assert "".join(text[a:b] for a, b in document["kept"]) == document["text"]


def test_unicode_passes_through_whatever_the_locale(file):
    file.write_text("Größe: 5 µm. 东京的天气很好。 🙂 fertig.\n", encoding="utf-8")
    other = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    run = started("compress", file, "-r", "1", env={**os.environ, **other})
    assert run.stdout == file.read_text(encoding="utf-8")


def test_protect_and_keep_tags(file):
    run = called("compress", file, "-t", 15, "-q", QUERY, "--protect", "cabinet 7")
    assert "cabinet 7" in run.stdout
    run = called(
        "compress",
        "-t",
        15,
        "--keep-tags",
        stdin=TEXT.replace("Paint is blue.", "<keep>Paint is blue.</keep>"),
    )
    assert "Paint is blue." in run.stdout
    assert "keep>" not in run.stdout


def test_output_is_written_whole_or_not_at_all(file, tmp_path):
    target = tmp_path / "out.txt"
    assert called("compress", file, "-o", target).returncode == 0
    written = target.read_text(encoding="utf-8")
    assert written.strip()
    run = called("compress", file, "-t", 1, "--protect", "cabinet 7", "-o", target)
    assert run.returncode == 1
    assert target.read_text(encoding="utf-8") == written
    run = called("compress", file, "-o", tmp_path / "missing" / "out.txt")
    assert run.returncode == 1
    assert "cannot be written" in run.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log.txt", "out.txt"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["compress", "no-such-file.txt"], 1, "no-such-file.txt cannot be read"),
        (["compress", "no-such-*.py"], 1, "matches no file"),
        (["compress", "--ratio", "0"], 1, "ratio=0.0"),
        (["compress", "--ratio", "x"], 2, "invalid float"),
        (["compress", "--ratio", "1", "--target-tokens", "3"], 2, "not allowed with"),
        (["compress", "-c", "lexicl"], 1, "Nearest: lexical"),
        (["compress", "--tokenizer", "gpt-9x"], 1, "gpt-9x"),
        (["compress", "-c", "lexical", "--threshold", "0.5"], 1, "calibrated"),
        (["compress", "-t", "1", "--protect", "cabinet 7"], 1, "at least"),
        ([], 2, "COMMAND"),
        (["squeeze"], 2, "invalid choice"),
    ],
)
def test_wrong_usage_ends_with_one_clear_line(arguments, code, says):
    run = called(*arguments, stdin=TEXT)
    assert run.returncode == code
    assert says in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


@pytest.mark.parametrize(
    ("run", "data"), [(started, b"\x89PNG\r\n\x1a\n\x00\xff\xfe"), (called, b"abc\x00def")]
)
def test_a_binary_file_is_refused(tmp_path, run, data):
    path = tmp_path / "image.png"
    path.write_bytes(data)
    found = run("compress", path)
    assert found.returncode == 1
    assert "image.png is" in found.stderr
    assert "Traceback" not in found.stderr


def test_empty_input_gives_empty_output():
    run = called("compress")
    assert (run.returncode, run.stdout) == (0, "")


def test_a_pipe_closed_early_is_no_error(file):
    file.write_text(TEXT * 20_000, encoding="utf-8")
    compress = f"{sys.executable} -m ctxzip compress {file} -r 0.9 -c lexical"
    command = f"{compress} | head -c 10; exit ${{PIPESTATUS[0]}}"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert run.returncode == 0
    assert len(run.stdout) == 10
    assert "Traceback" not in run.stderr
    assert "BrokenPipe" not in run.stderr


def test_ctrl_c_ends_cleanly():
    process = subprocess.Popen(
        line("compress"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Whoever runs these tests in the background hands down that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    time.sleep(1.5)  # it waits for standard input now
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == b""
    assert b"interrupted" in err
    assert b"Traceback" not in err


def test_compressors_are_listed():
    run = called("compressors")
    assert run.returncode == 0
    assert "lexical" in run.stdout
    assert "ready" in run.stdout


def test_help_shows_examples():
    run = called("compress", "--help")
    assert run.returncode == 0
    assert "examples:" in run.stdout
