"""The views that differ in what they show."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from reference.judging.view import WORDS, View
from reference.layout import state_tuple

VIEWS = [
    view
    for view in (View(*words) for words in product(*WORDS.values()))
    if (view.output, view.states) != ("none", "none")
    and (view.output == "every step" or view.masked == "zero")
    and (view.output != "none" or view.halves == "concat")
    and (view.first == "zero" or view.output == "last step" or view.masked == "held")
]


def differ(one: tuple[Any, Any], other: tuple[Any, Any], by: float) -> bool:
    """Whether what two answers show differs somewhere by more than `by`; None where nothing is shown."""
    shown = [pair for pair in zip(one, other, strict=True) if pair[0] is not None]
    pairs = [both for pair in shown for both in zip(*map(state_tuple, pair), strict=True)]
    return any(not np.allclose(*both, rtol=0, atol=by, equal_nan=True) for both in pairs)
