from __future__ import annotations

import json
import random
import re
import time

import pytest

from ctxzip.segment.formats import markdown
from ctxzip.segment.tree import Tree
from ctxzip.text.units import Kind
from tests.segment.formats.harness import everything, outputs, tree_of
from tests.segment.formats.outlines import moved, nesting, outline

SUPPORTED = """\
# Aurora Sync

Files of a team, kept the same everywhere.

## Supported

- Windows 11
- macOS 14
- Linux
  - Ubuntu 24.04
  - Fedora

## Not supported

- Windows 7
- macOS 10
- Linux
  - CentOS 6

## Limits

### Free

- 5 GB
- 3 devices

### Paid

- 2 TB
- 3 devices
"""

CHANGELOG = """\
# Changelog

All changes worth a mention. The dates are those of the release.

## [2.1.0] - 2025-06-03

### Added

- Support for Python 3.13 and 3.14.
  No changes of code were needed.

### Removed

- Python 3.7 is not supported anymore.
  [#186](https://example.org/186)

## [2.0.0] - 2024-08-15

### Added

- Support for Python 3.12.

- `check()` also takes bytes. It takes text as before.

### Removed

- Python 3.6 is not supported anymore.

```console
$ git shortlog -sn
     4  Ann Lee
```

[2.1.0]: https://example.org/compare/2.0.0...2.1.0
"""

FAQ = """\
## Is it free?

No.

## Is it open source?

No. The parser is, though.

**Does it run offline?**

Yes.

**Does it phone home?**

No.

Q: Can I resell it?
A: No.

Q: Can I change it?
A: Yes. Tell us.

1. Who owns the data?

You do.

2. Who can read it?

Nobody.
"""

MIXED = """\
---
title: Notes
tags: [a, b]
---

# Install

Use either

    pip install aurora

or a checkout. Then *always* run:

```bash
# this is no heading
make test
```

> [!WARNING]
> Never run it as root. It deletes files.

| Port | Name |
|------|------|
| 80   | http |
| 443  | tls  |

1. First

   With a second paragraph. And one more sentence.

2. Second:

   ```json
   {"stock": 79, "name": "Cedar"}
   ```

Setext
------

The following never worked:

* OS/2
* BeOS

Term
: What it means.

<details>
<summary>More</summary>

Hidden text.

</details>

***

~~~text
done
~~~
"""

DOCUMENTS = [SUPPORTED, CHANGELOG, FAQ, MIXED]


def read(text: str) -> Tree:
    return tree_of(text, markdown.read, markdown.STYLE)


def part(text: str, tree: Tree, words: str) -> int:
    at = text.index(words)
    return next(i for i in range(len(tree)) if tree.start[i] <= at < tree.end[i])


def chain(text: str, words: str) -> list[str]:
    """The parts that the one which holds ``words`` belongs to, the nearest first."""
    tree = read(text)
    at = int(tree.parent[part(text, tree, words)])
    found = []
    while at >= 0:
        found.append(text[tree.start[at] : tree.end[at]].partition("\n")[0])
        at = int(tree.parent[at])
    return found


@pytest.mark.parametrize("text", DOCUMENTS[:3] + DOCUMENTS[4:])
def test_all_of_it_is_the_source(text: str) -> None:
    assert everything(text, markdown.read, markdown.STYLE).strip() == text.strip()


@pytest.mark.parametrize("text", [SUPPORTED, CHANGELOG])
def test_nothing_stands_under_another_heading(text: str) -> None:
    count = 0
    for output in outputs(text, markdown.read, markdown.STYLE):
        assert moved(text, output) == []
        count += bool(outline(output))
    assert count > 100


def test_items_stay_below_their_item() -> None:
    text = "- alpha\n  - beta\n  - delta\n- gamma\n\nText.\n\n  - epsilon\n- zeta\n"
    source = nesting(text)
    for output in outputs(text, markdown.read, markdown.STYLE):
        for item, above in nesting(output).items():
            assert source[item] == above, output


def test_numbers_of_items_stay() -> None:
    text = "Steps:\n\n" + "".join(f"{i}. Step of {word}\n" for i, word in enumerate("abcdefg", 1))
    for output in outputs(text, markdown.read, markdown.STYLE):
        for line in output.split("\n"):
            assert line in text or "…" in line


@pytest.mark.parametrize(
    ("text", "words", "above"),
    [
        (SUPPORTED, "CentOS 6", ["- Linux", "## Not supported", "# Aurora Sync"]),
        (SUPPORTED, "2 TB", ["### Paid", "## Limits", "# Aurora Sync"]),
        (FAQ, "The parser", ["## Is it open source?"]),
        (
            FAQ,
            "A: No.",
            ["Q: Can I resell it?", "## Is it open source?"],
        ),
        (FAQ, "Nobody.", ["2. Who can read it?", "## Is it open source?"]),
        (MIXED, "pip install", ["Use either", "# Install"]),
        (
            MIXED,
            "make test",
            ["# this is no heading", "```bash", "Then *always* run:", "# Install"],
        ),
        (MIXED, "Never run", ["> [!WARNING]", "# Install"]),
        (MIXED, "It deletes", ["> Never run it as root.", "> [!WARNING]", "# Install"]),
        (MIXED, "443", ["| Port | Name |", "# Install"]),
        (MIXED, "And one more", ["1. First", "# Install"]),
        (MIXED, "BeOS", ["The following never worked:", "Setext", "# Install"]),
        (MIXED, "What it", ["Term", "Setext", "# Install"]),
        (MIXED, "Hidden", ["<details>", "Setext", "# Install"]),
    ],
)
def test_what_belongs_to_what(text: str, words: str, above: list[str]) -> None:
    assert chain(text, words) == above


def test_the_same_answer_to_two_questions_is_two_parts() -> None:
    tree = read(FAQ)
    answers = [
        int(tree.parent[i])
        for i in range(len(tree))
        if FAQ[tree.start[i] : tree.end[i]] in ("No.", "A: No.")
    ]
    assert len(answers) == len(set(answers)) == 4
    assert not tree.content[answers].any()
    labels = {tree.labels[i] for i in answers}
    assert labels == {
        "Is it free?",
        "Is it open source?",
        "Does it phone home?",
        "Can I resell it?",
    }


def test_what_only_leads_to_something_is_no_content() -> None:
    tree = read(MIXED)
    heads = ("# Install", "Then *always* run:", "The following", "Term", "***", "| Port", "```bash")
    for words in heads:
        assert not tree.content[part(MIXED, tree, words)], words
    assert tree.content[part(MIXED, tree, "Use either")]
    assert not read("[![CI](a.svg)](b)\n\n# A\n\nText.\n").content[0]


def test_a_text_of_nothing_but_rules_still_has_content() -> None:
    assert read("***\n\n---\n").content.any()


@pytest.mark.parametrize("text", [MIXED, CHANGELOG])
def test_fences_stay_closed(text: str) -> None:
    for output in outputs(text, markdown.read, markdown.STYLE, n=20):
        assert len(re.findall(r"^\s*(?:```|~~~)", output, re.M)) % 2 == 0, output


def test_a_fence_is_read_by_what_is_in_it() -> None:
    text = "Data:\n\n```json\n" + json.dumps({"a": 1, "b": [1, 2]}) + "\n```\n\nEnd.\n"
    tree = read(text)
    fence = part(text, tree, "```json")
    assert tree.kind[tree.last[fence] - 1] == Kind.CLOSER
    assert tree.always[tree.last[fence] - 1]


def test_front_matter_is_closed() -> None:
    for output in outputs(MIXED, markdown.read, markdown.STYLE, n=20):
        assert output.split("\n").count("---") in (0, 2)


def test_a_paragraph_never_becomes_code_or_part_of_an_item() -> None:
    text = "- item\n\nFirst paragraph.\n\n  Indented paragraph.\n\n    make all\n\nLast.\n"
    for output in outputs(text, markdown.read, markdown.STYLE):
        if "Indented" in output or "make" in output:
            assert "First paragraph." in output


def test_broken_text_is_read_to_its_end() -> None:
    for text in (
        "# A\n\n```py\nnever closed\n\n## B\n",
        "<!-- never closed\n\n# A\n\ntext",
        "> > ```\n> x\n\n# A\n\n</details>\n:::\n",
        "| a | b |\n|---|",
        "\x00 # a\r\n- b\r\n- c\r",
        "- " * 3000,
        "#" * 5000 + " x\n- y",
        "[" * 5000 + "\n- a\n- b",
        "\ud800 broken\n\n- a\n- b. c. d\n",
    ):
        assert everything(text, markdown.read, markdown.STYLE).strip() == text.strip()


def _quoted(n: int) -> str:
    return "> ```py\n\n" * n


HOSTILE = {
    "open fences in quotes": _quoted,
    "open comments": lambda n: "<!-- a\n\n" * n,
    "deepening lists": lambda n: "".join(" " * (i % 400) + "- a\n" for i in range(n // 20)),
    "deeper and deeper": lambda n: "".join(" " * i + "- a\n" for i in range(int((n * 8) ** 0.5))),
    "one line of marks": lambda n: "*" * n + "\n- " + "- " * n,
    "brackets": lambda n: "[![" * n + "\n\n- a\n" + "![a](" * n,
    "open tags": lambda n: "<a " * n + "\n<details>\n" * n,
    "tables": lambda n: "| a\n|-|\n" * n,
    "headings": lambda n: "# " + " #" * n + "x\n" + "# a\n" * n,
    "containers": lambda n: "::: a\n" * n + ":::\n" * n,
    "terms": lambda n: "a\n: b\n" * n,
    "nested fences": lambda n: "".join("`" * (90 - i) + "md\n" for i in range(80)) * (n // 500),
    "bold": lambda n: "**a" * n + "\n" + "__ " * n,
}


@pytest.mark.parametrize("shape", HOSTILE)
def test_time_is_linear(shape: str) -> None:
    def seconds(n: int) -> float:
        text = HOSTILE[shape](n)
        begin = time.process_time()
        markdown.fits(text, 0, len(text))
        read(text)
        return (time.process_time() - begin) / max(1, len(text))

    seconds(500)
    small, large = max(seconds(500) for _ in range(2)), min(seconds(4000) for _ in range(2))
    assert large < 4 * small + 4e-6


PROSE = (
    "The harbour was built in 1874. It has two basins; the larger one was added later, in\n"
    "1986. It is used by fishing boats - about forty of them - and by a ferry.\n\n"
    "Is it still in use? Yes. The town pays for it."
)


@pytest.mark.parametrize(
    "text",
    [
        PROSE,
        "# a comment\nkey: value\nother:\n  - 1\n  - 2\n",
        "- name: Cedar\n  stock: 79\n- name: Dogwood\n  stock: 35\n",
        "[tool]\nname = 'x'\n# comment\nage = 3\n",
        "2026-11-03 08:00:08 INFO started\n2026-11-03 08:00:09 ERROR failed\n",
        "--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n-LIMIT = 3\n+LIMIT = 5\n- a\n- b\n",
        "import os\n\n# Settings\n\nLIMIT = 3\n\ndef main():\n    return os.getcwd()\n",
        '{"a": 1,\n "b": [1,\n 2]}\n',
        "name,age\nAnn,3\nBob,4\n",
        "<table>\n<tr><td>1</td></tr>\n</table>\n",
        "NAME   READY   STATUS\nweb-1  1/1     Running\ndb-0   0/1     Error\n",
        "",
        "One line.",
    ],
)
def test_other_texts_are_not_taken(text: str) -> None:
    assert not markdown.fits(text, 0, len(text))


@pytest.mark.parametrize(
    "text",
    [
        *DOCUMENTS,
        "# Title\n\nText.\n",
        "Fruit:\n\n- apple\n- pear\n",
        "Is it free?\nNo.\n\nIs it open?\nNo.\n",
        "Text.\n\n```sh\nls\n```\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n",
        "## Ports\n\n- http: 80\n- https: 443\n",
    ],
)
def test_markdown_is_taken(text: str) -> None:
    assert markdown.fits(text, 0, len(text))


def test_random_documents_keep_items_under_headings() -> None:
    for seed in range(4):
        rng = random.Random(seed)
        lines = []
        for _ in range(14):
            lines.append("#" * rng.randint(1, 4) + f" Part {rng.randint(1, 4)} of {len(lines)}")
            for _ in range(rng.randint(0, 4)):
                value = rng.choice(["yes", "no", "79", "35"])
                lines.append("  " * rng.randint(0, 2) + f"- stock: {value}")
            if rng.random() < 0.5:
                lines += ["", rng.choice(["No.", "Yes. It is.", "Never. Do not."]), ""]
        text = "\n".join(lines)
        for output in outputs(text, markdown.read, markdown.STYLE, n=3, seed=seed):
            assert moved(text, output) == []
