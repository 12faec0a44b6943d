"""`make demo`: a question and the passages that a retriever returned, before and after.

On a terminal the dropped text is shown dimmed; elsewhere only the kept text is printed.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import ctxzip

BOLD, DIM, PLAIN = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


def shown(document: ctxzip.CompressedDocument) -> str:
    """The source with the dropped parts dimmed, or what is left of it."""
    text = document.source.text
    if not DIM or document.kept is None:
        return document.text or "(nothing kept)"
    parts, at = [], 0
    for start, end in document.kept:
        parts += [DIM, text[at:start], PLAIN, text[start:end]]
        at = end
    return "".join([*parts, DIM, text[at:], PLAIN])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ratio", type=float, default=0.3, help="fraction of tokens to keep")
    parser.add_argument("--compressor", default="auto")
    arguments = parser.parse_args()
    sample = json.loads(Path(__file__).with_name("sample.json").read_text(encoding="utf-8"))

    results, seconds = [], []
    for _ in range(2):  # the first call also loads what it needs
        started = time.perf_counter()
        results.append(
            ctxzip.compress(
                sample["documents"],
                arguments.ratio,
                query=sample["question"],
                compressor=arguments.compressor,
            )
        )
        seconds.append(time.perf_counter() - started)
    result = results[0]

    print(f"{BOLD}Question{PLAIN}: {sample['question']}\n")
    for document in result.documents:
        source = document.source
        before, after = len(source.text.split()), len(document.text.split())
        print(f"{BOLD}── {source.id} · {source.title} · {before} → {after} words{PLAIN}")
        print(shown(document), end="\n\n")

    left = sum(bool(document.text) for document in result.documents)
    print(f"{BOLD}before{PLAIN}  {len(result.documents)} passages, {result.tokens_before} tokens")
    print(
        f"{BOLD}after{PLAIN}   {left} passages, {result.tokens_after} tokens: "
        f"{result.ratio:.1%} kept, as {result.tokenizer} counts them"
    )
    print(
        f"{BOLD}time{PLAIN}    {seconds[0] * 1000:.0f} ms the first time, with loading; "
        f"{seconds[1] * 1000:.0f} ms the second"
    )
    for line in (*result.path, *result.notes):
        print(f"{BOLD}how{PLAIN}     {line}")


if __name__ == "__main__":
    main()
