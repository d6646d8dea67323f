"""An adapter of the toy "toy_pair": a layer of another design, in NumPy alone, and the mapping of weights to it.

The native layer keeps one matrix, (features + 2 states, gates), with the gates right, left, and one bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from adapters import FEATURES, Capabilities, Result
from adapters.contract import features_of
from reference import CellParameters, RNNSpec

ONE_WAY = "the toy is asked in one way"


def native(parameters: CellParameters) -> tuple[np.ndarray, np.ndarray]:
    """The native layer's matrix and bias: states and gates change sides."""
    half = len(parameters.w_hh) // 2
    both = (np.roll(w, half, axis=1) for w in (parameters.w_hh, parameters.more["w_second"]))
    matrix = np.roll(np.concatenate([parameters.w_ih, *both], axis=1), half, axis=0).T
    zero = np.zeros(2 * half, matrix.dtype)
    return matrix, zero if parameters.b_ih is None else np.roll(parameters.b_ih + parameters.b_hh, half)


def layer(matrix: np.ndarray, bias: np.ndarray, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """The native layer: x (batch, time, features) and h (batch, states) to (batch, time, states)."""
    steps = []
    for t in range(x.shape[1]):
        h = np.tanh(np.concatenate([x[:, t], h, h], axis=1) @ matrix + bias)
        steps.append(h)
    return np.stack(steps, axis=1)


class Toy:
    name, version = "toy", "1"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            unsupported={
                ("layout", "time_first"): ONE_WAY,
                ("layout", "unbatched"): ONE_WAY,
                ("lengths", "mixed"): ONE_WAY,
                ("lengths", "with zeros"): ONE_WAY,
                ("time", "0"): ONE_WAY,
                **{("cell", word): "the toy is no other" for word in FEATURES["cell"] if word != "toy_pair"},
            },
            offers=tuple(("cell", word) for word in FEATURES["cell"] if word == "toy_pair"),
        )

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def map(self, parameters: CellParameters) -> tuple[np.ndarray, np.ndarray]:
        return native(parameters)

    def build(
        self, spec: RNNSpec, parameters: Sequence[CellParameters], device: str = "cpu", dtype: str | None = None
    ) -> Any:
        return spec, [self.map(track) for track in parameters]

    def run(
        self, module: Any, x: np.ndarray, h0: np.ndarray | None, lengths: None = None, layout: str = "batch_first"
    ) -> Result:
        spec, tracks = module
        self.capabilities.require(features_of(spec, x, h0, lengths, layout))
        half, size, finals, prefixes = spec.hidden_size, 2 * spec.hidden_size, [], []
        states = np.zeros((len(tracks), len(x), size), x.dtype) if h0 is None else np.roll(h0, half, axis=-1)
        for first in range(0, len(tracks), spec.num_directions):
            sides = []
            for d, direction in enumerate(spec.directions):
                order = slice(None, None, -1 if direction == "reverse" else 1)
                output = layer(*tracks[first + d], x[:, order], states[first + d])
                finals.append(output[:, -1])
                sides.append(np.roll(output[:, order], half, axis=-1))
            x = np.concatenate(sides, axis=-1)
            prefixes.append(x)
        return Result(x, np.roll(np.stack(finals), half, axis=-1), prefixes[:-1])


class Swapping(Toy):
    """The gates are taken for each other."""

    def map(self, parameters: CellParameters) -> tuple[np.ndarray, np.ndarray]:
        matrix, bias = native(parameters)
        return np.roll(matrix, len(bias) // 2, axis=1), bias


class Forgetting(Toy):
    """The second path is not there."""

    def map(self, parameters: CellParameters) -> tuple[np.ndarray, np.ndarray]:
        matrix, bias = native(parameters)
        matrix[-len(bias) :] = 0
        return matrix, bias


class Imprecise(Toy):
    """One weight of the second path is off by one part in 10,000."""

    def map(self, parameters: CellParameters) -> tuple[np.ndarray, np.ndarray]:
        matrix, bias = native(parameters)
        matrix[-1, 0] *= matrix.dtype.type(1 + 1e-4)
        return matrix, bias
