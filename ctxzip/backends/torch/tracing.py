"""From a PyTorch encoder to an ONNX file, with weights in float32 or int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

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
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    model = onnx.load(str(path))
    graph = model.graph
    rows = {node.input[0] for node in graph.node if node.op_type == "Gather"}
    before: list[Any] = []
    kept: list[Any] = []
    looked_up: set[str] = set()
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim != 2 or values.size < _SMALLEST:
            kept.append(tensor)
            continue
        name, axis = tensor.name, 1 if tensor.name in rows else 0
        shape = values.shape
        blocked = block is not None and name not in rows and shape[0] % block == 0
        if blocked:
            values = values.reshape(-1, block, shape[1])
            axis = 1
        scale = np.maximum(np.abs(values).max(axis=axis, keepdims=True), 1e-8) / 127.0
        small = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
        kept.append(numpy_helper.from_array(small, f"{name}.int8"))
        kept.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}.scale"))
        if name in rows:
            looked_up.add(name)
        else:
            wide = f"{name}.blocks" if blocked else name
            before.append(_cast(helper, f"{name}.int8", f"{name}.wide"))
            before.append(helper.make_node("Mul", [f"{name}.wide", f"{name}.scale"], [wide]))
            if blocked:
                kept.append(numpy_helper.from_array(np.array(shape, np.int64), f"{name}.shape"))
                before.append(helper.make_node("Reshape", [wide, f"{name}.shape"], [name]))
    nodes: list[Any] = []
    for node in graph.node:
        if node.op_type != "Gather" or node.input[0] not in looked_up:
            nodes.append(node)
            continue
        name, at, out = node.input[0], node.input[1], node.output[0]
        nodes += [
            helper.make_node("Gather", [f"{name}.int8", at], [f"{out}.int8"], axis=0),
            _cast(helper, f"{out}.int8", f"{out}.wide"),
            helper.make_node("Gather", [f"{name}.scale", at], [f"{out}.scale"], axis=0),
            helper.make_node("Mul", [f"{out}.wide", f"{out}.scale"], [out]),
        ]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(before + nodes)
    graph.initializer.extend(kept)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _cast(helper: Any, source: str, target: str) -> Any:
    return helper.make_node("Cast", [source], [target], to=1)  # TensorProto.FLOAT
