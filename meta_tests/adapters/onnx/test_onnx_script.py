"""Stand-alone scripts for the ONNX runtimes: they ask the same as the adapters do, and show what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adapters.contract import features_of
from adapters.onnx.script import onnx_script
from adapters.running.trial import Stack, attempt
from evidence.record.corpus import cases
from meta_tests.adapters.scripts.test_script import execute, run_alone, widened
from meta_tests.common.frameworks import framework_adapter
from meta_tests.repository.test_house import imported
from reference import Case, RNNSpec, judge
from reference.draws import draw_case

RUNTIMES = ("onnxruntime", "onnx", "openvino")
# of the cases for each cell every thirteenth, which meets all of its words; then one of each other kind
ASKED = [*list(cases())[:216:13]]
ASKED += [
    next(name for name in cases() if words in name)
    for words in (
        "time 1 ",
        "vectors 33 bidirectional",
        "an empty batch reverse",
        "one step",
        "tiny tanh",
        "nan tanh",
        "lengths of zero",
        "no step",
    )
]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", ASKED)
def test_a_script_asks_what_the_adapter_asks(runtime: str, name: str) -> None:
    adapter: Any = framework_adapter(runtime)
    case = cases()[name]
    if refusal := adapter.capabilities.not_offered(features_of(case.spec, **case.inputs)):
        pytest.skip(refusal)
    names, code, printed = execute(adapter.script(case))
    assert code == 0, printed
    result = attempt(Stack(adapter, case), case)
    for array in ("output", "h_n"):
        assert np.array_equal(names["actual"][array], getattr(result, array).astype(np.float64), equal_nan=True)
    assert judge(widened(case), **names["expected"]).outcome == "agrees"


def test_a_finding_is_seen_from_a_script_alone(tmp_path: Any) -> None:
    """The reference evaluator ignores sequence_lens; ONNX Runtime does not."""
    framework_adapter("onnxruntime")
    case = draw_case(RNNSpec(3, 5), batch=2, time=4, lengths=(4, 2))
    run = run_alone(onnx_script(case, "onnx"), tmp_path)
    assert run.returncode == 1, run.stderr
    assert "output (2, 4, 5): 10 of 40 elements lie outside the bound" in run.stdout
    run = run_alone(onnx_script(case, "onnxruntime"), tmp_path)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("[cell[1] for cell in halves]", "[cell[1].T for cell in halves]"), ("cell[2:]", "cell[3:1:-1] + cell[2:3]"[:12]),
     ("perm=[0, 2, 1, 3]", "perm=[0, 1, 2, 3]")],
)  # fmt: skip
def test_a_wrong_model_is_seen(right: str, wrong: str) -> None:
    framework_adapter("onnxruntime")
    text = onnx_script(draw_case(RNNSpec(3, 5, 2, "bidirectional"), batch=2, time=4, h0=True), "onnxruntime")
    assert right in text
    assert execute(text)[1] == 0
    if wrong == "cell[3:1:-1]":  # the biases swapped: the same sum
        assert execute(text.replace(right, wrong))[1] == 0
    else:
        assert execute(text.replace(right, wrong))[1] == 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_script_imports_numpy_onnx_and_its_runtime_alone(runtime: str, dtype: str) -> None:
    case: Case = draw_case(RNNSpec(2, 3, 2), batch=2, time=4, dtype=dtype, h0=True, lengths=(4, 2))
    more = {"ml_dtypes"} if dtype == "bfloat16" else set()
    assert imported(onnx_script(case, runtime)) - {"base64", "os", "sys"} == {"numpy", "onnx", runtime} | more
