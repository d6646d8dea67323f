"""The ways in which users call recurrent layers, each a function of what is asked: Keras and NumPy alone.

A script for a bug report holds the text of one of them, and of what it uses here (script.py).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

keras: Any = import_module("keras")  # whose annotations say of tensors what they are not


class Given(NamedTuple):
    """What is asked.

    x: (batch, time, features).  start: the states (batch, units) of each track, or None.  mask: where a step counts,
    booleans (batch, time), or None.  weights: of each layer, of each direction, what set_weights takes.
    words: what each layer is given.  direction: "forward", "reverse" or "bidirectional".  kind: "SimpleRNN", "GRU" or
    "LSTM".
    """

    x: Any
    start: Any
    mask: Any
    weights: Any
    words: Any
    direction: str
    kind: str


def one_way(given, n, **words):
    """The layer n in one direction, without its weights."""
    units = len(given.weights[n][0][1])
    layer = getattr(keras.layers, given.kind)
    return layer(units, **{"go_backwards": given.direction == "reverse", **given.words, **words})


def cell(given, n):
    """The cell of layer n, without its weights."""
    return getattr(keras.layers, given.kind + "Cell")(len(given.weights[n][0][1]), **given.words)


def states_of(given):
    """How many states a track has."""
    return 2 if given.kind == "LSTM" else 1


def with_weights(given, n, layer, batch=None):
    """A layer, built, with the weights of layer n."""
    layer.build((batch, None, len(given.weights[n][0][0])))
    layer.set_weights([array for track in given.weights[n] for array in track])
    return layer


def layers_of(given, top=None, both=None, batch=None, **words):
    """The layers: each answers its whole sequence.  top, both: what the last one, and its Bidirectional, are given."""
    layers, last = [], len(given.weights) - 1
    for n in range(len(given.weights)):
        layer = one_way(given, n, **{"return_sequences": True, **words, **((top or {}) if n == last else {})})
        if given.direction == "bidirectional":
            more = (both or {}) if n == last else {}
            layer = keras.layers.Bidirectional(layer, dtype=given.words.get("dtype"), **more)
        layers.append(with_weights(given, n, layer, batch))
    return layers


def in_time_order(layer, output):
    """A sequence, which a layer that goes backwards answers in the order of processing."""
    return (
        keras.ops.flip(output, axis=1) if layer.return_sequences and getattr(layer, "go_backwards", False) else output
    )


def start_of(given, n):
    """The initial states of layer n."""
    states = len(given.weights[n]) * states_of(given)
    return None if given.start is None else list(given.start[n * states : (n + 1) * states])


def called(given, layers, number=1, told=None):
    """Each layer called with the output of the one below: their outputs, and all final states.

    number: how many outputs the last one has; of several, they are put beside each other.  told: how many of the layers
    are told the mask, the others have it from their sequence; all when None.
    """
    below, outputs, states = given.x, [], []
    for n, layer in enumerate(layers):
        mask = given.mask if told is None or n < told else None
        answer = layer(below, initial_state=start_of(given, n), mask=mask)
        answer = answer if isinstance(answer, (list, tuple)) else [answer]
        several = number if layer is layers[-1] else 1
        below = in_time_order(layer, answer[0] if several == 1 else keras.ops.concatenate(answer[:several], axis=-1))
        outputs.append(below)
        states += answer[several:]
    return outputs, states


def modelled(given, layers):
    """A functional model of layers, which have the mask from their sequence."""
    entry = keras.Input(given.x.shape[1:], dtype=given.words["dtype"])
    start = [keras.Input(h.shape[1:], dtype=given.words["dtype"]) for h in given.start or ()]
    inside = given._replace(x=entry, start=start or None, mask=None)
    outputs, states = called(inside, layers)
    model = keras.Model([entry, *start], [outputs, states])
    model.supports_masking = True
    return model


def wider(given):
    """The same with n more units in layer n: their weights are zero, and so are they."""
    weights = []
    for n, tracks in enumerate(given.weights):
        wide = []
        for kernel, recurrent, *bias in tracks:
            below = np.split(kernel, len(tracks)) if n else [kernel]
            kernel = np.concatenate([np.pad(rows, ((0, max(n - 1, 0)), (0, 0))) for rows in below])
            arrays = kernel, np.pad(recurrent, ((0, n), (0, 0))), *bias
            wide.append([with_more_units(array, len(recurrent), n) for array in arrays])
        weights.append(wide)
    states = len(weights[0]) * states_of(given)
    start = given.start and [keras.ops.pad(h, ((0, 0), (0, i // states))) for i, h in enumerate(given.start)]
    return given._replace(weights=weights, start=start)


def with_more_units(array, units, n):
    """An array with n more zeros behind the units of each gate, which lie on its last axis."""
    gates = array.reshape(*array.shape[:-1], -1, units)
    return np.pad(gates, [*[(0, 0)] * array.ndim, (0, n)]).reshape(*array.shape[:-1], -1)


def cut(given, output, directions=1):
    """An output, or a state, without the units that `wider` added, each of which must be zero."""
    units, kept = len(given.weights[0][0][1]), []
    for half in keras.ops.split(output, directions, axis=-1):
        if keras.ops.any(half[..., units:] != 0):
            raise ValueError("a unit whose weights are zero is not zero")
        kept.append(half[..., :units])
    return keras.ops.concatenate(kept, axis=-1)


def marked(given):
    """x with a number in every masked step that no other step holds throughout, and the number."""
    x = keras.ops.convert_to_numpy(given.x)
    number = next(n for n in range(x.shape[0] * x.shape[1] + 1) if not (x == n).all(axis=-1).any())
    mask = np.ones(x.shape[:2], bool) if given.mask is None else keras.ops.convert_to_numpy(given.mask)
    return np.where(mask[..., None], x, x.dtype.type(number)), number


def sequences_alone(given):
    """Whole sequences, and no states, of layers that are not all of one size. The first alone is told the mask, where
    those above can have it from their sequence."""
    wide = wider(given)
    told = 1 if given.start is None and given.direction != "reverse" else None
    outputs, _ = called(wide, layers_of(wide, zero_output_for_mask=True), told=told)
    return [cut(given, outputs[-1], len(given.weights[0]))], []


def held(given):
    """Whole sequences that repeat the last output at masked steps, as is Keras' default."""
    outputs, states = called(given, layers_of(given, return_state=True))
    return outputs[-1:], states


def last_output(given):
    """The last output alone, where zero_output_for_mask is said too, which ought to be about sequences alone."""
    outputs, _ = called(given, layers_of(given, top={"return_sequences": False, "zero_output_for_mask": True}))
    return outputs[-1:], []


def last_output_and_states(given):
    """The last output, and the final states."""
    outputs, states = called(given, layers_of(given, top={"return_sequences": False}, return_state=True))
    return outputs[-1:], states


def as_it_comes(given):
    """The last output, of layers of which the user says no more than their size and dtype."""
    plain = given._replace(words={word: value for word, value in given.words.items() if "initializer" not in word})
    outputs, _ = called(plain, layers_of(plain, top={"return_sequences": False}))
    return outputs[-1:], []


def unrolled_to_the_last_output(given):
    """The last output, and the final states, where the last layer is unrolled."""
    top = {"return_sequences": False, "unroll": True}
    outputs, states = called(given, layers_of(given, top=top, return_state=True))
    return outputs[-1:], states


def sequential_without_input(given):
    """The first call of a sequential model without an Input."""
    layers = layers_of(given, zero_output_for_mask=True)
    return [in_time_order(layers[-1], keras.Sequential(layers)(given.x, mask=given.mask))], []


def mask_handed_on(given):
    """A functional model that is called with the mask; the initial states are Inputs of it."""
    model = modelled(given, layers_of(given, return_state=True, zero_output_for_mask=True))
    start = given.start or []
    return model([given.x, *start], mask=[given.mask, *[None] * len(start)])


def turned_once(given):
    """A sequential model whose first layer goes backwards: those above read its output in the order it comes in."""
    layers = [
        with_weights(given, n, one_way(given, n, go_backwards=n == 0, return_sequences=True, zero_output_for_mask=True))
        for n in range(len(given.weights))
    ]
    model = keras.Sequential([keras.Input(given.x.shape[1:], dtype=given.words["dtype"]), *layers])
    return [keras.ops.flip(model(given.x, mask=given.mask), axis=1)], []


def masking(given):
    """A sequential model whose mask comes from Masking, in float32 where the layers are narrower."""
    x, number = marked(given)
    layers, dtype = layers_of(given, zero_output_for_mask=True), given.words["dtype"]
    masked_in = dtype if dtype == "float64" else "float32"
    entry = [keras.Input(x.shape[1:], dtype=dtype), keras.layers.Masking(mask_value=number, dtype=masked_in)]
    model = keras.Sequential([*entry, *layers])
    return [in_time_order(layers[-1], model(keras.ops.convert_to_tensor(x, dtype=dtype)))], []


def embedding(given):
    """A sequential model whose mask comes from Embedding(mask_zero=True): a token for each step, 0 where it is masked;
    of the last output."""
    x = keras.ops.convert_to_numpy(given.x)
    tokens = np.arange(x.shape[0] * x.shape[1]).reshape(x.shape[:2]) + 1
    if given.mask is not None:
        tokens = np.where(keras.ops.convert_to_numpy(given.mask), tokens, 0)
    table = np.concatenate([np.zeros_like(x, shape=(1, x.shape[2])), x.reshape(-1, x.shape[2])])
    words = keras.layers.Embedding(*table.shape, mask_zero=True, dtype=given.words["dtype"])
    words.build()
    words.set_weights([table])
    layers = layers_of(given, top={"return_sequences": False})
    model = keras.Sequential([keras.Input(x.shape[1:2], dtype="int32"), words, *layers])
    return [model(keras.ops.convert_to_tensor(tokens, dtype="int32"))], []


def parts_of(given, number):
    """x and the mask in so many parts, in the order in which a direction reads them; one for both directions."""
    number = 1 if given.direction == "bidirectional" else min(number, given.x.shape[1])
    time = given.x.shape[1]
    steps = [slice(time * n // number, time * (n + 1) // number) for n in range(number)] or [slice(0)]
    parts = [
        given._replace(x=given.x[:, part], mask=None if given.mask is None else given.mask[:, part]) for part in steps
    ]
    return parts[::-1] if given.direction == "reverse" else parts


def joined(given, parts):
    """Outputs of parts of the steps, in the order in which they were read, as one in time order."""
    return keras.ops.concatenate(parts[::-1] if given.direction == "reverse" else parts, axis=1)


def stateful(given):
    """Stateful layers, called with one part of the steps after the other."""
    layers = layers_of(given, return_state=True, zero_output_for_mask=True, stateful=True, batch=len(given.x))
    answers = []
    for part in parts_of(given, 3):
        answers.append(called(part if not answers else part._replace(start=None), layers))
    return [joined(given, outputs) for outputs in zip(*(outputs for outputs, _ in answers), strict=True)], answers[-1][
        1
    ]


def reset(given):
    """Stateful layers that were asked something else before, and reset."""
    layers = layers_of(given, zero_output_for_mask=True, stateful=True, batch=len(given.x))
    called(given._replace(x=keras.ops.ones_like(given.x), start=None), layers)
    for layer in layers:
        layer.reset_state()
    return called(given, layers)


def stateful_predict(given):
    """The predict of a user's own model of stateful layers, of one half of the steps after the other; the mask comes
    from Masking in it."""
    dtype, (x, number) = given.words["dtype"], marked(given)
    first = keras.layers.Masking(mask_value=number, dtype=dtype) if given.mask is not None else None

    class Own(keras.Model):
        def __init__(self):
            super().__init__(dtype=dtype)
            self.several = layers_of(given, return_state=True, zero_output_for_mask=True, stateful=True, batch=len(x))

        def call(self, inputs):
            below = inputs if first is None else first(inputs)
            return called(given._replace(x=below, start=None, mask=None), self.several)

    model = Own()
    answers = [
        model.predict(part.x, batch_size=len(x), verbose=0) for part in parts_of(given._replace(x=x, mask=None), 2)
    ]
    return [joined(given, outputs) for outputs in zip(*(outputs for outputs, _ in answers), strict=True)], answers[-1][
        1
    ]


def cells_of(given):
    """The cells of layers that run in one direction."""
    return [with_weights_of_a_cell(cell(given, n), track) for n, (track,) in enumerate(given.weights)]


def with_weights_of_a_cell(one, track):
    """A cell, built, with its weights."""
    one.build((None, len(track[0])))
    one.set_weights(track)
    return one


def start_of_cells(given):
    """The initial states of stacked cells, of each of which h and c stand together."""
    if given.start is None or states_of(given) == 1:
        return given.start
    return [start_of(given, n) for n in range(len(given.weights))]


def list_of_cells(given, **words):
    """RNN([cell, ...]), for which Keras stacks the cells itself; of one cell, RNN(cell)."""
    cells = cells_of(given)
    words = {"return_sequences": True, "return_state": True, "zero_output_for_mask": True, **words}
    back = given.direction == "reverse"
    layer = keras.layers.RNN(
        cells if len(cells) > 1 else cells[0], go_backwards=back, dtype=given.words["dtype"], **words
    )
    start = start_of_cells(given) if len(cells) > 1 else given.start
    answer = layer(given.x, initial_state=start, mask=given.mask)
    output, *states = answer if layer.return_state else [answer]
    return [in_time_order(layer, output)], keras.tree.flatten(states)


def last_output_of_cells(given):
    """RNN([cell, ...]), of which the user says no more."""
    return list_of_cells(given, return_sequences=False, return_state=False, zero_output_for_mask=False)


def stacked_cells(given):
    """RNN(StackedRNNCells([cell, ...])) of cells that are not all of one size."""
    wide, dtype = wider(given), given.words["dtype"]
    layer = keras.layers.RNN(
        keras.layers.StackedRNNCells(cells_of(wide), dtype=dtype),
        go_backwards=given.direction == "reverse",
        return_sequences=True,
        zero_output_for_mask=True,
        dtype=dtype,
    )
    return [cut(given, in_time_order(layer, layer(given.x, initial_state=start_of_cells(wide), mask=given.mask)))], []


def rnn_of_a_cell(given):
    """Layers RNN(cell), in Bidirectional too."""
    layers, dtype = [], given.words["dtype"]
    for n in range(len(given.weights)):
        layer = keras.layers.RNN(
            cell(given, n),
            dtype=dtype,
            return_sequences=True,
            return_state=True,
            zero_output_for_mask=True,
            go_backwards=given.direction == "reverse",
        )
        if given.direction == "bidirectional":
            layer = keras.layers.Bidirectional(layer, dtype=dtype)
        layers.append(with_weights(given, n, layer))
    return called(given, layers)


def rnn_in_forward_mode(given):
    """The same; forward mode is asked of it from outside."""
    return rnn_of_a_cell(given)


def differentiated_twice(given):
    """Layers of sequences; second derivatives are asked of them from outside."""
    return called(given, layers_of(given, return_state=True, zero_output_for_mask=True))


def halves_added(given):
    """Bidirectional(merge_mode="sum"), with its states."""
    outputs, states = called(given, layers_of(given, both={"merge_mode": "sum"}, return_state=True))
    return outputs[-1:], states


def halves_multiplied(given):
    """Bidirectional(merge_mode="mul"), without states."""
    outputs, _ = called(given, layers_of(given, both={"merge_mode": "mul"}))
    return outputs[-1:], []


def halves_averaged(given):
    """Bidirectional(merge_mode="ave"), of the last output."""
    outputs, _ = called(given, layers_of(given, top={"return_sequences": False}, both={"merge_mode": "ave"}))
    return outputs[-1:], []


def two_outputs(given):
    """Bidirectional(merge_mode=None), which answers two outputs."""
    return called(given, layers_of(given, both={"merge_mode": None}, return_state=True), number=2)


def own_backward_layer(given):
    """Bidirectional(layer, backward_layer=other)."""
    words, layers = {"return_sequences": True, "return_state": True}, []
    for n in range(len(given.weights)):
        back = one_way(given, n, go_backwards=True, **words)
        layer = keras.layers.Bidirectional(one_way(given, n, **words), backward_layer=back, dtype=given.words["dtype"])
        layers.append(with_weights(given, n, layer))
    return called(given, layers)


def dtype_inside(given):
    """Bidirectional(layer(dtype=...)), which is given no dtype itself."""
    layers = [
        with_weights(given, n, keras.layers.Bidirectional(one_way(given, n, return_sequences=True, return_state=True)))
        for n in range(len(given.weights))
    ]
    return called(given, layers)


def without_dtype(given):
    """Layers that are given no dtype."""
    plain = given._replace(words={word: value for word, value in given.words.items() if word != "dtype"})
    return called(plain, layers_of(plain, return_state=True, zero_output_for_mask=True))


def dtype_policy(given):
    """Layers that have their dtype from keras.config.set_dtype_policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(given.words["dtype"])
    try:
        return without_dtype(given)
    finally:
        keras.config.set_dtype_policy(before)


def floatx(given):
    """Layers that have their dtype from keras.config.set_floatx, which is called after another layer was made."""
    before = keras.config.floatx()
    keras.layers.Identity()
    keras.config.set_floatx(given.words["dtype"])
    try:
        return without_dtype(given)
    finally:
        keras.config.set_floatx(before)


def timedistributed(given):
    """TimeDistributed(layer), which takes the sequences of a batch for the steps of one sample; a second has
    them in the other order."""
    below, mask = twice(given.x), None if given.mask is None else twice(given.mask)
    for layer in layers_of(given, zero_output_for_mask=True):
        around = keras.layers.TimeDistributed(layer, dtype=given.words["dtype"])
        below = around(below, mask=mask)
        below = keras.ops.flip(below, axis=2) if given.direction == "reverse" else below
    return [keras.ops.concatenate([below[0][:1], keras.ops.flip(below[1], axis=0)[1:]])], []


def twice(array):
    """A batch as one sample, and in the other order as another."""
    return keras.ops.stack([array, keras.ops.flip(array, axis=0)])


def timedistributed_predict(given):
    """Model.predict of TimeDistributed(layer): of samples of two sequences, of one each, and of one sample."""
    dtype, (x, number) = given.words["dtype"], marked(given)
    below = entry = keras.Input((None, *x.shape[1:]), dtype=dtype)
    if given.mask is not None:
        below = keras.layers.Masking(mask_value=number, dtype=dtype)(below)
    for layer in layers_of(given, zero_output_for_mask=True):
        below = keras.layers.TimeDistributed(layer, dtype=dtype)(below)
    below = keras.ops.flip(below, axis=2) if given.direction == "reverse" else below
    model = keras.Model(entry, below)
    asked = (np.stack([x, x], axis=1), x[:, None], x[None])
    _, each, together = [model.predict(several, batch_size=max(len(x), 1), verbose=0) for several in asked]
    return [np.concatenate([each[:1, 0], together[0, 1:]])], []
