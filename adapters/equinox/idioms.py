"""Other ways in which users call Equinox' cells than run does."""

from __future__ import annotations

import functools
from typing import Any

from reference.judging.view import WHOLE

from ..contract import Idiom
from ..jax.idioms import Ways
from . import ways
from .mapping import MAPPING
from .script import WAYS

TRAINS = ((("gradients", True),),)
ENDS = ((("lengths", "mixed"),), (("lengths", "with zeros"),))
ANSWERS: dict[str, Any] = {"masked": TRAINS + ENDS}

IDIOMS = {
    word: Idiom(way.says, functools.partial(Ways(ways, MAPPING).answer, way), way.view,
                answers=ANSWERS.get(word, TRAINS if way.view == WHOLE else ()))
    for word, way in WAYS.items()
}  # fmt: skip
