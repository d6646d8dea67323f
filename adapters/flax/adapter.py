"""Flax NNX: SimpleCell, GRUCell and OptimizedLSTMCell in nnx.RNN and nnx.Bidirectional, several in nnx.Sequential.

JAX compiles nnx.RNN anew in each eager call, and a compiled function for each key. A run of the suite keeps what is
compiled on disk (adapters.keep_compiled), for its other processes and the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flax
import jax
import numpy as np
from flax import nnx

from reference import CellParameters, Gradients, RNNSpec

from ..capabilities import NARROW_ARITHMETICS
from ..contract import Capabilities, Result, layout_of
from ..inputs import Inputs, Known, expect_built
from ..jax.framework import OnJax
from ..jax.idioms import carries_of, states_of
from ..jax.settings import device_named, environment, settings, tensor
from ..mapping import native
from .gradients import gradients_of
from .idioms import IDIOMS
from .mapping import MAPPING
from .modes import BUILT_WITH, LACKING, MODES, ModeRunner
from .read import ACTIVATIONS, cells_of, device_of, read, recurrent_layers
from .script import flax_script

SEQUENTIAL = "nnx.Sequential hands no carries and no lengths on; the adapter calls layer after layer"


CELLS = {"elman": nnx.SimpleCell, "gru": nnx.GRUCell, "lstm": nnx.OptimizedLSTMCell}


class FlaxAdapter(OnJax):
    """Flax's cells in nnx.RNN and nnx.Bidirectional, on CPU and CUDA."""

    name = "flax"
    framework: Any = flax
    version = f"{flax.__version__} on jax {jax.__version__}"
    capabilities = Capabilities(
        unsupported={
            ("mask", True): "nnx.RNN takes lengths (seq_lengths) and no mask",
            **{("mode", mode): reason for mode, reason in LACKING.items()},
        },
        emulated={
            ("bias", False): "Flax's cells always have a bias; the adapter takes it out",
            ("cell", "gru"): "GRUCell has no bias of h; the adapter gives its dense_h one",
            ("lengths", "mixed"): "nnx.RNN goes on beyond seq_lengths; the adapter sets those outputs to zero",
            **{("num_layers", n): SEQUENTIAL for n in ("2", "3 to 10")},
        },
        arithmetics=NARROW_ARITHMETICS,
        offers=(*(("mode", mode) for mode in MODES), ("cell", "gru"), ("cell", "lstm"), ("gradients", True)),
        gradient_modes=("eager", "unrolled", "compiled", "tf32", "bfloat16_products"),
    )
    idioms, script_of, read = IDIOMS, staticmethod(flax_script), staticmethod(read)
    environment = staticmethod(lambda: environment(Flax=flax.__version__))

    def _make(self, spec: RNNSpec, parameters: list[CellParameters], device: str, mode: str, layout: str | None) -> Any:
        """An nnx.RNN or nnx.Bidirectional, or an nnx.Sequential of several: Flax's own classes and no other.

        Called natively, it takes x (batch, time, input_size), with time first where `layout` is time_first, or
        (time, input_size); it answers the last layer's output. One layer also takes initial_carry, of an LSTM the pair
        (c, h), seq_lengths and return_carry=True; nnx.Sequential hands none of these on: call its `layers` one after
        another. Beyond seq_lengths a Flax layer answers what it computes of the padding, whatever spec.held says.
        """
        words: dict[str, Any] = {"time_major": layout_of(spec, layout) == "time_first"}
        options = BUILT_WITH.get(mode, {})
        with settings(device_named(device), parameters[0].dtype):
            cells = [_cell(spec, track) for track in parameters]
            if spec.direction == "bidirectional":
                rnns = [nnx.RNN(cell, **options) for cell in cells]
                layers = [nnx.Bidirectional(*pair, **words) for pair in zip(rnns[::2], rnns[1::2], strict=True)]
            else:
                words |= {"reverse": spec.direction == "reverse", "keep_order": True, **options}
                layers = [nnx.RNN(cell, **words) for cell in cells]
            stack = layers[0] if len(layers) == 1 else nnx.Sequential(*layers)
            # committed to the device, as a compiled function's answer leaves it: or that would be compiled again
            nnx.update(stack, jax.device_put(nnx.state(stack), device_named(device)))
            return stack if mode == "eager" else ModeRunner(stack, mode)

    def _known(self, module: Any) -> Known:
        """Of what build returns, or of a user's own layer or nnx.Sequential that read takes."""
        called = module if isinstance(module, ModeRunner) else ModeRunner(module, "eager")
        expect_built(called.stack, nnx.RNN, nnx.Bidirectional, nnx.Sequential)
        spec, parameters = self.read(called.stack)
        return Known(called, spec, parameters[0].dtype, called.mode)

    def _run(self, known: Known, inputs: Inputs) -> Result:
        device = device_of(known.native.stack)
        with settings(device, known.dtype, known.mode):
            outputs, carries = known.native(*_asked(known.spec, inputs, device))
            outputs, h_n = [np.array(output) for output in outputs], states_of(MAPPING, known.spec, carries)
        self._forget(known, inputs)
        return inputs.result(outputs, h_n, zero_padding=True)

    def _gradients(self, module: Any, known: Known, inputs: Inputs, cotangents: tuple[Any, Any]) -> Gradients:
        device, given = device_of(known.native.stack), inputs.start(known.spec)
        with settings(device, known.dtype, known.mode):
            asked = _asked(known.spec, inputs._replace(h0=given), device)
            found = gradients_of(known.native, known.spec, inputs, asked, cotangents, device)
        self._forget(known, inputs)
        return found

    def _fill(self, known: Known, parameters: Sequence[CellParameters]) -> None:
        device = device_of(known.native.stack)
        with settings(device, known.dtype):
            cells = [cell for layer in recurrent_layers(known.native.called) for cell in cells_of(layer)]
            for cell, track in zip(cells, parameters, strict=True):
                for name, array in native(known.spec, MAPPING[known.spec.cell], track).items():
                    part, _, held = name.partition(".")
                    getattr(getattr(cell, part), held)[...] = tensor(array, device)

    def _dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str) -> np.ndarray:
        with settings(device_named(device), weight.dtype):
            head = nnx.Linear(*weight.T.shape, kernel_init=_given(weight.T), bias_init=_given(bias), rngs=nnx.Rngs(0))
            return np.array(head(tensor(x, device_named(device))))

    def _activation(self, a: np.ndarray, nonlinearity: str, device: str) -> np.ndarray:
        with settings(device_named(device), a.dtype):
            return np.array(ACTIVATIONS[nonlinearity][0](tensor(a, device_named(device))))


def _asked(spec: RNNSpec, inputs: Inputs, device: Any) -> tuple[Any, Any, Any, bool]:
    """What every_layer takes beside the stack."""
    lengths = inputs.int32_lengths
    return (
        tensor(inputs.x, device),
        jax.tree.map(lambda h: tensor(h, device), carries_of(MAPPING, spec, inputs.h0)),
        None if lengths is None else tensor(lengths, device),
        inputs.layout == "time_first",
    )


def _given(array: np.ndarray) -> Callable[..., Any]:
    """An initializer that gives these values, on the default device."""
    return lambda key, shape, dtype: jax.device_put(np.array(array, order="C"))


def _cell(spec: RNNSpec, track: CellParameters) -> Any:
    """A Flax cell of these weights."""
    arrays = native(spec, MAPPING[spec.cell], track)
    own = "dense_h.bias" if spec.cell == "lstm" else "dense_i.bias"  # the one that it always has
    cell = CELLS[spec.cell](
        track.w_ih.shape[1],
        spec.hidden_size,
        dtype=track.dtype,
        param_dtype=track.dtype,
        activation_fn=ACTIVATIONS[spec.nonlinearity][0],
        kernel_init=_given(arrays["dense_i.kernel"]),
        recurrent_kernel_init=_given(arrays["dense_h.kernel"]),
        bias_init=_given(arrays.get(own, np.zeros(len(track.w_ih), track.dtype))),
        rngs=nnx.Rngs(0),
    )
    for part in ("dense_i", "dense_h"):
        dense, bias = getattr(cell, part), arrays.get(f"{part}.bias")
        if dense.use_bias != (bias is not None):
            dense.use_bias = bias is not None
            dense.bias = nnx.data(None) if bias is None else nnx.Param(tensor(bias, None))
    return cell
