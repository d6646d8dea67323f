"""Keras' part of a stand-alone script: SimpleRNN layers as their own user writes them. It imports no Keras here."""

from __future__ import annotations

from reference import Case
from reference.spec import expect_word

from ..scripts.literals import text_literal
from ..scripts.script import Native, script, words_of

BACKENDS = ("tensorflow", "jax", "torch", "numpy", "openvino")

IMPORTS = """
os.environ.setdefault("KERAS_BACKEND", $backend)
os.environ.setdefault("JAX_ENABLE_X64", "1")  #? x64

import keras

BACKEND = keras.backend.backend()
"""
VERSIONS = '"Keras", keras.__version__, "on", BACKEND, sys.modules[BACKEND].__version__, "on", $device'
# The initializer: the default has no bfloat16, and on torch it leaves another memory layout, so other bits.
CALL = """
# Columns are units, and there is one bias.  #? bias
# Columns are units.  #? !bias
weights = [[w_ih.T.copy(), w_hh.T.copy(), b_ih + b_hh] for $weights in cells]  #? bias
weights = [[w_ih.T.copy(), w_hh.T.copy()] for $weights in cells]  #? !bias
start = [keras.ops.convert_to_tensor(h, dtype="$dtype") for h in h0$state]  #? h0
counts = keras.ops.convert_to_tensor(np.arange($time) < np.array(lengths)[:, None])  #? lengths
counts = keras.ops.convert_to_tensor(mask$to_batch_first.copy())  #? mask
with keras.device($native_device):
    sequence = keras.ops.convert_to_tensor(x$to_batch_first.copy(), dtype="$dtype")
    h_n = []
    for n in range($num_layers):
        cell = $directions * n
        layer = keras.layers.SimpleRNN(
            $hidden_size,
            activation="$nonlinearity",
            use_bias=$bias,
            recurrent_initializer="zeros",
            return_sequences=True,
            return_state=True,
            zero_output_for_mask=True,  #? ended
            go_backwards=True,  #? reverse
            dtype="$dtype",
        )
        layer = keras.layers.Bidirectional(layer, dtype="$dtype")  #? bidirectional
        layer.build(sequence.shape)
        layer.set_weights(sum(weights[cell : cell + $directions], []))
        sequence, *states = layer(
            sequence,
            initial_state=start[cell : cell + $directions],  #? h0
            mask=counts,  #? ended
        )
        sequence = keras.ops.flip(sequence, axis=1)  # it came in the order of processing  #? reverse
        h_n += states
output = keras.ops.convert_to_numpy(sequence)$from_batch_first.astype("float64")
h_n = np.stack([keras.ops.convert_to_numpy(h) for h in h_n])$state_back.astype("float64")
actual = {"output": output, "h_n": h_n}
"""


def keras_script(case: Case, device: str, backend: str, x64: bool = False) -> str:
    """The script of a case for a stack of SimpleRNN layers, called one after another.

    device: named as the adapter's are, here or not.  backend: one of BACKENDS, what KERAS_BACKEND is to be, where it is
    not set.  x64: whether JAX is to keep float64. Raises ValueError for another device or backend.
    """
    both = words_of(case, device)["bidirectional"]
    expect_word("backend", backend, BACKENDS)
    title = "keras.layers.Bidirectional" if both else "keras.layers.SimpleRNN"
    names = {"backend": text_literal(backend), "native_device": text_literal(keras_device(device, backend))}
    return script(case, Native(title, f"Keras on {backend}", IMPORTS, VERSIONS, CALL), device, {**names, "x64": x64})


def keras_device(device: str, backend: str) -> str:
    """Keras' own name of a device: "cuda" and "cuda:1" are its "gpu:0" and "gpu:1"."""
    kind, _, index = device.partition(":")
    if kind == "cuda":
        return f"gpu:{index or 0}"
    # Keras 3.10 knows no "cpu" on JAX; on torch "cpu:0" makes a copy of every new weight, which is then no Parameter
    return "cpu:0" if backend == "jax" and device == "cpu" else device
