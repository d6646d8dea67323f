"""For the tests of another project: an adapter's self-check, and one test for everything that it can be asked.

    @pytest.mark.parametrize("check", checks_of(MyAdapter()))
    def test_my_layer(check):
        check()

The cases are few and always the same, and need nothing but NumPy; `pytest --adapter` in a clone of the suite asks
thousands.
"""

import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from unittest import SkipTest

from reference import Case
from reference.faults import Fault

from ..contract import Adapter, capabilities_on
from ..running.guard import warnings_shown
from ..running.trial import Trial, examine
from .samples import everything
from .self_check import CHECKS, ask


def checks_of(adapter: Any, device: str = "cpu") -> list[Callable[[], None]]:
    """Everything that this adapter can be asked: the self-check, every combination that it supports, and every feature.

    Each is called without arguments, and raises AssertionError, or SkipTest where there is nothing to ask. Its __name__
    is what pytest calls it.
    """
    with warnings_shown():
        capabilities = capabilities_on(adapter, device)
    judge = _Judge(adapter, device)
    return [
        *(_check(f"self-check: {name}", _self_check, name, adapter, device) for name in CHECKS),
        *(_check(name, judge, cases) for name, cases in everything(capabilities)),
    ]


def _check(name: str, question: Callable[..., None], *arguments: Any) -> Callable[[], None]:
    check: Any = partial(question, *arguments)
    check.__name__ = name
    return check


def check_adapter(adapter: Any, device: str = "cpu") -> None:
    """All of them at once. Raises one AssertionError that lists every failure."""
    failures = []
    for check in checks_of(adapter, device):
        try:
            check()
        except SkipTest:
            continue  # what an adapter need not have
        except AssertionError as failure:
            failures.append(f"{check.__name__}\n{textwrap.indent(str(failure), '  ')}")
    if failures:
        raise AssertionError(f"{len(failures)} checks failed\n" + "\n".join(failures))


def _self_check(name: str, adapter: Adapter, device: str) -> None:
    __tracebackhide__ = True
    finding = ask(name, adapter, device)
    if finding.unchecked:
        raise SkipTest(finding.unchecked)
    if finding.problems:
        raise AssertionError(str(finding))


class _Judge:
    """Asks an adapter cases. A fault that explained one failure is tried first on the next."""

    def __init__(self, adapter: Adapter, device: str) -> None:
        self._adapter, self._device, self._named, self._in_vain = adapter, device, list[Fault](), False

    def __call__(self, cases: Sequence[Case]) -> None:
        __tracebackhide__ = True
        for case in cases:
            trial = examine(self._adapter, case, self._device)
            if trial.outcome != "agrees":
                raise AssertionError(f"{trial}\n{self._diagnosis(trial)}")

    def _diagnosis(self, trial: Trial) -> str:
        """What would explain the answer, if that can be told; all known faults are tried for one failure only."""
        told = trial.diagnosis(self._named) if self._named else None
        if (told is None or not told.explanations) and not self._in_vain:
            told = trial.diagnosis()
            self._in_vain = told is not None and not told.explanations
            if told is not None and told.explanations:
                self._named = list(told.explanations[0].faults)
        return f"  diagnosis: {told}" if told is not None else ""
