"""What the judge must see: faults of the sizes that frameworks and their settings really make."""

from __future__ import annotations

import numpy as np
import pytest

from meta_tests.common.implementations import keep_bits
from meta_tests.common.scale import at_night
from meta_tests.tables.sensitivity import Row, faulty_answer, row, sensitive_case, smallest_seen
from reference import Case, Verdict, judge

SEEDS = range(at_night(3, 20))


def verdict(case: Case, answer: tuple[np.ndarray, np.ndarray]) -> Verdict:
    return judge(case, *answer, bound="step")


def tf32(weights: np.ndarray) -> np.ndarray:
    return keep_bits(weights, 11)


@pytest.mark.parametrize("hidden_size", [1, 2, 3, 8, 32, 64, 128, 256, 512])
def test_weights_rounded_to_tf32_are_seen_in_float32(hidden_size):
    for seed in SEEDS if hidden_size < 256 else SEEDS[:2]:
        case = sensitive_case("float32", hidden_size, seed)
        assert verdict(case, faulty_answer(case)).outcome == "agrees", "without the fault nothing is wrong"
        assert verdict(case, faulty_answer(case, tf32, tf32)).outcome == "disagrees"


@pytest.mark.parametrize("hidden_size", [1, 2, 3, 8, 32, 64, 96, 128])
def test_a_tanh_off_by_one_in_a_hundred_thousand_is_seen_in_float32(hidden_size):
    for seed in SEEDS:
        case = sensitive_case("float32", hidden_size, seed)
        answer = faulty_answer(case, state=lambda h: h * (1 + 1e-5))
        assert verdict(case, answer).outcome == "disagrees"


@pytest.mark.parametrize("hidden_size", [1, 8, 64, 256])
def test_a_float32_product_in_a_float64_layer_is_seen(hidden_size):
    """One matrix product of a float64 layer computed in float32: its weights alone lose 29 bits."""

    def single(weights: np.ndarray) -> np.ndarray:
        return weights.astype(np.float32).astype(np.float64)

    case = sensitive_case("float64", hidden_size, 0)
    for faults in ({"w_ih": single}, {"w_hh": single}):
        assert verdict(case, faulty_answer(case, **faults)).outcome == "disagrees"


def test_the_judge_does_not_see_everything():
    """The other side: half a unit roundoff in a weight, which rounding itself makes, is within the bound."""
    case = sensitive_case("float32", 16, 0)
    barely = faulty_answer(case, w_hh=lambda w: w * (1 + 2.0**-25))
    assert verdict(case, barely).outcome == "agrees"


@pytest.mark.parametrize("name", ["float64", "float32", "bfloat16_accumulate_float32"])
def test_the_table_grows_with_the_number_of_terms(name):
    """More terms, more rounding, a smaller fault hidden in it; and never less than a unit roundoff."""
    small, large = row(name, 4, 1), row(name, 64, 1)
    assert isinstance(small, Row)
    assert small.weight < large.weight
    assert small.activation > {"float64": 2.0**-53, "float32": 2.0**-24}.get(name, 2.0**-8)


def test_bisection_finds_the_smallest_change_that_is_seen():
    assert smallest_seen(lambda change: change >= 2.0**-7.5, 2.0**-24) == 2.0**-7.5
    assert smallest_seen(lambda change: False, 2.0**-24) == np.inf
