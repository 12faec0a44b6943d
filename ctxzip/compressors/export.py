"""``ctxzip export``: a checkpoint as an ONNX folder that runs without PyTorch."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ctxzip.backends.encoder import Encoder, tokenize
from ctxzip.backends.exported import FORMAT, MANIFEST, ExportedEncoder
from ctxzip.backends.pooling import Pooling, pool, pooling_of
from ctxzip.errors import InputError, ModelError
from ctxzip.kit.arrays import Float32Array, IntArray
from ctxzip.kit.disk import sha256
from ctxzip.score.classifier import keep_probability

__all__ = ["HEADS", "Exported", "export"]

# Class that reads a checkpoint, what it must declare, and the field of its result.
HEADS = {
    "token": ("AutoModelForTokenClassification", "ForTokenClassification", "logits"),
    "sentence": ("AutoModelForSequenceClassification", "ForSequenceClassification", "logits"),
    "embedding": ("AutoModel", "", "last_hidden_state"),
}
_BLOCK = 32  # weights that share a scale in int8
# Largest difference that rounding may make; int8 is judged by decisions, not by this.
_TOLERANCE = 1e-3

_SAMPLE = (
    "The turbine was inspected on 14 March 2021 and found to be in good order, but the bearing "
    "on the generator side ran 8 °C hotter than in the year before. Nobody replaced it.",
    "Customers may return unused goods within 30 days; opened software is excluded. Refunds are "
    "paid to the original card within five working days after the warehouse confirms receipt.",
    "Im Jahr 1889 wurde der Turm eröffnet. Er war bis 1930 das höchste Bauwerk der Welt und wird "
    "jedes Jahr von etwa sieben Millionen Menschen besucht.",
    "La réunion du conseil n'a pas eu lieu mardi, faute de quorum; elle est reportée au 3 juin.",
    "Water boils at a lower temperature in the mountains because the air pressure is lower there. "
    "At 3,000 metres it boils at about 90 degrees, so pasta takes longer. Most cooks know this, "
    "but few recipes say it. A pressure cooker solves the problem: it raises the boiling point.",
    "Call fetch(url, timeout=30) first; it raises ConnectionError if the host cannot be reached.",
)


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of an export.

    Attributes:
        folder: what was written.
        difference: largest absolute difference from PyTorch on sample texts: of probabilities
            (token), logits (sentence) or vector components (embedding).
        agreement: fraction of equal keep decisions at half of the tokens (token), of equal labels
            (sentence), or the smallest cosine (embedding).
        size: bytes of the ONNX file.
        source_size: bytes of the weights in PyTorch.
        speed_up: PyTorch's time over ONNX's, on the sample.
    """

    folder: Path
    difference: float
    agreement: float
    size: int
    source_size: int
    speed_up: float


def export(model: str, head: str, output: Path, *, int8: bool = False) -> Exported:
    """Write an ONNX folder, load it again and compare it with PyTorch.

    Args:
        model: folder or hub name of an encoder checkpoint.
        head: ``"token"``, ``"sentence"`` or ``"embedding"``.
        output: folder to make; it must not exist, or be empty.
        int8: store matrices in 8 bits.

    Raises:
        InputError: an unknown head, or an output folder in use.
        ModelError: the checkpoint cannot be loaded, is of another kind, or the result differs.
    """
    if head not in HEADS:
        raise InputError(f"head={head!r} is unknown.", hint=f"Use one of: {', '.join(HEADS)}.")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} exists and is not an empty folder.")
    from ctxzip.backends.torch.loading import Placement, TorchEncoder, folder_of
    from ctxzip.backends.torch.tracing import quantise, write_onnx

    placement = Placement(device="cpu", dtype="float32", download=True)
    auto, architecture, field = HEADS[head]
    source = TorchEncoder(model, placement, kind=(auto, architecture, field))
    pooling = pooling_of(folder_of(model, placement)) if head == "embedding" else None
    inputs = _inputs(source)
    expected, torch_time = _timed(source, inputs)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        folder = Path(scratch) / "bundle"
        folder.mkdir()
        write_onnx(source.model, field, folder / "model.onnx")
        if int8:
            quantise(folder / "model.onnx", _BLOCK)
        window = source.frame.window
        if pooling is not None and pooling.window:
            window = min(window, pooling.window)
        _describe(source, head, folder, window, pooling)
        exported = ExportedEncoder(folder, head)
        found, onnx_time = _timed(exported, inputs)
        exported.close()
        difference, agreement = _compare(head, expected, found, pooling)
        _check(difference, int8)
        if output.exists():
            output.rmdir()
        shutil.move(folder, output)
    size = sum(path.stat().st_size for path in output.glob("model.onnx*"))
    weights = sum(p.numel() * p.element_size() for p in source.model.parameters())
    return Exported(output, difference, agreement, size, weights, torch_time / onnx_time)


def _check(difference: float, int8: bool) -> None:
    """Raise ModelError where an export is not what it was made of."""
    if not np.isfinite(difference) or (not int8 and difference > _TOLERANCE):
        raise ModelError(
            f"The exported model differs from PyTorch by {difference:.2g}.",
            hint="Nothing was written; this architecture does not trace faithfully.",
        )


def _inputs(encoder: Encoder) -> list[IntArray]:
    frame = encoder.frame
    texts = tokenize(encoder.tokenizer, [*_SAMPLE, " ".join(_SAMPLE)])
    return [
        np.array([*frame.prefix, *text.ids[: frame.room], *frame.suffix], np.int64)
        for text in texts
    ]


def _timed(encoder: Encoder, inputs: list[IntArray]) -> tuple[list[Float32Array], float]:
    """Results, and the shortest of three times in seconds."""
    states = encoder.forward(inputs).states
    times = []
    for _ in range(3):
        begun = perf_counter()
        encoder.forward(inputs)
        times.append(perf_counter() - begun)
    return states, min(times)


def _compare(
    head: str,
    expected: Sequence[Float32Array],
    found: Sequence[Float32Array],
    pooling: Pooling | None,
) -> tuple[float, float]:
    """Largest difference and agreement; see :class:`Exported`."""
    if head == "embedding":
        chosen = pooling if pooling is not None else Pooling()
        a, b = (
            np.stack([pool(tokens, chosen) for tokens in states]) for states in (expected, found)
        )
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        return float(np.abs(a - b).max()), float(((a * b).sum(axis=1) / norms).min())
    a, b = np.concatenate(list(expected)), np.concatenate(list(found))
    if head == "sentence":
        return float(np.abs(a - b).max()), float((a.argmax(axis=1) == b.argmax(axis=1)).mean())
    if a.shape[1] > 2:
        labels = (a.argmax(axis=1) == b.argmax(axis=1)).mean()
        return float(np.abs(a - b).max()), float(labels)
    p, q = keep_probability(a), keep_probability(b)
    same = (p > np.median(p)) == (q > np.median(q))
    return float(np.abs(p - q).max()), float(same.mean())


def _describe(source: Any, head: str, folder: Path, window: int, pooling: Pooling | None) -> None:
    """Tokenizer and manifest."""
    source.tokenizer.save(str(folder / "tokenizer.json"))
    frame = source.frame
    manifest = {
        "format": FORMAT,
        "head": head,
        "source": Path(source.name).name if Path(source.name).is_dir() else source.name,
        "frame": {
            "prefix": list(frame.prefix),
            "suffix": list(frame.suffix),
            "pad": frame.pad,
            "window": window,
        },
        "files": {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.is_file()},
    }
    if pooling is not None:
        manifest["pooling"] = pooling.record()
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
