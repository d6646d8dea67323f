"""Other ways in which users call Equinox' cells than run does."""

from __future__ import annotations

import functools
from typing import Any

from ..contract import Idiom
from ..jax.idioms import GRADIENTS_ALONE, TRAINS, Ways
from . import ways
from .mapping import MAPPING
from .script import WAYS

NO_LENGTHS = dict.fromkeys(
    ((("lengths", "mixed"),), (("lengths", "with zeros"),)), "the idiom is asked without lengths"
)
ALONE = ("jacfwd", "differentiated twice")
WITHOUT: dict[str, Any] = {
    **dict.fromkeys(("final state", "loop", "jitted step"), NO_LENGTHS),
    **dict.fromkeys(ALONE, GRADIENTS_ALONE),
}

IDIOMS = {
    word: Idiom(way.says, functools.partial(Ways(ways, MAPPING).answer, way), way.view,
                WITHOUT.get(word, {}), answers=TRAINS, compiles=word in ALONE)
    for word, way in WAYS.items()
}  # fmt: skip
