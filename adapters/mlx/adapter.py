"""MLX: mlx.nn.RNN, GRU and LSTM on the CPU. Each answers every step of one layer that reads forward."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten, tree_map, tree_unflatten

from reference import Case, CellParameters, Gradients, RNNSpec

from ..capabilities import NARROW_ARITHMETICS
from ..contract import Capabilities, Refusal, Result, features_of_case
from ..inputs import Framework, Inputs, Known
from ..mapping import native, ours, parameters_of, theirs
from .idioms import idioms
from .mapping import MAPPING
from .read import NONLINEARITIES, array_of, layers_of, read, tensor
from .script import mlx_script
from .ways import Layers, as_it_is

KINDS = {"elman": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
ACTIVATIONS = {"tanh": nn.tanh, "relu": nn.relu, "sigmoid": nn.sigmoid}
LAYERS = "the layers that the adapter makes call layer after layer, over x that is turned where they read in reverse"
# mx.sigmoid has an exp that "computes exp(x) in an optimizer friendly way": off by 65 u (all of [-86, 20])
FAST_EXP = {(("dtype", "float32"), ("cell", cell)): "float32_fast_exp" for cell in ("gru", "lstm")}
LACKING = {
    "inference": "MLX computes gradients only where it is asked for them",
    "dropout": "MLX' recurrent layers have no dropout",
    "scripted": "MLX compiles no source",
    "traced": "MLX traces what it compiles",
    "exported": "the adapter does not export MLX' functions",
    "functional": "MLX has one kind of module",
    "sequential": "nn.Sequential hands no states on to its layers, and an LSTM answers a pair",
    "predict": "MLX has nothing of the kind",
    "unrolled": "MLX' layers loop in Python: they are always unrolled",
    "mixed": "the adapter keeps parameters in the dtype that is computed in",
    "tf32": "it is judged on the CPU alone",
    "bfloat16_products": "MLX has no such setting",
    "deterministic": "MLX has no such setting",
    "moved": "arrays of MLX are on no device",
    "fallback": "it is judged on the CPU alone",
}


def once(answers: Callable[..., Any], given: list[Any], cotangents: list[Any], biases: set[int]) -> Any:
    return mx.vjp(answers, given, cotangents)


def differentiated(way: Callable[..., Any], layers: Layers, x: Any, states: Any, lengths: Any, g: Any, g_n: Any,
                   by: Callable[..., Any] = once) -> Any:  # fmt: skip
    """The output and the final states, and the gradients by weights, x and the states.  by: `once`, or another way."""
    names, weights = zip(*tree_flatten(layers.trainable_parameters()), strict=True)
    flat = [state for track in states for state in track]

    def answers(*given: Any) -> list[Any]:
        x, start, weights = given[0], given[1 : 1 + len(flat)], given[1 + len(flat) :]
        layers.update(tree_unflatten(list(zip(names, weights, strict=True))))
        outputs, finals = way(layers, x, _by_track(start, len(layers.tracks)), lengths)
        return [outputs[-1], *(state for track in finals for state in track)]

    given = [x, *flat, *weights]
    shown = answers(*given)
    cotangents = [mx.zeros_like(a) if b is None else b for a, b in zip(shown, [g, *g_n], strict=True)]
    biases = {k for k, name in enumerate(names, 1 + len(flat)) if name.rpartition(".")[2] in ("bias", "b", "bhn")}
    (output, *finals), found = by(answers, given, cotangents, biases)
    layers.update(tree_unflatten(list(zip(names, weights, strict=True))))
    by_x, by_states, by_weights = found[0], found[1 : 1 + len(flat)], found[1 + len(flat) :]
    return output, finals, by_x, by_states, tree_unflatten(list(zip(names, by_weights, strict=True)))


def _while_gradients_are_computed(layers: Layers, *given: Any) -> Any:
    def with_loss(layers: Layers) -> Any:
        outputs, finals = layers(*given)
        return outputs[-1].sum(), outputs, finals

    return vars(nn)["value_and_grad"](layers, with_loss)(layers)[0][1:]


def _compiled(layers: Any, *given: Any) -> Any:
    return mx.compile(lambda *given: layers(*given))(*given)


# mode -> how layers are called in it
MODES: dict[str, Callable[..., Any]] = {
    "autograd": _while_gradients_are_computed,
    "compiled": _compiled,
    **dict.fromkeys(("eager", "saved", "train"), as_it_is),
}


class InMode:
    """Layers, and the mode in which run calls them."""

    def __init__(self, layers: Layers, mode: str) -> None:
        self.mode, self.layers = mode, _saved_and_loaded(layers) if mode == "saved" else layers


class MlxAdapter(Framework):
    """MLX' recurrent layers, on the CPU."""

    name = "mlx"
    framework: Any = mx
    version = importlib.metadata.version("mlx")
    capabilities = Capabilities(
        unsupported={
            ("mask", True): "MLX' layers take no mask: the layers that the adapter makes take lengths",
            **{("mode", mode): reason for mode, reason in LACKING.items()},
        },
        refused={
            (("time", "0"),): Refusal("ValueError", "No arrays provided for stacking"),
            (("mode", "saved"), ("dtype", "float64")): Refusal("RuntimeError", "[save_safetensors] received invalid"),
        },
        emulated={
            ("layout", "time_first"): "MLX' layers are batch first; the adapter transposes",
            **{("direction", some): LAYERS for some in ("reverse", "bidirectional")},
            **{("num_layers", n): LAYERS for n in ("2", "3 to 10")},
            **{("lengths", some): "a layer goes on beyond a length; the adapter takes the answer from where it ends"
               for some in ("mixed", "with zeros")},
        },
        arithmetics=NARROW_ARITHMETICS | FAST_EXP,
        offers=(*(("mode", mode) for mode in MODES), ("cell", "gru"), ("cell", "lstm"), ("gradients", True)),
    )  # fmt: skip
    read = staticmethod(read)

    def __init__(self) -> None:
        self.idioms = idioms(self)

    def environment(self) -> dict[str, Any]:
        return {"MLX": self.version, "device": str(mx.default_device())}

    def script(self, case: Case, device: str = "cpu", way: str = "eager") -> str:
        """Raises NotOffered for a case that an idiom lacks, beside what mlx_script raises."""
        if way in self.idioms:
            self.idioms[way].narrowed(self.capabilities).require(features_of_case(case))
        return mlx_script(case, device, way)

    def _make(self, spec: RNNSpec, parameters: list[CellParameters], device: str, mode: str, layout: str | None) -> Any:
        """ways.Layers, of MLX' own: called natively, it takes x (batch, time, input_size) or (time, input_size)."""
        layers = Layers([_layer(spec, track) for track in parameters], spec.direction)
        layers.train(mode == "train")
        return layers if mode == "eager" else InMode(layers, mode)

    def _known(self, module: Any) -> Known:
        called = module if isinstance(module, InMode) else InMode(layers_of(module), "eager")
        spec, parameters = self.read(called.layers)
        return Known(called, spec, parameters[0].dtype, called.mode)

    def _run(self, known: Known, inputs: Inputs) -> Result:
        return self.asked(MODES[known.mode], known.native.layers, known.spec, inputs)

    def asked(
        self, way: Callable[..., Any], layers: Layers, spec: RNNSpec, inputs: Inputs, given: Any = tensor
    ) -> Result:
        """The answer of layers that are called in a way, in the case's dtype.  given: what makes MLX' arrays."""
        inputs = _in_layout(inputs)
        states = _by_track(_states(spec, inputs.h0, given), spec.num_cells)
        outputs, finals = way(layers, given(inputs.x), states, _lengths(inputs))
        outputs = [array_of(output).astype(inputs.x.dtype) for output in outputs]
        return inputs.result(outputs, tree_map(lambda a: a.astype(inputs.x.dtype), _ours(spec, finals)))

    def _gradients(self, module: Any, known: Known, inputs: Inputs, cotangents: tuple[Any, Any]) -> Gradients:
        return self.differentiated(as_it_is, known.native.layers, known.spec, inputs, cotangents)

    def differentiated(
        self, way: Callable[..., Any], layers: Layers, spec: RNNSpec, inputs: Inputs, cotangents: tuple[Any, Any],
        by: Callable[..., Any] = once,
    ) -> Gradients:  # fmt: skip
        inputs = _in_layout(inputs)
        g_output, g_n = inputs.cotangents(cotangents)
        states = _by_track(_states(spec, inputs.start(spec), tensor), spec.num_cells)
        size = len(MAPPING[spec.cell].states) * spec.num_cells
        finals = [None] * size if g_n is None else _states(spec, g_n, tensor)
        g = None if g_output is None else tensor(inputs.zeroed(g_output))
        output, h_n, by_x, by_states, by_weights = differentiated(
            way, layers, tensor(inputs.x), states, _lengths(inputs), g, finals, by
        )
        arrays = [{name: array_of(a) for name, a in track.items() if a is not None} for track in by_weights["tracks"]]
        tracks = [parameters_of(spec, MAPPING[spec.cell], one, gradients=True) for one in arrays]
        found = Gradients(array_of(by_x), _ours(spec, _by_track(by_states, spec.num_cells)), tracks, array_of(output),
                          _ours(spec, _by_track(h_n, spec.num_cells)))  # fmt: skip
        return inputs.gradients(found)

    def _dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str) -> np.ndarray:
        return array_of(tensor(x) @ tensor(weight).T + tensor(bias))

    def _activation(self, a: np.ndarray, nonlinearity: str, device: str) -> np.ndarray:
        return array_of(ACTIVATIONS[nonlinearity](tensor(a)))


def _layer(spec: RNNSpec, track: CellParameters) -> Any:
    words = {"nonlinearity": NONLINEARITIES[spec.nonlinearity][0]} if spec.cell == "elman" else {}
    layer = KINDS[spec.cell](track.w_ih.shape[1], spec.hidden_size, bias=spec.bias, **words)
    for name, array in native(spec, MAPPING[spec.cell], track).items():
        layer[name] = tensor(array)
    return layer


def _in_layout(inputs: Inputs) -> Inputs:
    """Batch first; or of one sequence as it is."""
    return inputs if inputs.layout == "unbatched" else inputs.to("batch_first")


def _lengths(inputs: Inputs) -> Any:
    return None if inputs.int32_lengths is None else tensor(inputs.int32_lengths)


def _states(spec: RNNSpec, h0: Any, given: Callable[[Any], Any]) -> list[Any] | None:
    """Of each track each of its states."""
    if h0 is None:
        return None
    return [given(state[n]) for n in range(spec.num_cells) for state in theirs(spec, MAPPING[spec.cell], h0)]


def _by_track(states: Any, tracks: int) -> Any:
    """The tuple of each track's states."""
    if states is None:
        return None
    size = len(states) // tracks
    return [tuple(states[n : n + size]) for n in range(0, len(states), size)]


def _ours(spec: RNNSpec, finals: Any) -> Any:
    states = [np.stack([array_of(state) for state in several]) for several in zip(*finals, strict=True)]
    return ours(spec, MAPPING[spec.cell], states)


def _saved_and_loaded(layers: Layers) -> Layers:
    """Layers whose weights were others, and are those of a file of MLX' own."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "weights.safetensors")
        layers.save_weights(path)
        layers.update(tree_map(mx.zeros_like, layers.parameters()))
        layers.load_weights(path)
        mx.eval(layers.parameters())
    return layers
