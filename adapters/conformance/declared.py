"""The self-check's second half: what an adapter says of itself, what it refuses, and what it need not have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np

from .. import load
from ..contract import Adapter, Capabilities, Unsupported, capabilities_on, in_base
from .samples import HIDDEN_SIZE, INPUT_SIZE, combinations, features, sample

NOWHERE = "no-such-device:0"


class NotChecked(Exception):
    """A check that cannot be made of an adapter, and why."""


def unless_refused(call: Callable[[], Any], expected: type[Exception] = Unsupported) -> str:
    """What a call did that ought to be refused; empty where it was."""
    try:
        call()
    except expected:
        return ""
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
    return "was answered"


def declarations(adapter: Adapter, device: str) -> Iterator[str]:
    """Name, version, capabilities, devices, and the methods that every adapter has."""
    for name, kind in (("name", str), ("version", str), ("capabilities", Capabilities)):
        value = getattr(adapter, name, None)
        if not isinstance(value, kind) or value == "":
            yield f"{name} is {value!r}, expected {kind.__name__}"
    missing = [name for name in ("devices", "build", "run") if not callable(getattr(adapter, name, None))]
    yield from (f"there is no method {name}" for name in missing)
    if "devices" in missing:
        return
    there = adapter.devices()
    if not there or isinstance(there, str) or not all(isinstance(name, str) for name in there):
        yield f"devices() is {there!r}, expected a tuple of names, such as ('cpu',)"
    environment: Callable[[], Any] = getattr(adapter, "environment", dict)
    if not isinstance(about := environment(), dict):
        yield f"environment() gave {type(about).__name__}, expected a dict"
    if isinstance(getattr(adapter, "capabilities", None), Capabilities) and not missing:
        yield from _offers(adapter, device)


def _offers(adapter: Adapter, device: str) -> Iterator[str]:
    """build and run have arguments for what is offered. A mode is not run: a compiler may end the process."""
    capabilities = capabilities_on(adapter, device)
    for name, method in (("mode", "build"), ("mask", "run")):
        value = next((value for value in capabilities.supported(name) if not in_base(name, value)), None)
        if value is None:
            continue
        case = sample(features(capabilities, **{name: value}))
        mode = {name: value} if name == "mode" else {}
        try:
            module = adapter.build(case.spec, case.parameters, device, case.dtype, **mode)
            if name == "mask":
                adapter.run(module, **case.inputs)
        except TypeError as error:
            offered = f"({name!r}, {value!r}) is offered"
            yield f"{offered}, and {method} raised TypeError: {error}; expected an argument {name}"


def laziness(adapter: Adapter, source: str) -> Iterator[str]:
    """An adapter is loaded to be listed, too: that builds nothing and runs nothing."""
    if not source:
        raise NotChecked("it was given as an object, so how it is loaded is not known")
    calls: list[str] = []
    kind = type(adapter)
    build, run = kind.build, kind.run
    with (
        mock.patch.object(kind, "build", lambda *a, **k: [calls.append("build"), build(*a, **k)][1]),
        mock.patch.object(kind, "run", lambda *a, **k: [calls.append("run"), run(*a, **k)][1]),
    ):
        again = load(source)
    if type(again) is not kind:
        yield f"{source} made a {type(again).__name__}, and a {kind.__name__} before"
    yield from (f"making the adapter called {name}; expected that build is the first to build" for name in calls)


def errors(adapter: Adapter, device: str) -> Iterator[str]:
    """A device that is not there, and a dtype that cannot hold the parameters, raise ValueError."""
    capabilities = capabilities_on(adapter, device)
    case = sample(features(capabilities))
    answered = unless_refused(lambda: adapter.build(case.spec, case.parameters, NOWHERE, case.dtype), ValueError)
    if answered:
        yield f"build for the device {NOWHERE!r} {answered}; expected ValueError (adapters.contract.expect_device)"
    if not {"float32", "float64"} <= set(capabilities.supported("dtype")):
        return
    wide = sample(features(capabilities, dtype="float64"))
    answered = unless_refused(lambda: adapter.build(wide.spec, wide.parameters, device, "float32"), ValueError)
    if answered:
        yield (f"build of float64 parameters in float32, which cannot hold them, {answered}; expected ValueError "
               "(adapters.contract.cast_exactly)")  # fmt: skip


def round_trip(adapter: Adapter, device: str) -> Iterator[str]:
    """What was built is read back, bit for bit."""
    if not callable(getattr(adapter, "read", None)):
        raise NotChecked("it has no read: that a module holds exactly these weights is seen by its answers alone, and "
                         "weights are not ported from it to other frameworks")  # fmt: skip
    capabilities = capabilities_on(adapter, device)
    for wanted in combinations(capabilities, "direction", "bias"):
        case = sample(features(capabilities, **wanted))
        spec, cells = adapter.read(adapter.build(case.spec, case.parameters, device, case.dtype))
        if spec != case.spec:
            yield f"round trip: {spec} was read back, expected {case.spec}"
        again = adapter.read(adapter.build(spec, cells, device, case.dtype))[1]
        asked = f"{wanted['direction']}, bias {wanted['bias']}"
        yield from _differences(asked, case.parameters, cells, again)


def _differences(asked: str, expected: Any, read: Any, again: Any) -> Iterator[str]:
    """Weights that came back otherwise. Where a framework keeps one bias only, their sum is what comes back."""
    if len(read) != len(expected):
        yield f"round trip: {asked}: {len(read)} cells were read back, expected {len(expected)}"
        return
    for index, (given, cell, twice) in enumerate(zip(expected, read, again, strict=True)):
        for name, array in given.arrays().items():
            came = cell.arrays().get(name)
            biases = name.startswith("b_") and came is not None and np.array_equal(
                given.b_ih + given.b_hh, cell.b_ih + cell.b_hh)  # fmt: skip
            if came is None or not (np.array_equal(came, array) or biases):
                yield f"round trip: {asked}: parameters[{index}] {name} came back with other values"
            elif not np.array_equal(twice.arrays()[name], came):
                yield f"round trip: {asked}: parameters[{index}] {name} changed when it was built and read once more"


def primitives(adapter: Adapter, device: str) -> Iterator[str]:
    """dense and activation answer in the shape and dtype of what they are asked."""
    dense, activation = getattr(adapter, "dense", None), getattr(adapter, "activation", None)
    if dense is None or activation is None:
        raise NotChecked("it has no dense or no activation: a failure is not told apart by whether a primitive is off")
    asked = features(capabilities_on(adapter, device))
    cell = sample(asked).parameters[0]
    x = np.linspace(-1, 1, 4 * INPUT_SIZE).reshape(4, INPUT_SIZE).astype(asked["dtype"])
    bias = np.zeros(HIDDEN_SIZE, x.dtype)
    for name, answer, shape in (
        ("dense", dense(cell.w_ih, bias, x, device), (4, HIDDEN_SIZE)),
        ("activation", activation(x, asked["nonlinearity"], device), x.shape),
    ):
        if not isinstance(answer, np.ndarray) or (answer.shape, answer.dtype) != (shape, x.dtype):
            came = f"{getattr(answer, 'shape', type(answer).__name__)} {getattr(answer, 'dtype', '')}"
            yield f"{name} answered {came}, expected {shape} {x.dtype.name}"
