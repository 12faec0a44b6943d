"""Networks that stand in for those of `mini`: its batches, memory and combiner without its cost."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ctxzip.backends import bundle
from ctxzip.backends.onnx import OnnxEncoder
from ctxzip.backends.tokenizers import load_tokenizer
from ctxzip.pipeline import Pipeline
from ctxzip.score.mini.combiner import combiner_of
from ctxzip.score.mini.scorer import MiniScorer
from ctxzip.types import Options

__all__ = ["StubEncoder", "stub_mini"]

_WORDS = 4096  # ids that differ by this are alike


@cache
def _table(hidden: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((_WORDS, hidden)).astype(np.float32)


class StubEncoder(OnnxEncoder):
    """A token's state is its own vector and a little of its neighbours'; what is read of it, a sum.

    Args:
        hidden: size of a state.
    """

    def __init__(self, hidden: int) -> None:
        found = bundle.read(bundle.find("mini"))
        super().__init__(found.folder, found.networks)
        self._hidden = hidden

    def _open(self, name: str, threads: int) -> Any:
        return _Session(name, self._hidden)


class _Session:
    """Computes row by row and in one order, so that a batch changes nothing."""

    def __init__(self, name: str, hidden: int) -> None:
        self._name = name
        self._table = _table(hidden)

    def run(self, _: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return getattr(self, f"_{self._name}")(*inputs.values())

    def _trunk(self, ids: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
        states = self._table[ids % _WORDS] * mask[..., None].astype(np.float32)
        around = np.zeros_like(states)
        around[:, 1:] += states[:, :-1]
        around[:, :-1] += states[:, 1:]
        return [(states + 0.3 * around) * mask[..., None].astype(np.float32)]

    def _late(self, states: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
        return [states / np.maximum(np.linalg.norm(states, axis=-1, keepdims=True), 1e-6)]

    def _keep(self, states: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
        return [2 * states[..., 0]]

    def _cross(
        self, query: np.ndarray, query_mask: np.ndarray, window: np.ndarray, mask: np.ndarray
    ) -> list[np.ndarray]:
        similar = np.stack(
            [(window * asked[:, None]).sum(-1) for asked in query.transpose(1, 0, 2)], axis=-1
        )
        return [window[..., :2], similar / window.shape[-1], window[:, 0, 2]]


def stub_mini(options: Options | None = None) -> Pipeline:
    """`mini` on stub networks."""
    return Pipeline("mini", _scorer(), options)


@cache
def _scorer() -> MiniScorer:
    found = bundle.read(bundle.find("mini"))
    weight = np.asarray(found.manifest["query_importance"], np.float32)
    encoder, combiner = StubEncoder(len(weight)), combiner_of(found.manifest)
    return MiniScorer(encoder, load_tokenizer(found.tokenizer), combiner, weight)
