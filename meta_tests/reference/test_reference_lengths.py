"""Sequences of different lengths: each is answered as if it were alone, whatever its padding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from meta_tests.common.arguments import GOOD, SPEC, X
from reference import DIRECTIONS, Case, RNNSpec, forward, judge, layout
from reference.draws import draw_case


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_lengths_are_the_sequences_run_alone(direction: str) -> None:
    """Each sequence as if it were alone and unpadded; zeros beyond; h0 for a length of 0."""
    case = draw_case(RNNSpec(3, 4, 2, direction), batch=4, time=6, h0=True, lengths=(6, 0, 2, 5), dtype="float64")
    output, h_n = case.answer()
    assert case.h0 is not None
    for row, length in enumerate((6, 0, 2, 5)):
        alone = Case(case.spec, case.parameters, case.x[row, :length], case.h0[:, row], layout="unbatched")
        verdict = judge(alone, output[row, :length], h_n[:, row])
        assert verdict.outcome == "agrees", verdict
        assert np.all(output[row, length:] == 0)
    assert np.array_equal(h_n[:, 1], case.h0[:, 1])


def test_a_sequence_is_reversed_within_its_length_and_its_padding_stays() -> None:
    steps = np.arange(12).reshape(4, 3, 1)  # 0, 3, 6, 9 is the first sequence
    lengths = np.array([4, 2, 0])
    turned = layout.reverse_within_lengths(steps, lengths)
    assert turned[..., 0].T.tolist() == [[9, 6, 3, 0], [4, 1, 7, 10], [2, 5, 8, 11]]
    assert np.array_equal(layout.reverse_within_lengths(turned, lengths), steps)
    assert np.array_equal(layout.reverse_within_lengths(steps, None), steps[::-1])
    assert layout.valid_steps(lengths, 3).T.tolist() == [[True, True, True], [True, True, False], [False] * 3]
    last = layout.last_states(steps, np.full((3, 1), -1), lengths)
    assert last.tolist() == [[9], [4], [-1]]
    assert layout.last_states(steps[:0], np.full((3, 1), -1), lengths * 0).tolist() == [[-1]] * 3


@pytest.mark.parametrize(("lengths", "batch"), [(np.array([5, 0], "uint8"), 2), ([], 0)])
def test_lengths_of_any_integer_kind(lengths: np.ndarray, batch: int) -> None:
    case = draw_case(RNNSpec(3, 4, direction="reverse"), batch=batch, time=5, h0=True)
    answer = forward(case.spec, case.parameters, case.x, case.h0, lengths)
    expected = replace(case, lengths=[int(length) for length in lengths]).answer()
    assert np.array_equal(answer.output, expected.output)
    assert np.array_equal(answer.h_n, expected.h_n)


def test_an_unbatched_length_may_be_an_integer_of_numpy() -> None:
    for length in (2, np.int64(2), np.array(2)):
        case = Case(SPEC, GOOD, X[0], lengths=length, layout="unbatched")
        assert np.array_equal(case.lengths, 2)
    assert Case(SPEC, GOOD, X, lengths=[0, 5]).answer().output.shape == (2, 5, 8)
