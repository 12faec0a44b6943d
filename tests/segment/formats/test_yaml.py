"""Block YAML: every selection loads as a part of the data, checked with PyYAML."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ctxzip.segment.formats import yaml as reader
from tests.segment.formats.checks_data import NOT_DATA, assert_covers, assert_survives, left
from tests.segment.formats.harness import everything, outputs, tree_of

PRODUCTS = """\
# the stock of all houses
- product: Cedar
  sku: SKU-2073
  stock: 79
- product: Dogwood
  sku: SKU-2074
  stock: 79
  # in centimetres
  sizes: [1, 2,
          3]
- stock: 35
  sku: SKU-2075
  product:
    name: Elm
    kind: tree
"""
COMPOSE = """\
version: "3"
services:
  web:
    image: nginx   # the web
    ports:
    - "80:80"
    - 443:443
    environment:
      - A=1
      - B=2
    volumes: [a, b]
  db:
    image: postgres
    volumes:
      - data:/var

volumes:
  data:
"""
MANIFESTS = """\
apiVersion: v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  containers:
    - env:
        - name: A
          value: "1"
        - name: B
          value: "1"
      name: web
      args: ["a", "b"]
    - name: side
      command:
        - sh
        - -c
        - |
          echo hi
          if x; then
            echo yes
          fi
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  type: NodePort
---
apiVersion: v1
kind: Service
metadata:
  name: db
spec:
  type: NodePort
"""
ANCHORS = """\
base: &base
  image: x
  env:
    A: 1
    B: 2
one:
  <<: *base
  name: one
two:
  <<: *base
  name: two
list: &l
  - a
  - b
other: *l
"""
WORKFLOW = """\
on:
  push:
    branches: [main]
  pull_request:
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: Run
        run: |
          pip install -e .
          pytest -q
            --foo
          for i in 1 2 3; do
            echo $i # not a comment
            # neither

          done
          echo a long line so that the block is divided into lines, which two hundred characters
          echo done
        env:
          A: 1
      - run: >
          Some folded text here
          that goes on for a while. And then
          it ends with a sentence.
          Another starts here and goes on for more than two hundred characters because of this
          line and then this one, which finally ends it.
  lint:
    runs-on: ubuntu-latest
    needs: test
"""
SCALARS = """\
a:
  multi: this is
    a plain scalar
    over lines
  quoted: "and
    another: one"
  below:
    the value stands
    on its own lines
  'single key': 'it''s'
  next:
    - - x
      - y
    - - z
      - y
  "no": [a, {b: c, d: "e]"}]   # flow
  url: http://x.org/a#b
  ? a key
  : its value
  ? another
  :
    k: v
    w: v
  empty:
"""
ITEMS = """\
- - a
  - b
- - c
-
  k: v
  l: w
- plain
  more
-   spaced: 1
    other: 2
"""
FLOWS = (
    """\
many: [alpha, "beta, b", 'gamma', delta, alpha, "beta, b", 'gamma', delta, alpha, "beta, b", 'x',
  delta,   # all of them
  # again
  alpha, {beta: b, gamma: [1, 2]}, delta, alpha, beta, gamma, delta, alpha, beta, gamma, delta,
  alpha, beta, gamma, delta, alpha, beta, gamma, delta, alpha, beta, gamma, delta]
one: [LINE]
- pairs: {LINES}
""".replace("LINES", "\n  ".join(f"k{i}: [1, 'value, {i}']," for i in range(20)))
    .replace("LINE", ", ".join(f"number {i}" for i in range(40)))
    .replace("- pairs", "pairs")
)
TEXTS = {
    "flows": FLOWS,
    "products": PRODUCTS,
    "compose": COMPOSE,
    "manifests": MANIFESTS,
    "anchors": ANCHORS,
    "workflow": WORKFLOW,
    "scalars": SCALARS,
    "items": ITEMS,
}


class Loader(yaml.SafeLoader):
    """Does not accept a key twice."""


def _mapping(loader: Any, node: Any) -> dict[Any, Any]:
    keys = [k.value for k, _ in node.value]
    assert len(set(keys)) == len(keys), f"a key stands twice: {keys}"
    loader.flatten_mapping(node)
    return {
        loader.construct_object(k, True): loader.construct_object(v, True) for k, v in node.value
    }


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(text: str) -> list[Any]:
    return list(yaml.load_all(text, Loader))


@pytest.mark.parametrize("name", TEXTS)
def test_everything_is_the_source(name: str) -> None:
    text = TEXTS[name]
    full = everything(text, reader.read, reader.STYLE)
    assert load(full + "\n") == load(text)
    assert full.split() == text.split()
    assert_covers(reader, text)


@pytest.mark.parametrize("name", TEXTS)
def test_every_selection_is_part_of_the_data(name: str) -> None:
    for got in left(reader, TEXTS[name], load, cut=True):
        assert all(isinstance(document, dict | list) for document in got)


def test_a_record_keeps_what_identifies_it() -> None:
    for got in left(reader, PRODUCTS, load):
        assert all("sku" in record for record in got[0])


def test_a_document_keeps_what_identifies_it() -> None:
    for got in left(
        reader, MANIFESTS.split("---\n", 1)[1] + "---\n" + MANIFESTS, load, cut=True, n=8
    ):
        assert all("kind" in document or "name" in document["metadata"] for document in got[:2])


def test_comments_stand_with_the_key_below_them() -> None:
    for output in outputs(PRODUCTS, reader.read, reader.STYLE):
        assert ("# in centimetres" in output) == ("sizes:" in output)


def test_what_an_alias_names_is_kept() -> None:
    for got in left(reader, ANCHORS, load):
        assert "base" in got[0]


def test_a_block_is_divided_by_its_lines() -> None:
    tree = tree_of(WORKFLOW, reader.read, reader.STYLE)
    lines = [WORKFLOW[a:b] for a, b in zip(tree.start, tree.end, strict=True)]
    assert "pytest -q" in lines
    parent = lines[int(tree.parent[lines.index("--foo")])]
    assert parent == "pytest -q"


def test_broken_text_is_read_as_far_as_it_goes() -> None:
    text = COMPOSE + "  x\n ] what: is\n this\nlast:\n  key: value\n  other: [1, 2\n"
    tree = tree_of(text, reader.read, reader.STYLE)
    assert tree.notes == (reader.NOTE,)
    assert_covers(reader, text)
    parts = [text[a:b] for a, b in zip(tree.start, tree.end, strict=True)]
    assert parts[int(tree.parent[parts.index("key: value")])] == "last:"


def test_survives_any_text() -> None:
    assert_survives(reader, "yaml")


def test_fits_its_own_only() -> None:
    for name in ("products", "compose", "manifests", "anchors", "workflow"):
        assert reader.fits(TEXTS[name], 0, len(TEXTS[name])), name
    for name, text in NOT_DATA.items():
        assert not reader.fits(text, 0, len(text)), name
    assert reader.fits("a: 1\nb: 2\n", 0, 10, "yaml")
    for text in (
        "Supported:\n- Windows\n- Mac\n\nNot supported:\n- Solaris\nNotes:\n- x\n",
        "Host: x.org\nAccept: text/html\nUser-Agent: y\n",
        "1. First: this\n   then that\n2. Second: that\n",
        "error: foo\n  --> src/x.rs:1:2\n  |\nwarning: bar\n  --> x\n",
    ):
        assert not reader.fits(text, 0, len(text)), text
