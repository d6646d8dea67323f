"""A failing case shrinks to one that a person can read, and soon."""

from __future__ import annotations

import time

import pytest
from hypothesis import find, settings

from adapters import Unsupported
from adapters.running.trial import examine
from harness.strategies import Question, in_layout, questions
from meta_tests.common import faulty as planted
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.scale import nightly
from reference import Case
from reference.faults import FAULTS

SMALL, SECONDS = 3, 30
# a sample of every kind: in the question, around the layer, in the step; at night all
SAMPLE = ("w_hh_transposed", "w_ih_reshaped", "h0_of_the_next_row", "reverse_not_put_back", "lengths_one_more",
          "halves_exchanged", "tanh_off_by_1e_minus_4")  # fmt: skip
# what some faults need to show: more steps, a state that happens to be small, numbers of more than four bits
NEEDED = {"state_reset": dict.fromkeys(("batch", "time", "input_size", "hidden_size"), 5)}
BY_CHANCE = ("small_states_flushed",)
LONG_NUMBERS = (
    "weights_in_bfloat16",
    "weights_in_float16",
    "weights_in_float32",
    "x_in_bfloat16",
    "small_states_flushed",
)


@pytest.mark.parametrize("name", FAULTS if nightly() else SAMPLE)
def test_a_planted_fault_shrinks_to_a_small_case(name: str) -> None:
    """From drawn sizes up to 9 and 10 layers to sizes of at most 3, in the native module of torch."""
    framework_adapter("torch")
    adapter = getattr(planted, name)()
    dtype = "float64" if "float64" in FAULTS[name].where.words.split(", ") else "float32"

    def seen(case: Case) -> bool:
        try:
            return examine(adapter, case).outcome == "disagrees"
        except Unsupported:
            return False

    def fails(question: Question) -> bool:
        return any(
            seen(in_layout(question.case(direction, nonlinearity, dtype), layout, question.memory))
            for direction in ("forward", "bidirectional")
            for nonlinearity in ("tanh", "relu")
            for layout in ("batch_first", "time_first")
        )

    limits = settings(max_examples=200, database=None, derandomize=True)
    begun = time.perf_counter()
    smallest = find(questions(adapter.capabilities.supported), fails, settings=limits)
    seconds = time.perf_counter() - begun
    sizes = {axis: getattr(smallest, axis) for axis in ("batch", "time", "input_size", "hidden_size", "num_layers")}
    allowed = NEEDED.get(name, {})
    small = all(size <= allowed.get(axis, SMALL) for axis, size in sizes.items())
    assert small or name in BY_CHANCE, sizes
    assert smallest.rounded or name in LONG_NUMBERS
    assert seconds < SECONDS
