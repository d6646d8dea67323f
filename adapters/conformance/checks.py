"""For the tests of another project: an adapter's self-check, and one test for everything that it can be asked.

The cases are few and always the same, and need nothing but NumPy; `run --adapter` asks thousands. rnn_equivalence's
checks_of asks them in a process of its own: `python -m adapters.conformance.checks module:Class DEVICE` says which
there are, and then, to each name that it reads, what came of it: a line of JSON each.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from unittest import SkipTest

from reference import Case
from reference.faults import Fault

from .. import load
from ..contract import Adapter, capabilities_on, expect_device
from ..running.guard import one_line, told, warnings_shown
from ..running.trial import Trial, examine
from ..running.usable import devices_of, expect_capabilities_on, usable
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
        found = trial.diagnosis(self._named) if self._named else None
        if (found is None or not found.explanations) and not self._in_vain:
            found = trial.diagnosis()
            self._in_vain = found is not None and not found.explanations
            if found is not None and found.explanations:
                self._named = list(found.explanations[0].faults)
        return f"  diagnosis: {found}" if found is not None else ""


def main(source: str, device: str) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a framework prints is no answer
    try:
        adapter = load(source)
        usable(adapter, source)
        expect_device(device, devices_of(adapter, source))
        expect_capabilities_on(adapter, source, device)
        checks = {check.__name__: check for check in checks_of(adapter, device)}
    except (ImportError, ValueError) as error:
        print(json.dumps({"wrong": one_line(error)}), file=answers)
        return
    print(json.dumps({"names": [*checks]}), file=answers, flush=True)
    for name in sys.stdin:
        print(json.dumps(_came(checks[json.loads(name)])), file=answers, flush=True)


def _came(check: Callable[[], None]) -> dict[str, str]:
    """What came of a check: nothing where it passes."""
    try:
        check()
    except SkipTest as reason:
        return {"skipped": str(reason)}
    except AssertionError as failure:
        return {"failed": str(failure)}
    except Exception as error:  # the author's code, in whatever way it fails
        return {"failed": told(error)}
    return {}


if __name__ == "__main__":
    main(*sys.argv[1:])
