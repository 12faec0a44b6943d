"""Speed, exactness and memory of ``ctxzip corpus``: ``python -m tests.benchmarks.corpus PART ...``.

Parts: ``mini`` (beside the bare ONNX session), ``workers``, ``kills``, ``memory``, ``ray``.
Texts are SQuAD paragraphs where the data folder is at hand (``CTXZIP_DATA``), else generated prose.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from ctxzip.backends import bundle, onnx
from ctxzip.backends.tokenizers import load_tokenizer
from ctxzip.corpus import job
from ctxzip.corpus.settings import Resources, Settings
from ctxzip.kit.padding import padded
from ctxzip.score.mini.windows import windows
from ctxzip.segment.sentences import split
from ctxzip.text.units import Passage
from ctxzip.types import Document
from tests.benchmarks.prose import prose


def write(path: Path, texts: list[str]) -> None:
    """Texts as JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for i, text in enumerate(texts):
            print(json.dumps({"id": f"r{i}", "text": text}), file=file)


def command(source: Path, output: Path, *more: object) -> list[str]:
    """The command line that compresses a corpus."""
    return [
        sys.executable, "-m", "ctxzip", "corpus", "compress", str(source), "-o", str(output),
        "--quiet", *map(str, more),
    ]  # fmt: skip


def fingerprint(folder: Path) -> str:
    """Digest of every shard and of the errors."""
    state = hashlib.sha256()
    for path in sorted(folder.glob("*.jsonl")):
        state.update(path.name.encode() + path.read_bytes())
    return state.hexdigest()


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ctxzip-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def mini(texts: list[str], repeats: int) -> None:
    """Tokens a second of the whole path beside those of the two networks alone.

    Once as a user has it, by the clock and with every core; once by the processor time of one
    thread, which other processes disturb less.
    """
    found = bundle.read(bundle.find("mini"))
    tokenize = load_tokenizer(found.tokenizer)
    ids = [
        window.ids
        for text in texts
        for window in windows(Passage(Document(text), text, split(text)), tokenize)
    ]
    tokens = sum(map(len, ids))
    print(f"mini: {len(ids)} windows, {tokens} of the model's tokens")
    networks = [found.folder / found.networks[name] for name in ("trunk", "keep")]

    def bare(most: int, sessions: list[Any]) -> None:
        order = np.argsort([len(one) for one in ids], kind="stable")
        batches, batch = [], []
        for i in order.tolist():
            if batch and len(ids[i]) * (len(batch) + 1) > most:
                batches.append(padded(batch))
                batch = []
            batch.append(ids[i])
        batches.append(padded(batch))
        trunk, keep = sessions
        for rows, mask in batches:
            states = trunk.run(None, {"ids": rows, "mask": mask})[0]
            keep.run(None, {"states": states, "mask": mask})

    def ours(folder: Path, threads: int | None) -> None:
        settings = Settings(ratio=0.5, compressor="mini")
        resources = Resources(threads=threads, cache=str(folder / "cache"))
        job.compress([str(folder / "in.jsonl")], folder / "out", settings, resources=resources)
        shutil.rmtree(folder / "out")
        (folder / "cache").unlink()

    def seconds(clock: Callable[[], float], work: Callable[[], None]) -> float:
        begun = clock()
        work()
        return clock() - begun

    sizes = (512, 1024, 2048)
    with workplace() as folder:
        write(folder / "in.jsonl", texts)
        ours(folder, 1)  # loads the model
        for label, threads, clock in (
            ("clock, all cores", None, time.perf_counter),
            ("processor time, one thread", 1, time.process_time),
        ):
            sessions = [
                onnx.load_session(path, threads or onnx.default_threads()) for path in networks
            ]
            # One after the other in turn, so that another process beside disturbs all alike.
            rounds = [
                [
                    *(seconds(clock, partial(bare, size, sessions)) for size in sizes),
                    seconds(clock, partial(ours, folder, threads)),
                ]
                for _ in range(repeats)
            ]
            *rates, whole = (
                tokens / statistics.median(column) for column in zip(*rounds, strict=True)
            )
            print(f"{label}:")
            for size, rate in zip(sizes, rates, strict=True):
                print(f"  bare session, batches of {size:4} tokens: {rate:8,.0f} tokens/s")
            print(f"  ctxzip corpus compress:             {whole:8,.0f} tokens/s")
            share = statistics.median(min(r[:-1]) / r[-1] for r in rounds)
            print(f"  share of the best bare session:     {share:8.1%}", flush=True)


def timed(arguments: list[str]) -> float:
    """Wall-clock seconds of a command that must work."""
    begun = time.perf_counter()
    subprocess.run(arguments, check=True)
    return time.perf_counter() - begun


def workers(texts: list[str], repeats: int) -> None:
    """The lexical compressor with one worker process and with two; needs two idle cores."""
    with workplace() as folder:
        write(folder / "in.jsonl", texts)
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for i in range(repeats):
            for count, some in seconds.items():
                out = folder / f"out-{count}-{i}"
                more = ("-c", "lexical", "-w", count, "--no-cache", "--shard-mb", 0.25)
                some.append(timed(command(folder / "in.jsonl", out, *more)))
        assert fingerprint(folder / "out-1-0") == fingerprint(folder / "out-2-0")
        one, two = (statistics.median(some) for some in seconds.values())
        print(f"lexical, with start: 1 worker {one:.1f} s, 2 workers {two:.1f} s: {one / two:.2f}x")


def kills(texts: list[str], times: int) -> None:
    """Kill a job at random moments and compare what comes of it with an undisturbed run."""
    draw = random.Random()
    with workplace() as folder:
        write(folder / "in.jsonl", texts)
        more = ("-c", "lexical", "--shard-mb", 0.02, "--no-cache", "-w", 2)
        whole = timed(command(folder / "in.jsonl", folder / "whole", *more))
        killed = runs = 0
        while killed < times:
            runs += 1
            child = subprocess.Popen(command(folder / "in.jsonl", folder / "out", *more))
            try:
                child.wait(timeout=draw.uniform(0, 1) * whole)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
                killed += 1
            else:
                # It came to its end: take some finished shards away, to be made again.
                for path in (folder / "out" / ".ctxzip" / "done").iterdir():
                    if draw.random() < 0.5:
                        path.unlink()
        timed(command(folder / "in.jsonl", folder / "out", *more))
        ids = [
            json.loads(line)["id"]
            for path in sorted((folder / "out").glob("part-*"))
            for line in path.read_text("utf-8").splitlines()
        ]
        assert ids == [f"r{i}" for i in range(len(texts))], "lost or doubled"
        assert fingerprint(folder / "out") == fingerprint(folder / "whole"), "different bytes"
        shards = len(list((folder / "whole").glob("part-*")))
        print(f"{killed} kills in {runs} runs over {shards} shards: all once, same bytes")


def generate(path: Path, texts: list[str], size: int) -> None:
    """A corpus of at least ``size`` bytes of long documents, no two the same."""
    draw = random.Random(1)
    sentences = [s for text in texts for s in text.split(". ")]
    with path.open("w", encoding="utf-8") as file:
        number = written = 0
        while written < size:
            text = f"Document {number}. " + ". ".join(draw.choices(sentences, k=150))
            line = json.dumps({"id": f"r{number}", "text": text}) + "\n"
            written += file.write(line)
            number += 1


def peak(arguments: list[str]) -> tuple[int, float]:
    """Largest resident bytes of a process and its children together, and its seconds."""
    import psutil

    begun = time.perf_counter()
    child = subprocess.Popen(arguments)
    main, most = psutil.Process(child.pid), 0
    while child.poll() is None:
        total = 0
        with contextlib.suppress(psutil.Error):
            for one in [main, *main.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += one.memory_info().rss
        most = max(most, total)
        time.sleep(0.2)
    assert child.returncode == 0
    return most, time.perf_counter() - begun


def memory(texts: list[str], megabytes: int, compressor: str, workers: int) -> None:
    """Peak memory over a corpus, and over a tenth of it: it must not grow."""
    for size in (megabytes / 10, megabytes):
        with workplace() as folder:
            generate(folder / "in.jsonl", texts, int(size * 1e6))
            more = ("-c", compressor, "-w", workers, "--no-cache")
            most, seconds = peak(command(folder / "in.jsonl", folder / "out", *more))
            print(
                f"{compressor}, {workers} workers, {size:g} MB: peak {most / 1e6:.0f} MB, "
                f"{seconds:.0f} s, {size / seconds:.2f} MB/s",
                flush=True,
            )


def cluster(texts: list[str], repeats: int) -> None:
    """Two Ray actors beside two local workers; the start of either is told apart."""
    with workplace() as folder:
        write(folder / "in.jsonl", texts)
        write(folder / "one.jsonl", texts[:1])
        seconds: dict[str, list[tuple[float, float]]] = {"local": [], "ray": []}
        for i in range(repeats):
            for engine, some in seconds.items():
                more = ("-c", "lexical", "-w", 2, "--no-cache", "--shard-mb", 0.25)
                more = (*more, "--engine", engine)
                start = timed(command(folder / "one.jsonl", folder / f"s-{engine}-{i}", *more))
                whole = timed(command(folder / "in.jsonl", folder / f"{engine}-{i}", *more))
                some.append((start, whole))
        assert fingerprint(folder / "local-0") == fingerprint(folder / "ray-0")
        work = {}
        for engine, some in seconds.items():
            start, whole = (statistics.median(column) for column in zip(*some, strict=True))
            work[engine] = whole - start
            print(
                f"{engine:5}: start {start:.1f} s, whole {whole:.1f} s, work {whole - start:.1f} s"
            )
        print(f"throughput of Ray beside local, starts left out: {work['local'] / work['ray']:.0%}")


def main() -> None:
    """Run the parts that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=["mini", "workers", "kills", "memory", "ray"])
    parser.add_argument("--words", type=int, default=60_000, help="of the corpus; default 60,000")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--megabytes", type=int, default=1000, help="of the part memory")
    parser.add_argument("--compressor", default="lexical", help="of the part memory")
    parser.add_argument("--workers", type=int, default=2, help="of the part memory")
    arguments = parser.parse_args()
    text, source = prose(arguments.words)
    texts = text.split("\n\n")
    print(f"{len(texts)} passages: {source}", flush=True)
    if "mini" in arguments.parts:
        mini(texts, arguments.repeats)
    if "workers" in arguments.parts:
        workers(texts, arguments.repeats)
    if "kills" in arguments.parts:
        kills(texts, arguments.kills)
    if "memory" in arguments.parts:
        memory(texts, arguments.megabytes, arguments.compressor, arguments.workers)
    if "ray" in arguments.parts:
        cluster(texts, arguments.repeats)


if __name__ == "__main__":
    main()
