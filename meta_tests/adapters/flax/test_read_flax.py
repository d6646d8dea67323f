"""A user's own Flax module is read exactly, and what RNNSpec cannot express is refused with the reason."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adapters
from meta_tests.common.frameworks import array_of, framework_adapter
from reference import LAYOUTS, Case, RNNSpec, judge
from reference.draws import Draw, draw_case

X = Draw(1).uniform((2, 4, 3)).astype("float32")  # (batch, time, input_size)


@pytest.fixture(scope="module")
def nnx() -> Any:
    return framework_adapter("flax").framework.nnx


@pytest.fixture
def adapter() -> adapters.Adapter:
    return framework_adapter("flax")


def cell(n: Any, features: int = 3, units: int = 5, **words: Any) -> Any:
    return n.SimpleCell(features, units, bias_init=n.initializers.normal(), rngs=n.Rngs(0), **words)


def rnn(n: Any, features: int = 3, **words: Any) -> Any:
    return n.RNN(cell(n, features), **words)


def both(n: Any, features: int = 3, **words: Any) -> Any:
    return n.Bidirectional(rnn(n, features), rnn(n, features), **words)


def gated(n: Any, kind: str, features: int = 3, **words: Any) -> Any:
    return n.RNN(getattr(n, kind)(features, 5, bias_init=n.initializers.normal(), rngs=n.Rngs(0), **words))


def both_gated(n: Any, kind: str, features: int = 3) -> Any:
    return n.Bidirectional(gated(n, kind, features), gated(n, kind, features))


def with_inner_bias(n: Any) -> Any:
    layer = gated(n, "GRUCell")
    layer.cell.dense_h = n.Linear(5, 15, bias_init=n.initializers.normal(), rngs=n.Rngs(1))
    return layer


def without_bias(n: Any) -> Any:
    layer = rnn(n)
    layer.cell.dense_i = n.Linear(3, 5, use_bias=False, rngs=n.Rngs(1))
    return layer


def without_biases(n: Any) -> Any:
    layer = gated(n, "LSTMCell")
    for part in ("hi", "hf", "hg", "ho"):
        setattr(layer.cell, part, n.Linear(5, 5, use_bias=False, rngs=n.Rngs(1)))
    return layer


def trained(n: Any) -> Any:
    """One step of gradient descent, so that the parameters are what a training loop left behind."""
    layer = rnn(n)
    jax = import_module("jax")
    gradients = n.grad(lambda module: (module(X) ** 2).sum())(layer)
    n.update(layer, jax.tree.map(lambda p, g: p - 0.1 * g, n.state(layer, n.Param), gradients))
    return layer


def with_a_hook(n: Any) -> Any:
    """A parameter that is used doubled."""
    layer = rnn(n)
    with warnings.catch_warnings(action="ignore"):
        layer.cell.dense_h.kernel = n.Param(
            array_of(layer.cell.dense_h.kernel), on_get_value=lambda _, array: 2 * array
        )
    return layer


def inferring(n: Any) -> Any:
    """Its dtype is that of what it is given."""
    return n.RNN(cell(n, dtype=None))


READ: dict[str, tuple[Callable[[Any], Any], RNNSpec]] = {
    "RNN": (rnn, RNNSpec(3, 5)),
    "relu": (lambda n: n.RNN(cell(n, activation_fn=n.relu)), RNNSpec(3, 5, nonlinearity="relu")),
    "jax.numpy.tanh": (lambda n: n.RNN(cell(n, activation_fn=import_module("jax").numpy.tanh)), RNNSpec(3, 5)),
    "no bias": (without_bias, RNNSpec(3, 5, bias=False)),
    "dtype None": (inferring, RNNSpec(3, 5)),
    "unroll": (lambda n: rnn(n, unroll=3), RNNSpec(3, 5)),
    "without rngs of its own": (lambda n: rnn(n, rngs=n.Rngs(7)), RNNSpec(3, 5)),
    "carries of zeros": (lambda n: with_set(rnn(n), "cell.carry_init", n.initializers.zeros_init()), RNNSpec(3, 5)),
    "axes as a dict": (lambda n: rnn(n, state_axes={...: n.Carry}), RNNSpec(3, 5)),
    "trained": (trained, RNNSpec(3, 5)),
    "reverse, in time order": (lambda n: rnn(n, reverse=True, keep_order=True), RNNSpec(3, 5, direction="reverse")),
    "Bidirectional": (both, RNNSpec(3, 5, direction="bidirectional")),
    "Bidirectional, whatever its halves were given": (
        lambda n: n.Bidirectional(rnn(n, reverse=True, time_major=True), rnn(n)),
        RNNSpec(3, 5, direction="bidirectional"),
    ),
    "Sequential": (lambda n: n.Sequential(rnn(n), rnn(n, 5), rnn(n, 5)), RNNSpec(3, 5, 3)),
    "Sequential of Bidirectional": (lambda n: n.Sequential(both(n), both(n, 10)), RNNSpec(3, 5, 2, "bidirectional")),
    "Sequential, reverse in time order": (
        lambda n: n.Sequential(*(rnn(n, size, reverse=True, keep_order=True) for size in (3, 5))),
        RNNSpec(3, 5, 2, "reverse"),
    ),
    "time_major": (lambda n: rnn(n, time_major=True), RNNSpec(3, 5)),
    "Bidirectional, time_major": (
        lambda n: n.Sequential(both(n, time_major=True), both(n, 10, time_major=True)),
        RNNSpec(3, 5, 2, "bidirectional"),
    ),
    "a hook of a parameter": (with_a_hook, RNNSpec(3, 5)),
    "GRUCell": (lambda n: gated(n, "GRUCell"), RNNSpec(3, 5, cell="gru")),
    "GRUCell with a bias of h": (with_inner_bias, RNNSpec(3, 5, cell="gru")),
    "GRUCells": (
        lambda n: n.Sequential(both_gated(n, "GRUCell"), both_gated(n, "GRUCell", 10)),
        RNNSpec(3, 5, 2, "bidirectional", cell="gru"),
    ),
    "OptimizedLSTMCell": (lambda n: both_gated(n, "OptimizedLSTMCell"), RNNSpec(3, 5, 1, "bidirectional", cell="lstm")),
    "LSTMCell without a bias": (without_biases, RNNSpec(3, 5, bias=False, cell="lstm")),
    "LSTM cells of two kinds": (
        lambda n: n.Sequential(gated(n, "LSTMCell"), gated(n, "OptimizedLSTMCell", 5)),
        RNNSpec(3, 5, 2, cell="lstm"),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_a_users_module_is_what_was_read_from_it(nnx: Any, adapter: adapters.Adapter, name: str):
    """Called as its user calls it, the module answers the last layer's output; its final states are in it."""
    make, expected_spec = READ[name]
    module = make(nnx)
    spec, parameters = adapter.read(module)
    assert spec == expected_spec
    assert spec.layout == ("time_first" if "time_major" in name else "batch_first")
    case, native = Case(spec, parameters, X, layout=spec.layout), array_of(module(X))
    verdict = judge(case, native, case.answer().h_n, bound="trajectory")
    assert verdict.outcome == "agrees", verdict
    port = array_of(adapter.build(spec, parameters)(X))
    if "LSTM" in name or name == "unroll":  # four products or one; XLA compiles an unrolled loop in another way
        assert judge(case, port, case.answer().h_n, bound="trajectory").outcome == "agrees"
    else:
        assert np.array_equal(port, native), "a port, called alike"


@st.composite
def drawn(draw: st.DrawFn, n: Any) -> Any:
    """A user's stack, with any of the options that nnx.RNN and nnx.Bidirectional have."""
    word = draw(st.sampled_from(["tanh", "relu"]))
    kind, features, layers = draw(st.sampled_from([rnn, both])), 3, []
    names = ("time_major", *["reverse", "keep_order"] * (kind is rnn))
    options = {name: draw(st.booleans()) for name in names}
    for _ in range(draw(st.integers(1, 2))):
        layer = kind(n, features, **options | {"return_carry": draw(st.sampled_from([False, False, True]))})
        for half in [layer] if kind is rnn else [layer.forward_rnn, layer.backward_rnn]:
            half.cell.activation_fn, half.unroll = getattr(n, word), draw(st.integers(1, 2))
        features = 5 if kind is rnn else 10
        layers.append(layer)
    return layers[0] if len(layers) == 1 else n.Sequential(*layers)


@settings(max_examples=6, deadline=None)
@given(st.data())
def test_a_drawn_module_is_what_was_read_of_it_or_is_refused(data: st.DataObject):
    adapter = framework_adapter("flax")
    module = data.draw(drawn(adapter.framework.nnx))
    try:
        spec, parameters = adapter.read(module)
    except adapters.NotOffered as refusal:
        words = str(refusal)
    else:
        words = ""
        case = Case(spec, parameters, X, layout=spec.layout or "batch_first")
        for answer in (adapter.build(spec, parameters)(X), module(X)):
            assert judge(case, array_of(answer), case.answer().h_n, bound="trajectory").outcome == "agrees"
    assert not words or "return_carry=True" in words or "reverse=True without keep_order" in words


def test_a_cell_alone_is_read_as_a_layer(nnx: Any, adapter: adapters.Adapter):
    module = cell(nnx)
    spec, parameters = adapter.read(module)
    assert spec == RNNSpec(3, 5)
    h0 = Draw(2).uniform((1, 2, 5)).astype("float32")
    carry, output = module(h0[0], X[:, 0])
    verdict = judge(Case(spec, parameters, X[:, :1], h0), array_of(output)[:, None], array_of(carry)[None])
    assert verdict.outcome == "agrees", verdict


@pytest.mark.parametrize("make", [list, tuple], ids=["list", "tuple"])
def test_layers_that_a_user_calls_one_after_another_are_read_as_a_stack(
    nnx: Any, adapter: adapters.Adapter, make: Callable[..., Any]
):
    layers = make([both(nnx), both(nnx, 10)])
    spec, parameters = adapter.read(layers)
    assert spec == RNNSpec(3, 5, 2, "bidirectional")
    states, sequence = [], X
    for layer in layers:
        carry, sequence = layer(sequence, return_carry=True)
        states += [array_of(state) for state in carry]
    verdict = judge(Case(spec, parameters, X), array_of(sequence), np.stack(states), bound="trajectory")
    assert verdict.outcome == "agrees", verdict


def test_a_users_layer_is_run_as_it_is(nnx: Any, adapter: adapters.Adapter):
    layer = rnn(nnx)
    assert np.array_equal(adapter.run(layer, X).output, array_of(layer(X)))
    with pytest.raises(adapters.NotOffered, match=r"module: got list, expected .* build\(\*read\(module\)\)"):
        adapter.run([layer], X)
    with pytest.raises(adapters.NotOffered, match=r"module: got Doubled"):
        adapter.run(own_call(nnx), X)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("layers", [1, 2])
def test_what_build_returns_is_flaxs_own_and_called_in_its_layout(nnx: Any, adapter: Any, layout: str, layers: int):
    spec = RNNSpec(3, 5, layers, "bidirectional")
    case = draw_case(spec, batch=2, time=4, layout=layout)
    module = adapter.build(spec, case.parameters, layout=layout)
    assert type(module) is (nnx.Bidirectional if layers == 1 else nnx.Sequential)
    verdict = judge(case, array_of(module(case.x)), case.answer().h_n, bound="trajectory")
    assert verdict.outcome == "agrees", verdict


def own_call(n: Any) -> Any:
    class Doubled(n.RNN):
        def __call__(self, *given: Any, **words: Any) -> Any:
            return 2 * super().__call__(*given, **words)

    return Doubled(cell(n))


def own_cell(n: Any) -> Any:
    class Doubled(n.SimpleCell):
        def __call__(self, *given: Any) -> Any:
            carry, output = super().__call__(*given)
            return carry, 2 * output

    return n.RNN(Doubled(3, 5, rngs=n.Rngs(0)))


def tanh(x: Any) -> Any:
    """Not the hyperbolic tangent."""
    return x


def dense_of_ones_own(n: Any) -> Any:
    layer = rnn(n)
    layer.cell.dense_h = n.Linear(5, 5, use_bias=False, dot_general=lambda *a, **k: 0, rngs=n.Rngs(0))
    return layer


def two_biases(n: Any) -> Any:
    layer = rnn(n)
    layer.cell.dense_h = n.Linear(5, 5, rngs=n.Rngs(0))
    return layer


def another_dense(n: Any) -> Any:
    layer = rnn(n)
    layer.cell.dense_i = n.LoRALinear(3, 5, lora_rank=2, rngs=n.Rngs(0))
    return layer


def stored(n: Any, param_dtype: Any) -> Any:
    return cell(n, param_dtype=param_dtype, recurrent_kernel_init=n.initializers.zeros_init())


def with_set(layer: Any, where: str, value: Any) -> Any:
    """The layer with an attribute of a part of it set."""
    *path, name = where.split(".")
    setattr(functools.reduce(getattr, path, layer), name, value)
    return layer


def with_carry_init(n: Any) -> Any:
    layer = rnn(n)
    layer.cell.carry_init = n.initializers.ones_init()
    return layer


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "two cells": (lambda n: [rnn(n), gated(n, "GRUCell", 5)], r"cell \['elman', 'gru'\], expected one value"),
    "gate_fn": (lambda n: gated(n, "GRUCell", gate_fn=n.tanh), r"got a gate_fn of its own, expected Flax's sigmoid"),
    "relu of a GRU": (lambda n: gated(n, "GRUCell", activation_fn=n.relu), r"nonlinearity: got 'relu', expected tanh"),
    "a bias of x": (
        lambda n: with_set(gated(n, "OptimizedLSTMCell"), "cell.dense_i", n.Linear(3, 20, rngs=n.Rngs(0))),
        r"dense_i: got a bias, expected none there: its kind of cell has none",
    ),
    "two gates' kernels": (
        lambda n: with_set(gated(n, "LSTMCell"), "cell.hg", n.Linear(5, 4, rngs=n.Rngs(0))),
        r"hg.kernel: got shape \(5, 4\), expected 1 gates of w_hh",
    ),
    "a GRU cell in a stack": (
        lambda n: n.Sequential(rnn(n), n.GRUCell(5, 5, rngs=n.Rngs(0))),
        "got a GRUCell in nnx.Sequential, which gives it no carry",
    ),
    "Linear": (lambda n: n.Linear(3, 5, rngs=n.Rngs(0)), r"module: got Linear, expected nnx\.RNN"),
    "Linear above": (lambda n: n.Sequential(rnn(n), n.Linear(5, 2, rngs=n.Rngs(0))), r"layer 1: got Linear, expected"),
    "a cell in a stack": (lambda n: n.Sequential(rnn(n), cell(n)), "got a SimpleCell in nnx.Sequential, which"),
    "nothing": (lambda n: [], r"module: got no layers"),
    "sigmoid": (lambda n: cell(n, activation_fn=n.sigmoid), r"got activation_fn 'sigmoid', expected Flax's own"),
    "another tanh": (lambda n: cell(n, activation_fn=tanh), r"got activation_fn 'tanh', expected Flax's own"),
    "residual": (lambda n: cell(n, residual=True), r"got residual=True"),
    "carry_init": (with_carry_init, r"got a carry_init of its own"),
    "float32 on bfloat16": (
        lambda n: stored(n, "bfloat16"),
        r"computes in float32 on bfloat16 weights, expected one dtype",
    ),
    "two biases": (two_biases, r"dense_h: got a bias, expected none there"),
    "a dot_general of its own": (dense_of_ones_own, r"dense_h: got a dot_general of its own"),
    "another kind of Linear": (another_dense, r"dense_i: got LoRALinear, expected nnx\.Linear"),
    "a call of its own": (own_call, r"got Doubled, expected nnx\.RNN"),
    "a cell of its own": (own_cell, r"got a Doubled, expected nnx\.SimpleCell"),
    "merge_fn": (lambda n: both(n, merge_fn=lambda a, b: a + b), r"merge_fn of its own, expected concatenation"),
    "a half that is no RNN": (lambda n: n.Bidirectional(rnn(n), cell(n)), r"got a half that is SimpleCell"),
    "two kinds of halves": (
        lambda n: n.Bidirectional(rnn(n), n.RNN(cell(n, activation_fn=n.relu))),
        r"nonlinearity \['tanh', 'relu'\], expected one value",
    ),
    "two sizes": (lambda n: [rnn(n), n.RNN(cell(n, 5, 4))], r"hidden_size \[5, 4\], expected one value"),
    "two activations": (lambda n: [rnn(n), n.RNN(cell(n, 5, activation_fn=n.relu))], r"nonlinearity \['tanh', 'relu'"),
    "return_carry": (lambda n: rnn(n, return_carry=True), r"got return_carry=True"),
    "return_carry of both": (lambda n: both(n, return_carry=True), r"got return_carry=True"),
    "reverse": (lambda n: rnn(n, reverse=True), r"got reverse=True without keep_order: its output is in reverse"),
    "state_axes": (lambda n: rnn(n, state_axes={n.Param: 0}), r"got state_axes"),
    "state_axes of a half": (lambda n: n.Bidirectional(rnn(n, state_axes={n.Param: 0}), rnn(n)), r"got state_axes"),
    "a method of its own": (
        lambda n: with_set(rnn(n), "cell.initialize_carry", lambda *given: np.ones((2, 5), "float32")),
        r"layer 0: got a initialize_carry of its own, expected that of SimpleCell",
    ),
    "a subclass of Sequential": (lambda n: type("Other", (n.Sequential,), {})(rnn(n)), r"module: got Other"),
    "a subclass of RNN": (lambda n: type("Other", (n.RNN,), {})(cell(n)), r"got Other, expected nnx\.RNN"),
    "a list of its own kind": (lambda n: type("Other", (list,), {})([rnn(n)]), r"module: got Other"),
    "precision": (lambda n: with_set(rnn(n), "cell.dense_i.precision", "BF16_BF16_F32"), r"got a precision of its own"),
    "more features than weights": (lambda n: with_set(rnn(n), "cell.in_features", 4), r"w_ih: got \(5, 3\), expected"),
    "more units than weights": (lambda n: with_set(rnn(n), "cell.hidden_features", 6), r"got \(5,\), expected \(6,\)"),
    "no features": (lambda n: with_set(rnn(n), "cell.in_features", 0), r"input_size: got 0"),
    "another carry": (lambda n: with_set(rnn(n), "cell.param_dtype", "float16"), r"expected one dtype"),
    "another bias": (
        lambda n: with_set(rnn(n), "cell.dense_i.bias", n.Param(np.zeros(5, "float16"))),
        r"expected one dtype",
    ),
    "whole numbers": (
        lambda n: with_set(rnn(n), "cell.dense_h.kernel", n.Param(np.zeros((5, 5), int))),
        r"expected one dtype",
    ),
    "a bias that is not used": (lambda n: with_set(rnn(n), "cell.dense_i.use_bias", False), r"got use_bias=False"),
    "a bias that is lost": (lambda n: with_set(rnn(n), "cell.dense_i.bias", n.data(None)), r"got use_bias=True"),
    "shapes without numbers": (
        lambda n: n.eval_shape(lambda: rnn(n)),
        r"kernel: got ShapeDtypeStruct, expected an array",
    ),
    "two layouts": (lambda n: [rnn(n), rnn(n, 5, time_major=True)], r"time_major \[False, True\]"),
    "one bidirectional": (lambda n: [both(n), rnn(n, 10)], r"direction \['bidirectional', 'forward'\]"),
    "a layer in processing order below": (
        lambda n: [rnn(n, reverse=True), both(n, 5)],
        r"layer 0: got reverse=True without keep_order",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_expressed_is_refused(nnx: Any, adapter: adapters.Adapter, name: str):
    make, message = REFUSED[name]
    with pytest.raises(adapters.NotOffered, match=message):
        adapter.read(make(nnx))
