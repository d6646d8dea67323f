"""Every installed adapter keeps the contract: exact parameters, no side effects, and a reason for every refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adapters
from adapters.contract import FEATURES, Capabilities, features_of
from adapters.trial import examine
from reference import Case, CellParameters, RNNSpec

from .draws import draw_case, draw_parameters
from .frameworks import framework_adapter
from .memory import MEMORY, in_memory

USUAL = {"direction": "forward", "layout": "batch_first", "nonlinearity": "tanh", "dtype": "float32", "bias": True,
         "h0": False, "lengths": "full", "num_layers": "1", "time": "more", "batch": "more"}  # fmt: skip
SPECS = {
    "one layer": RNNSpec(3, 5),
    "one layer, reverse, relu": RNNSpec(3, 5, direction="reverse", nonlinearity="relu"),
    "no bias": RNNSpec(3, 5, bias=False),
    "two layers, bidirectional": RNNSpec(3, 5, 2, "bidirectional"),
}


@pytest.fixture(params=adapters.KNOWN)
def adapter(request: pytest.FixtureRequest) -> adapters.Adapter:
    return framework_adapter(request.param)


@pytest.fixture(params=SPECS)
def spec(request: pytest.FixtureRequest) -> RNNSpec:
    return SPECS[request.param]


def case_with(**features: Any) -> Case:
    """A case with these features, and the usual ones beside them."""
    asked = USUAL | features
    time = {"0": 0, "1": 1, "more": 4}[asked["time"]]
    batch = 1 if asked["layout"] == "unbatched" else {"0": 0, "1": 1, "more": 3}[asked["batch"]]
    lengths = {"full": None, "mixed": [4, 2, 3][:batch], "with zeros": [4, 0, 3][:batch]}[asked["lengths"]]
    num_layers = {"1": 1, "2": 2, "3 to 10": 3}[asked["num_layers"]]
    spec = RNNSpec(3, 5, num_layers, asked["direction"], asked["nonlinearity"], asked["bias"])
    words = {name: asked[name] for name in ("dtype", "h0", "layout")}
    return draw_case(spec, batch=batch, time=time, lengths=lengths, seed=7, **words)


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
    case = case_with(**{name: value})
    assert features_of(case.spec, **case.inputs)[name] == value
    reason = adapter.capabilities.unsupported.get((name, value))
    for device in adapter.devices():
        trial = examine(adapter, case, device)
        assert trial.outcome == ("refused" if reason else "agrees"), trial
        assert reason is None or reason in trial.message, trial


def test_an_empty_batch_may_have_lengths(adapter: adapters.Adapter):
    trial = examine(adapter, draw_case(RNNSpec(3, 5), batch=0, time=4, lengths=[]))
    assert trial.outcome == "agrees", trial


@pytest.mark.parametrize("dtype", FEATURES["dtype"])
def test_what_is_built_is_read_bit_for_bit(adapter: adapters.Adapter, spec: RNNSpec, dtype: str):
    parameters = draw_parameters(spec, dtype)
    read_spec, read = adapter.read(adapter.build(spec, parameters))
    kept = parameters if adapter.name == "torch" else [one_bias(cell) for cell in parameters]
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
@pytest.mark.parametrize("route", ["torch keras torch", "keras torch keras"])
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
        trial = examine(adapter, Case(spec, parameters, case.x, case.h0))
        assert trial.outcome == "agrees", trial
    summed = [one_bias(cell) for cell in case.parameters]
    assert spec == case.spec
    assert bits(parameters) == bits(summed), f"from {first} and back, only the biases may have become one"


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


def test_a_dtype_that_loses_bits_is_refused_and_names_the_array(adapter: adapters.Adapter):
    spec = RNNSpec(3, 5, 2)
    short, long = draw_parameters(spec, rounded=True), draw_parameters(spec)
    with pytest.raises(ValueError, match=r"parameters\[1\] w_ih: got float32 values that float16 cannot hold exactly"):
        adapter.build(spec, [short[0], long[1]], dtype="float16")


def test_a_dtype_that_keeps_every_bit_is_taken(adapter: adapters.Adapter):
    case = draw_case(RNNSpec(3, 5), batch=3, time=4, dtype="float16", rounded=True)
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


def test_a_capability_of_an_unknown_feature_is_refused():
    with pytest.raises(ValueError, match=r"capabilities: got feature \('dtype', 'float8'\)"):
        Capabilities(unsupported={("dtype", "float8"): "no such dtype"})
