"""Every installed adapter keeps the contract: exact parameters, no side effects, and a reason for every refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adapters
from adapters.contract import FEATURES, capabilities_on, features_of_case
from adapters.running.child import Child, ChildStack
from adapters.running.trial import Trial, examine
from findings.states import findings_of, told
from meta_tests.common.features import case_with
from meta_tests.common.frameworks import (
    activation_of,
    built,
    framework_adapter,
    infinity_of,
    skipped_where_declared,
    with_elman,
)
from meta_tests.common.references import Forbidding
from reference import DIRECTIONS, LAYOUTS, Case, CellParameters, RNNSpec
from reference.draws import MEMORY, draw_case, draw_parameters, in_memory
from reference.judging.primitives import judge_activation

SPECS = {
    "one layer": RNNSpec(3, 5),
    "one layer, reverse, relu": RNNSpec(3, 5, direction="reverse", nonlinearity="relu"),
    "no bias": RNNSpec(3, 5, bias=False),
    "two layers, bidirectional": RNNSpec(3, 5, 2, "bidirectional"),
}


@pytest.fixture(params=adapters.KNOWN)
def adapter(request: pytest.FixtureRequest) -> adapters.Adapter:
    return with_elman(framework_adapter(request.param))


@pytest.fixture(params=SPECS)
def spec(request: pytest.FixtureRequest) -> RNNSpec:
    return SPECS[request.param]


def expect_agreement(adapter: adapters.Adapter, case: Case) -> None:
    """The adapter's answer agrees, or is refused or not offered as declared, or a finding explains it."""
    expect_declared(adapter, examined(adapter, case), "eager")


def examined(adapter: adapters.Adapter, case: Case, device: str = "cpu", mode: str = "eager") -> Trial:
    """In a process of its own where a finding says that the framework may end it."""
    features = features_of_case(case, mode)
    if not any(one.case.isolate and one.holds(features) for one in findings_of(adapter)):
        return examine(adapter, case, device, mode=mode)
    child = Child(adapter.name)
    try:
        return examine(adapter, case, device, stack=ChildStack(child, adapter, case, device, mode), mode=mode)
    finally:
        child.close()


def expect_declared(adapter: adapters.Adapter, trial: Trial, mode: str) -> None:
    features = features_of_case(trial.case, mode)
    capabilities = capabilities_on(adapter, trial.device)
    match told(trial, adapter, adapter.name).outcome:
        case "agrees" | "finding" | "left out":
            assert not capabilities.not_offered(features), trial
        case "not offered":
            assert trial.message == capabilities.not_offered(features), trial
        case "refused":
            assert capabilities.refusal(features, trial.message), trial
        case outcome:
            raise AssertionError(f"{outcome}: {trial}")


def bits(parameters: list[CellParameters]) -> list[dict[str, tuple[str, tuple[int, ...], bytes]]]:
    """All arrays as they are stored: dtype, shape, bytes."""
    return [{n: (a.dtype.name, a.shape, a.tobytes()) for n, a in cell.arrays().items()} for cell in parameters]


def one_bias(cell: CellParameters) -> CellParameters:
    """What a framework with one bias keeps: the sum, rounded in the cell's dtype."""
    if cell.b_ih is None or cell.b_hh is None:
        return cell
    return CellParameters(cell.w_ih, cell.w_hh, cell.b_ih + cell.b_hh, np.zeros_like(cell.b_hh))


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in FEATURES.items() for value in values])
def test_a_feature_runs_or_is_refused_with_the_declared_reason(adapter: adapters.Adapter, name: str, value: Any):
    mode = value if name == "mode" else "eager"
    case = case_with(**({} if name == "mode" else {name: value}))
    if value == "mixed" and name == "mode":  # which is for narrow dtypes
        case = case_with(dtype="bfloat16")
    assert features_of_case(case, mode)[name] == value
    for device in adapter.devices():
        expect_declared(adapter, examined(adapter, case, device, mode), mode)


@pytest.mark.parametrize(
    ("error", "features", "passed"),
    [
        (BufferError("there is no state here"), {"h0": True}, False),
        (BufferError("there is no state here"), {"h0": False}, True),
        (BufferError("full"), {"h0": True}, True),
        (MemoryError("there is no state here"), {"h0": True}, True),
        (adapters.NotOffered("no mode"), {"mode": "saved"}, False),
        (adapters.NotOffered("no h0"), {"h0": True}, True),
    ],
)
def test_what_is_not_declared_is_not_skipped(error: Exception, features: dict[str, Any], passed: bool):
    expected = type(error) if passed else pytest.skip.Exception
    with pytest.raises(expected), skipped_where_declared(Forbidding(), features):
        raise error


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("lengths", [None, (3, 2, 3)])
@pytest.mark.parametrize("h0", [True, False])
def test_features_run_together(adapter: adapters.Adapter, direction: str, layout: str, lengths: Any, h0: bool):
    """Every sequence may end before the last step; two layers, so that a state is more than one array."""
    batch = 1 if layout == "unbatched" else 3
    case = draw_case(RNNSpec(3, 5, 2, direction), batch=batch, time=4, h0=h0, lengths=lengths and lengths[:batch],
                     layout=layout)  # fmt: skip
    expect_agreement(adapter, case)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_activation_is_elementwise_and_keeps_the_dtype(adapter: adapters.Adapter, dtype: str):
    a = np.array([[-np.inf, -0.5, 0.0], [0.5, 2.0, np.inf]], dtype)
    relu, tanh = (activation_of(adapter, a, name) for name in ("relu", "tanh"))
    assert relu.dtype == tanh.dtype == dtype
    assert relu.tolist() == [[0, 0, 0], [0.5, 2, infinity_of(adapter, dtype)]]
    assert tanh.shape == a.shape
    if adapter.name == "tract":  # whose arguments are clamped: within the bound, and no nearer
        assert judge_activation(a, "tanh", tanh).agrees
    else:
        assert tanh[0, [0, 2]].tolist() == [-1, 0]
        assert tanh[1, 2] == 1
    assert np.all(np.diff(tanh.ravel()) > 0)


def test_an_empty_batch_may_have_lengths(adapter: adapters.Adapter):
    expect_agreement(adapter, draw_case(RNNSpec(3, 5), batch=0, time=4, lengths=[]))


@pytest.mark.parametrize("dtype", FEATURES["dtype"])
def test_what_is_built_is_read_bit_for_bit(adapter: adapters.Adapter, spec: RNNSpec, dtype: str):
    parameters = draw_parameters(spec, dtype)
    read_spec, read = adapter.read(built(adapter, spec, parameters))
    kept = [one_bias(cell) for cell in parameters] if adapter.name in ("keras", "flax", "litert", "mlx") else parameters
    assert read_spec == spec
    assert bits(read) == bits(kept)


def test_one_zero_bias_makes_the_round_trip_exact(adapter: adapters.Adapter, spec: RNNSpec):
    parameters = [one_bias(cell) for cell in draw_parameters(spec)]
    assert bits(adapter.read(adapter.build(spec, parameters))[1]) == bits(parameters)


def test_what_is_read_belongs_to_the_reader(adapter: adapters.Adapter):
    module = adapter.build(RNNSpec(3, 5), draw_parameters(RNNSpec(3, 5)))
    before = bits(adapter.read(module)[1])
    for array in adapter.read(module)[1][0].arrays().values():
        array[:] = 7
    assert bits(adapter.read(module)[1]) == before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "route",
    [
        "torch keras torch",
        "keras torch keras",
        "torch flax torch",
        "flax torch flax",
        "torch onnxruntime openvino torch",
    ],
)
def test_weights_travel_between_frameworks(route: str, spec: RNNSpec, dtype: str):
    case = draw_case(spec, batch=3, time=4, dtype=dtype, h0=True)
    first, *_ = names = route.split()
    spec, parameters = case.spec, case.parameters
    for name in names:
        adapter = framework_adapter(name)
        if ("dtype", dtype) in adapter.capabilities.unsupported:
            pytest.skip(f"{name}: {adapter.capabilities.unsupported['dtype', dtype]}")
        module = adapter.build(spec, parameters)
        spec, parameters = adapter.read(module)
        expect_agreement(adapter, Case(spec, parameters, case.x, case.h0))
    kept = [one_bias(cell) for cell in case.parameters] if {"keras", "flax"} & set(names) else case.parameters
    assert spec == case.spec
    assert bits(parameters) == bits(kept), f"from {first} and back, only the biases may have become one"


@pytest.mark.parametrize("memory", [*MEMORY, "transposed"])
def test_arrays_of_every_memory_layout_are_taken_and_left_alone(adapter: adapters.Adapter, memory: str):
    drawn = draw_case(RNNSpec(3, 5, 2), batch=3, time=4, h0=True)
    parameters = [CellParameters(**{n: lay(a, memory) for n, a in c.arrays().items()}) for c in drawn.parameters]
    case = Case(drawn.spec, parameters, lay(drawn.x, memory), lay(drawn.h0, memory))
    trial = examine(adapter, case)
    assert trial.outcome == "agrees", trial
    assert case.id == drawn.id, "an argument was changed"


def lay(array: np.ndarray | None, memory: str) -> np.ndarray:
    assert array is not None
    return array.T.copy().T if memory == "transposed" else in_memory(array, memory)


def test_arrays_at_an_odd_stride_are_taken(adapter: adapters.Adapter):
    drawn = draw_case(RNNSpec(3, 5), batch=3, time=4)
    table = np.zeros(drawn.x.shape, [("flag", "u1"), ("value", "f4")])  # a column of records: strides of 5 bytes
    table["value"] = drawn.x
    trial = examine(adapter, Case(drawn.spec, drawn.parameters, table["value"]))
    assert trial.outcome == "agrees", trial


def test_an_x_of_another_dtype_is_refused(adapter: adapters.Adapter):
    case = draw_case(RNNSpec(3, 5), batch=3, time=4, dtype="float32")
    module = adapter.build(case.spec, case.parameters)
    with pytest.raises(ValueError, match=r"x dtype: got 'float64', expected float32"):
        adapter.run(module, case.x.astype("float64"))


def test_a_state_and_lengths_that_do_not_fit_are_refused(adapter: adapters.Adapter):
    case = draw_case(RNNSpec(3, 5), batch=3, time=4)
    module = adapter.build(case.spec, case.parameters)
    with pytest.raises(ValueError, match=r"h0 dtype: got 'float64', expected float32"):
        adapter.run(module, case.x, np.zeros((1, 3, 5)))
    with pytest.raises(ValueError, match=r"lengths: got \[4, 5, 4\], expected integers from 0 to 4"):
        adapter.run(module, case.x, lengths=[4, 5, 4])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_sequence_without_steps_is_answered_or_refused_in_every_layout(adapter: adapters.Adapter, layout: str):
    batch = 1 if layout == "unbatched" else 3
    expect_agreement(adapter, draw_case(RNNSpec(3, 5), batch=batch, time=0, layout=layout))


def test_a_dtype_that_loses_bits_is_refused_and_names_the_array(adapter: adapters.Adapter):
    spec = RNNSpec(3, 5, 2)
    short, long = draw_parameters(spec, rounded=True), draw_parameters(spec)
    with pytest.raises(ValueError, match=r"parameters\[1\] w_ih: got float32 values that float16 cannot hold exactly"):
        adapter.build(spec, [short[0], long[1]], dtype="float16")


def test_a_dtype_that_keeps_every_bit_is_taken(adapter: adapters.Adapter):
    case = draw_case(RNNSpec(3, 5), batch=3, time=4, dtype="float16", rounded=True, h0=True)
    with skipped_where_declared(adapter, features_of_case(case)):
        module = adapter.build(case.spec, [cell.astype("float64") for cell in case.parameters], dtype="float16")
        assert adapter.run(module, **case.inputs).output.dtype == np.float16


def test_a_device_that_is_not_there_is_refused(adapter: adapters.Adapter):
    """TensorFlow would run it on the CPU and say nothing."""
    with pytest.raises(ValueError, match=r"device: got 'cuda:99', expected one of cpu"):
        adapter.build(RNNSpec(3, 5), draw_parameters(RNNSpec(3, 5)), device="cuda:99")


def test_a_module_of_another_kind_is_refused(adapter: adapters.Adapter):
    with pytest.raises(adapters.Unsupported, match=r"module: got dict, expected"):
        adapter.read({})
    with pytest.raises(adapters.Unsupported, match=r"module: got dict, expected"):
        adapter.run({}, np.zeros((3, 4, 3), "float32"))
