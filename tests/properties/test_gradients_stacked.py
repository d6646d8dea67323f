"""Training of stacks: of the whole as one module, and of each of its layers, as they stand in it.

Nothing shows the deltas of a stack: its gradients are judged by the bound of all steps back, bounds/unseen.py. Each
layer as a case of its own has a probe, by which each step back is judged by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import Result
from adapters.running.trial import Trial
from harness.notes import something_was_seen
from harness.target import Target
from reference import DIRECTIONS, Case
from reference.draws import COTANGENTS, with_cotangents
from reference.judging.chain import one_layer

PROPERTY = "gradients of stacks"
LAYER = f"{PROPERTY}, a layer"  # whose question is what was answered
WIDE = ("float32", "float64")
few = settings(max_examples=-(-settings.default.max_examples // 3))


@pytest.mark.parametrize("direction", DIRECTIONS)
@few
@given(data=st.data())
def test_gradients_of_a_stack_and_of_each_of_its_layers(target: Target, direction: str, data: st.DataObject) -> None:
    """Of 2 and 3 layers. A layer's x is what the layer below answered in the stack; the cotangent of its output is the
    gradient by x that the layer above answered."""
    case = stack_of(target, direction, data)
    whole = asked(target, PROPERTY, case)
    layers = [] if whole.answer is None else layers_of(target, case, whole.answer)
    something_was_seen([trial.outcome for trial in (whole, *layers)])


def layers_of(target: Target, case: Case, answer: Result) -> Iterator[Trial]:
    """What comes of the layers, the last one first, by what the stack answered; as far as each hands something on."""
    assert answer.prefixes is not None
    g_output = case.cotangents[0]
    for layer, x in reversed([*enumerate((case.x, *answer.prefixes))]):
        trial = asked(target, LAYER, one_layer(case, layer, np.ascontiguousarray(x), g_output))
        yield trial
        if trial.answer is None or trial.answer.gradients is None:
            return
        g_output = np.ascontiguousarray(trial.answer.gradients.x[..., : x.shape[-1]])  # the others are the probe's


def stack_of(target: Target, direction: str, data: st.DataObject) -> Case:
    """How many layers, and the dtype, are part of a key that is compiled: sizes decide them, which are part of it."""
    question = data.draw(target.questions(max_layers=1, max_time=6, with_cells=True, sane=True), "question")
    question = replace(question, num_layers=2 + question.hidden_size % 2)
    case = question.case(direction, "tanh", WIDE[question.input_size % 2])
    return with_cotangents(case, COTANGENTS[question.seed % len(COTANGENTS)], question.seed + 3, question.rounded)


def asked(target: Target, tested: str, case: Case) -> Trial:
    return target.ask(tested, case, None, target.stack(case))
