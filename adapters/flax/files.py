"""The recurrent layers of a Flax model, which has no file of its own: it is named as module:object."""

from __future__ import annotations

from typing import Any

from flax import nnx


def layers(model: Any) -> dict[str, Any]:
    """The recurrent layers of a model, by where they lie; "" is the model itself."""
    inside = {".".join(map(str, path)): one for path, one in nnx.iter_modules(model)
              if isinstance(one, (nnx.RNN, nnx.Bidirectional))}  # fmt: skip
    halves = {f"{name}.{half}".removeprefix(".") for name, one in inside.items() if isinstance(one, nnx.Bidirectional)
              for half in ("forward_rnn", "backward_rnn")}  # fmt: skip
    return {name: one for name, one in inside.items() if name not in halves}
