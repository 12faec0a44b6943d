from __future__ import annotations

import re
import time

import pytest

from ctxzip.segment.formats import diff
from ctxzip.segment.tree import Builder
from tests.segment.formats.checks_lines import kept_lines, numbers
from tests.segment.formats.harness import everything, outputs, tree_of

GIT = """\
diff --git a/shop/limits.py b/shop/limits.py
index 3f1c2aa..91b02de 100644
--- a/shop/limits.py
+++ b/shop/limits.py
@@ -1,6 +1,7 @@
 import os

-LIMIT = 3
+LIMIT = 5
 RETRIES = 2
+WAIT = 10

 def limit():
@@ -20,4 +21,4 @@ def retries():
     return RETRIES

-    return 3
+    return 5
diff --git a/shop/cart.py b/shop/cart.py
index 3f1c2ab..91b02df 100644
--- a/shop/cart.py
+++ b/shop/cart.py
@@ -1,3 +1,3 @@
-LIMIT = 5
+LIMIT = 3
 RETRIES = 2
-- comment of SQL
\\ No newline at end of file
diff --git a/old.txt b/new.txt
similarity index 100%
rename from old.txt
rename to new.txt
"""
LOG = """\
commit c15a469b67ea269a6a25c0083f32c0df63c106dc
Author: Ann Example <ann@example.org>
Date:   Tue Nov 3 08:00:00 2026 +0000

    Raise the limit

    It was too low.

diff --git a/a.py b/a.py
index 1111111..2222222 100644
--- a/a.py
+++ b/a.py
@@ -1 +1 @@
-LIMIT = 3
+LIMIT = 5

commit d15a469b67ea269a6a25c0083f32c0df63c106dd
Author: Bob Example <bob@example.org>
Date:   Mon Nov 2 08:00:00 2026 +0000

    Lower the limit

diff --git a/a.py b/a.py
index 2222222..1111111 100644
--- a/a.py
+++ b/a.py
@@ -1 +1 @@
-LIMIT = 5
+LIMIT = 3
"""
PATCH = """\
From 5144a4395233cb169ac388ad109cdfad626743c5 Mon Sep 17 00:00:00 2001
From: Ann Example <ann@example.org>
Date: Sat, 28 Nov 2026 06:02:32 +0000
Subject: [PATCH] Raise the limit

---
 a.py | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/a.py b/a.py
index 0556646..20db937 100644
--- a/a.py
+++ b/a.py
@@ -1,2 +1,2 @@
-LIMIT = 3
+LIMIT = 5
 x = 1
--\x20
2.39.5
"""
PLAIN = "--- old.cfg\t2026-11-03\n+++ new.cfg\t2026-11-04\n@@ -1,2 +1,2 @@\n-a=1\n+a=2\n b=1\n"


def statements(text: str) -> list[tuple[str, str, str, str]]:
    """``(commit, file, hunk, line)`` of every line of a hunk, read on its own terms."""
    commit = file = hunk = ""
    found = []
    for line in kept_lines(text):
        if re.match(r"commit [0-9a-f]{40}", line):
            commit, file, hunk = line, "", ""
        elif line.startswith("diff --git"):
            file, hunk = line, ""
        elif line.startswith("@@"):
            hunk = line
        elif hunk or re.match(r"[-+](?![-+]{2})| (?! {3})", line):
            found.append((commit, file, hunk, line))
    return found


@pytest.mark.parametrize("text", [GIT, LOG, PATCH, PLAIN])
def test_diffs_are_known_and_kept_in_order(text: str) -> None:
    assert diff.fits(text, 0, len(text))
    assert kept_lines(everything(text, diff.read)) == kept_lines(text)
    for output in outputs(text, diff.read, n=30):
        numbers(text, output)


@pytest.mark.parametrize("text", [GIT, LOG])
def test_no_line_stands_under_another_file_or_hunk(text: str) -> None:
    known = set(statements(text))
    for output in outputs(text, diff.read):
        assert set(statements(output)) <= known


@pytest.mark.parametrize("text", [GIT, LOG, PATCH, PLAIN])
def test_what_replaces_a_line_never_stands_without_it(text: str) -> None:
    pairs = re.findall(r"^-.*\n\+.*$", re.sub(r"^--- .*\n\+\+\+ .*$", "", text, flags=re.M), re.M)
    assert pairs
    for output in outputs(text, diff.read):
        for pair in pairs:
            old, new = pair.split("\n")
            lines = output.split("\n")
            if output.count(old) == 1 and text.count(old) == 1:
                assert pair in output
            assert lines.count(new) <= lines.count(old) + text.count(new) - 1 + (pair in output)


def test_the_signature_of_a_patch_is_no_removed_line() -> None:
    tree = tree_of(PATCH, diff.read)
    texts = [PATCH[a:b] for a, b in zip(tree.start, tree.end, strict=True)]
    assert tree.parent[texts.index("2.39.5")] == 0


def test_a_changed_comment_of_sql_is_no_file_header() -> None:
    text = (
        "--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1,2 @@\n--- old comment\n+++ new comment\n select 1\n"
    )
    tree = tree_of(text, diff.read)
    assert int((tree.parent < 0).sum()) == 1
    for output in outputs(text, diff.read, n=10):
        assert output.startswith("--- a/x.sql\n+++ b/x.sql\n@@ ")


def test_headers_are_no_content_but_a_rename_is() -> None:
    tree = tree_of(GIT, diff.read)
    texts = [GIT[a:b] for a, b in zip(tree.start, tree.end, strict=True)]
    for text, content in zip(texts, tree.content.tolist(), strict=True):
        assert content == (not text.startswith(("diff --git a/shop", "@@")))


def test_a_hunk_that_counts_wrong_is_read_by_its_looks() -> None:
    text = (
        "--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n-a\n+b\n c\ndiff --git a/y b/y\n@@ -1 +1 @@\n-a\n+c\n"
    )
    for output in outputs(text, diff.read, n=20):
        before, _, after = output.partition("diff --git")
        assert "+c" not in before
        assert "+b" not in after


def test_large_replacements_can_be_divided() -> None:
    text = "--- a/x\n+++ b/x\n@@ -1,2 +1,90 @@\n-a\n-b\n" + "".join(
        f"+line {i}\n" for i in range(90)
    )
    lengths = set()
    for output in outputs(text, diff.read, n=20):
        lengths.add(len(output.split("\n")))
        if "+line" in output:
            assert "-a\n-b\n" in output
    assert len(lengths) > 5


@pytest.mark.parametrize(
    "text",
    [
        "We changed this:\n\n- old way\n+ new way\n",
        "# Title\n\n```diff\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n```\n\nSome text.\n",
        "a: 1\nb: 2\n---\nc: 3\n",
        "@property\ndef f(self):\n    return 1\n",
        "",
    ],
)
def test_other_text_is_not_taken(text: str) -> None:
    assert not diff.fits(text, 0, len(text))


@pytest.mark.parametrize(
    "unit",
    [
        GIT,
        LOG,
        "@@ -1,99999 +1,99999 @@\n-a\n",
        "diff --git a/x b/x\n",
        "--- a\n",
        "-a\n",
        "commit 1234567\n",
    ],
)
def test_time_is_linear(unit: str) -> None:
    def seconds(n: int) -> float:
        text = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n" + unit * n
        began = time.process_time()
        diff.fits(text, 0, len(text))
        diff.read(Builder(text), 0, len(text))
        return time.process_time() - began

    n = max(1, 15_000 // len(unit))
    assert min(seconds(8 * n), seconds(8 * n)) < 24 * max(seconds(n), 0.002)
