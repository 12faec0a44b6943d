"""Weights in 8 bits against float32: how many word decisions at rate 0.5 are the same.

    python -m tests.benchmarks.int8 [--mini BUNDLE] [--layers 12] [--hidden 768] [--spread 0.04]
        [--text FILE ...]

BUNDLE is mini in float32 (``python models/mini/export.py --float32 ... --out BUNDLE``); it is held
against the shipped one. The other model is a BERT of mBERT's size with random weights, exported by
``ctxzip export --head token`` with and without ``--int8`` and run as ``llmlingua2``. Its tokenizer
is trained on the text. The text is that of the examples, or FILEs, in passages of about 150 words.
The deviation of the random weights is about that of the trained ones (0.04); the wider, the more
chaotic the model, and the larger what rounding does. Needs torch, transformers and onnx for the
second model.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import ctxzip

ROOT = Path(__file__).resolve().parents[2]
RATE = 0.5
_WORDS = 150


def passages(files: list[Path]) -> list[str]:
    """The texts in paragraphs of about 150 words."""
    if files:
        texts = [path.read_text(encoding="utf-8") for path in files]
    else:
        texts = [p.read_text(encoding="utf-8") for p in sorted(ROOT.glob("examples/corpus/*.md"))]
        sample = json.loads((ROOT / "examples" / "sample.json").read_text(encoding="utf-8"))
        texts += [document["text"] for document in sample["documents"]]
    found = []
    for text in texts:
        part: list[str] = []
        for paragraph in text.split("\n\n"):
            part.append(paragraph)
            if sum(len(p.split()) for p in part) >= _WORDS:
                found.append("\n\n".join(part))
                part = []
        if part:
            found.append("\n\n".join(part))
    return [text for text in found if len(text.split()) > 20]


def labels(compressor: ctxzip.Compressor, texts: Iterable[str]) -> np.ndarray:
    """Which words stay, passage after passage."""
    results = ctxzip.compress_many(texts, RATE, compressor=compressor)
    return np.array([kept for r in results for d in ctxzip.word_labels(r) for _, kept in d], bool)


def agreement(
    name: str, exact: ctxzip.Compressor, small: ctxzip.Compressor, texts: list[str]
) -> None:
    """Print how many decisions are the same."""
    a, b = labels(exact, texts), labels(small, texts)
    print(
        f"{name}: {(a == b).mean():.2%} of {len(a):,} word decisions equal at rate {RATE}"
        f" ({a.mean():.1%} of the words kept)",
        flush=True,
    )


def mini(bundle: Path, texts: list[str]) -> None:
    """The keep head of the shipped model."""
    options = ctxzip.Options(granularity="word")
    exact = ctxzip.load("mini", model=str(bundle), options=options)
    agreement("mini, keep head", exact, ctxzip.load("mini", options=options), texts)


def bert(texts: list[str], layers: int, hidden: int, spread: float, scratch: Path) -> None:
    """A token classifier with random weights."""
    import torch
    import transformers

    from ctxzip.compressors.export import export

    tokenizer = _tokenizer(texts)
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=max(1, hidden // 64),
        intermediate_size=4 * hidden,
        initializer_range=spread,
        num_labels=2,
    )
    model = transformers.BertForTokenClassification(config).eval()
    weights = sum(p.numel() for p in model.parameters())
    tokenizer.save_pretrained(scratch / "model")
    model.save_pretrained(scratch / "model")
    del model
    folders = []
    for int8 in (False, True):
        done = export(str(scratch / "model"), "token", scratch / f"int8-{int8}", int8=int8)
        print(f"  {done.folder.name}: {done.size / 2**20:.0f} MiB", flush=True)
        folders.append(str(done.folder))
    exact, small = (ctxzip.load("llmlingua2", model=folder) for folder in folders)
    name = f"BERT, {layers} layers of {hidden}, {weights / 1e6:.0f}M random weights"
    agreement(name, exact, small, texts)


def _tokenizer(texts: list[str]) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from tokenizers.trainers import WordPieceTrainer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = WordPieceTrainer(vocab_size=8000, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=512,
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mini", type=Path)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--spread", type=float, default=0.04, help="deviation of the weights")
    parser.add_argument("--text", type=Path, nargs="*", default=[])
    arguments = parser.parse_args()
    texts = passages(arguments.text)
    print(f"{len(texts)} passages, {sum(len(t.split()) for t in texts):,} words")
    if arguments.mini is not None:
        mini(arguments.mini, texts)
    with tempfile.TemporaryDirectory() as scratch:
        bert(texts, arguments.layers, arguments.hidden, arguments.spread, Path(scratch))


if __name__ == "__main__":
    main()
