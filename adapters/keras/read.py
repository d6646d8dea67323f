"""What a user's own Keras model computes, where RNNSpec can say it; NotOffered, with the reason, where it cannot.

A model may be changed in any way after it was made. So what is read is what a call uses: the arrays themselves, not
the words that the constructor was given; and what replaces a part of Keras' own code is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import keras
import numpy as np

from reference import CellParameters, RNNSpec
from reference.arguments import check_parameters

from ..contract import NotOffered
from .models import array_of, cells_of, simple_rnns
from .settings import UNROLLED

# A user's function that is only called "tanh" is not one of these, so functions are compared, not names.
ACTIVATIONS = {"tanh": (keras.activations.tanh, keras.ops.tanh), "relu": (keras.activations.relu, keras.ops.relu)}
# Layers without an effect at inference, which is what is compared. A subclass may compute anything: types are exact.
TRANSPARENT = (keras.layers.Dropout, keras.layers.SpatialDropout1D, keras.layers.GaussianDropout,
               keras.layers.GaussianNoise, keras.layers.ActivityRegularization, keras.layers.Identity)  # fmt: skip
RECURRENT = (keras.layers.SimpleRNN, keras.layers.RNN, keras.layers.Bidirectional)
_FLIPPED: Any = keras.ops.flip(keras.KerasTensor((1, 1, 1)), axis=1)
FLIP = type(_FLIPPED._keras_history.operation)
# What Keras itself sets on its instances, over what their classes have
WRAPPED = {"build", "quantize", "loss"}
# What a user's model may have of its own: nothing of it is in a call
TRAINING = {"__init__", "train_step", "test_step", "fit", "evaluate", "compile", "compute_loss", "compute_metrics",
            "metrics", "get_config", "from_config"}  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """The recurrent layers of a model, in order, and whether its output is put into time order above them."""

    layers: list[Any]
    flipped: bool


def reading(module: Any) -> Reading:
    """The recurrent layers of a model; NotOffered for anything beside them that has an effect."""
    if not isinstance(module, keras.Layer):
        raise NotOffered(f"module: got {type(module).__name__}, expected SimpleRNN, Bidirectional or a stack of them")
    operations = _operations(module) if isinstance(module, keras.Model) else [module]
    seen = [operation for operation in operations if type(operation) not in TRANSPARENT]
    if not seen:
        raise NotOffered("module: got a model without layers, expected at least one SimpleRNN")
    flipped = len(seen) > 1 and type(seen[-1]) is FLIP
    layers = seen[:-1] if flipped else seen
    for layer in layers:
        _expect_recurrent(layer)
    dtype = cells_of(simple_rnns(layers[0])[0])[0].compute_dtype
    for part in [*operations, *(part for layer in layers for part in _parts(layer))]:
        _expect_unchanged(part, dtype)
    _expect_input(module, dtype)
    if flipped and (seen[-1].axis not in (1, (1,), [1], -2) or not layers[-1].return_sequences):
        raise NotOffered(f"module: got a flip over axis {seen[-1].axis}, expected the time axis of a whole sequence")
    return Reading(layers, flipped)


def read_model(module: Any) -> tuple[RNNSpec, list[CellParameters]]:
    """What a model computes, and its parameters; NotOffered, with the reason, where RNNSpec cannot say it."""
    found = reading(module)
    cells = [cell for layer in found.layers for simple in simple_rnns(layer) for cell in cells_of(simple)]
    try:
        parameters = [_parameters(cell) for cell in cells]
        spec = _spec(found, cells, parameters)
        check_parameters(spec, parameters)
    except NotOffered:
        raise
    except (TypeError, ValueError) as error:
        raise NotOffered(f"module: {error}") from error
    return spec, parameters


def _spec(found: Reading, cells: list[Any], parameters: list[CellParameters]) -> RNNSpec:
    facts: dict[str, list[Any]] = {
        "hidden_size": [cell.w_hh.shape[0] for cell in parameters],
        "direction": [_direction(layer) for layer in found.layers],
        "nonlinearity": [_nonlinearity(cell) for cell in cells],
        "bias": [cell.b_ih is not None for cell in parameters],
        "dtype": [cell.dtype.name for cell in parameters],
    }
    _expect_order(found, facts["direction"])
    for name, values in facts.items():
        if len(set(values)) > 1:
            raise NotOffered(f"module: got layers with {name} {values}, expected one value: RNNSpec has one for all")
    for layer in found.layers[:-1]:
        if not layer.return_sequences:
            raise NotOffered(f"module: {layer.name} has return_sequences=False below another layer")
    top = found.layers[-1]
    if type(top) is not keras.layers.Bidirectional and top.zero_output_for_mask and not top.return_sequences:
        raise NotOffered(f"module: got {top.name} with zero_output_for_mask and without return_sequences, which "
                         "answers 0 where its last step is masked, expected its final state")  # fmt: skip
    words = {name: values[0] for name, values in facts.items() if name != "dtype"}
    directions = 2 if words["direction"] == "bidirectional" else 1
    held = directions == 1 and not top.zero_output_for_mask
    return RNNSpec(int(parameters[0].w_ih.shape[1]), num_layers=len(cells) // directions, layout="batch_first",
                   held=held, **words)  # fmt: skip


def _expect_order(found: Reading, directions: list[str]) -> None:
    """A layer that goes backwards answers in processing order: above it, and in its answer, time is reversed."""
    if "reverse" not in directions[:-1] and (directions[-1] == "reverse") == found.flipped:
        return
    if "reverse" in directions and len(directions) > 1:
        raise NotOffered("module: got go_backwards in a stack, in which Keras hands a mask on in time order and the "
                         "sequence in processing order; expected RNN of stacked cells, go_backwards")  # fmt: skip
    if found.flipped:
        raise NotOffered("module: got a flip above a layer that runs forward, expected it above go_backwards")
    if found.layers[-1].return_sequences:
        raise NotOffered("module: got go_backwards with return_sequences, which answers in processing order; expected "
                         "keras.ops.flip(output, axis=1) above it, in a functional model")  # fmt: skip


def _operations(module: Any) -> list[Any]:
    """A model's layers and operations, from the bottom, where each reads the one before and nothing else."""
    kind = type(module)
    own = list(takewhile(lambda cls: not cls.__module__.startswith("keras."), kind.__mro__))
    base = kind.__mro__[len(own)]
    changed = {name for cls in own for name, value in vars(cls).items()
               if hasattr(base, name) and (callable(value) or isinstance(value, property))} - TRAINING  # fmt: skip
    functional = getattr(module, "_functional", None) if isinstance(module, keras.Sequential) else module
    if changed or not (functional is None or hasattr(functional, "operations")):
        raise NotOffered(f"module: got {kind.__name__}, whose {min(changed, default='call')} is its own: "
                         "it may compute anything")  # fmt: skip
    _expect_unchanged(module)
    return module.layers if functional is None else _chain(functional)  # a sequential model that was not called yet


def _chain(model: Any) -> list[Any]:
    if len(model.inputs) != 1:
        raise NotOffered(f"module: got {len(model.inputs)} inputs, expected one: Keras forgets the mask of a sequence "
                         "that a layer is given beside a state; read the recurrent layer alone")  # fmt: skip
    nodes = [node for depth in model._nodes_by_depth.values() for node in depth]
    operations = [o for o in model.operations if type(o) is not keras.layers.InputLayer]
    strangers = [o for o in operations if type(o) not in (*RECURRENT, *TRANSPARENT, FLIP)]
    for stranger in sorted(strangers, key=lambda o: not isinstance(o, keras.Layer))[:1]:
        raise NotOffered(f"{stranger.name}: got {type(stranger).__name__}, expected SimpleRNN")
    before = None
    for operation in operations:
        own = [node for node in nodes if node.operation is operation]
        source = (model.inputs[0] if before is None else before.output_tensors[0])._keras_history
        read = [tensor._keras_history for node in own for tensor in node.input_tensors]
        if len(own) != 1 or read != [source]:  # the first tensor is the output; states come after it
            what = "the input" if before is None else f"{before.operation.name}'s output"
            raise NotOffered(f"module: got a graph in which {operation.name} does not read {what} alone, "
                             "expected a stack")  # fmt: skip
        words = own[0].arguments.kwargs
        given = [name for name in words if words[name] is not None and words[name] is not False]
        if len(own[0].arguments.args) != 1 or given:
            raise NotOffered(f"module: got {operation.name} called with {', '.join(given) or 'several arguments'}, "
                             "expected with a sequence alone")  # fmt: skip
        before = own[0]
    _expect_outputs(model, operations)
    return operations


def _expect_outputs(model: Any, operations: list[Any]) -> None:
    """A model answers its last output, or that and every state, as what is built of it does."""
    answered = [(t._keras_history.operation, t._keras_history.tensor_index) for t in model.outputs]
    cells = [(o, sum(len(cells_of(simple)) for simple in simple_rnns(o))) for o in operations if type(o) in RECURRENT]
    states = [(operation, index) for operation, count in cells for index in range(1, count + 1)]
    last = [(operation, 0) for operation in operations[-1:]]
    if answered not in (last, [*last, *states]):
        raise NotOffered(f"module: got {len(answered)} outputs, expected the last layer's output alone, or it and the "
                         "final states of all layers in their order")  # fmt: skip


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
    """Types are exact, since a subclass may compute anything; RNN(SimpleRNNCell(...)) is SimpleRNN."""
    both = isinstance(layer, keras.layers.Bidirectional)
    if both and (type(layer) not in RECURRENT or layer.merge_mode != "concat"):
        raise NotOffered(f"{layer.name}: got {type(layer).__name__} with merge_mode={layer.merge_mode!r}, "
                         "expected Bidirectional with 'concat'")  # fmt: skip
    for simple in simple_rnns(layer):
        if type(simple) not in RECURRENT[:2]:
            raise NotOffered(f"{simple.name}: got {type(simple).__name__}, expected SimpleRNN")
        cells = cells_of(simple)
        for cell in [simple.cell] if both else cells:
            if type(cell) is not keras.layers.SimpleRNNCell:
                raise NotOffered(f"{simple.name}: got a {type(cell).__name__}, expected SimpleRNNCell")
        if not all(cell.built for cell in cells):
            raise NotOffered(f"{simple.name}: it has no weights yet; call it, or build it, first")
        _expect_settings(layer, simple)


def _expect_settings(layer: Any, simple: Any) -> None:
    """What may have been set after a layer was made, and must fit what it was made with."""
    for name in ("return_sequences", "return_state", "stateful"):
        if getattr(layer, name) != getattr(simple, name):
            raise NotOffered(f"{layer.name}: got {name}={getattr(layer, name)} and {getattr(simple, name)} in "
                             f"{simple.name}, expected the same")  # fmt: skip
    if simple.stateful:
        raise NotOffered(f"{layer.name}: got stateful=True: a call depends on those before it; set it to False, and "
                         "hand the state on by h0")  # fmt: skip
    if layer is not simple and simple.return_sequences and not simple.zero_output_for_mask:
        raise NotOffered(
            f"{layer.name}: got a half that holds its output at masked steps, expected zero_output_for_mask"
        )
    direction = _direction(layer)
    if simple.unroll and direction in UNROLLED[0] and (layer is not simple or simple.zero_output_for_mask):
        raise NotOffered(f"{layer.name}: got unroll=True: with a mask it answers otherwise: {UNROLLED[1]}")
    if [*simple.state_size] != [cell.units for cell in cells_of(simple)]:
        raise NotOffered(f"{simple.name}: got state_size {simple.state_size}, expected its cell's units")


def _direction(layer: Any) -> str:
    backwards = [bool(simple.go_backwards) for simple in simple_rnns(layer)]
    if len(backwards) == 1:
        return "reverse" if backwards[0] else "forward"
    if backwards != [False, True]:
        raise NotOffered(f"{layer.name}: got halves with go_backwards {backwards}, expected [False, True]")
    return "bidirectional"


def _parts(layer: Any) -> Iterable[Any]:
    for simple in simple_rnns(layer):
        yield from (simple, simple.cell, *cells_of(simple))


def _expect_unchanged(part: Any, dtype: str | None = None) -> None:
    """Raise unless a call of a layer or cell runs Keras' own code, in one dtype, and hands its mask on."""
    replaced = {name for name in vars(part) if hasattr(type(part), name)} - WRAPPED
    hooks = [name for name in ("_forward_hooks", "_forward_pre_hooks") if getattr(part, name, None)]  # on torch
    if replaced or hooks:
        raise NotOffered(f"{part.name}: got one with {min([*replaced, *hooks])} of its own: it may compute anything")
    if dtype is None or type(part) is FLIP:
        return
    if not part.autocast:
        raise NotOffered(f"{part.name}: got autocast=False, expected True: it computes in the dtype of its input")
    if part.compute_dtype != dtype or getattr(part, "quantization_mode", None):
        raise NotOffered(f"{part.name}: computes in {part.dtype_policy.name}, expected {dtype} throughout")
    if isinstance(part, (*TRANSPARENT, *RECURRENT)) and not part.supports_masking:
        raise NotOffered(f"{part.name}: got supports_masking=False, expected a layer that hands its mask on")


def _nonlinearity(cell: Any) -> str:
    for name, functions in ACTIVATIONS.items():
        if cell.activation in functions:
            return name
    activation = getattr(cell.activation, "__name__", cell.activation)
    raise NotOffered(f"{cell.name}: got activation {activation!r}, expected Keras' own 'tanh' or 'relu'")


def _parameters(cell: Any) -> CellParameters:
    """A SimpleRNNCell's weights: its bias becomes b_ih, and b_hh is zero."""
    w_ih, w_hh = (np.ascontiguousarray(_array(cell, name).T) for name in ("kernel", "recurrent_kernel"))
    b_ih = None if cell.bias is None else _array(cell, "bias")
    dtypes = {w.dtype.name for w in (w_ih, w_hh, b_ih) if w is not None}
    if dtypes != {cell.compute_dtype}:
        raise NotOffered(f"{cell.name}: computes in {cell.compute_dtype} on {', '.join(sorted(dtypes))} weights, "
                         "expected one dtype")  # fmt: skip
    if w_hh.shape[0] != cell.units:
        raise NotOffered(f"{cell.name}: got units {cell.units} and a recurrent kernel {w_hh.shape}, expected one size")
    return CellParameters(w_ih, w_hh, b_ih, None if b_ih is None else np.zeros_like(b_ih))


def _array(cell: Any, name: str) -> np.ndarray:
    try:
        return array_of(keras.ops.convert_to_tensor(getattr(cell, name)))
    except Exception as error:  # a backend may fail in any way, such as for a tensor without values
        raise NotOffered(f"{cell.name}: its {name} cannot be read: {type(error).__name__}: {error}") from error
