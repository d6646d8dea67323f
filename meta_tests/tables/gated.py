"""How often the judge rejects a correct GRU or LSTM: never, if the bounds are right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from meta_tests.common.gated import MIXES, Gated, states_of
from meta_tests.tables.false_alarms import BATCH_OF_CASES, Picks, draw_machine, extremes
from reference import Case, CellParameters, RNNSpec, Verdict, judge
from reference.bounds.arithmetic import arithmetic
from reference.draws import Draw
from reference.layout import from_state_tuple

CELLS = ("gru", "gru_reset_before", "lstm")


class Drawn(NamedTuple):
    """Cases of the same shapes: weights, x (case, time, batch, features) and states (case, batch, size)."""

    spec: RNNSpec
    weights: dict[str, np.ndarray]
    x: np.ndarray
    start: list[np.ndarray]

    def case(self, k: int) -> Case:
        parameters = [CellParameters.of({name: array[k] for name, array in self.weights.items()})]
        h0 = from_state_tuple([state[k][None] for state in self.start])
        return Case(self.spec, parameters, self.x[k], h0, None, "time_first")


def draw_spec(cell: str, pick: Picks) -> RNNSpec:
    hidden = pick(1, 2, 3, 6)
    if cell != "lstm":
        return RNNSpec(pick(1, 2, 4, 7), hidden, bias=pick(True, True, False), cell=cell)
    return RNNSpec(
        pick(1, 2, 4, 7), hidden, bias=pick(True, True, False), cell=cell, peepholes=pick(True, False, False),
        input_forget=pick(True, False, False), projection_size=pick(0, 0, hidden - 1), clip=pick(None, None, 0.5, 3.0),
    )  # fmt: skip


def draw(name: str, cell: str, seed: int, count: int = BATCH_OF_CASES, spec: RNNSpec | None = None) -> Drawn:
    pick, numbers = Picks(2 * seed), Draw(2 * seed + 1)
    spec = spec or draw_spec(cell, pick)
    weight, value = pick(*[(1.0, 1.0)] * 4, (4.0, 1.0), (0.5, 20.0), *extremes(name))
    time, batch, dtype = pick(1, 3, 6, 20), pick(1, 2, 3), np.dtype(arithmetic(name).storage)
    sign, width = pick(np.abs, np.positive, np.positive), weight / np.sqrt(spec.hidden_size)
    weights = {
        field: sign(numbers.uniform((count, *shape), width if field[0] == "w" else width * value)).astype(dtype)
        for field, shape in spec.shapes[0].items()
    }
    if spec.bias and cell == "lstm":  # what forget biases do
        forget = np.split(weights["b_ih"], 4, axis=1)[1]
        forget += dtype.type(pick(0, 0, 1, 5))
    x = sign(numbers.uniform((count, time, batch, spec.input_size), value)).astype(dtype)
    sizes = [state.size for state in spec.made.states]
    start = [numbers.uniform((count, batch, size), min(value, 1.0)).astype(dtype) for size in sizes]
    return Drawn(spec, weights, x, start)


def draw_gated(name: str, seed: int) -> Gated:
    pick = Picks(seed + 11)
    machine = replace(draw_machine(name, seed), staged=False, one_bias=False)
    return Gated(machine, mix=pick(*MIXES), fused=pick(True, False), twice=pick(True, False))


def verdicts(gated: Gated, drawn: Drawn) -> Iterator[Verdict]:
    with np.errstate(all="ignore"):
        h, *hidden = states_of(gated, drawn.spec, drawn.weights, drawn.x, drawn.start)
    for k in range(len(drawn.x)):
        finals = from_state_tuple([np.ascontiguousarray(one[k, -1][None]) for one in (h, *hidden)])
        yield judge(drawn.case(k), np.ascontiguousarray(h[k]), finals, declared=gated.machine.arithmetic)


class Count(NamedTuple):
    cases: int
    rejected: int
    vacuous: int
    largest_fraction: float


def count(name: str, cell: str, cases: int, seed: int = 0) -> Count:
    outcomes, largest = Counter[str](), 0.0
    for own in range(seed, seed - (-cases // BATCH_OF_CASES)):
        for verdict in verdicts(draw_gated(name, own), draw(name, cell, own)):
            outcomes[verdict.outcome] += 1
            largest = max(largest, verdict.max_fraction)
    return Count(outcomes.total(), outcomes["disagrees"], outcomes["vacuous"], largest)
