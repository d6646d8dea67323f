"""How a framework's own layers keep a cell's weights and states, as data; and its arrays from ours, and back, exactly.

An adapter writes one mapping: a word of RNNSpec.cell -> Native. The orders of gates, the forms of the biases, which way
a matrix lies and which state comes first stand there, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference import CellParameters, RNNSpec
from reference.arguments import check_parameters
from reference.cells import Weight, cell_of
from reference.layout import from_state_tuple, state_tuple

from .contract import NotOffered

# cell -> the gates whose b_hh is no part of a sum with b_ih: the reset gate multiplies it
APART: Mapping[str, tuple[str, ...]] = {"gru": ("n",)}


class Array(NamedTuple):
    """One array of a native layer in one direction.

    of: the weights of CellParameters that it holds.  gates: those that it holds, in its order; one unnamed where there
    is no stack.  columns: whether units lie on its last axis, and not on its first.
    joined: how it holds several weights: "added"; "added but apart", where the gates of b_hh that are APART are not in
        the sum, and another array has them; "stacked", on a new first axis; "end to end".
    """

    of: tuple[str, ...]
    gates: tuple[str, ...] = ("",)
    columns: bool = False
    joined: str = "added"


class Native(NamedTuple):
    """How a native layer of one cell keeps it.

    arrays: native name -> Array. One of which the spec has no weight is left out.
    states: the names of the cell's states, in the order in which the layer takes and answers them.
    """

    arrays: Mapping[str, Array]
    states: tuple[str, ...] = ("h",)


Mapped = Mapping[str, Native]


def native(spec: RNNSpec, layer: Native, track: CellParameters) -> dict[str, np.ndarray]:
    """A track's weights as the native layer keeps them: native name -> an array of its own, C order.

    Raises NotOffered where the layer has no place for a weight, or would have to add what it cannot.
    """
    kinds, given = _kinds(spec), track.arrays()
    _expect_places(spec, layer, given)
    made = {}
    for name, array in layer.arrays.items():
        if given.keys() >= {*array.of}:
            parts = [_gates(kinds[of], given[of], array) for of in array.of]
            if array.joined == "added but apart":
                apart = np.repeat([gate in APART.get(spec.cell, ()) for gate in array.gates], spec.hidden_size)
                parts[1] = np.where(apart, parts[1].dtype.type(0), parts[1])
            made[name] = np.array(_join(array, parts), order="C")
    return made


def parameters_of(
    spec: RNNSpec, layer: Native, arrays: Mapping[str, np.ndarray], gradients: bool = False
) -> CellParameters:
    """A track's weights from native arrays. Of biases that are added the first has the sum, and the others are 0.

    gradients: whether the arrays are gradients by the native ones. By the chain rule each of the biases that are added
    then has the whole of the sum's.  Raises ValueError for an array of another shape.
    """
    kinds, made = _kinds(spec), dict[str, np.ndarray]()
    for name, array in layer.arrays.items():
        parts = _parted(name, array, arrays[name], gradients) if name in arrays else ()
        for of, part in zip(array.of, parts, strict=False):
            if of not in kinds:
                raise ValueError(f"{name}: got an array, expected none: the layer has no {of}")
            kind, rows = kinds[of], part.T if array.columns else part
            size, more = divmod(len(rows), len(array.gates))
            whole = made.setdefault(of, np.zeros((size * len(kind.gates), *rows.shape[1:]), rows.dtype))
            if more or whole.shape != (size * len(kind.gates), *rows.shape[1:]):
                raise ValueError(f"{name}: got shape {arrays[name].shape}, expected {len(array.gates)} gates of {of}")
            for index, gate in enumerate(array.gates):
                if not _holds(spec, array, of, gate):
                    continue
                at = kind.gates.index(gate) * size
                whole[at : at + size] = rows[index * size : (index + 1) * size]
    return CellParameters.of(made)


def spec_and_parameters(
    mapping: Mapped, tracks: Sequence[Mapping[str, np.ndarray]], **words: Any
) -> tuple[RNNSpec, list[CellParameters]]:
    """The RNNSpec of these words and the CellParameters of each track's native arrays; NotOffered where they make none.

    words: fields of RNNSpec; `cell` says which entry of the mapping.
    """
    try:
        spec = RNNSpec(**words)
        parameters = [parameters_of(spec, mapping[spec.cell], arrays) for arrays in tracks]
        check_parameters(spec, parameters)
    except (TypeError, ValueError) as error:
        raise NotOffered(f"module: {error}") from error
    return spec, parameters


def differing(spec: RNNSpec, one: CellParameters, other: CellParameters) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The weights of two tracks that hold other numbers: name -> both. Biases that are added may be there as their sum:
    a layer that has one bias keeps no more."""
    pairs = zip(_with_sums(spec, one).items(), _with_sums(spec, other).values(), strict=True)
    return {name: (a, b) for (name, a), b in pairs if not np.array_equal(a, b, equal_nan=True)}


def _with_sums(spec: RNNSpec, track: CellParameters) -> dict[str, np.ndarray]:
    """A track's weights, its biases as "b_ih + b_hh"; and "b_hh", 0 but of the gates of which it is APART."""
    given = dict(track.arrays())
    if spec.bias:
        b_ih, b_hh, gates = given.pop("b_ih"), given.pop("b_hh"), _kinds(spec)["b_hh"].gates
        apart = np.repeat([gate in APART.get(spec.cell, ()) for gate in gates], spec.hidden_size)
        given |= {"b_ih + b_hh": np.where(apart, b_ih, b_ih + b_hh), "b_hh": np.where(apart, b_hh, 0 * b_hh)}
    return given


def theirs(spec: RNNSpec, layer: Native, states: Any) -> tuple[Any, ...]:
    """Our states (h0, h_n or a tuple of them, h first) in the order of the native layer; empty of None."""
    return () if states is None else tuple(state_tuple(states)[_names(spec).index(name)] for name in layer.states)


def ours(spec: RNNSpec, layer: Native, states: Sequence[Any]) -> Any:
    """The native layer's states as ours: h alone, or a tuple, h first."""
    return from_state_tuple([states[layer.states.index(name)] for name in _names(spec)])


def _names(spec: RNNSpec) -> list[str]:
    return [state.name for state in cell_of(spec).states]


def _kinds(spec: RNNSpec) -> dict[str, Weight]:
    return {weight.name: weight for weight in cell_of(spec).weights(spec)}


def _expect_places(spec: RNNSpec, layer: Native, given: Mapping[str, np.ndarray]) -> None:
    """Raise NotOffered for numbers of ours that the native layer would lose, or would use elsewhere."""
    size, arrays = spec.hidden_size, [one for one in layer.arrays.values() if given.keys() >= {*one.of}]
    for name, kind in _kinds(spec).items():
        for index, gate in enumerate(kind.gates):
            places = [one for one in arrays if _holds(spec, one, name, gate)]
            apart = name == "b_hh" and gate in APART.get(spec.cell, ())
            added = any(len(one.of) > 1 and one.joined == "added" for one in places)
            if (places and not (apart and added)) or not np.any(given[name][index * size : (index + 1) * size]):
                continue
            why = "is added inside the reset gate, and the layer has one bias" if places else "has no place in it"
            raise NotOffered(f"{name} of the gate {gate}: got other numbers than 0: it {why}")


def _holds(spec: RNNSpec, array: Array, of: str, gate: str) -> bool:
    """Whether an array holds a gate of a weight."""
    left_out = array.joined == "added but apart" and of == "b_hh" and gate in APART.get(spec.cell, ())
    return of in array.of and gate in array.gates and not left_out


def _gates(kind: Weight, weight: np.ndarray, array: Array) -> np.ndarray:
    """The rows of a weight that an array holds, in its order and its way round."""
    blocks = dict(zip(kind.gates, np.split(weight, len(kind.gates)), strict=True))
    rows = np.concatenate([blocks[gate] for gate in array.gates])
    return rows.T if array.columns else rows


def _join(array: Array, parts: list[np.ndarray]) -> np.ndarray:
    match array.joined:
        case "added" | "added but apart":
            return sum(parts[1:], parts[0])
        case "stacked":
            return np.stack(parts)
        case "end to end":
            return np.concatenate(parts)
    raise ValueError(f"joined: got {array.joined!r}, expected added, added but apart, stacked or end to end")


def _parted(name: str, array: Array, given: np.ndarray, gradients: bool) -> list[np.ndarray]:
    """The weights that an array holds, or their gradients: of a sum the first weight, and every gradient, is all."""
    given, several = np.asarray(given), len(array.of)
    match array.joined:
        case "added" | "added but apart":
            return [given, *(given if gradients else np.zeros_like(given) for _ in array.of[1:])]
        case "stacked" | "end to end" if len(given) % several or (array.joined == "stacked" and len(given) != several):
            raise ValueError(f"{name}: got shape {given.shape}, expected {' and '.join(array.of)} {array.joined}")
        case "stacked":
            return list(given)
        case "end to end":
            return np.split(given, several)
    raise ValueError(f"joined: got {array.joined!r}, expected added, added but apart, stacked or end to end")
