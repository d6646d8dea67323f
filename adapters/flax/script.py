"""Flax's part of a stand-alone script: nnx layers as their own user writes them. It imports no Flax here."""

from __future__ import annotations

from reference import Case

from ..scripts.literals import text_literal
from ..scripts.script import Native, expect_words, script


def flax_script(case: Case, device: str = "cpu") -> str:
    """The script of a case for nnx.RNN or nnx.Bidirectional layers, called one after another.

    device: named as the adapter's are, here or not; ValueError for another name.
    """
    expect_words(case, device)
    imports = "import flax\nimport jax\nimport jax.numpy as jnp\nfrom flax import nnx"
    kind, _, index = device.partition(":")
    settings = ["jax.enable_x64(True)"] * (case.dtype == "float64")
    place = f"jax.devices({text_literal(kind)})[{int(index or 0)}]"
    settings += ['jax.default_matmul_precision("highest")', f"jax.default_device({place})"]
    call = [_simple_cell(case), f"with {', '.join(settings)}:"]
    call += [f"    {line}" for line in _stack(case)]
    call.append(_answer(case))
    versions = f'"Flax", flax.__version__, "on JAX", jax.__version__, {text_literal(f"on {device}")}'
    title = "flax.nnx.Bidirectional" if _both(case) else "flax.nnx.RNN"
    return script(case, Native(title, "Flax", imports, versions, "\n".join(call)))


def _both(case: Case) -> bool:
    return case.spec.direction == "bidirectional"


def _simple_cell(case: Case) -> str:
    """A function that makes a cell of its weights."""
    names, one = ("w_ih, w_hh, b_ih, b_hh", ", and there is one bias") if case.spec.bias else ("w_ih, w_hh", "")
    bias = (
        "cell.dense_i.bias = nnx.Param(jnp.asarray(b_ih + b_hh, cell.dtype))"
        if case.spec.bias
        else "cell.dense_i.use_bias, cell.dense_i.bias = False, nnx.data(None)"
    )
    return f'''
def simple_cell({names}):
    """A cell of these weights: columns are units{one}."""
    cell = nnx.SimpleCell(
        *w_ih.T.shape,
        activation_fn=nnx.{case.spec.nonlinearity},
        dtype=jnp.{case.dtype},
        param_dtype=jnp.{case.dtype},
        recurrent_kernel_init=nnx.initializers.zeros_init(),  # the default has no float16 and no bfloat16
        rngs=nnx.Rngs(0),
    )
    cell.dense_i.kernel = nnx.Param(jnp.asarray(w_ih.T, cell.dtype))
    cell.dense_h.kernel = nnx.Param(jnp.asarray(w_hh.T, cell.dtype))
    {bias}
    return cell

'''


def _stack(case: Case) -> list[str]:
    """The layers, from the NumPy array x to `sequence` and `h_n`."""
    lines = [f"sequence = jnp.asarray(x, jnp.{case.dtype})", "h_n = []"]
    if case.spec.num_layers == 1:
        return [*lines, *_layer(case, "0")]
    return [*lines, f"for n in range({case.spec.num_layers}):", *(f"    {line}" for line in _layer(case, "n"))]


def _layer(case: Case, n: str) -> list[str]:
    """One layer of the stack: made of its weights, and called. n: its number, as source."""
    first, second = ("0", "1") if n == "0" else (f"2 * {n}", f"2 * {n} + 1")
    options = ", reverse=True, keep_order=True" if case.spec.direction == "reverse" else ""
    if _both(case):
        halves = (f"nnx.RNN(simple_cell(*cells[{index}]))" for index in (first, second))
        layer = f"nnx.Bidirectional({', '.join(halves)})"
        start = f"(jnp.asarray(h0[{first}], jnp.{case.dtype}), jnp.asarray(h0[{second}], jnp.{case.dtype}))"
    else:
        layer = f"nnx.RNN(simple_cell(*cells[{n}]){options})"
        start = f"jnp.asarray(h0[{n}], jnp.{case.dtype})"
    return [
        f"layer = {layer}",
        "carry, sequence = layer(",
        "    sequence,",
        *[f"    initial_carry={start},"] * (case.h0 is not None),
        *[f"    seq_lengths=jnp.array({_lengths(case)}),"] * (case.lengths is not None),
        *["    time_major=True,"] * (case.layout == "time_first"),
        "    return_carry=True,",
        ")",
        "h_n += carry" if _both(case) else "h_n.append(carry)",
    ]


def _lengths(case: Case) -> str:
    return "lengths[0]" if case.layout == "unbatched" else "lengths"


def _answer(case: Case) -> str:
    ended = ""
    if case.lengths is not None:
        steps = f"np.arange({case.x.shape[1 if case.layout == 'batch_first' else 0]})"
        beyond = {
            "batch_first": f"{steps} >= np.array(lengths)[:, None]",
            "time_first": f"{steps}[:, None] >= np.array(lengths)",
            "unbatched": f"{steps} >= lengths[0]",
        }[case.layout]
        ended = f"output[{beyond}] = 0  # nnx.RNN goes on beyond the lengths, and the equations do not\n"
    return f"""
output = np.array(sequence, "float64")
{ended}actual = {{"output": output, "h_n": np.stack([np.array(h, "float64") for h in h_n])}}"""
