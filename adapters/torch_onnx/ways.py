"""Ways in which users export a module to ONNX, each as they write it. A script holds the text of the one it shows.

module: in eval().  given: its arguments by their names; one may be a pair of arrays.  axes: of each, those of any size
by their names, as torch.onnx.export takes them: {"x": {0: "batch", 1: "time"}}. Each answers the model's bytes.
"""

from __future__ import annotations

import io
from typing import Any

import torch


def traced(module: Any, given: Any, axes: Any, **more: Any) -> Any:
    """The older exporter, which runs the module once: a recurrent node for each layer."""
    file: Any = io.BytesIO()
    names = [*arrays_of(given)]
    free = axes and {name: axes[name.partition("_")[0]] for name in names}
    torch.onnx.export(
        module, (), file, kwargs=given, dynamo=False, input_names=names, dynamic_axes=free, **more
    )  # fmt: skip
    return file.getvalue()


def arrays_of(given: Any) -> Any:
    """Each array of the arguments by a name of its own; of a pair, the second one's is another."""
    several = {name: one if isinstance(one, tuple) else (one,) for name, one in given.items()}
    return {f"{name}_{n}" if n else name: array for name, one in several.items() for n, array in enumerate(one)}


def each(change: Any, given: Any) -> Any:
    """An argument with each of its arrays changed."""
    return tuple(change(array) for array in given) if isinstance(given, tuple) else change(given)


def exported(module: Any, given: Any, axes: Any, **more: Any) -> Any:
    """The newer exporter, which takes a layer apart, step by step: of the shapes that are given."""
    program: Any = torch.onnx.export(module, kwargs=given, dynamo=True, verbose=False, **more)
    return program.model_proto.SerializeToString()


def of_other_sizes(given: Any, axes: Any, **sizes: int) -> Any:
    """Arguments of ones, of these sizes along the axes of these names."""

    def ones(free: Any, array: Any) -> Any:
        return array.new_ones([sizes.get(free.get(axis, ""), size) for axis, size in enumerate(array.shape)])

    return {name: each(lambda array, free=axes[name]: ones(free, array), given[name]) for name in given}


def fixed_shapes(module: Any, given: Any, axes: Any) -> Any:
    """The older exporter, told of no axis of any size."""
    return traced(module, given, None)


def other_sizes(module: Any, given: Any, axes: Any) -> Any:
    """The older exporter, for any sizes, with an example of others: its lengths are 1."""
    return traced(module, of_other_sizes(given, axes, batch=3, time=2), axes)


def oldest_opset(module: Any, given: Any, axes: Any) -> Any:
    """The older exporter, in the oldest opset that it has."""
    return traced(module, given, axes, opset_version=7)


def newest_opset(module: Any, given: Any, axes: Any) -> Any:
    """The newer exporter, in the newest opset, for any number of sequences."""
    return dynamic_batch(module, given, axes, opset_version=23)


def dynamic_batch(module: Any, given: Any, axes: Any, **more: Any) -> Any:
    """The newer exporter, for any number of sequences, with an example of three."""
    return for_any(module, given, axes, "batch", **more)


def dynamic_steps(module: Any, given: Any, axes: Any) -> Any:
    """The newer exporter, for any number of steps, with an example of three."""
    return for_any(module, given, axes, "time")


def for_any(module: Any, given: Any, axes: Any, free: str, **more: Any) -> Any:
    """The newer exporter, for any size along an axis."""
    example = of_other_sizes(given, axes, **{free: 3})
    shapes = {name: {axis: torch.export.Dim.DYNAMIC for axis, called in axes[name].items() if called == free}
              for name in given}  # fmt: skip
    shapes = {name: each(lambda _, shape=shapes[name]: shape, given[name]) for name in given}
    return exported(module, example, axes, dynamic_shapes=shapes, **more)
