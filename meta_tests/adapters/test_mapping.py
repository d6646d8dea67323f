"""Weights and states go to a native layer's own arrays and come back bit for bit, for every form that one may have."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from adapters.contract import NotOffered
from adapters.mapping import Array, Native, native, ours, parameters_of, spec_and_parameters, theirs
from adapters.torch.mapping import MAPPING as TORCH
from reference import CellParameters, RNNSpec
from reference.cells import CELLS
from reference.draws import draw_parameters

GATES = {"elman": ("",), "gru": ("n", "z", "r"), "gru_reset_before": ("z", "r", "n"), "lstm": ("o", "g", "f", "i")}
BIASES = ("b_ih", "b_hh")


def kept(word: str, joined: str) -> Native:
    """A layer that keeps a cell as no framework does: columns are units, gates are in another order, c comes first."""
    gates = GATES[word]
    matrices = {name: Array((name,), gates, columns=True) for name in ("w_ih", "w_hh")}
    more = {"w_hr": Array(("w_hr",), columns=True), "p": Array(("w_peephole",), ("f", "o", "i"))}
    return Native({**matrices, "b": Array(BIASES, gates, joined=joined), **(more if word == "lstm" else {})},
                  ("c", "h") if word == "lstm" else ("h",))  # fmt: skip


def spec_of(word: str, **more: Any) -> RNNSpec:
    variants = {"peepholes": True, "projection_size": 2} if word == "lstm" else {}
    return RNNSpec(4, 3, 2, "bidirectional", cell=word, **variants, **more)


def assert_same(one: CellParameters, other: CellParameters) -> None:
    assert one.arrays().keys() == other.arrays().keys()
    for name, array in one.arrays().items():
        assert np.array_equal(array, other.arrays()[name]), name
        assert array.dtype == other.arrays()[name].dtype


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("joined", ["stacked", "end to end"])
@pytest.mark.parametrize("word", CELLS)
def test_weights_come_back(word: str, joined: str, dtype: str) -> None:
    spec, layer = spec_of(word), kept(word, joined)
    parameters = draw_parameters(spec, dtype)
    arrays = [native(spec, layer, track) for track in parameters]
    assert all(array.flags.c_contiguous for track in arrays for array in track.values())
    again, tracks = spec_and_parameters({word: layer}, arrays, **spec.to_dict())
    assert again == spec
    for one, other in zip(parameters, tracks, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("word", TORCH)
def test_torchs_weights_come_back(word: str, bias: bool) -> None:
    spec = RNNSpec(4, 3, 2, cell=word, bias=bias, projection_size=2 if word == "lstm" else 0)
    for one in draw_parameters(spec):
        arrays = native(spec, TORCH[word], one)
        assert_same(one, parameters_of(spec, TORCH[word], arrays))
        for array, ours_too in zip(arrays.values(), one.arrays().values(), strict=True):
            assert np.array_equal(array, ours_too)


@pytest.mark.parametrize("joined", ["added", "stacked", "end to end"])
def test_each_gate_is_where_the_layer_says(joined: str) -> None:
    """Each number tells its gate, 1 to 4, its unit and its column."""
    spec = RNNSpec(3, 2, cell="lstm")
    w = np.arange(1.0, 5).repeat(2)[:, None] + np.array([0, 0.5] * 4)[:, None] + np.array([0, 0.1, 0.2])
    track = CellParameters(w, w[:, :2], w[:, 0], 8 * w[:, 0])
    arrays = native(spec, kept("lstm", joined), track)
    assert arrays["w_ih"][2].tolist() == [4.2, 4.7, 3.2, 3.7, 2.2, 2.7, 1.2, 1.7]
    b = np.array([4, 4.5, 3, 3.5, 2, 2.5, 1, 1.5])
    expected = {"added": 9 * b, "stacked": np.stack([b, 8 * b]), "end to end": np.concatenate([b, 8 * b])}
    assert np.array_equal(arrays["b"], expected[joined])


def test_of_biases_that_are_added_the_first_has_the_sum() -> None:
    spec, layer = RNNSpec(4, 3, cell="lstm"), kept("lstm", "added")
    (track,) = draw_parameters(spec)
    again = parameters_of(spec, layer, native(spec, layer, track))
    given, came = track.arrays(), again.arrays()
    assert np.array_equal(came["b_ih"], given["b_ih"] + given["b_hh"])
    assert not came["b_hh"].any()
    assert_same(again, parameters_of(spec, layer, native(spec, layer, again)))


@pytest.mark.parametrize("joined", ["added", "stacked", "end to end"])
@pytest.mark.parametrize("word", CELLS)
def test_gradients_come_back_by_the_chain_rule(word: str, joined: str) -> None:
    """What a change of our weights comes to is the same by both gradients: of whole numbers, exactly."""
    spec, layer = spec_of(word), kept(word, "stacked" if word == "gru" else joined)
    for track in draw_parameters(spec, "float64"):
        change = CellParameters.of({name: np.round(99 * array) for name, array in track.arrays().items()})
        moved = native(spec, layer, change)
        gradients = {name: np.arange(array.size).reshape(array.shape) - 7.0 for name, array in moved.items()}
        handed = parameters_of(spec, layer, gradients, gradients=True).arrays()
        by_ours = sum((array * handed[name]).sum() for name, array in change.arrays().items())
        assert by_ours == sum((array * gradients[name]).sum() for name, array in moved.items())


def test_a_bias_inside_the_reset_gate_is_not_added() -> None:
    spec, layer = RNNSpec(4, 3, cell="gru"), kept("gru", "added")
    (track,) = draw_parameters(spec)
    with pytest.raises(NotOffered, match="b_hh of the gate n: got other numbers than 0: it is added inside the reset"):
        native(spec, layer, track)
    assert track.b_hh is not None
    track.b_hh[6:] = 0
    assert native(spec, layer, track)["b"].shape == (9,)
    before = RNNSpec(4, 3, cell="gru_reset_before")
    assert native(before, kept("gru_reset_before", "added"), draw_parameters(before)[0])["b"].shape == (9,)


def test_a_bias_of_one_gate_has_an_array_of_its_own() -> None:
    """As in Flax linen's GRUCell."""
    spec, gates = RNNSpec(4, 3, cell="gru"), ("r", "z", "n")
    layer = Native({
        **{f"w_{side}": Array((f"w_{side}",), gates) for side in ("ih", "hh")},
        "rz": Array(BIASES, ("r", "z")), "in": Array(("b_ih",), ("n",)), "hn": Array(("b_hh",), ("n",)),
    })  # fmt: skip
    (track,) = draw_parameters(spec)
    again = parameters_of(spec, layer, native(spec, layer, track))
    given, came = track.arrays(), again.arrays()
    both = given["b_ih"] + given["b_hh"]
    assert np.array_equal(came["b_ih"], np.concatenate([both[:6], given["b_ih"][6:]]))
    assert np.array_equal(came["b_hh"], np.concatenate([np.zeros(6), given["b_hh"][6:]]))


def test_a_weight_without_a_place_is_refused() -> None:
    spec = RNNSpec(4, 3, cell="lstm", peepholes=True)
    with pytest.raises(NotOffered, match="w_peephole of the gate i: got other numbers than 0: it has no place in it"):
        native(spec, TORCH["lstm"], draw_parameters(spec)[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight_hh": np.zeros((13, 3), "float32")}, "weight_hh: got shape (13, 3), expected 4 gates of w_hh"),
        ({"weight_hh": np.zeros((12, 1), "float32")}, "w_hh: got (12, 1), expected (12, 3)"),
        ({"bias_ih": np.zeros(12)}, "one dtype"),
        ({"weight_hr": np.zeros((2, 3), "float32")}, "weight_hr: got an array, expected none: the layer has no w_hr"),
    ],
)
def test_arrays_that_do_not_fit_are_not_offered(change: dict[str, Any], words: str) -> None:
    spec = RNNSpec(4, 3, cell="lstm")
    arrays = native(spec, TORCH["lstm"], draw_parameters(spec)[0])
    with pytest.raises(NotOffered, match=re.escape(words)):
        spec_and_parameters(TORCH, [arrays | change], **spec.to_dict())


def test_states_are_put_in_the_layers_order_and_back() -> None:
    spec, layer = RNNSpec(4, 3, cell="lstm"), kept("lstm", "added")
    h, c = np.zeros(1), np.ones(1)
    assert theirs(spec, layer, (h, c)) == (c, h)
    assert ours(spec, layer, (c, h)) == (h, c)
    assert theirs(spec, layer, None) == ()
    assert ours(RNNSpec(4, 3), kept("elman", "added"), (h,)) is h
    assert theirs(RNNSpec(4, 3), kept("elman", "added"), h) == (h,)


def test_a_bias_that_the_reset_gate_multiplies_may_have_an_array_of_its_own() -> None:
    """And its gradient is in that array alone; without it there is no place for other numbers than 0."""
    spec, rzn = RNNSpec(3, 2, cell="gru"), ("r", "z", "n")
    matrices = {name: Array((name,), rzn) for name in ("w_ih", "w_hh")}
    one = Native({**matrices, "b": Array(BIASES, rzn, joined="added but apart")})
    both = Native({**one.arrays, "b_n": Array(("b_hh",), ("n",))})
    (track,) = draw_parameters(spec)
    arrays = native(spec, both, track)
    assert np.array_equal(arrays["b"][4:], track.b_ih[4:])
    assert track.b_ih is not None
    assert track.b_hh is not None
    assert np.array_equal(arrays["b"][:4], (track.b_ih + track.b_hh)[:4])
    back = parameters_of(spec, both, arrays)
    assert np.array_equal(back.b_hh, [0, 0, 0, 0, *track.b_hh[4:]])
    by = parameters_of(spec, both, arrays, gradients=True)
    assert np.array_equal(by.b_hh, [*arrays["b"][:4], *arrays["b_n"]])
    with pytest.raises(NotOffered, match="b_hh of the gate n: got other numbers than 0: it has no place in it"):
        native(spec, one, track)
