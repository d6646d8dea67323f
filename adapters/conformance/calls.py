"""The self-check's first half: what an adapter does when it is called, whatever the numbers are."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from reference import Case, judge_pair
from reference.layout import sequence_axes, sequence_to_time_first, state_axes, valid_steps

from ..contract import Adapter, Result, capabilities_on, features_of, in_base
from .declared import NotChecked, unless_refused
from .samples import combinations, features, sample


def asked_case(adapter: Adapter, device: str, seed: int = 0, **wanted: Any) -> Case:
    """A case that the adapter declares it can answer, with as much of what is wanted as it can."""
    capabilities = capabilities_on(adapter, device)
    asked = features(capabilities)
    for name, value in wanted.items():
        also = asked | {name: value}
        asked = also if not capabilities.refusal(also) else asked
    return sample(asked, seed)


def built(adapter: Adapter, device: str, case: Case) -> Any:
    return adapter.build(case.spec, case.parameters, device, case.dtype)


def answer(adapter: Adapter, device: str, case: Case) -> Result:
    return adapter.run(built(adapter, device, case), **case.inputs)


def apart(adapter: Adapter, device: str, case: Case, one: Result, other: Result) -> str:
    """How two answers to one case differ by more than rounding; empty where they do not."""
    name = capabilities_on(adapter, device).arithmetic(features_of(case.spec, **case.inputs))
    verdict = judge_pair(case, one[:2], other[:2], (name, name))
    return "" if verdict.outcome != "disagrees" else f"largest difference {verdict.max_error:.3g} {verdict.detail}"


def forms(adapter: Adapter, device: str) -> Iterator[str]:
    """Types, dtypes and shapes, in every direction and layout."""
    capabilities = capabilities_on(adapter, device)
    for wanted in combinations(capabilities, "direction", "layout"):
        wrongs = _form(adapter, device, sample(features(capabilities, **wanted)))
        yield from (f"{', '.join(wanted.values())}: {wrong}" for wrong in wrongs)


def _form(adapter: Adapter, device: str, case: Case) -> Iterator[str]:
    came = answer(adapter, device, case)
    if not isinstance(came, Result):
        yield f"run answered {type(came).__name__}, expected adapters.Result(output, h_n)"
        return
    sequence, state = sequence_axes(case.layout)[:-1], state_axes(case.layout)[1:-1]
    axes = {
        "output": (*sequence, "num_directions * hidden_size"),
        "h_n": ("num_layers * num_directions", *state, "hidden_size"),
    }
    for name, expected in zip(axes, case.answer(), strict=True):
        array = getattr(came, name)
        if not isinstance(array, np.ndarray):
            yield f"{name} is {type(array).__name__}, expected a NumPy array"
        elif array.shape != expected.shape or array.dtype != expected.dtype:
            yield (f"{name} has shape {array.shape} and dtype {array.dtype.name}, expected {expected.shape}, axes "
                   f"({', '.join(axes[name])}), and {expected.dtype.name}")  # fmt: skip


def arguments(adapter: Adapter, device: str) -> Iterator[str]:
    """Neither build nor run changes what it is given."""
    case = asked_case(adapter, device, h0=True, lengths="mixed")
    cells = {f"parameters[{i}] {n}": a for i, cell in enumerate(case.parameters) for n, a in cell.arrays().items()}
    given = {name: array for name, array in (cells | case.inputs).items() if isinstance(array, np.ndarray)}
    before = {name: array.tobytes() for name, array in given.items()}
    adapter.run(built(adapter, device, case), **case.inputs)
    for name, array in given.items():
        if array.tobytes() != before[name]:
            yield f"{'build' if name in cells else 'run'} changed its argument {name}"


def repeats(adapter: Adapter, device: str) -> Iterator[str]:
    """One module, asked three times, answers each question by itself."""
    case, other = asked_case(adapter, device), asked_case(adapter, device, seed=1)
    module = built(adapter, device, case)
    first = adapter.run(module, **case.inputs)
    kept = copy.deepcopy(first)
    adapter.run(module, **replace(other, parameters=case.parameters).inputs)
    if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(kept[:2], first[:2], strict=True)):
        yield "the first answer changed when the second was given: expected each in memory of its own"
    if wrong := apart(adapter, device, case, kept, adapter.run(module, **case.inputs)):
        yield f"the same question got another answer the next time: state or dropout is kept between calls ({wrong})"


def sizes(adapter: Adapter, device: str) -> Iterator[str]:
    """A module answers other batches and numbers of steps than those of its first call."""
    asked = features(capabilities_on(adapter, device))
    if asked["batch"] != "more" and asked["time"] != "more":
        raise NotChecked("only one size of the batch and of time is supported")
    case, other = sample(asked), sample(asked, batch=2, time=7)
    module = built(adapter, device, case)
    adapter.run(module, **case.inputs)
    again, fresh = adapter.run(module, **other.inputs), answer(adapter, device, other)
    if wrong := apart(adapter, device, other, fresh, again):
        yield f"x of shape {other.x.shape} after {case.x.shape} got another answer than from a new module ({wrong})"


def padding(adapter: Adapter, device: str) -> Iterator[str]:
    """Beyond a sequence's length the output is zero."""
    capabilities = capabilities_on(adapter, device)
    if not {"mixed", "with zeros"} & {*capabilities.supported("lengths")}:
        raise NotChecked("no lengths are supported")
    for wanted in combinations(capabilities, "lengths", "direction"):
        case = sample(features(capabilities, **wanted))
        if case.lengths is None:
            continue
        output = sequence_to_time_first(answer(adapter, device, case).output, case.layout)
        if np.any(output[~valid_steps(np.atleast_1d(np.asarray(case.lengths)), len(output))] != 0):
            asked = f"{wanted['direction']}, lengths {wanted['lengths']}"
            yield f"{asked}: beyond a sequence's length the output is not zero; expected zeros"


def parameters(adapter: Adapter, device: str) -> Iterator[str]:
    """A module has weights of its own: not the caller's arrays, and not another module's."""
    case, other = asked_case(adapter, device), asked_case(adapter, device, seed=1)
    theirs = [cell.astype(cell.dtype) for cell in case.parameters]
    right = copy.deepcopy(answer(adapter, device, case))
    module = adapter.build(case.spec, theirs, device, case.dtype)
    for array in (array for cell in theirs for array in cell.arrays().values()):
        array[...] = 0
    if wrong := apart(adapter, device, case, right, adapter.run(module, **case.inputs)):
        yield ("the caller's parameters were changed after build, and the answer with them; expected copies "
               f"({wrong})")  # fmt: skip
    second = adapter.run(built(adapter, device, other), **case.inputs)
    if case.x.size and np.array_equal(second.output, right.output):
        yield "a module built with other parameters gave the same answer: expected the parameters of each build"


def refusals(adapter: Adapter, device: str) -> Iterator[str]:
    """What is declared unsupported raises Unsupported. What is beyond BASE is not asked of an adapter that lacks it."""
    capabilities = capabilities_on(adapter, device)
    for (name, value), reason in capabilities.unsupported.items():
        if not in_base(name, value):
            continue
        case = sample(features(capabilities, **{name: value}))
        if answered := unless_refused(lambda case=case: answer(adapter, device, case)):
            yield f"{name} {value!r} is declared unsupported ({reason}), and {answered}; expected adapters.Unsupported"
