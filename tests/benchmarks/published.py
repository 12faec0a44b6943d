"""The published compressors against their authors' code, on the same random weights.

    python -m tests.benchmarks.published [--layers 6] [--hidden 384] [--passages 16]

Needs torch, transformers, onnx and llmlingua 0.2.2. Processor seconds on one thread, so that what
else runs on the machine changes little. They take turns, with new texts in every round; ratios are
medians over the rounds. "Beside the model" is what is left of a run without its forward passes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import tiktoken
import torch
import transformers

from ctxzip.backends.exported import ExportedEncoder
from ctxzip.backends.torch.causal import CausalModel
from ctxzip.backends.torch.loading import TOKEN_CLASSIFIER, Placement, TorchEncoder
from ctxzip.compressors.export import export
from ctxzip.compressors.llmlingua2.chunks import Reference
from ctxzip.compressors.llmlingua2.compressor import Verdict, decide
from ctxzip.score.classifier import LLMLingua2
from ctxzip.score.likelihood import LikelihoodScorer
from ctxzip.text.vocabulary import load
from ctxzip.types import Budget
from tests import checkpoints
from tests.score import test_likelihood as likelihood

SETTINGS = LLMLingua2(compat=True)
BUDGET = Budget(ratio=0.5)
ROUNDS = 5
Decision = list[tuple[str, int]]


class Clock:
    """Seconds inside forward passes."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def around(self, owner: Any, name: str) -> Iterator[None]:
        """Count the time in ``owner.name`` while the block runs."""
        original = getattr(owner, name)

        def timed(*arguments: Any, **named: Any) -> Any:
            begun = time.process_time()
            try:
                return original(*arguments, **named)
            finally:
                self.seconds += time.process_time() - begun

        setattr(owner, name, timed)
        yield
        setattr(owner, name, original)


class Measured(NamedTuple):
    """One run: what came out, processor seconds, and those beside the model."""

    result: Any
    seconds: float
    beside: float


def measured(run: Callable[[], Any], owner: Any, name: str) -> Measured:
    """Run once; the model is ``owner.name``."""
    clock = Clock()
    begun = time.process_time()
    with clock.around(owner, name):
        result = run()
    spent = time.process_time() - begun
    return Measured(result, spent, spent - clock.seconds)


def checkpoint(folder: Path, layers: int, hidden: int) -> Path:
    """A BERT of realistic size with random weights, named as llmlingua needs it."""
    tokenizer = checkpoints.wordpiece()
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64 or 1,
        intermediate_size=4 * hidden,
        initializer_range=0.06,
        num_labels=2,
    )
    model = transformers.BertForTokenClassification(config).eval()
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def passages(tokenizer: Any, count: int, low: int, high: int, seed: int) -> list[str]:
    """Texts of ``low`` to ``high`` tokens."""
    found: list[str] = []
    while len(found) < count:
        seed += 1
        text = checkpoints.texts(1, seed, longest=2 + high // 20)[0]
        if low <= len(tokenizer.tokenize(text)) <= high:
            found.append(text)
    return found


def theirs(reference: Any, texts: list[str]) -> str:
    """llmlingua's words and labels as it gives them, its context filter off."""
    result = reference.compress_prompt_llmlingua2(
        list(texts), rate=0.5, return_word_label=True, word_sep="\x00", label_sep="\x01"
    )
    return str(result["fn_labeled_original_prompt"])


def decided_by_them(labelled: str) -> Decision:
    """The same as pairs."""
    pairs = [line.rsplit("\x01", 1) for line in labelled.split("\x00")]
    return [(word, int(label)) for word, label in pairs]


def ours(reference: Reference, texts: list[str]) -> list[Verdict]:
    """What ctxzip decides."""
    return decide(reference, [texts], [BUDGET], SETTINGS)[0]


def decided_by_us(verdicts: list[Verdict]) -> Decision:
    """The same as pairs."""
    return [(w, int(k)) for v in verdicts for w, k in zip(v.words, v.labels.tolist(), strict=True)]


def equal(a: Decision, b: Decision) -> tuple[int, int]:
    """How many decisions are the same, and how many there are."""
    return sum(x == y for x, y in zip(a, b, strict=False)), max(len(a), len(b))


def llmlingua2(folder: Path, scratch: Path, count: int) -> None:
    """Speed beside llmlingua, on short passages and on full chunks."""
    import llmlingua

    encoding, _ = load("cl100k_base")
    tiktoken.encoding_for_model = lambda name: encoding
    reference = llmlingua.PromptCompressor(str(folder), device_map="cpu", use_llmlingua2=True)
    placement = Placement(device="cpu", dtype="float32")
    by_torch = TorchEncoder(str(folder), placement, kind=TOKEN_CLASSIFIER)
    done = export(str(folder), "token", scratch / "float32")
    small = export(str(folder), "token", scratch / "int8", int8=True)
    by_onnx = ExportedEncoder(done.folder, "token", threads=1)
    tokenizer = reference.tokenizer
    print(f"int8 ONNX: {small.agreement:.2%} of token decisions equal at half of the tokens,")
    print(f"           {small.size / 2**20:.0f} MiB instead of {done.size / 2**20:.0f} MiB")
    rivals = {"ctxzip torch": by_torch, "ctxzip ONNX": by_onnx}
    for name, make in (
        ("passages of 100 to 200 tokens", lambda seed: passages(tokenizer, count, 100, 200, seed)),
        (
            "full chunks of 512 tokens",
            lambda seed: [" ".join(passages(tokenizer, 24, 100, 200, seed))],
        ),
    ):
        mine = {label: Reference(encoder, SETTINGS) for label, encoder in rivals.items()}
        runs: dict[str, list[Measured]] = {label: [] for label in ("llmlingua", *rivals)}
        tokens = 0
        for i in range(ROUNDS):
            texts = make(10_000 * i)  # nothing that one of them remembers
            tokens += sum(len(tokenizer.tokenize(text)) for text in texts)
            runs["llmlingua"].append(
                measured(lambda t=texts: theirs(reference, t), reference.model, "forward")
            )
            for label, encoder in rivals.items():
                runs[label].append(
                    measured(lambda t=texts, r=mine[label]: ours(r, t), encoder, "_run")
                )
        print(f"{name}, {tokens:,} tokens in {ROUNDS} rounds, medians")
        published = runs["llmlingua"]
        for label, own in runs.items():
            pairs = list(zip(published, own, strict=True))
            read = decided_by_them if own is published else decided_by_us
            same = [equal(decided_by_them(a.result), read(b.result)) for a, b in pairs]
            print(
                f"  {label:13} {median(one.seconds for one in own):7.2f} s, beside the model"
                f" {median(one.beside for one in own):6.3f} s:"
                f" {median(a.seconds / b.seconds for a, b in pairs):.2f} times as fast,"
                f" {median(b.beside / a.beside for a, b in pairs):.2f} of the time beside the"
                f" model; {sum(a for a, _ in same)} of {sum(b for _, b in same)} decisions equal"
            )


def exit_tokens(scratch: Path) -> None:
    """Tokens that EXIT's language model reads, with and without a shared prefix."""
    model = CausalModel(str(checkpoints.llama(scratch / "llama")), Placement(device="cpu"))
    for sentences in (10, 20):
        request = likelihood.asked(likelihood.document(sentences))
        expected, tokens = likelihood.one_by_one(model, request)
        before = model.tokens_read
        scores = LikelihoodScorer(lambda: model).units([request])[0].units[0]
        read = model.tokens_read - before
        print(
            f"exit, {sentences} sentences: {read:,} instead of {tokens:,} tokens"
            f" ({tokens / read:.2f} times fewer), scores differ by"
            f" {np.abs(scores - expected).max():.1e} at most"
        )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=384)
    parser.add_argument("--passages", type=int, default=16)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as path:
        scratch = Path(path)
        exit_tokens(scratch)
        folder = scratch / "tiny-bert-base-multilingual-cased"
        checkpoint(folder, arguments.layers, arguments.hidden)
        print(f"BERT with {arguments.layers} layers of {arguments.hidden}, float32")
        llmlingua2(folder, scratch, arguments.passages)


if __name__ == "__main__":
    main()
