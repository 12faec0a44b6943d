"""How token states become one vector, as a sentence-transformers folder declares it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctxzip.errors import ModelError
from ctxzip.kit.arrays import Float32Array

__all__ = ["Pooling", "pool", "pooling_of"]

_MODES = ("mean", "cls", "max", "mean_sqrt_len_tokens", "lasttoken")


@dataclass(frozen=True, slots=True)
class Pooling:
    """From token states to one vector.

    Attributes:
        mode: ``"mean"``, ``"cls"``, ``"max"``, ``"mean_sqrt_len_tokens"`` or ``"lasttoken"``.
        normalise: scale the vector to length 1, so that dot products are cosines.
        query_prompt: text put before a query.
        document_prompt: text put before a sentence.
        window: most tokens the folder declares, or None.
    """

    mode: str = "mean"
    normalise: bool = False
    query_prompt: str = ""
    document_prompt: str = ""
    window: int | None = None

    def record(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def pool(states: Float32Array, pooling: Pooling) -> Float32Array:
    """One vector, float32, shape (d,), from states of shape (tokens, d)."""
    if pooling.mode == "cls":
        vector = states[0]
    elif pooling.mode == "max":
        vector = states.max(axis=0)
    elif pooling.mode == "lasttoken":
        vector = states[-1]
    elif pooling.mode == "mean_sqrt_len_tokens":
        vector = states.sum(axis=0) / np.sqrt(len(states))
    else:
        vector = states.mean(axis=0)
    if pooling.normalise:
        vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return np.ascontiguousarray(vector, np.float32)


def pooling_of(folder: Path) -> Pooling:
    """What a folder declares; mean pooling and raw dot products where it declares nothing.

    Raises:
        ModelError: a module that is not known here.
    """
    modules = _read(folder / "modules.json")
    if not isinstance(modules, list):
        return Pooling()
    mode, normalise = "mean", False
    for module in modules:
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind == "Pooling":
            mode = _mode(_read(folder / str(module.get("path", "")) / "config.json"), folder)
        elif kind == "Normalize":
            normalise = True
        elif kind != "Transformer":
            raise ModelError(
                f"{folder} has a {kind} layer, which is not known here.",
                hint="Compute embeddings yourself and hand them in as metadata.",
            )
    config = _read(folder / "config_sentence_transformers.json") or {}
    prompts = config.get("prompts") or {}
    default = prompts.get(config.get("default_prompt_name") or "", "")
    limit = (_read(folder / "sentence_bert_config.json") or {}).get("max_seq_length")
    return Pooling(
        mode=mode,
        normalise=normalise or config.get("similarity_fn_name") == "cosine",
        query_prompt=prompts.get("query") or default,
        document_prompt=prompts.get("document") or prompts.get("passage") or default,
        window=int(limit) if limit else None,
    )


def _mode(config: Any, folder: Path) -> str:
    if not isinstance(config, dict):
        return "mean"
    # Newer folders name the mode, older ones have a switch for each.
    named = config.get("pooling_mode")
    if isinstance(named, str):
        chosen = [named]
    else:
        old = {"mean_tokens": "mean", "cls_token": "cls", "max_tokens": "max"}
        chosen = [
            old.get(key.removeprefix("pooling_mode_"), key.removeprefix("pooling_mode_"))
            for key, value in config.items()
            if key.startswith("pooling_mode_") and value
        ]
    if len(chosen) != 1 or chosen[0] not in _MODES:
        raise ModelError(
            f"{folder} pools by {chosen or 'nothing'}, which is not known here.",
            hint=f"Known are {', '.join(_MODES)}.",
        )
    return chosen[0]


def _read(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}.") from error
