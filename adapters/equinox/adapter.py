"""Equinox: GRUCell and LSTMCell, each step in jax.lax.scan and the batch by jax.vmap, as its documentation has it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from reference import CellParameters, Gradients, RNNSpec

from ..capabilities import NARROW_ARITHMETICS
from ..contract import Capabilities, Result
from ..inputs import Inputs, Known
from ..jax.framework import OnJax
from ..jax.idioms import carries_of, states_of
from ..jax.settings import device_named, environment, settings, tensor
from ..mapping import native, parameters_of
from .idioms import IDIOMS
from .mapping import MAPPING
from .read import arrays_of, layers_of, read
from .script import equinox_script
from .ways import Layers, batched, filled

CELLS = {"gru": eqx.nn.GRUCell, "lstm": eqx.nn.LSTMCell}
ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}
LENGTHS = "the layers that the adapter makes go on beyond a length, and take the state from where it ends"
LACKING = {
    "inference": "eqx.nn.inference_mode changes nothing of a cell",
    "train": "a cell computes the same in training",
    "dropout": "Equinox' cells have no dropout",
    "scripted": "JAX compiles no source",
    "traced": "JAX traces what it compiles",
    "exported": "the adapter does not export Equinox' modules",
    "functional": "Equinox has one kind of module",
    "sequential": "eqx.nn.Sequential hands no states on to its layers",
    "predict": "Equinox has nothing of the kind",
    "mixed": "the adapter keeps parameters in the dtype that is computed in",
    "deterministic": "JAX has no such setting",
    "moved": "arrays of Equinox' modules stay where they were made",
    "fallback": "Equinox' cells use no kernel of cuDNN",
}


def _while_gradients_are_computed(layers: Any, *given: Any) -> Any:
    def with_loss(layers: Any, *given: Any) -> tuple[Any, Any]:
        answer = batched(layers, *given)
        return answer[0][-1].sum(), answer

    return eqx.filter_grad(with_loss, has_aux=True)(layers, *given)[1]


def _differentiated(layers: Any, x: Any, starts: Any, lengths: Any, time_first: bool, g: Any, g_final: Any) -> Any:
    """The output and the final states, and the gradients by the layers, x and the states; None: no cotangent."""

    def answers(layers: Any, x: Any, starts: Any) -> tuple[Any, Any]:
        outputs, finals = batched(layers, x, starts, lengths, time_first)
        return outputs[-1], finals

    (output, finals), back = eqx.filter_vjp(answers, layers, x, starts)
    g = jnp.zeros_like(output) if g is None else g
    return (output, finals), back((g, jax.tree.map(jnp.zeros_like, finals) if g_final is None else g_final))


# mode -> how layers are called in it: the arguments and the answer are those of ways.batched
MODES: dict[str, Callable[..., Any]] = {
    "autograd": _while_gradients_are_computed,
    "compiled": eqx.filter_jit(batched),
    **dict.fromkeys(("eager", "saved", "unrolled", "tf32", "bfloat16_products"), batched),
}
DIFFERENTIATED = {"compiled": eqx.filter_jit(_differentiated)}


class InMode:
    """Layers, and the mode in which run calls them."""

    def __init__(self, layers: Layers, mode: str) -> None:
        self.mode, self.layers = mode, _saved_and_loaded(layers) if mode == "saved" else layers


class EquinoxAdapter(OnJax):
    """Equinox' cells in a module of layers, on CPU and CUDA."""

    name = "equinox"
    framework: Any = eqx
    version = f"{eqx.__version__} on jax {jax.__version__}"
    capabilities = Capabilities(
        unsupported={
            ("cell", "elman"): "Equinox has no Elman cell: eqx.nn has GRUCell and LSTMCell alone",
            ("mask", True): "a cell takes one step and knows no mask: the layers that the adapter makes take lengths",
            ("nonlinearity", "relu"): "Equinox' cells have no choice of it",
            **{("mode", mode): reason for mode, reason in LACKING.items()},
        },
        emulated={
            ("direction", "reverse"): "the layers that the adapter makes scan from the end (reverse=True)",
            ("direction", "bidirectional"): "the layers that the adapter makes scan twice, and concatenate",
            **{("lengths", some): LENGTHS for some in ("mixed", "with zeros")},
            **{("num_layers", n): "the layers that the adapter makes call cell after cell" for n in ("2", "3 to 10")},
        },
        arithmetics=NARROW_ARITHMETICS,
        offers=(*(("mode", mode) for mode in MODES), ("cell", "gru"), ("cell", "lstm"), ("gradients", True)),
        gradient_modes=("eager", "unrolled", "compiled", "tf32", "bfloat16_products"),
    )
    idioms, script_of, read = IDIOMS, staticmethod(equinox_script), staticmethod(read)
    environment = staticmethod(lambda: environment(Equinox=eqx.__version__))

    def _make(self, spec: RNNSpec, parameters: list[CellParameters], device: str, mode: str, layout: str | None) -> Any:
        """ways.Layers, of Equinox' own cells: called natively, it takes one sequence (time, input_size)."""
        place = device_named(device)
        with settings(place, parameters[0].dtype):
            cells = [_cell(spec, track, place) for track in parameters]
            layers = Layers(cells, spec.direction, unroll=mode == "unrolled")
            return layers if mode == "eager" else InMode(layers, mode)

    def _known(self, module: Any) -> Known:
        called = module if isinstance(module, InMode) else InMode(layers_of(module), "eager")
        spec, parameters = self.read(called.layers)
        return Known(called, spec, parameters[0].dtype, called.mode)

    def _run(self, known: Known, inputs: Inputs) -> Result:
        layers, device = known.native.layers, _device_of(known)
        with settings(device, known.dtype, known.mode):
            x, starts = _asked(known.spec, inputs.x, inputs.h0, device)
            asked = x, starts, _lengths(inputs), inputs.layout == "time_first"
            outputs, finals = MODES[known.mode](layers, *asked)
            outputs, h_n = [np.array(output) for output in outputs], states_of(MAPPING, known.spec, finals)
        self._forget(known, inputs)
        return inputs.result(outputs, h_n)

    def _gradients(self, module: Any, known: Known, inputs: Inputs, cotangents: tuple[Any, Any]) -> Gradients:
        spec, device = known.spec, _device_of(known)
        with settings(device, known.dtype, known.mode):
            x, starts = _asked(spec, inputs.x, inputs.start(spec), device)
            g, g_final = _asked(spec, *cotangents, device)
            call = DIFFERENTIATED.get(known.mode, _differentiated)
            asked = x, starts, _lengths(inputs), inputs.layout == "time_first"
            (output, finals), by = call(known.native.layers, *asked, g, g_final)
            by_layers, by_x, by_starts = by
            arrays = [{name: np.array(a) for name, a in arrays_of(cell).items()} for cell in by_layers.cells]
            tracks = [parameters_of(spec, MAPPING[spec.cell], one, gradients=True) for one in arrays]
            found = Gradients(np.array(by_x), states_of(MAPPING, spec, by_starts), tracks, np.array(output),
                              states_of(MAPPING, spec, finals))  # fmt: skip
        self._forget(known, inputs)
        return found

    def _fill(self, known: Known, parameters: Sequence[CellParameters]) -> None:
        device, cells = _device_of(known), known.native.layers.cells
        with settings(device, known.dtype):
            cells[:] = [_cell(known.spec, track, device) for track in parameters]

    def _dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str) -> np.ndarray:
        place = device_named(device)
        with settings(place, weight.dtype):
            head = eqx.nn.Linear(*weight.T.shape, key=jax.random.key(0))
            head = filled(head, {"weight": tensor(weight, place), "bias": tensor(bias, place)})
            rows = jax.vmap(head)(tensor(x.reshape(-1, x.shape[-1]), place))
            return np.array(rows).reshape(*x.shape[:-1], len(weight))

    def _activation(self, a: np.ndarray, nonlinearity: str, device: str) -> np.ndarray:
        with settings(device_named(device), a.dtype):
            return np.array(ACTIVATIONS[nonlinearity](tensor(a, device_named(device))))


def _cell(spec: RNNSpec, track: CellParameters, device: Any) -> Any:
    arrays = {name: tensor(array, device) for name, array in native(spec, MAPPING[spec.cell], track).items()}
    cell = CELLS[spec.cell](track.w_ih.shape[1], spec.hidden_size, spec.bias, track.dtype, key=jax.random.key(0))
    return filled(cell, arrays)


def _asked(spec: RNNSpec, sequence: np.ndarray | None, states: Any, device: Any) -> tuple[Any, Any]:
    """A sequence, and the states of each track, as JAX's arrays; None of None."""
    given = jax.tree.map(lambda one: tensor(one, device), carries_of(MAPPING, spec, states))
    return None if sequence is None else tensor(sequence, device), given


def _lengths(inputs: Inputs) -> Any:
    return None if inputs.int32_lengths is None else jnp.asarray(inputs.int32_lengths)


def _device_of(known: Known) -> Any:
    return next(iter(known.native.layers.cells[0].weight_hh.devices()))


def _saved_and_loaded(layers: Layers) -> Layers:
    """Layers of other weights, with those of a file of Equinox' own."""
    file = io.BytesIO()
    eqx.tree_serialise_leaves(file, layers)
    file.seek(0)
    return eqx.tree_deserialise_leaves(file, jax.tree.map(lambda a: jnp.full_like(a, 0.5), layers))
