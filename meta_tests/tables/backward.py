"""How often the judge of gradients rejects a correct backward pass: never, if the bounds are right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from meta_tests.common.backward import ASSOCIATIONS, MIX_BACK, TANH_SLOPES, Backward, passed
from meta_tests.common.gated import MIXES, Gated
from meta_tests.tables.false_alarms import BATCH_OF_CASES, Picks, draw_machine
from meta_tests.tables.gated import Count, draw
from reference import CellParameters, Gradients, RNNSpec, Verdict, judge_gradients, probe
from reference.draws import Draw
from reference.layout import from_state_tuple

CELLS = ("elman", "gru", "gru_reset_before", "lstm")
# the arithmetics of which a gradient's bound is proved
PROVED = ("float16", "bfloat16", "float32", "float64", "float16_accumulate_float32", "bfloat16_accumulate_float32",
          "float16_added_by_step", "bfloat16_added_by_step", "float16_of_float32", "bfloat16_of_float32", "tf32",
          "bfloat16_products")  # fmt: skip
MOST_TERMS = 256


def draw_backward(name: str, seed: int) -> Backward:
    pick = Picks(seed + 23)
    order = tuple(int(i) for i in np.random.Generator(np.random.PCG64(seed)).permutation(MOST_TERMS))
    machine = replace(draw_machine(name, seed), staged=False, one_bias=False, order=order)
    gated = Gated(machine, mix=pick(*MIXES), fused=pick(True, False), twice=pick(True, False))
    formulas = pick(*TANH_SLOPES), pick(*MIX_BACK), pick(*ASSOCIATIONS)
    stored = machine.declared.added_by_step or not machine.declared.wide
    return Backward(gated, *formulas, pick(True, False) and stored, pick(True, False))


def draw_spec(cell: str, seed: int) -> RNNSpec:
    pick = Picks(seed + 41)
    nonlinearity = pick("tanh", "tanh", "relu") if cell == "elman" else "tanh"
    return RNNSpec(pick(1, 2, 4), pick(1, 2, 3, 6), bias=pick(True, True, False), cell=cell, nonlinearity=nonlinearity)


def verdicts(machine: Backward, name: str, cell: str, seed: int, count: int = BATCH_OF_CASES,
             spec: RNNSpec | None = None) -> Iterator[Verdict]:  # fmt: skip
    drawn, numbers = draw(name, cell, seed, count, spec or draw_spec(cell, seed)), Draw(seed + 5)
    scale = Picks(seed + 3)(1.0, 1.0, 1e-3, 30.0)
    dtype, sizes = drawn.x.dtype, [state.size for state in drawn.spec.made.states]
    g = numbers.uniform((*drawn.x.shape[:3], sizes[0]), scale).astype(dtype)
    finals = [numbers.uniform(state.shape, scale).astype(dtype) for state in drawn.start]
    with np.errstate(all="ignore"):
        answer = passed(machine, drawn.spec, drawn.weights, drawn.x, drawn.start, g, finals)
    for k in range(count):
        cotangents = g[k], from_state_tuple([one[k][None] for one in finals])
        case = replace(drawn.case(k), cotangents=cotangents)
        rows = answer.delta.shape[-1]
        weights = {one: np.ascontiguousarray(array[k]) for one, array in answer.weights.items()}
        weights["w_ih"] = np.concatenate([weights["w_ih"], np.zeros((rows, rows), dtype)], axis=1)
        gradients = Gradients(
            np.concatenate([answer.x[k], answer.delta[k]], axis=-1),
            from_state_tuple([one[k][None] for one in answer.start]),
            [CellParameters.of(weights)],
            np.ascontiguousarray(answer.states[0][k]),
            from_state_tuple([np.ascontiguousarray(one[k, -1][None]) for one in answer.states]),
        )
        assert probe(case).spec.input_size == gradients.x.shape[-1]
        yield judge_gradients(case, gradients, machine.gated.machine.arithmetic)


def count(name: str, cell: str, cases: int, seed: int = 0) -> Count:
    outcomes, largest = Counter[str](), 0.0
    for own in range(seed, seed - (-cases // BATCH_OF_CASES)):
        for verdict in verdicts(draw_backward(name, own), name, cell, own):
            outcomes[verdict.outcome] += 1
            largest = max(largest, verdict.max_fraction)
    return Count(outcomes.total(), outcomes["disagrees"], outcomes["vacuous"], largest)
