"""Other ways in which users call Flax's layers than run does."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from flax import nnx

from reference import Case

from ..contract import Adapter, Idiom, NotOffered, Result
from .settings import device_named, settings


def idioms(adapter: Adapter) -> dict[str, Idiom]:
    """Those of the adapter, by their words."""

    def as_it_comes(case: Case, device: str) -> Result:
        kind: Any = nnx.SimpleCell
        with settings(device_named(device), case.x.dtype):
            kind(case.spec.input_size, case.spec.hidden_size, dtype=case.x.dtype, param_dtype=case.x.dtype,
                 rngs=nnx.Rngs(0))  # fmt: skip
        return adapter.run(adapter.build(case.spec, case.parameters, device), **case.inputs)

    def without_dtype(case: Case, device: str) -> Result:
        return _of_one_layer(adapter, case, device, x64=case.dtype == "float64")

    def without_x64(case: Case, device: str) -> Result:
        return _of_one_layer(adapter, case, device, x64=False, dtype=case.x.dtype)

    return {
        "as it comes": Idiom("of a SimpleCell with its own initialisers, whose weights are set then", as_it_comes),
        "without dtype": Idiom("of a SimpleCell that is given param_dtype, and no dtype", without_dtype),
        "without x64": Idiom("while jax_enable_x64 is off, as it is by default", without_x64),
    }


def _of_one_layer(adapter: Adapter, case: Case, device: str, x64: bool, **dtype: Any) -> Result:
    """The answer of one nnx.RNN, as the case's dtype: numbers, where JAX answers a narrower one.

    dtype: what SimpleCell is given beside param_dtype.
    """
    spec = case.spec
    whole = case.lengths is None and case.mask is None
    if spec.num_layers != 1 or spec.direction != "forward" or case.layout != "batch_first" or not whole:
        raise NotOffered("the adapter asks so of one forward layer, batch first and without lengths")
    cell = case.parameters[0]
    biases = [cell.b_ih + cell.b_hh] if cell.b_ih is not None else []
    kind: Any = nnx.SimpleCell
    with jax.enable_x64(x64), jax.default_matmul_precision("highest"), jax.default_device(device_named(device)):
        made = kind(
            spec.input_size,
            spec.hidden_size,
            param_dtype=case.x.dtype,
            rngs=nnx.Rngs(0),
            **dtype,
            recurrent_kernel_init=nnx.initializers.zeros_init(),
            activation_fn=getattr(nnx, spec.nonlinearity),
        )
        made.dense_i.kernel, made.dense_h.kernel = nnx.Param(jnp(cell.w_ih.T)), nnx.Param(jnp(cell.w_hh.T))
        made.dense_i.bias = nnx.Param(jnp(*biases)) if biases else nnx.data(None)
        made.dense_i.use_bias = bool(biases)
        start = None if case.h0 is None else jnp(case.h0[0])
        carry, output = nnx.RNN(made)(jnp(case.x), initial_carry=start, return_carry=True)
        return Result(np.array(output).astype(case.dtype), np.array(carry).astype(case.dtype)[None])


def jnp(array: np.ndarray) -> Any:
    return jax.numpy.asarray(np.ascontiguousarray(array))
