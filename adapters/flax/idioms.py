"""Other ways in which users call Flax's layers than run does."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reference import Case, CellParameters, Gradients
from reference.arguments import check_cotangents
from reference.judging.pullback import shown_cotangents
from reference.judging.view import View
from reference.layout import each_state

from ..contract import Idiom, Result, result_of
from ..inputs import Inputs
from . import ways
from .mapping import carries_of, states_of
from .script import WAYS, Way
from .settings import device_named, settings

# JAX keeps every program that it compiles, and each call makes some: after so many calls all are forgotten
CALLS = itertools.count(1)
CALLS_KEPT = 50
TRAINS = ((("gradients", True),),)
FORWARD_MODE = View(differentiation="forward")
WITHOUT: dict[str, Any] = {
    "newest first": {(("direction", "bidirectional"),): "Bidirectional keeps the order, whatever is said"},
    "axes of batch": {(("layout", "unbatched"),): "it has no axis of batch"},
    "Sequential": dict.fromkeys(
        ((("h0", True),), (("lengths", "mixed"),), (("lengths", "with zeros"),)),
        "nnx.Sequential hands no carries and no lengths on to its layers",
    ),
    "jacfwd": {
        (("gradients", False),): "it asks for gradients",
        **dict.fromkeys(
            ((("dtype", "float16"),), (("dtype", "bfloat16"),)),
            "of a sum of all answers in 16 bits no bound says anything",
        ),
    },
    "without param_dtype": {(("dtype", "float64"),): "parameters of float32 do not hold those of float64"},
}
WITHOUT_H0 = ("Sequential",)  # there is no initial state by which a gradient could be asked


def answer(way: Way, case: Case, device: str) -> Result:
    """What a way answers, as the case's dtype: numbers, where JAX answers a narrower one. Beyond a length Flax's layers
    go on; the adapter sets these outputs to zero."""
    lengths = None if case.lengths is None or not np.size(case.lengths) else np.atleast_1d(case.lengths)
    inputs = Inputs(case.x, case.h0, lengths, case.mask, case.layout, case.layout)
    asked = ways.Asked(
        case.spec.cell,
        [tuple(track.arrays().values()) for track in case.parameters],
        *(case.x, case.h0, lengths, case.spec.direction, case.spec.nonlinearity, case.dtype),
        time_first=case.layout == "time_first",
    )
    place: Any = device_named(device)
    with bare(place, device) if way.bare else settings(place, case.x.dtype):
        if case.cotangents is not None:
            return result_of(inputs.gradients(gradients_of(way, case, inputs, asked)), case.x.dtype)
        outputs, carries = getattr(ways, way.function)(asked)
        outputs = [np.array(one).astype(case.x.dtype) for one in outputs]
        shown = way.view.states != "none"
        final = each_state(lambda state: state.astype(case.x.dtype), states_of(case.spec, carries)) if shown else None
    if next(CALLS) % CALLS_KEPT == 0:
        jax.clear_caches()
    if way.view.output == "none":
        return Result(None, final)
    return inputs.result(outputs, final, zero_padding=True)


def gradients_of(way: Way, case: Case, inputs: Inputs, asked: ways.Asked) -> Gradients:
    """Of a function of x, the states and all weights, which makes the layers too."""
    spec, view = case.spec, way.view
    given = check_cotangents(spec, case.x, case.layout, case.cotangents)
    g_output, g_h_n = given if view.of_all else shown_cotangents(view, case)

    def answers(x: Any, h0: Any, cells: Any) -> Any:
        outputs, carries = getattr(ways, way.function)(asked._replace(x=x, h0=h0, cells=cells))
        return outputs[-1:], carries

    leaves = jax.tree.map(jnp.asarray, (case.x, inputs.start(spec), [list(cell) for cell in asked.cells]))

    def cotangents(outputs: Any, carries: Any) -> tuple[Any, Any]:
        g = jax.tree.map(jnp.zeros_like, outputs) if g_output is None else [jnp.asarray(inputs.zeroed(g_output))]
        if g_h_n is None:
            return g, jax.tree.map(jnp.zeros_like, carries)
        return g, jax.tree.map(lambda like, a: jnp.asarray(a, like.dtype), carries, carries_of(spec, g_h_n))

    (outputs, carries), found = DIFFERENTIATED[view.differentiation](answers, leaves, cotangents)
    x, h0, cells = jax.tree.map(np.array, found)
    names = [list(cell.arrays()) for cell in case.parameters]
    tracks = [CellParameters.of(dict(zip(*pair, strict=True))) for pair in zip(names, cells, strict=True)]
    output: Any = inputs.zeroed(np.array(outputs[-1])) if view.output != "none" else None
    return Gradients(x, h0, tracks, output, states_of(spec, carries) if view.states != "none" else None)


def _in_reverse_mode(answers: Any, leaves: Any, cotangents: Any) -> tuple[Any, Any]:
    answered, back = jax.vjp(answers, *leaves)
    return answered, back(cotangents(*answered))


def _in_forward_mode(answers: Any, leaves: Any, cotangents: Any) -> tuple[Any, Any]:
    """Of the sum of all that is answered, weighted by the cotangents."""

    def weighted(*leaves: Any) -> tuple[Any, Any]:
        answered = answers(*leaves)
        products = jax.tree.map(lambda a, g: jnp.sum(a * g), answered, cotangents(*answered))
        return sum(jax.tree.leaves(products)), answered

    found, answered = jax.jit(jax.jacfwd(weighted, argnums=tuple(range(len(leaves))), has_aux=True))(*leaves)
    return answered, found


DIFFERENTIATED = {"reverse": _in_reverse_mode, "forward": _in_forward_mode}


@contextmanager
def bare(place: Any, device: str) -> Iterator[None]:
    """None of JAX's settings is touched; but on a GPU, where it may multiply float32 in TF32: a mode asks for that."""
    with jax.default_device(place), nullcontext() if device == "cpu" else jax.default_matmul_precision("highest"):
        yield


COMPILED = ("ensemble", "jacfwd")  # for seconds in each case
IDIOMS = {
    word: Idiom(way.says, functools.partial(answer, way), way.view, WITHOUT.get(word, {}),
                answers=() if word in WITHOUT_H0 else TRAINS, compiles=word in COMPILED)
    for word, way in WAYS.items()
}  # fmt: skip
