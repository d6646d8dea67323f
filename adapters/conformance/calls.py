"""The self-check's first half: what an adapter does when it is called, whatever the numbers are."""

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from reference import Case, judge_pair
from reference.layout import sequence_axes, sequence_to_time_first, state_axes, valid_steps

from ..contract import Result, features_of_case, in_base
from ..running.guard import told
from .declared import NotChecked, unless_refused
from .samples import FULL, Subject, features, sample


def apart(subject: Subject, case: Case, one: Result, other: Result) -> str:
    """How two answers to one case differ by more than rounding; empty where they do not."""
    name = subject.capabilities.arithmetic(features_of_case(case))
    verdict = judge_pair(case, one, other, (name, name))
    return "" if verdict.outcome != "disagrees" else f"largest difference {verdict.max_error:.3g} {verdict.detail}"


def forms(subject: Subject) -> Iterator[str]:
    """Types, dtypes and shapes, in every direction and layout."""
    for wanted, case in subject.cases("direction", "layout"):
        yield from (f"{', '.join(wanted.values())}: {wrong}" for wrong in _form(case, subject.answer(case)))


def _form(case: Case, came: Result) -> Iterator[str]:
    if not isinstance(came, Result):
        yield f"run answered {type(came).__name__}, expected adapters.Result(output, h_n)"
        return
    output = *sequence_axes(case.layout)[:-1], "num_directions * hidden_size"
    h_n = "num_layers * num_directions", *state_axes(case.layout)[1:-1], "hidden_size"
    for name, axes, array, expected in zip(Result._fields, (output, h_n), came[:2], case.answer(), strict=False):
        if not isinstance(array, np.ndarray):
            yield f"{name} is {type(array).__name__}, expected a NumPy array"
        elif array.shape != expected.shape or array.dtype != expected.dtype:
            yield (f"{name} has shape {array.shape} and dtype {array.dtype.name}, expected {expected.shape}, axes "
                   f"({', '.join(axes)}), and {expected.dtype.name}")  # fmt: skip


def arguments(subject: Subject) -> Iterator[str]:
    """Neither build nor run changes what it is given. Initial states and lengths are given where that can be."""
    wanted, can = {}, subject.capabilities
    for name, value in FULL.items():
        wanted |= {} if can.no_answer(features(can, **wanted) | {name: value}) else {name: value}
    case = subject.case(**wanted)
    cells = {f"parameters[{i}] {n}": a for i, cell in enumerate(case.parameters) for n, a in cell.arrays().items()}
    given = {name: array for name, array in (cells | case.inputs).items() if isinstance(array, np.ndarray)}
    before = {name: array.tobytes() for name, array in given.items()}
    subject.answer(case)
    for name, array in given.items():
        if array.tobytes() != before[name]:
            yield f"{'build' if name in cells else 'run'} changed its argument {name}"


def repeats(subject: Subject) -> Iterator[str]:
    """One module, asked three times, answers each question by itself."""
    case, run = subject.case(), subject.adapter.run
    module = subject.build(case)
    first = run(module, **case.inputs)
    kept = copy.deepcopy(first)
    run(module, **replace(subject.case(seed=1), parameters=case.parameters).inputs)
    if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(kept[:2], first[:2], strict=True)):
        yield "the first answer changed when the second was given: expected each in memory of its own"
    if wrong := apart(subject, case, kept, run(module, **case.inputs)):
        yield f"the same question got another answer the next time: state or dropout is kept between calls ({wrong})"


def sizes(subject: Subject) -> Iterator[str]:
    """A module answers other batches and numbers of steps than those of its first call."""
    asked = features(subject.capabilities)
    if asked["batch"] != "more" and asked["time"] != "more":
        raise NotChecked("only one size of the batch and of time is supported")
    case, other = sample(asked), sample(asked, batch=2, time=7)
    module = subject.build(case)
    subject.adapter.run(module, **case.inputs)
    again, fresh = subject.adapter.run(module, **other.inputs), subject.answer(other)
    if wrong := apart(subject, other, fresh, again):
        yield f"x of shape {other.x.shape} after {case.x.shape} got another answer than from a new module ({wrong})"


def padding(subject: Subject) -> Iterator[str]:
    """Beyond a sequence's length the output is zero."""
    if not {"mixed", "with zeros"} & {*subject.capabilities.supported("lengths")}:
        raise NotChecked("no lengths are supported")
    for wanted, case in subject.cases("lengths", "direction"):
        if case.lengths is None:
            continue
        output = sequence_to_time_first(subject.answer(case).output, case.layout)
        if np.any(output[~valid_steps(np.atleast_1d(np.asarray(case.lengths)), len(output))] != 0):
            asked = f"{wanted['direction']}, lengths {wanted['lengths']}"
            yield f"{asked}: beyond a sequence's length the output is not zero; expected zeros"


def parameters(subject: Subject) -> Iterator[str]:
    """A module has weights of its own: not the caller's arrays, and not another module's."""
    case, given = subject.case(), subject.case()
    right = copy.deepcopy(subject.answer(case))
    module = subject.build(given)
    for array in (array for cell in given.parameters for array in cell.arrays().values()):
        array[...] = 0
    if wrong := apart(subject, case, right, subject.adapter.run(module, **case.inputs)):
        yield f"the caller's parameters were changed after build, and the answer with them; expected copies ({wrong})"
    second = subject.adapter.run(subject.build(subject.case(seed=1)), **case.inputs)
    if case.x.size and np.array_equal(second.output, right.output):
        yield "a module built with other parameters gave the same answer: expected the parameters of each build"


def refusals(subject: Subject) -> Iterator[str]:
    """What is declared unsupported raises Unsupported, and what is declared refused that exception, or is answered.

    What is beyond BASE is not asked of an adapter that lacks it; a mode is not run: a compiler may end the process.
    """
    can = subject.capabilities
    for (name, value), reason in can.unsupported.items():
        if not in_base(name, value):
            continue
        case = subject.case(**{name: value})
        if answered := unless_refused(lambda case=case: subject.answer(case)):
            yield f"{name} {value!r} is declared unsupported ({reason}), and {answered}; expected adapters.Unsupported"
    for several, said in can.refused.items():
        case = subject.case(**dict(several)) if dict(several).get("mode", "eager") == "eager" else None
        raised = "" if case is None else _raised(subject, case)
        if case and raised and can.refusal(features_of_case(case), raised) is None:
            asked = " with ".join(f"{name} {value!r}" for name, value in several)
            yield f"{asked} is declared refused ({said}), and raised {raised}"


def _raised(subject: Subject, case: Case) -> str:
    """What an answer raises, as refusals are told; empty where there is one."""
    try:
        subject.answer(case)
    except Exception as error:
        return told(error)
    return ""
