"""Stand-alone scripts for the ONNX runtimes: they ask the same as the adapters do, and show what is wrong."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from adapters.contract import NotOffered, features_of_case
from adapters.onnx.script import onnx_script
from adapters.running.trial import examine
from evidence.record.corpus import cases
from findings.states import findings_of, left_out
from meta_tests.adapters.scripts.test_script import execute, widened
from meta_tests.common.frameworks import framework_adapter
from meta_tests.repository.test_house import imported
from reference import Case, RNNSpec, judge
from reference.draws import draw_case
from reference.layout import state_tuple

RUNTIMES = ("onnxruntime", "onnx", "openvino", "tract")
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
    if reason := left_out(findings_of(adapter), features_of_case(case)):
        pytest.skip(reason)
    trial = examine(adapter, case)
    if trial.answer is None:  # the script raises what is raised here
        pytest.skip(trial.message)
    names, code, printed = execute(adapter.script(case))
    assert code == 0 or trial.outcome == "disagrees", printed
    result = trial.answer
    for array in ("output", "h_n"):
        assert np.array_equal(names["actual"][array], getattr(result, array).astype(np.float64), equal_nan=True)
    assert judge(widened(case), **names["expected"]).outcome == "agrees"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_way_without_a_script_is_not_offered(runtime: str) -> None:
    adapter: Any = framework_adapter(runtime)
    with pytest.raises(NotOffered, match=r"^way: got 'traced', expected eager, "):
        adapter.script(draw_case(RNNSpec(3, 5), batch=2, time=4), "cpu", "traced")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_script_of_an_idiom_asks_what_the_adapter_asks(runtime: str) -> None:
    adapter: Any = framework_adapter(runtime)
    for word, idiom in adapter.idioms.items():
        if not idiom.absent:
            asked_as_by_the_adapter(adapter, word)


def test_the_script_of_a_torch_module_that_packs_asks_what_the_adapter_asks() -> None:
    adapter: Any = framework_adapter("openvino")
    framework_adapter("torch")
    for h0 in (True, False):
        asked_as_by_the_adapter(adapter, "converted from torch", cell="lstm", h0=h0, lengths=(4, 2, 3))


def asked_as_by_the_adapter(adapter: Any, word: str, cell: str = "elman", **asked: Any) -> None:
    spec = RNNSpec(3, 5, 2, "forward" if word == "converted from torch" else "bidirectional", cell=cell)
    case = draw_case(spec, batch=3, time=4, **{"h0": word != "constants", **asked})
    trial = examine(adapter, case, idiom=word)
    if trial.answer is None:
        with pytest.raises(Exception, match=re.escape(trial.message.partition(": ")[2][:20])):
            execute(adapter.script(case, "cpu", word))
        return
    names, code, printed = execute(adapter.script(case, "cpu", word))
    assert code == 0 or trial.outcome == "disagrees", printed
    shown = {"output": trial.answer.output, **dict(zip(("h_n", "c_n"), state_tuple(trial.answer.h_n), strict=False))}
    shown = {name: array for name, array in shown.items() if array is not None}
    assert shown.keys() == names["actual"].keys()
    for name, array in shown.items():
        assert np.array_equal(names["actual"][name], array.astype(np.float64), equal_nan=True)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("[gathered(cell, name) for cell in halves]", "[gathered(cell, name) for cell in halves[::-1]]"),
     ("np.split(cell[index], len(order))", "np.split(2 * cell[index], len(order))"),
     ("perm=[0, 2, 1, 3]", "perm=[0, 1, 2, 3]")],
)  # fmt: skip
def test_a_wrong_model_is_seen(right: str, wrong: str) -> None:
    framework_adapter("onnxruntime")
    text = onnx_script(draw_case(RNNSpec(3, 5, 2, "bidirectional"), batch=2, time=4, h0=True), "onnxruntime")
    assert right in text
    assert execute(text)[1] == 0
    assert execute(text.replace(right, wrong))[1] == 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_script_imports_numpy_onnx_and_its_runtime_alone(runtime: str, dtype: str) -> None:
    case: Case = draw_case(RNNSpec(2, 3, 2), batch=2, time=4, dtype=dtype, h0=True, lengths=(4, 2))
    more = {"ml_dtypes"} if dtype == "bfloat16" else set()
    assert (
        imported(onnx_script(case, runtime)) - {"base64", "os", "sys", "tempfile"} == {"numpy", "onnx", runtime} | more
    )
