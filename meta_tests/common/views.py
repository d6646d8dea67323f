"""The reference as an adapter with idioms: each is a view of its answer, or says no in one of the ways there are."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest

from adapters import Refusal, Result
from adapters.contract import Idiom
from adapters.numpy.adapter import ReferenceAdapter
from meta_tests.common.idiom_faults import Planted
from reference import Case
from reference.judging.view import WHOLE, View, answer_of

VIEWS = {
    "whole": WHOLE,
    "last output": View(output="last step", states="none"),
    "held": View(masked="held"),
    "sum": View(halves="sum"),
    "mean of last outputs": View(output="last step", halves="ave"),
    "states alone": View(output="none"),
    "last state": View(output="none", states="last layer"),
}
NO_MASK, NO_WAY_BACK = "it asks without a mask", "there is no way back"
WITHOUT = {
    (("mask", True),): NO_MASK,
    (("lengths", "mixed"), ("direction", "bidirectional")): "it asks full sequences in two directions",
    (("lengths", "with zeros"), ("direction", "bidirectional")): "it asks full sequences in two directions",
}


class Views(ReferenceAdapter):
    """The reference in its idioms."""

    name = "views"

    def __init__(self) -> None:
        self.idioms = {word: Idiom(f"for its view {word}", of(view), view) for word, view in VIEWS.items()} | {
            "limited": Idiom("by what takes not all", limited, without=WITHOUT),
            "refusing": Idiom("by what refuses", refusing, refused={
                (("direction", "reverse"),): Refusal("RuntimeError", NO_WAY_BACK)}),
            "apart": Idiom("in a process of its own", apart, isolate=True),
            "elsewhere": Idiom("on another machine", of(WHOLE), absent="there is no other machine here"),
        }  # fmt: skip


class Wrong(Views):
    """One idiom answers something else."""

    name = "wrong-views"

    def __init__(self) -> None:
        super().__init__()
        self.idioms["last output"] = self.idioms["last output"]._replace(answer=negative)


def of(view: View) -> Callable[[Case, str], Result]:
    """What answers a case by a view of the reference's answer."""
    return lambda case, device: Result(*answer_of(view, case, *case.answer()))


def negative(case: Case, device: str) -> Result:
    output, _ = answer_of(VIEWS["last output"], case, *case.answer())
    assert output is not None
    return Result(-output, None)


def limited(case: Case, device: str) -> Result:
    """Raises KeyError for what WITHOUT says is not asked."""
    if case.mask is not None or (case.lengths is not None and case.spec.direction == "bidirectional"):
        raise KeyError("it is asked what it says that it is not asked")
    return of(WHOLE)(case, device)


def refusing(case: Case, device: str) -> Result:
    if case.spec.direction == "reverse":
        raise RuntimeError(NO_WAY_BACK)
    return of(WHOLE)(case, device)


def apart(case: Case, device: str) -> Result:
    """Raises RuntimeError in a process that did not begin as a child's."""
    if "adapters.running.child" not in sys.orig_argv:
        raise RuntimeError("it may take the process down")
    return of(WHOLE)(case, device)


def one_too_many(patch: pytest.MonkeyPatch) -> None:
    """What idioms answer is one more than what a view of the reference's answer has."""

    right = answer_of

    def answer(view: View, case: Case, *whole: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        output, h_n = right(view, case, *whole)
        return None if output is None else output + output.dtype.type(1), None if h_n is None else h_n + 1

    patch.setattr(f"{__name__}.answer_of", answer)


PLANTED = {word: (Planted("one is added to every number", one_too_many),) for word in Views().idioms}
