"""Keras SimpleRNN, GRU and LSTM, alone, stacked and in Bidirectional; written against `keras`, on any backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reference import Case, CellParameters, Gradients, RNNSpec
from reference.judging.view import WHOLE

# Before keras itself is imported: it refuses what cannot be used.
from .settings import BACKEND, FORWARD_ALONE, VERSION, array_of, environment, gpu_count, on, tensor  # isort: split

import keras

from ..capabilities import NARROW_ARITHMETICS
from ..contract import Capabilities, Compiles, Result, layout_of, with_modes
from ..inputs import Framework, Inputs, Known
from ..readers import refuse
from .gradients import gradients_of
from .idioms import IDIOMS
from .mapping import MAPPING, h_n_of, start_of
from .modes import (
    BUILT_WITH,
    KEPT,
    LACKING,
    MODES,
    ON_CUDA,
    REFUSED,
    TOGETHER,
    ModeRunner,
    fill,
    layer_of,
    one_by_one,
    plain,
)
from .read import read_model
from .script import keras_script


class KerasAdapter(Framework):
    """keras SimpleRNN, GRU and LSTM on the backend that KERAS_BACKEND names."""

    name = "keras"
    backend = BACKEND
    framework: Any = keras
    version = f"{keras.__version__} on {BACKEND} {VERSION}"
    capabilities = Capabilities(
        unsupported={
            **{("mode", mode): reason for mode, reason in (LACKING | ON_CUDA).items()},
            **({("gradients", True): f"{FORWARD_ALONE}, the backend of Keras, computes none"} if FORWARD_ALONE else {}),
        },
        together=TOGETHER,
        refused=REFUSED,
        emulated={
            ("layout", "time_first"): "Keras 3 has batch-first layers only; the adapter transposes",
            ("layout", "unbatched"): "Keras layers are batched; the adapter adds and removes a batch of 1",
            ("direction", "reverse"): "go_backwards answers in processing order; the adapter puts it in time order",
            ("mode", "sequential"): "a sequential model shows no states: h_n is taken from its output",
        },
        arithmetics=NARROW_ARITHMETICS,
        offers=(
            ("mask", True),
            ("gradients", True),
            *(("mode", mode) for mode in MODES),
            *(("cell", cell) for cell in MAPPING),
        ),
        gradient_modes=(
            "eager",
            "unrolled",
            "traced",
            "tf32",
            "bfloat16_products",
            "fallback",
            *(() if BACKEND == "torch" else ("compiled",)),  # there it takes minutes, in C++
        ),
    )
    compiles = Compiles(KEPT) if KEPT else None
    idioms = IDIOMS
    environment = staticmethod(environment)

    def capabilities_on(self, device: str) -> Capabilities:
        return with_modes(self.capabilities, ON_CUDA) if device.startswith("cuda") else self.capabilities

    def devices(self) -> tuple[str, ...]:
        return ("cpu", *(f"cuda:{index}" for index in range(gpu_count())))

    def _make(self, spec: RNNSpec, parameters: list[CellParameters], device: str, mode: str, layout: str | None) -> Any:
        """A functional keras.Model of plain layers: model(x) and model(x, mask=mask) answer [output, *final states].

        x (batch, time, features): Keras layers are batch first, whatever layout the spec was read in; any other that is
        asked for is refused. output (batch, time, units), in time order; a state (batch, units) for each track, of LSTM
        h and c. At a masked step the output is zero, or, where spec.held, that of the step processed before.

        Keras alone saves it as a .keras file, and loads it. It takes no initial states, because Keras forgets the mask
        of a sequence that a layer is given beside a state; its layers take both, one by one:
        layer(x, initial_state=[...], mask=mask). Several layers that go backwards are one RNN layer of stacked cells:
        see plain.
        """
        other = layout is not None and layout_of(spec, layout) != "batch_first"
        refuse(f"layout {layout}", {"Keras layers are batch first": other})
        cannot = "got True, expected False: Bidirectional answers zero at masked steps"
        refuse("held", {cannot: spec.held and spec.direction == "bidirectional"})
        dtype = parameters[0].dtype.name
        self.capabilities_on(device).require({"dtype": dtype})  # of which weights are kept exactly
        if mode == "mixed":
            dtype, parameters = f"mixed_{dtype}", [cell.astype("float32") for cell in parameters]
        with on(device, parameters[0].dtype):
            words = BUILT_WITH.get(mode, {})
            layers = [layer_of(spec, layer, dtype, **words) for layer in range(spec.num_layers)]
            fill(spec, layers, parameters)
            stack = ModeRunner(layers, mode, spec, device)
            if mode != "eager":
                return stack
            model = plain(stack)
        model.device = device
        return model

    def _known(self, module: Any) -> Known:
        """Of what build returned, or of a model that answers as it does: a stack that is called layer by layer."""
        called = module
        if not isinstance(module, ModeRunner):
            spec, _, layers = read_model(module)
            whole = all(layer.return_sequences and layer.return_state for layer in layers)
            got = f"got {type(module).__name__}, expected a model that answers whole sequences and all states, such as"
            refuse("module", {f"{got} build(*read(module))": not whole})
            called = ModeRunner(one_by_one(layers), "eager", spec, getattr(module, "device", "cpu"))
        return Known(called, called.spec, np.dtype(called.dtype), called.mode, called.device)

    def _fill(self, known: Known, parameters: Sequence[CellParameters]) -> None:
        with on(known.device, known.dtype):
            fill(known.spec, known.native.layers, parameters)

    def _run(self, known: Known, inputs: Inputs) -> Result:
        inputs = inputs.to("batch_first")
        with on(known.device, known.dtype, known.mode):
            start = (given := start_of(known.spec, inputs.h0)) and [tensor(state) for state in given]
            valid = None if inputs.valid is None else tensor(inputs.valid)
            outputs, states = known.native(tensor(inputs.x), start, valid)
        h_n = h_n_of(known.spec, [array_of(state) for state in states])
        # where the layers hold their output at masked steps, the suite's answer is zero
        return inputs.result([array_of(output) for output in outputs], h_n, zero_padding=bool(known.spec.held))

    def _gradients(self, module: Any, known: Known, inputs: Inputs, cotangents: tuple[Any, Any]) -> Gradients:
        """Of the layers that run calls, one by one, with training=True."""
        inputs = inputs.to("batch_first")
        with on(known.device, known.dtype, known.mode):
            return inputs.gradients(gradients_of(known.native, inputs, inputs.cotangents(cotangents)))

    def _dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str) -> np.ndarray:
        with on(device, x.dtype):
            head = keras.layers.Dense(len(weight), dtype=weight.dtype.name)
            head.build((None, weight.shape[1]))
            head.set_weights([np.array(weight.T, order="C"), np.array(bias)])
            return array_of(head(tensor(x)))

    def _activation(self, a: np.ndarray, nonlinearity: str, device: str) -> np.ndarray:
        with on(device, a.dtype):
            return array_of(keras.activations.get(nonlinearity)(tensor(a)))

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """Of a SimpleRNN, GRU or LSTM, a Bidirectional one, RNN of their cells, or a sequential or functional model
        that stacks them, such as build returns.

        What is read is what inference computes: dropout and recurrent_dropout have no effect on it. What build makes
        of it answers as the module does, with masks too: the sequence, or its last output, and the final states.
        Raises NotOffered, with the reason, for anything else.
        """
        spec, parameters, _ = read_model(module)
        return spec, parameters

    def script(self, case: Case, device: str = "cpu", way: str = "eager") -> str:
        view = self.idioms[way].view if way in self.idioms else WHOLE
        return keras_script(case, device, BACKEND, way, view)
