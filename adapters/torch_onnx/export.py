"""torch's two exporters to ONNX: given a PaddedRNN, a recurrent layer with its packing around it."""

from __future__ import annotations

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

from ..onnx.onnxruntime import load
from ..torch.adapter import tensor

# inputs by name to outputs, in their order
Call = Callable[[dict[str, np.ndarray]], list[np.ndarray]]


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
    call = load(model)
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
