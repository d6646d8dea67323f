"""Keras' part of a stand-alone script: SimpleRNN layers as their own user writes them. It imports no Keras here."""

from __future__ import annotations

from reference import Case
from reference.spec import expect_word

from ..scripts.literals import text_literal
from ..scripts.script import Native, expect_words, script

BACKENDS = ("tensorflow", "jax", "torch", "numpy", "openvino")


def keras_script(case: Case, device: str, backend: str, x64: bool = False) -> str:
    """The script of a case for a stack of SimpleRNN layers, called one after another.

    device: named as the adapter's are, here or not.  backend: one of BACKENDS, what KERAS_BACKEND is to be, where it is
    not set.  x64: whether JAX is to keep float64. Raises ValueError for another device or backend.
    """
    expect_words(case, device)
    expect_word("backend", backend, BACKENDS)
    imports = ["", f'os.environ.setdefault("KERAS_BACKEND", {text_literal(backend)})']
    if x64:
        imports.append('os.environ.setdefault("JAX_ENABLE_X64", "1")')
    imports += ["", "import keras", "", "BACKEND = keras.backend.backend()"]
    title = "keras.layers.Bidirectional" if _both(case) else "keras.layers.SimpleRNN"
    call = [*_given(case), f"with keras.device({text_literal(keras_device(device, backend))}):"]
    call += [f"    {line}" for line in _stack(case)]
    call.append(_answer(case))
    versions = (
        f'"Keras", keras.__version__, "on", BACKEND, sys.modules[BACKEND].__version__, {text_literal(f"on {device}")}'
    )
    return script(case, Native(title, f"Keras on {backend}", "\n".join(imports), versions, "\n".join(call)))


def _both(case: Case) -> bool:
    return case.spec.direction == "bidirectional"


def keras_device(device: str, backend: str) -> str:
    """Keras' own name of a device: "cuda" and "cuda:1" are its "gpu:0" and "gpu:1"."""
    kind, _, index = device.partition(":")
    if kind == "cuda":
        return f"gpu:{index or 0}"
    # Keras 3.10 knows no "cpu" on JAX; on torch "cpu:0" makes a copy of every new weight, which is then no Parameter
    return "cpu:0" if backend == "jax" and device == "cpu" else device


def _given(case: Case) -> list[str]:
    """What the layers are given beside x: `weights` and, where the case has them, `start` and `mask`."""
    names, weights = ("w_ih, w_hh, b_ih, b_hh", "w_ih.T.copy(), w_hh.T.copy(), b_ih + b_hh")
    if not case.spec.bias:
        names, weights = "w_ih, w_hh", "w_ih.T.copy(), w_hh.T.copy()"
    lines = [
        f"# Columns are units{', and there is one bias' if case.spec.bias else ''}.",
        f"weights = [[{weights}] for {names} in cells]",
    ]
    if case.h0 is not None:
        batched = "h0[:, None]" if case.layout == "unbatched" else "h0"
        lines.append(f"start = [keras.ops.convert_to_tensor(h, dtype={text_literal(case.dtype)}) for h in {batched}]")
    if case.lengths is not None:
        steps = case.x.shape[1 if case.layout == "batch_first" else 0]
        lines.append(f"mask = keras.ops.convert_to_tensor(np.arange({steps}) < np.array(lengths)[:, None])")
    if case.mask is not None:
        batch_first = {"batch_first": "mask", "time_first": "mask.T.copy()", "unbatched": "mask[None]"}[case.layout]
        lines.append(f"counts = keras.ops.convert_to_tensor({batch_first})")
    return lines


def _stack(case: Case) -> list[str]:
    """The layers, from the NumPy array x to `sequence` and `h_n`."""
    batch_first = {"batch_first": "x", "time_first": "x.swapaxes(0, 1).copy()", "unbatched": "x[None]"}[case.layout]
    lines = [f"sequence = keras.ops.convert_to_tensor({batch_first}, dtype={text_literal(case.dtype)})", "h_n = []"]
    if case.spec.num_layers == 1:
        return [*lines, *_layer(case, "0")]
    return [*lines, f"for n in range({case.spec.num_layers}):", *(f"    {line}" for line in _layer(case, "n"))]


def _layer(case: Case, n: str) -> list[str]:
    """One layer of the stack: made, given its weights, called. n: its number, as source."""
    spec, both = case.spec, _both(case)
    first = f"2 * {n}"
    arguments = [f"initial_state=start[{first} : {first} + 2]" if both else f"initial_state=[start[{n}]]"]
    arguments = ["sequence", *arguments * (case.h0 is not None), *["mask=mask"] * (case.lengths is not None)]
    arguments += ["mask=counts"] * (case.mask is not None)
    lines = ["layer = keras.layers.SimpleRNN(", *(f"    {option}," for option in _options(case)), ")"]
    if both:
        lines.append(f"layer = keras.layers.Bidirectional(layer, dtype={text_literal(case.dtype)})")
    lines += [
        "layer.build(sequence.shape)",
        f"layer.set_weights({f'weights[{first}] + weights[{first} + 1]' if both else f'weights[{n}]'})",
        f"sequence, *states = layer({', '.join(arguments)})",
    ]
    if spec.direction == "reverse":
        lines.append("sequence = keras.ops.flip(sequence, axis=1)  # it came in the order of processing")
    return [*lines, "h_n += states"]


def _options(case: Case) -> list[str]:
    """What SimpleRNN is called with."""
    spec = case.spec
    options = [f"{spec.hidden_size}", f"activation={text_literal(spec.nonlinearity)}", f"use_bias={spec.bias}"]
    # as in the adapter: the default has no bfloat16, and on torch it leaves another memory layout, so other bits
    options += ['recurrent_initializer="zeros"', "return_sequences=True", "return_state=True"]
    if case.lengths is not None or case.mask is not None:
        options.append("zero_output_for_mask=True")
    if spec.direction == "reverse":
        options.append("go_backwards=True")
    return [*options, f"dtype={text_literal(case.dtype)}"]


def _answer(case: Case) -> str:
    output = {"batch_first": "", "time_first": ".swapaxes(0, 1)", "unbatched": "[0]"}[case.layout]
    h_n = "[:, 0]" if case.layout == "unbatched" else ""
    return f"""
output = keras.ops.convert_to_numpy(sequence){output}
h_n = np.stack([keras.ops.convert_to_numpy(h) for h in h_n]){h_n}
actual = {{"output": output.astype("float64"), "h_n": h_n.astype("float64")}}""".strip()
