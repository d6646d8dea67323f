"""Every idiom has a script, which comes to what the adapter comes to: the text of one function is in both."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from adapters.contract import capabilities_on
from adapters.running.trial import examine
from evidence.record.seeded import cases_of
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.scale import nightly

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="keras is not installed"),
    pytest.mark.filterwarnings("default"),  # those of Keras and of what is below it
]
CASES = 3  # of float16, with a mask, and of float64: each in other layers, directions and layouts; by day one of each
EXIT = {"agrees": 0, "disagrees": 1}


@pytest.fixture(scope="module")
def keras() -> Any:
    return framework_adapter("keras")


def test_every_idiom_has_a_script_that_comes_to_the_same(keras: Any) -> None:
    told = []
    for number, (word, idiom) in enumerate(keras.idioms.items()):
        cases = cases_of(idiom.narrowed(capabilities_on(keras, "cpu")))[:CASES]
        for case in cases if nightly() else cases[number % CASES :][:1]:
            if case.cotangents is not None:  # of gradients in an idiom no script is written
                continue
            outcome = examine(keras, case, idiom=word).outcome
            # with float64 on JAX a script needs a process of its own
            if outcome in EXIT and (keras.backend, case.dtype) != ("jax", "float64"):
                code = exit_of(keras.script(case, "cpu", word))
                told += [f"{word}, {case.dtype}: {outcome}, exit {code}"] if code != EXIT[outcome] else []
    assert not told


def exit_of(text: str) -> Any:
    """What a script exits with; it is run in this process, where Keras is loaded."""
    with pytest.raises(SystemExit) as ended:
        exec(compile(text, "script.py", "exec"), {"__name__": "__main__"})
    return ended.value.code
