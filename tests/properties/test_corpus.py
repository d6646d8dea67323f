"""The frozen corpus: the same questions to every version of every framework, one test each.

A recorded run keeps the answers, so that two versions can be compared bit by bit: `python -m evidence diff`.
"""

from __future__ import annotations

import pytest

from adapters import FEATURES
from evidence import corpus
from reference import DIRECTIONS

from ..target import Target

WIDE = ("tanh float32 plain", "relu float32 full", "tanh float64 equal sizes")
# what is asked in a mode: one layer; two layers with initial states and lengths; three layers, or a wide one
ASKED = {
    "mixed": ("tanh float16 plain", "relu bfloat16 full", "tanh float16 equal sizes"),
    "sequential": ("tanh float32 plain", "relu float32 full", "tanh float64 plain"),
}
GROWING = [case for name, case in corpus.cases().items() if name.split()[1] in ("time", "depth")]


@pytest.mark.parametrize("name", corpus.cases())
def test_the_corpus(target: Target, name: str) -> None:
    target.check(corpus.PROPERTY, corpus.cases()[name])


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_whole_trajectories_of_the_corpus(target: Target, direction: str) -> None:
    """How far rounding has moved the answer that a user sees, as time steps and layers are added."""
    cases = [case for case in GROWING if case.spec.direction == direction]
    target.check("corpus, whole trajectory", *cases, bound="trajectory")


@pytest.mark.parametrize("mode", [mode for mode in FEATURES["mode"] if mode != "eager"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_corpus_in_every_mode(target: Target, direction: str, mode: str) -> None:
    """Compiled, traced, saved, in mixed precision, ..."""
    ends = [f"{direction} batch_first {words}" for words in ASKED.get(mode, WIDE)]
    if mode in ("tf32", "bfloat16_products"):  # a narrow product is taken where it pays
        ends.append(f"vectors 64 {direction} float32")
    cases = [case for name, case in corpus.cases().items() if name.endswith(tuple(ends))]
    target.check(f"{corpus.PROPERTY}, {mode}", *cases, mode=mode)
