from __future__ import annotations

import re
import time

import pytest

from ctxzip.segment.formats import grep
from ctxzip.segment.tree import Builder
from tests.segment.formats.checks_lines import is_mark, kept_lines, numbers, under
from tests.segment.formats.harness import everything, outputs

GREP = """\
src/cart.py-11-def total(items):
src/cart.py:12:    return sum(items)
--
src/names.py:12:    return sum(items)
src/names.py-13-
Binary file data/x.bin matches
"""
HEADING = """\
src/cart.py
12:    return sum(items)
13-    # the end

src/names.py
12:    return sum(names)
40:LIMIT = 3
"""
PATHS = "src/app/module10/handler_10.ts\nsrc/app/module11/handler_11.ts\n"
LISTING = "./src:\ncart.py\nnames.py\nlib\n\n./src/lib:\ncart.py\n"
STATUS = " M src/cart.py\nM  src/names.py\n?? notes.txt\nR  a.py -> b.py\n"
STAT = " src/cart.py | 12 ++--\n x.bin | Bin 0 -> 12 bytes\n 2 files changed, 3 insertions(+)\n"
TREE = """\
.
├── src
│   ├── cart.py
│   └── lib
│       └── cart.py
├── test
│   └── cart.py
└── README.md

3 directories, 4 files
"""
ALL = {
    "grep": GREP,
    "heading": HEADING,
    "paths": PATHS,
    "ls -R": LISTING,
    "status": STATUS,
    "stat": STAT,
    "tree": TREE,
}


@pytest.mark.parametrize("text", ALL.values(), ids=ALL)
def test_lists_are_known_and_kept_in_order(text: str) -> None:
    assert grep.fits(text, 0, len(text))
    assert kept_lines(everything(text, grep.read)) == kept_lines(text)
    for output in outputs(text, grep.read, n=20):
        numbers(text, output)


@pytest.mark.parametrize(
    ("text", "head"),
    [(HEADING, re.compile(r"src/\S+$")), (LISTING, re.compile(r"\./.*:$"))],
)
def test_what_is_listed_stands_below_its_own_head(text: str, head: re.Pattern[str]) -> None:
    known = set(under(text, head))
    for output in outputs(text, grep.read, n=40):
        assert set(under(output, head)) <= known


def paths_of(text: str) -> list[str]:
    """The full path of every entry of a drawn tree, by the column of its name."""
    path: list[tuple[int, str]] = []
    found = []
    for line in text.split("\n"):
        if not line.strip() or is_mark(line) or line[:1].isdigit():
            continue
        name = re.sub(r"^[│├└─\s]*", "", line)
        column = len(line) - len(name)
        path = [pair for pair in path if pair[0] < column]
        path.append((column, name))
        found.append("/".join(name for _, name in path))
    return found


def test_a_drawn_tree_keeps_directories() -> None:
    known = set(paths_of(TREE))
    assert "./src/lib/cart.py" in known
    for output in outputs(TREE, grep.read, n=60):
        assert set(paths_of(output)) <= known


@pytest.mark.parametrize(
    "text",
    [
        "The file src/cart.py is long. See src/names.py too.\n",
        "name: shop\nversion: 1.2\nfiles:\n  - a.py\n",
        "# Title\n\n- src/a.py\n- src/b.py\n",
        "key.one=3\nkey.two=4\n",
        "import os\nimport sys\n",
        "yes\nno\n",
        "a | b\n--|--\n1 | 2\n",
        "https://example.org/a\n",
        "2026-11-03 08:00:00 INFO a/b\n",
        "",
    ],
)
def test_other_text_is_not_taken(text: str) -> None:
    assert not grep.fits(text, 0, len(text))


def test_deep_trees_are_bounded() -> None:
    text = "".join("│   " * i + "└── d\n" for i in range(1500))
    out = Builder(text)
    assert grep.read(out, 0, len(text))
    tree = out.tree("grep")
    depth = [0] * len(tree)
    for i, parent in enumerate(tree.parent.tolist()):
        depth[i] = depth[parent] + 1 if parent >= 0 else 0
    assert max(depth) <= 200


@pytest.mark.parametrize("unit", [*ALL.values(), "a/", "a-1-", "├── a\n│   ", "a.py:", "\\"])
def test_time_is_linear(unit: str) -> None:
    def seconds(n: int) -> float:
        text = unit * n
        began = time.process_time()
        grep.fits(text, 0, len(text))
        grep.read(Builder(text), 0, len(text))
        return time.process_time() - began

    n = max(1, 10_000 // len(unit))
    assert min(seconds(8 * n), seconds(8 * n)) < 24 * max(seconds(n), 0.002)
