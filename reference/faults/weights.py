"""Faults in the weights and the biases, made from those that a cell has: the wrong way round, in the wrong place, lost.

A rule says what befalls an array: every weight has the rules of what its columns count, every bias those of a bias. An
array with gates is changed gate by gate.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from ..cells import CELLS, Weight, cell_of
from ..judging.case import Case
from ..spec import CellParameters, RNNSpec
from .changes import (
    Change,
    backwards,
    decayed,
    diagonal,
    in_dtype,
    quantised,
    reshaped,
    rolled,
    significant,
    times,
    transposed,
    zeroed,
)
from .fault import Asked, Fault, Where
from .where import ALWAYS, ANY_FEATURES, BIAS, BOTH, FINER, FLOAT64, LAYERS, RECURRENT, SQUARE, STEPS, UNITS, WIDE

Arrays = dict[str, np.ndarray]


def every_track(_spec: RNNSpec) -> slice:
    return slice(None)


def reverse_tracks(spec: RNNSpec) -> slice:
    return slice(spec.num_directions - 1, None, spec.num_directions)


def upper_tracks(spec: RNNSpec) -> slice:
    """The tracks of the layers above the first."""
    return slice(spec.num_directions, None)


class Rule(NamedTuple):
    """A fault of an array; {} in its name and in its words stands for the array's name.

    change: of one gate's rows.  tracks: whose array is changed.
    """

    name: str
    says: str
    where: Where
    change: Change
    tracks: Callable[[RNNSpec], slice] = every_track


ZERO = zeroed(...)
# by what the columns count; a bias has none
RULES: dict[tuple[str, ...], tuple[Rule, ...]] = {
    ("units", "features"): (
        Rule("{}_transposed", "{} is transposed", SQUARE & UNITS & STEPS, transposed),
        Rule("{}_reshaped", "{} is reshaped, not transposed, from features by units", UNITS & ANY_FEATURES & STEPS,
             reshaped),
        Rule("{}_rows_rotated", "the rows (units) of {} are rotated by one", UNITS & STEPS, rolled(1, 0)),
        Rule("{}_columns_rotated", "the columns (features) of {} are rotated by one", ANY_FEATURES & STEPS,
             rolled(1, 1)),
        Rule("{}_columns_reversed", "the columns (features) of {} are in reverse order", ANY_FEATURES & STEPS,
             backwards(1)),
        Rule("{}_last_unit_not_copied", "the last row (unit) of {} was not copied and is zero", STEPS,
             zeroed(np.s_[-1])),
        Rule("{}_last_feature_not_copied", "the last column (feature) of {} was not copied and is zero", STEPS,
             zeroed(np.s_[:, -1])),
    ),
    ("units", "states"): (
        Rule("{}_transposed", "{} is transposed", UNITS & RECURRENT, transposed),
        Rule("{}_transposed_in_reverse", "{} of the reverse direction is transposed", BOTH & UNITS & RECURRENT,
             transposed, reverse_tracks),
        Rule("{}_transposed_in_upper_layers", "{} of the layers above the first is transposed",
             LAYERS & UNITS & RECURRENT, transposed, upper_tracks),
        Rule("{}_rows_rotated", "the rows (units) of {} are rotated by one", UNITS & RECURRENT, rolled(1, 0)),
        Rule("{}_columns_rotated", "the columns (units) of {} are rotated by one", UNITS & RECURRENT, rolled(1, 1)),
        Rule("{}_ignored", "{} is ignored", RECURRENT, ZERO),
        Rule("{}_diagonal", "only the diagonal of {} is used", UNITS & RECURRENT, diagonal),
        Rule("{}_negated", "{} has the opposite sign", RECURRENT, np.negative),
    ),
    ("units",): (Rule("{}_ignored", "{} is ignored", BIAS & STEPS, ZERO),),
}  # fmt: skip
# of all weights at once, and of all biases
WEIGHTS = (
    Rule("weights_decayed", "all weights are 1 % too small", STEPS, decayed),
    Rule("weights_in_int8", "the weights are rounded to 8-bit integers times a scale", STEPS, quantised),
    Rule("weights_in_bfloat16", "the weights were stored in bfloat16", FINER & ALWAYS, significant(8)),
    Rule("weights_in_float16", "the weights were stored in float16", WIDE & ALWAYS, in_dtype(np.float16)),
    Rule("weights_in_float32", "the weights were stored in float32", FLOAT64 & ALWAYS, in_dtype(np.float32)),
)
BIASES = (
    Rule("biases_ignored", "both biases are ignored", BIAS & STEPS, ZERO),
    Rule("biases_doubled", "both biases are added twice", BIAS & STEPS, times(2)),
    Rule("biases_negated", "the biases have the opposite sign", BIAS & STEPS, np.negative),
    Rule("biases_rotated", "the units of the biases are rotated by one", BIAS & UNITS & STEPS, rolled(1, 0)),
    Rule("biases_ignored_in_upper_layers", "the biases of the layers above the first are ignored",
         BIAS & LAYERS & STEPS, ZERO, upper_tracks),
    Rule("biases_ignored_in_reverse", "the biases of the reverse direction are ignored", BIAS & BOTH & STEPS, ZERO,
         reverse_tracks),
)  # fmt: skip
# names that 0.1.0 gave
NAMES = {
    "w_ih_last_unit_not_copied": "last_unit_not_copied",
    "w_ih_last_feature_not_copied": "last_feature_not_copied",
    "w_ih_and_w_hh_split_the_other_way": "kernel_split_the_other_way",
}


def made_from(weights: Sequence[Weight]) -> Iterator[Fault]:
    """The faults of a cell's weights and biases."""
    of_features, of_states, biases = (
        [one for one in weights if one.axes == axes]
        for axes in (("units", "features"), ("units", "states"), ("units",))
    )
    matrices = [*of_features, *of_states]
    for one in matrices:
        yield from (_by_rule(rule, [one]) for rule in RULES[one.axes])
    for pair in itertools.product(of_features, of_states):
        yield from _of_kernels(*pair)
    yield from _of_gates(weights)
    yield from (_by_rule(rule, matrices) for rule in WEIGHTS)
    for one in biases:
        yield from (_by_rule(rule, [one]) for rule in RULES[one.axes])
    yield from (_by_rule(rule, biases) for rule in BIASES)
    yield from _of_biases(biases)


def _made(name: str, says: str, changed: Sequence[Weight], where: Where, asked: Asked) -> Fault:
    family = "weights" if len(changed[0].axes) == 2 else "biases"
    return Fault(NAMES.get(name, name), family, says, where, asked=asked)


def _by_rule(rule: Rule, changed: Sequence[Weight]) -> Fault:
    """The fault that applies a rule to each of these arrays."""

    def change(arrays: Arrays) -> Arrays:
        there = [one for one in changed if one.name in arrays]
        return {one.name: gate_by_gate(rule.change, arrays[one.name], len(one.gates)) for one in there}

    name, says = (text.format(changed[0].name) for text in (rule.name, rule.says))
    return _made(name, says, changed, rule.where, of_arrays(change, rule.tracks))


def gate_by_gate(change: Change, array: np.ndarray, gates: int) -> np.ndarray:
    return np.concatenate([change(rows) for rows in np.split(array, gates)])


def of_arrays(change: Callable[[Arrays], Arrays], tracks: Callable[[RNNSpec], slice] = every_track) -> Asked:
    """What changes some arrays of these tracks. change: a track's arrays by name -> those that become others."""

    def asked(case: Case) -> Case:
        parameters = list(case.parameters)
        for index in range(len(parameters))[tracks(case.spec)]:
            parameters[index] = _with_arrays(parameters[index], change(parameters[index].arrays()))
        return replace(case, parameters=parameters)

    return asked


def _with_arrays(parameters: CellParameters, arrays: Arrays) -> CellParameters:
    return CellParameters.of(parameters.arrays() | {n: np.ascontiguousarray(array) for n, array in arrays.items()})


def _of_kernels(ih: Weight, hh: Weight) -> Iterator[Fault]:
    """Of a weight of the features and one of the states, which may be kept as one kernel."""

    def exchange(arrays: Arrays) -> Arrays:
        a, b = arrays[ih.name], arrays[hh.name]
        return {ih.name: b, hh.name: a} if a.shape == b.shape else {}

    def split(arrays: Arrays) -> Arrays:
        kernel = np.concatenate([arrays[ih.name], arrays[hh.name]], axis=1)
        first, second = np.split(kernel, [arrays[hh.name].shape[1]], axis=1)
        return {hh.name: first, ih.name: second}

    both = f"{ih.name}_and_{hh.name}"
    says = f"{ih.name} and {hh.name} are exchanged"
    yield _made(f"{both}_exchanged", says, [ih, hh], SQUARE & STEPS, of_arrays(exchange))
    says = f"{hh.name} stands before {ih.name} in the one kernel that holds both"
    yield _made(f"{both}_split_the_other_way", says, [ih, hh], STEPS, of_arrays(split))


def _of_gates(weights: Sequence[Weight]) -> Iterator[Fault]:
    """Of every two gates that are stacked in the rows, in each array that has them."""
    pairs = dict.fromkeys(pair for one in weights for pair in itertools.combinations(one.gates, 2))
    for first, second in pairs:
        stacks = [one for one in weights if {first, second} <= set(one.gates)]
        asked = of_arrays(partial(gates_exchanged, stacks, {first: second, second: first}))
        says = f"the gates {first} and {second} are exchanged"
        yield _made(f"gates_{first}_and_{second}_exchanged", says, stacks, STEPS, asked)


def gates_exchanged(stacks: Sequence[Weight], others: dict[str, str], arrays: Arrays) -> Arrays:
    changed = {}
    for one in stacks:
        rows = dict(zip(one.gates, np.split(arrays[one.name], len(one.gates)), strict=True))
        changed[one.name] = np.concatenate([rows[others.get(gate, gate)] for gate in one.gates])
    return changed


def _of_biases(biases: Sequence[Weight]) -> Iterator[Fault]:
    names = [one.name for one in biases]

    def one_for_both(name: str, arrays: Arrays) -> Arrays:
        return dict.fromkeys(names, arrays[name])

    def kind_by_kind(case: Case) -> Case:
        parameters = list(case.parameters)
        for start in range(0, len(parameters), 2):
            stored = [parameters[start + d].arrays()[name] for d in (0, 1) for name in names]
            for d in (0, 1):
                read = {name: stored[2 * kind + d] for kind, name in enumerate(names)}
                parameters[start + d] = _with_arrays(parameters[start + d], read)
        return replace(case, parameters=parameters)

    for name in names:
        asked = of_arrays(partial(one_for_both, name))
        yield _made(f"{name}_for_both", f"{name} stands for both biases", biases, BIAS & STEPS, asked)
    says = "a layer's biases are read kind by kind, not direction by direction"
    yield _made("biases_kind_by_kind", says, biases, BIAS & BOTH & STEPS, kind_by_kind)


SPECS = [RNNSpec(1, 1, cell=word) for word in CELLS]
FAULTS = {fault.name: fault for spec in SPECS for fault in made_from(cell_of(spec).weights(spec))}
