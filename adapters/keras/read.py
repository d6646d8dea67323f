"""What a user's own Keras model computes, where RNNSpec can say it; NotOffered, with the reason, where it cannot.

A model may be changed in any way after it was made. So what is read is what a call uses: the arrays themselves, not
the words that the constructor was given; and what replaces a part of Keras' own code is refused. A subclass may
compute anything, so types are exact; so may a function that is only called "tanh", so functions are compared.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import keras
import numpy as np

from reference import CellParameters, RNNSpec

from ..contract import NotOffered
from ..mapping import spec_and_parameters
from ..readers import one_for_all, refuse
from .mapping import MAPPING
from .settings import BACKEND, array_of

ACTIVATIONS = {"tanh": (keras.activations.tanh, keras.ops.tanh), "relu": (keras.activations.relu, keras.ops.relu),
               "sigmoid": (keras.activations.sigmoid, keras.ops.sigmoid)}  # fmt: skip
# Layers without an effect at inference, which is what is compared.
TRANSPARENT = (keras.layers.Dropout, keras.layers.SpatialDropout1D, keras.layers.GaussianDropout,
               keras.layers.GaussianNoise, keras.layers.ActivityRegularization, keras.layers.Identity)  # fmt: skip
ONE_WAY = (keras.layers.SimpleRNN, keras.layers.GRU, keras.layers.LSTM, keras.layers.RNN)
RECURRENT = (*ONE_WAY, keras.layers.Bidirectional)
CELLS = (keras.layers.SimpleRNNCell, keras.layers.GRUCell, keras.layers.LSTMCell)
EXPECTED = "SimpleRNN, GRU, LSTM"
_FLIPPED: Any = keras.ops.flip(keras.KerasTensor((1, 1, 1)), axis=1)
FLIP = type(_FLIPPED._keras_history.operation)
DIRECTIONS = {(False,): "forward", (True,): "reverse", (False, True): "bidirectional"}  # by each track's go_backwards
# The directions in which an unrolled layer that answers zero at masked steps is wrong on this backend
UNROLLED = ("forward",) * (BACKEND in ("jax", "numpy")) + ("reverse", "bidirectional")
# What Bidirectional takes over from its halves when it is made
SHARED = ("return_sequences", "return_state", "stateful")
# What Keras itself sets on its instances, over what their classes have
WRAPPED = {"build", "quantize", "loss"}
# What a user's model may have of its own: nothing of it is in a call
TRAINING = {"__init__", "train_step", "test_step", "fit", "evaluate", "compile", "compute_loss", "compute_metrics",
            "metrics", "get_config", "from_config"}  # fmt: skip


def tracks(layer: Any) -> list[Any]:
    """The layer of each direction: two in Bidirectional, forward first."""
    return [layer.forward_layer, layer.backward_layer] if isinstance(layer, keras.layers.Bidirectional) else [layer]


def cells_of(track: Any) -> list[Any]:
    """The cells of a layer that runs in one direction, from the one that reads x upwards."""
    cell = getattr(track, "cell", None)
    return list(cell.cells) if type(cell) is keras.layers.StackedRNNCells else [cell]


def read_model(module: Any) -> tuple[RNNSpec, list[CellParameters], list[Any]]:
    """What a model computes, its parameters and its recurrent layers; NotOffered where RNNSpec cannot say it."""
    layers = _recurrent_layers(module)
    cells = [(layer, cell) for layer in layers for track in tracks(layer) for cell in cells_of(track)]
    weights = [_weights(cell) for _, cell in cells]
    words, directions = one_for_all([_facts(layer, cell) for layer, cell in cells]), len(tracks(layers[-1]))
    words |= {"num_layers": len(cells) // directions, "input_size": np.atleast_1d(weights[0]["kernel"]).shape[0]}
    held = directions == 1 and not layers[-1].zero_output_for_mask
    return *spec_and_parameters(MAPPING, weights, layout="batch_first", held=held, **words), layers


def _recurrent_layers(module: Any) -> list[Any]:
    """The recurrent layers of a model; NotOffered for anything beside them that has an effect."""
    wrong = f"got {type(module).__name__}, expected {EXPECTED}, Bidirectional or a stack of them"
    refuse("module", {wrong: not isinstance(module, keras.Layer)})
    operations = _operations(module) if isinstance(module, keras.Model) else [module]
    seen = [operation for operation in operations if type(operation) not in TRANSPARENT]
    refuse("module", {f"got a model without layers, expected at least one of {EXPECTED}": not seen})
    flip = seen.pop() if len(seen) > 1 and type(seen[-1]) is FLIP else None
    for layer in seen:
        _expect_recurrent(layer)
    recurrent = [track for layer in seen for track in tracks(layer)]
    cells = [cell for track in recurrent for cell in cells_of(track)]
    for part in [*operations, *recurrent, *(track.cell for track in recurrent), *cells]:
        _expect_unchanged(part, cells[0].compute_dtype)
    _expect_input(module, cells[0].compute_dtype)
    if flip is not None:
        wrong = f"got a flip over axis {flip.axis}, expected the time axis of a whole sequence"
        refuse("module", {wrong: flip.axis not in (1, (1,), [1], -2) or not seen[-1].return_sequences})
    _expect_order(seen, flip is not None)
    return seen


def _operations(module: Any) -> list[Any]:
    """A model's layers and operations, from the bottom, where each reads the one before and nothing else."""
    kind = type(module)
    own = list(takewhile(lambda cls: not cls.__module__.startswith("keras."), kind.__mro__))
    base = kind.__mro__[len(own)]
    changed = {name for cls in own for name, value in vars(cls).items()
               if hasattr(base, name) and (callable(value) or isinstance(value, property))} - TRAINING  # fmt: skip
    functional = getattr(module, "_functional", None) if isinstance(module, keras.Sequential) else module
    own_call = functional is not None and not hasattr(functional, "operations")
    wrong = f"got {kind.__name__}, whose {min(changed, default='call')} is its own: it may compute anything"
    refuse("module", {wrong: changed or own_call})
    _expect_unchanged(module)
    return module.layers if functional is None else _chain(functional)  # a sequential model that was not called yet


def _chain(model: Any) -> list[Any]:
    refuse("module", {
        f"got {len(model.inputs)} inputs, expected one: Keras forgets the mask of a sequence that a layer is given "
        "beside a state; read the recurrent layer alone": len(model.inputs) != 1,
    })  # fmt: skip
    operations = [o for o in model.operations if type(o) is not keras.layers.InputLayer]
    strangers = [o for o in operations if type(o) not in (*RECURRENT, *TRANSPARENT, FLIP)]
    for stranger in sorted(strangers, key=lambda o: not isinstance(o, keras.Layer)):
        raise NotOffered(f"{stranger.name}: got {type(stranger).__name__}, expected {EXPECTED}")
    nodes = [node for depth in model._nodes_by_depth.values() for node in depth]
    below, name = model.inputs[0], "the input"
    for operation in operations:
        own = [node for node in nodes if node.operation is operation]
        read = [tensor._keras_history for node in own for tensor in node.input_tensors]
        other = len(own) != 1 or read != [below._keras_history]
        refuse("module", {f"got a graph in which {operation.name} does not read {name} alone, expected a stack": other})
        arguments = own[0].arguments
        given = [word for word, value in arguments.kwargs.items() if value is not None and value is not False]
        called = f"got {operation.name} called with {', '.join(given) or 'several arguments'}"
        refuse("module", {f"{called}, expected with a sequence alone": given or len(arguments.args) != 1})
        below, name = own[0].output_tensors[0], f"{operation.name}'s output"  # behind which its states come
    answered = [(t._keras_history.operation, t._keras_history.tensor_index) for t in model.outputs]
    recurrent = [(o, [cell for track in tracks(o) for cell in cells_of(track)]) for o in operations
                 if type(o) in RECURRENT]  # fmt: skip
    states = [(o, n) for o, cells in recurrent for n in range(1, sum(len(_states(cell)) for cell in cells) + 1)]
    last = [(operation, 0) for operation in operations[-1:]]
    refuse("module", {
        f"got {len(answered)} outputs, expected the last layer's output alone, or it and the final states of all "
        "layers in their order": answered not in (last, [*last, *states]),
    })  # fmt: skip
    return operations


def _expect_input(module: Any, dtype: str) -> None:
    """A model casts x to the dtype of its Input, which must hold what its layers hold.

    A sequential model that was not called yet has no Input, and casts the first x to its own dtype.
    """
    functional = getattr(module, "_functional", module)
    inputs = [module.compute_dtype] if functional is None else [t.dtype for t in getattr(functional, "inputs", [])]
    for given in map(keras.backend.standardize_dtype, inputs):
        if not keras.backend.is_float_dtype(given) or np.promote_types(given, dtype) != np.dtype(given):
            raise NotOffered(f"module: got an Input of {given} below layers of {dtype}, which rounds what is given")


def _expect_recurrent(layer: Any) -> None:
    """RNN of a cell is that cell's layer. What may be set after a layer was made must fit what it was made with."""
    both, merge = isinstance(layer, keras.layers.Bidirectional), getattr(layer, "merge_mode", "concat")
    wrong = f"got {type(layer).__name__} with merge_mode={merge!r}, expected Bidirectional with 'concat'"
    refuse(layer.name, {wrong: both and (type(layer) not in RECURRENT or merge != "concat")})
    for track in tracks(layer):
        refuse(track.name, {f"got {type(track).__name__}, expected {EXPECTED}": type(track) not in ONE_WAY})
        cells = [track.cell] if both else cells_of(track)
        kinds = [type(cell) for cell in cells]
        expected = " or ".join(cell.__name__ for cell in CELLS)
        refuse(track.name, {f"got a {kind.__name__}, expected {expected}": kind not in CELLS for kind in kinds})
        refuse(track.name, {"it has no weights yet; call it, or build it, first": not all(c.built for c in cells)})
        refuse(layer.name, {
            **{f"got {word}={getattr(layer, word)} and {getattr(track, word)} in {track.name}, expected the same":
               getattr(layer, word) != getattr(track, word) for word in SHARED},
            "got stateful=True: a call depends on those before it; set it to False, and hand the state on by h0":
                track.stateful,
            "got a half that holds its output at masked steps, expected zero_output_for_mask":
                both and track.return_sequences and not track.zero_output_for_mask,
            "got unroll=True: with a mask it answers otherwise (findings/F-002 to F-004)":
                _direction(layer) in UNROLLED and track.unroll and (both or track.zero_output_for_mask),
            f"got state_size {track.state_size}, expected its cell's units":
                keras.tree.flatten(track.state_size) != [cell.units for cell in cells for _ in _states(cell)],
        })  # fmt: skip


def _direction(layer: Any) -> str:
    backwards = tuple(bool(track.go_backwards) for track in tracks(layer))
    wrong = f"got halves with go_backwards {[*backwards]}, expected [False, True]"
    refuse(layer.name, {wrong: backwards not in DIRECTIONS})
    return DIRECTIONS[backwards]


def _expect_order(layers: list[Any], flipped: bool) -> None:
    """A layer that goes backwards answers in processing order: above it, and in its answer, time is reversed."""
    top, directions = layers[-1], [_direction(layer) for layer in layers]
    if "reverse" in directions[:-1] or (directions[-1] == "reverse") != flipped:
        refuse("module", {
            "got go_backwards in a stack, in which Keras hands a mask on in time order and the sequence in processing "
            "order; expected RNN of stacked cells, go_backwards": "reverse" in directions and len(directions) > 1,
            "got a flip above a layer that runs forward, expected it above go_backwards": flipped,
            "got go_backwards with return_sequences, which answers in processing order; expected "
            "keras.ops.flip(output, axis=1) above it, in a functional model": top.return_sequences,
        })  # fmt: skip
    zero = directions[-1] != "bidirectional" and top.zero_output_for_mask and not top.return_sequences
    refuse("module", {
        **{f"{lower.name} has return_sequences=False below another layer": not lower.return_sequences
           for lower in layers[:-1]},
        f"got {top.name} with zero_output_for_mask and without return_sequences, which answers 0 where its last step "
        "is masked, expected its final state": zero,
    })  # fmt: skip


def _expect_unchanged(part: Any, dtype: str | None = None) -> None:
    """Raise unless a call of a layer or cell runs Keras' own code, in one dtype, and hands its mask on."""
    replaced = {name for name in vars(part) if hasattr(type(part), name)} - WRAPPED
    hooks = [name for name in ("_forward_hooks", "_forward_pre_hooks") if getattr(part, name, None)]  # on torch
    refuse(part.name, {f"got one with {name} of its own: it may compute anything": True
                       for name in sorted([*replaced, *hooks])})  # fmt: skip
    if dtype is None or type(part) is FLIP:
        return
    other = part.compute_dtype != dtype or getattr(part, "quantization_mode", None)
    hands_on = part.supports_masking if isinstance(part, (*TRANSPARENT, *RECURRENT)) else True
    refuse(part.name, {
        "got autocast=False, expected True: it computes in the dtype of its input": not part.autocast,
        f"computes in {part.dtype_policy.name}, expected {dtype} throughout": other,
        "got supports_masking=False, expected a layer that hands its mask on": not hands_on,
    })  # fmt: skip


def _word(cell: Any) -> str:
    """What RNNSpec.cell says of a cell."""
    if type(cell) is keras.layers.GRUCell:
        return "gru" if cell.reset_after else "gru_reset_before"
    return {"SimpleRNN": "elman", "LSTM": "lstm"}[type(cell).__name__.removesuffix("Cell")]


def _states(cell: Any) -> tuple[str, ...]:
    """The names of its states: of h alone where it is no cell of Keras', which is refused elsewhere."""
    return MAPPING[_word(cell)].states if type(cell) in CELLS else ("h",)


def _facts(layer: Any, cell: Any) -> dict[str, Any]:
    word = _word(cell)
    gates = {} if word == "elman" else {"recurrent_activation": ("sigmoid",)}
    known = {name: _function(cell, name, words) for name, words in {"activation": ("tanh", "relu"), **gates}.items()}
    other = f"got use_bias={cell.use_bias}, expected what it was built with"  # not every call goes by the same of both
    refuse(cell.name, {other: gates and cell.use_bias != (cell.bias is not None)})
    return {"cell": word, "hidden_size": cell.units, "direction": _direction(layer),
            "nonlinearity": known["activation"], "bias": cell.bias is not None}  # fmt: skip


def _function(cell: Any, name: str, words: tuple[str, ...]) -> str:
    """The word of an activation, which must be one of these."""
    function = getattr(cell, name)
    said, expected = getattr(function, "__name__", function), " or ".join(map(repr, words))
    known = [word for word in words if function in ACTIVATIONS[word]]
    refuse(cell.name, {f"got {name} {said!r}, expected Keras' own {expected}": not known})
    return known[0]


def _weights(cell: Any) -> dict[str, np.ndarray]:
    """A cell's kernel, its recurrent kernel and, if it has one, its bias, by Keras' names."""
    arrays = {}
    for name in MAPPING[_word(cell)].arrays:
        if name == "bias" and cell.bias is None:
            continue
        try:
            arrays[name] = array_of(keras.ops.convert_to_tensor(getattr(cell, name)))
        except Exception as error:  # a backend may fail in any way, such as for a tensor without values
            raise NotOffered(f"{cell.name}: its {name} cannot be read: {type(error).__name__}: {error}") from error
    dtypes = {array.dtype.name for array in arrays.values()}
    wrong = f"computes in {cell.compute_dtype} on {', '.join(sorted(dtypes))} weights, expected one dtype"
    refuse(cell.name, {wrong: dtypes != {cell.compute_dtype}})
    return arrays
