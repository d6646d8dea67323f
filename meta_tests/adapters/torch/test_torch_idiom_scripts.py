"""A script of an idiom asks what the idiom asks: it holds the same function, and gives the same numbers."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from adapters.contract import NotOffered
from adapters.running.child import Child, ChildStack
from adapters.running.trial import examine
from evidence.record.seeded import cases_of
from meta_tests.adapters.scripts.test_script import execute
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.scale import skip_by_day
from reference import Case, RNNSpec
from reference.draws import draw_case
from reference.layout import state_tuple

# those that compile are asked one case
SLOW = {"torch": ("dynamic batch", "compiled"), "torch-onnx": ("newest opset", "dynamic batch")}
QUICK = {
    "torch": ("as it comes", "medium", "cells", "sorted", "list", "in parts", "strided", "functional call", "assigned",
              "computed weights"),
    "torch-onnx": ("fixed shapes", "other sizes", "oldest opset"),
}  # fmt: skip


def told_apart(name: str, word: str, case: Case) -> bool:
    """Whether a script of the case is written; then it must say what the adapter says. One of an isolated idiom runs in
    a process of its own, too: what was compiled here before would be taken for it."""
    adapter: Any = framework_adapter(name)
    try:
        text = adapter.script(case, "cpu", word)
    except NotOffered:
        return False
    child = Child(name) if adapter.idioms[word].isolate else None
    try:
        stack = ChildStack(child, adapter, case, "cpu", "eager", word) if child else None
        answer = examine(adapter, case, stack=stack, idiom=word).answer
    finally:
        if child:
            child.close()
    if answer is not None and child:
        run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
    elif answer is not None:  # else the script raises what is raised here
        names, code, printed = execute(text)
        assert code == 0, printed
        for array, one in zip(("output", "h_n", "c_n"), (answer.output, *state_tuple(answer.h_n)), strict=False):
            assert np.array_equal(names["actual"][array], one.astype(np.float64), equal_nan=True)
    return answer is not None


@functools.cache
def cases_in(name: str, word: str) -> list[Case]:
    adapter: Any = framework_adapter(name)
    return cases_of(adapter.idioms[word].narrowed(adapter.capabilities))


@pytest.mark.parametrize(("name", "word"), [(name, word) for name, words in QUICK.items() for word in words])
def test_a_script_of_an_idiom_says_what_the_adapter_says(name: str, word: str) -> None:
    assert sum([told_apart(name, word, case) for case in cases_in(name, word)]) >= 2


@pytest.mark.parametrize(("name", "word"), [(name, word) for name, words in SLOW.items() for word in words])
def test_a_script_of_an_idiom_that_compiles(name: str, word: str) -> None:
    skip_by_day(4, name, word)
    assert told_apart(name, word, draw_case(RNNSpec(3, 5, direction="bidirectional"), batch=2, time=2, h0=True))


def test_every_idiom_has_a_script() -> None:
    case = draw_case(RNNSpec(3, 5), batch=2, time=4)
    for name in QUICK:
        adapter: Any = framework_adapter(name)
        assert {*QUICK[name], *SLOW[name]} <= {*adapter.idioms}
        for word, idiom in adapter.idioms.items():
            if (("gradients", False),) not in idiom.without:
                assert "sys.exit" in adapter.script(case, "cpu", word)


@pytest.mark.parametrize(
    ("word", "asked"),
    [("vmap", {"lengths": (2, 4)}), ("sorted", {"mask": True}), ("dynamic steps", {"lengths": (2, 4)})],
)
def test_what_an_idiom_cannot_ask_has_no_script(word: str, asked: dict[str, Any]) -> None:
    adapter: Any = framework_adapter("torch")
    with pytest.raises(NotOffered):
        adapter.script(draw_case(RNNSpec(3, 5), batch=2, time=4, **asked), "cpu", word)
