"""The bounds that a stand-alone script carries: one for each element of the answer."""

from __future__ import annotations

import decimal

import numpy as np

from reference import Case, CellParameters, Result, forward
from reference import layout as layouts
from reference.bounds.arithmetic import arithmetic
from reference.bounds.step import Enclosure
from reference.bounds.trajectory import trajectory_bound


def trajectory(case: Case) -> dict[str, Enclosure]:
    """What is expected of "output" and "h_n" by the trajectory bound, in the case's layout.

    The bound is 0 where NaN is certain, which the trajectory bound itself says nothing of.
    """
    if case.mask is not None:
        plain, order = case.without_mask()
        parts, back = trajectory(plain), np.argsort(order, axis=0)
        output = parts["output"].each(lambda array: layouts.take_steps(array, back, case.layout))
        return {**parts, "output": output}
    x = layouts.sequence_to_time_first(case.x, case.layout)
    h0 = None if case.h0 is None else layouts.state_to_batched(case.h0, case.layout)
    lengths = None if case.lengths is None else np.atleast_1d(case.lengths)
    with np.errstate(all="ignore"):
        cells = trajectory_bound(case.spec, case.parameters, x, h0, lengths, arithmetic(case.dtype))
    top = zip(*(cell.output for cell in cells[-case.spec.num_directions :]), strict=True)
    output = Enclosure(*(np.concatenate(halves, axis=-1) for halves in top))
    h_n = Enclosure(*(np.stack(states) for states in zip(*(cell.h_n for cell in cells), strict=True)))
    output = output.each(lambda array: layouts.sequence_from_time_first(array, case.layout))
    h_n = h_n.each(lambda array: layouts.state_from_batched(array, case.layout))
    certain = _certain_nan(case)
    return {
        name: part._replace(bound=np.where(np.isnan(nan), 0, part.bound))
        for name, part, nan in (("output", output, certain.output), ("h_n", h_n, certain.h_n))
    }


def _certain_nan(case: Case) -> Result:
    """NaN where a NaN of the case must come out, whatever all other numbers are: IEEE 754 leaves no choice; else 0."""

    def nan_or_zero(array: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(array), np.nan, 0)

    cells = [CellParameters(**{name: nan_or_zero(a) for name, a in cell.arrays().items()}) for cell in case.parameters]
    h0 = None if case.h0 is None else nan_or_zero(case.h0)
    return forward(case.spec, cells, nan_or_zero(case.x), h0, case.lengths, case.layout)


def rounded_up(array: np.ndarray) -> np.ndarray:
    """Numbers of at least 0, float64, each rounded up to three decimal digits."""
    context = decimal.Context(prec=3, rounding=decimal.ROUND_CEILING)
    rounded = [float(context.create_decimal_from_float(float(value))) for value in array.flat]
    return np.array(rounded, np.float64).reshape(array.shape)
