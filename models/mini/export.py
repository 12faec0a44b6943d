"""Export checkpoints of `mini` to the bundle that ctxzip ships.

    python models/mini/export.py --backbone DIR --weights RUN/weights.safetensors \\
        --cross RUN_CROSS/weights.safetensors --combiner combiner.json [--float32] --out DIR

The bundle holds four networks over the same trunk (see ``ctxzip/backends/torch/networks.py``):

    trunk.onnx  ids, mask (B, L) int64           → states (B, L, 384)  once per window, cached
    late.onnx   states (B, L, 384), mask (B, L)  → states (B, L, 384)  token states
    keep.onnx   states (B, L, 384), mask (B, L)  → logits (B, L)       log-odds of being needed
    cross.onnx  states and mask of a query and   → token logits (B, L, 2), similarities with the
                of a window                        query (B, L, Q), window logits (B,)

How text becomes windows is written in ``ctxzip/score/mini/windows.py``, pooling, features and
combiner in ``ctxzip/score/mini/features.py``; training uses the same functions, so there is one
implementation.

Weights are stored as int8 with one float scale per output channel (per row for the embeddings),
symmetric and rounded to nearest. Only the *storage* is 8 bits wide: matrices are expanded when the
network is loaded, and activations stay float32. So a text's numbers do not depend on its batch, as
they would with dynamic activation quantisation, and the speed is that of float32. ``--float32``
writes the unquantised networks, for measuring what that costs.

"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from run import earlier
from torch import nn

from ctxzip.backends.torch.networks import BackboneConfig, Branch, CrossBranch, Trunk, load_trunk
from ctxzip.compressors.build import load_mini
from ctxzip.score.base import ScoreRequest
from ctxzip.score.mini.scorer import Mini
from ctxzip.segment import sentences
from ctxzip.segment import words as word_segmenter
from ctxzip.text.units import Passage, Words
from ctxzip.types import Document

OPSET = 17
SMALLEST = 10_000  # tensors with fewer values stay float32


# Names of each network's inputs and outputs; the shapes are those of the docstring.
INPUTS = {
    "trunk": ("ids", "mask"),
    "late": ("states", "mask"),
    "keep": ("states", "mask"),
    "cross": ("query", "query_mask", "window", "window_mask"),
}
OUTPUTS = {
    "trunk": {"states": ["B", "L", 384]},
    "late": {"token_states": ["B", "L", 384]},
    "keep": {"logits": ["B", "L"]},
    "cross": {
        "token_logits": ["B", "L", 2],
        "similarities": ["B", "L", "Q"],
        "window_logit": ["B"],
    },
}


class Exported(nn.Module):
    """A network whose parameters are called ``module.…`` in the ONNX file."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *given: torch.Tensor) -> Any:
        """Run the wrapped network."""
        return self.module(*given)


def shapes(name: str) -> dict[str, list[Any]]:
    """Shapes of a network's inputs and outputs; B batch, L tokens of a window, Q of a query."""
    found: dict[str, list[Any]] = {}
    for given in INPUTS[name]:
        length = "Q" if given.startswith("query") else "L"
        integers = given == "ids" or given.endswith("mask")
        found[given] = ["B", length] if integers else ["B", length, 384]
    return found | OUTPUTS[name]


def write_onnx(name: str, module: nn.Module, path: Path) -> None:
    """Export one network with dynamic batch and lengths."""
    sizes = {"B": 2, "L": 9, "Q": 5}
    given = []
    for one in INPUTS[name]:
        shape = [sizes.get(size, size) for size in shapes(name)[one]]
        if one == "ids":
            given.append(torch.full(shape, 1012))
        else:
            given.append(torch.randn(shape) if len(shape) > 2 else torch.ones(shape).long())
    torch.onnx.export(
        Exported(module).eval(),
        tuple(given),
        str(path),
        input_names=list(INPUTS[name]),
        output_names=list(OUTPUTS[name]),
        dynamic_axes={
            one: {i: size for i, size in enumerate(shape) if isinstance(size, str)}
            for one, shape in shapes(name).items()
        },
        opset_version=OPSET,
        dynamo=False,
    )


def quantise(path: Path) -> None:
    """Store the matrices of an ONNX file as int8; see the module's docstring."""
    model = onnx.load(str(path))
    graph = model.graph
    gathered = {node.input[0] for node in graph.node if node.op_type == "Gather"}
    nodes: list[Any] = []
    kept: list[Any] = []
    renamed: dict[str, str] = {}
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALLEST or values.ndim != 2:
            kept.append(tensor)
            continue
        axis = 1 if tensor.name in gathered else 0
        scale = np.maximum(np.abs(values).max(axis=axis, keepdims=True), 1e-8) / 127.0
        small = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
        name = tensor.name
        kept.append(numpy_helper.from_array(small, f"{name}.int8"))
        kept.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}.scale"))
        if name in gathered:
            renamed[name] = name
        else:
            nodes.append(
                helper.make_node("Cast", [f"{name}.int8"], [f"{name}.wide"], to=TensorProto.FLOAT)
            )
            nodes.append(helper.make_node("Mul", [f"{name}.wide", f"{name}.scale"], [name]))
    for node in graph.node:
        if node.op_type == "Gather" and node.input[0] in renamed:
            name, out = node.input[0], node.output[0]
            rows = helper.make_node(
                "Gather", [f"{name}.int8", node.input[1]], [f"{out}.int8"], axis=0
            )
            wide = helper.make_node("Cast", [f"{out}.int8"], [f"{out}.wide"], to=TensorProto.FLOAT)
            scale = helper.make_node(
                "Gather", [f"{name}.scale", node.input[1]], [f"{out}.scale"], axis=0
            )
            nodes += [
                rows,
                wide,
                scale,
                helper.make_node("Mul", [f"{out}.wide", f"{out}.scale"], [out]),
            ]
        else:
            nodes.append(node)
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def load_networks(backbone: Path, weights: Path, cross: Path | None = None) -> dict[str, nn.Module]:
    """The trunk of the original model and the trained branches.

    Args:
        backbone: folder with ``model.safetensors`` of all-MiniLM-L6-v2.
        weights: file that ``train.py`` wrote (safetensors), or a bundle.
        cross: file that ``train_cross.py`` wrote, or a bundle; without it no cross-encoder.
    """
    from safetensors.torch import load_file

    config = BackboneConfig()
    trunk = Trunk(config)
    load_trunk(trunk, load_file(backbone / "model.safetensors"))
    trained = earlier(weights)
    networks: dict[str, nn.Module] = {
        "trunk": trunk,
        "late": Branch(config),
        "keep": Branch(config, logits=True),
    }
    if cross is not None:
        trained |= {k: v for k, v in earlier(cross).items() if k.startswith("cross.")}
        networks["cross"] = CrossBranch(config)
    for name, module in networks.items():
        mine = {k.partition(".")[2]: v for k, v in trained.items() if k.startswith(f"{name}.")}
        if name != "trunk":
            module.load_state_dict(mine)
    return {name: module.eval() for name, module in networks.items()}


def describe(path: Path) -> dict[str, Any]:
    """Size and checksum of a file."""
    data = path.read_bytes()
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    here = Path(__file__).resolve().parent
    parser.add_argument("--backbone", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument(
        "--weights", type=Path, required=True, help="written by train.py, or a bundle"
    )
    parser.add_argument("--cross", type=Path, help="safetensors written by train_cross.py")
    parser.add_argument("--combiner", type=Path, required=True, help="JSON written by combine.py")
    parser.add_argument("--out", type=Path, default=here / "bundle")
    parser.add_argument("--float32", action="store_true", help="do not quantise the storage")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    networks = load_networks(options.backbone, options.weights, options.cross)
    for name, module in networks.items():
        path = options.out / f"{name}.onnx"
        write_onnx(name, module, path)
        if not options.float32:
            quantise(path)
    shutil.copy(options.backbone / "tokenizer.json", options.out / "tokenizer.json")
    _plain_tokenizer(options.out / "tokenizer.json")
    combiner = json.loads(options.combiner.read_text())
    manifest = _manifest(options.out, list(networks), combiner, options.float32)
    (options.out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    _canonical(options.out)
    print(sum(p.stat().st_size for p in options.out.iterdir()) / 1e6, "MB")


QUERY = "When was the harbour bridge of Ostrava Bay opened?"
PASSAGES = (
    (
        "Harbour bridge",
        "The harbour bridge of Ostrava Bay was designed by Lena Novak. It was opened to traffic on "
        "3 May 1961, two years late. The toll was never abolished.",
    ),
    (
        "Lena Novak",
        "Lena Novak (1919-2004) was an engineer. She did not live in Ostrava Bay, but kept 12 "
        "notebooks about it.",
    ),
    (None, "Invoices are due within 30 days. Late payment costs 1.5% a month."),
)


def _canonical(folder: Path) -> None:
    """Expected results for inputs written for this file, for tests of other installations."""
    scorer = load_mini(folder, Mini(threads=1))
    passages = tuple(
        Passage(Document(text, title=title), text, sentences.split(text))
        for title, text in PASSAGES
    )
    scored = scorer.units([ScoreRequest(passages, QUERY)])[0]
    silent = ScoreRequest(passages, None)
    words = []
    for passage in passages:
        start, end = word_segmenter.split(passage.text)
        unit = np.searchsorted(passage.units.start, start, side="right") - 1
        words.append(Words(start, end, unit, np.zeros(len(start), bool)))
    keep = scorer.words(silent, scorer.units([silent])[0], words)
    content = {
        "query": QUERY,
        "passages": [{"title": title, "text": text} for title, text in PASSAGES],
        "tolerance": 0.001,
        "units": [p.units.start.tolist() for p in passages],
        "probability": [values.round(5).tolist() for values in scored.units],
        "words": [[w.start.tolist(), w.end.tolist()] for w in words],
        "keep_log_odds": [values.round(4).tolist() for values in keep],
    }
    (folder / "canonical.json").write_text(json.dumps(content, indent=1) + "\n")


def _plain_tokenizer(path: Path) -> None:
    """Turn truncation and padding off in the file itself."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content["truncation"] = content["padding"] = None
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _manifest(
    folder: Path, networks: list[str], combiner: dict[str, Any], float32: bool
) -> dict[str, Any]:
    names = ("tokenizer.json", *(f"{name}.onnx" for name in networks))
    return {
        "format_version": 1,
        "name": "mini",
        "version": "1",
        "licence": "Apache-2.0",
        "base_model": "sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)",
        "languages": ["en"],
        "storage": "float32" if float32 else "int8 per output channel, expanded when loaded",
        "files": {name: describe(folder / name) for name in names},
        "networks": {name: f"{name}.onnx" for name in networks},
        "shapes": {name: shapes(name) for name in networks},
        "window": {
            "tokens": 256,
            "layout": "[CLS] title (at most 24 tokens) . consecutive units [SEP]",
            "query": "[CLS] at most 62 tokens [SEP]",
            "unit_embedding": "mean over the token states of the unit, length 1",
            "query_embedding": "mean over all token states, length 1",
            "keep": "a word's log-odds are the largest of its tokens'",
        },
        **combiner,
    }


if __name__ == "__main__":
    main()
