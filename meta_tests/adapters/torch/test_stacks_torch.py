"""torch's stacks: each layer's gradients are right, and the stack is near them; what is planted is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from meta_tests.adapters.torch.test_gradients_torch import DECLARED, torchs
from meta_tests.common.gradients import gradient_case
from reference import Case, CellParameters, Gradients
from reference.bounds.arithmetic import arithmetic
from reference.judging.chain import judge_stack

CELLS = ("tanh", "relu", "gru", "lstm")


def asking(name: str, spoilt: Callable[[Case, Gradients], Gradients] = lambda _case, right: right
           ) -> Callable[[Case], Gradients]:  # fmt: skip
    return lambda case: spoilt(case, torchs(case, name))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_stacks_of_two_layers_are_right_and_their_layers_beside_each_other(name: str, dtype: str) -> None:
    for seed in range(6):
        case = gradient_case(
            name, layers=2, direction=("forward", "bidirectional")[seed % 2], sizes=(3, 4 + seed), dtype=dtype,
            layout=("time_first", "batch_first")[seed // 4], lengths=[5, 3, 1] if seed > 3 else None, seed=seed,
        )  # fmt: skip
        verdict = judge_stack(case, asking(name), DECLARED.get(dtype))
        assert [one.outcome for one in verdict.layers] == ["agrees"] * 2, verdict
        u = arithmetic(dtype).unit_roundoff
        assert all(distance < 64 * u for distance in verdict.differing.values()), verdict.differing


def stopped_in_the_stack(case: Case, right: Gradients) -> Gradients:
    """Nothing is handed to the first layer of two."""
    if case.spec.num_layers == 1:
        return right
    zero = {name: np.zeros_like(array) for name, array in right.parameters[0].arrays().items()}
    return right._replace(x=np.zeros_like(right.x), parameters=[CellParameters.of(zero), right.parameters[1]])


def stopped_at_the_second_layer(case: Case, right: Gradients) -> Gradients:
    """The second layer, probed, hands nothing to its x of 4 features."""
    if case.spec.input_size != 4 + len(case.parameters[0].w_ih):
        return right
    x = right.x.copy()
    x[..., :4] = 0
    return right._replace(x=x)


@pytest.mark.parametrize("name", CELLS)
def test_planted_a_stopped_gradient_is_seen(name: str) -> None:
    case = gradient_case(name, layers=2, sizes=(3, 4))
    whole = judge_stack(case, asking(name, stopped_in_the_stack))
    assert [one.outcome for one in whole.layers] == ["agrees"] * 2
    assert whole.differing["dx"] == whole.differing["dw_hh of layer 0, forward"] == 1
    alone = judge_stack(case, asking(name, stopped_at_the_second_layer))
    assert [one.outcome for one in alone.layers] == ["agrees", "disagrees"]
    assert alone.layers[1].detail.startswith("dx only")


def test_what_the_forward_pass_differs_in_is_named_and_no_cotangents_are_refused() -> None:
    case = gradient_case("gru", layers=2)

    def off(one: Case, right: Gradients) -> Gradients:
        return right if one.spec.num_layers == 1 else right._replace(output=right.output * np.float32(2))

    assert judge_stack(case, asking("gru", off)).differing["output"] == 0.5
    with pytest.raises(TypeError, match="cotangents: got None"):
        judge_stack(replace(case, cotangents=None), asking("gru"))
