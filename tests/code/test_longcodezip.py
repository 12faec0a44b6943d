"""Source code compressed: what stays is exact, under the ceiling, and still code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import ctxzip
from ctxzip import Document, LongCodeZip, Options
from ctxzip.code.segment import detect, parse
from ctxzip.code.segment.grammar import LANGUAGES, Language

pytest.importorskip("tree_sitter_python")

PACKAGE = Path(ctxzip.__file__).parent
FILES = sorted(PACKAGE.glob("*/*.py"))
QUESTION = "How are overlapping spans of a text merged into one?"
SAMPLES = {
    "javascript": (
        "import a from 'a';\n\nexport function add(x, y) {\n  const sum = x + y;\n"
        "  if (sum > 3) {\n    log(sum);\n    save(sum);\n  }\n  return sum;\n}\n\n"
        "class Box {\n  open() {\n    this.lid = null;\n    return this;\n  }\n\n"
        "  close() {\n    this.lid = 1;\n    return this;\n  }\n}\n\n"
        "const f = async (x) => {\n  await wait(x);\n  return x;\n};\n"
    ),
    "typescript": (
        "interface A {\n  b: string;\n}\n\nexport class C implements A {\n  b = 'x';\n\n"
        "  @log()\n  read(n: number): string {\n    const t: string = this.b.repeat(n);\n"
        "    return t;\n  }\n\n  write(t: string): void {\n    this.b = t;\n    emit(t);\n  }\n}\n"
    ),
    "java": (
        "package a;\n\nimport java.util.List;\n\n/** A pump. */\npublic class Pump {\n"
        "  private int speed;\n\n  @Override\n  public String toString() {\n    int s = speed;\n"
        '    return "pump " + s;\n  }\n\n  public void start(List<Integer> steps) {\n'
        "    for (int step : steps) {\n      speed += step;\n      check(speed);\n    }\n  }\n}\n"
    ),
    "c": (
        "#ifndef A_H\n#define A_H\n#include <stdio.h>\n\n/* adds */\nstatic int add(int a, int b)\n{\n"
        '    int sum = a + b;\n    if (sum) {\n        printf("%d", sum);\n        return 1;\n    }\n'
        "    return sum;\n}\n\nint sub(int a, int b)\n{\n    int d = a - b;\n    return d;\n}\n#endif\n"
    ),
    "cpp": (
        "#include <vector>\nnamespace a {\ntemplate <class T>\nclass Box : public Base {\n public:\n"
        "  int size() const {\n    int n = items.size();\n    return n;\n  }\n};\n"
        "int Box::put(int x) {\n  items.push_back(x);\n  for (auto i : items) {\n    use(i);\n  }\n"
        "  return x;\n}\n}\n"
    ),
    "c#": (
        "using System;\nnamespace A {\n  class Pump {\n    public int Speed {\n      get {\n"
        "        return speed;\n      }\n    }\n\n    public int Start(int x) {\n      int y = x + 1;\n"
        "      Run(y);\n      return y;\n    }\n  }\n}\n"
    ),
    "go": (
        'package a\n\nimport "fmt"\n\n// Add adds.\nfunc Add(x, y int) int {\n\tsum := x + y\n'
        "\tif sum > 3 {\n\t\tfmt.Println(sum)\n\t\tsave(sum)\n\t}\n\treturn sum\n}\n\n"
        "func (b *Box) Open() error {\n\tb.lid = nil\n\treturn nil\n}\n"
    ),
    "rust": (
        "use std::fmt;\n\n#[derive(Debug)]\nstruct A {\n    b: i32,\n}\n\nimpl A {\n    /// Adds.\n"
        "    fn add(&mut self, x: i32) -> i32 {\n        let y = self.b + x;\n        if y > 3 {\n"
        "            self.b = y;\n            log(y);\n        }\n        y\n    }\n\n"
        "    fn sub(&self) -> i32 {\n        let z = 1;\n        self.b - z\n    }\n}\n"
    ),
    "ruby": (
        "require 'set'\n\nclass Pump < Machine\n  # starts it\n  def start(speed)\n"
        "    if speed > 3\n      log(speed)\n      check\n    end\n    @speed = speed\n  end\n\n"
        "  def stop\n    @speed = 0\n    notify\n  end\nend\n"
    ),
    "php": (
        "<?php\nnamespace A;\n\nclass Pump {\n  public function start($speed) {\n"
        "    $this->speed = $speed;\n    if ($speed > 3) {\n      log($speed);\n      check();\n    }\n"
        "    return $speed;\n  }\n\n  function stop() {\n    $this->speed = 0;\n    return 0;\n  }\n}\n"
    ),
    "kotlin": (
        "package a\n\nimport b.c\n\nclass Pump(val max: Int) {\n  var speed = 0\n\n"
        "  fun start(x: Int): Int {\n    speed = x\n    if (x > max) {\n      log(x)\n      check()\n"
        "    }\n    return speed\n  }\n\n  fun stop() {\n    speed = 0\n    log(0)\n  }\n}\n"
    ),
    "bash": (
        "#!/bin/bash\nset -e\n\n# starts it\nstart() {\n  local speed=$1\n"
        '  if [ "$speed" -gt 3 ]; then\n    echo "$speed"\n    check\n  fi\n  run "$speed"\n}\n\n'
        "stop() {\n  run 0\n  log stopped\n}\n\nstart 5\nstop\n"
    ),
}


def language(name: str) -> Language:
    return next(one for one in LANGUAGES if one.name == name)


def lines_left(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip())


@pytest.mark.parametrize("name", SAMPLES)
def test_every_language_is_cut_at_functions_and_covers_its_source(name: str):
    text = SAMPLES[name]
    tree = parse.segment(text, language(name))
    assert tree.parsed
    kinds = [node.kind for node in tree.nodes]
    assert kinds.count("function") >= 2
    covered = sorted(span for i in range(len(tree.nodes)) for span in tree.own(i))
    assert [a for a, _ in covered[1:]] == [b for _, b in covered[:-1]]
    assert "".join(tree.slice(a, b) for a, b in covered) == text
    assert all(node.name for node in tree.nodes if node.kind == "function")
    assert detect.detect(text) == language(name) or name == "typescript"


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("ratio", [0.4, 0.6, 0.8])
@pytest.mark.parametrize("signatures", [False, True])
def test_what_is_left_has_no_new_syntax_errors(name: str, ratio: float, signatures: bool):
    text = SAMPLES[name]
    document = Document(text, id=f"a{language(name).extensions[0]}")
    compressor = ctxzip.load("longcodezip", settings=LongCodeZip(keep_signatures=signatures))
    result = ctxzip.compress([document], ratio, query="stop the pump", compressor=compressor)
    assert result.tokens_after <= result.ceiling
    assert parse.errors(result.text, language(name)) == 0
    inserted = [s for s in result.segments if s.source_start < 0]
    for start, end, _, _ in inserted:
        assert "..." in result.text[start:end] or ":  #" in result.text[start:end]


def test_python_parses_and_markers_count_the_lines():
    documents = [Document(p.read_text("utf-8"), id=p.name) for p in FILES[:12]]
    for ratio in (0.1, 0.3, 0.6):
        result = ctxzip.compress(documents, ratio, query=QUESTION, compressor="longcodezip")
        assert 0.8 * result.ceiling < result.tokens_after <= result.ceiling
        for document in result.documents:
            ast.parse(document.text)
    one = ctxzip.compress(documents[:1], 0.3, query=QUESTION, compressor="longcodezip")
    marked = sum(
        int(line.split("#")[1].split()[0])
        for line in one.text.splitlines()
        if line.strip().startswith("...  # ")
    )
    total = documents[0].text.count("\n")
    blank = total - lines_left(documents[0].text)
    kept = sum(s.end - s.start > 0 and one.text[s.start : s.end].count("\n") for s in one.segments
               if s.source_start >= 0)  # fmt: skip
    assert total - blank <= marked + kept <= total


def test_the_function_that_is_asked_for_survives_whole():
    text = (PACKAGE / "text" / "spans.py").read_text("utf-8")
    layout = (PACKAGE / "segment" / "layout.py").read_text("utf-8")
    documents = [Document(text, id="spans.py"), Document(layout, id="layout.py")]
    result = ctxzip.compress(documents, 0.4, query=QUESTION, compressor="auto")
    assert result.compressor == "longcodezip"
    start = text.index("def merge(")
    whole = text[start : text.index("\n\n\n", start)]
    assert whole in result.text


def test_signatures_of_what_is_called_stay_as_stubs():
    text = (
        "import math\nimport os\n\n\ndef area(radius):\n"
        '    """The area of a disc.\n\n    More about it, which nobody needs to know here.\n    """\n'
        "    if radius < 0:\n        raise ValueError(radius)\n    square = radius * radius\n"
        "    return math.pi * square\n\n\ndef volume(radius, height):\n"
        "    # the cylinder's volume\n    base = area(radius)\n    return base * height\n\n\n"
        "def unrelated(names):\n    for name in names:\n        print(name, len(name), name * 2)\n"
        "        print(sorted(name), os.path.join(name, name))\n    return None\n"
    )
    compressor = ctxzip.load("longcodezip", settings=LongCodeZip(keep_signatures=True, fine=False))
    result = ctxzip.compress(
        [Document(text, id="a.py")], 0.62, query="volume of a cylinder", compressor=compressor
    )
    assert "def volume(radius, height):\n    # the cylinder's volume" in result.text
    assert 'def area(radius):\n    """The area of a disc."""\n    ...' in result.text
    assert "import math" in result.text
    ast.parse(result.text)


def test_unknown_and_broken_files_go_by_indentation_and_the_result_says_so():
    lua = "-- adds\nfunction add(a, b)\n  local c = a + b\n  return c\nend\n\n" * 6
    result = ctxzip.compress(
        [Document(lua, id="a.lua")], 0.5, query="add", compressor="longcodezip"
    )
    assert "-- ... " in result.text
    broken = "def f(:\n    x = = 1\n)))\nclass : :\n  return ]\n" * 8
    result = ctxzip.compress(
        [Document(broken, id="b.py")], 0.5, query="f", compressor="longcodezip"
    )
    assert any("indentation" in note for note in result.notes)
    assert result.tokens_after <= result.ceiling


def test_protected_lines_stay_and_a_ceiling_below_them_says_so():
    text = (PACKAGE / "select" / "search.py").read_text("utf-8")
    document = Document(text, id="search.py")
    wanted = "order = order[candidates.eligible[order] & ~selected[order]]"
    for tokens in (60, 400):
        result = ctxzip.compress(
            [document],
            target_tokens=tokens,
            query="fit",
            options=Options(protect=[wanted]),
            compressor="longcodezip",
        )
        assert result.text.count(wanted) == text.count(wanted)
    with pytest.raises(ctxzip.BudgetError, match="at least"):
        ctxzip.compress(
            [document],
            target_tokens=10,
            options=Options(protect=[wanted]),
            compressor="longcodezip",
        )


def test_code_and_prose_share_one_budget():
    prose = "The retry delay doubles after every attempt. The pump in hall 3 is new. " * 30
    documents = [
        Document(prose, id="guide"),
        Document((PACKAGE / "api" / "guard.py").read_text("utf-8"), id="guard.py"),
        Document("Nothing of interest is said in here. " * 30),
    ]
    for name in ("auto", "longcodezip"):
        result = ctxzip.compress(
            documents, target_tokens=500, query="How long is a time-out?", compressor=name
        )
        assert result.tokens_after <= 500
        assert [d.source for d in result.documents] == documents
        assert "longcodezip" in result.compressor
        assert "2 are not" in result.path[0]
        at = 0
        for start, end, document, source in result.segments:
            assert start == at
            at = end
            if source >= 0:
                piece = documents[document].text[source : source + end - start]
                assert piece == result.text[start:end]
        assert at == len(result.text)


def test_a_fenced_file_is_code_and_its_fence_stays_closed():
    text = (PACKAGE / "select" / "search.py").read_text("utf-8")
    fenced = f"# The selection\n\nIt is here.\n\n```python\n{text}```\n"
    result = ctxzip.compress(fenced, 0.3, query="fit the ceiling")
    assert result.compressor == "longcodezip"
    assert result.text.count("```") == 2
    ast.parse(result.text.split("```python\n")[1].split("```")[0])


def test_a_longer_question_or_none_works_and_a_threshold_is_refused():
    document = Document((PACKAGE / "api" / "events.py").read_text("utf-8"), id="events.py")
    for query in (None, "", "  ", "where " * 3000, "東京", "<|endoftext|>"):
        result = ctxzip.compress([document], 0.3, query=query, compressor="longcodezip")
        assert 0 < result.tokens_after <= result.ceiling
    with pytest.raises(ctxzip.InputError, match="longcodezip"):
        ctxzip.compress([document], threshold=0.5, query="a", compressor="longcodezip")


def test_mini_and_words_together():
    text = (PACKAGE / "text" / "spans.py").read_text("utf-8")
    compressor = ctxzip.load("longcodezip", settings=LongCodeZip(scorer="mini"))
    result = ctxzip.compress([Document(text, id="r.py")], 0.35, query=QUESTION,
                             compressor=compressor)  # fmt: skip
    assert "mini" in result.path[-1]
    assert 0 < result.tokens_after <= result.ceiling
    words = ctxzip.compress([Document(text, id="r.py")], 0.35, query=QUESTION,
                            compressor="longcodezip")  # fmt: skip
    scores = [[unit.score for unit in r.documents[0].units] for r in (result, words)]
    assert scores[0] != scores[1]


def test_a_minified_file_is_compressed_as_text_and_says_so():
    text = "var a=1;" + " ".join(f"function f{i}(x){{return x+{i}}};" for i in range(300))
    result = ctxzip.compress(
        [Document(text, id="one.js")], 0.3, query="f7", compressor="longcodezip"
    )
    assert 0 < result.tokens_after <= result.ceiling
    assert any("as text" in note for note in result.notes)
