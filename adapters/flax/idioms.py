"""Other ways in which users call Flax's layers than run does."""

from __future__ import annotations

import functools
from typing import Any

from ..contract import IN_THREADS, Idiom
from ..jax.idioms import GRADIENTS_ALONE, TRAINS, Ways
from . import ways
from .mapping import MAPPING
from .script import WAYS

WITHOUT: dict[str, Any] = {
    "newest first": {(("direction", "bidirectional"),): "Bidirectional keeps the order, whatever is said"},
    "axes of batch": {(("layout", "unbatched"),): "it has no axis of batch"},
    "Sequential": dict.fromkeys(
        ((("h0", True),), (("lengths", "mixed"),), (("lengths", "with zeros"),)),
        "nnx.Sequential hands no carries and no lengths on to its layers",
    ),
    "jacfwd": GRADIENTS_ALONE,
    "differentiated twice": GRADIENTS_ALONE,
    "without param_dtype": {(("dtype", "float64"),): "parameters of float32 do not hold those of float64"},
}
# there is no initial state by which a gradient could be asked; and of threads all is said by the answers
WITHOUT_GRADIENTS = ("Sequential", IN_THREADS)
COMPILED = ("ensemble", IN_THREADS, "jacfwd", "differentiated twice")  # for seconds in each case

IDIOMS = {
    word: Idiom(way.says, functools.partial(Ways(ways, MAPPING).answer, way), way.view, WITHOUT.get(word, {}),
                answers=() if word in WITHOUT_GRADIENTS else TRAINS, compiles=word in COMPILED,
                isolate=word == IN_THREADS)
    for word, way in WAYS.items()
}  # fmt: skip
