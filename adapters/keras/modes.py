"""The modes of a Keras model: what its users do to it before they call it, or around the call."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np

from reference import CellParameters, RNNSpec

from ..capabilities import Refusal
from ..mapping import native
from .mapping import KINDS, MAPPING
from .read import cells_of, read_model, tracks
from .settings import BACKEND, FORWARD_ALONE, array_of

# each layer's output, and all final states
Answer = tuple[Sequence[Any], Sequence[Any]]
# x, initial states or None, mask or None, as tensors
Called = Callable[[Any, Any, Any], Answer]

# mode -> what the layers are built with
BUILT_WITH: dict[str, dict[str, Any]] = {
    "dropout": {"dropout": 0.5, "recurrent_dropout": 0.5},
    "sequential": {"return_state": False},
    "unrolled": {"unroll": True},
    "fallback": {"use_cudnn": False},
}
FORWARD = {
    **dict.fromkeys(("tf32", "bfloat16_products"), f"{FORWARD_ALONE} has no such setting"),
    "autograd": f"{FORWARD_ALONE} computes no gradients", "fallback": f"{FORWARD_ALONE} uses no kernel of cuDNN",
}  # fmt: skip
LACKING = {
    "inference": "Keras has no inference mode beside training=False, which is eager's",
    "scripted": "Keras compiles no source",
    "exported": "Keras exports by Model.export, which idioms ask",
    "deterministic": "Keras has no such setting",
    "moved": "a Keras model stays where it was built",
    **({} if BACKEND == "tensorflow" else {"traced": "tf.function is TensorFlow's"}),
    **{
        "tensorflow": {"bfloat16_products": "TensorFlow has no such setting"},
        "numpy": {"exported": "Keras exports nothing on NumPy", "compiled": "NumPy compiles nothing", **FORWARD},
        "openvino": {"compiled": "OpenVINO compiles whatever is called", **FORWARD},
    }.get(BACKEND, {}),
}
# GRU and LSTM use a kernel of cuDNN there wherever they can
ON_CUDA = {
    **({"tf32": "in TensorFlow a matter of CUDA"} if BACKEND == "tensorflow" else {}),
    **({} if FORWARD_ALONE else {"fallback": "a matter of CUDA"}),
}

# the modes in which what is compiled for shapes is kept, for other weights too; torch compiles in the mode "compiled"
# alone, as C++: 5 s for each key
KEPT = {"tensorflow": "traced", "jax": "compiled", "torch": "eager"}.get(BACKEND)
BACKWARDS = "a layer that goes backwards hands on its output in processing order"
TOGETHER = {
    **{(("mode", "mixed"), ("dtype", dtype)): "mixed policies are narrow" for dtype in ("float32", "float64")},
    **{
        (("mode", mode), ("dtype", "float64")): "what is set is of products of float32, not of float64"
        for mode in ("tf32", "bfloat16_products")
    },
    (("mode", "sequential"), ("h0", True)): "a sequential model takes no initial states",
    (("mode", "sequential"), ("cell", "lstm")): "a sequential model shows no states, and the output has no c",
    (("mode", "fallback"), ("cell", "elman")): "Keras' SimpleRNN uses no kernel of cuDNN",
    **{(("mode", "sequential"), ("direction", "reverse"), ("num_layers", n)): BACKWARDS for n in ("2", "3 to 10")},
}
# Every layer reads the first step before it starts.
REFUSED = {
    "tensorflow": {
        (("time", "0"),): Refusal("InvalidArgumentError", "slice index 0 of dimension 1 out of bounds"),
        **{(("time", "0"), ("mode", mode)): Refusal("ValueError", "slice index 0 of dimension 1 out of bounds")
           for mode in ("traced", "compiled", "predict")},
    },
    "torch": {(("time", "0"),): Refusal("IndexError", "index 0 is out of bounds for dimension 1 with size 0")},
    "jax": {(("time", "0"),): Refusal("IndexError", "index is out of bounds for axis 1 with size 0")},
    "numpy": {(("time", "0"),): Refusal("IndexError", "index 0 is out of bounds for axis 1 with size 0")},
    "openvino": {(("time", "0"),): Refusal("IndexError or RuntimeError", "list index out of range | "
                                           "`convert_to_numpy` failed to convert the tensor.")},
}[BACKEND]  # fmt: skip


def layer_of(spec: RNNSpec, layer: int, dtype: str, batch: int | None = None, **words: Any) -> Any:
    """A layer of a spec, built, that answers its whole sequence, and its states.

    batch: how many sequences there will be; any number when None.  words: what it is given instead.
    """
    usual = {
        "recurrent_initializer": "zeros",  # as all weights, replaced at once; the default's QR is wide alone
        "return_sequences": True,
        "return_state": True,
        "zero_output_for_mask": not spec.held,
        "go_backwards": spec.direction == "reverse",
    }
    kind, more = KINDS[spec.cell]
    one_way = getattr(keras.layers, kind)(
        spec.hidden_size, activation=spec.nonlinearity, use_bias=spec.bias, dtype=dtype, **usual | more | words
    )
    built = keras.layers.Bidirectional(one_way, dtype=dtype) if spec.direction == "bidirectional" else one_way
    built.build((batch, None, spec.layer_input_size(layer)))
    return built


def fill(spec: RNNSpec, layers: Sequence[Any], parameters: Sequence[CellParameters]) -> None:
    """Set the weights of each track."""
    for track, given in zip([track for layer in layers for track in tracks(layer)], parameters, strict=True):
        track.cell.set_weights([*native(spec, MAPPING[spec.cell], given).values()])


class ModeRunner:
    """Keras layers on top of each other, and the mode in which they are called.

    layers: each SimpleRNN, GRU, LSTM, RNN of one of their cells, or Bidirectional of one of these, that answers its
    whole sequence and its states.  What a mode makes of them once is kept, and called for every shape that it takes.
    """

    def __init__(self, layers: Sequence[Any], mode: str, spec: RNNSpec, device: str) -> None:
        self.layers, self.mode, self.spec, self.device = layers, mode, spec, device
        self.dtype: str = layers[0].compute_dtype
        self._states = len(MAPPING[spec.cell].states)
        self._made: dict[Any, Called] = {}
        self.differentiated: dict[str, Callable[..., Any]] = {}

    def __call__(self, x: Any, states: Any, mask: Any) -> Answer:
        """What every_layer answers, in the mode."""
        key = (tuple(x.shape[1:]), states is None, mask is None)
        if key not in self._made:
            self._made[key] = MODES[self.mode](self, x, states, mask)
        return self._made[key](x, states, mask)

    def every_layer(self, x: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Answer:
        """Each layer's output, in time order, and all final states.

        x (batch, time, features), initial_state and the final states (batch, units) for each track and, of LSTM, for h
        and c of each, mask (batch, time).
        """
        outputs, states = [], []
        for layer in self.layers:
            own = self._states * len(tracks(layer))
            start = None if initial_state is None else list(initial_state[len(states) :][:own])
            x, *h = layer(x, initial_state=start, mask=mask, training=training)
            x = self.in_time_order(x)
            outputs.append(x)
            states += keras.tree.flatten(h)
        return outputs, states

    def in_time_order(self, output: Any) -> Any:
        """A layer's output, which one that goes backwards answers in processing order."""
        return keras.ops.flip(output, axis=1) if self.spec.direction == "reverse" else output


def plain(stack: ModeRunner) -> Any:
    """A functional model of a stack's own layers: x to [output, *final states].

    Layers that go backwards answer in processing order, while the mask stays in time order: on top of each other they
    would read each other's masks the wrong way round. So the cells of several are stacked in one RNN layer, which
    takes them all through each step, and the output is put into time order once, at the end.
    """
    layers = stack.layers
    if stack.spec.direction == "reverse" and len(layers) > 1:
        layers = [_as_rnn([layer.cell for layer in layers], layers[0])]
    x = keras.Input((None, stack.spec.input_size), dtype=stack.dtype)
    sequence, states = x, []
    for layer in layers:
        sequence, *h = layer(sequence)
        states += keras.tree.flatten(h)
    model = keras.Model(x, [stack.in_time_order(sequence), *states])
    model.supports_masking = True  # or Keras warns that the mask is not handed on
    return model


def one_by_one(layers: Sequence[Any]) -> list[Any]:
    """These layers; of one with stacked cells, a layer for each cell, with the same weights."""
    found: list[Any] = []
    for layer in layers:
        cells = [] if isinstance(layer, keras.layers.Bidirectional) else cells_of(layer)
        found += [_as_rnn(cell, layer) for cell in cells] if len(cells) > 1 else [layer]
    return found


def _as_rnn(cell: Any, like: Any) -> Any:
    """keras.layers.RNN of a cell or of several, with the other settings of a layer; the weights are not copied."""
    several = isinstance(cell, list)  # which RNN itself would stack in Keras' default dtype
    words = ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask")
    return keras.layers.RNN(
        keras.layers.StackedRNNCells(cell, dtype=like.dtype_policy) if several else cell,
        dtype=like.dtype_policy,
        **{word: getattr(like, word) for word in words},
    )


def _autograd(stack: ModeRunner, *given: Any) -> Called:
    """The answer of a call whose gradient with respect to x could be asked for."""

    def tensorflow(x: Any, states: Any, mask: Any) -> Any:
        with import_module("tensorflow").GradientTape() as tape:
            tape.watch(x)
            return stack.every_layer(x, states, mask)

    def torch(x: Any, states: Any, mask: Any) -> Any:
        return stack.every_layer(x.requires_grad_(), states, mask)

    def jax(x: Any, states: Any, mask: Any) -> Any:
        answer, _ = import_module("jax").vjp(lambda sequence: stack.every_layer(sequence, states, mask), x)
        return answer

    return {"tensorflow": tensorflow, "torch": torch, "jax": jax}[BACKEND]


def _compiled(stack: ModeRunner, *given: Any) -> Called:
    """By XLA, on TensorFlow and JAX; by torch.compile."""
    match BACKEND:
        case "tensorflow":
            return import_module("tensorflow").function(stack.every_layer, jit_compile=True)
        case "torch":
            return import_module("torch").compile(stack.every_layer)
        case "jax":
            return _jitted(stack)
    raise ValueError(f"backend: got {BACKEND!r}, expected tensorflow, torch or jax")


def _jitted(stack: ModeRunner) -> Called:
    """By jax.jit, of the weights too: as constants they would stay what they were when it was compiled."""
    variables = [variable for layer in stack.layers for variable in layer.variables]

    def stateless(values: Sequence[Any], *given: Any) -> Answer:
        with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
            return stack.every_layer(*given)

    jitted = import_module("jax").jit(stateless)
    return lambda *given: jitted([variable.value for variable in variables], *given)


def _mixed(stack: ModeRunner, *given: Any) -> Called:
    """On inputs of float32, as its users have them."""
    wide = partial(keras.ops.cast, dtype="float32")
    return lambda x, states, mask: stack.every_layer(wide(x), states and [wide(state) for state in states], mask)


def sequential(stack: ModeRunner, *entry: Any) -> Called:
    """A sequential model of the first 1, 2, ... layers each; a final state is the output at a direction's last step."""
    models = [keras.Sequential([*entry, *stack.layers[: layers + 1]]) for layers in range(len(stack.layers))]

    def call(x: Any, states: Any, mask: Any) -> Answer:
        outputs = [stack.in_time_order(layers(x, mask=mask, training=False)) for layers in models]
        return outputs, [state for output in outputs for state in _final(stack, output, mask)]

    return call


def _final(stack: ModeRunner, output: Any, mask: Any) -> list[Any]:
    """Each direction's state after its last step; zero, as the masked output is, where there is none."""
    array = array_of(output)
    counts = np.ones(array.shape[:2], bool) if mask is None else array_of(mask)
    row, last = np.arange(len(array)), array.shape[1] - 1 - counts[:, ::-1].argmax(axis=1)
    forward, reverse = array[row, last], array[row, counts.argmax(axis=1)]
    units = stack.spec.hidden_size
    both = [forward[:, :units], reverse[:, units:]]
    return {"forward": [forward], "reverse": [reverse], "bidirectional": both}[stack.spec.direction]


def _saved(stack: ModeRunner, *given: Any) -> Called:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        plain(stack).save(path)
        loaded = keras.saving.load_model(path)
    return ModeRunner(one_by_one(read_model(loaded)[-1]), stack.mode, stack.spec, stack.device).every_layer


def _functional(stack: ModeRunner, *given: Any) -> Called:
    """A functional model of the same layers, for sequences of this length: from what is given of x, states and mask.

    In the mode "predict" it is model.predict, in batches of three sequences.
    """

    def entry(like: Any) -> Any:
        return keras.Input(like.shape[1:], dtype=keras.backend.standardize_dtype(like.dtype))

    def call(*called: Any) -> Answer:
        there = [one for one in called if one is not None]
        if stack.mode == "functional":
            return graph(there)
        return graph.predict(keras.tree.map_structure(array_of, there), batch_size=3, verbose=0)

    inputs: list[Any] = [None if one is None else keras.tree.map_structure(entry, one) for one in given]
    graph: Any = keras.Model([one for one in inputs if one is not None], stack.every_layer(*inputs))
    return call


# mode -> what calls a stack in it, made for the shapes of x, initial states and mask
MODES: dict[str, Callable[..., Called]] = {
    **dict.fromkeys(("eager", "dropout", "unrolled", "tf32", "bfloat16_products"), lambda stack, *_: stack.every_layer),
    "autograd": _autograd,
    "train": lambda stack, *_: partial(stack.every_layer, training=True),
    "saved": _saved,
    "traced": lambda stack, *_: import_module("tensorflow").function(stack.every_layer),
    "compiled": _compiled,
    "functional": _functional,
    "predict": _functional,
    "sequential": lambda stack, x, *_: sequential(stack, keras.Input(x.shape[1:], dtype=stack.dtype)),
    "mixed": _mixed,
}
