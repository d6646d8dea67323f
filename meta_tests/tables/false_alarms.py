"""How often the judge rejects a correct implementation: never, if the bounds are right.

Every case is one drawn layer or stack with its own weights and inputs, computed by a simulated correct machine and
judged by both bounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from meta_tests.common.implementations import COMBINE, ROUNDING, TANH_ERRORS, Cells, Machine, scan
from reference import DIRECTIONS, Case, CellParameters, RNNSpec, Verdict, judge
from reference.arguments import cell_shapes
from reference.bounds.arithmetic import ARITHMETICS, arithmetic
from reference.draws import Draw

BATCH_OF_CASES = 16
MOST_TERMS = 64
BOUNDS = ("step", "trajectory")


@dataclass(frozen=True)
class Row:
    """What the judge said of simulated machines of one arithmetic, by one bound."""

    arithmetic: str
    bound: str
    cases: int
    rejected: int
    vacuous: int
    largest_fraction: float


@dataclass(frozen=True)
class Batch:
    """Cases of the same shapes, and their stack's weights side by side: Cells for each cell of the stack.

    x: (case, time, batch, input_size).  h0: (cell, case, batch, hidden_size) or None.
    """

    spec: RNNSpec
    cells: list[Cells]
    x: np.ndarray
    h0: np.ndarray | None
    lengths: np.ndarray | None

    def case(self, k: int) -> Case:
        """Case number k, time first."""
        parameters = [
            CellParameters(*(None if a is None else a[k] for a in (c.w_ih, c.w_hh, c.b_ih, c.b_hh)))
            for c in self.cells
        ]  # fmt: skip
        h0 = None if self.h0 is None else self.h0[:, k]
        return Case(self.spec, parameters, self.x[k], h0, self.lengths, "time_first")


class Picks:
    """Choices from a seed."""

    def __init__(self, seed: int) -> None:
        self._words = np.random.PCG64(seed)

    def __call__(self, *choices: Any) -> Any:
        return choices[int(self._words.random_raw() >> 11) % len(choices)]


def draw_batch(name: str, seed: int, count: int = BATCH_OF_CASES, clip: float | None = None) -> Batch:
    """Stacks of one or two layers in the arithmetic's storage; weights as torch draws them, or large, tiny or huge."""
    pick, draw = Picks(2 * seed), Draw(2 * seed + 1)
    spec = RNNSpec(
        input_size=pick(1, 2, 4, 7),
        hidden_size=pick(1, 2, 3, 6, 12),
        num_layers=pick(1, 1, 1, 2),
        direction=pick(*DIRECTIONS),
        nonlinearity=pick("tanh", "tanh", "relu"),
        bias=pick(True, True, False),
    )
    weight, value = pick(*[(1.0, 1.0)] * 4, (4.0, 1.0), (0.5, 20.0), *extremes(name))
    time, batch, dtype = pick(1, 3, 6), pick(1, 2, 3), np.dtype(arithmetic(name).storage)
    sign = pick(np.abs, np.positive, np.positive)  # of one sign, rounding errors to one side add up
    width = weight / np.sqrt(spec.hidden_size)
    cells = [
        Cells(**{
            field: sign(draw.uniform((count, *shape), width if field[0] == "w" else width * value)).astype(dtype)
            for field, shape in cell_shapes(spec, index // spec.num_directions).items()
        })
        for index in range(spec.num_cells)
    ]  # fmt: skip
    x = sign(draw.uniform((count, time, batch, spec.input_size), value)).astype(dtype)
    h0 = draw.uniform((spec.num_cells, count, batch, spec.hidden_size), min(value, 1.0)).astype(dtype)
    lengths = np.array([pick(*range(time + 1)) for _ in range(batch)])
    return Batch(replace(spec, clip=clip), cells, x, pick(h0, None), pick(lengths, None, None))


def extremes(name: str) -> list[tuple[float, float]]:
    """(weights' scale, inputs' scale): products, inputs or weights around the smallest normal number; near overflow."""
    declared = arithmetic(name)
    low = declared.smallest_normal
    return [(low**0.5, low**0.5), (1.0, 2 * low), (2 * low, 1.0), (1.0, declared.largest / 3)]


def draw_machine(name: str, seed: int) -> Machine:
    """A correct machine of that arithmetic: its order of summation, and what else it does."""
    pick = Picks(seed + 7)
    rounding = pick("nearest", *ROUNDING)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(MOST_TERMS)
    return Machine(
        arithmetic=name,
        order=tuple(int(i) for i in (order if pick(True, True, False) else range(MOST_TERMS))),
        block=pick(10**9, 10**9, 1, 2, 4, 8),
        combine=pick(*COMBINE),
        fused=pick(True, False),
        rounding=rounding,
        staged=rounding == "nearest" and pick(True, False),  # storing is a rounding more than is promised
        one_bias=pick(True, False),
        flush=pick(True, False),
        tanh_error=pick(*TANH_ERRORS),
        seed=seed,
    )


def run(machine: Machine, batch: Batch) -> tuple[list[np.ndarray], np.ndarray]:
    """Each layer's output (case, time, batch, features) and h_n (cell, case, batch, hidden_size)."""
    spec, layers, h_n = batch.spec, [], []
    count, time, rows, _ = batch.x.shape
    lengths = np.full(rows, time) if batch.lengths is None else batch.lengths
    step = np.arange(time)[:, None]
    ended = (step >= lengths)[None, :, :, None]
    back = np.where(step < lengths, lengths - 1 - step, step)  # reversing within lengths, and its own inverse
    x = batch.x
    for layer in range(spec.num_layers):
        halves = []
        for d, direction in enumerate(spec.directions):
            index = layer * spec.num_directions + d
            start = np.zeros((count, rows, spec.hidden_size), x.dtype) if batch.h0 is None else batch.h0[index]
            ordered = x if direction == "forward" else x[:, back, np.arange(rows)]
            states = scan(machine, batch.cells[index], ordered, start, spec.nonlinearity, spec.clip)
            last = states[:, np.maximum(lengths - 1, 0), np.arange(rows)]
            h_n.append(np.where((lengths == 0)[:, None], start, last))
            states = np.where(ended, np.zeros((), x.dtype), states)
            halves.append(states if direction == "forward" else states[:, back, np.arange(rows)])
        x = np.concatenate(halves, axis=-1)
        layers.append(x)
    return layers, np.stack(h_n)


def verdicts(machine: Machine, batch: Batch, bounds: tuple[str, ...] = BOUNDS) -> Iterator[tuple[int, str, Verdict]]:
    """The judge's word on every case of a batch, by each bound: the case's number, the bound, the verdict."""
    with np.errstate(all="ignore"):
        layers, h_n = run(machine, batch)
    for k in range(len(batch.x)):
        prefixes = [layer[k] for layer in layers[:-1]]
        for bound in bounds:
            known = prefixes if bound == "step" else None
            yield k, bound, judge(batch.case(k), layers[-1][k], h_n[:, k], known, machine.arithmetic, bound)


def count(
    name: str, cases: int, seed: int = 0, fault: Callable[[Machine], Machine] = lambda machine: machine,
    clip: float | None = None,
) -> list[Row]:  # fmt: skip
    """A row for each bound: at least so many cases of machines of one arithmetic, each with `fault` planted.

    clip: of every case.
    """
    outcomes: Counter[tuple[str, str]] = Counter()
    largest = dict.fromkeys(BOUNDS, 0.0)
    for number in range(-(-cases // BATCH_OF_CASES)):
        own = seed + number
        for _, bound, verdict in verdicts(fault(draw_machine(name, own)), draw_batch(name, own, clip=clip)):
            outcomes[bound, verdict.outcome] += 1
            largest[bound] = max(largest[bound], verdict.max_fraction)
    return [
        Row(name, bound, sum(outcomes[bound, word] for word in ("agrees", "disagrees", "vacuous")),
            outcomes[bound, "disagrees"], outcomes[bound, "vacuous"], largest[bound])
        for bound in BOUNDS
    ]  # fmt: skip


def rows(cases: int) -> list[Row]:
    """`cases` of simulated correct machines, in equal shares of every declared arithmetic."""
    return [row for name in ARITHMETICS for row in count(name, cases // len(ARITHMETICS))]


def wrong_tanh(machine: Machine) -> Machine:
    """tanh off by four times what is allowed, always to one side."""
    return replace(machine, tanh_error="up", tanh_excess=4.0)
