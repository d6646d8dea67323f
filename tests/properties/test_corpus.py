"""The frozen corpus: the same questions to every version of every framework, one test each.

A recorded run keeps the answers, so that two versions can be compared bit by bit: `python -m evidence diff`.
"""

from __future__ import annotations

import pytest

from evidence import corpus

from ..target import Target

GROWING = [case for name, case in corpus.cases().items() if name.split()[1] in ("time", "depth")]


@pytest.mark.parametrize("name", corpus.cases())
def test_the_corpus(target: Target, name: str) -> None:
    target.check(corpus.PROPERTY, corpus.cases()[name])


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_whole_trajectories_of_the_corpus(target: Target, direction: str) -> None:
    """How far rounding has moved the answer that a user sees, as time steps and layers are added."""
    cases = [case for case in GROWING if case.spec.direction == direction]
    target.check("corpus, whole trajectory", *cases, bound="trajectory")
