"""Does a shortened text state only what its source states? Over data that other parsers read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from ctxzip.segment.tree import Builder
from tests.segment.formats.harness import outputs, tree_of

HOSTILE = {
    "brackets": "[",
    "objects": '{"a":',
    "broken objects": '{"a": 1}\n{"b": \n',
    "quotes": 'a: "\n',
    "apostrophes": "a: '\n",
    "flow": "a: [\n",
    "blocks": "a: |\n",
    "dashes": "- ",
    "strings": 'a = """\n',
    "arrays": "a = [\n",
    "tables": "[[a.b]]\nx = 1\n",
    "backslashes": "a = \\\n",
    "carriage returns": "a: b\r",
    "nul": "a: \0\n",
    "calls": "f(x=",
    "anchors": "a: *x\nb: &x\n",
    "cards": "A: b\nC: d\n\n",
    "comments": "# x\n",
    "blanks": " \n",
}


def part(source: Any, output: Any, *, cut: bool = False) -> bool:  # noqa: PLR0911
    """Whether data is what is left of other data: nothing new, nothing in another place.

    Args:
        source: what the source says.
        output: what is left.
        cut: whether long strings may be shortened to some of their lines and sentences.
    """
    if isinstance(output, dict):
        return isinstance(source, dict) and all(
            key in source and part(source[key], value, cut=cut) for key, value in output.items()
        )
    if isinstance(output, list | tuple):
        if type(source) is not type(output):
            return False
        rest = iter(source)
        return all(any(part(one, value, cut=cut) for one in rest) for value in output)
    if output is None:  # a key of whose value nothing is left
        return source is None or isinstance(source, dict | list)
    if isinstance(output, str) and isinstance(source, str):
        if output.strip() == source.strip():  # a block at the end of a text ends without a line
            return True
        words = iter(source.split())
        return cut and len(source) > 100 and all(word in words for word in output.split())
    return type(source) is type(output) and bool(source == output)


def left(
    reader: ModuleType, text: str, load: Callable[[str], Any], *, cut: bool = False, n: int = 15
) -> Iterator[Any]:
    """What the outputs of many selections say, checked against the source."""
    source = load(text)
    for output in outputs(text, reader.read, reader.STYLE, n=n):
        try:
            got = load(output)
        except Exception as error:
            raise AssertionError(f"does not parse: {error}\n{output}") from error
        assert part(source, got, cut=cut), f"the source does not say this:\n{output}"
        yield got


def assert_covers(reader: ModuleType, text: str, between: str = "") -> None:
    """Every character that is not blank belongs to a part, is noise, or stands between parts."""
    tree = tree_of(text, reader.read, reader.STYLE)
    free = bytearray(b"\1" * len(text))
    for start, end in [*zip(tree.start.tolist(), tree.end.tolist(), strict=True), *tree.noise]:
        free[start:end] = bytes(end - start)
    loose = {c for c, is_free in zip(text, free, strict=True) if is_free and not c.isspace()}
    assert loose <= set(between), f"in no part: {loose}"
    for start, end in zip(tree.start.tolist(), tree.end.tolist(), strict=True):
        assert text[start:end] == text[start:end].strip(), "a part begins and ends with a character"


def assert_survives(reader: ModuleType, hint: str) -> None:
    """Any text gives a tree or none, and eight times the text takes about eight times as long."""
    for name, unit in HOSTILE.items():
        taken = []
        for size in (2_000, 16_000):
            text = unit * (size // len(unit))
            start = time.process_time()
            out = Builder(text, reader.STYLE)
            reader.fits(text, 0, len(text), hint)
            if reader.read(out, 0, len(text)):
                out.tree("test")
            else:
                assert not out.start, f"{name}: refused, but parts were added"
                assert not out.noise
                assert not out.noises
            taken.append(time.process_time() - start)
        assert taken[1] < max(0.5, 25 * taken[0]), f"{name}: {taken}"


NOT_DATA = {
    "prose": "The council met on Monday. It was decided: nothing changes.\n\nAnother paragraph.\n",
    "markdown": "# Title\n\nSome text:\n\n- Windows\n- Linux: yes\n\n[link](https://x.org)\n",
    "footnote": "[1] Smith et al., 2019. A study.\n[2] Jones, 2020.\n",
    "log": "2026-01-01 10:00:00 INFO web: started\n2026-01-01 10:00:01 WARN web: slow\n",
    "bracket log": "[2026-01-01 10:00:00] INFO: started\n[2026-01-01 10:00:02] WARN: slow\n",
    "python": "def f(x):\n    if x:\n        return {'a': 1}\n    else:\n        pass\n",
    "css": "a {\n  color: red;\n}\nb {\n  color: blue;\n}\n",
    "chat": "Ann: hello there\nBob: hi\nAnn: how are you?\nBob: fine\nAnn: good\n",
    "faq": "Q: What is it?\nA: A tool.\n\nQ: Does it work?\nA: Yes.\n",
    "csv": "id,name,city\n1,Ann,Rome\n2,Bob,Oslo\n",
    "diff": "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a = 1\n+a = 2\n",
    "list": "- first thing to do\n- second thing\n- third thing\n",
    "template": "{{ user.name }} has {{ count }} messages\n",
    "shell": "#!/bin/sh\nset -e\nX=1\nfor f in *; do\n  echo $f\ndone\n",
}
