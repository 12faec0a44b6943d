"""Which programming language a text is in: by its path, its fence, or its looks."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import NamedTuple

from ctxzip.code.segment.grammar import LANGUAGES, Language

__all__ = ["Fence", "by_path", "by_tag", "detect", "fences"]

_SAMPLE = 6000
_BY_EXTENSION = {e: language for language in LANGUAGES for e in language.extensions}
_BY_TAG = {tag: language for language in LANGUAGES for tag in language.tags}
_NAMES = {"Rakefile": "ruby", "Gemfile": "ruby", "SConstruct": "python", "wscript": "python"}
# Code of languages without a grammar here; known not to be prose.
_OTHER_CODE = frozenset(
    [
        ".ada",
        ".adb",
        ".asm",
        ".awk",
        ".bat",
        ".clj",
        ".cljs",
        ".cmake",
        ".cmd",
        ".cr",
        ".css",
        ".d",
        ".dart",
        ".el",
        ".erl",
        ".ex",
        ".exs",
        ".f",
        ".f90",
        ".f95",
        ".fish",
        ".fs",
        ".fsx",
        ".glsl",
        ".gradle",
        ".groovy",
        ".hcl",
        ".hlsl",
        ".hs",
        ".hx",
        ".jl",
        ".less",
        ".lisp",
        ".lua",
        ".m",
        ".mk",
        ".ml",
        ".mli",
        ".mm",
        ".nim",
        ".nix",
        ".pas",
        ".pl",
        ".pm",
        ".proto",
        ".ps1",
        ".pxd",
        ".pyx",
        ".r",
        ".rkt",
        ".s",
        ".scala",
        ".scm",
        ".scss",
        ".sol",
        ".sql",
        ".sv",
        ".svelte",
        ".swift",
        ".tcl",
        ".tf",
        ".v",
        ".vb",
        ".vhd",
        ".vhdl",
        ".vue",
        ".wgsl",
        ".zig",
    ]
)
_PROSE = frozenset(
    [
        ".adoc",
        ".cfg",
        ".csv",
        ".htm",
        ".html",
        ".ini",
        ".json",
        ".jsonl",
        ".log",
        ".markdown",
        ".md",
        ".org",
        ".rst",
        ".tex",
        ".toml",
        ".tsv",
        ".txt",
        ".xml",
        ".yaml",
        ".yml",
    ]
)
_SHEBANG = re.compile(r"#![^\n]*?(?:/|\benv\s+(?:-S\s+)?)(\w+?)[\d.]*(?:\s|$)")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n`]*$", re.M)

# Lines that hardly occur in other languages, or in prose.
# One pattern a line.
_SIGNS = {
    "python": r"""
^[ \t]*(?:async )?def \w+\(.*
^[ \t]*class \w+(?:\(.*\))?:
^from [\w.]+ import[ ]
^import [\w.]+(?: as \w+)?[ \t\r]*$
^[ \t]*(?:if|elif|for|while|with|try|except|else)\b.*:[ \t\r]*$
^[ \t]*@\w[\w.]*(?:\(.*\))?[ \t\r]*$
\bself\.\w""",
    "javascript": r"""
^[ \t]*(?:export |async )*function\*? \w*\(
^[ \t]*(?:const|let|var) [\w{\[]
=> ?[{(]
^import .* from ['\"]
\brequire\(['\"]
===
^[ \t]*module\.exports\b
\bconsole\.log\(""",
    "typescript": r"""
^[ \t]*(?:export )?(?:interface|type|enum) \w+
: (?:string|number|boolean|void)\b
^[ \t]*(?:private|public|readonly) \w+(?:\(|:)
^import type\b
\): Promise<""",
    "java": r"""
^[ \t]*(?:public|private|protected) [^=;\n]*[({]
^import [\w.]+\.\w+;
^package [\w.]+;
\bSystem\.out\.
^[ \t]*@Override\b
\bnew [A-Z]\w*\(.*\);""",
    "c": r"""
^#[ \t]*(?:include|define|ifn?def|endif)\b
^(?:static |const |unsigned |struct )*(?:int|void|char|size_t|double|float|long|uint\d+_t) \*?\w+\(
\w->\w
\bsizeof\(
^[ \t]*typedef\b""",
    "cpp": r"""
\bstd::
^[ \t]*template ?<
^[ \t]*namespace \w+
^[ \t]*(?:public|private|protected):
\w::\w+\(
#include <\w+>[ \t\r]*$
\bauto &
\bnullptr\b""",
    "c#": r"""
^using [\w.]+;
^[ \t]*namespace [\w.]+
\{ get; (?:private )?set; \}
\bConsole\.Write
^[ \t]*(?:public|private|internal|protected) (?:\w+ )*\w[\w<>\[\]?]* \w+""",
    "go": r"""
^package \w+[ \t\r]*$
^func (?:\(\w+ \*?\w+\) )?\w+\(
:=[ ]
\bif err != nil\b
^type \w+ (?:struct|interface)\b""",
    "rust": r"""
^[ \t]*(?:pub(?:\(\w+\))? )?(?:async )?fn \w+
\blet mut \w
^[ \t]*impl\b.*\{
^use [\w:{}, *]+;
#\[\w+
\bmatch \w+.*\{
&mut \b
->\s*Result<""",
    "ruby": r"""
^[ \t]*def (?:self\.)?\w+[?!]?(?:\(.*\))?[ \t\r]*$
^[ \t]*end[ \t\r]*$
^require(?:_relative)? ['\"]
\bdo \|[\w, ]+\|
^[ \t]*attr_(?:reader|accessor|writer) """,
    "php": r"""
<\?php
\$\w+ ?=
\$this->\w
^[ \t]*(?:public |private |protected |static )*function \w+\(
^use [\w\\]+;""",
    "kotlin": r"""
^[ \t]*(?:override |private |internal |suspend |inline )*fun (?:<.*> )?[\w.]+\(
^[ \t]*va[lr] \w+(?:: | = )
^(?:data |sealed )class \w
\bwhen ?\(.*\) ?\{""",
    "bash": r"""
^[ \t]*(?:fi|done|esac)[ \t\r]*$
^[ \t]*(?:if|while|until) \[\[?[ ]
; (?:then|do)[ \t\r]*$
\$\{\w+[:}%#]
^[ \t]*(?:export|local|declare) \w+=
^\w+ ?\(\) ?\{""",
}
_COMPILED = {
    name: re.compile("|".join(signs.strip("\n").split("\n")), re.M)
    for name, signs in _SIGNS.items()
}
_BY_NAME = {language.name: language for language in LANGUAGES}


class Fence(NamedTuple):
    """A fenced block: where its content lies, and what its tag says.

    Attributes:
        start: first character of the opening line.
        body: first character of the content.
        stop: one past the content.
        end: one past the closing line, its line break included.
        language: what the tag stands for, or None.
    """

    start: int
    body: int
    stop: int
    end: int
    language: Language | None


def by_path(path: str | None) -> Language | str | None:
    """The language of a path: a :class:`Language`, ``"code"``, ``"text"``, or None if unknown."""
    if not path or "\n" in path or len(path) > 4096:
        return None
    name = PurePath(path).name
    if name in _NAMES:
        return _BY_NAME[_NAMES[name]]
    extension = PurePath(path).suffix.lower()
    if extension in _BY_EXTENSION:
        return _BY_EXTENSION[extension]
    if extension in _OTHER_CODE or name in ("Makefile", "Dockerfile", "CMakeLists.txt"):
        return "code"
    return "text" if extension in _PROSE else None


def by_tag(tag: str) -> Language | None:
    """The language that a fence's tag stands for."""
    return _BY_TAG.get(tag.lower().lstrip("."))


def fences(text: str) -> list[Fence]:
    """The fenced code blocks of a text, in order; one that is never closed reaches to its end."""
    found: list[Fence] = []
    opening: re.Match[str] | None = None
    for match in _FENCE.finditer(text):
        if opening is None:
            opening = match
            continue
        fence = opening.group(1)
        closes = match.group(1)[0] == fence[0] and len(match.group(1)) >= len(fence)
        if closes and not match.group(2):
            found.append(_fence(text, opening, match.start(), match.end()))
            opening = None
    if opening is not None:
        found.append(_fence(text, opening, len(text), len(text)))
    return found


def _fence(text: str, opening: re.Match[str], stop: int, end: int) -> Fence:
    body = min(opening.end() + 1, len(text))
    end = end + 1 if text[end : end + 1] == "\n" else end
    return Fence(opening.start(), body, max(stop, body), end, by_tag(opening.group(2)))


def detect(text: str, path: str | None = None) -> Language | str | None:
    """What a text is.

    Args:
        text: the text; samples of it are looked at.
        path: its path, title or id, where it has one.

    Returns:
        A :class:`Language`; ``"code"`` for a language without a grammar; None for prose and data.
    """
    named = by_path(path)
    if named == "text":
        return None
    if named is not None:
        if isinstance(named, Language) and named.name == "c" and str(path).endswith(".h"):
            return _header(text)
        return named
    sample = text[:_SAMPLE]
    if sample.lstrip().startswith("<?php"):
        return _BY_NAME["php"]
    shebang = _SHEBANG.match(sample)
    if shebang:
        found = by_tag(shebang.group(1))
        return found if found is not None else "code"
    return _by_looks(text)


def _header(text: str) -> Language:
    """A ``.h`` is C++ where it says so."""
    return _BY_NAME["cpp" if _COMPILED["cpp"].search(text[:_SAMPLE]) else "c"]


def _by_looks(text: str) -> Language | None:
    """By signs in the beginning, the middle and the end: one of them may be a long comment."""
    size = _SAMPLE // 3
    middle = len(text) // 2
    windows = [text[:size]]
    if len(text) > size:
        windows += [text[max(size, middle - size // 2) : middle + size // 2], text[-size:]]
    total: dict[str, int] = dict.fromkeys(_COMPILED, 0)
    lines = 0
    clear = False
    for window in windows:
        count = sum(1 for line in window.splitlines() if line.strip())
        hits = {name: _lines_hit(pattern, window) for name, pattern in _COMPILED.items()}
        clear = clear or (count >= 8 and max(hits.values()) * 5 >= count)
        lines += count
        for name, n in hits.items():
            total[name] += n
    if not lines or _FENCE.search(text):
        return None
    # Of two that share their signs, the one with signs of its own wins.
    for more, less in (("typescript", "javascript"), ("cpp", "c")):
        if total[more]:
            total[more] += total[less]
    name = max(total, key=total.__getitem__)
    return _BY_NAME[name] if total[name] >= 2 and (clear or total[name] * 9 >= lines) else None


def _lines_hit(pattern: re.Pattern[str], sample: str) -> int:
    return len({sample.count("\n", 0, match.start()) for match in pattern.finditer(sample)})
