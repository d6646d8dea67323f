"""Flax's part of a stand-alone script: nnx layers as their own user writes them. It imports no Flax here."""

from __future__ import annotations

from reference import Case

from ..scripts.script import Native, script

IMPORTS = """
import flax
import jax
import jax.numpy as jnp
from flax import nnx
"""
VERSIONS = '"Flax", flax.__version__, "on JAX", jax.__version__, "on", $device'
CALL = '''
def simple_cell($weights):
    """A cell of these weights: columns are units, and there is one bias."""  #? bias
    """A cell of these weights: columns are units."""  #? !bias
    cell = nnx.SimpleCell(
        *w_ih.T.shape,
        activation_fn=nnx.$nonlinearity,
        dtype=jnp.$dtype,
        param_dtype=jnp.$dtype,
        recurrent_kernel_init=nnx.initializers.zeros_init(),  # the default has no float16 and no bfloat16
        rngs=nnx.Rngs(0),
    )
    cell.dense_i.kernel = nnx.Param(jnp.asarray(w_ih.T, cell.dtype))
    cell.dense_h.kernel = nnx.Param(jnp.asarray(w_hh.T, cell.dtype))
    cell.dense_i.bias = nnx.Param(jnp.asarray(b_ih + b_hh, cell.dtype))  #? bias
    cell.dense_i.use_bias, cell.dense_i.bias = False, nnx.data(None)  #? !bias
    return cell


place = jax.devices($device_kind)[$device_index]
with jax.default_matmul_precision("highest"), jax.default_device(place):  #? !float64
with jax.enable_x64(True), jax.default_matmul_precision("highest"), jax.default_device(place):  #? float64
    sequence = jnp.asarray(x, jnp.$dtype)
    start = [jnp.asarray(h, jnp.$dtype) for h in h0]  #? h0
    h_n = []
    for n in range($num_layers):
        layer = nnx.RNN(simple_cell(*cells[n]))  #? forward
        layer = nnx.RNN(simple_cell(*cells[n]), reverse=True, keep_order=True)  #? reverse
        layer = nnx.Bidirectional(*[nnx.RNN(simple_cell(*cell)) for cell in cells[2 * n : 2 * n + 2]])  #? bidirectional
        carry, sequence = layer(
            sequence,
            initial_carry=start[n],  #? h0 !bidirectional
            initial_carry=(start[2 * n], start[2 * n + 1]),  #? h0 bidirectional
            seq_lengths=jnp.array(lengths),  #? lengths !unbatched
            seq_lengths=jnp.array(lengths[0]),  #? lengths unbatched
            time_major=True,  #? time_first
            return_carry=True,
        )
        h_n += carry  #? bidirectional
        h_n.append(carry)  #? !bidirectional
output = np.array(sequence, "float64")
#? lengths
# nnx.RNN goes on beyond the lengths, and the equations do not.
output$to_time_first[np.arange($time)[:, None] >= np.array(lengths)] = 0
#?
actual = {"output": output, "h_n": np.stack([np.array(h, "float64") for h in h_n])}
'''


def flax_script(case: Case, device: str = "cpu") -> str:
    """The script of a case for nnx.RNN or nnx.Bidirectional layers, called one after another.

    device: named as the adapter's are, here or not; ValueError for another name.
    """
    title = "flax.nnx.Bidirectional" if case.spec.direction == "bidirectional" else "flax.nnx.RNN"
    return script(case, Native(title, "Flax", IMPORTS, VERSIONS, CALL), device)
