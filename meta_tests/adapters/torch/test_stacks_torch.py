"""torch's stacks as one module: their gradients are right, in narrow dtypes too; the bits are those of its layers."""

from __future__ import annotations

import numpy as np
import pytest

from meta_tests.adapters.torch.test_gradients_torch import DECLARED, torchs
from meta_tests.common.gradients import gradient_case
from reference import Case
from reference.judging.chain import below, judge_stack, one_layer

CELLS = ("tanh", "relu", "gru", "lstm")


def stack(name: str, seed: int, dtype: str) -> Case:
    return gradient_case(
        name, layers=2 + seed % 3 // 2, direction=("forward", "bidirectional")[seed % 2], sizes=(3, 4 + seed),
        dtype=dtype, layout=("time_first", "batch_first")[seed // 4], lengths=[5, 3, 1] if seed > 3 else None,
        seed=seed,
    )  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_stacks_are_right(name: str, dtype: str) -> None:
    for seed in range(6):
        case = stack(name, seed, dtype)
        lower = [torchs(below(case, n), name).output for n in range(1, case.spec.num_layers)]
        verdict = judge_stack(case, torchs(case, name), lower, DECLARED.get(dtype))
        assert verdict.outcome == "agrees" or (dtype == "bfloat16" and verdict.outcome == "vacuous"), verdict


@pytest.mark.parametrize("name", CELLS)
def test_its_lower_layers_alone_have_the_bits_that_they_have_in_it(name: str) -> None:
    """A6, in the way in which gradients are asked: of the final states, which the stack shows of each layer."""
    for seed in range(6):
        case = stack(name, seed, "float32")
        tracks = case.spec.num_directions
        whole, alone = torchs(case, name), torchs(below(case, 1), name)
        pairs = zip(whole.h_n, alone.h_n, strict=True) if name == "lstm" else [(whole.h_n, alone.h_n)]
        assert all(np.array_equal(one[:tracks], other) for one, other in pairs)


def test_a_layer_of_a_stack_is_a_case_of_its_own() -> None:
    case = stack("lstm", 1, "float32")
    x = np.zeros((*case.x.shape[:-1], case.spec.output_size), np.float32)
    layer = one_layer(case, 1, x, None)
    assert (layer.spec.num_layers, layer.spec.input_size) == (1, case.spec.output_size)
    assert layer.parameters == case.parameters[2:]
    assert all(np.array_equal(one, other[2:]) for one, other in zip(layer.h0, case.h0, strict=True))
    assert all(np.array_equal(one, g[2:]) for one, g in zip(layer.cotangents[1], case.cotangents[1], strict=True))
