"""Paddle's adapter: what it reads of a user's own layer, what it refuses, and faults in it that the judge sees."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from adapters import Adapter, NotOffered
from adapters.running.trial import examine
from evidence.record.seeded import cases_of
from findings.finding import PLANTED
from meta_tests.adapters.scripts.test_script import execute
from meta_tests.common.frameworks import framework_adapter
from reference import Case, RNNSpec, judge
from reference.draws import draw_case
from reference.layout import state_tuple

Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    return framework_adapter("paddle")


def users(kind: str, *given: Any, **words: Any) -> Callable[[Any], Any]:
    """A layer of a user, whose cells have Paddle's own weights."""
    return lambda nn: getattr(nn, kind)(*given, **words).eval()


def reverse_stack(nn: Any) -> Any:
    return nn.LayerList([nn.RNN(nn.LSTMCell(3, 5), is_reverse=True), nn.RNN(nn.LSTMCell(5, 5), is_reverse=True)])


# a user's layer -> what it is read as
READ: dict[str, tuple[Callable[[Any], Any], RNNSpec]] = {
    "SimpleRNN": (users("SimpleRNN", 3, 5, 2, activation="relu"), RNNSpec(3, 5, 2, nonlinearity="relu")),
    "GRU, both ways": (users("GRU", 3, 5, direction="bidirectional"), RNNSpec(3, 5, 1, "bidirectional", cell="gru")),
    "LSTM, time first": (users("LSTM", 3, 5, time_major=True), RNNSpec(3, 5, cell="lstm")),
    "LSTM, projected": (users("LSTM", 3, 5, 2, proj_size=2), RNNSpec(3, 5, 2, cell="lstm", projection_size=2)),
    "RNN": (lambda nn: nn.RNN(nn.GRUCell(3, 5)), RNNSpec(3, 5, cell="gru")),
    "RNN, without biases": (
        lambda nn: nn.RNN(nn.GRUCell(3, 5, bias_ih_attr=False, bias_hh_attr=False)),
        RNNSpec(3, 5, bias=False, cell="gru"),
    ),
    "RNN, in reverse": (reverse_stack, RNNSpec(3, 5, 2, "reverse", cell="lstm")),
    "BiRNN": (
        lambda nn: nn.BiRNN(nn.SimpleRNNCell(3, 5), nn.SimpleRNNCell(3, 5)), RNNSpec(3, 5, 1, "bidirectional")
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_a_users_layer_answers_is_what_is_read_of_it(adapter: Adapter, name: str) -> None:
    make, expected = READ[name]
    layer = make(adapter.framework.nn)
    spec, parameters = adapter.read(layer)
    words = {"layout": spec.layout, "held": False}
    assert spec == RNNSpec(**{**expected.to_dict(), **words})
    layout = spec.layout or ""
    x = draw_case(RNNSpec(3, 5), batch=2, time=4, layout=layout).x
    asked, given = Case(spec, parameters, x, layout=layout), adapter.framework.to_tensor(x)
    ways: Any = import_module("adapters.paddle.ways")
    output, finals = ways.called(layer, given, [], None)
    h_n = [one.detach().numpy() for one in finals]
    verdict = judge(asked, output.detach().numpy(), h_n[0] if len(h_n) == 1 else tuple(h_n), bound="trajectory")
    assert verdict.outcome == "agrees", verdict
    again, twice = adapter.read(adapter.build(spec, parameters))
    assert again == spec
    for one, other in zip(parameters, twice, strict=True):
        assert all(np.array_equal(one.arrays()[word], other.arrays()[word]) for word in one.arrays())


def with_hook(nn: Any) -> Any:
    layer = nn.GRU(3, 5)
    layer.register_forward_post_hook(lambda *given: None)
    return layer


def static(nn: Any) -> Any:
    return import_module("paddle").jit.to_static(nn.GRU(3, 5), full_graph=True)


def other_gates(nn: Any) -> Any:
    cell = nn.GRUCell(3, 5)
    cell._gate_activation = nn.functional.hardsigmoid
    return nn.RNN(cell)


def mixed_sizes(nn: Any) -> Any:
    return nn.LayerList([nn.RNN(nn.GRUCell(3, 5)), nn.RNN(nn.GRUCell(5, 4))])


def exchanged_cell(nn: Any) -> Any:
    layer = nn.GRU(3, 5)
    layer[0].cell = nn.GRUCell(3, 5)
    return layer


# a user's layer -> what is said of it
REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "another layer": (lambda nn: nn.Linear(3, 5), "got Linear"),
    "a list of others": (lambda nn: nn.LayerList([nn.Linear(3, 5)]), "Linear"),
    "a subclass": (lambda nn: type("Own", (nn.GRU,), {})(3, 5), "got Own"),
    "a hook": (with_hook, "hooks"),
    "to_static": (static, "to_static"),
    "dropout": (lambda nn: nn.GRU(3, 5, 2, dropout=0.5), "dropout in training"),
    "other gates": (other_gates, "other activations"),
    "mixed sizes": (mixed_sizes, "hidden_size"),
    "another cell": (exchanged_cell, "not those of its cells"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_not_read(adapter: Adapter, name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(NotOffered, match=words):
        adapter.read(make(adapter.framework.nn))


def usual(direction: str = "forward", **asked: Any) -> Case:
    """As many features as units, so that a transposed matrix fits."""
    return draw_case(RNNSpec(4, 4, 1, direction), **{"batch": 3, "time": 5, "lengths": (5, 2, 3)} | asked)


def calling(change: Callable[..., tuple[Any, ...]]) -> Callable[[Patch], None]:
    """A fault in what the layer is called with: x, states, lengths."""

    def plant(patch: Patch) -> None:
        right = import_module("adapters.paddle.ways").called
        wrong = lambda layer, *given: right(layer, *change(*given))  # noqa: E731
        patch.setattr(import_module("adapters.paddle.gradients").answer_of, "__defaults__", (wrong,))

    return plant


def transposed(patch: Patch) -> None:
    right = import_module("adapters.paddle.tensors").tensor
    patch.setattr("adapters.paddle.adapter.tensor", lambda array: right(array.T.copy()))


def layout_forgotten(patch: Patch) -> None:
    patch.setattr("adapters.paddle.adapter.with_layout", lambda layer, time_major: layer)


def padding_answered(patch: Patch) -> None:
    result: Any = import_module("adapters.inputs").Inputs.result
    patch.setattr("adapters.inputs.Inputs.result", lambda inputs, outputs, h_n, **more: result(inputs, outputs, h_n))


# the fault, a case in which it shows, and the faults of the catalogue that it is
FAULTS: dict[str, tuple[Callable[[Patch], None], Case, tuple[str, ...]]] = {
    "lengths ignored": (calling(lambda x, h, n: (x, h, None)), usual(), ("lengths_ignored",)),
    "states dropped": (calling(lambda x, h, n: (x, [], n)), usual(h0=True), ("h0_ignored",)),
    "matrices transposed": (transposed, usual(), ("w_ih_transposed", "w_hh_transposed")),
    "layout forgotten": (
        layout_forgotten, usual(batch=5, layout="time_first", lengths=None), ("time_first_ignored",)
    ),
    "padding answered": (padding_answered, usual("reverse"), ("padding_shows_a_step",)),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_seen(adapter: Adapter, name: str, monkeypatch: Patch) -> None:
    plant, case, faults = FAULTS[name]
    assert examine(adapter, case).outcome == "agrees"
    plant(monkeypatch)
    wrong = examine(adapter, case)
    assert wrong.outcome == "disagrees", wrong
    diagnosis = str(wrong.diagnosis([PLANTED[fault] for fault in faults]))
    assert all(PLANTED[fault].says in diagnosis for fault in faults), diagnosis


@pytest.mark.parametrize("word", ["", "wrapped", "loop", "in parts", "strided", "saved", "by name", "training"])
def test_a_script_says_what_the_adapter_says(word: str) -> None:
    adapter: Any = framework_adapter("paddle")
    offered = adapter.idioms[word].narrowed(adapter.capabilities) if word else adapter.capabilities
    seen = 0
    for case in cases_of(offered)[:5]:
        answer = examine(adapter, case, idiom=word).answer if case.spec.bias else None  # without, the process may end
        if answer is not None and case.cotangents is None:
            names, code, printed = execute(adapter.script(case, "cpu", word or "eager"))
            assert code == 0, printed
            for array, one in zip(("output", "h_n", "c_n"), (answer.output, *state_tuple(answer.h_n)), strict=False):
                assert np.array_equal(names["actual"][array], one.astype(np.float64), equal_nan=True)
            seen += 1
    assert seen >= 2


def test_a_script_of_gradients_shows_that_they_are_right() -> None:
    adapter: Any = framework_adapter("paddle")
    case = draw_case(RNNSpec(3, 5, 1, "bidirectional", cell="lstm"), batch=2, time=4, h0=True, gradients="all")
    for way in ("eager", "accumulated"):
        _, code, printed = execute(adapter.script(case, "cpu", way))
        assert code == 0, printed
