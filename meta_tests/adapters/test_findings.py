"""What released frameworks got wrong or refuse: docs/findings.md, pinned.

A test that fails here says that a framework has changed: strike the finding, and widen the adapter's capabilities.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meta_tests.common.frameworks import array_of, framework_adapter

ROOT = Path(__file__).parents[2]

FLOAT64_LAYER = """
import adapters
from reference import RNNSpec, judge
from reference.draws import draw_case

keras = adapters.load("keras").framework
case = draw_case(RNNSpec(3, 5), batch=2, time=4, dtype="float64")
cell = case.parameters[0]
layer = keras.layers.SimpleRNN(5, return_sequences=True, return_state=True, dtype="float64")
layer.build((None, None, 3))
layer.set_weights([cell.w_ih.T, cell.w_hh.T, cell.b_ih + cell.b_hh])
output, h_n = (keras.ops.convert_to_numpy(value) for value in layer(case.x))
print(keras.backend.backend(), output.dtype, judge(case, output, h_n[None]).outcome)
"""
UNROLLED = """
import numpy as np

x = np.arange(8.0, dtype="float32").reshape(1, 4, 2) / 8
mask = np.array([[True, True, False, False]])
for go_backwards in (False, True):
    for unroll in (False, True):
        layer = keras.layers.SimpleRNN(1, return_sequences=True, zero_output_for_mask=True, unroll=unroll,
                                       go_backwards=go_backwards, kernel_initializer="ones",
                                       recurrent_initializer="zeros")
        layer.build((None, 4, 2))
        try:
            answer = layer(keras.ops.convert_to_tensor(x), mask=keras.ops.convert_to_tensor(mask))
            print(end=f"{np.count_nonzero(keras.ops.convert_to_numpy(answer))} ")
        except AttributeError:
            print(end="AttributeError ")
"""


@functools.cache
def answers(backend: str) -> list[str]:
    """What the layer of float64 and the unrolled layers print, in a process of that backend of Keras."""
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])  # of the Keras at hand
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", FLOAT64_LAYER + UNROLLED]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return finished.stdout.splitlines()[-2:]


def test_keras_on_torch_multiplies_float64_in_float32() -> None:
    """The answer says float64; its products were float32, and the judge sees it. Since Keras 3.12."""
    keras = framework_adapter("keras").framework
    framework_adapter("torch")
    narrow = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 12)
    assert answers("torch")[0] == f"torch float64 {'disagrees' if narrow else 'agrees'}"


def test_keras_on_tensorflow_multiplies_float64_in_float64() -> None:
    """The same layer and the same check, on a backend that keeps float64."""
    framework_adapter("keras")
    assert answers("tensorflow")[0] == "tensorflow float64 agrees"


@pytest.mark.parametrize(
    ("backend", "outputs"), [("tensorflow", "2 2 2 0"), ("torch", "2 2 2 AttributeError"), ("jax", "2 4 2 2")]
)
def test_an_unrolled_keras_layer_takes_no_mask(backend: str, outputs: str) -> None:
    """Two valid steps of four: two outputs that are not zero. Forward, forward unrolled, backwards, backwards unrolled.

    On TensorFlow the mask is applied in time order to outputs in processing order; on JAX it is not applied at all.
    """
    framework_adapter("keras")
    assert answers(backend)[1] == outputs + " "


def test_predict_rounds_float64_arrays_to_float32() -> None:
    """The answer of a float64 model is float64, and that of its rounded inputs."""
    keras = framework_adapter("keras").framework
    if keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless it is asked for")
    layer = keras.layers.SimpleRNN(3, dtype="float64")
    given = keras.Input((4, 2), dtype="float64")
    model = keras.Model(given, layer(given))
    x = np.arange(8.0).reshape(1, 4, 2) / 7
    exact, rounded = (
        array_of(model(keras.ops.convert_to_tensor(array, dtype="float64")))
        for array in (x, x.astype("float32").astype("float64"))
    )
    predicted = model.predict(x, verbose=0)
    assert predicted.dtype == np.float64
    assert np.array_equal(predicted, rounded)
    assert not np.array_equal(predicted, exact)


def test_a_sequential_model_rounds_the_inputs_of_its_first_call_to_float32() -> None:
    """Without an Input of its own. The second call on the same tensor gives other bits, the right ones."""
    keras = framework_adapter("keras").framework
    if keras.backend.result_type("float64", "float64") != "float64":
        pytest.skip("Keras narrows float64 on this backend anyway")
    layer = keras.layers.SimpleRNN(3, dtype="float64")
    x = np.arange(8.0).reshape(1, 4, 2) / 7
    given, rounded = (
        keras.ops.convert_to_tensor(array, dtype="float64") for array in (x, x.astype("float32").astype("float64"))
    )
    layer.build(x.shape)
    model = keras.Sequential([layer])
    first, second = array_of(model(given)), array_of(model(given))
    assert first.dtype == np.float64
    assert np.array_equal(first, array_of(layer(rounded)))
    assert np.array_equal(second, array_of(layer(given)))
    assert not np.array_equal(first, second)
    with_input = keras.Sequential([keras.Input((4, 2), dtype="float64"), layer])
    assert np.array_equal(array_of(with_input(given)), second)


@pytest.mark.filterwarnings("ignore:Layer '.*' .* was passed an input with a mask")
def test_a_stack_of_backward_layers_reads_its_mask_the_wrong_way_round() -> None:
    """The lower layer hands its output on in processing order, and the mask in time order."""
    keras = framework_adapter("keras").framework
    layers = [keras.layers.SimpleRNN(3, return_sequences=True, go_backwards=n == 0) for n in range(2)]
    model = keras.Sequential([keras.Input((4, 2)), *layers])
    x = keras.ops.convert_to_tensor(np.arange(8.0, dtype="float32").reshape(1, 4, 2) / 7)
    mask = keras.ops.convert_to_tensor(np.array([[True, True, True, False]]))
    below = layers[0](x, mask=mask)
    answers = [array_of(layers[1](below, mask=one)) for one in (mask, keras.ops.flip(mask, axis=1))]
    assert np.array_equal(array_of(model(x, mask=mask)), answers[0])
    assert not np.array_equal(*answers)


@pytest.mark.filterwarnings("ignore:Layer '.*' .* was passed an input with a mask")
def test_a_layer_that_is_given_its_initial_state_forgets_the_mask_of_its_input() -> None:
    """The mask that a model is called with reaches a layer by its sequence, but not where a state comes beside it."""
    keras = framework_adapter("keras").framework
    x, h0 = keras.Input((4, 2)), keras.Input((3,))
    layer = keras.layers.SimpleRNN(3)
    models = [keras.Model(x, layer(x)), keras.Model([x, h0], layer(x, initial_state=h0))]

    def given() -> Any:  # a new tensor for each call: a mask stays with the tensor that it came with
        return keras.ops.convert_to_tensor(np.arange(8.0, dtype="float32").reshape(1, 4, 2) / 7)

    zeros, mask = keras.ops.zeros((1, 3)), keras.ops.convert_to_tensor(np.array([[True, True, False, False]]))
    masked, forgotten = models[0](given(), mask=mask), models[1]([given(), zeros], mask=[mask, None])
    assert np.array_equal(array_of(forgotten), array_of(models[0](given())))
    assert not np.array_equal(array_of(forgotten), array_of(masked))
    assert np.array_equal(array_of(layer(given(), initial_state=zeros, mask=mask)), array_of(masked))


def test_cells_that_keras_stacks_itself_are_called_in_its_default_dtype() -> None:
    """RNN([cell, cell], dtype="float64") makes a StackedRNNCells of float32, which rounds what comes to its cells."""
    keras = framework_adapter("keras").framework
    if keras.backend.result_type("float64", "float64") != "float64":
        pytest.skip("Keras narrows float64 on this backend anyway")
    layer = keras.layers.RNN([keras.layers.SimpleRNNCell(3, dtype="float64") for _ in range(2)], dtype="float64")
    x = np.arange(8.0).reshape(1, 4, 2) / 7
    exact, rounded = (
        array_of(layer(keras.ops.convert_to_tensor(array, dtype="float64")))
        for array in (x, x.astype("float32").astype("float64"))
    )
    assert layer.cell.compute_dtype == keras.config.floatx()
    assert np.array_equal(exact, rounded)


def test_keras_cannot_initialise_a_bfloat16_layer_on_tensorflow() -> None:
    """The default recurrent initialiser needs a QR decomposition, which TensorFlow does not have for bfloat16."""
    keras = framework_adapter("keras").framework
    if keras.backend.backend() != "tensorflow":
        pytest.skip(f"Keras is on {keras.backend.backend()}")
    layer = keras.layers.SimpleRNN(4, dtype="bfloat16")
    with pytest.raises(Exception, match="bfloat16 is not in the list of allowed values"):
        layer.build((None, None, 3))
