from __future__ import annotations

import re
import time

import pytest

from ctxzip.segment.formats import testlog as reader
from ctxzip.segment.tree import Builder
from tests.segment.formats.checks_lines import kept_lines, numbers, under
from tests.segment.formats.harness import everything, outputs, tree_of

PYTEST = """\
============================= test session starts ==============================
platform linux -- Python 3.11.2, pytest-8.0.0, pluggy-1.5.0
collected 4 items

tests/test_cart.py::test_total PASSED                                    [ 25%]
tests/test_cart.py::test_empty FAILED                                    [ 50%]
tests/test_cart.py::test_rounds FAILED                                   [ 75%]
tests/test_cart.py::test_names PASSED                                    [100%]

=================================== FAILURES ===================================
__________________________________ test_empty __________________________________

    def test_empty():
        got = cart.total([])
>       assert got == 0
E       AssertionError: assert 3 == 0
E        +  where 3 = total([])

tests/test_cart.py:12: AssertionError
----------------------------- Captured stdout call -----------------------------
loading cart
_________________________________ test_rounds __________________________________

    def test_rounds():
        got = cart.total([1.005])
>       assert got == 0
E       AssertionError: assert 7 == 0

tests/test_cart.py:19: AssertionError
=========================== short test summary info ============================
FAILED tests/test_cart.py::test_empty - AssertionError: assert 3 == 0
FAILED tests/test_cart.py::test_rounds - AssertionError: assert 7 == 0
========================= 2 failed, 2 passed in 0.12s ==========================
"""
UNITTEST = """\
.F.
======================================================================
FAIL: test_empty (tests.test_cart.CartTest)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/app/tests/test_cart.py", line 12, in test_empty
    self.assertEqual(total([]), 0)
AssertionError: 3 != 0

----------------------------------------------------------------------
Ran 3 tests in 0.001s

FAILED (failures=1)
"""
JEST = """\
PASS src/names.test.ts
FAIL src/cart.test.ts
  cart
    ✓ adds (3 ms)
    ✕ is empty (5 ms)
    ✕ rounds (1 ms)

  ● cart › is empty

    expect(received).toBe(expected) // Object.is equality

    Expected: 0
    Received: 3

      11 |   const out = total([]);
    > 12 |   expect(out).toBe(0);
         |               ^

      at Object.<anonymous> (src/cart.test.ts:12:15)

  ● cart › rounds

    expect(received).toBe(expected) // Object.is equality

    Expected: 0
    Received: 7

      at Object.<anonymous> (src/cart.test.ts:19:15)

Test Suites: 1 failed, 1 passed, 2 total
Tests:       2 failed, 3 passed, 5 total
"""
CARGO = """\
   Compiling shop v0.1.0 (/app)
error[E0308]: mismatched types
 --> src/cart.rs:12:9
  |
12 |     total
  |     ^^^^^ expected `u32`, found `u64`
  |
  = help: use `try_into`

warning: unused variable: `x`
 --> src/cart.rs:3:9
  |
3 |     let x = 1;
  |         ^

error: could not compile `shop` (bin "shop") due to 1 previous error
"""
CARGO_TEST = """\
running 3 tests
test cart::adds ... ok
test cart::is_empty ... FAILED
test cart::rounds ... FAILED

failures:

---- cart::is_empty stdout ----
thread 'cart::is_empty' panicked at src/cart.rs:31:9:
assertion `left == right` failed
  left: 3
 right: 0
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace

---- cart::rounds stdout ----
thread 'cart::rounds' panicked at src/cart.rs:44:9:
assertion `left == right` failed
  left: 7
 right: 0

failures:
    cart::is_empty
    cart::rounds

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out
"""
GO = """\
=== RUN   TestAdds
--- PASS: TestAdds (0.00s)
=== RUN   TestEmpty
    cart_test.go:12: total: got 3, want 0
--- FAIL: TestEmpty (0.00s)
=== RUN   TestRounds
    cart_test.go:19: total: got 7, want 0
--- FAIL: TestRounds (0.01s)
FAIL
FAIL\tshop/cart\t0.012s
"""
TAP = """\
TAP version 13
1..3
ok 1 - adds
not ok 2 - is empty
  ---
  operator: equal
  expected: 0
  actual: 3
  ...
not ok 3 - rounds
  ---
  operator: equal
  expected: 0
  actual: 7
  ...
# tests 3
"""
GCC = """\
[ 10%] Building C object CMakeFiles/shop.dir/cart.c.o
cart.c: In function 'total':
cart.c:12:9: error: implicit declaration of function 'sum'
   12 |         sum(a);
      |         ^~~
cart.c:14:9: warning: unused variable 'x' [-Wunused-variable]
   14 |     int x;
      |         ^
names.c: In function 'first':
names.c:12:9: error: 'n' undeclared
   12 |     return n;
      |            ^
gmake[1]: *** [CMakeFiles/Makefile2:532: CMakeFiles/shop.dir/all] Error 2
"""
MYPY = """\
src/cart.py:12: error: Incompatible return value type (got "int", expected "str")  [return-value]
src/cart.py:19: note: Revealed type is "int"
src/names.py:12:5: F401 `os` imported but unused
Found 2 errors in 2 files (checked 3 source files)
"""
TSC = """\
src/cart.ts(12,5): error TS2322: Type 'string' is not assignable to type 'number'.
src/names.ts:12:5 - error TS2304: Cannot find name 'foo'.

12     foo();
       ~~~

Found 2 errors in 2 files.
"""
ESLINT = """\
/app/src/cart.js
  12:5  error    'x' is not defined  no-undef
  14:1  warning  Unexpected console  no-console

/app/src/names.js
  12:5  error    'y' is not defined  no-undef

✖ 3 problems (2 errors, 1 warning)
"""
MAVEN = """\
[INFO] Scanning for projects...
[INFO] --- surefire:3.0:test (default-test) @ shop ---
[ERROR] Tests run: 2, Failures: 1, Errors: 0, Skipped: 0
[ERROR] shop.CartTest.empty -- Time elapsed: 0.01 s <<< FAILURE!
org.opentest4j.AssertionFailedError: expected: <0> but was: <3>
\tat shop.CartTest.empty(CartTest.java:12)

[INFO] BUILD FAILURE
"""
ALL = {
    "pytest": PYTEST,
    "unittest": UNITTEST,
    "jest": JEST,
    "cargo": CARGO,
    "cargo test": CARGO_TEST,
    "go": GO,
    "tap": TAP,
    "gcc": GCC,
    "mypy": MYPY,
    "tsc": TSC,
    "eslint": ESLINT,
    "maven": MAVEN,
}


@pytest.mark.parametrize("text", ALL.values(), ids=ALL)
def test_output_is_known_and_kept_in_order(text: str) -> None:
    assert reader.fits(text, 0, len(text))
    assert reader.looks_like_output(text)
    assert kept_lines(everything(text, reader.read)) == kept_lines(text)
    for output in outputs(text, reader.read, n=20):
        numbers(text, output)


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        (PYTEST, re.compile(r"_{3,} (\w+) _{3,}|={3,} "), ("assert 3 == 0", "assert 7 == 0")),
        (JEST, re.compile(r"  ● |Test Suites|Tests: "), ("Received: 3", "Received: 7")),
        (CARGO_TEST, re.compile(r"---- |failures:|test result"), ("left: 3", "left: 7")),
        (GO, re.compile(r"=== RUN|FAIL"), ("got 3", "got 7")),
        (TAP, re.compile(r"(?:not )?ok|#"), ("actual: 3", "actual: 7")),
        (GCC, re.compile(r"\S+: In function|\[|gmake"), ("'sum'", "'n' undeclared")),
        (ESLINT, re.compile(r"/app|✖"), ("'x' is not", "'y' is not")),
    ],
)
def test_what_failed_stands_under_its_own_name(
    text: str, name: re.Pattern[str], values: tuple[str, ...]
) -> None:
    known = set(under(text, name))
    seen = set()
    for output in outputs(text, reader.read, n=40):
        assert set(under(output, name)) <= known
        seen.update(value for value in values if value in output)
    assert seen == set(values)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        (PYTEST, "_ test_rounds _", "E       AssertionError: assert 7 == 0"),
        (JEST, "● cart › rounds", "Received: 7"),
        (CARGO_TEST, "---- cart::rounds", "left: 7"),
        (UNITTEST, "FAIL: test_empty", "AssertionError: 3 != 0"),
        (TAP, "not ok 3", "actual: 7"),
        (MAVEN, "CartTest.empty --", "expected: <0> but was: <3>"),
        (CARGO, "error[E0308]", "expected `u32`, found `u64`"),
    ],
)
def test_the_assertion_comes_along_with_the_name(text: str, name: str, value: str) -> None:
    for output in outputs(text, reader.read, n=40):
        assert (name in output) == (value in output)


def test_go_failures_end_with_their_verdict() -> None:
    for output in outputs(GO, reader.read, n=40):
        if "got 7" in output:
            assert "--- FAIL: TestRounds" in output


def test_an_error_of_a_compiler_is_one_part() -> None:
    tree = tree_of(GCC, reader.read)
    texts = [GCC[a:b] for a, b in zip(tree.start, tree.end, strict=True)]
    error = next(i for i, text in enumerate(texts) if "'sum'" in text)
    assert texts[error].endswith("^~~")
    assert "In function 'total'" in texts[tree.parent[error]]


@pytest.mark.parametrize(
    "text",
    [
        "We ran the tests. Two failed, three passed.\n\nIt took a day.\n",
        "# Testing\n\nRun `pytest`:\n\n```\n1 passed in 0.1s\n```\n",
        "def test_empty():\n    assert total([]) == 0\n\n\nclass A:\n    x = 1\n",
        "- ok\n- not ok\n",
        "name: CI\non: push\njobs:\n  build:\n    runs-on: ubuntu\n",
        "a: 1\nb: 2\n",
        "",
    ],
)
def test_other_text_is_not_taken(text: str) -> None:
    assert not reader.fits(text, 0, len(text))
    assert not reader.looks_like_output(text)


@pytest.mark.parametrize(
    "unit",
    [
        *ALL.values(),
        "a: In function 'f':\n",
        "=== RUN   A\n",
        "not ok 1 - x\n  ---\n",
        "____ a ____\n",
        "  ● a\n",
        "  a\n    ✓ b\n",
        "-a\n",
    ],
)
def test_time_is_linear(unit: str) -> None:
    def seconds(n: int) -> float:
        text = unit * n
        began = time.process_time()
        reader.fits(text, 0, len(text))
        reader.read(Builder(text), 0, len(text))
        return time.process_time() - began

    n = max(1, 10_000 // len(unit))
    assert min(seconds(8 * n), seconds(8 * n)) < 24 * max(seconds(n), 0.002)
