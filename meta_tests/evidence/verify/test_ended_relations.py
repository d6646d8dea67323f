"""A drawn relation that ends in an exception, which a finding names, leaves one verdict, and that is none too many."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pydantic")

from evidence.verify.questions import Tally

DRAWN = "tests/properties/test_relations.py::test_a_layer_computes_the_same_bits_whatever_is_stacked_on_it[one-forward]"


@pytest.mark.parametrize(
    ("outcome", "relation", "counted"), [("finding", True, 0), ("finding", False, 1), ("agrees", True, 1)]
)
def test_only_what_an_exception_ended_is_not_counted(outcome: str, relation: bool, counted: int) -> None:
    tally: Any = object.__new__(Tally)
    tally.asked, tally.again, tally.questions, tally.ended = Counter(), Counter(), set(), set()
    tally.add(SimpleNamespace(test=DRAWN, outcome=outcome, relation=relation, verdict=None))
    assert tally.asked[DRAWN] == counted
    assert (DRAWN in tally.ended) == (outcome == "finding")
