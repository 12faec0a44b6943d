"""The speed of `mini`: beside llmlingua, over sizes, and as a user waits for it.

    python -m tests.benchmarks.mini [peer] [linear] [memory] [latency]

peer: whole calls beside ``llmlingua`` 0.2.2 with a checkpoint of the sizes of
bert-base-multilingual-cased (random weights; the tokenizer is the one of `mini`, since no hub can
be asked): processor seconds on one thread, alternating, medians. linear: per-token time from 1,000
tokens on. memory: peak of a process beyond what the libraries and the model take. latency: wall
clock with the default threads. Tokens are o200k_base tokens throughout.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.prose import prose

RATIO = 0.5
QUERY = "When did the university open its school of law?"
SIZES = (1_000, 10_000, 100_000)
LONG = 1_000_000


def passages(count: int, words: int, skip: int = 0) -> list[str]:
    """Different texts of about ``words`` words."""
    parts = prose((count + skip + 1) * words)[0].split(" ")
    return [" ".join(parts[i * words : (i + 1) * words]) for i in range(skip, skip + count)]


def tokens(texts: list[str]) -> int:
    """How many o200k_base tokens the texts have."""
    from ctxzip.text.tokens import resolve

    return sum(map(resolve("o200k_base").count, texts))


def llmlingua_like_mbert(folder: Path) -> Any:
    """llmlingua with 12 layers of 768, its weights random, its tokenizer a real English one."""
    import llmlingua
    import tiktoken
    import torch
    import transformers
    from tokenizers import Tokenizer

    from ctxzip.backends import bundle
    from ctxzip.text.vocabulary import load

    encoding, _ = load("cl100k_base")
    tiktoken.encoding_for_model = lambda name: encoding
    raw = Tokenizer.from_file(str(bundle.find("mini") / "tokenizer.json"))
    special = {
        f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")
    }
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **special)
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=119_547, num_labels=2)
    model = transformers.BertForTokenClassification(config).eval()
    path = folder / "bert-base-multilingual-cased"
    fast.save_pretrained(path)
    model.save_pretrained(path)
    return llmlingua.PromptCompressor(str(path), device_map="cpu", use_llmlingua2=True)


def peer(rounds: int) -> None:
    """Whole calls beside llmlingua, and the share of the model in ours."""
    import torch

    import ctxzip

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        theirs = llmlingua_like_mbert(Path(scratch))
        ours = ctxzip.load("mini", settings=ctxzip.Mini(threads=1, cache_bytes=0))
        ours.warmup()
        inside = timed_sessions(ours)
        for label, texts in (
            ("one text of 3,000 words (full 512-token chunks)", passages(1, 3000)),
            ("24 passages of about 150 tokens", passages(24, 115)),
        ):
            size, times, share = tokens(texts), [], []
            for _ in range(rounds):
                a = spent(lambda t=texts: theirs.compress_prompt_llmlingua2(list(t), rate=RATIO))
                inside[0] = 0.0
                documents = [ctxzip.Document(text) for text in texts]
                budget = ctxzip.Budget(ratio=RATIO)
                b = spent(lambda d=documents, g=budget: ours.compress(d, budget=g))
                times.append((a, b))
                share.append(inside[0] / b)
            a, b = np.median(times, axis=0)
            print(
                f"{label}: {size} tokens; llmlingua {size / a:,.0f} tokens/s, mini"
                f" {size / b:,.0f} tokens/s, {np.median([x / y for x, y in times]):.1f}x;"
                f" {np.median(share):.0%} of mini's time inside the ONNX sessions",
                flush=True,
            )


def timed_sessions(compressor: Any) -> list[float]:
    """Make the compressor's encoder add up the processor seconds of its forward passes."""
    encoder, total = compressor.scorer._encoder, [0.0]
    run = encoder._run

    def counted(name: str, **inputs: Any) -> Any:
        begun = time.process_time()
        try:
            return run(name, **inputs)
        finally:
            total[0] += time.process_time() - begun

    encoder._run = counted
    return total


def spent(work: Callable[[], Any]) -> float:
    """Processor seconds."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def linear(rounds: int, sizes: tuple[int, ...]) -> None:
    """Per-token time over sizes, with a question and without."""
    import ctxzip

    ours = ctxzip.load("mini", settings=ctxzip.Mini(threads=1, cache_bytes=0))
    ours.warmup()
    for query in (None, QUERY):
        first = None
        for size in sizes:
            text = " ".join(passages(1, int(size / 1.3)))
            n, budget = tokens([text]), ctxzip.Budget(ratio=RATIO)
            repeat = rounds if size <= 10_000 else 1
            each = [
                spent(
                    lambda t=text, q=query, g=budget: ours.compress(
                        [ctxzip.Document(t)], query=q, budget=g
                    )
                )
                for _ in range(repeat)
            ]
            rate = float(np.median(each)) / n
            first = first or rate
            print(
                f"{'with' if query else 'without'} a question, {n:,} tokens:"
                f" {rate * 1e6:.0f} microseconds a token, {rate / first:.2f}x of the smallest",
                flush=True,
            )


def memory(sizes: tuple[int, ...]) -> None:
    """Peak memory of a process that compresses one text, over that of a short text."""
    code = (
        "import sys, resource, ctxzip; from tests.benchmarks.mini import passages\n"
        "text = passages(1, int(int(sys.argv[1]) / 1.3))[0]\n"
        "m = ctxzip.load('mini', settings=ctxzip.Mini(threads=1))\n"
        "m.compress([ctxzip.Document(text)], budget=ctxzip.Budget(ratio=0.5))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    for size in sizes:
        done = subprocess.run(
            [sys.executable, "-c", code, str(size)], capture_output=True, text=True, check=True
        )
        print(f"{size:,} tokens: peak {done.stdout.strip()} MB", flush=True)


def latency() -> None:
    """What a user waits for: ten passages of 150 tokens and a question, in a fresh process."""
    code = (
        "import time; begun = time.perf_counter()\n"
        "import ctxzip\n"
        "from tests.benchmarks.mini import passages, QUERY\n"
        "sets = [passages(10, 115, 10 * i) for i in range(6)]\n"
        "begun = time.perf_counter()\n"
        "ctxzip.compress(sets[0], 0.3, query=QUERY, compressor='mini')\n"
        "first = time.perf_counter() - begun; cold = []; again = []\n"
        "for some in sets[1:]:\n"
        "    begun = time.perf_counter()\n"
        "    ctxzip.compress(some, 0.3, query=QUERY, compressor='mini')\n"
        "    cold.append(time.perf_counter() - begun); begun = time.perf_counter()\n"
        "    ctxzip.compress(some, 0.3, query='Who founded the library?', compressor='mini')\n"
        "    again.append(time.perf_counter() - begun)\n"
        "print(first, sorted(cold)[2], sorted(again)[2])"
    )
    rows = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        rows.append([float(x) for x in done.stdout.split()])
    first, cold, again = np.median(rows, axis=0)
    print(
        f"10 passages of 150 tokens: first call with the loading {first:.2f} s, new passages"
        f" {cold:.2f} s, another question about them {again * 1000:.0f} ms"
        f" (medians; {os.cpu_count()} cores)"
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=["peer", "linear", "memory", "latency"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long", action="store_true", help="a million tokens, too")
    options = parser.parse_args()
    sizes = (*SIZES, LONG) if options.long else SIZES
    if "peer" in options.parts:
        peer(options.rounds)
    if "linear" in options.parts:
        linear(options.rounds, sizes)
    if "memory" in options.parts:
        memory(sizes)
    if "latency" in options.parts:
        latency()


if __name__ == "__main__":
    main()
