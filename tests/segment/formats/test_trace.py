from __future__ import annotations

import re
import time

import pytest

from ctxzip.segment.formats import trace
from ctxzip.segment.tree import Builder
from tests.segment.formats.checks_lines import numbers, under
from tests.segment.formats.harness import everything, outputs, tree_of

PYTHON = """\
Traceback (most recent call last):
  File "/app/store.py", line 12, in load
    return self.rows[key]
           ~~~~~~~~~^^^^^
KeyError: 'cust77'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/main.py", line 40, in <module>
    main()
  File "/app/main.py", line 31, in main
    store.load(key)
  File "/usr/lib/python3.11/site-packages/click/core.py", line 1157, in __call__
    return self.main(*args, **kwargs)
ValueError: no customer cust77
  expected one of 12
"""
JAVA = """\
Exception in thread "main" java.lang.IllegalStateException: cannot start
\tat shop.web.Server.start(Server.java:41)
\tat shop.web.Main.main(Main.java:12)
Caused by: java.io.IOException: port 8080 in use
\tat java.base/sun.nio.ch.Net.bind(Net.java:555)
\tat shop.web.Server.open(Server.java:77)
\t... 12 more
"""
NODE = """\
TypeError: Cannot read properties of undefined (reading 'id')
    at getUser (/app/src/users.js:12:17)
    at async handler (/app/src/api.js:40:5)
    at node:internal/process/task_queues:95:5 {
  code: 'EUSER',
  [cause]: Error: no row
      at query (/app/src/db.js:9:11)
}
"""
GO = """\
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.pick(0xc00001, 0x5)
\t/app/main.go:12 +0x1d
main.main()
\t/app/main.go:7 +0x2a
goroutine 18 [chan receive]:
main.worker(0x3)
\t/app/worker.go:33 +0x44
created by main.main in goroutine 1
\t/app/main.go:6 +0x25
exit status 2
"""
RUST = """\
thread 'main' panicked at src/main.rs:4:10:
called `Result::unwrap()` on an `Err` value: NotFound
stack backtrace:
   0: rust_begin_unwind
             at /rustc/abc/library/std/src/panicking.rs:647:5
   1: demo::load
             at ./src/main.rs:4:10
note: Some details are omitted
"""
DOTNET = """\
Unhandled exception. System.InvalidOperationException: cannot save
 ---> System.IO.IOException: disk full
   at Shop.Disk.Write(Byte[] b) in /src/Disk.cs:line 20
   --- End of inner exception stack trace ---
   at Shop.Store.Save() in /src/Store.cs:line 31
   at Shop.Program.Main() in /src/Program.cs:line 8
"""
RUBY = """\
app/models/user.rb:12:in `load': no such user (RuntimeError)
\tfrom app/main.rb:4:in `run'
\tfrom app/main.rb:9:in `<main>'
"""
PHP = """\
PHP Fatal error:  Uncaught Exception: no such user in /app/user.php:12
Stack trace:
#0 /app/main.php(4): load('7')
#1 /app/main.php(9): run()
#2 {main}
  thrown in /app/user.php on line 12
"""
ALL = {
    "python": PYTHON,
    "java": JAVA,
    "node": NODE,
    "go": GO,
    "rust": RUST,
    "dotnet": DOTNET,
    "ruby": RUBY,
    "php": PHP,
}


@pytest.mark.parametrize("text", ALL.values(), ids=ALL)
def test_traces_are_known_and_kept_in_order(text: str) -> None:
    assert trace.fits(text, 0, len(text))
    assert everything(text, trace.read) == text.rstrip("\n")
    for output in outputs(text, trace.read, n=30):
        numbers(text, output)


@pytest.mark.parametrize(
    "text",
    [
        "The thing is at home (see page 12).\nIt was made at once.\n",
        "def f():\n    raise ValueError('x')\n",
        "- at (home)\n- from here\n",
        "ValueError\n",
        "#0 first\n#1 second thing\nplain\nplain\nplain\nplain\nplain\nplain\nplain\nplain\n",
        "",
    ],
)
def test_other_text_is_not_taken(text: str) -> None:
    assert not trace.fits(text, 0, len(text))


def test_a_frame_never_stands_without_its_message() -> None:
    for output in outputs(PYTHON, trace.read):
        first, _, second = output.partition("During handling")
        if "store.py" in first:
            assert "KeyError: 'cust77'" in first
        if "main.py" in output or "site-packages" in output:
            assert "ValueError: no customer cust77\n  expected one of 12" in (second or first)
        if "return self.rows[key]" in output:
            assert '  File "/app/store.py", line 12, in load\n    return self.rows[key]\n' in output


def test_java_frames_stand_below_their_exception_and_causes_come_along() -> None:
    head = re.compile(r"Exception in|Caused by")
    known = set(under(JAVA, head))
    for output in outputs(JAVA, trace.read):
        assert set(under(output, head)) <= known
        assert "cannot start" in output
        assert "port 8080 in use" in output


def test_go_calls_keep_their_place_and_goroutine() -> None:
    goroutine = re.compile(r"goroutine")
    known = set(under(GO, goroutine))
    for output in outputs(GO, trace.read):
        assert {
            pair for pair in under(output, goroutine) if pair[0] and "exit" not in pair[1]
        } <= known
        if "main.pick" in output:
            assert "index out of range [5]" in output
            assert "main.pick(0xc00001, 0x5)\n\t/app/main.go:12" in output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (NODE, "TypeError: Cannot read"),
        (RUST, "an `Err` value: NotFound"),
        (DOTNET, "disk full"),
        (RUBY, "no such user (RuntimeError)"),
        (PHP, "Uncaught Exception: no such user"),
    ],
)
def test_the_message_is_in_every_output(text: str, message: str) -> None:
    for output in outputs(text, trace.read, n=30):
        assert message in output


def test_library_frames_are_told_apart() -> None:
    assert trace.library_frame('File "/usr/lib/python3.11/site-packages/click/core.py", line 1')
    assert trace.library_frame("\tat java.base/sun.nio.ch.Net.bind(Net.java:555)")
    assert not trace.library_frame("\tat shop.web.Server.open(Server.java:77)")


def test_many_causes_do_not_nest() -> None:
    text = "".join(f"Caused by: a.B{i}Exception: x\n\tat a.B.c(B.java:{i})\n" for i in range(3000))
    tree = tree_of(text, trace.read)
    depth = [0] * len(tree)
    for i, parent in enumerate(tree.parent.tolist()):
        depth[i] = depth[parent] + 1 if parent >= 0 else 0
    assert max(depth) <= 2


@pytest.mark.parametrize(
    "unit", [*ALL.values(), "Traceback (most recent call last):\n", "$$$$$$.", "a.B", "x.Error: \n"]
)
def test_time_is_linear(unit: str) -> None:
    def seconds(n: int) -> float:
        text = unit * n
        began = time.process_time()
        trace.fits(text, 0, len(text))
        trace.read(Builder(text), 0, len(text))
        return time.process_time() - began

    n = max(1, 15_000 // len(unit))
    assert min(seconds(8 * n), seconds(8 * n)) < 24 * max(seconds(n), 0.002)
