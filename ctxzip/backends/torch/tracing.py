"""From a PyTorch encoder to an ONNX file, with weights in float32 or int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ctxzip.kit.extras import require

__all__ = ["quantise", "write_onnx"]

OPSET = 17
# Smaller matrices stay float32: they save nothing.
_SMALLEST = 4096


def write_onnx(model: Any, output: str, path: Path) -> None:
    """Trace a model into ``input_ids, attention_mask`` → ``output``, batch and length dynamic.

    Args:
        model: a transformers encoder.
        output: ``"logits"`` or ``"last_hidden_state"``, the field of its result.
        path: the file to write; weights above two gigabytes go into a second file beside it.
    """
    torch = require("torch")
    module: Any = torch.nn.Module

    class Network(module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            found = self.model(input_ids=input_ids, attention_mask=attention_mask)
            return getattr(found, output)

    if hasattr(model, "set_attn_implementation"):
        model.set_attn_implementation("eager")  # the only one that traces to plain operators
    ids = torch.ones((2, 17), dtype=torch.long)
    mask = torch.ones((2, 17), dtype=torch.long)
    mask[1, 11:] = 0
    names = ["input_ids", "attention_mask"]
    axes = {name: {0: "batch", 1: "length"} for name in (*names, output)}
    with torch.inference_mode():
        torch.onnx.export(
            Network().eval(),
            (ids, mask),
            str(path),
            input_names=names,
            output_names=[output],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )


def quantise(path: Path, block: int | None = None) -> None:
    """Store the matrices of an ONNX file as int8 with a float32 scale per output channel.

    Symmetric and rounded to nearest; embeddings have a scale per row. With ``block``, matrices have
    a scale per output channel and so many inputs: an eighth larger, and closer to float32. Only the
    storage is 8 bits wide: matrices are expanded when the file is loaded and activations stay
    float32, so what a text gets does not depend on its batch, as it would with dynamic quantisation
    of activations.
    """
    onnx = require("onnx", "export")
    model = onnx.load(str(path))
    graph = model.graph
    rows = {node.input[0] for node in graph.node if node.op_type == "Gather"}
    before: list[Any] = []  # nodes that expand matrices
    kept: list[Any] = []  # tensors
    looked_up: set[str] = set()
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim != 2 or values.size < _SMALLEST:
            kept.append(tensor)
            continue
        name = tensor.name
        if name in rows:
            looked_up.add(name)
            kept += _stored(onnx, name, values, 1)
        elif block is not None and values.shape[0] % block == 0:
            kept += _stored(onnx, name, values.reshape(-1, block, values.shape[1]), 1)
            shape = np.array(values.shape, np.int64)
            kept.append(onnx.numpy_helper.from_array(shape, f"{name}.shape"))
            before += _expansion(onnx, name, f"{name}.blocks")
            inputs = [f"{name}.blocks", f"{name}.shape"]
            before.append(onnx.helper.make_node("Reshape", inputs, [name]))
        else:
            kept += _stored(onnx, name, values, 0)
            before += _expansion(onnx, name, name)
    nodes: list[Any] = []
    for node in graph.node:
        looks_up = node.op_type == "Gather" and node.input[0] in looked_up
        nodes += _look_up(onnx, node) if looks_up else [node]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(before + nodes)
    graph.initializer.extend(kept)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _stored(onnx: Any, name: str, values: npt.NDArray[Any], axis: int) -> list[Any]:
    """A matrix as int8, and its scales over an axis."""
    scale = np.maximum(np.abs(values).max(axis=axis, keepdims=True), 1e-8) / 127.0
    small = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
    tensor = onnx.numpy_helper.from_array
    return [tensor(small, f"{name}.int8"), tensor(scale.astype(np.float32), f"{name}.scale")]


def _expansion(onnx: Any, name: str, result: str) -> list[Any]:
    """What expands a matrix that is stored as int8."""
    return [
        _cast(onnx.helper, f"{name}.int8", f"{name}.wide"),
        onnx.helper.make_node("Mul", [f"{name}.wide", f"{name}.scale"], [result]),
    ]


def _look_up(onnx: Any, node: Any) -> list[Any]:
    """What expands the rows of an embedding that a node looks up."""
    make = onnx.helper.make_node
    name, at, out = node.input[0], node.input[1], node.output[0]
    return [
        make("Gather", [f"{name}.int8", at], [f"{out}.int8"], axis=0),
        _cast(onnx.helper, f"{out}.int8", f"{out}.wide"),
        make("Gather", [f"{name}.scale", at], [f"{out}.scale"], axis=0),
        make("Mul", [f"{out}.wide", f"{out}.scale"], [out]),
    ]


def _cast(helper: Any, source: str, target: str) -> Any:
    return helper.make_node("Cast", [source], [target], to=1)  # TensorProto.FLOAT
