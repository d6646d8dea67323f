"""What a Keras model answers to its user is what a port of it answers to its own, or it is not read."""

from __future__ import annotations

import importlib.metadata
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adapters
from adapters.versions import ANY_VERSION, TORCH
from meta_tests.common.frameworks import array_of, framework_adapter
from reference import Case, RNNSpec, judge
from reference.draws import Draw, draw_case, draw_parameters

# of a model that is loaded, or is not ours; the outputs carry no mask, and need none
UNMASKED = pytest.mark.filterwarnings("ignore:Layer '.*' .* was passed an input with a mask")
# TensorFlow's and torch's variables and NumPy 2, while Keras saves or copies them
SAVING = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
UNITS = 4
# on torch the default's QR leaves another memory layout, and so other bits
DRAWN = {"recurrent_initializer": "glorot_uniform", "bias_initializer": "random_normal"}
MASK = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 1, 0, 0, 0]], bool)
X = Draw(1).uniform((3, 5, 3)).astype("float32")


@pytest.fixture
def adapter() -> adapters.Adapter:
    return framework_adapter("keras")


@pytest.fixture
def keras() -> Any:
    return framework_adapter("keras").framework


SHAPES = [*["simple"] * 6, *["both"] * 3, "cell", "cells", "cells", "subclass", "lstm"]


def recurrent(k: Any, draw: random.Random, top: bool, stateless: bool) -> Any:
    """A recurrent layer as some user may have written it. stateless: it answers no states."""
    words = {
        "return_sequences": not top or draw.random() < 0.6,
        "return_state": not stateless and draw.random() < 0.5,
        "zero_output_for_mask": draw.random() < 0.4,
        "go_backwards": top and draw.random() < 0.25,
        "unroll": draw.random() < 0.1,
        "stateful": draw.random() < 0.05,
    }
    cell: dict[str, Any] = {"activation": draw.choice(["tanh"] * 6 + ["relu"]), **DRAWN}
    cell |= draw.choice([{}, {}, {"dropout": 0.5}, {"recurrent_constraint": "non_neg"}, {"use_bias": False}])
    kind = draw.choice(SHAPES)
    if kind == "subclass":
        return type("Own", (k.layers.SimpleRNN,), {})(UNITS, **cell, **words)
    if kind == "lstm":
        return k.layers.LSTM(UNITS, **words)
    if kind in ("cell", "cells"):
        cells = [k.layers.SimpleRNNCell(UNITS, **cell) for _ in range(2)]
        return k.layers.RNN(cells if kind == "cells" else cells[0], **words)
    simple = k.layers.SimpleRNN(UNITS, **cell, **words)
    if kind == "simple":
        return simple
    words["go_backwards"] = False
    simple = k.layers.SimpleRNN(UNITS, **cell, **words)
    return k.layers.Bidirectional(simple, merge_mode=draw.choice(["concat", "concat", "concat", "sum"]))


def drawn(k: Any, draw: random.Random) -> tuple[Any, list[Any]]:
    """A model of one to three layers, and its recurrent layers."""
    kind = draw.choice(["layer", "sequential", "functional", "functional"])
    count = 1 if kind == "layer" else draw.choice([1, 1, 2, 3])
    layers = [recurrent(k, draw, n == count - 1, kind == "sequential") for n in range(count)]
    between = draw.choice([k.layers.Dropout, k.layers.SpatialDropout1D, k.layers.Masking, *[None] * 5])
    stack = [*([between(0.5)] if between else []), *layers]
    if kind == "layer":
        return layers[0], layers
    if kind == "sequential":
        return k.Sequential([k.Input((5, 3)), *stack]), layers
    x = sequence = k.Input((5, 3), batch_size=3)
    states: list[Any] = []
    for layer in stack:
        answer = layer(sequence)
        sequence, *more = answer if isinstance(answer, list | tuple) else [answer]
        states += k.tree.flatten(more)
    top = layers[-1]
    if getattr(top, "go_backwards", False) and top.return_sequences:
        sequence = k.ops.flip(sequence, axis=draw.choice([1, 1, 2]))
    return k.Model(x, [sequence, *draw.choice([states, states, states[:1], []])]), layers


def half(layer: Any) -> Any:
    return getattr(layer, "backward_layer", layer)


def doubled(call: Callable[..., Any]) -> Callable[..., Any]:
    def twice(x: Any, *given: Any, **words: Any) -> Any:
        return call(2 * x, *given, **words)

    return twice


# what a user may do to a layer after it was made; None: nothing
CHANGES: list[Callable[[Any, Any], None] | None] = [
    *[None] * 12,
    lambda k, layer: setattr(layer, "call", doubled(layer.call)),
    lambda k, layer: setattr(half(layer).cell, "call", doubled(half(layer).cell.call)),
    lambda k, layer: setattr(half(layer), "inner_loop", doubled(half(layer).inner_loop)),
    lambda k, layer: setattr(half(layer).cell, "activation", k.ops.relu),
    lambda k, layer: setattr(half(layer).cell, "activation", None),
    lambda k, layer: setattr(half(layer).cell, "units", 3),
    lambda k, layer: setattr(half(layer).cell, "use_bias", False),
    lambda k, layer: setattr(half(layer).cell, "bias", None),
    lambda k, layer: setattr(half(layer).cell, "dtype_policy", k.DTypePolicy("float16")),
    lambda k, layer: setattr(half(layer), "dtype_policy", k.DTypePolicy("float16")),
    lambda k, layer: setattr(half(layer), "go_backwards", not half(layer).go_backwards),
    lambda k, layer: setattr(half(layer), "zero_output_for_mask", not half(layer).zero_output_for_mask),
    lambda k, layer: setattr(half(layer), "return_sequences", not half(layer).return_sequences),
    lambda k, layer: setattr(half(layer), "get_initial_state", lambda batch_size: [k.ops.ones((batch_size, UNITS))]),
    lambda k, layer: setattr(layer, "merge_mode", "ave"),
    lambda k, layer: setattr(layer, "supports_masking", False),
    lambda k, layer: layer.set_weights([weight / 2 for weight in layer.get_weights()]),
]


def answers(k: Any, module: Any, mask: np.ndarray | None) -> list[np.ndarray]:
    given = {} if mask is None else {"mask": k.ops.convert_to_tensor(mask)}
    return [array_of(one) for one in k.tree.flatten(module(k.ops.convert_to_tensor(X), **given))]


def last_of(spec: RNNSpec, port: list[np.ndarray]) -> np.ndarray:
    """What a model without return_sequences answers."""
    if spec.direction == "bidirectional":
        return np.concatenate(port[-2:], axis=-1)
    return port[-1]


def expect_same(spec: RNNSpec, native: list[np.ndarray], port: list[np.ndarray]) -> None:
    first = port[0] if native[0].ndim == 3 else last_of(spec, port)
    for mine, other in zip(native, [first, *port[1:]][: len(native)], strict=True):
        np.testing.assert_array_equal(mine, other)


def made(k: Any, draw: random.Random) -> Any:
    """A drawn model, changed or not, that can be called; None where Keras itself has no such model."""
    try:
        model, layers = drawn(k, draw)
        answers(k, model, None)
        change = draw.choice(CHANGES)
        if change is not None:
            change(k, draw.choice(layers))
    except (ValueError, AttributeError, TypeError, IndexError):
        return None
    return model


@UNMASKED
@SAVING
def test_a_port_answers_as_its_model_does(keras: Any, adapter: adapters.Adapter) -> None:
    """Whatever the model is: with a mask and without, its sequence or its last output, and its final states."""
    if keras.backend.backend() == "openvino":
        pytest.skip("on OpenVINO the same layers in another graph differ in their last bits")
    outcomes = []
    for seed in range(60):
        keras.utils.set_random_seed(seed)
        if (model := made(keras, random.Random(seed))) is None:
            continue
        try:
            spec, parameters = adapter.read(model)
        except adapters.NotOffered as refusal:
            outcomes.append(str(refusal))
            continue
        outcomes.append("read")
        port = adapter.build(spec, parameters)
        for mask in (None, MASK):
            expect_same(spec, answers(keras, model, mask), answers(keras, port, mask))
    assert outcomes.count("read") >= 12, outcomes
    assert all(len(outcome.splitlines()) == 1 for outcome in outcomes)


def mutated(k: Any, change: Callable[[Any, Any], Any], make: Callable[[Any], Any] | None = None) -> Any:
    layer = make(k) if make else k.layers.SimpleRNN(UNITS)
    layer.build((None, None, 3))
    change(k, layer)
    return layer


def wrong_dropout(k: Any) -> Any:
    own = type("Own", (k.layers.Dropout,), {"call": lambda self, x, training=False: 2 * x})
    return k.Sequential([k.Input((5, 3)), own(0.5), k.layers.SimpleRNN(UNITS)])


def functional(k: Any, body: Callable[[Any], Any], **words: Any) -> Any:
    x = k.Input((5, 3), **words)
    return k.Model(x, body(x))


def own_method(k: Any) -> Any:
    own = type("Own", (k.Sequential,), {"__call__": lambda self, x: 2 * k.Sequential.__call__(self, x)})
    return own([k.Input((5, 3)), k.layers.SimpleRNN(UNITS)])


def two_states(k: Any) -> Any:
    x, h = k.Input((5, 3)), k.Input((UNITS,))
    return k.Model([x, h], k.layers.SimpleRNN(UNITS)(x, initial_state=h))


def both_outputs(k: Any, x: Any) -> list[Any]:
    lower = k.layers.SimpleRNN(UNITS, return_sequences=True)(x)
    return [lower, k.layers.SimpleRNN(UNITS)(lower)]


def both(k: Any, **words: Any) -> Any:
    return k.layers.Bidirectional(k.layers.SimpleRNN(UNITS, return_sequences=True), **words)


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "call": (lambda k: mutated(k, CHANGES[12]), "with call of its own"),
    "call of the cell": (lambda k: mutated(k, CHANGES[13]), "with call of its own"),
    "activation set to nothing": (lambda k: mutated(k, CHANGES[16]), "got activation None"),
    "units": (lambda k: mutated(k, lambda k, layer: setattr(layer.cell, "units", 3)), "got state_size|got units 3"),
    "a dtype set later": (lambda k: mutated(k, CHANGES[20]), "computes in float16 on float32 weights|expected"),
    "a layer of another dtype": (lambda k: mutated(k, CHANGES[21]), "computes in float16, expected float32"),
    "no mask handed on": (lambda k: mutated(k, CHANGES[27]), "got supports_masking=False"),
    "a half that holds": (
        lambda k: mutated(k, lambda k, layer: setattr(layer.forward_layer, "zero_output_for_mask", False), both),
        "a half that holds its output",
    ),
    "a kernel of another size": (
        lambda k: mutated(k, lambda k, layer: setattr(layer.cell, "recurrent_kernel", k.ops.ones((4, 5)))),
        r"w_hh: got \(5, 4\), expected \(4, 4\)",
    ),
    "no kernel": (
        lambda k: mutated(k, lambda k, layer: setattr(layer.cell, "kernel", None)),
        "its kernel cannot be read",
    ),
    "stateful": (lambda k: k.Sequential([k.Input((5, 3), batch_size=3), k.layers.SimpleRNN(UNITS, stateful=True)]),
                 "got stateful=True"),
    "another Dropout": (wrong_dropout, "got Own, expected SimpleRNN"),
    "Dropout in another dtype": (
        lambda k: k.Sequential([k.Input((5, 3)), k.layers.Dropout(0.5, dtype="float16"), k.layers.SimpleRNN(UNITS)]),
        "computes in float16, expected float32|got Cast, expected",
    ),
    "dropout that stays on": (
        lambda k: functional(k, lambda x: k.layers.SimpleRNN(UNITS, dropout=0.5)(x, training=True)),
        "called with training",
    ),
    "a constant state": (
        lambda k: functional(k, lambda x: k.layers.SimpleRNN(UNITS)(x, initial_state=k.ops.ones((1, UNITS)))),
        "called with initial_state",
    ),
    "a state as an input": (two_states, "got 2 inputs, expected one"),
    "an output of a lower layer": (lambda k: functional(k, lambda x: both_outputs(k, x)), "got 2 outputs"),
    "an Input of integers": (
        lambda k: functional(k, k.layers.SimpleRNN(UNITS), dtype="int32"),
        "got an Input of int32 below layers of float32",
    ),
    "a model's own __call__": (own_method, "whose __call__ is its own"),
    "processing order": (
        lambda k: mutated(k, lambda k, layer: None, lambda k: k.layers.SimpleRNN(UNITS, go_backwards=True,
                                                                                  return_sequences=True)),
        "answers in processing order",
    ),
    "a flip of the units": (
        lambda k: functional(k, lambda x: k.ops.flip(both(k)(x), axis=2)), "got a flip over axis 2"
    ),
    "a flip in time": (
        lambda k: functional(k, lambda x: k.ops.flip(both(k)(x), axis=1)), "above a layer that runs forward"
    ),
    "a last output of zero": (
        lambda k: mutated(k, lambda k, layer: setattr(layer, "zero_output_for_mask", True)),
        "with zero_output_for_mask and without return_sequences, which answers 0 where its last step is masked",
    ),
    "no autocast": (lambda k: mutated(k, lambda k, layer: setattr(layer, "autocast", False)), "got autocast=False"),
    "both halves forward": (
        lambda k: mutated(k, lambda k, layer: setattr(layer.backward_layer, "go_backwards", False), both),
        r"got halves with go_backwards \[False, False\], expected \[False, True\]",
    ),
    "merge_mode set later": (
        lambda k: mutated(k, lambda k, layer: setattr(layer, "merge_mode", "sum"), both), "merge_mode='sum'"
    ),
    "TimeDistributed": (
        lambda k: functional(k, k.layers.TimeDistributed(k.layers.Dense(2))), "got TimeDistributed, expected"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_was_made_otherwise_is_refused(keras: Any, adapter: adapters.Adapter, name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(adapters.NotOffered, match=words):
        adapter.read(make(keras))


def test_a_hook_of_torch_is_refused(keras: Any, adapter: adapters.Adapter) -> None:
    layer = keras.layers.SimpleRNN(UNITS)
    layer.build((None, None, 3))
    if not hasattr(layer, "register_forward_hook"):
        pytest.skip("layers have hooks on torch alone")
    layer.register_forward_hook(lambda module, given, answer: 2 * answer)
    with pytest.raises(adapters.NotOffered, match="_forward_hooks of its own"):
        adapter.read(layer)


@UNMASKED
@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("layers", [1, 3])
def test_a_port_holds_its_output_at_masked_steps_as_its_model_did(
    keras: Any, adapter: adapters.Adapter, direction: str, layers: int
) -> None:
    """zero_output_for_mask=False is Keras' default. The suite's own answer is zero there all the same."""
    cells = [keras.layers.SimpleRNNCell(UNITS, **DRAWN) for _ in range(layers)]
    layer = keras.layers.RNN(
        cells if layers > 1 else cells[0], return_sequences=True, go_backwards=direction != "forward"
    )
    x = keras.Input((None, 3))
    model = keras.Model(x, keras.ops.flip(layer(x), axis=1) if direction == "reverse" else layer(x))
    spec, parameters = adapter.read(model)
    assert spec.held
    port = adapter.build(spec, parameters)
    assert adapter.read(port)[0].held
    expected, *_ = answers(keras, model, MASK)
    np.testing.assert_array_equal(answers(keras, port, MASK)[0], expected)
    assert expected[~MASK].any()
    answer = adapter.run(port, X, mask=MASK)
    assert not answer.output[~MASK].any()
    case = Case(spec, parameters, X, mask=MASK)
    assert judge(case, answer.output, answer.h_n, prefixes=answer.prefixes).outcome == "agrees"
    zeroed = adapter.build(RNNSpec(**spec.to_dict()), parameters)
    assert not answers(keras, zeroed, MASK)[0][~MASK].any(), "a spec that was not read has zeros"


def test_a_bidirectional_port_cannot_hold(adapter: adapters.Adapter) -> None:
    spec = RNNSpec(3, UNITS, direction="bidirectional", held=True)
    with pytest.raises(adapters.NotOffered, match="Bidirectional answers zero at masked steps"):
        adapter.build(spec, draw_parameters(spec))


def test_a_port_is_batch_first_whatever_was_read(keras: Any, adapter: adapters.Adapter) -> None:
    spec = RNNSpec(3, UNITS, layout="time_first")
    parameters = draw_parameters(spec)
    port = adapter.build(spec, parameters)
    case = Case(spec, parameters, X)
    output, state = answers(keras, port, None)
    assert judge(case, output, state[None]).outcome == "agrees"
    assert adapter.build(spec, parameters, layout="batch_first") is not None
    for layout in ("time_first", "unbatched"):
        with pytest.raises(adapters.NotOffered, match=f"layout {layout}: Keras layers are batch first"):
            adapter.build(spec, parameters, layout=layout)
    with pytest.raises(ValueError, match="layout: got 'packed', expected one of"):
        adapter.build(spec, parameters, layout="packed")


LOADED = """
import json, sys
import keras
import numpy as np

x, mask = np.array(json.loads(sys.argv[1]), "float32"), np.array(json.loads(sys.argv[2]))
found = {}
for path in sys.argv[3:]:
    model = keras.models.load_model(path)
    for given in ({}, {"mask": keras.ops.convert_to_tensor(mask)}):
        answers = model(keras.ops.convert_to_tensor(x), **given)
        found[path + str(len(given))] = [keras.ops.convert_to_numpy(answer).tolist() for answer in answers]
print(json.dumps([found, "adapters" in sys.modules or "reference" in sys.modules]))
"""


@SAVING
def test_a_port_is_saved_and_loaded_without_this_suite(keras: Any, adapter: adapters.Adapter, tmp_path: Path) -> None:
    expected = {}
    for name, spec in {
        "forward": RNNSpec(3, UNITS, 2, held=True),
        "reverse": RNNSpec(3, UNITS, 1, "reverse", "relu"),
        "reverse_stack": RNNSpec(3, UNITS, 3, "reverse", held=True),
        "both": RNNSpec(3, UNITS, 2, "bidirectional", bias=False),
    }.items():
        port = adapter.build(spec, draw_parameters(spec))
        path = str(tmp_path / f"{name}.keras")
        port.save(path)
        expected[path] = port
    arguments = [json.dumps(X.tolist()), json.dumps(MASK.tolist()), *expected]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["KERAS_BACKEND"] = keras.backend.backend()
    finished = subprocess.run(
        [sys.executable, "-I", "-c", LOADED, *arguments],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found, ours = json.loads(finished.stdout.splitlines()[-1])
    assert not ours
    for path, port in expected.items():
        for count, mask in ((0, None), (1, MASK)):
            for mine, other in zip(answers(keras, port, mask), found[f"{path}{count}"], strict=True):
                np.testing.assert_array_equal(mine, np.array(other, "float32"))


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_port_answers_the_equations_when_it_is_called_natively(
    keras: Any, adapter: adapters.Adapter, direction: str, layers: int
) -> None:
    spec = RNNSpec(3, UNITS, layers, direction)
    parameters = draw_parameters(spec)
    port = adapter.build(spec, parameters)
    assert type(port).__module__.startswith("keras.")
    for mask in (None, MASK):
        output, *states = answers(keras, port, mask)
        verdict = judge(Case(spec, parameters, X, mask=mask), output, np.stack(states), bound="trajectory")
        assert verdict.outcome == "agrees", verdict


def test_the_layers_of_a_port_take_initial_states(keras: Any, adapter: adapters.Adapter) -> None:
    """As the docstring of build says."""
    case = draw_case(RNNSpec(3, UNITS, direction="bidirectional"), batch=3, time=5, h0=True)
    (layer,) = [one for one in adapter.build(case.spec, case.parameters).layers if hasattr(one, "return_state")]
    start = [keras.ops.convert_to_tensor(h) for h in np.asarray(case.h0)]
    mask = keras.ops.convert_to_tensor(MASK)
    output, *states = layer(keras.ops.convert_to_tensor(case.x), initial_state=start, mask=mask)
    masked = Case(case.spec, case.parameters, case.x, case.h0, mask=MASK)
    assert judge(masked, array_of(output), np.stack([*map(array_of, states)])).outcome == "agrees"


@SAVING
def test_a_loaded_port_can_be_run(keras: Any, adapter: adapters.Adapter, tmp_path: Path) -> None:
    spec = RNNSpec(3, UNITS, 2, "reverse")
    parameters = draw_parameters(spec)
    adapter.build(spec, parameters).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    answer = adapter.run(loaded, X, mask=MASK)
    case = Case(spec, parameters, X, mask=MASK)
    assert judge(case, answer.output, answer.h_n, prefixes=answer.prefixes).outcome == "agrees"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"mode": "fast"}, "mode: got 'fast', expected one of eager, "),
        ({"device": None}, "device: got None, expected one of cpu"),
        ({"dtype": ""}, "dtype: got '', expected one of float16, "),
        ({"layout": 3}, "layout: got 3, expected one of batch_first, "),
        ({"parameters": iter(())}, "parameters: got .*iterator, expected a sequence"),
        ({"spec": None}, "spec: got NoneType, expected RNNSpec"),
    ],
)
def test_a_bad_argument_of_build_is_named(adapter: adapters.Adapter, words: dict[str, Any], message: str) -> None:
    spec = RNNSpec(3, UNITS)
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        adapter.build(**{"spec": spec, "parameters": draw_parameters(spec), **words})
    assert len(str(raised.value).splitlines()) == 1


def test_a_backend_that_cannot_be_used_is_refused_in_one_sentence(
    adapter: adapters.Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapters.keras import settings

    words = "this adapter runs on tensorflow, torch, jax, numpy, openvino; KERAS_BACKEND names one"
    for named in ("mxnet", "theano"):
        monkeypatch.setenv("KERAS_BACKEND", named)
        with pytest.raises(ImportError, match=rf"^Keras on {named}: {words}$"):
            settings._backend()
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setattr(adapter.framework.backend, "backend", lambda: "mxnet")  # of Keras' own file
    with pytest.raises(ImportError, match=rf"^Keras on mxnet: {words}$"):
        settings._backend()
    monkeypatch.setattr(settings, "BACKENDS", ("torch",))
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.delenv(ANY_VERSION, raising=False)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.13.1+cpu" if name == "torch" else "99")
    with pytest.raises(ImportError, match=rf"^torch 1\.13\.1\+cpu: this adapter needs {re.escape(TORCH)} or newer; "):
        settings._backend()


# what Keras imports on a backend
@pytest.mark.parametrize(
    ("backend", "package"), [("jax", "jax"), ("numpy", "jax"), ("openvino", "openvino"), ("openvino", "scipy")]
)
def test_a_backend_that_is_not_installed_is_named(adapter: adapters.Adapter, backend: str, package: str) -> None:
    if package != backend and find_spec(backend) is None:
        pytest.skip(f"{backend} is absent")
    code = f"import sys; sys.modules[{package!r}] = None; import adapters; adapters.load('keras')"
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(Path(__file__).parents[3])}
    finished = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert f"LoadError: adapter keras: Keras on {backend}: {package} is not installed; pip" in finished.stderr
