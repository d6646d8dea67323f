"""A fault: what an implementation gets wrong, in words and as a function, and where that can be seen.

A fault comes in one of four kinds:

    asked    Case -> Case: the layer answers another question (weights transposed, h0 ignored, lengths off by one)
    around   (Case, Run) -> Result: the layer runs otherwise, or its answer is spoilt (a direction ignored)
    step     StepChange: the arithmetic of one step (another activation, products in a narrow format)
    shown    View -> Seen: a right answer is shown otherwise by a call that shows part of it (another step for the last)

A Run answers a case: the reference, or a framework's own module. The first two kinds only ask it other questions
and rearrange its answers, so they can be planted in any implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..judging.case import Case
from ..judging.view import Show, View
from ..recurrence import Result
from .changes import Change
from .step import StepChange

Run = Callable[[Case], Result]
Asked = Callable[[Case], Case]
Around = Callable[[Case, Run], Result]
# the view whose words say what a call shows in place of another, and what moves the elements of the right answer there
Seen = tuple[View, Show]


@dataclass(frozen=True)
class Where:
    """A condition without which a fault changes nothing: in words, and as a function of a case.

    It is necessary, not sufficient: numbers may agree by chance where it holds.
    presupposed: whether the fault's words make no sense without it (a tanh that is wrong needs tanh); else what it
        does cannot be seen without it.  parts: the conditions that it joins; none for a single one.
    """

    words: str
    holds: Callable[[Case], bool]
    presupposed: bool = False
    parts: tuple[Where, ...] = ()

    def __and__(self, other: Where) -> Where:
        parts = (*(self.parts or (self,)), *(other.parts or (other,)))
        words = ", ".join(part.words for part in parts)
        return Where(words, lambda case: all(part.holds(case) for part in parts), parts=parts)


def presupposed(words: str, holds: Callable[[Case], bool]) -> Where:
    return Where(words, holds, presupposed=True)


@dataclass(frozen=True)
class Fault:
    """One way to be wrong.

    name: an identifier.  family: what is wrong, for most the module that holds it.
    says: what is wrong, as the end of "agrees with the reference if ...".
    where: what a case must have for the fault to be visible.
    asked, around, step, shown: what it does; exactly one of them is there.  shown: None of a view that has nothing of
        the kind.
    as_given: whether it sees the case in its own layout and memory; all others see it time first and batched.
    arithmetic: the declared arithmetic in which the faulty answer is right; None for the case's own.
    seen: what it makes of the view in which an answer with it is right, beside what it does.
    monotone: what `around` makes of each number of the answer, where that is all it does, and never turns their order.
    """

    name: str
    family: str
    says: str
    where: Where
    asked: Asked | None = None
    around: Around | None = None
    step: StepChange | None = None
    shown: Callable[[View], Seen | None] | None = None
    as_given: bool = False
    arithmetic: str | None = None
    monotone: Change | None = None
    seen: Callable[[View], View] | None = None

    def __str__(self) -> str:
        return self.says
