"""Flax's idioms: each has a script, which asks what the idiom asks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adapters.contract import NotOffered, features_of_case
from adapters.flax.script import WAYS
from adapters.running.trial import Stack, attempt, examine
from meta_tests.adapters.flax.idiom_faults import main_thread_alone, one_by_one
from meta_tests.adapters.scripts.test_script import execute
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.idiom_faults import replaced
from reference import RNNSpec
from reference.draws import draw_case
from reference.judging.view import WHOLE
from reference.layout import state_tuple

CASES = [
    draw_case(RNNSpec(3, 4, 2, "bidirectional", "relu"), batch=2, time=4, h0=True, lengths=(4, 2)),
    draw_case(RNNSpec(3, 4, 1, "reverse", bias=False), batch=1, time=3, layout="unbatched"),
    draw_case(RNNSpec(3, 4, 1), batch=2, time=4, h0=True, lengths=(1, 4), layout="time_first", dtype="float16"),
    draw_case(RNNSpec(3, 4, 2), batch=2, time=4, layout="time_first"),
    draw_case(RNNSpec(3, 4, 2, "bidirectional", cell="gru"), batch=2, time=4, h0=True, lengths=(4, 2)),
    draw_case(RNNSpec(3, 4, 1, "reverse", cell="lstm"), batch=1, time=3, h0=True, layout="unbatched"),
    draw_case(RNNSpec(3, 4, 2, "bidirectional", bias=False, cell="lstm"), batch=2, time=4, layout="time_first"),
]


@pytest.mark.parametrize("word", WAYS)
@pytest.mark.parametrize("case", CASES, ids=["two layers", "unbatched", "float16", "forward", "gru", "lstm", "no bias"])
def test_the_script_of_an_idiom_asks_what_it_asks(word: str, case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter: Any = framework_adapter("flax")
    if word == "in threads":  # without a lock it may end the process: F-261
        replaced("flax.nnx:jit", one_by_one)(monkeypatch)
    if case.dtype == "float16" and word in ("as it comes", "without dtype"):
        pytest.skip("it raises: F-021, F-023")
    if word == "axes of batch" and case.lengths is not None:
        pytest.skip("it raises: F-161")
    if why := adapter.idioms[word].narrowed(adapter.capabilities).not_offered(features_of_case(case)):
        with pytest.raises(NotOffered):
            adapter.script(case, "cpu", word)
        pytest.skip(why)
    answer: Any = attempt(Stack(adapter, case, idiom=word), case)
    names, code, printed = execute(adapter.script(case, "cpu", word))
    lost = case.spec.cell == "gru" and word in ("as it comes", "without dtype", "without param_dtype")  # F-260
    assert code == int(lost), printed
    shown = dict(zip(("output", "h_n", "c_n"), (answer.output, *state_tuple(answer.h_n)), strict=False))
    shown = {name: array for name, array in shown.items() if array is not None}
    assert names["actual"].keys() == shown.keys()
    for name, array in names["actual"].items():
        assert np.array_equal(array, shown[name].astype(np.float64))


@pytest.mark.parametrize("word", [word for word, way in WAYS.items() if way.view != WHOLE and word != "Sequential"])
def test_no_script_is_written_of_gradients_of_a_part(word: str) -> None:
    """Its program would compare them with those of the whole answer."""
    adapter: Any = framework_adapter("flax")
    case = draw_case(RNNSpec(3, 4), batch=2, time=3, h0=True, gradients="all")
    with pytest.raises(NotOffered, match="script of gradients"):
        adapter.script(case, "cpu", word)


@pytest.mark.parametrize(("make", "outcome"), [(one_by_one, "agrees"), (main_thread_alone, "disagrees")])
def test_threads_are_asked_in_earnest(make: Any, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where F-261 is not: with a lock that Flax lacks."""
    adapter: Any = framework_adapter("flax")
    replaced("flax.nnx:jit", make)(monkeypatch)
    for case in CASES:
        stack = Stack(adapter, case, idiom="in threads")
        assert examine(adapter, case, stack=stack).outcome == outcome
