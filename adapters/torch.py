"""torch.nn.RNN. Layers, directions and layouts are torch's own; the single reverse direction is added here."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from reference import Case, CellParameters, Lengths, RNNSpec
from reference.arguments import check_inputs

from .contract import Capabilities, Result, Unsupported, expect_build, expect_device, features_of, with_modes
from .torch_modes import InMode
from .torch_script import torch_script
from .torch_settings import environment, settings

# PARAMETER_NAMES[field of CellParameters] = torch's prefix; rows are units and both biases are kept in both
PARAMETER_NAMES = {"w_ih": "weight_ih", "w_hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh"}


LACKING = ("functional", "sequential", "predict", "unrolled")
ON_CUDA = ("moved", "fallback")
WIDE = ("float32", "float64")


class ReverseRNN(torch.nn.RNN):
    """torch.nn.RNN from the last valid step to the first: each sequence is reversed within its length, and back."""

    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002 (torch's own name)
        if isinstance(input, PackedSequence):
            output, h_n = super().forward(_reverse_packed(input, self.batch_first), hx)
            return _reverse_packed(output, self.batch_first), h_n
        time = 1 if self.batch_first and input.dim() == 3 else 0
        output, h_n = super().forward(input.flip(time), hx)
        return output.flip(time), h_n


def _reverse_packed(packed: PackedSequence, batch_first: bool) -> PackedSequence:
    padded, lengths = pad_packed_sequence(packed, batch_first=True)
    step = torch.arange(padded.shape[1])
    source = torch.where(step < lengths[:, None], lengths[:, None] - 1 - step, step).to(padded.device)
    reversed_ = padded.gather(1, source[:, :, None].expand_as(padded))
    reversed_ = reversed_ if batch_first else reversed_.transpose(0, 1)
    return pack_padded_sequence(reversed_, lengths, batch_first=batch_first, enforce_sorted=False)


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
            ("direction", "reverse"): "torch.nn.RNN runs forward or both ways; ReverseRNN flips before and after",
        },
        arithmetics={
            (("dtype", "float16"),): "float16_accumulate_float32",
            (("dtype", "bfloat16"),): "bfloat16_accumulate_float32",
            (("dtype", "float32"), ("mode", "tf32")): "tf32",
            (("dtype", "float32"), ("mode", "bfloat16_products")): "bfloat16_products",
        },
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
    ) -> Any:
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
        spec = _spec(module)
        weight = next(module.parameters())
        check_inputs(spec, x, h0, lengths, layout, np.dtype(str(weight.dtype).removeprefix("torch.")), mask)
        self.capabilities.require(features_of(spec, x, h0, lengths, layout, mask=mask))
        view = copy.copy(module)  # shares the parameters; the caller's module keeps its own batch_first
        view.batch_first = layout == "batch_first"
        hx = None if h0 is None else tensor(h0).to(weight.device)
        with torch.no_grad(), settings():
            if lengths is None or not np.size(lengths):  # torch packs no empty batch, and there is nothing to pack
                output, h_n = view(tensor(x).to(weight.device), hx)
            else:
                output, h_n = _run_packed(view, tensor(x).to(weight.device), hx, np.asarray(lengths), layout)
        return Result(array_of(output), array_of(h_n))

    def _run_in_mode(
        self, prepared: InMode, x: np.ndarray, h0: np.ndarray | None, lengths: Lengths, layout: str
    ) -> Result:
        spec, weight = _spec(prepared.module), next(prepared.module.parameters())
        check_inputs(spec, x, h0, lengths, layout, prepared.dtype)
        capabilities = self.capabilities_on(weight.device.type)
        capabilities.require(features_of(spec, x, h0, lengths, layout, mode=prepared.mode))
        packed = lengths is not None and np.size(lengths) > 0
        unbatched = layout == "unbatched" and packed
        arguments = (
            tensor(x[:, None] if unbatched else x).to(weight.device),
            None if h0 is None else tensor(h0[:, None] if unbatched else h0).to(weight.device),
            torch.from_numpy(np.atleast_1d(np.asarray(lengths)).astype(np.int64)) if packed else None,
        )
        with settings(prepared.mode):
            output, h_n = prepared(layout == "batch_first", arguments)
        output, h_n = (output[:, 0], h_n[:, 0]) if unbatched else (output, h_n)
        return Result(array_of(output), array_of(h_n))

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        expect_device(device, self.devices())
        head = torch.nn.Linear(weight.shape[1], weight.shape[0], device=device, dtype=tensor(weight).dtype)
        with torch.no_grad(), settings():
            head.weight.copy_(tensor(weight))
            head.bias.copy_(tensor(bias))
            return array_of(head(tensor(x).to(device)))

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        expect_device(device, self.devices())
        return array_of(getattr(torch, nonlinearity)(tensor(a).to(device)))

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        spec = _spec(module)
        cells = []
        for index in range(spec.num_cells):
            suffix = _suffix(spec, index)
            fields = {f: getattr(module, n + suffix, None) for f, n in PARAMETER_NAMES.items()}
            cells.append(CellParameters(**{f: array_of(p) for f, p in fields.items() if p is not None}))
        return spec, cells

    def script(self, case: Case, device: str = "cpu") -> str:
        """A case with a mask raises Unsupported: there is nothing of torch's to call."""
        self.capabilities.require({"mask": case.mask is not None})
        return torch_script(case, device)


def _named(spec: RNNSpec, parameters: Sequence[CellParameters]) -> list[tuple[str, np.ndarray]]:
    """torch's names of all parameters, with their arrays."""
    return [
        (PARAMETER_NAMES[field] + _suffix(spec, index), array)
        for index, cell in enumerate(parameters)
        for field, array in cell.arrays().items()
    ]


def _suffix(spec: RNNSpec, index: int) -> str:
    layer, direction = divmod(index, spec.num_directions)
    return f"_l{layer}{'_reverse' if direction else ''}"


def _spec(module: Any) -> RNNSpec:
    """What a native module computes; Unsupported, with the reason, where RNNSpec cannot say it."""
    if not isinstance(module, torch.nn.RNN):
        raise Unsupported(f"module: got {type(module).__name__}, expected torch.nn.RNN")
    if type(module).forward not in (torch.nn.RNN.forward, ReverseRNN.forward):
        raise Unsupported(f"module: got {type(module).__name__}, whose forward is its own: it may compute anything")
    if module.dropout and module.training and module.num_layers > 1:
        raise Unsupported(f"module: got dropout={module.dropout} in training, expected eval(): its answer is random")
    direction = "bidirectional" if module.bidirectional else "reverse" if isinstance(module, ReverseRNN) else "forward"
    return RNNSpec(
        module.input_size, module.hidden_size, module.num_layers, direction, module.nonlinearity, module.bias
    )


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


def array_of(value: torch.Tensor) -> np.ndarray:
    """A NumPy copy of a tensor on any device."""
    value = value.detach().cpu()
    if value.dtype == torch.bfloat16:
        import ml_dtypes

        return value.view(torch.uint16).numpy().view(ml_dtypes.bfloat16).copy()
    return value.numpy().copy()
