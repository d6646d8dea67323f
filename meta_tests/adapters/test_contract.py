"""What the contract itself does, whatever the framework: capabilities, the features of a call, devices, casts."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import adapters
from adapters.capabilities import BASE, FEATURES, NO_ARGUMENT, NOT_AMONG_OFFERS, beyond_base
from adapters.contract import Capabilities, cast_exactly, expect_device, features_of, features_of_case, with_cell
from adapters.running import trial
from adapters.running.trial import examine
from reference import RNNSpec, forward
from reference.draws import draw_case, draw_parameters

from .test_adapters import bits

NO_VARIANTS = dict.fromkeys(("peepholes", "input_forget", "projection"), False)
USUAL = {"direction": "forward", "layout": "batch_first", "nonlinearity": "tanh", "dtype": "float32", "bias": True,
         "h0": False, "lengths": "full", "mask": False, "gradients": False, "clip": False, "num_layers": "1",
         "time": "more", "batch": "more", "values": "finite", "cell": "elman"}  # fmt: skip


@pytest.mark.parametrize("feature", [("dtype", "float8"), ("dropout", True)])
@pytest.mark.parametrize("kind", ["unsupported", "emulated"])
def test_a_capability_of_an_unknown_feature_is_refused(kind: str, feature: tuple[str, Any]):
    words = rf"^capabilities: got feature {re.escape(repr(feature))}, expected one of FEATURES$"
    with pytest.raises(ValueError, match=words):
        Capabilities(**{kind: {feature: "no such thing"}})


@pytest.mark.parametrize("kind", ["unsupported", "emulated", "together", "arithmetics"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([(("time", "0"), "no such thing")], "got list, expected a mapping"),
        ({("time", "0")}, "got set, expected a mapping"),
        ({("time", "0"): ""}, r"got '' for \('time', '0'\), expected a reason in words"),
        ({("time", "0"): " "}, "expected a reason in words"),
        ({("time", "0"): None}, "got None"),
    ],
)
def test_what_is_declared_has_a_reason_in_words(kind: str, given: Any, words: str):
    with pytest.raises((TypeError, ValueError), match=f"capabilities {kind}: .*{words}"):
        Capabilities(**{kind: given})


def test_capabilities_say_what_is_supported_and_why_the_rest_is_not():
    some = Capabilities(unsupported={("time", "0"): "nothing to do", ("batch", "0"): "nobody there"})
    assert some.supported("time") == ("1", "more")
    assert some.supported("bias") == (True, False)
    usual, empty = USUAL, USUAL | {"time": "0", "batch": "0"}
    assert some.not_offered(usual) == ""
    assert some.not_offered(empty) == "time 0: nothing to do"
    some.require(usual)
    with pytest.raises(adapters.NotOffered, match=r"^batch 0: nobody there$"):
        some.require(USUAL | {"batch": "0"})


@pytest.mark.parametrize("kind", ["offers", "together"])
@pytest.mark.parametrize("feature", [("mode", "asleep"), ("dropout", True), "mode", ("mode",)])
def test_what_is_offered_is_a_feature(kind: str, feature: Any):
    given = (feature,) if kind == "offers" else {(feature,): "a reason"}
    with pytest.raises(ValueError, match=rf"^capabilities: got feature {re.escape(repr(feature))}, expected one of F"):
        Capabilities(**{kind: given})


def test_offers_that_are_no_tuple_are_refused():
    with pytest.raises(TypeError, match=r"^capabilities offers: got list, expected a tuple of features$"):
        Capabilities(offers=[("mask", True)])  # type: ignore[arg-type]


def test_what_is_neither_in_the_base_nor_offered_is_unsupported():
    plain, offering = Capabilities(), Capabilities(offers=(("mask", True), ("mode", "saved"), ("mode", "compiled")))
    later = {name: (value,) for name, value in {"clip": False, "gradients": False, **NO_VARIANTS}.items()}
    assert {name: plain.supported(name) for name in FEATURES} == BASE | {"cell": ("elman",), **later}
    reasons = {one: NO_ARGUMENT.get(one[0], NOT_AMONG_OFFERS) for one in beyond_base()}
    assert plain.unsupported == reasons
    assert reasons["cell", "gru"] == NOT_AMONG_OFFERS
    assert offering.supported("mask") == FEATURES["mask"]
    assert set(offering.supported("mode")) == {"eager", "saved", "compiled"}
    assert offering.not_offered({"mode": "traced"}) == f"mode traced: {NOT_AMONG_OFFERS}"
    declared = Capabilities({("mode", "saved"): "the disk is full"}, offers=beyond_base())
    assert declared.unsupported == {("mode", "saved"): "the disk is full"}


class Old:
    """An adapter as 0.1.0 had them: it knows nothing of what was added to FEATURES later."""

    name, version = "old", "1.0"
    capabilities = Capabilities()

    def devices(self):
        return ("cpu",)

    def build(self, spec, parameters, device="cpu", dtype=None):
        return spec, parameters

    def run(self, module, x, h0=None, lengths=None, layout="batch_first"):
        return adapters.Result(*forward(*module, x, h0, lengths, layout))


@pytest.mark.parametrize(
    ("feature", "added", "reason"),
    [
        ("mode", (*FEATURES["mode"], "asleep"), NO_ARGUMENT["mode"]),
        ("layout", (*FEATURES["layout"], "feature_first"), NOT_AMONG_OFFERS),
        ("cell", (*FEATURES["cell"], "one more"), NOT_AMONG_OFFERS),
        ("backwards", (False, True), NOT_AMONG_OFFERS),
    ],
)
@pytest.mark.parametrize("made", ["before", "after"])
def test_an_older_adapter_keeps_its_meaning_when_a_feature_is_added(
    feature: str, added: tuple[Any, ...], reason: str, made: str, monkeypatch: pytest.MonkeyPatch
):
    """A mode, a value of a feature, and a feature. It is asked for what it was asked for before, and nothing else."""
    adapter, case = Old(), draw_case(RNNSpec(3, 5), batch=3, time=4, h0=True)
    before = {name: adapter.capabilities.supported(name) for name in FEATURES}
    monkeypatch.setitem(FEATURES, feature, added)
    if made == "after":
        adapter.capabilities = Capabilities()
    now = {name: adapter.capabilities.supported(name) for name in FEATURES}
    assert now == {feature: added[:1]} | before
    assert adapter.capabilities.not_offered({feature: added[-1]}) == f"{feature} {added[-1]}: {reason}"
    assert Capabilities(offers=((feature, added[-1]),)).not_offered({feature: added[-1]}) == ""
    assert examine(adapter, case).outcome == "agrees"
    monkeypatch.setattr(trial, "features_of_case", lambda *asked: features_of_case(*asked) | {feature: added[-1]})
    monkeypatch.setattr(adapter, "run", lambda *given: pytest.fail("it must not be asked"))
    declined = examine(adapter, case)
    assert (declined.outcome, declined.message) == ("not offered", f"{feature} {added[-1]}: {reason}")


def test_the_variants_of_an_lstm_are_features():
    spec, x = RNNSpec(3, 5, cell="lstm", peepholes=True, input_forget=True, projection_size=2), np.zeros((1, 4, 3))
    asked = features_of(spec, x, None, None, "batch_first")
    assert asked.items() >= {**dict.fromkeys(NO_VARIANTS, True), "cell": "lstm"}.items()
    assert with_cell({"projection": True, "bias": True}) == {"projection": True, "bias": True, "cell": "lstm"}
    assert with_cell({"projection": False, "cell": "gru"}) == {"projection": False, "cell": "gru"}


def test_the_features_of_a_call_are_all_named():
    """Sizes differ from axis to axis, so that none is taken for another."""
    spec, x = RNNSpec(3, 5, 2, "reverse", "relu", bias=False, clip=2), np.zeros((1, 4, 3), "float64")
    asked = USUAL | {"direction": "reverse", "nonlinearity": "relu", "bias": False, "num_layers": "2",
                     "dtype": "float64", "clip": True, "mode": "eager", **NO_VARIANTS}  # fmt: skip
    h0 = np.zeros((2, 1, 5))
    assert features_of(spec, x, None, None, "batch_first") == asked | {"batch": "1"}
    assert features_of(spec, x, h0, [0], "batch_first") == asked | {"batch": "1", "h0": True, "lengths": "with zeros"}
    assert features_of(spec, x, None, [1, 1, 1, 1], "time_first") == (
        asked | {"layout": "time_first", "time": "1", "lengths": "mixed"}
    )
    assert features_of(spec, x.swapaxes(0, 1), None, None, "time_first") == (
        asked | {"layout": "time_first", "batch": "1"}
    )
    assert features_of(spec, x[0, :1], None, 1, "unbatched") == (
        asked | {"layout": "unbatched", "time": "1", "batch": "1", "lengths": "mixed"}
    )


@pytest.mark.parametrize(("size", "word"), [(0, "0"), (1, "1"), (2, "more"), (3, "more")])
def test_sizes_are_counted_to_one(size: int, word: str):
    features = features_of(RNNSpec(3, 5), np.zeros((size, size, 3), "float32"), None, None, "batch_first")
    assert (features["time"], features["batch"]) == (word, word)


@pytest.mark.parametrize(("layers", "word"), [(1, "1"), (2, "2"), (3, "3 to 10"), (10, "3 to 10")])
def test_layers_are_counted_to_two(layers: int, word: str):
    features = features_of(RNNSpec(3, 5, layers), np.zeros((2, 2, 3), "float32"), None, None, "batch_first")
    assert features["num_layers"] == word


def test_cuda_stands_for_its_first_device():
    expect_device("cuda", ("cpu", "cuda:0", "cuda:1"))
    expect_device("cuda:1", ("cpu", "cuda:0", "cuda:1"))
    with pytest.raises(ValueError, match=r"^device: got 'cuda', expected one of cpu$"):
        expect_device("cuda", ("cpu",))
    with pytest.raises(ValueError, match=r"^device: got 'tpu', expected one of cpu, cuda:0, cuda$"):
        expect_device("tpu", ("cpu", "cuda:0"))


def test_a_cast_is_exact_or_names_what_it_loses():
    """NaN is kept; the parameters' own dtype, and None, change nothing."""
    short = draw_parameters(RNNSpec(3, 5), "float64", rounded=True)
    short[0].w_ih[0, 0] = np.nan
    for dtype in (None, "float64"):
        assert [id(cell) for cell in cast_exactly(short, dtype)] == [id(cell) for cell in short]
    cast = cast_exactly(short, "float32")
    assert bits(cast) == bits([cell.astype("float32") for cell in short])
    short[0].b_hh[1] += 2.0**-40
    words = (r"^parameters\[0\] b_hh: got float64 values that float32 cannot hold exactly; "
             r"round them first, with CellParameters.astype\('float32'\)$")  # fmt: skip
    with pytest.raises(ValueError, match=words):
        cast_exactly(short, "float32")


def test_what_is_offered_later_is_supported():
    """As by capabilities_on, of a device that can do more."""
    some = Capabilities(unsupported={("mode", "saved"): "nothing to save"})
    more = replace(some, offers=(("mask", True), ("mode", "train"), ("mode", "saved")))
    assert (more.supported("mask"), more.supported("mode")) == ((False, True), ("eager", "train"))
    assert more.not_offered(USUAL | {"mode": "saved"}) == "mode saved: nothing to save"
    assert ("mask", True) not in more.unsupported
    assert replace(more, offers=()) == some
