"""The frozen corpus: the same questions to every version of every framework, one test each.

A recorded run keeps the answers, so that two versions can be compared bit by bit: `python -m rnn_equivalence diff`.
"""

from __future__ import annotations

import pytest

from adapters import FEATURES
from evidence.record import corpus
from harness.target import Target
from reference import DIRECTIONS, Case


@pytest.mark.own_key(of_the_corpus=True)
@pytest.mark.parametrize("name", corpus.cases(), ids=lambda name: name.replace(" full", " with all"))
def test_the_corpus(target: Target, name: str) -> None:
    target.check(corpus.PROPERTY, corpus.cases()[name], mode=target.mode_of_corpus)


@pytest.mark.own_key
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_whole_trajectories_of_the_corpus(target: Target, direction: str) -> None:
    """How far rounding has moved the answer that a user sees, as time steps and layers are added."""
    target.check(
        corpus.TRAJECTORY, *cases_of(corpus.TRAJECTORY, direction), bound="trajectory", mode=target.mode_of_corpus
    )


@pytest.mark.own_key
@pytest.mark.parametrize(
    "mode", [mode for mode in FEATURES["mode"] if mode != "eager"], ids=lambda mode: f"mode={mode}"
)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_corpus_in_every_mode(target: Target, direction: str, mode: str) -> None:
    """Compiled, traced, saved, in mixed precision, ..."""
    tested = f"{corpus.PROPERTY}, {mode}"
    target.check(tested, *cases_of(tested, direction), mode=mode)


def cases_of(tested: str, direction: str) -> list[Case]:
    """What a property asks of the corpus, in one direction."""
    cases = [corpus.cases()[name] for name in corpus.asked()[tested].names]
    return [case for case in cases if case.spec.direction == direction]
