"""Speed and faults of the readers of JSON, YAML and TOML beside tree-sitter's grammars.

python -m tests.benchmarks.parsers FOLDER…

Reads every .json, .yaml, .yml and .toml file below the folders that the usual parser of its format
(json, PyYAML, tomllib) accepts. A fault of tree-sitter is a file with an ERROR or MISSING node; a
fault of a reader is one that it refuses or reads with a note. Speed is over the files of each
format together: tree-sitter's parse alone, with a walk over all its nodes that takes kind and
offsets (as a reader built on it must), and ours from text to tree. Needs
``pip install tree-sitter tree-sitter-json tree-sitter-yaml tree-sitter-toml pyyaml``.
"""

from __future__ import annotations

import json
import sys
import time
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from ctxzip.segment.formats import json as json_reader
from ctxzip.segment.formats import toml as toml_reader
from ctxzip.segment.formats import yaml as yaml_reader
from ctxzip.segment.tree import Builder

_LARGEST = 2_000_000  # bytes of a file
_TOGETHER = 8_000_000  # bytes of one format


def _yaml(text: str) -> None:
    yaml = import_module("yaml")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if not any(isinstance(one, dict | list) for one in yaml.load_all(text, loader)):
        raise ValueError("no mapping and no sequence")


FORMATS: dict[str, tuple[tuple[str, ...], Callable[[str], Any], ModuleType]] = {
    "json": ((".json",), json.loads, json_reader),
    "yaml": ((".yaml", ".yml"), _yaml, yaml_reader),
    "toml": ((".toml",), tomllib.loads, toml_reader),
}


def texts(folders: list[str], suffixes: tuple[str, ...], load: Callable[[str], Any]) -> list[str]:
    """Different valid files below the folders."""
    found: dict[str, None] = {}
    size = 0
    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            if path.suffix not in suffixes or not path.is_file() or size > _TOGETHER:
                continue
            try:
                text = path.read_text("utf-8")
                if len(text) > _LARGEST or text in found or not text.strip():
                    continue
                load(text)
            except (OSError, ValueError, RecursionError, import_module("yaml").YAMLError):
                continue
            found[text] = None
            size += len(text)
    if suffixes == (".toml",):
        found[_lock()] = None
    return list(found)


def _lock() -> str:
    """A lock file, for there are few TOML files of any size."""
    package = """
[[package]]
name = "package-{i}"
version = "1.{i}.0"
description = "What package {i} does, in a few words."
optional = false
files = [
    {{file = "package_{i}-1.{i}.0-py3-none-any.whl", hash = "sha256:{i:064x}"}},
    {{file = "package_{i}-1.{i}.0.tar.gz", hash = "sha256:{i:064x}"}},
]

[package.dependencies]
other-{i} = ">=1.0"
"""
    return "".join(package.format(i=i) for i in range(2000))


def walk(tree: Any) -> tuple[int, bool]:
    """Number of nodes, and whether one of them is a fault; kind and offsets are taken of each."""
    cursor = tree.walk()
    n, faulty = 0, False
    while True:
        node = cursor.node
        n += 1
        faulty = faulty or node.is_missing or node.type == "ERROR"
        _ = node.start_byte, node.end_byte
        if cursor.goto_first_child() or cursor.goto_next_sibling():
            continue
        while cursor.goto_parent():
            if cursor.goto_next_sibling():
                break
        else:
            return n, faulty


def measure(name: str, folders: list[str]) -> str:
    """A row of the table."""
    suffixes, load, reader = FORMATS[name]
    tree_sitter = import_module("tree_sitter")
    language = tree_sitter.Language(import_module(f"tree_sitter_{name}").language())
    parser = tree_sitter.Parser(language)
    found = texts(folders, suffixes, load)
    size = sum(map(len, found)) / 1e6
    start = time.process_time()
    trees = [parser.parse(text.encode()) for text in found]
    parsed = time.process_time()
    faults = sum(walk(tree)[1] for tree in trees)
    walked = time.process_time()
    ours = parts = 0
    for text in found:
        out = Builder(text, reader.STYLE)
        ours += not reader.read(out, 0, len(text)) or bool(out.notes)
        parts += len(out.tree(name))
    read = time.process_time()
    return (
        f"| {name} | {len(found)} | {size:.1f} | {size / (parsed - start):.1f} "
        f"| {size / (walked - start):.2f} | {faults} | {size / (read - walked):.2f} | {ours} |"
    )


if __name__ == "__main__":
    print("| format | files | MB | parse MB/s | with walk | faults | ours MB/s | faults |")
    print("|---|---|---|---|---|---|---|---|")
    for name in FORMATS:
        print(measure(name, sys.argv[1:]), flush=True)
