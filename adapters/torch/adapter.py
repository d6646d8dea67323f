"""torch.nn.RNN. Layers, directions and layouts are torch's own; the single reverse direction is added here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from reference import Case, CellParameters, Lengths, RNNSpec
from reference.arguments import check_inputs

from ..contract import (
    Capabilities,
    Result,
    expect_activation,
    expect_build,
    expect_dense,
    features_of,
    layout_of,
    with_modes,
)
from .modes import MODES, InMode
from .read import PARAMETER_NAMES, array_of, native, suffix
from .reverse import ReverseRNN
from .script import torch_script
from .settings import environment, settings

LACKING = ("functional", "sequential", "predict", "unrolled")
ON_CUDA = ("moved", "fallback")
WIDE = ("float32", "float64")


class TorchAdapter:
    """torch.nn.RNN on CPU and CUDA."""

    name = "torch"
    framework: Any = torch
    version = str(torch.__version__)  # torch's own class of strings is more than a str
    capabilities = Capabilities(
        unsupported={
            ("lengths", "with zeros"): "torch.nn.utils.rnn.pack_padded_sequence refuses a length of 0",
            ("time", "0"): "torch.nn.RNN refuses a sequence without steps",
            ("mask", True): "torch.nn.RNN takes no mask; packed sequences have their padding at the end",
            **{("mode", mode): "torch has nothing of the kind" for mode in LACKING},
            **{("mode", mode): "a matter of CUDA" for mode in ON_CUDA},
        },
        together={
            (("mode", "exported"), ("lengths", "mixed")): "torch.export cannot trace packed sequences",
            (("mode", "scripted"), ("direction", "reverse")): "the ReverseRNN of this adapter cannot be scripted",
            **{(("mode", "mixed"), ("dtype", dtype)): "autocast is to a narrow dtype" for dtype in WIDE},
        },
        emulated={
            ("direction", "reverse"): "torch.nn.RNN runs forward or both ways; ReverseRNN flips before and after"
        },
        arithmetics={
            (("dtype", "float16"),): "float16_accumulate_float32",
            (("dtype", "bfloat16"),): "bfloat16_accumulate_float32",
            (("dtype", "float32"), ("mode", "tf32")): "tf32",
            (("dtype", "float32"), ("mode", "bfloat16_products")): "bfloat16_products",
        },
        offers=tuple(("mode", mode) for mode in MODES),
    )

    def capabilities_on(self, device: str) -> Capabilities:
        return with_modes(self.capabilities, ON_CUDA) if device.startswith("cuda") else self.capabilities

    def devices(self) -> tuple[str, ...]:
        return ("cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count())))

    def environment(self) -> dict[str, Any]:
        return environment()

    def build(
        self,
        spec: RNNSpec,
        parameters: Sequence[CellParameters],
        device: str = "cpu",
        dtype: str | None = None,
        mode: str = "eager",
        layout: str | None = None,
    ) -> Any:
        """A torch.nn.RNN in eval(); a ReverseRNN for the direction "reverse"; an InMode for any mode but "eager".

        Its batch_first is True for the layouts "batch_first" and "unbatched", which torch calls alike either way.
        Where a framework that the spec was read from holds the last output beyond a length (spec.held), the answers
        still differ there: pad_packed_sequence puts zeros. h_n and all other outputs are the same.
        """
        parameters = expect_build(self, spec, parameters, device, dtype, mode)
        asked = parameters[0].dtype
        if mode == "mixed":
            parameters = [cell.astype("float32") for cell in parameters]
        kind = ReverseRNN if spec.direction == "reverse" else torch.nn.RNN
        with torch.random.fork_rng(devices=[]), torch.no_grad():  # the user's random numbers stay as they are
            module = kind(
                spec.input_size,
                spec.hidden_size,
                spec.num_layers,
                nonlinearity=spec.nonlinearity,
                bias=spec.bias,
                bidirectional=spec.direction == "bidirectional",
                batch_first=layout_of(spec, layout) != "time_first",
                device="cpu",  # whatever the user's default
                dtype=getattr(torch, parameters[0].dtype.name),
            )
            for name, array in _named(spec, parameters):
                getattr(module, name).copy_(tensor(array))
        module = module.to(device)
        module.flatten_parameters()
        return module.eval() if mode == "eager" else InMode(module.eval(), mode, asked)

    def run(
        self,
        module: Any,
        x: np.ndarray,
        h0: np.ndarray | None = None,
        lengths: Lengths = None,
        layout: str = "batch_first",
        mask: np.ndarray | None = None,
    ) -> Result:
        if isinstance(module, InMode) and mask is None:
            return self._run_in_mode(module, x, h0, lengths, layout)
        module = module.module if isinstance(module, InMode) else module
        known = native(module)
        spec, view, device = known.spec, known.view, known.device
        check_inputs(spec, x, h0, lengths, layout, known.dtype, mask)
        self.capabilities.require(features_of(spec, x, h0, lengths, layout, mask=mask))
        view.batch_first = layout == "batch_first"
        hx = None if h0 is None else tensor(h0).to(device)
        with torch.no_grad(), settings():
            if lengths is None or not np.size(lengths):  # torch packs no empty batch, and there is nothing to pack
                output, h_n = view(tensor(x).to(device), hx)
            else:
                output, h_n = _run_packed(view, tensor(x).to(device), hx, np.asarray(lengths), layout)
        return Result(array_of(output), array_of(h_n))

    def _run_in_mode(
        self, prepared: InMode, x: np.ndarray, h0: np.ndarray | None, lengths: Lengths, layout: str
    ) -> Result:
        known = native(prepared.module)
        spec, device = known.spec, known.device
        check_inputs(spec, x, h0, lengths, layout, prepared.dtype)
        capabilities = self.capabilities_on(device.type)
        capabilities.require(features_of(spec, x, h0, lengths, layout, mode=prepared.mode))
        packed = lengths is not None and np.size(lengths) > 0
        unbatched = layout == "unbatched" and packed
        arguments = (
            tensor(x[:, None] if unbatched else x).to(device),
            None if h0 is None else tensor(h0[:, None] if unbatched else h0).to(device),
            torch.from_numpy(np.atleast_1d(np.asarray(lengths)).astype(np.int64)) if packed else None,
        )
        with settings(prepared.mode):
            output, h_n = prepared(layout == "batch_first", arguments)
        output, h_n = (output[:, 0], h_n[:, 0]) if unbatched else (output, h_n)
        return Result(array_of(output), array_of(h_n))

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        expect_dense(self, weight, bias, x, device)
        head = torch.nn.Linear(weight.shape[1], weight.shape[0], device=device, dtype=tensor(weight).dtype)
        with torch.no_grad(), settings():
            head.weight.copy_(tensor(weight))
            head.bias.copy_(tensor(bias))
            return array_of(head(tensor(x).to(device)))

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        expect_activation(self, a, nonlinearity, device)
        return array_of(getattr(torch, nonlinearity)(tensor(a).to(device)))

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """The spec and copies of the parameters that the module's next native call computes with.

        spec.layout is the module's own; spec.held is False, as torch pads with zeros. NotOffered for a module of which
        something may change what torch's own code computes: hooks, overridden methods, weights of other shapes.
        """
        known = native(module)
        return known.spec, known.parameters()

    def script(self, case: Case, device: str = "cpu") -> str:
        """A case with a mask raises Unsupported: there is nothing of torch's to call."""
        self.capabilities.require({"mask": case.mask is not None})
        return torch_script(case, device)


def _named(spec: RNNSpec, parameters: Sequence[CellParameters]) -> list[tuple[str, np.ndarray]]:
    """torch's names of all parameters, with their arrays."""
    return [
        (PARAMETER_NAMES[field] + suffix(spec, index), array)
        for index, cell in enumerate(parameters)
        for field, array in cell.arrays().items()
    ]


def _run_packed(
    module: torch.nn.RNN, x: torch.Tensor, hx: torch.Tensor | None, lengths: np.ndarray, layout: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences of different lengths, packed; packed sequences are batched, so an unbatched one gets a batch of 1."""
    unbatched = layout == "unbatched"
    if unbatched:
        x, hx = x[:, None], None if hx is None else hx[:, None]
    first = module.batch_first
    steps = torch.from_numpy(np.atleast_1d(lengths).astype(np.int64))
    packed, h_n = module(pack_padded_sequence(x, steps, batch_first=first, enforce_sorted=False), hx)
    output, _ = pad_packed_sequence(packed, batch_first=first, total_length=x.shape[1 if first else 0])
    return (output[:, 0], h_n[:, 0]) if unbatched else (output, h_n)


def tensor(array: np.ndarray) -> torch.Tensor:
    """A tensor of the same values, dtype and, where torch can express them, strides."""
    if not array.flags.writeable or any(stride < 0 or stride % array.itemsize for stride in array.strides):
        array = array.copy(order="K")
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array)
