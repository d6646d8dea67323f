"""Faults of torch's exporters to ONNX that show in one idiom alone: each in the words of its call."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from meta_tests.common.idiom_faults import Planted

Words = dict[str, Any]


def negated_where(asked: Callable[[Words], bool]) -> Callable[[pytest.MonkeyPatch], None]:
    """Where an export is asked so, the layer is exported with the recurrent weights of other signs."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        torch: Any = import_module("torch")
        export = torch.onnx.export

        def wrong(module: Any, *given: Any, **words: Any) -> Any:
            if asked(words):
                for name, weight in module.named_parameters():
                    if "weight_hh" in name:
                        weight.data.neg_()
            return export(module, *given, **words)

        patch.setattr("torch.onnx.export", wrong)

    return plant


def baked(patch: pytest.MonkeyPatch) -> None:
    """The older exporter writes the batch of its example into the initial states: its own warning tells of it."""
    torch: Any = import_module("torch")
    forward = torch.nn.RNN.forward

    def of_three(layer: Any, x: Any, hx: Any = None) -> Any:
        if hx is None and torch.jit.is_tracing() and isinstance(x, torch.Tensor) and x.dim() == 3:
            sequences = int(x.shape[0 if layer.batch_first else 1])
            tracks = layer.num_layers * (2 if layer.bidirectional else 1)
            hx = torch.zeros(tracks, sequences, layer.hidden_size, dtype=x.dtype)
        return forward(layer, x, hx)

    patch.setattr("torch.nn.RNN.forward", of_three)


def steps_of_the_example(patch: pytest.MonkeyPatch) -> None:
    """An export for any number of steps is made, without a word for that of its example."""
    export = import_module("torch").onnx.export

    def made(module: Any, *given: Any, **words: Any) -> Any:
        time = 1 if getattr(module, "batch_first", False) and words["kwargs"]["x"].dim() == 3 else 0
        if time in (words.get("dynamic_shapes") or {}).get("x", {}):
            del words["dynamic_shapes"]
        return export(module, *given, **words)

    patch.setattr("torch.onnx.export", made)


PLANTED = {
    "fixed shapes": (
        Planted("without dynamic axes the weights have the wrong sign",
                negated_where(lambda words: not words["dynamo"] and words["dynamic_axes"] is None)),
    ),
    "other sizes": (Planted("the batch of the example is written into the initial states", baked),),
    "oldest opset": (
        Planted("in opset 7 the weights have the wrong sign",
                negated_where(lambda words: words.get("opset_version") == 7)),
    ),
    "newest opset": (
        Planted("in opset 23 the weights have the wrong sign",
                negated_where(lambda words: words.get("opset_version") == 23)),
    ),
    "dynamic batch": (
        Planted("with a dynamic batch the weights have the wrong sign",
                negated_where(lambda words: words["dynamo"] and words.get("dynamic_shapes") is not None)),
    ),
    "dynamic steps": (Planted("a model for any number of steps is of the example's", steps_of_the_example),),
}  # fmt: skip
