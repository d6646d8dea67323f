"""Keras' gradients of a part of its answer, as who trains on a last output, or on merged halves, has them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.running.trial import examine
from meta_tests.adapters.keras.idiom_faults import first_of
from meta_tests.common.asked_gradients import differentiating
from meta_tests.common.gradients import gradient_case
from reference import Case

LAYERS = {"tanh": "SimpleRNN", "gru": "GRU", "gru_reset_before": "GRU", "lstm": "LSTM"}
PARTS = ("last output", "last output and states", "held", "as it comes", "unrolled to the last output",
         "last output of cells", "halves added", "halves multiplied", "halves averaged")  # fmt: skip
# of others a masked step is a finding on some backend
MASKED = ("last output and states", "held", "as it comes", "halves added", "halves multiplied", "halves averaged")


def cases(word: str, name: str) -> Iterator[Case]:
    """Of the directions that the idiom has, of two layers, and with a mask."""
    one_way = word in ("held", "last output of cells")
    direction = "forward" if one_way else "bidirectional"
    yield gradient_case(name, direction=direction, time=4)
    if name == "tanh":
        yield gradient_case(name, direction=direction, layers=2, time=3)
    if word in MASKED:
        yield gradient_case(name, direction=direction, time=4, mask=True, layout="time_first")


@pytest.mark.parametrize("word", PARTS)
def test_gradients_of_a_part_agree(word: str) -> None:
    adapter = differentiating("keras")
    for name in LAYERS:
        for case in cases(word, name):
            trial = examine(adapter, case, idiom=word)
            assert trial.outcome == "agrees", trial


def turned(ops: Any, right: Any) -> Any:
    """A call whose answer is right, and hands back the opposite."""

    @functools.wraps(right)
    def call(self: Any, *given: Any, **words: Any) -> Any:
        return first_of(right(self, *given, **words), lambda output: 2 * ops.stop_gradient(output) - output)

    return call


@pytest.mark.parametrize("word", PARTS)
def test_planted_what_hands_back_the_opposite_is_seen(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = differentiating("keras")
    keras = adapter.framework
    for name in {"RNN"} if word == "last output of cells" else {*LAYERS.values()}:  # which call RNN's
        kind = getattr(keras.layers, name)
        monkeypatch.setattr(kind, "call", turned(keras.ops, kind.call))
    for name in ("tanh", "lstm"):
        trial = examine(adapter, next(cases(word, name)), idiom=word)
        assert trial.outcome == "disagrees", trial
        assert trial.verdict is not None
        assert trial.verdict.detail.startswith(f"what is shown, {adapter.idioms[word].view}: d"), trial
