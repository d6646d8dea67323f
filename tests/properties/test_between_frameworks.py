"""Two frameworks on the same weights, directly: the reference only says how far apart they may be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.relations import answer, check_pair, record_relation
from harness.target import Target
from reference import DIRECTIONS


@pytest.mark.parametrize("direction", DIRECTIONS)
@given(data=st.data())
def test_a_port_gives_the_same_answers(
    target: Target, every_target: list[Target], direction: str, data: st.DataObject
) -> None:
    """Weights are read out of this framework's module and built into each that can hold them; the answers agree."""
    if not hasattr(target.adapter, "read"):
        pytest.skip(f"{target.label}: the adapter has no read, so no weights are ported from it")
    question = data.draw(target.questions(sane=True, max_layers=3), "question")
    case = question.case(direction, "tanh", "float32")
    expected = answer(target, case)
    spec, parameters = target.adapter.read(target.adapter.build(case.spec, case.parameters, target.device))
    for other in every_target:
        outcome, reason = other.not_asked(case)
        if reason:
            record_relation(target, f"port to {other.label}", case, outcome, message=reason)
        else:
            ported = answer(other, replace(case, spec=spec, parameters=parameters))
            check_pair(target, f"port to {other.label}", case, expected, ported, other)
