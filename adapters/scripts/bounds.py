"""The bounds that a stand-alone script carries: one for each element of the answer."""

from __future__ import annotations

import decimal

import numpy as np

from reference import Case, CellParameters, Result, forward
from reference import layout as layouts
from reference.bounds.arithmetic import arithmetic
from reference.bounds.step import Enclosure
from reference.bounds.trajectory import trajectory_bound

from ..inputs import Inputs


def trajectory(case: Case) -> dict[str, Enclosure]:
    """What is expected of "output" and "h_n" by the trajectory bound, in the case's layout.

    The bound is 0 where NaN is certain, which the trajectory bound itself says nothing of.
    """
    if case.mask is not None:
        plain, order = case.without_mask()
        parts, back = trajectory(plain), np.argsort(order, axis=0)
        output = parts["output"].each(lambda array: layouts.take_steps(array, back, case.layout))
        return {**parts, "output": output}
    lengths = None if case.lengths is None else np.atleast_1d(case.lengths)
    inputs = Inputs(case.x, case.h0, lengths, None, case.layout, case.layout).to("time_first")
    with np.errstate(all="ignore"):
        cells = trajectory_bound(case.spec, case.parameters, inputs.x, inputs.h0, lengths, arithmetic(case.dtype))
    top, fields = cells[-case.spec.num_directions :], range(len(Enclosure._fields))
    outputs = [np.concatenate([cell.output[field] for cell in top], axis=-1) for field in fields]
    states = [np.stack([cell.h_n[field] for cell in cells]) for field in fields]
    given = [inputs.result([output], h_n) for output, h_n in zip(outputs, states, strict=True)]
    parts = {"output": Enclosure(*(one.output for one in given)), "h_n": Enclosure(*(one.h_n for one in given))}
    certain = _certain_nan(case)._asdict()
    return {n: part._replace(bound=np.where(np.isnan(certain[n]), 0, part.bound)) for n, part in parts.items()}


def _certain_nan(case: Case) -> Result:
    """NaN where a NaN of the case must come out, whatever all other numbers are: IEEE 754 leaves no choice; else 0."""

    def nan_or_zero(array: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(array), np.nan, 0)

    cells = [CellParameters.of({name: nan_or_zero(a) for name, a in cell.arrays().items()}) for cell in case.parameters]
    h0 = None if case.h0 is None else nan_or_zero(case.h0)
    return forward(case.spec, cells, nan_or_zero(case.x), h0, case.lengths, case.layout)


def rounded_up(array: np.ndarray) -> np.ndarray:
    """Numbers of at least 0, float64, each rounded up to three decimal digits."""
    context = decimal.Context(prec=3, rounding=decimal.ROUND_CEILING)
    rounded = [float(context.create_decimal_from_float(float(value))) for value in array.flat]
    return np.array(rounded, np.float64).reshape(array.shape)
