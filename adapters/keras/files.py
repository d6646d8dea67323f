"""Models in .keras files; the recurrent layers of a model, and what each is called with."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ..running.guard import one_line
from .mapping import h_n_of
from .read import RECURRENT, read_model
from .settings import array_of


def load(path: Path, layer: str) -> Any:
    """The model in a .keras file. Raises ValueError, in a sentence, for anything else, and for code of its own in it.

    layer: empty.
    """
    if layer:
        raise ValueError("--layer: got one beside a .keras file, expected it beside a state_dict")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever a file makes it raise
        why = one_line(error).partition(". ")[0]
        raise ValueError(f"{path}: {why}; no code of a file is run: name a model with layers of your own as "
                         "module:object") from error  # fmt: skip


def layers(model: Any) -> dict[str, Any]:
    """The recurrent layers of a model, by where they lie; "" is the model itself."""
    if isinstance(model, RECURRENT):
        return {"": model}
    below = getattr(model, "layers", []) if isinstance(model, keras.Layer) else []
    return {f"{one.name}.{name}".removesuffix("."): layer for one in below for name, layer in layers(one).items()}


def moved(model: Any, device: str) -> Any:
    """The model, to be asked on a device: where its numbers lie is the backend's affair."""
    for one in (model, *layers(model).values()):
        one.device = device
    return model


def calls(model: Any, inside: Mapping[str, Any], x: np.ndarray) -> dict[str, dict[str, Any]]:
    """What the layers are first called with when the model is called with x, as arguments of run; by their names."""
    seen: dict[str, dict[str, Any]] = {}

    def listen(name: str, layer: Any, call: Any) -> None:
        @functools.wraps(call)
        def hear(sequences: Any, initial_state: Any = None, mask: Any = None, **more: Any) -> Any:
            seen.setdefault(name, _inputs(read[name], sequences, initial_state, mask))
            return call(sequences, initial_state=initial_state, mask=mask, **more)

        layer.call = hear

    read = {name: read_model(layer)[0] for name, layer in inside.items()}
    for name, layer in inside.items():
        listen(name, layer, layer.call)
    try:
        model(keras.ops.convert_to_tensor(x), training=False)
    finally:
        for layer in inside.values():
            del layer.call
    return seen


def _inputs(spec: Any, x: Any, start: Any, mask: Any) -> dict[str, Any]:
    h0 = None if start is None else h_n_of(spec, [array_of(state) for state in keras.tree.flatten(start)])
    steps = None if mask is None else array_of(mask)
    return {"x": array_of(x), "h0": h0, "mask": steps, "layout": "batch_first"}
