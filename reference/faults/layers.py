"""Faults in the stack: layers in another order, with each other's parameters, or joined in another way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..recurrence import Result
from .fault import Run, around, asked
from .machine import by_layers, initial_states, layer_case, side_by_side
from .weights import upper_cells
from .where import ALL_SQUARE, BOTH, LAYERS, STEPS, THREE_LAYERS, UNITS

KEPT = 7 / 8  # of the numbers that a dropout leaves


def reorder(case: Case, order: np.ndarray) -> Case:
    """The parameters of all cells, put in another order."""
    return replace(case, parameters=[case.parameters[int(index)] for index in order])


def reorder_upper(case: Case, order: np.ndarray) -> Case:
    """The parameters of the layers above the first, put in another order."""
    first = case.spec.num_directions
    return reorder(case, np.concatenate([np.arange(first), first + order]))


@asked("the layers above the first all have the second layer's parameters", THREE_LAYERS & STEPS)
def upper_layers_share_parameters(case: Case) -> Case:
    directions = case.spec.num_directions
    return reorder_upper(case, np.arange(len(upper_cells(case))) % directions)


@asked("the layers above the first have their parameters in reverse order", THREE_LAYERS & STEPS)
def upper_layers_in_reverse_order(case: Case) -> Case:
    order = np.arange(len(upper_cells(case))).reshape(-1, case.spec.num_directions)
    return reorder_upper(case, order[::-1].ravel())


@asked("all layers have their parameters in reverse order", LAYERS & ALL_SQUARE)
def layers_in_reverse_order(case: Case) -> Case:
    order = np.arange(case.spec.num_cells).reshape(-1, case.spec.num_directions)
    return reorder(case, order[::-1].ravel())


@asked("the top layer has the parameters of the layer below", THREE_LAYERS & STEPS)
def top_layer_repeats_parameters(case: Case) -> Case:
    order = np.arange(case.spec.num_cells)
    order[-case.spec.num_directions :] -= case.spec.num_directions
    return reorder(case, order)


@asked("the upper layers' parameters are read direction by direction, not layer by layer", BOTH & THREE_LAYERS)
def parameters_direction_by_direction(case: Case) -> Case:
    return reorder_upper(case, np.arange(len(upper_cells(case))).reshape(-1, 2).T.ravel())


@around("the top layer is skipped", LAYERS)
def top_layer_skipped(case: Case, run: Run) -> Result:
    output, h_n = run(case.prefix(case.spec.num_layers - 1))
    return Result(output, np.concatenate([h_n, initial_states(case)[len(h_n) :]]))


@around("the top layer is applied twice", LAYERS & STEPS)
def top_layer_twice(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    again = run(layer_case(case, case.spec.num_layers - 1, output))
    return Result(again.output, np.concatenate([h_n[: -len(again.h_n)], again.h_n]))


@around("the layers above the first read x", LAYERS & ALL_SQUARE & STEPS)
def upper_layers_read_x(case: Case, run: Run) -> Result:
    return by_layers(case, run, read=lambda _layer, _below: case.x)


@around("each layer adds what it reads to what the next one reads", LAYERS & ALL_SQUARE & STEPS)
def layers_add_their_input(case: Case, run: Run) -> Result:
    read = [case.x]

    def add(_layer: int, below: np.ndarray) -> np.ndarray:
        read.append(below + read[-1])
        return read[-1]

    return by_layers(case, run, read=add)


@around("the layers above the first read the forward half only", BOTH & LAYERS & STEPS)
def upper_layers_read_forward_only(case: Case, run: Run) -> Result:
    half = np.arange(case.spec.output_size) < case.spec.hidden_size
    return by_layers(case, run, read=lambda _layer, below: np.where(half, below, np.zeros_like(below)))


@around("the layers above the first read the halves exchanged", BOTH & LAYERS & STEPS)
def upper_layers_read_halves_exchanged(case: Case, run: Run) -> Result:
    return by_layers(case, run, read=lambda _layer, below: np.roll(below, case.spec.hidden_size, axis=-1))


@around("the layers above the first read the halves interleaved", BOTH & LAYERS & UNITS & STEPS)
def upper_layers_read_halves_interleaved(case: Case, run: Run) -> Result:
    order = np.arange(case.spec.output_size).reshape(2, -1).T.ravel()
    return by_layers(case, run, read=lambda _layer, below: np.ascontiguousarray(below[..., order]))


@around("each direction of the layers above the first reads its own half only", BOTH & LAYERS & STEPS)
def directions_are_separate_stacks(case: Case, run: Run) -> Result:
    def layer_run(number: int, layer: Case, run: Run) -> Result:
        own = np.arange(layer.x.shape[-1]) // case.spec.hidden_size
        read = [np.where(own == d, layer.x, np.zeros_like(layer.x)) if number else layer.x for d in (0, 1)]
        return side_by_side([run(layer_case(layer, 0, read[d], d=d)) for d in (0, 1)])

    return by_layers(case, run, layer_run=layer_run)


@around("the layers above the first read one step late", LAYERS & STEPS)
def upper_layers_read_one_step_late(case: Case, run: Run) -> Result:
    return by_layers(case, run, read=lambda _layer, below: np.concatenate([np.zeros_like(below[:1]), below[:-1]]))


@around("dropout is applied between the layers", LAYERS & STEPS)
def dropout_between_layers(case: Case, run: Run) -> Result:
    return by_layers(case, run, read=lambda _layer, below: dropped_out(below))


@around("dropout is applied to the output", STEPS)
def dropout_on_the_output(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(dropped_out(output), h_n)


@asked("dropout is applied to x", STEPS)
def dropout_on_x(case: Case) -> Case:
    return replace(case, x=dropped_out(case.x))


def dropped_out(sequence: np.ndarray) -> np.ndarray:
    """A sequence with one element of eight lost, always the same ones, and the others scaled to make up for it."""
    lost = np.arange(sequence.size).reshape(sequence.shape) % 8 == 0
    return np.where(lost, np.zeros_like(sequence), (sequence / KEPT).astype(sequence.dtype))


@around(
    "every layer is a call of its own",
    LAYERS,
    equivalent="a layer reads the output of the layer below and nothing else",
)
def called_layer_by_layer(case: Case, run: Run) -> Result:
    return by_layers(case, run)
