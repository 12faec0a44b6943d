from __future__ import annotations

import re
import time

import numpy as np
import pytest

from ctxzip.segment.formats import log
from ctxzip.segment.tree import Builder
from tests.segment.formats.checks_lines import kept_lines, numbers, under
from tests.segment.formats.harness import everything, outputs, tree_of

LOG4J = """\
2026-11-03 08:00:00,101 INFO  [http-1] shop.web.Pool - Pool started with 8 connections
2026-11-03 08:00:08,240 INFO  [http-1] shop.web.Cart - Cart 1841 saved
2026-11-03 08:00:15,992 ERROR [http-2] shop.web.Pool - Pool exhausted
java.sql.SQLTransientConnectionException: no connection after 3000 ms
\tat com.zaxxer.hikari.pool.HikariPool.getConnection(HikariPool.java:213)
\tat shop.web.Pool.take(Pool.java:88)
Caused by: java.net.SocketTimeoutException: Read timed out
\tat java.base/java.net.SocketInputStream.read(SocketInputStream.java:189)
\t... 12 more
2026-11-03 08:00:16,001 INFO  [http-1] shop.web.Cart - Cart 1842 saved
2026-11-03 08:00:17,430 ERROR [http-3] shop.web.Pool - Pool exhausted
java.sql.SQLTransientConnectionException: no connection after 3000 ms
\tat shop.web.Pool.take(Pool.java:88)
2026-11-03 08:00:18,001 INFO  [http-1] shop.web.Cart - Cart 1841 saved
"""

STYLES = {
    "iso": "2026-11-03T08:00:00.123Z INFO started\n2026-11-03T08:00:01.123Z WARN slow\n",
    "syslog": "Nov  3 08:00:15 web1 sshd[24]: Failed password\nNov  3 08:00:16 web1 cron[1]: ok\n",
    "android": "03-17 16:13:46.306  2227  2227 I Tag: a\n03-17 16:13:46.764  2227  2794 E Tag: b\n",
    "nginx access": '10.0.0.1 - - [03/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 12 "-" "curl"\n'
    '10.0.0.2 - ann [03/Nov/2026:08:00:01 +0000] "GET /x HTTP/1.1" 500 12 "-" "curl"\n',
    "nginx error": "2026/11/03 08:00:00 [error] 21#0: *5 open() failed\n",
    "apache error": "[Tue Nov 03 08:00:00.1 2026] [core:error] [pid 3] AH00126: Invalid URI\n",
    "epoch": "1762156800.123 GET /a\n1762156801.123 GET /b\n",
    "hdfs": "081109 203518 143 INFO dfs.DataNode: Receiving block blk_1\n",
    "bgl": "- 1117838570 2005.06.03 R02 2005-06-03-15.42.50.675872 R02 RAS KERNEL INFO corrected\n",
    "spark": "17/06/09 20:10:40 INFO executor.Executor: Running task 0.0\n",
    "windows": "2016-09-28 04:30:30, Info                  CBS    Loaded Servicing Stack\n",
    "journal": "Nov 03 08:00:00 box systemd[1]: Started Session 4.\n",
    "compose": "web_1  | 2026-11-03 08:00:00 INFO up\ndb_1   | 2026-11-03 08:00:01 LOG ready\n",
    "klog": "I1103 08:00:00.123456       1 main.go:12] up\nE1103 08:00:01.1   1 main.go:3] bad\n",
    "logfmt": 'ts=2026-11-03T08:00:00Z level=info msg="up"\nlevel=error msg="bad thing"\n',
    "actions": "2026-11-03T08:00:00.1234567Z ##[group]Run make\n2026-11-03T08:00:01.1Z cc -c a.c\n",
    "uvicorn": 'INFO:     127.0.0.1:5000 - "GET / HTTP/1.1" 200 OK\nINFO:     Shutting down\n',
    "basic": "WARNING:root:disk low\nERROR:app.db:gone\n",
    "rfc5424": "<187>1 2026-11-03T08:00:00.1+00:00 web1 router 489 - - lost\n",
    "kernel": "[    0.000000] Linux version 6.1\n[    1.234567] EXT4-fs error (device sda1)\n",
    "redis": "1:M 03 Nov 2026 08:00:00.123 * Ready to accept connections\n",
    "java util": "Nov 03, 2026 8:00:00 AM org.a.B start\nINFO: started\n",
}

OTHERS = {
    "prose": "The meeting of 3 November began at 8:00. Nobody came.\n\nWe shall meet again.\n",
    "markdown": "# Log of changes\n\n- 2026-11-03 added a thing\n- 2026-11-04 removed it\n",
    "csv": "time,level,n\n2026-11-03 08:00:00,a,1\n2026-11-03 08:00:01,b,2\n",
    "csv without header": "2026-11-03 08:00:00,12.5,4\n2026-11-03 08:01:00,13.5,5\n",
    "subtitles": "1\n00:00:01,000 --> 00:00:03,000\nHi.\n\n2\n00:00:04,000 --> 00:00:05,000\nB.\n",
    "chat": "[08:00:11] Ann: are you there?\n[08:00:15] Bob: yes, why?\n",
    "json lines": '{"ts": "2026-11-03T08:00:00Z", "a": "b"}\n{"ts": "2026-11-03T08:00:01Z"}\n',
    "yaml": "when: 2026-11-03 08:00:00\nlevel: info\n",
    "python": "import logging\n\n\ndef f():\n    logging.info('2026-11-03 08:00:00')\n",
    "empty": "",
}


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
def test_styles_are_known_and_every_line_is_an_event(text: str) -> None:
    assert log.fits(text, 0, len(text))
    tree = tree_of(text, log.read)
    tops = [text[a:b] for a, b, p in zip(tree.start, tree.end, tree.parent, strict=True) if p < 0]
    lines = kept_lines(text)
    assert tops == (lines[:1] if text is STYLES["java util"] else lines)


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_other_formats_are_not_taken(text: str) -> None:
    assert not log.fits(text, 0, len(text))


def test_everything_is_the_source() -> None:
    assert everything(LOG4J, log.read) == LOG4J.rstrip("\n")


def test_lines_stay_whole_in_order_and_below_their_event() -> None:
    stamp = re.compile(r"2026-")
    causes = re.compile(r"2026-|java\.|Caused")
    events = set(under(LOG4J, stamp))
    thrown = set(under(LOG4J, causes))
    for output in outputs(LOG4J, log.read):
        numbers(LOG4J, output)
        assert set(under(output, stamp)) <= events
        assert set(under(output, causes)) <= thrown


def test_an_event_that_is_kept_keeps_its_exception_and_cause() -> None:
    for output in outputs(LOG4J, log.read):
        if "08:00:15,992" in output:
            assert "no connection after 3000 ms" in output
            assert "Caused by: java.net.SocketTimeoutException: Read timed out" in output


COMPOSE = """\
inbox    | 09:42:02.499 INFO Mail filed
reports  | 09:42:27.624 ERRO Report 4812 aborted
reports  | Traceback (most recent call last):
reports  |   File "/app/reports.py", line 464, in execute
reports  |     return self.run(batch)
reports  | AttributeError: field due_date
reports  |
reports  | The above exception was the direct cause of the following exception:
reports  |
reports  | Traceback (most recent call last):
reports  |   File "/app/main.py", line 33, in main
reports  |     worker.run()
reports  | RuntimeError: reports failed
search   | 09:42:33.008 INFO Query took 2239 ms
"""
JOURNAL = "".join(
    f"2026-11-03T08:00:0{second}+0000 box app[2025]: {message}\n"
    for second, message in [
        (1, "info: ready"),
        (2, "error: report 7 aborted"),
        (2, "  Traceback (most recent call last):"),
        (2, '    File "/app/reports.py", line 548, in submit'),
        (2, "      await self.process(*args)"),
        (2, "  ValueError: bad date"),
        (3, "info: report 8 done"),
    ]
)
POSTGRES = """\
2026-06-12 22:43:07.668 UTC [1007] LOG:  duration: 2960 ms
2026-06-12 22:43:08.135 UTC [1008] ERROR:  deadlock detected
2026-06-12 22:43:08.135 UTC [1008] DETAIL:  Process 56512 waits for ShareLock
2026-06-12 22:43:08.135 UTC [1008] HINT:  See server log for query details.
2026-06-12 22:43:09.012 UTC [1009] LOG:  disconnection
"""


@pytest.mark.parametrize(("text", "events"), [(COMPOSE, 3), (JOURNAL, 3), (POSTGRES, 3)])
def test_lines_with_a_prefix_of_their_own_continue_an_event(text: str, events: int) -> None:
    assert log.fits(text, 0, len(text))
    tree = tree_of(text, log.read)
    assert int((tree.parent < 0).sum()) == events
    for output in outputs(text, log.read):
        numbers(text, output)
        if "ERRO Report 4812" in output:
            assert "AttributeError: field due_date" in output
            assert "RuntimeError: reports failed" in output
        if "report 7 aborted" in output:
            assert "ValueError: bad date" in output


def test_values_that_repeat_stay_with_their_line() -> None:
    text = "".join(
        f"2026-11-03 08:00:{i:02d} INFO job-{i % 3} state={'done' if i % 2 else 'open'}\n"
        for i in range(12)
    )
    for output in outputs(text, log.read, n=30):
        numbers(text, output)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-03 08:00:00 INFO \x00\x01\xff\r\n\r\r\x85 x\n",
        "2026-11-03 08:00:00 INFO " + "x" * 300_000,
        "2026-11-03 08:00:00 INFO a\n" + " " * 100_000 + "b",
        "INFO: \n" * 3 + "\ud800",
        "| " * 20_000,
    ],
)
def test_odd_input_is_read(text: str) -> None:
    log.fits(text, 0, len(text))
    out = Builder(text)
    if log.read(out, 0, len(text)):
        tree = out.tree("log")
        assert (tree.end > tree.start).all()


def test_text_without_events_is_refused() -> None:
    out = Builder("nothing of this kind\nat all\n")
    assert not log.read(out, 0, len(out.text))
    assert not out.start


@pytest.mark.parametrize("unit", [LOG4J, COMPOSE, JOURNAL, "a" * 50 + ".", "\t", "  at x(\n"])
def test_time_is_linear(unit: str) -> None:
    def seconds(n: int) -> float:
        text = unit * n
        best = np.inf
        for _ in range(2):
            began = time.process_time()
            log.fits(text, 0, len(text))
            log.read(Builder(text), 0, len(text))
            best = min(best, time.process_time() - began)
        return float(best)

    n = max(1, 15_000 // len(unit))
    assert seconds(8 * n) < 24 * max(seconds(n), 0.002)
