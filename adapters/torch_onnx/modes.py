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

from ..onnx.runtimes import onnxruntime
from ..torch.models import PaddedRNN

# the axes of an input that are of any size
FREE = {"x": slice(0, -1), "hx": slice(1, -1), "lengths": slice(1), "input": slice(None)}
# inputs by name to outputs, in their order
Call = Callable[[dict[str, np.ndarray]], list[np.ndarray]]


def traced(module: torch.nn.Module, arguments: dict[str, Tensor]) -> Any:
    """The older exporter's onnx.ModelProto: an RNN node for each layer, of any number of steps and sequences.

    arguments: x, hx and lengths of a PaddedRNN, or the input of another module, which is of any size.
    """
    free = {name: [*range(array.dim())][FREE[name]] for name, array in arguments.items()}
    file: Any = io.BytesIO()  # which the annotation of export leaves out
    with quiet():
        torch.onnx.export(module, (), file, kwargs=arguments, dynamo=False, input_names=[*arguments], dynamic_axes=free)
    return onnx.load_from_string(file.getvalue())


def by_tracing(module: torch.nn.Module, arguments: dict[str, Tensor]) -> Call:
    return _in_order(traced(module, arguments), list(arguments))


def by_export(module: torch.nn.Module, arguments: dict[str, Tensor], **more: Any) -> Call:
    """The newer exporter: torch.export, which takes a layer apart, step by step.  more: what it is told beside."""
    with quiet():
        program: Any = torch.onnx.export(module, kwargs=arguments, dynamo=True, verbose=False, **more)
    return _in_order(program.model_proto, list(arguments))


def with_dynamic_steps(padded: PaddedRNN, arguments: dict[str, Tensor]) -> Call:
    """The newer exporter, asked for a model of any number of steps."""
    steps = {1 if padded.batch_first and arguments["x"].dim() == 3 else 0: torch.export.Dim.DYNAMIC}
    return by_export(padded, arguments, dynamic_shapes={name: steps if name == "x" else None for name in arguments})


EXPORTERS = {"eager": by_tracing, "exported": by_export}


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
