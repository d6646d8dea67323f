"""Equinox and MLX: a fault in a mapping is seen, a user's own modules are read or refused, each way has its script."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from adapters.contract import NotOffered, features_of_case
from adapters.equinox import script as equinox
from adapters.mapping import Array
from adapters.mlx import script as mlx
from adapters.running.trial import Stack, attempt, examine
from meta_tests.adapters.scripts.test_script import execute
from meta_tests.common.frameworks import framework_adapter
from reference import RNNSpec
from reference.draws import draw_case
from reference.layout import state_tuple

CELLS = [("equinox", "gru"), ("equinox", "lstm"), ("mlx", "elman"), ("mlx", "gru"), ("mlx", "lstm")]
WAYS = [(name, way) for name, module in (("equinox", equinox), ("mlx", mlx)) for way in ("eager", *module.WAYS)]
EACH = pytest.mark.parametrize(("name", "cell"), CELLS)


@pytest.mark.parametrize(("name", "cell"), [one for one in CELLS if one[1] != "elman"])
def test_gates_in_another_order_are_seen(name: str, cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter, case = framework_adapter(name), draw_case(RNNSpec(4, 4, cell=cell), batch=3, time=5, weight_scale=2.0)
    assert examine(adapter, case).outcome == "agrees"
    mapping = import_module(f"adapters.{name}.mapping").MAPPING
    first, *others = mapping[cell].arrays.items()
    turned = (first[0], Array(first[1].of, first[1].gates[1::-1] + first[1].gates[2:]))
    monkeypatch.setitem(mapping, cell, mapping[cell]._replace(arrays=dict([turned, *others])))
    assert examine(adapter, case).outcome == "disagrees"


@EACH
def test_what_was_built_is_read(name: str, cell: str) -> None:
    adapter: Any = framework_adapter(name)
    case = draw_case(RNNSpec(3, 5, 2, "bidirectional", bias=cell == "gru", cell=cell), batch=2, time=4)
    spec, tracks = adapter.read(adapter.build(case.spec, case.parameters))
    assert spec == case.spec
    again = adapter.read(adapter.build(spec, tracks))[1]
    for one, other in zip(tracks, again, strict=True):
        assert all(np.array_equal(a, other.arrays()[word]) for word, a in one.arrays().items())


@pytest.mark.parametrize("name", ["equinox", "mlx"])
def test_what_is_no_layer_is_refused(name: str) -> None:
    adapter: Any = framework_adapter(name)
    for module in (3, [], "layer"):
        with pytest.raises(NotOffered, match=r"^module: got"):
            adapter.read(module)


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_the_script_of_a_way_asks_what_it_asks(name: str, way: str) -> None:
    adapter: Any = framework_adapter(name)
    case = draw_case(RNNSpec(3, 4, 2, "bidirectional", cell="lstm"), batch=2, time=3, h0=True, layout="time_first")
    idiom = adapter.idioms.get(way)
    why = idiom.narrowed(adapter.capabilities).not_offered(features_of_case(case)) if idiom else ""
    if "gradients False" in why:  # it asks for gradients alone, of which no script is written
        with pytest.raises(NotOffered):
            adapter.script(case, "cpu", way)
        return
    assert idiom if way != "eager" else not idiom
    assert not why
    answer: Any = attempt(Stack(adapter, case, idiom="" if way == "eager" else way), case)
    names, code, printed = execute(adapter.script(case, "cpu", way))
    assert code == 0, printed
    shown = dict(zip(("output", "h_n", "c_n"), (answer.output, *state_tuple(answer.h_n)), strict=True))
    for word, array in names["actual"].items():
        assert np.array_equal(array, shown[word].astype(np.float64))


@EACH
def test_a_script_of_lengths_and_one_without_biases(name: str, cell: str) -> None:
    adapter: Any = framework_adapter(name)
    for words in ({"batch": 2, "lengths": (3, 1), "h0": True}, {"batch": 1, "layout": "unbatched"}):
        case = draw_case(RNNSpec(3, 4, 1, "reverse", bias="h0" in words, cell=cell), time=3, **words)
        _, code, printed = execute(adapter.script(case))
        assert code == 0, printed


@EACH
def test_a_script_of_gradients(name: str, cell: str) -> None:
    adapter: Any = framework_adapter(name)
    case = draw_case(RNNSpec(3, 4, cell=cell), batch=2, time=3, h0=True, layout="time_first", gradients="all")
    names, code, printed = execute(adapter.script(case))
    assert code == 0, printed
    assert {"x", "h0"} <= names["actual"].keys()
