"""Faults in the stack: tracks with each other's parameters, layers skipped, repeated, or joined in another way."""

import numpy as np

from ..judging.case import Case
from ..recurrence import Result
from .changes import Change, backwards, by_direction, dropped_out, exchange_halves, interleave, late, one_for_all
from .fault import Run
from .machine import by_layers, initial_states, layer_case, side_by_side
from .rows import of_output, of_parameters, of_reading, of_run, of_x, table
from .where import ALL_SQUARE, BOTH, LAYERS, STEPS, THREE_LAYERS, UNITS


def above_the_first(change: Change) -> Change:
    """The change of all layers but the first, of (layers, ...)."""
    return lambda stack: np.concatenate([stack[:1], change(stack[1:])])


def forward_half(output: np.ndarray) -> np.ndarray:
    forward, reverse = np.split(output, 2, axis=-1)
    return np.concatenate([forward, np.zeros_like(reverse)], axis=-1)


def skip_top(case: Case, run: Run) -> Result:
    output, h_n = run(case.prefix(case.spec.num_layers - 1))
    return Result(output, np.concatenate([h_n, initial_states(case)[len(h_n) :]]))


def repeat_top(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    again = run(layer_case(case, case.spec.num_layers - 1, output))
    return Result(again.output, np.concatenate([h_n[: -len(again.h_n)], again.h_n]))


def add_input(case: Case, run: Run) -> Result:
    read = [case.x]

    def add(_layer: int, below: np.ndarray) -> np.ndarray:
        read.append(below + read[-1])
        return read[-1]

    return by_layers(case, run, read=add)


def separate_stacks(case: Case, run: Run) -> Result:
    def layer_run(number: int, layer: Case, run: Run) -> Result:
        own = np.arange(layer.x.shape[-1]) * 2 // layer.x.shape[-1]
        read = [np.where(own == d, layer.x, np.zeros_like(layer.x)) if number else layer.x for d in (0, 1)]
        return side_by_side([run(layer_case(layer, 0, read[d], d=d)) for d in (0, 1)])

    return by_layers(case, run, layer_run=layer_run)


FAULTS = table(
    "layers",
    ("upper_layers_share_parameters", "the layers above the first all have the second layer's parameters",
     THREE_LAYERS & STEPS, of_parameters(above_the_first(one_for_all(0, axis=0)))),
    ("upper_layers_in_reverse_order", "the layers above the first have their parameters in reverse order",
     THREE_LAYERS & STEPS, of_parameters(above_the_first(backwards(axis=0)))),
    ("layers_in_reverse_order", "all layers have their parameters in reverse order", LAYERS & ALL_SQUARE,
     of_parameters(backwards(axis=0))),
    ("top_layer_repeats_parameters", "the top layer has the parameters of the layer below", THREE_LAYERS & STEPS,
     of_parameters(lambda stack: np.concatenate([stack[:-1], stack[-2:-1]]))),
    ("parameters_direction_by_direction",
     "the upper layers' parameters are read direction by direction, not layer by layer", BOTH & THREE_LAYERS,
     of_parameters(above_the_first(by_direction))),
    ("top_layer_skipped", "the top layer is skipped", LAYERS, of_run(skip_top)),
    ("top_layer_twice", "the top layer is applied twice", LAYERS & STEPS, of_run(repeat_top)),
    ("upper_layers_read_x", "the layers above the first read x", LAYERS & ALL_SQUARE & STEPS,
     of_run(lambda case, run: by_layers(case, run, read=lambda _layer, _below: case.x))),
    ("layers_add_their_input", "each layer adds what it reads to what the next one reads",
     LAYERS & ALL_SQUARE & STEPS, of_run(add_input)),
    ("upper_layers_read_forward_only", "the layers above the first read the forward half only", BOTH & LAYERS & STEPS,
     of_reading(forward_half)),
    ("upper_layers_read_halves_exchanged", "the layers above the first read the halves exchanged",
     BOTH & LAYERS & STEPS, of_reading(exchange_halves)),
    ("upper_layers_read_halves_interleaved", "the layers above the first read the halves interleaved",
     BOTH & LAYERS & UNITS & STEPS, of_reading(interleave)),
    ("directions_are_separate_stacks", "each direction of the layers above the first reads its own half only",
     BOTH & LAYERS & STEPS, of_run(separate_stacks)),
    ("upper_layers_read_one_step_late", "the layers above the first read one step late", LAYERS & STEPS,
     of_reading(late)),
    ("dropout_between_layers", "dropout is applied between the layers", LAYERS & STEPS, of_reading(dropped_out)),
    ("dropout_on_the_output", "dropout is applied to the output", STEPS, of_output(dropped_out)),
    ("dropout_on_x", "dropout is applied to x", STEPS, of_x(dropped_out)),
)  # fmt: skip
