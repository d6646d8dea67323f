"""The exact answer of a recurrent stack, enclosed by ball arithmetic (Arb, through python-flint).

It shares no code with the reference: scalar loops over time, batch, unit and input, written from the equations. The
step stands here once more because it must be independent: an error of reference/cells would be in both, and unseen.
Every operation returns a ball that contains the exact result, so the last ball contains the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flint
import numpy as np
from flint import arb

PRECISION = 200  # bits; the balls must be far smaller than any bound of float64

# A vector of balls, and a sequence of them; ball[t][b][i] is one element of (time, batch, features).
Vector = list[arb]
Sequence3 = list[list[Vector]]


def balls(array: np.ndarray) -> Any:
    """The same numbers, exactly, as nested lists of balls; every dtype here fits in a Python float."""
    return arb(float(array)) if array.ndim == 0 else [balls(row) for row in array]


def cell_step(cell: Any, x: Vector, h: Vector, spec: Any) -> Vector:
    """phi(w_ih x + b_ih + w_hh h + b_hh), unit by unit. cell: (w_ih, w_hh, b_ih or None, b_hh or None)."""
    w_ih, w_hh, b_ih, b_hh = cell
    answer = []
    for unit in range(len(h)):
        a = arb(0) if b_ih is None else b_ih[unit] + b_hh[unit]
        for i in range(len(x)):
            a += w_ih[unit][i] * x[i]
        for j in range(len(h)):
            a += w_hh[unit][j] * h[j]
        if spec.clip is not None:
            a = a.max(arb(-spec.clip)).min(arb(spec.clip))
        answer.append(a.tanh() if spec.nonlinearity == "tanh" else a.max(arb(0)))
    return answer


def ball_cell(parameters: Any) -> Any:
    """A CellParameters' arrays as balls."""
    arrays = (parameters.w_ih, parameters.w_hh, parameters.b_ih, parameters.b_hh)
    return tuple(None if array is None else balls(array) for array in arrays)


def exact_stack(case: Any) -> tuple[np.ndarray, np.ndarray]:
    """Balls around output and h_n of a time-first case, as arrays of objects of the answer's shapes."""
    with flint.ctx.workprec(PRECISION):
        time, batch, _ = case.x.shape
        lengths = [time] * batch if case.lengths is None else [int(n) for n in case.lengths]
        below, h_n = balls(case.x), []
        for layer in range(case.spec.num_layers):
            halves = []
            for d, direction in enumerate(case.spec.directions):
                index = layer * case.spec.num_directions + d
                half, last = _cell(case, index, direction, below, lengths)
                halves.append(half)
                h_n.append(last)
            below = [[[a for half in halves for a in half[t][b]] for b in range(batch)] for t in range(time)]
        width = case.spec.hidden_size
        return (_array(below, (time, batch, width * case.spec.num_directions)), _array(h_n, (len(h_n), batch, width)))


def _cell(case: Any, index: int, direction: str, x: Sequence3, lengths: Sequence[int]) -> tuple[Sequence3, Any]:
    """One cell over time: its output at the steps that they belong to, zero beyond the lengths, and its h_n."""
    cell, hidden = ball_cell(case.parameters[index]), case.spec.hidden_size
    output = [[[arb(0)] * hidden for _ in lengths] for _ in x]
    last = []
    for b, length in enumerate(lengths):
        h = [arb(0)] * hidden if case.h0 is None else balls(case.h0[index][b])
        for t in range(length) if direction == "forward" else range(length - 1, -1, -1):
            h = output[t][b] = cell_step(cell, x[t][b], h, case.spec)
        last.append(h)
    return output, last


def exact_steps(case: Any, output: np.ndarray) -> np.ndarray:
    """One exact step from each state of a single layer's `output`, in one direction: an array of balls."""
    with flint.ctx.workprec(PRECISION):
        time, batch, hidden = output.shape
        cell, x, states = ball_cell(case.parameters[0]), balls(case.x), balls(output)
        steps = [[[arb(0)] * hidden for _ in range(batch)] for _ in range(time)]
        back = case.spec.direction == "reverse"
        for b in range(batch):
            length = time if case.lengths is None else int(case.lengths[b])
            start = [arb(0)] * hidden if case.h0 is None else balls(case.h0[0][b])
            for t in range(length):
                first = t == (length - 1 if back else 0)
                previous = start if first else states[t + (1 if back else -1)][b]
                steps[t][b] = cell_step(cell, x[t][b], previous, case.spec)
        return _array(steps, output.shape)


def _array(nested: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(shape, dtype=object)
    for place in np.ndindex(shape):
        value = nested
        for index in place:
            value = value[index]
        array[place] = value
    return array


def outside(actual: np.ndarray, exact: np.ndarray, bound: np.ndarray) -> int:
    """Elements of `actual` that are certainly, or possibly, further than `bound` from the exact answer."""
    with flint.ctx.workprec(PRECISION):
        return sum(
            not (np.isinf(limit) or abs(arb(float(value)) - ball) <= arb(float(limit)))
            for value, ball, limit in zip(actual.flat, exact.flat, bound.flat, strict=True)
        )


def largest_radius(exact: np.ndarray) -> float:
    """How well the exact answer is known: the largest radius of its balls, rounded up."""
    return max((float(ball.rad()) for ball in exact.flat), default=0.0)
