"""The self-check's second half: what an adapter says of itself, what it refuses, and what it need not have."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import numpy as np

from .. import load
from ..contract import Unsupported, in_base
from ..running.usable import devices_of, usable
from .samples import INPUT_SIZE, Subject, features

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


def declarations(subject: Subject) -> Iterator[str]:
    """Name, version, capabilities, devices, and the methods that every adapter has."""
    adapter: Any = subject.adapter
    try:
        usable(adapter, "the adapter")
        devices_of(adapter, "the adapter")
    except ValueError as wrong:
        yield str(wrong)
        return
    about: Any = getattr(adapter, "environment", dict)()
    if not isinstance(about, dict):
        yield f"environment() gave {type(about).__name__}, expected a dict"
    # build and run have arguments for what is offered. A mode is not run: a compiler may end the process.
    for name, method in (("mode", "build"), ("mask", "run")):
        for value in [value for value in subject.capabilities.supported(name) if not in_base(name, value)][:1]:
            case = subject.case(**{name: value})
            mode = {name: value} if name == "mode" else {}
            try:
                module = adapter.build(case.spec, case.parameters, subject.device, case.dtype, **mode)
                if name == "mask":
                    adapter.run(module, **case.inputs)
            except TypeError as error:
                offered = f"({name!r}, {value!r}) is offered"
                yield f"{offered}, and {method} raised TypeError: {error}; expected an argument {name}"
    if True in subject.capabilities.supported("gradients") and not callable(getattr(adapter, "gradients", None)):
        yield "('gradients', True) is offered, and there is no method gradients"


def laziness(subject: Subject) -> Iterator[str]:
    """An adapter is loaded to be listed, too: that builds nothing and runs nothing."""
    if not subject.source:
        raise NotChecked("it was given as an object, so how it is loaded is not known")
    kind = type(subject.adapter)
    noted = {
        name: mock.patch.object(kind, name, autospec=True, side_effect=getattr(kind, name)) for name in ("build", "run")
    }
    with noted["build"] as build, noted["run"] as run:
        again = load(subject.source)
    if type(again) is not kind:
        yield f"{subject.source} made a {type(again).__name__}, and a {kind.__name__} before"
    for name in ["build"] * build.call_count + ["run"] * run.call_count:
        yield f"making the adapter called {name}; expected that build is the first to build"


def errors(subject: Subject) -> Iterator[str]:
    """A device that is not there, and a dtype that cannot hold the parameters, raise ValueError."""
    case = subject.case()
    nowhere = Subject(subject.adapter, NOWHERE)
    if answered := unless_refused(lambda: nowhere.build(case), ValueError):
        yield f"build for the device {NOWHERE!r} {answered}; expected ValueError (adapters.contract.expect_device)"
    if not {"float32", "float64"} <= {*subject.capabilities.supported("dtype")}:
        return
    if answered := unless_refused(lambda: subject.build(subject.case(dtype="float64"), "float32"), ValueError):
        yield (f"build of float64 parameters in float32, which cannot hold them, {answered}; expected ValueError "
               "(adapters.contract.cast_exactly)")  # fmt: skip


def round_trip(subject: Subject) -> Iterator[str]:
    """What was built is read back, bit for bit."""
    adapter: Any = subject.adapter
    if not callable(getattr(adapter, "read", None)):
        raise NotChecked("it has no read: that a module holds exactly these weights is seen by its answers alone, and "
                         "weights are not ported from it to other frameworks")  # fmt: skip
    for wanted, case in subject.cases("direction", "bias"):
        spec, cells = adapter.read(subject.build(case))
        if spec != case.spec:
            yield f"round trip: {spec} was read back, expected {case.spec}"
        again = adapter.read(adapter.build(spec, cells, subject.device, case.dtype))[1]
        for wrong in _differences(case.parameters, cells, again):
            yield f"round trip: {wanted['direction']}, bias {wanted['bias']}: {wrong}"


def _differences(parameters: Sequence[Any], read: Any, again: Any) -> Iterator[str]:
    """Weights that came back otherwise. Where a framework keeps one bias only, their sum is what comes back."""
    if len(read) != len(parameters):
        yield f"{len(read)} cells were read back, expected {len(parameters)}"
        return
    for index, (given, cell, twice) in enumerate(zip(parameters, read, again, strict=True)):
        for name, array in given.arrays().items():
            came = cell.arrays().get(name)
            biases = name.startswith("b_") and came is not None and np.array_equal(
                given.b_ih + given.b_hh, cell.b_ih + cell.b_hh)  # fmt: skip
            if came is None or not (np.array_equal(came, array) or biases):
                yield f"parameters[{index}] {name} came back with other values"
            elif not np.array_equal(twice.arrays()[name], came):
                yield f"parameters[{index}] {name} changed when it was built and read once more"


def primitives(subject: Subject) -> Iterator[str]:
    """dense and activation answer in the shape and dtype of what they are asked."""
    adapter: Any = subject.adapter
    dense, activation = getattr(adapter, "dense", None), getattr(adapter, "activation", None)
    if dense is None or activation is None:
        raise NotChecked("it has no dense or no activation: a failure is not told apart by whether a primitive is off")
    asked, cell = features(subject.capabilities), subject.case().parameters[0]
    x = np.linspace(-1, 1, 4 * INPUT_SIZE).reshape(4, INPUT_SIZE).astype(asked["dtype"])
    bias = np.zeros(len(cell.w_ih), x.dtype)
    for name, answer, shape in (
        ("dense", dense(cell.w_ih, bias, x, subject.device), (4, len(bias))),
        ("activation", activation(x, asked["nonlinearity"], subject.device), x.shape),
    ):
        if not isinstance(answer, np.ndarray) or (answer.shape, answer.dtype) != (shape, x.dtype):
            came = f"{getattr(answer, 'shape', type(answer).__name__)} {getattr(answer, 'dtype', '')}"
            yield f"{name} answered {came}, expected {shape} {x.dtype.name}"
