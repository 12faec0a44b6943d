from __future__ import annotations

import pytest

from ctxzip.segment.formats import snippet, table
from ctxzip.segment.formats.inner import depth, inner
from ctxzip.segment.tree import Builder, Tree
from ctxzip.text.units import Kind
from tests.segment.formats.harness import everything, outputs, tree_of

PYTHON = """\
import os

def load(path):
    if path:
        return open(path)
    else:
        raise ValueError(path)

    # never reached
    return None

class Store:
    size = 3

    def close(self):
        self.size = 0
"""
BRACES = """\
function load(path) {
  if (path) {
    return open(path);
  } else {
    fail();
  }
}

load("a");
"""


def above(text: str, words: str) -> list[str]:
    tree = tree_of(text, snippet.read)
    at = next(i for i in range(len(tree)) if text.index(words) < tree.end[i])
    found = []
    while (at := int(tree.parent[at])) >= 0:
        found.append(text[tree.start[at] : tree.end[at]])
    return found


def test_a_line_belongs_to_the_one_that_is_indented_less() -> None:
    assert above(PYTHON, "return open") == ["if path:", "def load(path):"]
    assert above(PYTHON, "raise") == ["else:", "if path:", "def load(path):"]
    assert above(PYTHON, "return None") == ["# never reached", "def load(path):"]
    assert above(PYTHON, "self.size") == ["def close(self):", "class Store:"]
    assert above(BRACES, "fail") == ["} else {", "if (path) {", "function load(path) {"]


@pytest.mark.parametrize("text", [PYTHON, BRACES])
def test_code_is_cut_by_lines_with_what_they_stand_in(text: str) -> None:
    assert everything(text, snippet.read).strip() == text.strip()
    for output in outputs(text, snippet.read, snippet.style("python"), n=20):
        lines = [line for line in output.split("\n") if line.strip() and "…" not in line]
        assert set(lines) <= set(text.split("\n"))
        assert all(line.lstrip().startswith("# … ") for line in output.split("\n") if "…" in line)
        if text is BRACES:
            assert output.count("{") == output.count("}")
        else:
            heads = [x for x in lines if x.endswith(":")]
            assert all((x != "    else:") or "    if path:" in lines for x in heads)


def test_a_line_without_end_is_divided() -> None:
    text = "word, " * 2000
    tree = tree_of(text, snippet.read)
    assert len(tree) > 5
    assert (tree.end - tree.start).max() <= 1500


def test_formats_are_found_by_name_and_by_content() -> None:
    markdown = "# A\n\n- b\n"
    found = table.find(markdown, 0, len(markdown))
    assert found is not None
    assert found.name == "markdown"
    cue = "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n"
    found = table.find(cue, 0, len(cue), "vtt")
    assert found is not None
    assert found.name == "subtitles"
    assert table.find("Plain words.", 0, 12) is None
    names = [row.name for row in table.FORMATS]
    assert len(names) == len(set(names))


def nested(text: str, start: int, end: int, hint: str) -> tuple[str, Tree]:
    out = Builder(text)
    head = out.add(0, 4, Kind.HEAD, content=False)
    name = inner(out, start, end, head, hint)
    assert depth(out, len(out.start) - 1) >= 1
    return name, out.tree("test")


def test_what_lies_inside_is_read_in_the_offsets_of_the_whole() -> None:
    text = "head\n# A\n\n- b\n- c\n\ntail"
    name, tree = nested(text, 5, 18, "md")
    assert name == "markdown"
    kept = [text[tree.start[i] : tree.end[i]] for i in range(len(tree))]
    assert kept == ["head", "# A", "- b", "- c"]
    name, tree = nested("head\nx = 1\n", 5, 11, "python")
    assert name == "snippet"
    assert tree.styles[int(tree.style[0])].prefix == "# "
    assert inner(Builder("  \n"), 0, 3, -1) == ""


def test_nothing_is_dropped_from_what_is_shown() -> None:
    out = Builder("a  b  c  d")
    out.add(0, 10, Kind.LINE)
    out.drop(1, 2)
    out.keep(3, 6)
    out.drop(4, 5)
    out.drop(7, 8)
    assert out.tree("test").noise.tolist() == [[1, 2], [7, 8]]
    page = "<p>\n  <b>x</b>\n</p>\n"
    out = Builder(page)
    assert inner(out, 0, len(page), -1, "html", code=True) == "snippet"


def test_formats_inside_formats_end_somewhere() -> None:
    text = "".join("`" * (300 - i) + "md\n" for i in range(290)) + "deep\n"
    out = Builder(text)
    assert inner(out, 0, len(text), -1, "md") == "markdown"
    assert max(depth(out, i) for i in range(len(out.start))) < 120
