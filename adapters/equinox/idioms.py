"""Other ways in which users call Equinox' cells than run does."""

from __future__ import annotations

import functools
from typing import Any

from ..contract import Idiom
from ..jax.idioms import FORWARD_MODE, TRAINS, Ways
from . import ways
from .mapping import MAPPING
from .script import WAYS

NO_LENGTHS = dict.fromkeys(
    ((("lengths", "mixed"),), (("lengths", "with zeros"),)), "the idiom is asked without lengths"
)
WITHOUT: dict[str, Any] = {**dict.fromkeys(("final state", "loop", "jitted step"), NO_LENGTHS), "jacfwd": FORWARD_MODE}

IDIOMS = {
    word: Idiom(way.says, functools.partial(Ways(ways, MAPPING).answer, way), way.view,
                WITHOUT.get(word, {}), answers=TRAINS, compiles=word == "jacfwd")
    for word, way in WAYS.items()
}  # fmt: skip
