"""The trajectory bound: how far the whole answer may lie from the float64 reference.

Errors propagate through signed Jacobian products; absolute values are taken last. docs/error-bounds.md
proves that this is rigorous, not first-order: the remainder is part of each step's own error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .. import elman
from ..layout import reverse_within_lengths
from ..recurrence import initial_states, run_direction
from ..spec import CellParameters, RNNSpec
from .arithmetic import REFERENCE, Arithmetic
from .interval import EVALUATION_ROUNDINGS, StepModel, slope_deviation
from .step import Enclosure, Expected, expected_of

# The Jacobian products kept at once hold at most this many float64 numbers (128 MiB).
PRODUCT_ELEMENTS = 2**24
LONGEST_WINDOW = 64


def trajectory_bound(
    spec: RNNSpec,
    parameters: Sequence[CellParameters],
    x: np.ndarray,
    h0: np.ndarray | None,
    lengths: np.ndarray | None,
    judged: Arithmetic | None,
) -> list[Expected]:
    """The float64 answer of each cell and its bound, layer by layer, forward before reverse.

    x: (time, batch, input_size), h0: (num_cells, batch, hidden_size) or None, lengths: (batch,) or None.
    judged None bounds the reference's own distance from the exact answer.
    """
    sequence = x.astype(np.float64)
    states = initial_states(spec, sequence, h0, "time_first").astype(np.float64)
    error = np.zeros_like(sequence)
    cells: list[Expected] = []
    for layer in range(spec.num_layers):
        first = layer * spec.num_directions
        halves = [
            _cell(spec, cell.astype(np.float64), sequence, error, h, lengths, direction, judged)
            for cell, h, direction in zip(parameters[first:], states[first:], spec.directions, strict=False)
        ]
        sequence = np.concatenate([half.output.value for half in halves], axis=-1)
        error = np.concatenate([half.output.bound for half in halves], axis=-1)
        cells += halves
    return cells


def _cell(
    spec: RNNSpec,
    parameters: CellParameters,
    x: np.ndarray,
    x_error: np.ndarray,
    h0: np.ndarray,
    lengths: np.ndarray | None,
    direction: str,
    judged: Arithmetic | None,
) -> Expected:
    """One cell: its answer by `forward`, and the error carried along it in processing order."""
    output = run_direction(spec, parameters, x, h0, lengths, direction).output
    if direction == "reverse":
        x, x_error, output = (reverse_within_lengths(array, lengths) for array in (x, x_error, output))
    steps = _Steps.of(StepModel(parameters, spec.nonlinearity, judged), x, x_error, output, h0)
    bound = _carry(steps)
    bound[np.isnan(bound)] = np.inf
    scale = np.broadcast_to(steps.model.scale(steps.model.radius(steps.inputs)), bound.shape)
    return expected_of(Enclosure(output, bound, scale), h0, lengths, direction)


class _Steps(NamedTuple):
    """All steps of a cell around its reference trajectory, in processing order, time on the first axis.

    inputs: [x_t, h_{t-1}, 1].  a: preactivations.  x_error: the error bound of the layer below.
    """

    model: StepModel
    inputs: np.ndarray
    a: np.ndarray
    x_error: np.ndarray

    @classmethod
    def of(cls, model: StepModel, x: np.ndarray, x_error: np.ndarray, output: np.ndarray, h0: np.ndarray) -> _Steps:
        inputs = model.inputs(x, np.concatenate([h0[None], output[:-1]])[: len(x)])
        return cls(model, inputs, inputs @ model.weights, x_error)

    @property
    def largest_error(self) -> float:
        """Neither tanh leaves [-1, 1] by more than its activation's error; relu has no such limit."""
        return 2 + 2 * self.model.activation if self.model.nonlinearity == "tanh" else np.inf

    def own_error(self, t: int, h_error: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """delta_t, what step t adds to the error itself, and where its sums may overflow; (batch, hidden_size) both.

        h_error: E_{t-1}.  spread: the same as the Jacobian products add it up, before any limit; delta_t holds
        what those products round off, beside the remainder of the linearisation.
        """
        model, a = self.model, self.a[t]
        x_error, w_hh = self.x_error[t], model.magnitudes[model.input_size : -1]
        from_below = x_error @ model.magnitudes[: model.input_size] * model.evaluated
        carried = from_below + h_error @ w_hh * model.evaluated
        largest_inputs = np.abs(self.inputs[t])
        largest_inputs[:, :-1] += np.concatenate([x_error, h_error], axis=-1)
        base = model.radius(largest_inputs)
        rounded = base + model.beta * (np.abs(a) + carried)
        radius = carried + rounded
        slope = elman.slope(a, model.nonlinearity)
        deviation = slope_deviation(a, radius, model.nonlinearity)
        activation = (slope + deviation) * radius * model.activation
        activation += model.activation_bound(elman.activate(a, model.nonlinearity))
        products = REFERENCE.gain(len(w_hh)) * slope * (spread @ w_hh) + REFERENCE.smallest_normal
        own = slope * (from_below + rounded) + deviation * radius + activation + products
        return own, model.may_overflow(base)


def _carry(steps: _Steps) -> np.ndarray:
    """E_t = sum over s of |J_t ... J_{s+1}| delta_s, in windows; an earlier window enters by its last E.

    Returns (time, batch, hidden_size); infinite, and NaN or infinite ever after, where a sum may overflow.
    """
    time, batch, hidden = steps.a.shape
    window = max(1, min(LONGEST_WINDOW, PRODUCT_ELEMENTS // max(1, batch * hidden * hidden)))
    w_hh = steps.model.weights[steps.model.input_size : -1].T
    slopes = elman.slope(steps.a, steps.model.nonlinearity)
    products = np.empty((hidden, window, batch, hidden))  # unit, source step, batch, unit of the source
    sources = np.empty((window, batch, hidden))
    error = spread = np.zeros((batch, hidden))
    bound = np.empty((time, batch, hidden))
    # what rounding may take from a sum over all sources and units, given back in advance
    summed = 1 + REFERENCE.gain(window * hidden + steps.model.terms + EVALUATION_ROUNDINGS)
    for t in range(time):
        known = t % window
        if known == 0:
            products[:, 0] = np.eye(hidden)[:, None, :]
            sources[0] = spread = error
        live = products[:, : known + 1]
        live[:] = (w_hh @ live.reshape(hidden, -1)).reshape(live.shape)
        live *= slopes[t].T[:, None, :, None]
        own, overflows = steps.own_error(t, error, spread)
        carried = np.einsum("usbv,sbv->bu", np.abs(live), sources[: known + 1])
        spread = (carried + own) * summed
        error = bound[t] = np.where(overflows, np.inf, np.minimum(spread, steps.largest_error))
        if known + 1 < window:
            products[:, known + 1] = np.eye(hidden)[:, None, :]
            sources[known + 1] = own
    return bound
