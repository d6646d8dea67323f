"""Flax's cells with gates: faults planted in them are seen and named, and weights cross to torch and back."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from adapters.mapping import native
from adapters.running.trial import examine
from adapters.torch.mapping import MAPPING as TORCHS
from meta_tests.common.frameworks import framework_adapter
from reference import Case, RNNSpec, judge
from reference.draws import draw_case

Patch = pytest.MonkeyPatch


def case_of(cell: str, **words: Any) -> Case:
    """As many features as units, so that a transposed kernel fits."""
    return draw_case(RNNSpec(4, 4, cell=cell), **{"batch": 3, "time": 5, "h0": True, "weight_scale": 2.0} | words)


def cell_called(kind: str, change: Callable[[Any, Any], Any]) -> Callable[[Patch], None]:
    """A fault in what a cell of Flax answers or is given: change is given its right call and the cell."""

    def plant(patch: Patch) -> None:
        cell = getattr(framework_adapter("flax").framework.nnx, kind)
        right = cell.__call__
        patch.setattr(cell, "__call__", lambda self, carry, x: change(lambda *given: right(self, *given), carry)(x))

    return plant


def gates_exchanged(first: int, second: int, of: str) -> Callable[[Patch], None]:
    """Two gates of a kernel, or of a bias, in each other's place."""

    def plant(patch: Patch) -> None:
        module = import_module("adapters.flax.adapter")

        def wrong(spec: RNNSpec, layer: Any, track: Any) -> dict[str, np.ndarray]:
            arrays = native(spec, layer, track)
            size = spec.hidden_size
            order = np.arange(arrays["dense_i.kernel"].shape[1])
            a, b = (slice(gate * size, (gate + 1) * size) for gate in (first, second))
            order[a], order[b] = order[b].copy(), order[a].copy()
            changed = {name: np.ascontiguousarray(array[..., order]) for name, array in arrays.items() if of in name}
            return arrays | changed

        patch.setattr(module, "native", wrong)

    return plant


def carries_exchanged(patch: Patch) -> None:
    """h is taken for c, and c for h, on the way in and out."""
    module = import_module("adapters.flax.mapping")
    lstm = module.MAPPING["lstm"]
    patch.setitem(module.MAPPING, "lstm", lstm._replace(states=("h", "c")))


# the fault, the cell, what the diagnosis says
FAULTS: dict[str, tuple[Callable[[Patch], None], str, str]] = {
    "r and z exchanged": (gates_exchanged(0, 1, "."), "gru", "exchanged"),
    "z and n exchanged": (gates_exchanged(1, 2, "."), "gru", "exchanged"),
    "i and f exchanged": (gates_exchanged(0, 1, "."), "lstm", "exchanged"),
    "g and o exchanged": (gates_exchanged(2, 3, "."), "lstm", "exchanged"),
    "the carry is (h, c)": (carries_exchanged, "lstm", ""),
    "the carry is dropped": (
        cell_called("GRUCell", lambda call, carry: lambda x: call(carry * 0, x)), "gru", ""),
    "c is dropped": (
        cell_called("OptimizedLSTMCell", lambda call, carry: lambda x: call((carry[0] * 0, carry[1]), x)), "lstm", ""),
    "h is 1 % larger": (
        cell_called("GRUCell", lambda call, carry: lambda x: (call(carry, x)[0] * 1.01,) * 2), "gru", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_seen(name: str, monkeypatch: Patch) -> None:
    plant, cell, words = FAULTS[name]
    adapter = framework_adapter("flax")
    case = case_of(cell)
    right = examine(adapter, case)
    assert right.outcome == "agrees", right
    plant(monkeypatch)
    wrong = examine(adapter, case)
    assert wrong.outcome == "disagrees", wrong
    assert words in str(wrong.diagnosis()), wrong.diagnosis()


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_torchs_weights_cross_to_flax_and_back(direction: str) -> None:
    """Of a GRU exactly, with both biases; of an LSTM but for its biases, which are their sum."""
    torch, flax = framework_adapter("torch"), framework_adapter("flax")
    for cell in ("gru", "lstm"):
        case = draw_case(RNNSpec(3, 5, 2, direction, cell=cell), batch=2, time=4)
        spec, parameters = flax.read(flax.build(*torch.read(torch.build(case.spec, case.parameters))))
        again = torch.read(torch.build(spec, parameters))[1]
        assert spec == case.spec
        for before, after in zip(case.parameters, again, strict=True):
            arrays = native(spec, TORCHS[cell], before)
            if cell == "lstm":
                arrays |= {"bias_ih": arrays["bias_ih"] + arrays["bias_hh"], "bias_hh": 0 * arrays["bias_hh"]}
            came = native(spec, TORCHS[cell], after)
            assert all(np.array_equal(arrays[name], came[name]) for name in arrays)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_new_weights_are_used(cell: str) -> None:
    adapter: Any = framework_adapter("flax")
    case, other = (draw_case(RNNSpec(3, 5, cell=cell), batch=2, time=4, seed=seed) for seed in (1, 2))
    module = adapter.build(case.spec, other.parameters, mode="compiled")
    adapter.run(module, case.x)
    adapter.set_weights(module, case.parameters)
    answer = adapter.run(module, case.x)
    assert judge(case, answer.output, answer.h_n).outcome == "agrees"
