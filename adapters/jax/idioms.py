"""What idioms of cells on JAX share: how one is asked a case, and by what its answer is differentiated."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from reference import Case, CellParameters, Gradients, RNNSpec
from reference.arguments import check_cotangents
from reference.layout import each_state

from ..contract import Result, result_of
from ..inputs import Inputs
from ..mapping import Mapped, ours, theirs
from .asked import Asked
from .script import Way
from .settings import device_named, settings

# JAX keeps every program that it compiles, and each call makes some: after so many calls all are forgotten
CALLS = itertools.count(1)
CALLS_KEPT = 50


class Ways(NamedTuple):
    """The functions of a framework's ways.py, and how its cells keep their states."""

    functions: ModuleType
    mapping: Mapped

    def answer(self, way: Way, case: Case, device: str) -> Result:
        """What a way answers, as the case's dtype: numbers, where JAX answers a narrower one. Where a layer goes on
        beyond a length, the adapter sets these outputs to zero."""
        lengths = (
            None if case.lengths is None or not np.size(case.lengths) else np.atleast_1d(case.lengths).astype(np.int32)
        )
        inputs = Inputs(case.x, case.h0, lengths, case.mask, case.layout, case.layout)
        asked = Asked(
            case.spec.cell,
            [tuple(track.arrays().values()) for track in case.parameters],
            *(case.x, case.h0, lengths, case.spec.direction, case.spec.nonlinearity, case.dtype),
            time_first=case.layout == "time_first",
        )
        place: Any = device_named(device)
        with bare(place, device) if way.bare else settings(place, case.x.dtype):
            if case.cotangents is not None:
                return result_of(inputs.gradients(self.gradients_of(way, case, inputs, asked)), case.x.dtype)
            outputs, carries = getattr(self.functions, way.function)(asked)
            outputs = [np.array(one).astype(case.x.dtype) for one in outputs]
            final = None
            if way.view.states != "none":
                final = states_of(self.mapping, case.spec, carries)
                final = each_state(lambda state: state.astype(case.x.dtype), final)
        if next(CALLS) % CALLS_KEPT == 0:
            jax.clear_caches()
        if way.view.output == "none":
            return Result(None, final)
        return inputs.result(outputs, final, zero_padding=True)

    def gradients_of(self, way: Way, case: Case, inputs: Inputs, asked: Asked) -> Gradients:
        """By jax.vjp of a function of x, the states and all weights, which makes the layers too."""
        spec, (g_output, g_h_n) = case.spec, check_cotangents(case.spec, case.x, case.layout, case.cotangents)

        def answers(x: Any, h0: Any, cells: Any) -> Any:
            outputs, carries = getattr(self.functions, way.function)(asked._replace(x=x, h0=h0, cells=cells))
            return outputs[-1], carries

        leaves = jax.tree.map(jnp.asarray, (case.x, inputs.start(spec), [list(cell) for cell in asked.cells]))
        (output, carries), back = jax.vjp(answers, *leaves)
        g = jnp.zeros_like(output) if g_output is None else jnp.asarray(inputs.zeroed(g_output))
        g_carries = jax.tree.map(jnp.zeros_like, carries)
        if g_h_n is not None:
            given = carries_of(self.mapping, spec, g_h_n)
            g_carries = jax.tree.map(lambda like, a: jnp.asarray(a, like.dtype), g_carries, given)
        x, h0, cells = jax.tree.map(np.array, back((g, g_carries)))
        names = [list(cell.arrays()) for cell in case.parameters]
        tracks = [CellParameters.of(dict(zip(*pair, strict=True))) for pair in zip(names, cells, strict=True)]
        return Gradients(x, h0, tracks, inputs.zeroed(np.array(output)), states_of(self.mapping, spec, carries))


@contextmanager
def bare(place: Any, device: str) -> Iterator[None]:
    """None of JAX's settings is touched; but on a GPU, where it may multiply float32 in TF32: a mode asks for that."""
    with jax.default_device(place), nullcontext() if device == "cpu" else jax.default_matmul_precision("highest"):
        yield


def carries_of(mapping: Mapped, spec: RNNSpec, h0: Any) -> list[Any] | None:
    """The initial carry of each track, an array or a pair, of our states; None of None."""
    if h0 is None:
        return None
    first, *more = theirs(spec, mapping[spec.cell], h0)
    return list(zip(first, *more, strict=True)) if more else list(first)


def states_of(mapping: Mapped, spec: RNNSpec, carries: Sequence[Any]) -> Any:
    """Our states, NumPy arrays of the axes of h_n, of each track's final carry."""
    each = [carry if isinstance(carry, tuple) else (carry,) for carry in carries]
    states = [np.stack([np.array(state) for state in track]) for track in zip(*each, strict=True)]
    return ours(spec, mapping[spec.cell], states)
