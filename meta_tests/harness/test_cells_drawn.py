"""The cell of a question is drawn where an adapter offers several; inside a layer its activations are measured."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rich")
from adapters import FEATURES
from adapters.contract import features_of_case
from harness import pool
from harness.strategies import Question, questions
from reference.judging.primitives import judge_activation
from reference.layout import state_tuple
from reference.spec import DTYPES, GATED
from tests.properties.test_primitives import asked_inside


def drawn(number: int = 20, **limits: Any) -> list[Question]:
    return [question for seed in range(number) for question in pool.keys(questions(**limits), seed)]


def test_every_cell_and_variant_is_drawn_and_elman_in_half_of_the_questions() -> None:
    found = drawn(with_all=True)
    cells = Counter(question.case("forward", "tanh", "float32").spec.cell for question in found)
    assert cells.keys() == {*FEATURES["cell"]}
    assert cells["elman"] >= 0.35 * len(found)
    asked = Counter(
        pair
        for question in found
        for case in [question.case("reverse", "tanh", "float32")]
        for pair in features_of_case(case).items()
    )
    assert all(asked[word, True] for word in ("peepholes", "input_forget", "projection", "clip"))


def test_a_relu_is_elmans_alone() -> None:
    assert {question.case("forward", "relu", "float32").spec.cell for question in drawn(3, with_all=True)} == {"elman"}


@pytest.mark.parametrize(
    "limits", [{}, {"with_cells": True, "supported": {**FEATURES, "cell": ("elman",)}.__getitem__}]
)
def test_what_is_not_offered_is_not_drawn(limits: dict[str, Any]) -> None:
    assert {question.cell for question in drawn(3, **limits)} == {"elman"}


def test_one_cell_and_no_variant_are_drawn_where_no_more_is_offered() -> None:
    offered = {name: values[:1] if values == (False, True) else values for name, values in FEATURES.items()}
    offered |= {"cell": ("elman", "lstm")}
    found = drawn(5, with_all=True, supported=offered.__getitem__)
    assert {(question.cell, question.variants) for question in found} == {("elman", ()), ("lstm", ())}


@pytest.mark.parametrize("word", ["sigmoid", "tanh"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", GATED)
def test_an_activation_inside_a_layer_is_measured_and_one_that_is_off_is_seen(cell: str, dtype: str, word: str) -> None:
    case = asked_inside(cell, word, dtype)
    state = state_tuple(case.answer().h_n)[-1][0, :, 0]
    a = case.x[:, 0, 0]
    assert judge_activation(a, word, state).agrees
    wide = np.float64(1 + 2.0**-6) if dtype in ("float16", "bfloat16") else np.float64(1 + 1e-5)
    assert not judge_activation(a, word, (state.astype(np.float64) * wide).astype(dtype)).agrees
