from __future__ import annotations

import re

import pytest

from ctxzip.segment.formats import log, shell
from ctxzip.segment.tree import Builder
from tests.segment.formats.checks_lines import kept_lines, numbers, under
from tests.segment.formats.harness import everything, outputs

SESSION = """\
$ cat limits.cfg
LIMIT = 3
RETRIES = 2
$ cd shop
$ cat limits.cfg \\
    | sort
LIMIT = 5
RETRIES = 2
ann@box:~/shop$ exit
"""


def lines_only(out: Builder, start: int, end: int, parent: int, hint: str) -> bool:
    return False


def read(out: Builder, start: int, end: int) -> bool:
    return shell.read(out, start, end, inner=lines_only)


def test_output_stands_below_its_command() -> None:
    assert shell.fits(SESSION, 0, len(SESSION))
    assert kept_lines(everything(SESSION, read)) == kept_lines(SESSION)
    prompt = re.compile(r"\$ |ann@|    \|")
    known = set(under(SESSION, prompt))
    for output in outputs(SESSION, read):
        numbers(SESSION, output)
        assert set(under(output, prompt)) <= known


def test_output_is_read_by_what_it_is() -> None:
    text = "$ tail app.log\n2026-11-03 08:00:00 ERROR gone\n  at a.b\n2026-11-03 08:00:01 INFO ok\n"

    def inner(out: Builder, start: int, end: int, parent: int, hint: str) -> bool:
        return log.read(out, start, end, parent)

    out = Builder(text)
    assert shell.read(out, 0, len(text), inner=inner)
    tree = out.tree("shell")
    assert tree.parent.tolist() == [-1, 0, 1, 0]


def test_a_command_without_output_says_something_by_itself() -> None:
    out = Builder(SESSION)
    read(out, 0, len(SESSION))
    said = dict(zip(out.labels, out.content, strict=True))
    assert said["cd shop"]
    assert not said["cat limits.cfg"]


@pytest.mark.parametrize(
    "text",
    [
        "root@box:/app# df -h\nFilesystem Size\n",
        "PS C:\\app> dir\n a.txt\n",
        "C:\\app> dir\n a.txt\n",
        "(venv) $ pytest\nok\n",
        "❯ ls\na\n",
    ],
)
def test_prompts_are_known(text: str) -> None:
    assert shell.fits(text, 0, len(text))


@pytest.mark.parametrize(
    "text",
    [
        "$ 100 is a lot of money.\nIt is.\n",
        "% 12 of them\n",
        "# Title\n\nText.\n",
        "> quoted\n> text\n",
        "It costs $ 5.\n",
        "",
    ],
)
def test_other_text_is_not_taken(text: str) -> None:
    assert not shell.fits(text, 0, len(text))
