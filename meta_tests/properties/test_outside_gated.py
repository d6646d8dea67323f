"""Faults of layers with gates, each bound to a size and to a feature, are seen by the covering design alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

from adapters import Result
from adapters.inputs import Inputs, Known
from adapters.numpy.adapter import ReferenceAdapter
from adapters.running.trial import examine
from evidence.record.ledger import Ledger
from harness.target import Target
from meta_tests.common.scale import at_night
from reference import Case, RNNSpec
from reference.layout import each_state
from tests.properties import test_sizes

SEEDS = range(at_night(1, 5))


class Wrong(NamedTuple):
    """holds: of which calls, of a spec and x (batch, time, input_size).  known, inputs: what is changed then."""

    holds: Callable[[RNNSpec, Inputs], bool]
    known: Callable[[Known], Known] = lambda known: known
    inputs: Callable[[Inputs], Inputs] = lambda inputs: inputs


def without(name: str) -> Callable[[Known], Known]:
    """An array of each track is zeros."""

    def forgotten(known: Known) -> Known:
        tracks = [replace(one, **{name: np.zeros_like(getattr(one, name))}) for one in known.native]
        return known._replace(native=tracks)

    return forgotten


def from_zeros(inputs: Inputs) -> Inputs:
    return inputs._replace(h0=each_state(np.zeros_like, inputs.h0))


FAULTS = {
    "from 65 units on an LSTM that goes backwards has no b_hh": Wrong(
        lambda spec, _: spec.cell == "lstm" and spec.direction == "reverse" and spec.bias and spec.hidden_size > 64,
        without("b_hh"),
    ),
    "from 33 units on a GRU of both directions takes no lengths": Wrong(
        lambda spec, inputs: "gru" in spec.cell and spec.direction == "bidirectional" and spec.hidden_size > 32,
        inputs=lambda inputs: inputs._replace(lengths=None),
    ),
    "from 17 rows on an LSTM starts from zeros": Wrong(
        lambda spec, inputs: spec.cell == "lstm" and inputs.h0 is not None and len(inputs.x) > 16, inputs=from_zeros
    ),
    "from 128 features on a GRU without biases has no recurrence": Wrong(
        lambda spec, _: "gru" in spec.cell and not spec.bias and spec.input_size > 127, without("w_hh")
    ),
    "from 64 steps on a GRU starts from zeros": Wrong(
        lambda spec, inputs: "gru" in spec.cell and inputs.h0 is not None and inputs.x.shape[1] > 63, inputs=from_zeros
    ),
    "of one unit an LSTM has no b_ih": Wrong(
        lambda spec, _: spec.cell == "lstm" and spec.bias and spec.hidden_size == 1, without("b_ih")
    ),
}


class Faulty(ReferenceAdapter):
    def __init__(self, wrong: Wrong) -> None:
        self.wrong = wrong

    def _run(self, known: Known, inputs: Inputs) -> Result:
        inputs = inputs.to("batch_first")
        if self.wrong.holds(known.spec, inputs):
            known, inputs = self.wrong.known(known), self.wrong.inputs(inputs)
        return super()._run(known, inputs)


@cache
def questions(seed: int) -> list[Case]:
    """What the design asks of layers with gates."""
    target: Any = Target(ReferenceAdapter(), "cpu", Ledger(), "reference", pool=seed)
    rows = enumerate(test_sizes.rows_of(target, seed), seed)
    return [test_sizes.case_of(row, number) for number, row in rows if row["cell"] != "elman"]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_layers_without_a_fault_are_right(seed: int) -> None:
    outcomes = [examine(ReferenceAdapter(), case).outcome for case in questions(seed)]
    assert {*outcomes} <= {"agrees", "vacuous"}
    assert outcomes.count("vacuous") < len(outcomes) / 50


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("says", FAULTS)
def test_a_fault_is_seen(says: str, seed: int) -> None:
    assert any(examine(Faulty(FAULTS[says]), case).outcome == "disagrees" for case in questions(seed))
