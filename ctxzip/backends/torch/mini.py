"""A `mini` bundle run by PyTorch, for a GPU: the same files, batches and cache as onnxruntime's.

The weights are read from the ONNX files themselves, so there is one copy of them. They are stored
as int8 with a scale per output channel and are expanded here as onnxruntime expands them; in
float32 both backends agree to about 1e-5.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ctxzip.backends.onnx import CACHE_BYTES, OnnxEncoder
from ctxzip.backends.torch.loading import resolve_device
from ctxzip.backends.torch.networks import BackboneConfig, Branch, CrossBranch, Trunk
from ctxzip.errors import ModelError
from ctxzip.kit.arrays import Float32Array
from ctxzip.kit.extras import require

__all__ = ["TorchMiniEncoder", "weights_of"]

GPU_BATCH_TOKENS = 16_384
_NETWORKS: dict[str, Callable[[BackboneConfig], nn.Module]] = {
    "trunk": Trunk,
    "late": Branch,
    "keep": lambda config: Branch(config, logits=True),
    "cross": CrossBranch,
}
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class TorchMiniEncoder(OnnxEncoder):
    """The networks of a bundle on a device. Thread-safe; loaded on first use.

    Args:
        folder: the bundle's folder.
        files: file name of each network, as in :class:`OnnxEncoder`.
        device: ``"cpu"``, ``"cuda"``, ``"mps"`` or ``"auto"``.
        dtype: ``"float32"``, ``"float16"`` or ``"bfloat16"``; ``"auto"`` is float32, in which
            results agree with onnxruntime's.
        threads: ignored where the device is a GPU; else PyTorch's own setting is left alone.
        cache_bytes: memory for results over documents; 0 keeps none.
    """

    def __init__(
        self,
        folder: Path,
        files: dict[str, str],
        *,
        device: str = "auto",
        dtype: str = "auto",
        threads: int | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        super().__init__(folder, files, threads=threads, cache_bytes=cache_bytes)
        self._device = resolve_device(device)
        self._dtype = _DTYPES["float32" if dtype == "auto" else dtype]
        if self._device != "cpu":
            self._batch_tokens = GPU_BATCH_TOKENS

    def _open(self, name: str, threads: int) -> Any:
        if name not in _NETWORKS:
            raise ModelError(
                f"The PyTorch backend has no network {name!r}.", hint='Use backend="onnx".'
            )
        module = _NETWORKS[name](BackboneConfig())
        path = self._paths[name]
        try:
            module.load_state_dict(weights_of(path))
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{path} does not hold the network {name!r}: {error}") from error
        return _Session(module.eval().to(self._device, self._dtype), self._device)


class _Session:
    """A module behind the one method of an onnxruntime session that is used."""

    def __init__(self, module: nn.Module, device: str) -> None:
        self._module = module
        self._device = device
        self._dtype = next(module.parameters()).dtype

    def run(self, _: None, inputs: dict[str, npt.NDArray[Any]]) -> list[Float32Array]:
        """The network's outputs as float32."""
        given = [torch.from_numpy(value).to(self._device) for value in inputs.values()]
        given = [g.to(self._dtype) if g.is_floating_point() else g for g in given]
        with torch.inference_mode():
            output = self._module(*given)
        outputs = output if isinstance(output, tuple) else (output,)
        return [tensor.float().cpu().numpy() for tensor in outputs]


def weights_of(path: Path) -> dict[str, Tensor]:
    """The parameters of an ONNX file that ``models/mini/export.py`` wrote, by module name.

    Vectors and embeddings carry their names; a matrix is found at the node that multiplies by it,
    whose output is called after its module, and lies transposed.
    """
    onnx = require("onnx", "export")
    graph = onnx.load(str(path)).graph
    raw = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    value: dict[str, npt.NDArray[Any]] = {}
    for name, array in raw.items():
        if name.endswith(".int8"):
            scale = raw[name.removesuffix(".int8") + ".scale"]
            value[name.removesuffix(".int8")] = _expanded(array, scale)
        elif not name.endswith(".scale"):
            value[name] = array
    found = {
        name.removeprefix("module."): array
        for name, array in value.items()
        if name.startswith("module.")
    }
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in value:
            module = node.output[0].removeprefix("/module/").rpartition("/")[0].replace("/", ".")
            found[f"{module}.weight"] = value[node.input[1]].T
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in found.items()}


def _expanded(stored: npt.NDArray[np.int8], scale: Float32Array) -> Float32Array:
    """int8 with one scale per row (embeddings) or per column (matrices) → float32."""
    result: Float32Array = stored.astype(np.float32) * scale
    return result
