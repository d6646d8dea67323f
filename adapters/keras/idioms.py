"""Other ways in which users call SimpleRNN layers than `run` does: findings have their cases asked in these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from reference import Case

from ..contract import Idiom, NotOffered, Result
from ..inputs import Inputs
from .modes import BACKWARDS, Answer, ModeRunner, fill, layer_of, sequential
from .read import tracks
from .settings import BACKEND, array_of, on, tensor

# each layer's output and all final states, of layers, x, initial states or None, and a mask or None
Way = Callable[[ModeRunner, Any, Any, Any], Answer]


def asked(way: Way, settings: str = "", **words: Any) -> Callable[[Case, str], Result]:
    """What answers a case by calling new layers in a way.

    settings: the dtype for which those below Keras are set; the case's when empty.  words: what layers are built with.
    """

    def answer(case: Case, device: str) -> Result:
        spec = case.spec
        lengths = None if case.lengths is None else np.atleast_1d(np.asarray(case.lengths))
        given = Inputs(case.x, case.h0, lengths, case.mask, case.layout, case.layout).to("batch_first")
        with on(device, settings or case.dtype):
            layers = [layer_of(spec, layer, case.dtype, len(given.x), **words) for layer in range(spec.num_layers)]
            fill(layers, case.parameters)
            stack = ModeRunner(layers, "eager", spec, device)
            start = None if given.h0 is None else [tensor(h) for h in given.h0]
            outputs, states = way(stack, tensor(given.x), start, None if given.valid is None else tensor(given.valid))
            # in the case's dtype, where that of the answer is narrower
            output, h_n = ([array_of(one).astype(case.x.dtype) for one in several] for several in (outputs, states))
        return given.result(output, np.stack(h_n))

    return answer


def _expect(what: str, there: bool) -> None:
    if not there:
        raise NotOffered(f"idiom: {what}")


def _whole(stack: ModeRunner, x: Any, states: Any, mask: Any) -> Answer:
    return stack.every_layer(x, states, mask)


def _without_input(stack: ModeRunner, x: Any, states: Any, mask: Any) -> Answer:
    _expect("a sequential model takes no initial states", states is None)
    _expect(BACKWARDS, stack.spec.direction != "reverse" or len(stack.layers) == 1)
    return sequential(stack)(x, states, mask)


def _mask_handed_on(stack: ModeRunner, x: Any, states: Any, mask: Any) -> Answer:
    """A functional model that is called with the mask: each layer has it from its sequence, as from Masking."""
    _expect(BACKWARDS, stack.spec.direction != "reverse" or len(stack.layers) == 1)
    called = [x, *(states or ())]
    entry = [keras.Input(one.shape[1:], dtype=stack.dtype) for one in called]
    model = keras.Model(entry, stack.every_layer(entry[0], entry[1:] or None))
    model.supports_masking = True
    return model(called, mask=[mask, *[None] * len(entry[1:])])


def _turned_once(stack: ModeRunner, x: Any, states: Any, mask: Any) -> Answer:
    """The first layer goes backwards, and those above it read its output in the order in which it comes."""
    _expect("of the direction reverse", stack.spec.direction == "reverse")
    _expect("a sequential model takes no initial states", states is None)
    for layer in stack.layers[1:]:
        layer.go_backwards = False
    entry = sequence = keras.Input(x.shape[1:], dtype=stack.dtype)
    outputs, final = [], []
    for layer in stack.layers:
        sequence, state = layer(sequence)
        outputs.append(stack.in_time_order(sequence))
        final.append(state)
    model = keras.Model(entry, [outputs, final])
    model.supports_masking = True
    return model(x, mask=mask)


def _list_of_cells(stack: ModeRunner, x: Any, states: Any, mask: Any, **words: Any) -> Answer:
    """RNN([cell, ...]), for which Keras stacks the cells itself; of one cell, RNN(cell)."""
    _expect("of one direction", stack.spec.direction != "bidirectional")
    words = {"return_sequences": True, "zero_output_for_mask": True} | words
    cells = [one.cell for one in stack.layers]
    layer = keras.layers.RNN(
        cells if cells[1:] else cells[0], return_state=True, dtype=stack.dtype,
        go_backwards=stack.spec.direction == "reverse", **words,
    )  # fmt: skip
    output, *final = layer(x, initial_state=states, mask=mask)
    return [stack.in_time_order(output) if words["return_sequences"] else output], keras.tree.flatten(final)


def _last_output(stack: ModeRunner, x: Any, states: Any, mask: Any) -> Answer:
    """The last layer's final state is its last output, as return_sequences=False answers it."""
    outputs, final = stack.every_layer(x, states, mask)
    below = outputs[-2] if outputs[1:] else x
    top, units = stack.layers[-1], stack.spec.hidden_size
    count = len(tracks(top))
    for track in [top, *tracks(top)]:
        track.return_sequences = track.return_state = False
        track.zero_output_for_mask = count == 1  # as Bidirectional has it where it answers the last output
    last = top(below, initial_state=None if states is None else states[-count:], mask=mask)
    return outputs, [*final[:-count], *(last[:, n * units : (n + 1) * units] for n in range(count))]


def _last_output_of_cells(stack: ModeRunner, x: Any, states: Any, mask: Any) -> Answer:
    """The same of RNN([cell, ...]), where masked steps repeat the output."""
    outputs, final = _list_of_cells(stack, x, states, mask)
    (last,), _ = _list_of_cells(stack, x, states, mask, return_sequences=False, zero_output_for_mask=False)
    return outputs, [*final[:-1], last]


def _stateful(stack: ModeRunner, x: Any, states: Any, mask: Any) -> Answer:
    _expect("a stateful layer keeps its states itself", states is None)
    return stack.every_layer(x, None, mask)


def _stateful_predict(stack: ModeRunner, x: Any, states: Any, mask: Any) -> Answer:
    """Model.predict of the first half of the steps, and then of the second."""
    _expect("a stateful layer keeps its states itself", states is None)
    _expect("predict takes no mask", mask is None)
    _expect("the second half of the steps comes last", stack.spec.direction == "forward")
    _expect("two halves, of sequences that there are", len(x) > 0 and x.shape[1] > 1)
    entry = keras.Input(batch_shape=(len(x), None, x.shape[2]), dtype=stack.dtype)
    model: Any = keras.Model(entry, stack.every_layer(entry))
    half = x.shape[1] // 2
    first, second = (
        model.predict(array_of(x[:, part]), batch_size=len(x), verbose=0) for part in (slice(half), slice(half, None))
    )
    return [np.concatenate(both, axis=1) for both in zip(first[0], second[0], strict=True)], second[1]


_IDIOMS: Mapping[str, Idiom] = {
    "sequential without input": Idiom(
        "by the first call of a sequential model without an Input", asked(_without_input, return_state=False)
    ),
    "mask handed on": Idiom("by a functional model whose layers have the mask from their sequence",
                            asked(_mask_handed_on)),
    "turned once": Idiom("by layers above one that goes backwards", asked(_turned_once)),
    "list of cells": Idiom("by RNN([cell, ...])", asked(_list_of_cells)),
    "last output": Idiom("by return_sequences=False, with zero_output_for_mask", asked(_last_output)),
    "last output of cells": Idiom("by RNN([cell, ...], return_sequences=False)", asked(_last_output_of_cells)),
    "as it comes": Idiom("with the default initialisers", asked(_whole, recurrent_initializer="orthogonal")),
    "stateful": Idiom("with stateful=True", asked(_stateful, stateful=True)),
    "stateful predict": Idiom("by Model.predict of stateful layers, one half of the steps after the other",
                              asked(_stateful_predict, stateful=True)),
    "without x64": Idiom("without jax_enable_x64, as JAX comes", asked(_whole, settings="float32")),
}  # fmt: skip
IDIOMS = {word: idiom for word, idiom in _IDIOMS.items() if word != "without x64" or BACKEND == "jax"}
