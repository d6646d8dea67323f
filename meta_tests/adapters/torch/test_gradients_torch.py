"""torch's own gradients: of a probed layer each element is judged, and none is wrong; what is planted is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adapters.inputs import Inputs, Known
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.gradients import gradient_case
from meta_tests.common.scale import at_night
from reference import Case, Gradients, judge_gradients, probe
from reference.layout import state_tuple

torch: Any = pytest.importorskip("torch")
from adapters.torch.gradients import NAMES, gradients_of  # noqa: E402
from adapters.torch.read import suffix  # noqa: E402

KINDS = {"tanh": "RNN", "relu": "RNN", "gru": "GRU", "lstm": "LSTM", "projection": "LSTM"}
SEEDS = at_night(12, 400)
# torch adds up gradients of recurrent weights step by step
DECLARED = {"bfloat16": "bfloat16_added_by_step", "float16": "float16_added_by_step"}


def layer_of(case: Case, name: str) -> Any:
    spec = case.spec
    more = {"nonlinearity": spec.nonlinearity} if spec.cell == "elman" else {}
    more |= {"proj_size": spec.projection_size} if spec.projection_size else {}
    layer = getattr(torch.nn, KINDS[name])(
        spec.input_size, spec.hidden_size, spec.num_layers, bias=spec.bias,
        bidirectional=spec.num_directions == 2, dtype=getattr(torch, case.dtype), **more,
    )  # fmt: skip
    with torch.no_grad():
        for index, track in enumerate(case.parameters):
            for field, array in track.arrays().items():
                wide = torch.from_numpy(array.astype("float64"))
                getattr(layer, NAMES[field] + suffix(spec, index)).copy_(wide)
    return layer


def torchs(case: Case, name: str) -> Gradients:
    lengths = None if case.lengths is None else np.array(case.lengths)
    inputs = Inputs(case.x, case.h0, lengths, None, case.layout, case.layout)
    return gradients_of(layer_of(case, name), Known(None, case.spec, case.x.dtype), inputs, case.cotangents)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_torch_agrees_over_many_layers(name: str, dtype: str) -> None:
    for seed in range(SEEDS):
        case = gradient_case(
            name, direction=("forward", "bidirectional")[seed % 2], sizes=(1 + seed % 4, 3 + seed % 5), seed=seed,
            time=1 + seed % 7, batch=1 + seed % 3, dtype=dtype, layout=("batch_first", "time_first")[seed // 2 % 2],
            lengths=[1 + seed % 7, 1, 2][: 1 + seed % 3] if seed % 7 > 1 and seed % 5 == 0 else None,
            weight_scale=(1.0, 4.0, 0.3)[seed % 3], only=("", "output", "h_n")[seed % 3],
        )  # fmt: skip
        verdict = judge_gradients(case, torchs(probe(case), name), DECLARED.get(dtype))
        assert verdict.outcome == "agrees" or (dtype == "bfloat16" and verdict.outcome == "vacuous"), verdict


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_stacks_of_torch_in_float64_are_those_of_the_reference(name: str, direction: str) -> None:
    case = gradient_case(name, layers=2, direction=direction, dtype="float64")
    found, expected = torchs(case, name), case.gradients()
    pairs = [(found.x, expected.x), *zip(state_tuple(found.h0), state_tuple(expected.h0), strict=True)]
    for one, other in zip(found.parameters, expected.parameters, strict=True):
        pairs += zip(one.arrays().values(), other.arrays().values(), strict=True)
    assert all(np.abs(a - b).max() < 2.0**-44 for a, b in pairs)


def test_planted_a_wrong_step_of_torch_is_seen() -> None:
    """One delta that is off by a thousandth; gradients of other cotangents."""
    for name in ("tanh", "gru", "lstm"):
        case = gradient_case(name)
        right = torchs(probe(case), name)
        x = right.x.copy()
        x[0, 3, -1] *= 1.001
        assert judge_gradients(case, right._replace(x=x)).detail.startswith("delta")
        other = gradient_case(name, only="output")
        assert judge_gradients(other, right).detail.startswith("delta")


@pytest.mark.parametrize("layout", ["batch_first", "time_first", "unbatched"])
def test_the_adapter_answers_in_every_layout(layout: str) -> None:
    adapter: Any = framework_adapter("torch")
    for direction in ("forward", "reverse", "bidirectional"):
        for lengths in (None, [4] if layout == "unbatched" else [5, 2, 1]):
            batch = 1 if layout == "unbatched" else 3
            case = gradient_case("tanh", direction=direction, layout=layout, batch=batch, lengths=lengths)
            probed = probe(case)
            module = adapter.build(probed.spec, probed.parameters)
            before = {name: one.clone() for name, one in module.named_parameters()}
            found = adapter.gradients(module, **probed.inputs, cotangents=probed.cotangents)
            verdict = judge_gradients(case, found)
            assert verdict.outcome == "agrees", verdict
            assert all(torch.equal(one, before[name]) and one.grad is None for name, one in module.named_parameters())
