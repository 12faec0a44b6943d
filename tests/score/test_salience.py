from __future__ import annotations

import time

import numpy as np
import pytest

from ctxzip.score.salience import Weights, severity, structure_salience
from ctxzip.text.units import Kind

CALM = [
    f"2026-11-03 08:{i // 60:02d}:{i % 60:02d} INFO web - request {i} took {i % 7} ms"
    for i in range(200)
]


def best(texts: list[str], n: int, **more: object) -> set[int]:
    score = structure_salience(texts, **more)  # type: ignore[arg-type]
    return set(np.argsort(-score, kind="stable")[:n].tolist())


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ("2026-11-03 08:00:00 FATAL db gone", "2026-11-03 08:00:00 ERROR db gone"),
        ("2026-11-03 08:00:00 ERROR db gone", "2026-11-03 08:00:00 WARN db slow"),
        ("2026-11-03 08:00:00 WARN db slow", "2026-11-03 08:00:00 INFO db up"),
        ("E1103 08:00:00.1 1 a.go:1] x", "I1103 08:00:00.1 1 a.go:1] x"),
        ("03-17 16:13:46.764  2227  2794 E Tag: x", "03-17 16:13:46.764  2227  2794 D Tag: x"),
        ('1.2.3.4 - - [x] "GET / HTTP/1.1" 503 12', '1.2.3.4 - - [x] "GET / HTTP/1.1" 404 12'),
        ('1.2.3.4 - - [x] "GET / HTTP/1.1" 404 12', '1.2.3.4 - - [x] "GET / HTTP/1.1" 200 12'),
        ("<187>1 t host app - - lost", "<190>1 t host app - - lost"),
        ('level=error msg="x"', 'level=info msg="x"'),
        ('{"level": "error", "msg": "x"}', '{"level": "info", "msg": "x"}'),
        ("[crit] 5#0: x", "[notice] 5#0: x"),
        ("Nov  3 08:00:00 a sshd[1]: Failed password", "Nov  3 08:00:00 a sshd[1]: session opened"),
        ("INFO it failed", "INFO it passed, 0 errors"),
        ("not ok 3 - adds", "ok 3 - adds"),
        ("E       assert 1 == 2", "collected 3 items"),
        ("INFO a\nTraceback (most recent call last):\n  File\nValueError: x", "INFO a\nb"),
    ],
)
def test_severity_is_in_order(worse: str, better: str) -> None:
    assert severity(worse) > severity(better)


def test_no_error_is_no_error() -> None:
    assert severity('{"status": "ok", "error": null}') <= 0
    assert severity("build done with 0 errors") <= 0


def test_a_rare_line_and_an_error_come_first() -> None:
    texts = [*CALM]
    texts[50] = "2026-11-03 08:00:50 INFO web - configuration reloaded from disk"
    texts[120] = "2026-11-03 08:02:00 ERROR web - pool exhausted"
    assert best(texts, 2) == {50, 120}
    assert structure_salience(texts).argmax() == 120


def test_one_line_of_each_template_comes_before_their_repetitions() -> None:
    texts = [
        f"INFO job {i} {word}" for i in range(60) for word in ("started", "ended", "checked in")
    ]
    assert best(texts, 3) == {0, 1, 2}


def test_names_do_not_make_a_line_rare() -> None:
    names = ["".join(chr(97 + (i * 7 + j * j) % 26) for j in range(6)) for i in range(100)]
    texts = [f"INFO user {name} signed in from home" for name in names]
    texts[70] = "INFO certificate renewed for the site"
    assert 70 in best(texts, 3)


def test_where_all_lines_are_errors_the_rare_one_counts() -> None:
    texts = [f"08:00 error: could not connect to host {i}" for i in range(100)]
    texts[40] = "08:00 error: proxy closed the connection unexpectedly"
    assert 40 in best(texts, 2)


def test_outliers_of_columns() -> None:
    random = np.random.default_rng(0)
    rows = [
        [("id", str(i)), ("ms", f"{random.normal(100, 5):.1f}"), ("state", "done")]
        for i in range(80)
    ]
    rows[33][1] = ("ms", "2,950.0")
    rows[61][2] = ("state", "stuck")
    texts = ["; ".join(f"{k}: {v}" for k, v in row) for row in rows]
    kinds = np.full(len(rows), Kind.ROW, np.int64)
    assert best(texts, 2, kinds=kinds, fields=rows) == {33, 61}


def test_a_field_that_hardly_a_record_has() -> None:
    rows = [[("id", str(i)), ("name", f"n{i}")] for i in range(60)]
    rows[20].append(("note", "see below"))
    texts = ["; ".join(f"{k}: {v}" for k, v in row) for row in rows]
    assert 20 in best(texts, 2, fields=rows)


def test_heads_say_nothing_and_frames_little() -> None:
    texts = [
        "ValueError: gone",
        "at java.base/java.lang.Thread.run(Thread.java:1)",
        "at shop.A.b(A.java:2)",
        "HEAD",
    ]
    kinds = np.array([Kind.LINE, Kind.LINE, Kind.LINE, Kind.HEAD], np.int64)
    score = structure_salience(texts, kinds)
    assert score[0] > score[2] > score[1]
    assert score[3] == 0


def test_shapes_and_odd_texts() -> None:
    assert structure_salience([]).shape == (0,)
    for texts in (
        ["x"],
        ["", "\n", "\x00", "\ud800"],
        ["a\nb\nc"] * 3,
        ["9" * 10_000] * 4,
        ["a." * 50_000],
    ):
        score = structure_salience(texts)
        assert score.shape == (len(texts),)
        assert np.isfinite(score).all()
        assert (score >= 0).all()


def test_weights_switch_ingredients_off() -> None:
    texts = [*CALM[:20], "ERROR gone"]
    off = Weights(severity=0, rarity=0, near=0, edge=0, change=0, outlier=0)
    assert not structure_salience(texts, weights=off).any()


def test_time_is_linear() -> None:
    def seconds(n: int) -> float:
        texts = [f"INFO {i} user {'abcdefgh'[i % 8] * (i % 50)} did x{i % 977}y" for i in range(n)]
        began = time.process_time()
        structure_salience(texts)
        return time.process_time() - began

    assert min(seconds(16_000), seconds(16_000)) < 24 * max(seconds(2000), 0.005)
