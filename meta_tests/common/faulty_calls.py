"""Adapters that answer each call rightly by itself, and go wrong in a sequence of calls, or in threads.

--adapter meta_tests.common.faulty_calls:NAME, where NAME is one of PLANTED. Each is planted in the reference's adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adapters import Result
from adapters.numpy.adapter import Module, ReferenceAdapter
from reference import Case
from reference.faults.calls import CALL_FAULTS, Call
from reference.layout import each_state, sequence_to_time_first

Run = Callable[[Case], Result]


class Calls(list[Call]):
    """The calls before, and what an adapter keeps in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: dict[Any, Any] = {}


Answers = Callable[[Case, Calls, Run], Result]


@dataclass(frozen=True)
class Plant:
    """answers: (case, the calls before, what answers rightly) -> the answer.  shared: whether the calls of all modules
    are remembered, or those of each alone.  told: what the diagnosis must say of it, beside that it depends on calls;
    empty where it can name no fault."""

    answers: Answers
    shared: bool = False
    told: str = ""


def remembers(
    name: str, when: Callable[[Case], bool] = lambda _case: True, at: str = "last", shared: bool = False
) -> Plant:
    """A fault of the catalogue, in cases that `when` chooses.  at: which call is remembered: the "last" or the "first",
    or the last one of which the fault changes the question, "that fits"."""
    fault = CALL_FAULTS[name]

    def answers(case: Case, calls: Calls, run: Run) -> Result:
        known = {"last": calls[-1:], "first": calls[:1], "that fits": calls[::-1]}[at]
        fits = (asked for call in known if (asked := fault.asked(case, call)))
        return run(next(fits, case) if when(case) else case)

    return Plant(answers, shared, fault.says.split("{call}")[0])


def cached(key: Callable[[Case], Hashable], shared: bool = False, told: str = "is answered again") -> Plant:
    """A call with the key of an earlier one gets its answer."""

    def answers(case: Case, calls: Calls, run: Run) -> Result:
        known = calls.memory.setdefault(key(case), run(case))
        return Result(known.output.copy(), known.h_n.copy())

    return Plant(answers, shared, told)


def weights_cached(key: Callable[[Case], Hashable]) -> Plant:
    """A module whose spec and key are those of an earlier one has its weights."""

    def answers(case: Case, calls: Calls, run: Run) -> Result:
        known = {(one.case.spec, one.case.dtype, key(one.case)): one.case.parameters for one in reversed(calls)}
        return run(replace(case, parameters=known.get((case.spec, case.dtype, key(case)), case.parameters)))

    return Plant(answers, True, "the weights are those of")


def arrays(case: Case) -> list[np.ndarray]:
    return [array for track in case.parameters for array in track.arrays().values()]


def from_call(number: int) -> Plant:
    """From so many calls on another kernel answers, whose output is off by little."""

    def answers(case: Case, calls: Calls, run: Run) -> Result:
        right = run(case)
        return right if len(calls) < number else right._replace(output=right.output * right.output.dtype.type(1.01))

    return Plant(answers)


def worn(case: Case, calls: Calls, run: Run) -> Result:
    """Each call leaves the weights a little smaller."""
    scale = 0.99 ** len(calls)
    parameters = [track.of({n: (a * scale).astype(a.dtype) for n, a in track.arrays().items()})
                  for track in case.parameters]  # fmt: skip
    return run(replace(case, parameters=parameters))


def first_sizes(axis: int) -> Plant:
    """What lies beyond the steps (0), or the sequences (1), of the first call is not computed: zeros."""

    def answers(case: Case, calls: Calls, run: Run) -> Result:
        right = run(case)
        if calls:
            first = sequence_to_time_first(calls[0].case.x, calls[0].case.layout)
            sequence_to_time_first(right.output, case.layout)[(np.s_[:],) * axis + np.s_[first.shape[axis] :,]] = 0
        return right

    return Plant(answers)


def padding_kept(case: Case, calls: Calls, run: Run) -> Result:
    """The output beyond a sequence's end is what an earlier call of these sizes left there."""
    right = run(case)
    for call in reversed(calls):
        if case.lengths is not None and call.output.shape == right.output.shape:
            return right._replace(output=np.where(right.output == 0, call.output, right.output))
    return right


def overwritten(shared: bool) -> Plant:
    """Every answer of one shape lies in the same memory."""

    def answers(case: Case, calls: Calls, run: Run) -> Result:
        right = run(case)
        memory = calls.memory.setdefault((right.output.shape, case.dtype), np.empty_like(right.output))
        memory[...] = right.output
        return right._replace(output=memory)

    return Plant(answers, shared, "a later call wrote over it")


def scratch(shared: bool) -> Plant:
    """x is copied into memory of its shape, which another thread may fill before it is read."""

    def answers(case: Case, calls: Calls, run: Run) -> Result:
        memory = calls.memory.setdefault((case.x.shape, case.dtype), np.empty(case.x.shape, case.x.dtype))
        memory[...] = case.x
        return run(replace(case, x=memory))

    return Plant(answers, shared, "the x of")


def form(case: Case) -> Hashable:
    """All of a case but its numbers."""
    return case.x.shape, case.layout, case.h0 is None, case.lengths is None, case.mask is None


def total(array: np.ndarray) -> float:
    return float(np.sort(array, axis=None).astype(np.float64).sum())


no_h0, one_step = (lambda case: case.h0 is None), (lambda case: case.x.shape[1] == 1)
PLANTED = {
    "Healthy": Plant(lambda case, _calls, run: run(case)),
    "H0Kept": remembers("h0", no_h0, "that fits"),
    "H0OfTheFirstCall": remembers("h0", lambda case: case.h0 is not None, "first"),
    "StateKept": remembers("state"),
    "StateKeptBetweenSteps": remembers("state", one_step),
    "StateKeptByAll": remembers("state", shared=True),
    "LengthsKept": remembers("lengths", lambda case: case.lengths is None, "that fits"),
    "LengthsOfTheFirstCall": remembers("lengths", lambda case: case.lengths is not None, "that fits"),
    "MaskKept": remembers("mask", lambda case: case.mask is None, "that fits"),
    "LayoutOfTheFirstCall": remembers("layout", at="first"),
    "BatchNeverShrinks": remembers("rows", at="that fits"),
    "StepsNeverShrink": remembers("steps", at="that fits"),
    "ModuleOfTheLastCall": remembers("module", shared=True),
    "CachedByShape": cached(lambda case: (case.x.shape, case.layout)),
    "CachedByX": cached(lambda case: (case.x.shape, case.layout, case.x.tobytes())),
    "CachedByAllButH0": cached(lambda case: replace(case, h0=None).id, told="it starts from the h0 of"),
    "CachedByAllButLengths": cached(lambda case: replace(case, lengths=None).id, told="the lengths of"),
    "CachedByFirstNumbers": cached(lambda case: (form(case), case.x.ravel()[:4].tobytes())),
    "CachedByLastNumbers": cached(lambda case: (form(case), case.x.ravel()[-4:].tobytes())),
    "CachedBySum": cached(lambda case: (form(case), total(case.x))),
    "CachedByMemory": cached(lambda case: (form(case), case.x.strides, case.x.ctypes.data)),
    "WeightsOfTheFirstModule": weights_cached(lambda _case: None),
    "WeightsKnownByWIh": weights_cached(lambda case: tuple(track.w_ih.tobytes() for track in case.parameters)),
    "WeightsKnownByTheFirstTrack": weights_cached(lambda case: tuple(map(total, case.parameters[0].arrays().values()))),
    "WeightsKnownByFirstNumbers": weights_cached(lambda case: tuple(float(a.flat[0]) for a in arrays(case))),
    "WeightsKnownByLastNumbers": weights_cached(lambda case: tuple(float(a.flat[-1]) for a in arrays(case))),
    "WeightsKnownBySums": weights_cached(lambda case: tuple(map(total, arrays(case)))),
    "SpecKnownBySizes": remembers("spec", at="first", shared=True),
    "SecondCall": from_call(1),
    "TenthCall": from_call(9),
    "FifteenthCall": from_call(14),
    "WeightsWorn": Plant(worn),
    "RowsOfTheFirstCall": first_sizes(1),
    "StepsOfTheFirstCall": first_sizes(0),
    "PaddingKept": Plant(padding_kept),
    "AnswersOverwritten": overwritten(False),
    "AnswersOverwrittenByAll": overwritten(True),
    "ScratchOfAModule": scratch(False),
    "ScratchOfAll": scratch(True),
}  # fmt: skip


class InCalls(ReferenceAdapter):
    """The reference's adapter, in which one of PLANTED is planted."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self._plant = name, PLANTED[name]
        self._calls: dict[int, tuple[Any, Calls]] = {}

    def run(
        self, module: Module, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first",
        mask: np.ndarray | None = None,
    ) -> Result:  # fmt: skip
        right = lambda case: super(InCalls, self).run(Module(case.spec, case.parameters), **case.inputs)  # noqa: E731
        # the module is held, so that no other gets its id
        _, calls = self._calls.setdefault(0 if self._plant.shared else id(module), (module, Calls()))
        answer = self._plant.answers(Case(module.spec, module.parameters, x, h0, lengths, layout, mask), calls, right)
        held = Case(module.spec, module.parameters, x.copy("K"), each_state(np.copy, h0), lengths, layout, mask)
        calls.append(Call("", held, answer.output.copy("K"), each_state(np.copy, answer.h_n)))
        return answer


def __getattr__(name: str) -> Callable[[], InCalls]:
    """What makes the adapter of that name."""
    if name not in PLANTED:
        raise AttributeError(f"no fault in sequences of calls is named {name!r}")
    return lambda: InCalls(name)
