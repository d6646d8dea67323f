"""What the judge sees: the smallest relative change of one weight, and of the activation, that it rejects.

The faulty implementation is otherwise as good as its dtype allows: every step in float64, each state rounded once. So
what is seen here is seen in any framework, whose own rounding only adds to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reference import Case, RNNSpec, judge
from reference.bounds.arithmetic import arithmetic
from reference.draws import draw_case

SIZES = (4, 16, 64, 128, 256, 512)
ARITHMETICS = ("float64", "float32", "float16", "bfloat16", "float16_accumulate_float32", "bfloat16_accumulate_float32")
BATCH, TIME = 8, 20
UNIT_VARIANCE = 3**0.5  # of a uniform distribution: its half width
FINEST = 0.25  # powers of two between two changes that are tried
LARGEST = 4.0  # a change by more than a factor of 2**LARGEST is not tried


@dataclass(frozen=True)
class Row:
    """The smallest relative changes seen, median over the seeds; infinite where none up to 2**LARGEST is seen.

    weight: of the recurrent weight of median magnitude.  activation: of every state, a factor inside the recurrence.
    """

    arithmetic: str
    hidden_size: int
    weight: float
    activation: float


def sensitive_case(name: str, hidden_size: int, seed: int) -> Case:
    """A layer as torch initialises it, with as many inputs as units, uniform and of unit variance."""
    return draw_case(
        RNNSpec(hidden_size, hidden_size), batch=BATCH, time=TIME, dtype=arithmetic(name).storage, seed=seed,
        input_scale=UNIT_VARIANCE, layout="time_first",
    )  # fmt: skip


def faulty_answer(
    case: Case,
    w_ih: Callable[[np.ndarray], np.ndarray] = np.positive,
    w_hh: Callable[[np.ndarray], np.ndarray] = np.positive,
    state: Callable[[np.ndarray], np.ndarray] = np.positive,
    projected: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Output and h_n of one forward tanh layer in float64, with faults in its weights and states, each state rounded.

    case: time first, without h0 and lengths.  projected: project(case) where w_ih has no fault.
    """
    cell = case.parameters[0].astype(np.float64)
    steps = project(case, w_ih(cell.w_ih)) if projected is None else projected
    recurrent = w_hh(cell.w_hh).T
    h, states = np.zeros(steps.shape[1:]), []
    for step in steps:
        states.append(state(np.tanh(step + h @ recurrent)).astype(case.x.dtype))
        h = states[-1].astype(np.float64)
    output = np.stack(states)
    return output, output[-1][None]


def project(case: Case, w_ih: np.ndarray | None = None) -> np.ndarray:
    """w_ih x + b_ih + b_hh of every step in float64."""
    cell = case.parameters[0].astype(np.float64)
    biases = sum(array for name, array in cell.arrays().items() if name in ("b_ih", "b_hh"))
    return case.x.astype(np.float64) @ (cell.w_ih if w_ih is None else w_ih).T + biases


def change_one(relative: float) -> Callable[[np.ndarray], np.ndarray]:
    """A change of the weight of median magnitude by that factor less 1."""

    def changed(weights: np.ndarray) -> np.ndarray:
        weights = weights.copy()
        weights.flat[np.argsort(np.abs(weights), axis=None)[weights.size // 2]] *= 1 + relative
        return weights

    return changed


def smallest_seen(seen: Callable[[float], bool], unit_roundoff: float) -> float:
    """The smallest change 2**k, k in steps of FINEST, that is seen, by bisection; infinite if the largest is not."""
    low, high = int((np.log2(unit_roundoff) - 2) / FINEST), int(LARGEST / FINEST)
    if not seen(2.0 ** (high * FINEST)):
        return np.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if seen(2.0 ** (middle * FINEST)) else (middle, high)
    return 2.0 ** (high * FINEST)


def row(name: str, hidden_size: int, seeds: int) -> Row:
    """One arithmetic and size: medians over so many drawn layers."""
    found = []
    for seed in range(seeds):
        case = sensitive_case(name, hidden_size, seed)
        fixed = project(case)

        def rejects(answer: tuple[np.ndarray, np.ndarray], case: Case = case) -> bool:
            return judge(case, *answer, declared=name, bound="step").outcome == "disagrees"

        def weight(e: float, case: Case = case, fixed: np.ndarray = fixed) -> bool:
            return rejects(faulty_answer(case, w_hh=change_one(e), projected=fixed), case)

        def activation(e: float, case: Case = case, fixed: np.ndarray = fixed) -> bool:
            return rejects(faulty_answer(case, state=lambda h: h * (1 + e), projected=fixed), case)

        u = arithmetic(name).unit_roundoff
        found.append((smallest_seen(weight, u), smallest_seen(activation, u)))
    by_weight, by_activation = (sorted(column)[len(column) // 2] for column in zip(*found, strict=True))
    return Row(name, hidden_size, by_weight, by_activation)


def rows(seeds: int = 3, sizes: tuple[int, ...] = SIZES) -> list[Row]:
    """The table: every arithmetic and size."""
    return [row(name, size, seeds) for name in ARITHMETICS for size in sizes]
