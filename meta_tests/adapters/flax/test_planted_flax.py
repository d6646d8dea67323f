"""Faults planted in Flax and around it: the judge sees each, and the diagnosis names it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from adapters.inputs import Inputs
from adapters.running.trial import examine
from meta_tests.common.frameworks import framework_adapter
from reference import Case, RNNSpec
from reference.draws import draw_case

Patch = pytest.MonkeyPatch


def usual(direction: str = "forward", **asked: Any) -> Case:
    """As many features as units, so that a transposed kernel fits."""
    return draw_case(RNNSpec(4, 4, 1, direction), **{"batch": 3, "time": 5, "lengths": (5, 2, 3)} | asked)


def replaced(name: str, make: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """A fault in a function of the adapter's module: make is given the right one."""

    def plant(patch: Patch) -> None:
        module = import_module("adapters.flax.adapter")
        patch.setattr(module, name, make(getattr(module, name)))

    return plant


def called_with(change: Callable[..., tuple[Any, ...]]) -> Callable[[Patch], None]:
    """A fault in what the layers are called with: x, initial carries, lengths, whether time comes first."""

    def plant(patch: Patch) -> None:
        calls = import_module("adapters.flax.modes").MODES
        right = calls["eager"]
        patch.setitem(calls, "eager", lambda stack, *given: right(stack, *change(*given)))

    return plant


def keep_order_dropped(patch: Patch) -> None:
    calls = import_module("adapters.flax.modes").MODES
    right = calls["eager"]

    def dropped(layer: Any, *given: Any) -> Any:
        layer.keep_order = False
        return right(layer, *given)

    patch.setitem(calls, "eager", dropped)


def halves_swapped(patch: Patch) -> None:
    both = framework_adapter("flax").framework.nnx.Bidirectional
    right = both.__init__
    patch.setattr(both, "__init__", lambda self, first, second, **words: right(self, second, first, **words))


def padding_answered(patch: Patch) -> None:
    right = Inputs.result
    patch.setattr(Inputs, "result", lambda inputs, outputs, h_n, zero_padding: right(inputs, outputs, h_n))


def rounded(right: Any) -> Any:
    """What JAX does to a float64 array where x64 is off."""
    return lambda array, device: right(array.astype("float32").astype(array.dtype), device)


# the fault, a case in which it shows, what the diagnosis says
FAULTS: dict[str, tuple[Callable[[Patch], None], Case, str]] = {
    "keep_order dropped": (keep_order_dropped, usual("reverse"), "the reverse output is not put back into time order"),
    "lengths ignored": (called_with(lambda x, h, n, t: (x, h, None, t)), usual(), "padding"),
    "lengths ignored in reverse": (called_with(lambda x, h, n, t: (x, h, None, t)), usual("reverse"), "padding"),
    "kernels not transposed": (replaced("_given", lambda right: lambda a: right(a.T)), usual(), "w_hh is transposed"),
    "the padding answered": (padding_answered, usual(), "beyond a length the output goes on"),
    "initial carries dropped": (called_with(lambda x, h, n, t: (x, None, n, t)), usual(h0=True), "h0 is ignored"),
    "time_major dropped": (
        called_with(lambda x, h, n, t: (x, h, n, False)),
        usual(batch=5, layout="time_first", lengths=None),
        "time_first is taken for batch_first",
    ),
    "halves swapped": (halves_swapped, usual("bidirectional"), "the two directions' parameters are exchanged"),
    "float64 arrays narrowed": (replaced("tensor", rounded), usual(dtype="float64"), "x and h0 are rounded to float32"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_seen(name: str, monkeypatch: Patch) -> None:
    plant, case, words = FAULTS[name]
    adapter = framework_adapter("flax")
    right = examine(adapter, case)
    assert right.outcome == "agrees", right
    plant(monkeypatch)
    wrong = examine(adapter, case)
    assert wrong.outcome == "disagrees", wrong
    assert words in str(wrong.diagnosis())


def test_a_state_that_was_saved_and_not_loaded_is_seen(monkeypatch: Patch) -> None:
    adapter = framework_adapter("flax")
    assert examine(adapter, usual(), mode="saved").outcome == "agrees"
    modes = import_module("adapters.flax.modes")
    monkeypatch.setattr(modes.serialization, "msgpack_restore", lambda saved: {})
    assert examine(adapter, usual(), mode="saved").outcome == "disagrees"
