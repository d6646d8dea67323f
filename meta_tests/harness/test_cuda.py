"""What only a GPU shows. Where there is none, each test says so and is skipped; `--device cuda` is an error there."""

from __future__ import annotations

import numpy as np
import pytest

from adapters.running.trial import examine
from meta_tests.common.frameworks import framework_adapter
from reference import Case, RNNSpec, judge
from reference.draws import draw_case


def cuda(index: int = 0) -> str:
    """A CUDA device of torch's."""
    devices = framework_adapter("torch").devices()
    if f"cuda:{index}" not in devices:
        pytest.skip(f"torch has no device cuda:{index} here, only {', '.join(devices)}")
    return f"cuda:{index}"


def usual(dtype: str = "float32", hidden: int = 64) -> Case:
    return draw_case(RNNSpec(hidden + 1, hidden, 2, "bidirectional"), batch=8, time=5, dtype=dtype, h0=True)


def answer(case: Case, device: str, mode: str = "eager") -> tuple[np.ndarray, ...]:
    """output, h_n and the lower layer's output."""
    adapter = framework_adapter("torch")
    results = [adapter.run(adapter.build(c.spec, c.parameters, device, mode=mode), **c.inputs)
               for c in (case, case.prefix(1))]  # fmt: skip
    return results[0].output, results[0].h_n, results[1].output


def test_inputs_on_another_device_are_a_clear_error() -> None:
    device, adapter, case = cuda(), framework_adapter("torch"), usual()
    module = adapter.build(case.spec, case.parameters, device)
    with pytest.raises(RuntimeError, match="device"):
        module(adapter.framework.from_numpy(case.x))


@pytest.mark.parametrize("index", [0, 1])
def test_every_index_of_a_device_answers(index: int) -> None:
    device = cuda(index)
    assert str(framework_adapter("torch").build(RNNSpec(65, 64), usual().parameters[:1], device).weight_ih_l0.device)
    assert examine(framework_adapter("torch"), usual(), device).outcome == "agrees"


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_cudnn_computes_the_layer_and_the_fallback_does_not_use_it(dtype: str) -> None:
    device = cuda()
    from adapters.torch.settings import kernel

    assert "cudnn" in kernel(device, dtype)
    assert "cudnn" not in kernel(device, dtype, "fallback")


def test_tf32_is_seen_and_declared() -> None:
    """cuDNN's default in torch. Judged as the IEEE float32 that users take it for, it is wrong; as TF32, right."""
    case, device = usual(), cuda()
    output, h_n, lower = answer(case, device, "tf32")
    assert judge(case, output, h_n, prefixes=[lower]).outcome == "disagrees"
    assert judge(case, output, h_n, prefixes=[lower], declared="tf32").outcome == "agrees"
    assert examine(framework_adapter("torch"), case, device).outcome == "agrees", "and it is off otherwise"


def test_whatever_the_user_allows_the_usual_mode_is_ieee() -> None:
    case, device, torch = usual(), cuda(), framework_adapter("torch").framework
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        assert examine(framework_adapter("torch"), case, device).outcome == "agrees"
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == ("high", True)
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
