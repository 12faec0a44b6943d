"""The combiner of `mini`: from the features of a unit to the probability that it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctxzip.errors import ModelError
from ctxzip.kit.arrays import FloatArray, IntArray
from ctxzip.score.mini.features import NAMES

__all__ = ["Combiner", "combine", "combiner_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Combiner:
    """A small network on standardised features.

    Attributes:
        columns: which of ``features.NAMES`` it uses, int64, shape (F,).
        mean: shape (F,).
        scale: shape (F,).
        layers: weight (in, out) and bias (out,) of each layer, rectified in between.
        temperature: divides the logit.
        bias: is added to it.
    """

    columns: IntArray
    mean: FloatArray
    scale: FloatArray
    layers: tuple[tuple[FloatArray, FloatArray], ...]
    temperature: float = 1.0
    bias: float = 0.0


def combiner_of(manifest: Mapping[str, Any]) -> Combiner:
    """The combiner that a bundle's manifest describes.

    Raises:
        ModelError: it is damaged, or made for features that this version does not compute.
    """
    try:
        names, given = list(manifest["features"]), manifest["combiner"]
        unknown = sorted(set(names) - set(NAMES))
        layers = tuple(
            (np.array(layer["weight"], np.float64), np.array(layer["bias"], np.float64))
            for layer in given["layers"]
        )
        combiner = Combiner(
            columns=np.array([NAMES.index(n) for n in names if n in NAMES], np.int64),
            mean=np.array(given["mean"], np.float64),
            scale=np.array(given["scale"], np.float64),
            layers=layers,
            temperature=float(given["temperature"]),
            bias=float(given["bias"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"The bundle's combiner cannot be read: {error!r}.") from error
    if unknown:
        raise ModelError(
            f"The bundle was made for features that this version does not compute: {unknown}.",
            hint="Install the version of ctxzip that the bundle was made for.",
        )
    if not len(names) == len(combiner.mean) == len(combiner.scale) == len(layers[0][0]):
        raise ModelError("The bundle's combiner is damaged: its sizes do not agree.")
    return combiner


def combine(combiner: Combiner, given: FloatArray) -> FloatArray:
    """Features (n, len(NAMES)) → logit of the probability that a unit is needed, shape (n,)."""
    x = np.clip((given[:, combiner.columns] - combiner.mean) / combiner.scale, -6, 6)
    for i, (weight, bias) in enumerate(combiner.layers):
        x = x @ weight + bias
        if i + 1 < len(combiner.layers):
            x = np.maximum(x, 0)
    result: FloatArray = x[:, 0] / combiner.temperature + combiner.bias
    return result
