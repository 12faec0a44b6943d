"""Speed of the lexical path: ``python -m tests.benchmarks.lexical`` (``make bench``).

Processor seconds of one process, so that another process beside it changes little; medians.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

# One core: before NumPy starts its threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import ctxzip
from tests.benchmarks.prose import prose

SIZES = (10_000, 100_000, 1_000_000)
QUERY = "When did the university open its school of law?"


def run(
    text: str, query: str | None, granularity: str, repeats: int
) -> tuple[float, dict[str, float]]:
    """Median processor seconds, and the share of each stage."""
    options = ctxzip.Options(granularity=granularity)
    seconds, result = [], None
    for _ in range(repeats):
        started = time.process_time()
        result = ctxzip.compress(text, 0.5, query=query, compressor="lexical", options=options)
        seconds.append(time.process_time() - started)
    assert result is not None
    assert result.tokens_after <= result.tokens_before // 2
    whole = sum(result.seconds.values())
    return statistics.median(seconds), {k: v / whole for k, v in result.seconds.items()}


def peak_memory(words: int) -> int:
    """Peak resident bytes of a process that compresses so many words."""
    code = (
        "import resource, sys, ctxzip; from tests.benchmarks.prose import prose; "
        f"text, _ = prose({words}); "
        f"ctxzip.compress(text, 0.5, query={QUERY!r}, compressor='lexical'); "
        "unit = 1 if sys.platform == 'darwin' else 1024; "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(out.stdout)


def import_milliseconds() -> float:
    """Median time of ``import ctxzip`` in a fresh process, beyond starting Python."""

    def fresh(code: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - started

    pairs = [fresh("import ctxzip") - fresh("pass") for _ in range(9)]
    return statistics.median(pairs) * 1000


def main() -> None:
    """Print the table."""
    text, source = prose(max(SIZES))
    ctxzip.compress(text[:2000], 0.5, query=QUERY, compressor="lexical")
    print(f"lexical compressor at ratio 0.5, {source}, one core, processor seconds\n")
    print("| words | query | granularity | s | MB/s | per word, to 10,000 | stages |")
    print("|---|---|---|---|---|---|---|")
    for query, granularity in ((QUERY, "auto"), (None, "auto"), (QUERY, "word"), (None, "word")):
        base = None
        for size in SIZES:
            part = " ".join(text.split(" ")[:size])
            seconds, shares = run(part, query, granularity, 9 if size <= 100_000 else 3)
            base = base or seconds / size
            stages = ", ".join(f"{k} {v:.0%}" for k, v in shares.items())
            print(
                f"| {size:,} | {'yes' if query else 'no'} | {granularity} | {seconds:.3f} "
                f"| {len(part.encode()) / 1e6 / seconds:.2f} | {seconds / size / base:.2f} "
                f"| {stages} |"
            )
    print(f"\npeak memory at {max(SIZES):,} words: {peak_memory(max(SIZES)) / 1e6:.0f} MB")
    print(f"import ctxzip: {import_milliseconds():.0f} ms beyond starting Python")


if __name__ == "__main__":
    main()
