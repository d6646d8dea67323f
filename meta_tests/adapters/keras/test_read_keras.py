"""A user's own Keras model is read exactly, and what RNNSpec cannot express is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import adapters
from meta_tests.common.frameworks import array_of, framework_adapter, judge_last
from reference import Case, RNNSpec
from reference.draws import Draw

X = Draw(1).uniform((2, 4, 3)).astype("float32")  # (batch, time, input_size)


@pytest.fixture(scope="module")
def keras() -> Any:
    return framework_adapter("keras").framework


@pytest.fixture
def adapter() -> adapters.Adapter:
    return framework_adapter("keras")


def rnn(k: Any, units: int = 5, **words: Any) -> Any:
    return k.layers.SimpleRNN(units, bias_initializer="random_normal", **words)


def built(k: Any) -> Any:
    layer = rnn(k)
    layer.build((None, None, 3))
    return layer


def functional(k: Any, body: Callable[[Any], Any]) -> Any:
    x = k.Input((4, 3))
    return k.Model(x, body(x))


def train_step(k: Any) -> Any:
    class Custom(k.Model):
        def train_step(self, data: Any) -> dict[str, Any]:
            return {}

    x = k.Input((4, 3))
    return Custom(x, rnn(k)(x))


def both(k: Any, **words: Any) -> Any:
    return k.layers.Bidirectional(rnn(k, **words))


READ: dict[str, tuple[Callable[[Any], Any], RNNSpec]] = {
    "SimpleRNN": (rnn, RNNSpec(3, 5)),
    "SimpleRNN, built": (built, RNNSpec(3, 5)),
    "relu": (lambda k: rnn(k, activation="relu"), RNNSpec(3, 5, nonlinearity="relu")),
    "keras.ops.tanh": (lambda k: rnn(k, activation=k.ops.tanh), RNNSpec(3, 5)),
    "no bias": (lambda k: rnn(k, use_bias=False), RNNSpec(3, 5, bias=False)),
    "go_backwards": (lambda k: rnn(k, go_backwards=True), RNNSpec(3, 5, direction="reverse")),
    "unroll": (lambda k: rnn(k, unroll=True), RNNSpec(3, 5)),
    "RNN(SimpleRNNCell)": (lambda k: k.layers.RNN(k.layers.SimpleRNNCell(5)), RNNSpec(3, 5)),
    "Bidirectional": (both, RNNSpec(3, 5, direction="bidirectional")),
    "Sequential": (lambda k: k.Sequential([rnn(k, return_sequences=True), rnn(k)]), RNNSpec(3, 5, 2)),
    "Sequential of Bidirectional": (
        lambda k: k.Sequential([both(k, return_sequences=True), both(k)]),
        RNNSpec(3, 5, 2, "bidirectional"),
    ),
    "functional": (lambda k: functional(k, lambda x: rnn(k)(rnn(k, return_sequences=True)(x))), RNNSpec(3, 5, 2)),
    "functional, with a train_step": (train_step, RNNSpec(3, 5)),
    "dropout": (lambda k: rnn(k, dropout=0.5, recurrent_dropout=0.5), RNNSpec(3, 5)),
    "Dropout between": (
        lambda k: k.Sequential([rnn(k, return_sequences=True), k.layers.Dropout(0.5), rnn(k)]),
        RNNSpec(3, 5, 2),
    ),
    "noise and the like": (
        lambda k: k.Sequential(
            [
                k.layers.GaussianNoise(0.5),
                rnn(k, return_sequences=True),
                k.layers.GaussianDropout(0.5),
                k.layers.Identity(),
                k.layers.ActivityRegularization(0.5),
                rnn(k),
            ]
        ),
        RNNSpec(3, 5, 2),
    ),
    "stacked cells": (lambda k: k.layers.RNN([k.layers.SimpleRNNCell(5) for _ in "ab"]), RNNSpec(3, 5, 2)),
    "stacked cells, backwards": (
        lambda k: k.layers.RNN([k.layers.SimpleRNNCell(5) for _ in "ab"], go_backwards=True),
        RNNSpec(3, 5, 2, "reverse"),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_a_users_model_is_what_was_read_from_it(keras: Any, adapter: adapters.Adapter, name: str):
    """Called as its user calls it, the model answers its last output alone: the top layer's final states."""
    keras.utils.set_random_seed(0)
    make, expected_spec = READ[name]
    model = make(keras)
    last = array_of(model(X))
    spec, parameters = adapter.read(model)
    assert spec == expected_spec
    verdict = judge_last(Case(spec, parameters, X), last)
    assert verdict.outcome == "agrees", verdict


def test_a_users_layer_is_run_by_building_what_was_read(keras: Any, adapter: adapters.Adapter):
    with pytest.raises(adapters.Unsupported, match=r"module: got SimpleRNN, expected .* build\(\*read\(module\)\)"):
        adapter.run(built(keras), X)


def own_call(k: Any) -> Any:
    class Doubled(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = rnn(k)

        def call(self, x: Any) -> Any:
            return 2 * self.rnn(x)

    return Doubled()


def own_layer(k: Any) -> Any:
    class Doubled(k.layers.SimpleRNN):
        def inner_loop(self, *arguments: Any, **words: Any) -> Any:
            last, outputs, states = super().inner_loop(*arguments, **words)
            return 2 * last, 2 * outputs, states

    return Doubled(5)


def tanh(x: Any) -> Any:
    """Not the hyperbolic tangent; Keras serialises it under the same name."""
    return x


def handed_state(k: Any, x: Any, read_again: bool) -> Any:
    """An encoder that hands its state to a decoder, which reads the encoder's output, or the input once more."""
    output, state = rnn(k, return_sequences=True, return_state=True)(x)
    return rnn(k)(x if read_again else output, initial_state=state)


def residual(k: Any, x: Any) -> Any:
    return rnn(k, 3)(k.layers.add([x, rnn(k, 3, return_sequences=True)(x)]))


def shared(k: Any, x: Any) -> Any:
    layer = rnn(k, 3, return_sequences=True)
    return layer(layer(x))


def mixed(k: Any, first: Any, second: Any) -> Any:
    return k.Sequential([first, second])


def sequences(k: Any, units: int = 5, **words: Any) -> Any:
    return rnn(k, units, return_sequences=True, **words)


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "stacked cells, both ways": (
        lambda k: k.layers.Bidirectional(k.layers.RNN([k.layers.SimpleRNNCell(5) for _ in "ab"])),
        r"got a StackedRNNCells",
    ),
    "Dense above": (lambda k: mixed(k, rnn(k), k.layers.Dense(2)), r"got Dense, expected SimpleRNN"),
    "Masking": (lambda k: mixed(k, k.layers.Masking(), rnn(k)), r"got Masking, expected SimpleRNN"),
    "Embedding": (lambda k: mixed(k, k.layers.Embedding(9, 3), rnn(k)), r"got Embedding, expected SimpleRNN"),
    "a model inside": (
        lambda k: mixed(k, k.Sequential([k.Input((4, 3)), sequences(k)]), rnn(k)),
        r"got Sequential, expected",
    ),
    "sigmoid": (lambda k: rnn(k, activation="sigmoid"), r"got activation 'sigmoid', expected Keras' own 'tanh' or"),
    "no activation": (lambda k: rnn(k, activation=None), r"got activation 'linear'"),
    "another tanh": (lambda k: rnn(k, activation=tanh), r"got activation 'tanh', expected Keras' own 'tanh'"),
    "float16 on float32": (lambda k: rnn(k, dtype="mixed_float16"), r"computes in float16 on float32 weights"),
    "two sizes": (lambda k: mixed(k, sequences(k, 5), rnn(k, 4)), r"hidden_size \[5, 4\], expected one value"),
    "two activations": (lambda k: mixed(k, sequences(k), rnn(k, activation="relu")), r"nonlinearity"),
    "two dtypes": (
        lambda k: mixed(k, sequences(k), rnn(k, dtype="float64")),
        r"computes in float64, expected float32 throughout|got Cast, expected",
    ),
    "one bias": (lambda k: mixed(k, sequences(k), rnn(k, use_bias=False)), r"bias \[True, False\]"),
    "one bidirectional": (lambda k: mixed(k, both(k, return_sequences=True), rnn(k)), r"direction \['bidirectional'"),
    "Bidirectional above go_backwards": (
        lambda k: mixed(k, sequences(k, go_backwards=True), both(k)),
        r"got go_backwards in a stack",
    ),
    "a layer above go_backwards": (
        lambda k: mixed(k, sequences(k, go_backwards=True), rnn(k)),
        r"got go_backwards in a stack, in which Keras hands a mask on in time order",
    ),
    "go_backwards twice": (  # the second layer puts time back in order
        lambda k: mixed(k, sequences(k, go_backwards=True), rnn(k, go_backwards=True)),
        r"got go_backwards in a stack",
    ),
    "merge_mode": (lambda k: k.layers.Bidirectional(rnn(k), merge_mode="sum"), r"merge_mode='sum', expected"),
    "halves the other way round": (
        lambda k: k.layers.Bidirectional(rnn(k, go_backwards=True), backward_layer=rnn(k)),
        r"got halves with go_backwards \[True, False\], expected \[False, True\]",
    ),
    "two kinds of halves": (
        lambda k: k.layers.Bidirectional(rnn(k), backward_layer=rnn(k, activation="relu", go_backwards=True)),
        r"nonlinearity \['tanh', 'relu'\], expected one value",
    ),
    "a call of its own": (own_call, r"got Doubled, whose call is its own"),
    "a subclass": (own_layer, r"got Doubled, expected SimpleRNN"),
    "a state handed up": (
        lambda k: functional(k, lambda x: handed_state(k, x, read_again=False)),
        r"does not read .* output alone",
    ),
    "a state handed on": (
        lambda k: functional(k, lambda x: handed_state(k, x, read_again=True)),
        r"does not read .* output alone",
    ),
    "a residual": (lambda k: functional(k, lambda x: residual(k, x)), r"got Add, expected|does not read"),
    "a layer used twice": (lambda k: functional(k, lambda x: shared(k, x)), r"does not read the input alone"),
    "branches": (lambda k: functional(k, lambda x: [rnn(k)(x), rnn(k)(x)]), r"does not read .* output alone"),
    "arithmetic below": (lambda k: functional(k, lambda x: rnn(k)(2 * x)), r"got Multiply, expected SimpleRNN"),
    "arithmetic above": (lambda k: functional(k, lambda x: 2 * rnn(k)(x)), r"got Multiply, expected SimpleRNN"),
}


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")  # JAX, of a layer of two dtypes
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_expressed_is_refused(keras: Any, adapter: adapters.Adapter, name: str):
    make, message = REFUSED[name]
    model = make(keras)
    model(X[..., 0] if name == "Embedding" else X)  # so that it has weights, and is refused for its kind
    with pytest.raises(adapters.Unsupported, match=message):
        adapter.read(model)


def test_a_last_output_below_another_layer_is_refused(keras: Any, adapter: adapters.Adapter):
    """Keras does not build such a stack either; one made of built layers is refused by name."""
    lower, upper = built(keras), rnn(keras)
    upper.build((None, None, 5))
    with pytest.raises(adapters.Unsupported, match=r"return_sequences=False below another layer"):
        adapter.read(keras.Sequential([lower, upper]))


def test_a_layer_without_weights_is_refused(keras: Any, adapter: adapters.Adapter):
    for model in (rnn(keras), both(keras), keras.Sequential([rnn(keras)])):
        with pytest.raises(adapters.Unsupported, match=r"it has no weights yet; call it, or build it, first"):
            adapter.read(model)
    with pytest.raises(adapters.Unsupported, match=r"got a model without layers"):
        adapter.read(keras.Sequential([]))


def test_a_layer_that_is_given_its_initial_state_is_read_alone(keras: Any, adapter: adapters.Adapter):
    """The model of two inputs is refused: called with a mask, it would forget it."""
    x, h0 = keras.Input((4, 3)), keras.Input((5,))
    layer = rnn(keras)
    model = keras.Model([x, h0], layer(x, initial_state=h0))
    with pytest.raises(adapters.NotOffered, match=r"got 2 inputs, expected one.* read the recurrent layer alone"):
        adapter.read(model)
    spec, parameters = adapter.read(layer)
    start = Draw(2).uniform((1, 2, 5)).astype("float32")
    verdict = judge_last(Case(spec, parameters, X, start), array_of(model([X, start[0]])))
    assert verdict.outcome == "agrees", verdict
    without = judge_last(Case(spec, parameters, X), array_of(model([X, start[0]])))
    assert without.reason == "value", "the initial state had no effect, so nothing was tested"
