"""On JAX, Keras has float64 where it is asked for, and nowhere else, whatever the user's setting is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.common.frameworks import framework_adapter

ROOT = Path(__file__).parents[3]
ASKED = """
import json
import numpy as np
import adapters
from adapters.keras.settings import on
from reference import RNNSpec
from reference.draws import Draw, draw_parameters
keras = adapters.load("keras")
import jax
def dtype(name):
    with on("cpu", name):
        return jax.numpy.asarray(np.ones(2)).dtype.name
before = jax.config.jax_enable_x64
said = {name: dtype(name) for name in ("float64", "float32", "bfloat16")}
x = Draw(1).uniform((3, 4))
relu = keras.activation(x, "relu")
said["activation"] = relu.dtype.name if (relu == np.maximum(x, 0)).all() else "rounded"
said["dense"] = keras.dense(np.eye(4), np.zeros(4), x).dtype.name
spec = RNNSpec(4, 4)
first, second = draw_parameters(spec, seed=0, dtype="float64"), draw_parameters(spec, seed=1, dtype="float64")
for mode in ("eager", "saved"):
    module = keras.build(spec, first, mode=mode)
    keras.set_weights(module, second)
    if mode == "eager":
        read = keras.read(module)[1][0]
        said["weights"] = bool((read.w_ih == second[0].w_ih).all())
said["kept"] = jax.config.jax_enable_x64 == before
print(json.dumps(said))
"""


@pytest.mark.parametrize("setting", ["0", "1"])
def test_float64_is_there_for_float64_alone(setting: str) -> None:
    for name in ("keras", "flax"):
        framework_adapter(name)
    environment = {"KERAS_BACKEND": "jax", "JAX_ENABLE_X64": setting, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", ASKED], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "float64": "float64", "float32": "float32", "bfloat16": "float32",
        "dense": "float64", "weights": True, "kept": True, "activation": "float64",
    }  # fmt: skip
