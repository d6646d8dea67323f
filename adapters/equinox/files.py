"""The cells of an Equinox model, which has no file of its own: it is named as module:object."""

from __future__ import annotations

from typing import Any

import jax

from .read import CELLS


def layers(model: Any) -> dict[str, Any]:
    """The cells of a model, each as a layer, by where they lie; "" is the model itself."""
    found, _ = jax.tree_util.tree_flatten_with_path(model, is_leaf=lambda one: type(one) in CELLS)
    return {jax.tree_util.keystr(path).lstrip("."): one for path, one in found if type(one) in CELLS}
