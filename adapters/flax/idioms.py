"""Other ways in which users call Flax's layers than run does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from reference import Case
from reference.judging.view import WHOLE, View

from ..contract import Idiom, Result
from ..inputs import Inputs
from . import ways
from .settings import device_named, settings


class Way(NamedTuple):
    """A function of ways, which says how the layers are called; what it shows; and whether JAX's settings are made."""

    says: str
    call: Callable[[ways.Asked], Any]
    view: View = WHOLE
    settings: bool = True


CARRIES, LAST_SUM = View(output="none"), View(states="none", halves="sum")
WAYS: Mapping[str, Way] = {
    "as it comes": Way("of a SimpleCell with its own initialisers, whose weights are set then", ways.as_it_comes),
    "without dtype": Way("of a SimpleCell that is given param_dtype, and no dtype", ways.without_dtype),
    "without x64": Way("with none of JAX's settings touched: jax_enable_x64 is off", ways.nothing_set, settings=False),
    "merged": Way("by nnx.Bidirectional with a merge_fn that adds; unrolled; without carries", ways.merged, LAST_SUM),
    "carry alone": Way("for its carry, by nnx.RNN without keep_order in nnx.jit", ways.carry_alone, CARRIES),
    "vmap": Way("of one sequence, by jax.vmap over the batch", ways.vmapped),
    "loop": Way("by SimpleCell in a loop of Python", ways.loop),
    "lax.scan": Way("by SimpleCell, taken apart and put together, in jax.lax.scan", ways.lax_scan),
    "nnx.scan": Way("by SimpleCell in nnx.scan", ways.nnx_scan),
    "linen": Way("by flax.linen.RNN and Bidirectional", ways.linen_layers),
    "linen merged": Way("by a linen module whose last layer adds; unrolled; without carries", ways.linen_merged,
                        LAST_SUM),
}  # fmt: skip
IDIOMS = {word: Idiom(way.says, lambda case, device, way=way: _answer(way, case, device), way.view)
          for word, way in WAYS.items()}  # fmt: skip


def _answer(way: Way, case: Case, device: str) -> Result:
    """What a way answers, as the case's dtype: numbers, where JAX answers a narrower one. Beyond a length Flax's layers
    go on; the adapter sets these outputs to zero."""
    lengths = None if case.lengths is None or not np.size(case.lengths) else np.atleast_1d(case.lengths)
    inputs = Inputs(case.x, case.h0, lengths, case.mask, case.layout, case.layout)
    cells = [tuple(track.arrays().values()) for track in case.parameters]
    spec = case.spec
    asked = ways.Asked(cells, case.x, case.h0, lengths, spec.direction, spec.nonlinearity, case.dtype,
                       case.layout == "time_first")  # fmt: skip
    place: Any = device_named(device)
    with settings(place, case.x.dtype) if way.settings else jax.default_device(place):
        outputs, carries = way.call(asked)
        outputs, carries = ([np.array(one).astype(case.x.dtype) for one in several or ()] for several in (outputs, carries))
    h_n = np.stack(carries) if carries else None
    if not outputs:
        return Result(None, h_n)
    return inputs.result(outputs, h_n, zero_padding=True)
