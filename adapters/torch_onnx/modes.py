"""torch's exporters to ONNX: given a PaddedRNN, a recurrent layer with its packing around it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
import torch

from ..onnx.runtimes import onnxruntime
from . import ways

# inputs by name to outputs, in their order
Call = Callable[[dict[str, np.ndarray]], list[np.ndarray]]
# a module, its arguments, and their axes of any size, to a model's bytes: ways.py
Export = Callable[[torch.nn.Module, dict[str, Any], dict[str, dict[int, str]]], bytes]
EXPORTERS: dict[str, Export] = {"eager": ways.traced, "exported": ways.exported}


def axes_of(arguments: dict[str, Any], batch_first: bool) -> dict[str, dict[int, str]]:
    """The names of the axes of any size, of x, hx and lengths of a PaddedRNN; those of hx are of each of its states.

    Of another module's input, all its axes are.
    """
    sequence = ("batch", "time") if batch_first else ("time", "batch")
    names = {"x": sequence, "hx": (None, "batch"), "lengths": ("batch",)}
    single = {"x": ("time",), "hx": (), "lengths": ("batch",)}
    found = {}
    for name, array in arguments.items():
        of_one = name in ("x", "hx") and arguments["x"].dim() == 2
        known = (single if of_one else names).get(name)
        free = tuple(f"axis {axis}" for axis in range(array.dim())) if known is None else known
        found[name] = {axis: called for axis, called in enumerate(free) if called}
    return found


def traced(module: torch.nn.Module, arguments: dict[str, Any]) -> Any:
    """The older exporter's onnx.ModelProto: a recurrent node for each layer, of any number of steps and sequences.

    arguments: x, hx and lengths of a PaddedRNN, or the input of another module, which is of any size.
    """
    return onnx.load_from_string(_model(ways.traced, module, arguments))


def session(export: Export, module: torch.nn.Module, arguments: dict[str, Any]) -> Call:
    """A module, exported for arguments like these, in ONNX Runtime. It is called by the names of ways.arrays_of."""
    return _in_order(onnx.load_from_string(_model(export, module, arguments)), list(ways.arrays_of(arguments)))


def _model(export: Export, module: Any, arguments: dict[str, Any]) -> bytes:
    with quiet():
        return export(module, arguments, axes_of(arguments, getattr(module, "batch_first", False)))


def _in_order(model: Any, names: list[str]) -> Call:
    """A session of an exported model; its inputs keep their order, whatever their names have become."""
    call = onnxruntime().load(model)
    fixed = {weight.name for weight in model.graph.initializer}  # below opset 9 they are inputs too
    there = [value.name for value in model.graph.input if value.name not in fixed]
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
