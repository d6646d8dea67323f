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
from reference.judging.pullback import shown_cotangents
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
TRAINS = ((("gradients", True),),)
# what an idiom for gradients in forward mode, or for second derivatives, is not asked
GRADIENTS_ALONE = {
    (("gradients", False),): "it asks for gradients",
    **dict.fromkeys(((("dtype", "float16"),), (("dtype", "bfloat16"),)),
                    "of so long a sum in 16 bits no bound says anything"),
}  # fmt: skip


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
        """Of a function of x, the states and all weights, which makes the layers too."""
        spec, view = case.spec, way.view
        given = check_cotangents(spec, case.x, case.layout, case.cotangents)
        g_output, g_h_n = given if view.of_all else shown_cotangents(view, case)

        def answers(x: Any, h0: Any, cells: Any) -> Any:
            outputs, carries = getattr(self.functions, way.function)(asked._replace(x=x, h0=h0, cells=cells))
            return outputs[-1:], carries

        def cotangents(outputs: Any, carries: Any) -> tuple[Any, Any]:
            g = jax.tree.map(jnp.zeros_like, outputs) if g_output is None else [jnp.asarray(inputs.zeroed(g_output))]
            if g_h_n is None:
                return g, jax.tree.map(jnp.zeros_like, carries)
            by_carry = carries_of(self.mapping, spec, g_h_n)
            return g, jax.tree.map(lambda like, a: jnp.asarray(a, like.dtype), carries, by_carry)

        leaves = jax.tree.map(jnp.asarray, (case.x, inputs.start(spec), [list(cell) for cell in asked.cells]))
        (outputs, carries), found = DIFFERENTIATED[view.differentiation](answers, leaves, cotangents)
        x, h0, cells = jax.tree.map(np.array, found)
        names = [list(cell.arrays()) for cell in case.parameters]
        tracks = [CellParameters.of(dict(zip(*pair, strict=True))) for pair in zip(names, cells, strict=True)]
        output: Any = inputs.zeroed(np.array(outputs[-1])) if view.output != "none" else None
        states = states_of(self.mapping, spec, carries) if view.states != "none" else None
        return Gradients(x, h0, tracks, output, states)


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


def _twice(answers: Any, leaves: Any, cotangents: Any) -> tuple[Any, Any]:
    """Of the sum of all first gradients but those by biases."""

    def total(*leaves: Any) -> tuple[Any, Any]:
        answered, first = _in_reverse_mode(answers, leaves, cotangents)
        return sum(jnp.sum(one) for one in jax.tree.leaves(first) if one.ndim > 1), answered

    found, answered = jax.jit(jax.grad(total, argnums=tuple(range(len(leaves))), has_aux=True))(*leaves)
    return answered, found


DIFFERENTIATED = {"reverse": _in_reverse_mode, "forward": _in_forward_mode, "twice": _twice}


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
