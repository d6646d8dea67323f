"""Keras' gradients: on every backend, and of layers that a user made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from adapters import NotOffered
from meta_tests.common.asked_gradients import differentiating, verdict_on_gradients
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.gradients import gradient_case

ROOT = Path(__file__).parents[3]
ASKED = """
import json
import adapters
from meta_tests.common.asked_gradients import verdict_on_gradients
from meta_tests.common.gradients import gradient_case
keras, said = adapters.load("keras"), {}
for name in ("tanh", "gru", "gru_reset_before", "lstm"):
    try:
        direction = "bidirectional" if name == "tanh" else "forward"
        case = gradient_case(name, direction=direction, mask=name != "gru", h0=name == "gru")
        said[name] = verdict_on_gradients(keras, case).outcome
    except adapters.NotOffered as error:
        said[name] = str(error)
print(json.dumps(said))
"""
NONE = "gradients True: NumPy, the backend of Keras, computes none"


@pytest.mark.parametrize(("backend", "outcome"), [("torch", "agrees"), ("jax", "agrees"), ("numpy", NONE)])
def test_gradients_agree_on_the_other_backends(backend: str, outcome: str) -> None:
    framework_adapter("keras")
    if find_spec("jax" if backend == "numpy" else backend) is None:  # which Keras imports on NumPy
        pytest.skip(f"{backend} is absent")
    environment = {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", ASKED], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {*json.loads(done.stdout.splitlines()[-1]).values()} == {outcome}


def test_layers_that_hold_their_output_answer_zero_and_are_handed_nothing_there() -> None:
    adapter, case = differentiating("keras"), gradient_case("tanh", mask=True)
    assert verdict_on_gradients(adapter, case, held=True).outcome == "agrees"


def test_nothing_is_left_in_a_users_layer_and_dropout_is_refused() -> None:
    adapter, case = differentiating("keras"), gradient_case("gru", only="output")
    keras = adapter.framework
    for dropout in (0.0, 0.25):
        layer = keras.layers.GRU(4, return_sequences=True, return_state=True, dropout=dropout)
        layer.build((None, None, 3))
        before = [np.array(weight) for weight in layer.get_weights()]
        if dropout:
            with pytest.raises(NotOffered, match="got a dropout, expected none"):
                adapter.gradients(layer, **case.inputs, cotangents=case.cotangents)
        else:
            adapter.gradients(layer, **case.inputs, cotangents=case.cotangents)
        assert all(map(np.array_equal, before, layer.get_weights()))
        assert all(getattr(variable.value, "grad", None) is None for variable in layer.variables)
