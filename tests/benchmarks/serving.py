"""The HTTP service under load: one client against sixteen. Prints, never asserts a time.

    python -m tests.benchmarks.serving [--compressor auto] [--rounds 5] [--clients 16]

The service runs in a process of its own, the clients are threads of this one. Both share the
machine's processors. Every request has texts that the service has not seen; rounds of one and of
many clients alternate, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import queue
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ctxzip

SENTENCES = (
    "Pump {i} in hall {j} was serviced on {k} May by crew {j}.",
    "The bearing showed wear of {j}.{k} millimetres and was not replaced.",
    "Pressure in line {k} fell to {j} bar during the night shift.",
    "Nobody was hurt, and the report was filed under number {i}{k}.",
    "The supplier in Bergen promised new seals within {k} working days.",
    "The canteen changed its menu on Tuesday because the cook was away.",
)
WORKLOADS = {"1 passage of 80 tokens": (1, 80, 96), "10 passages of 150 tokens": (10, 150, 32)}


def passage(number: int, tokens: int) -> str:
    """A passage of about so many tokens, different for each number."""
    text, i = "", 0
    while len(text) < tokens * 3.9:
        values = {"i": number * 31 + i, "j": (number + i) % 9, "k": (number * i) % 27 + 1}
        text += SENTENCES[(number + i) % len(SENTENCES)].format(**values) + " "
        i += 1
    return text.strip()


def body_of(number: int, passages: int, tokens: int) -> dict[str, object]:
    """The request of a number: as many passages of as many tokens."""
    return {
        "documents": [passage(number * 50 + i, tokens) for i in range(passages)],
        "query": f"When was pump {number * 31} serviced, and by whom?",
        "ratio": 0.5,
    }


@dataclass(slots=True)
class Server:
    """A running service."""

    process: subprocess.Popen[str]
    port: int


@contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    """The service in a process of its own, at a free port."""
    command = [sys.executable, "-m", "ctxzip", "serve", "--port", "0", *arguments]
    environment = {k: v for k, v in os.environ.items() if k != "CTXZIP_API_KEY"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    said: list[str] = []
    try:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"listening at http://.*:(\d+)$", line.strip()):
                break
        else:
            raise SystemExit(f"The service did not start: {''.join(said)}")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield Server(process, int(found[1]))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        finally:
            process.kill()


def load(port: int, bodies: list[dict[str, object]], clients: int) -> tuple[float, list[float]]:
    """Send every body, by so many clients at once.

    Returns:
        Requests a second, and the seconds of each.
    """
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for body in bodies:
        waiting.put(json.dumps(body).encode())
    seconds: list[float] = []
    errors: list[str] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        headers = {"Content-Type": "application/json"}
        while True:
            try:
                body = waiting.get_nowait()
            except queue.Empty:
                return
            begun = time.perf_counter()
            connection.request("POST", "/v1/compress", body, headers)
            response = connection.getresponse()
            answer = response.read()
            seconds.append(time.perf_counter() - begun)
            if response.status != 200:
                errors.append(f"{response.status}: {answer[:200]!r}")

    threads = [threading.Thread(target=client) for _ in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - begun
    if errors or len(seconds) != len(bodies):
        raise SystemExit(f"{len(bodies) - len(seconds)} lost, {len(errors)} errors: {errors[:3]}")
    return len(bodies) / spent, seconds


def same_as_alone(port: int, compressor: str, passages: int, tokens: int) -> None:
    """Stop where an answer given under load is not what one call gives."""
    bodies = [body_of(10_000_000 + n, passages, tokens) for n in range(16)]
    texts: dict[int, str] = {}

    def ask(n: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/compress", json.dumps(bodies[n]), headers)
        texts[n] = json.loads(connection.getresponse().read())["text"]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, body in enumerate(bodies):
        alone = ctxzip.compress(
            body["documents"],  # type: ignore[arg-type]
            0.5,
            query=str(body["query"]),
            compressor=compressor,
        )
        if texts.get(n) != alone.text:
            raise SystemExit(f"Request {n} got another answer under load than alone.")


def measure(port: int, name: str, clients: int, rounds: int) -> None:
    """Print what one and many clients get of a workload."""
    passages, tokens, count = WORKLOADS[name]
    number = 0

    def fresh() -> list[dict[str, object]]:
        nonlocal number
        number += count
        return [body_of(number + i, passages, tokens) for i in range(count)]

    load(port, fresh(), clients)
    one: list[float] = []
    many: list[float] = []
    seconds: dict[int, list[float]] = {1: [], clients: []}
    for _ in range(rounds):
        for found, crowd in ((one, 1), (many, clients)):
            rate, spent = load(port, fresh(), crowd)
            found.append(rate)
            seconds[crowd] += spent
    ratios = [m / o for m, o in zip(many, one, strict=True)]
    print(f"{name}, {rounds} rounds of {count} requests")
    for crowd, rates in ((1, one), (clients, many)):
        cut = statistics.quantiles(seconds[crowd], n=100)
        print(
            f"  {crowd:>3} clients: {statistics.median(rates):7.1f} requests/s,"
            f" p50 {cut[49] * 1e3:6.0f} ms, p99 {cut[98] * 1e3:6.0f} ms"
        )
    print(
        f"  {clients} clients get {statistics.median(ratios):.2f} times the throughput of one"
        f" ({min(ratios):.2f} to {max(ratios):.2f}); no error, none lost"
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compressor", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=16)
    arguments = parser.parse_args()
    with serving("--compressor", arguments.compressor) as server:
        for name, (passages, tokens, _) in WORKLOADS.items():
            measure(server.port, name, arguments.clients, arguments.rounds)
            same_as_alone(server.port, arguments.compressor, passages, tokens)
            print("  answers under load are those of single calls")


if __name__ == "__main__":
    main()
