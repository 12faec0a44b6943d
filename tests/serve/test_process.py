"""The service as a process under load: what some clients do costs the others nothing."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ctxzip.errors import MissingExtraError
from ctxzip.serve import command
from tests.benchmarks.serving import body_of, serving
from tests.command import called

HEADERS = {"Content-Type": "application/json"}


class Load:
    """Clients that ask without pause until they are told to stop.

    Attributes:
        done: statuses of the answers.
        lost: requests that began and were never answered.
        refused: connections that the service did not take.
    """

    def __init__(self, port: int, clients: int = 6) -> None:
        self.port = port
        self.done: list[int] = []
        self.lost: list[str] = []
        self.refused = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(n,)) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def _client(self, number: int) -> None:
        # A connection per request: one that is kept open may close just as the next request goes
        # out, which no server can help.
        while not self._stop.is_set():
            number += 100
            body = json.dumps(body_of(number, 2, 80))
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                connection.connect()
            except OSError:
                self.refused += 1
                return
            try:
                connection.request("POST", "/v1/compress", body, HEADERS)
                answer = connection.getresponse()
                assert json.loads(answer.read())["text"]
                self.done.append(answer.status)
            except Exception as error:
                self.lost.append(repr(error))
                return
            finally:
                connection.close()

    def finish(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


def until(true: Callable[[], bool]) -> None:
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("It did not happen within thirty seconds.")


def raw(port: int, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 30)
    connection.sendall(sent)
    return connection


def test_bad_clients_cost_the_others_nothing() -> None:
    with serving("--compressor", "lexical", "--max-body", "50000") as server:
        load = Load(server.port)
        until(lambda: len(load.done) > 5)
        slow = raw(server.port, b"POST /v1/compress HTTP/1.1\r\nHost: x\r\n")
        head = b"POST /v1/compress HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        half = raw(server.port, head + b"Content-Length: 900\r\n\r\n{")
        for _ in range(5):
            whole = json.dumps(body_of(7, 10, 150)).encode()
            raw(server.port, head + b"Content-Length: %d\r\n\r\n" % len(whole) + whole).close()
        big = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        big.request("POST", "/v1/compress", b"x" * 200_000, HEADERS)
        assert big.getresponse().status == 413
        garbage = raw(server.port, b"\x16\x03\x01\x00garbage\r\n\r\n")
        before = len(load.done)
        until(lambda: len(load.done) > before + 20)
        load.finish()
        for connection in (slow, half, garbage):
            connection.close()
        assert not load.lost
        assert load.refused == 0
        assert set(load.done) == {200}


def test_a_service_that_is_told_to_stop_answers_what_it_has_begun() -> None:
    with serving("--compressor", "lexical") as server:
        load = Load(server.port)
        until(lambda: len(load.done) > 20)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        load.finish()
        # What the system had accepted for the service, but it had not read, may be reset.
        assert not [error for error in load.lost if "Reset" not in error]
        assert set(load.done) == {200}
        assert load.refused + len(load.lost) == 6


def test_what_cannot_start_says_why(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        found = called("serve", "--compressor", "lexical", "--port", port)
    assert found.returncode == 1
    assert f"port {port}" in found.stderr
    assert "Traceback" not in found.stderr
    found = called("serve", "--compressor", "lexicl", "--port", "0")
    assert found.returncode == 1
    assert "Nearest: lexical" in found.stderr
    found = called("serve", "--api-key-file", tmp_path / "none", "--port", "0")
    assert found.returncode == 1
    assert "API key file" in found.stderr


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctxzip.kit.extras.importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"ctxzip\[serve\]"):
        command._require()


def test_the_command_line_starts_without_the_extra() -> None:
    code = "import sys, ctxzip.cli; sys.exit('fastapi' in sys.modules or 'uvicorn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_other_machines_are_warned_about_and_the_key_is_asked_for() -> None:
    environment = {**os.environ, "CTXZIP_API_KEY": "k"}
    line = [
        sys.executable,
        "-m",
        "ctxzip",
        "serve",
        "-c",
        "lexical",
        "-p",
        "0",
        "--host",
        "0.0.0.0",
    ]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert "stopped" in process.stderr.read()
    assert "listening" in first  # a key is set, so there is nothing to warn of
    assert process.returncode == 0
