"""The trajectory bound: how far the whole answer may lie from the float64 reference.

Errors propagate through signed Jacobian products; absolute values are taken last. docs/error-bounds.md
proves that this is rigorous, not first-order: the remainder is part of each step's own error.
"""

from collections.abc import Sequence

import numpy as np

from ..calculus.balls import Ball, Balls
from ..calculus.signed import Carried, Moved, Signed
from ..calculus.sums import EVALUATION_ROUNDINGS
from ..cells import Cell, cell_of
from ..recurrence import Track, initial_states, run_track
from ..spec import CellParameters, RNNSpec
from .arithmetic import REFERENCE, Arithmetic
from .step import Enclosure, Expected, expected_of, stacked

# The Jacobian products kept at once hold at most this many float64 numbers (128 MiB).
PRODUCT_ELEMENTS = 2**24
LONGEST_WINDOW = 64
# A bound whose products take more multiply-adds, some seconds of them, is left to the step bound where that can be had.
DEAREST_PRODUCTS = 2**34


def trajectory_bound(
    spec: RNNSpec,
    parameters: Sequence[CellParameters],
    x: np.ndarray,
    h0: np.ndarray | None,
    lengths: np.ndarray | None,
    judged: Arithmetic | None,
) -> list[Expected]:
    """The float64 answer of each track and its bound, layer by layer, forward before reverse.

    x: (time, batch, input_size).  h0: (num_cells, batch, size), or None.  lengths: (batch,) or None.
    judged None bounds the reference's own distance from the exact answer.
    Raises NotImplementedError for a cell of which no bound is proved.
    """
    cell = cell_of(spec)
    x = x.astype(np.float64)
    below = Ball(x, np.zeros_like(x))
    states = [state.astype(np.float64) for state in initial_states(spec, x, h0, "time_first")]
    tracks: list[Expected] = []
    for layer in range(spec.num_layers):
        first = layer * spec.num_directions
        for index, direction in enumerate(spec.directions, first):
            start = tuple(state[index] for state in states)
            track = Track(cell, parameters[index], below.value, start, lengths, direction)
            tracks.append(track_bound(track, below.radius, [np.zeros_like(state) for state in start], judged))
        outputs = zip(*(track.output[:2] for track in tracks[first:]), strict=True)
        below = Ball(*(np.concatenate(parts, axis=-1) for parts in outputs))
    return tracks


def track_bound(
    track: Track, x_radius: np.ndarray, start_radii: Sequence[np.ndarray], judged: Arithmetic | None
) -> Expected:
    """Of one track, whose x and states are float64 and known within these radii: its float64 answer, and the bound."""
    weights = track.parameters.astype(np.float64)
    track = track._replace(parameters=weights)
    if not track.cell.signed:
        return _in_balls(track, x_radius, start_radii, judged)
    # the answer by `forward`, and the error carried along it in processing order
    output, *x_and_error = map(track.in_order, (run_track(track).output, track.x, x_radius))
    start = Ball(track.states[0], start_radii[0])
    bound, scale = carry(track.cell, weights, Ball(*x_and_error), output, start, judged)
    bound[np.isnan(bound)] = np.inf
    return expected_of(track, Enclosure(output, bound, scale))


def _in_balls(
    track: Track, x_radius: np.ndarray, start_radii: Sequence[np.ndarray], judged: Arithmetic | None
) -> Expected:
    """A track in balls, every step from the ball of the one before: absolute values are taken at each."""
    cell, balls, x, error = track.cell, Balls(judged), track.in_order(track.x), track.in_order(x_radius)
    weights = balls.weights(track.parameters)
    states = tuple(Ball(*pair) for pair in zip(track.states, start_radii, strict=True))
    steps: list[list[Enclosure]] = []
    for value, radius in zip(x, error, strict=True):
        after = cell.step(balls, weights, cell.project(balls, weights, Ball(value, radius)), states)
        states = tuple(map(balls.closed, after))
        steps.append([Enclosure(*np.broadcast_arrays(*state[:3])) for state in states])
    return expected_of(track, *stacked(track, steps))


def products_cost(spec: RNNSpec, time: int, batch: int) -> int:
    """How many multiply-adds the products of Jacobians take, about, and at most."""
    kept = min(time, longest_window(batch, spec.hidden_size)) + 1
    return spec.num_cells * time * batch * spec.hidden_size**3 * kept // 2


def longest_window(batch: int, hidden: int) -> int:
    """How many steps' products are kept at once."""
    return max(1, min(LONGEST_WINDOW, PRODUCT_ELEMENTS // max(1, batch * hidden * hidden)))


def carry(
    cell: Cell,
    parameters: CellParameters,
    x: Ball,
    output: np.ndarray,
    h0: Ball,
    judged: Arithmetic | None,
    window: int = LONGEST_WINDOW,
) -> tuple[np.ndarray, np.ndarray]:
    """E_t = sum over s of |J_t ... J_{s+1}| own_s, in windows; an earlier window enters by its last E.

    x: (time, batch, features), in processing order, as are all.
    output: the reference's states.  h0: (batch, hidden_size).
    Returns E, infinite, and NaN or infinite ever after, where a sum may overflow; and the scale; both (time, batch,
    hidden_size).
    """
    (time, batch, hidden), signed = output.shape, Signed(judged)
    weights = signed.weights(parameters)
    window = min(window, longest_window(batch, hidden))
    products = np.empty((hidden, window, batch, hidden))  # unit, source step, batch, unit of the source
    sources = np.empty((window, batch, hidden))
    known, error = 0, h0.radius  # sources whose products are kept, but for the newest: the identity
    sources[0] = spread = error
    bound, scale = np.empty((time, batch, hidden)), np.empty((time, batch, hidden))
    # what rounding may take from a sum over all sources and units, given back in advance
    summed = 1 + REFERENCE.gain(window * hidden + x.value.shape[-1] + hidden + 2 + EVALUATION_ROUNDINGS)
    for t in range(time):
        before = Carried(output[t - 1] if t else h0.value, error, spread)
        projected = cell.project(signed, weights, Ball(x.value[t], x.radius[t]))
        (moved,) = cell.step(signed, weights, projected, (before,))
        spread, known = moved.own, known + 1
        if (moved.own >= moved.limit).all():  # the error's limit, whatever was carried: a window may end here
            known = window
        else:
            live = products[:, :known]
            _take_on(moved, live)
            carried = np.einsum("usbv,sbv->bu", np.abs(live), sources[:known])
            spread = (carried + moved.own) * summed
        error = bound[t] = np.where(moved.overflows, np.inf, np.minimum(spread, moved.limit))
        scale[t] = moved.scale
        if known < window:
            sources[known] = moved.own
        else:
            known, sources[0], spread = 0, error, error
    return bound, scale


def _take_on(moved: Moved, live: np.ndarray) -> None:
    """Put the Jacobian of a step before the products, (unit, source step, batch, unit of the source), in place.
    That of the newest source is the identity, and is not read."""
    before, older, newest = live[:, :-1].reshape(len(live), -1), None, None
    for weight, slope in moved.slopes.items():
        array = weight.array.astype(np.float64, copy=False)
        product = (array @ before).reshape(live[:, :-1].shape)
        product *= slope.T[:, None, :, None]
        one = array[:, None, :] * slope.T[:, :, None]
        older, newest = (product, one) if older is None or newest is None else (older + product, newest + one)
    assert older is not None, "a state depends on the one before"
    live[:, :-1], live[:, -1] = older, newest
