"""torch's two exporters to ONNX, and what is given to them: a recurrent layer with its packing around it."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ..onnx.runtimes import onnxruntime
from ..torch.adapter import tensor

# inputs by name to outputs, in their order
Call = Callable[[dict[str, np.ndarray]], list[np.ndarray]]


class Whole(torch.nn.Module):
    """An RNN as a module of x, hx and lengths, as a user has it exported: packing is part of what is exported."""

    def __init__(self, rnn: torch.nn.RNN, batch_first: bool, reverse: bool) -> None:
        super().__init__()
        self.rnn = copy.copy(rnn)
        self.rnn.batch_first = batch_first
        self.batch_first, self.reverse = batch_first, reverse

    def forward(self, x: Tensor, hx: Tensor | None = None, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self._flipped(x, lengths)
        if lengths is None:
            output, h_n = self.rnn(x, hx)
        else:
            packed = pack_padded_sequence(x, lengths, self.batch_first, False)
            answer, h_n = self.rnn(packed, hx)
            total = x.shape[1 if self.batch_first else 0]
            output, _ = pad_packed_sequence(answer, self.batch_first, 0.0, total)
        return self._flipped(output, lengths), h_n

    def _flipped(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Each sequence from its last step to its first, where the direction is reverse; padding stays."""
        if not self.reverse:
            return x
        time = 1 if self.batch_first and x.dim() == 3 else 0
        if lengths is None:
            return x.flip(time)
        step = torch.arange(x.shape[time], device=lengths.device)
        source = torch.where(step < lengths[:, None], lengths[:, None] - 1 - step, step)
        source = source if self.batch_first else source.transpose(0, 1)
        return x.gather(time, source[:, :, None].expand_as(x))


def traced(module: torch.nn.Module, arguments: dict[str, Tensor]) -> Any:
    """The older exporter's onnx.ModelProto: an RNN node for each layer, of any number of steps and sequences."""
    axes = {"x": {0: "a", 1: "b"}, "hx": {1: "batch"}, "lengths": {0: "batch"}}
    if arguments["x"].dim() == 2:
        axes = {"x": {0: "time"}}
    names = list(arguments)
    file: Any = io.BytesIO()  # which the annotation of export leaves out
    with quiet():
        torch.onnx.export(
            module,
            (),
            file,
            kwargs=arguments,
            dynamo=False,
            input_names=names,
            output_names=["output", "h_n"],
            dynamic_axes={name: axes[name] for name in names if name in axes},
        )
    return onnx.load_from_string(file.getvalue())


def by_tracing(module: torch.nn.Module, arguments: dict[str, Tensor]) -> Call:
    return _in_order(traced(module, arguments), list(arguments))


def by_export(module: torch.nn.Module, arguments: dict[str, Tensor]) -> Call:
    """The newer exporter: torch.export, which takes a layer apart, step by step."""
    with quiet():
        program: Any = torch.onnx.export(module, kwargs=arguments, dynamo=True, verbose=False)
    return _in_order(program.model_proto, list(arguments))


EXPORTERS = {"eager": by_tracing, "exported": by_export}


def operator(module: torch.nn.Module, array: np.ndarray) -> np.ndarray:
    """The answer of a module of one array, exported by tracing."""
    axes = {axis: f"axis_{axis}" for axis in range(array.ndim)}
    file: Any = io.BytesIO()  # which the annotation of export leaves out
    with quiet():
        example = (tensor(np.ascontiguousarray(array)),)
        torch.onnx.export(module, example, file, dynamo=False, input_names=["x"], dynamic_axes={"x": axes})
    (answer,) = _in_order(onnx.load_from_string(file.getvalue()), ["x"])({"x": array})
    return answer


def _in_order(model: Any, names: list[str]) -> Call:
    """A session of an exported model; its inputs keep their order, whatever their names have become."""
    call = onnxruntime().load(model)
    there = [value.name for value in model.graph.input]
    if len(there) != len(names):
        raise RuntimeError(f"exported: got inputs {there}, expected {names}")
    outputs = [value.name for value in model.graph.output]

    def ask(feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        answers = call({new: np.ascontiguousarray(feeds[old]) for new, old in zip(there, names, strict=True)})
        return [np.array(answers[name]) for name in outputs]

    return ask


@contextmanager
def quiet() -> Iterator[None]:
    """Without what the exporters say each time: that one is deprecated, and how lengths are to be used."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
