"""Other ways in which users call MLX' layers than run does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from reference import Case
from reference.arguments import check_cotangents
from reference.judging.view import View

from ..contract import Idiom, Result, result_of
from ..inputs import Inputs
from . import ways
from .script import WAYS

TRAINS = ((("gradients", True),),)
WITHOUT: dict[str, Any] = {
    "vmap": {(("layout", "unbatched"),): "it goes over the axis of sequences, which there is none"}
}
# what is not asked for second derivatives
GRADIENTS_ALONE = {
    (("gradients", False),): "it asks for gradients",
    **dict.fromkeys(((("dtype", "float16"),), (("dtype", "bfloat16"),)),
                    "of so long a sum in 16 bits no bound says anything"),
}  # fmt: skip


def idioms(adapter: Any) -> dict[str, Idiom]:
    """Those of the adapter, by their words."""

    def called(way: Callable[..., Any], **more: Any) -> Callable[[Case, str], Result]:
        def answer(case: Case, device: str) -> Result:
            layers, spec = adapter.build(case.spec, case.parameters, device), case.spec
            lengths = None if case.lengths is None else np.atleast_1d(case.lengths)
            inputs = Inputs(case.x, case.h0, lengths, case.mask, case.layout, case.layout)
            if case.cotangents is None:
                if "given" in more:
                    layers.set_dtype(mx.float32) if case.dtype == "float64" else None
                return adapter.asked(way, layers, spec, inputs, **more)
            cotangents = check_cotangents(spec, case.x, case.layout, case.cotangents)
            return result_of(adapter.differentiated(way, layers, spec, inputs, cotangents, **more))

        return answer

    def of(word: str, **more: Any) -> Idiom:
        says, function = WAYS[word]
        return Idiom(says, called(getattr(ways, function)), without=WITHOUT.get(word, {}), **more)

    return {
        **{word: of(word, answers=TRAINS) for word in WAYS if word != "as it comes"},
        "differentiated twice": Idiom("for second derivatives, those of the sum of gradients",
                                      called(ways.as_it_is, by=twice), View(differentiation="twice"),
                                      without=GRADIENTS_ALONE, answers=TRAINS),
        "as it comes": Idiom(WAYS["as it comes"][0], called(ways.as_it_is, given=lambda array: as_it_comes(array))),
    }  # fmt: skip


def twice(answers: Callable[..., Any], given: list[Any], cotangents: list[Any], biases: set[int]) -> Any:
    """Of the sum of all first gradients but those by biases, of which the places are told."""

    def total(*given: Any) -> list[Any]:
        _, first = mx.vjp(answers, list(given), cotangents)
        return [sum(one.sum() for place, one in enumerate(first) if place not in biases)]

    _, found = mx.vjp(total, given, [mx.ones((), given[0].dtype)])
    return answers(*given), found


def as_it_comes(array: np.ndarray) -> Any:
    """By mx.array without a dtype: which takes no bfloat16 of NumPy's."""
    if array.dtype.name == "bfloat16":
        return mx.array(array.astype(np.float32)).astype(mx.bfloat16)
    return mx.array(np.array(array, order="C"))
