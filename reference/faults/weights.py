"""Faults in the weights and the biases, made from those that a cell has: the wrong way round, in the wrong place, lost.

A rule says what befalls an array: every weight has the rules of what its columns count, every bias those of a bias. An
array with gates is changed gate by gate.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
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
from .fault import Asked, Fault, Where, presupposed
from .rows import Does, of_first_step, of_question
from .where import (
    ALWAYS,
    ANY_FEATURES,
    BIAS,
    BOTH,
    FINER,
    FLOAT64,
    LAYERS,
    RECURRENT,
    SQUARE,
    SQUARE_RECURRENT,
    STEPS,
    UNITS,
    WIDE,
)  # fmt: skip

Arrays = dict[str, np.ndarray]
Tracks = Callable[[RNNSpec], slice]


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
    tracks: Tracks = lambda _spec: slice(None)


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
        Rule("{}_transposed", "{} is transposed", UNITS & SQUARE_RECURRENT, transposed),
        Rule("{}_transposed_in_reverse", "{} of the reverse direction is transposed",
             BOTH & UNITS & SQUARE_RECURRENT, transposed, reverse_tracks),
        Rule("{}_transposed_in_upper_layers", "{} of the layers above the first is transposed",
             LAYERS & UNITS & SQUARE_RECURRENT, transposed, upper_tracks),
        Rule("{}_rows_rotated", "the rows (units) of {} are rotated by one", UNITS & RECURRENT, rolled(1, 0)),
        Rule("{}_columns_rotated", "the columns (units) of {} are rotated by one", UNITS & RECURRENT, rolled(1, 1)),
        Rule("{}_ignored", "{} is ignored", RECURRENT, ZERO),
        Rule("{}_diagonal", "only the diagonal of {} is used", UNITS & RECURRENT, diagonal),
        Rule("{}_negated", "{} has the opposite sign", RECURRENT, np.negative),
    ),
    ("units",): (
        Rule("{}_ignored", "{} is ignored", BIAS & STEPS, ZERO),
        Rule("{}_in_bfloat16", "{} was stored in bfloat16", BIAS & FINER & STEPS, significant(8)),
        Rule("{}_in_float16", "{} was stored in float16", BIAS & WIDE & STEPS, in_dtype(np.float16)),
    ),
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
    Rule("biases_in_bfloat16", "both biases were stored in bfloat16", BIAS & FINER & STEPS, significant(8)),
    Rule("biases_in_float16", "both biases were stored in float16", BIAS & WIDE & STEPS, in_dtype(np.float16)),
    Rule("biases_in_float32", "both biases were stored in float32", BIAS & FLOAT64 & STEPS, in_dtype(np.float32)),
)  # fmt: skip
# names that 0.1.0 gave
NAMES = {
    "w_ih_last_unit_not_copied": "last_unit_not_copied",
    "w_ih_last_feature_not_copied": "last_feature_not_copied",
    "w_ih_and_w_hh_split_the_other_way": "kernel_split_the_other_way",
}


def made_from(weights: Sequence[Weight]) -> Iterator[Fault]:
    """The faults of a cell's weights and biases. Those of one name, of two cells, are the same."""
    of_features, of_states = (
        [one.name for one in weights if one.axes == axes] for axes in (("units", "features"), ("units", "states"))
    )
    biases = [one.name for one in weights if one.axes == ("units",) and one.gates == weights[0].gates]
    for one in weights:
        yield from (_by_rule(rule, one.axes, [one.name]) for rule in RULES.get(one.axes, ()))
    for pair in itertools.product(of_features, of_states):
        yield from _of_kernels(*pair)
    for gates in dict.fromkeys(pair for one in weights for pair in itertools.combinations(one.gates, 2)):
        yield _of_gates(*gates)
    yield from (_by_rule(rule, ("units", "any")) for rule in WEIGHTS)
    yield from (_by_rule(rule, ("units",)) for rule in BIASES)
    yield from _of_biases(biases)


def _made(name: str, says: str, where: Where, does: Does, family: str = "weights", names: Sequence[str] = ()) -> Fault:
    """names: of arrays that not every cell has."""
    if beside := set(names) - {"w_ih", "w_hh", "b_ih", "b_hh"}:
        words = f"a cell with {' and '.join(sorted(beside))}"
        where = presupposed(words, lambda case: beside <= case.parameters[0].arrays().keys()) & where
    return Fault(NAMES.get(name, name), family, says, where, **does)


def _by_rule(rule: Rule, axes: tuple[str, ...], names: Sequence[str] = ()) -> Fault:
    """The fault that applies a rule to these arrays of a cell, or to all that have as many axes."""

    def asked(case: Case) -> Case:
        weights = [one for one in cell_of(case.spec).weights(case.spec) if len(one.axes) == len(axes)]
        gates = {one.name: len(one.gates) for one in weights if not names or one.name in names}
        return of_arrays(
            lambda arrays: {name: gate_by_gate(rule.change, arrays[name], gates[name]) for name in gates}, rule.tracks
        )(case)

    name, says = (text.format(*names) for text in (rule.name, rule.says))
    return _made(name, says, rule.where, of_question(asked), "weights" if len(axes) == 2 else "biases", names)


def gate_by_gate(change: Change, array: np.ndarray, gates: int) -> np.ndarray:
    return np.concatenate([change(rows) for rows in np.split(array, gates)])


def of_arrays(change: Callable[[Arrays], Arrays], tracks: Tracks = lambda _spec: slice(None)) -> Asked:
    """What changes some arrays of these tracks. change: a track's arrays by name -> those that become others."""

    def asked(case: Case) -> Case:
        parameters = list(case.parameters)
        for index in range(len(parameters))[tracks(case.spec)]:
            parameters[index] = _with_arrays(parameters[index], change(parameters[index].arrays()))
        return replace(case, parameters=parameters)

    return asked


def _with_arrays(parameters: CellParameters, arrays: Arrays) -> CellParameters:
    return CellParameters.of(parameters.arrays() | {n: np.ascontiguousarray(array) for n, array in arrays.items()})


def _of_kernels(ih: str, hh: str) -> Iterator[Fault]:
    """Of a weight of the features and one of the states, which may be kept as one kernel."""

    def exchange(arrays: Arrays) -> Arrays:
        return {ih: arrays[hh], hh: arrays[ih]} if arrays[ih].shape == arrays[hh].shape else {}

    def split(arrays: Arrays) -> Arrays:
        kernel = np.concatenate([arrays[ih], arrays[hh]], axis=1)
        first, second = np.split(kernel, [arrays[hh].shape[1]], axis=1)
        return {hh: first, ih: second}

    says = f"{ih} and {hh} are exchanged"
    yield _made(f"{ih}_and_{hh}_exchanged", says, SQUARE & STEPS, of_question(of_arrays(exchange)), names=[ih, hh])
    says = f"{hh} stands before {ih} in the one kernel that holds both"
    yield _made(f"{ih}_and_{hh}_split_the_other_way", says, STEPS, of_question(of_arrays(split)), names=[ih, hh])


def _of_gates(first: str, second: str) -> Fault:
    """Two of the gates that are stacked in the rows, exchanged in every array that has them."""
    others = {first: second, second: first}

    def stacks(case: Case) -> dict[str, tuple[str, ...]]:
        return {one.name: one.gates for one in cell_of(case.spec).weights(case.spec) if others.keys() <= {*one.gates}}

    def asked(case: Case) -> Case:
        gates = stacks(case)
        return of_arrays(lambda arrays: {n: reordered(arrays[n], gates[n], others) for n in gates})(case)

    where = presupposed(f"the gates {first} and {second}", lambda case: bool(stacks(case)))
    says = f"the gates {first} and {second} are exchanged"
    return _made(f"gates_{first}_and_{second}_exchanged", says, where & STEPS, of_question(asked))


def reordered(array: np.ndarray, gates: Sequence[str], others: Mapping[str, str]) -> np.ndarray:
    """The rows of a gate in the place of another's. others: gate -> whose rows stand in its place."""
    rows = dict(zip(gates, np.split(array, len(gates)), strict=True))
    return np.concatenate([rows[others.get(gate, gate)] for gate in gates])


def _of_biases(names: Sequence[str]) -> Iterator[Fault]:
    def kind_by_kind(case: Case) -> Case:
        parameters = list(case.parameters)
        for start in range(0, len(parameters), 2):
            stored = [parameters[start + d].arrays()[name] for d in (0, 1) for name in names]
            for d in (0, 1):
                read = {name: stored[2 * kind + d] for kind, name in enumerate(names)}
                parameters[start + d] = _with_arrays(parameters[start + d], read)
        return replace(case, parameters=parameters)

    for name in names:
        both = of_question(of_arrays(lambda arrays, name=name: dict.fromkeys(names, arrays[name])))
        yield _made(f"{name}_for_both", f"{name} stands for both biases", BIAS & STEPS, both, "biases", names)
        without = of_arrays(lambda arrays, name=name: {name: np.zeros_like(arrays[name])})
        says = f"the first step is taken without {name}"
        yield _made(f"first_step_without_{name}", says, BIAS & STEPS, of_first_step(without), "biases", [name])
    says = "a layer's biases are read kind by kind, not direction by direction"
    yield _made("biases_kind_by_kind", says, BIAS & BOTH & STEPS, of_question(kind_by_kind), "biases", names)


def _of_cells(*words: str) -> dict[str, Fault]:
    specs = [RNNSpec(2, 2, cell=word, **({"peepholes": True, "projection_size": 1} if word == "lstm" else {}))
             for word in words]  # fmt: skip
    return {fault.name: fault for spec in specs for fault in made_from(cell_of(spec).weights(spec))}


FAULTS = _of_cells("elman")
OF_EVERY_CELL = _of_cells(*CELLS)
