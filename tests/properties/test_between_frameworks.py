"""Two frameworks on the same weights, directly: the reference only says how far apart they may be."""

from __future__ import annotations

import pytest
from hypothesis import given

from reference import DIRECTIONS

from ..strategies import Question, questions
from ..target import Target


@pytest.mark.parametrize("direction", DIRECTIONS)
@given(question=questions(sane=True, zero_lengths=False, max_layers=3))
def test_a_port_gives_the_same_answers(
    target: Target, every_target: list[Target], direction: str, question: Question
) -> None:
    """Weights are read out of this framework's module and built into each other one; the answers agree."""
    case = question.case(direction, "tanh", "float32")
    module = target.adapter.build(case.spec, case.parameters, target.device)
    expected = target.adapter.run(module, **case.inputs)
    for other in every_target:
        ported = other.adapter.build(*target.adapter.read(module), device=other.device)
        target.check_pair(case, expected, other.adapter.run(ported, **case.inputs), f"port to {other.label}")
