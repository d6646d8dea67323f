"""Cases as the properties draw them, and what an implementation with a fault in it answers to them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from harness.pool import MOST_LAYERS, key_of, keys, values
from harness.strategies import in_layout, questions
from reference import DIRECTIONS, LAYOUTS, NONLINEARITIES, Case, Verdict, judge
from reference.faults import Fault, Run, implementation
from reference.faults.machine import as_time_first
from reference.faults.step import Kernel

DEFAULT = 8  # examples of a property in the default profile


@functools.cache
def drawn_cases(examples: int = DEFAULT, dtypes: tuple[str, ...] = ("float32", "float64")) -> tuple[Case, ...]:
    """The cases of so many examples of test_answers_agree_with_the_reference, in its directions; always the same."""

    def draw(data: st.DataObject) -> Iterator[Case]:
        for direction, dtype in product(DIRECTIONS, dtypes):
            question = data.draw(questions())
            asked = (question.case(direction, nonlinearity, dtype) for nonlinearity in NONLINEARITIES)
            yield from (in_layout(case, layout, question.memory) for case in asked for layout in LAYOUTS)

    return _drawn(draw, examples)


@functools.cache
def pooled_cases(pool: int, examples: int = DEFAULT) -> tuple[Case, ...]:
    """The same of a target that compiles, in float32 and float64: values of the keys of this pool."""
    known = keys(questions(max_layers=MOST_LAYERS), pool)

    def draw(data: st.DataObject) -> Iterator[Case]:
        for words in product(DIRECTIONS, ("float32", "float64"), NONLINEARITIES, LAYOUTS):
            direction, dtype, nonlinearity, layout = words
            question = data.draw(values(key_of(known, pool, *words), sane=False, weights=False))
            yield in_layout(question.case(direction, nonlinearity, dtype), layout, question.memory)

    return _drawn(draw, examples)


def _drawn(draw: Callable[[st.DataObject], Iterator[Case]], examples: int) -> tuple[Case, ...]:
    cases: list[Case] = []

    @settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(data=st.data())
    def collect(data: st.DataObject) -> None:
        cases.extend(draw(data))

    collect()
    return tuple(cases)


def visible_in(fault: Fault, case: Case) -> bool:
    """Whether a case has what the fault says it needs."""
    return fault.where.holds(case if fault.as_given else as_time_first(case))


def faulty_answer(
    faults: list[Fault], case: Case, run: Run = Case.answer, kernel: Kernel | None = None
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Output, h_n and the outputs of the lower layers, each asked as a stack of its own, as adapters do it."""
    faulty = implementation(faults, run, kernel)
    output, h_n = faulty(case)
    return output, h_n, [faulty(case.prefix(layers)).output for layers in range(1, case.spec.num_layers)]


def verdict_on(faults: list[Fault], case: Case) -> Verdict:
    output, h_n, prefixes = faulty_answer(faults, case)
    return judge(case, output, h_n, prefixes=prefixes)
