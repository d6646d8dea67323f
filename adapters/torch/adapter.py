"""torch.nn.RNN, GRU and LSTM. Layers, directions and layouts are torch's; a single reverse direction is added here."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from reference import Case, CellParameters, Gradients, RNNSpec
from reference.layout import each_state
from reference.spec import dtype_name

from .. import mapping
from ..capabilities import NARROW_ARITHMETICS
from ..contract import Capabilities, NotOffered, Refusal, Result, features_of_case, layout_of, with_modes
from ..inputs import Framework, Inputs, Known
from .gradients import gradients_of
from .idioms import idioms
from .mapping import MAPPING
from .models import LAYERS, REVERSED, padded
from .modes import MODES, Answer, Arguments, ModeRunner
from .read import array_of, native, suffix
from .script import torch_script
from .settings import environment, settings
from .tensors import packed, tensor

LACKING = ("functional", "sequential", "predict", "unrolled")
ON_CUDA = ("moved", "fallback")
WIDE = ("float32", "float64")
# what torch.export says of packed sequences, which are as many steps as their lengths say
GUARDED = Refusal("GuardOnDataDependentSymNode", "data-dependent expression")
UNTRACED = {
    ("direction", "reverse"): GUARDED,
    ("h0", True): GUARDED,
    ("h0", False): Refusal("TypeError", "zeros(): argument 'size' failed to unpack the object"),
}
# autocast narrows the products of a GRU and an LSTM, whose states stay in float32 on a CPU
MIXED = {
    (("mode", "mixed"), ("cell", cell), ("dtype", dtype)): f"{dtype}_of_float32"
    for cell in ("gru", "lstm")
    for dtype in ("float16", "bfloat16")
}


class TorchAdapter(Framework):
    """torch.nn.RNN, GRU and LSTM on CPU and CUDA."""

    name = "torch"
    framework: Any = torch
    version = str(torch.__version__)  # torch's own class of strings is more than a str
    capabilities = Capabilities(
        unsupported={
            ("mask", True): "torch's layers take no mask; packed sequences have their padding at the end",
            **{("mode", mode): "torch has nothing of the kind" for mode in LACKING},
            **{("mode", mode): "a matter of CUDA" for mode in ON_CUDA},
        },
        together={
            (("mode", "scripted"), ("direction", "reverse")): "the ReverseRNN of this adapter cannot be scripted",
            **{(("mode", "mixed"), ("dtype", dtype)): "autocast is to a narrow dtype" for dtype in WIDE},
        },
        refused={
            (("lengths", "with zeros"),): Refusal("RuntimeError", "Length of all samples has to be greater than 0"),
            (("lengths", "with zeros"), ("time", "0")): Refusal("RuntimeError", "Cannot pack empty tensors"),
            (("time", "0"),): Refusal("RuntimeError", "Expected sequence length to be larger than 0 in RNN"),
            **{
                (("lengths", lengths), beside, ("mode", "exported")): said
                for lengths in ("mixed", "with zeros")
                for beside, said in UNTRACED.items()
            },
            (("time", "0"), ("mode", "exported")): Refusal("ValueError", "cat expects at least one tensor"),
        },
        emulated={
            ("direction", "reverse"): "torch.nn.RNN runs forward or both ways; ReverseRNN flips before and after"
        },
        arithmetics=MIXED | NARROW_ARITHMETICS,
        offers=(
            *(("mode", mode) for mode in MODES),
            ("cell", "gru"),
            ("cell", "lstm"),
            ("projection", True),
            ("gradients", True),
        ),
        gradient_modes=(
            "eager",
            "compiled",
            "scripted",
            "traced",
            "exported",
            "bfloat16_products",
            "tf32",
            "deterministic",
            "fallback",
        ),
    )
    environment = staticmethod(environment)

    def __init__(self) -> None:
        self.idioms = idioms(self)

    @cached_property
    def _on_cuda(self) -> Capabilities:
        return with_modes(self.capabilities, ON_CUDA)

    def capabilities_on(self, device: str) -> Capabilities:
        return self._on_cuda if device.startswith("cuda") else self.capabilities

    def devices(self) -> tuple[str, ...]:
        return ("cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count())))

    def _make(self, spec: RNNSpec, parameters: list[CellParameters], device: str, mode: str, layout: str | None) -> Any:
        """A torch.nn.RNN, GRU or LSTM in eval(); one of REVERSED for the direction "reverse"; a ModeRunner for any
        mode but "eager".

        Its batch_first is True for the layouts "batch_first" and "unbatched", which torch calls alike either way.
        Where a framework that the spec was read from holds the last output beyond a length (spec.held), the answers
        still differ there: pad_packed_sequence puts zeros. h_n and all other outputs are the same.
        """
        asked = parameters[0].dtype
        if mode == "mixed":
            parameters = [cell.astype("float32") for cell in parameters]
        kind: Any = (REVERSED if spec.direction == "reverse" else LAYERS)[spec.cell]
        own = {"elman": {"nonlinearity": spec.nonlinearity}, "lstm": {"proj_size": spec.projection_size}}
        users = torch.get_rng_state()  # torch draws weights, which are written over
        try:
            module = kind(
                spec.input_size,
                spec.hidden_size,
                spec.num_layers,
                bias=spec.bias,
                bidirectional=spec.direction == "bidirectional",
                batch_first=layout_of(spec, layout) != "time_first",
                device="cpu",  # whatever the user's default
                dtype=getattr(torch, dtype_name(parameters[0].dtype)),
                **own.get(spec.cell, {}),
            )
        finally:
            torch.set_rng_state(users)
        with torch.no_grad():
            for index, cell in enumerate(parameters):
                for name, array in mapping.native(spec, MAPPING[spec.cell], cell).items():
                    getattr(module, name + suffix(spec, index)).copy_(tensor(array))
        if device != "cpu":
            module = module.to(device)
            module.flatten_parameters()
        return module.eval() if mode == "eager" else ModeRunner(module.eval(), mode, asked)

    def _known(self, module: Any) -> Known:
        runner = module if isinstance(module, ModeRunner) else None
        known = native(runner.rnn if runner else module)
        mode, dtype = (runner.mode, runner.dtype) if runner else ("eager", known.dtype)
        return Known(runner or partial(_eager, known.view), known.spec, dtype, mode, str(known.device))

    def _run(self, known: Known, inputs: Inputs) -> Result:
        inputs, arguments = packed(inputs, known.device)
        with settings(known.mode, known.device):
            output, h_n = known.native(inputs.layout == "batch_first", arguments)
        return inputs.result([array_of(output)], each_state(array_of, h_n))

    def _gradients(self, module: Any, known: Known, inputs: Inputs, cotangents: tuple[Any, Any]) -> Gradients:
        """Of torch's own layers, called as they were built; ReverseRNN is one."""
        module = module.rnn if isinstance(module, ModeRunner) else module
        if inputs.layout == "unbatched" and inputs.lengths is not None:  # packed sequences are batched
            inputs = inputs.to("time_first")
        given = inputs.cotangents(cotangents)
        with settings(known.mode, known.device):
            return inputs.gradients(gradients_of(module, known, inputs, given))

    def _dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str) -> np.ndarray:
        head = torch.nn.Linear(weight.shape[1], weight.shape[0], device=device, dtype=tensor(weight).dtype)
        with torch.no_grad(), settings(device=device):
            head.weight.copy_(tensor(weight))
            head.bias.copy_(tensor(bias))
            return array_of(head(tensor(x).to(device)))

    def _activation(self, a: np.ndarray, nonlinearity: str, device: str) -> np.ndarray:
        return array_of(getattr(torch, nonlinearity)(tensor(a).to(device)))

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """The spec and copies of the parameters that the module's next native call computes with.

        spec.layout is the module's own; spec.held is False, as torch pads with zeros. NotOffered for a module of which
        something may change what torch's own code computes: hooks, overridden methods, weights of other shapes.
        """
        known = native(module)
        return known.spec, known.parameters()

    def script(self, case: Case, device: str = "cpu", way: str = "eager") -> str:
        """Raises NotOffered for a case with a mask, which torch.nn.RNN has not, for one that an idiom lacks, and for
        gradients in an idiom or a mode, of which it writes none."""
        if case.cotangents is not None and way != "eager":
            raise NotOffered(f"script: gradients, {way}: the adapter writes none of it")
        if way in self.idioms:
            self.idioms[way].narrowed(self.capabilities).require(features_of_case(case))
        else:
            self.capabilities.require({"mask": case.mask is not None})
        return torch_script(case, device, way)


def _eager(view: torch.nn.RNNBase, batch_first: bool, arguments: Arguments) -> Answer:
    x, hx, lengths = arguments
    vars(view)["batch_first"] = batch_first  # torch's __setattr__ takes ten times as long
    with torch.no_grad():
        return view(x, hx) if lengths is None else padded(view)(x, hx, lengths)
