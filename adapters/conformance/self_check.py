"""Whether an adapter keeps the contract, before anything is said of the layer: it speaks to the adapter's author.

Nothing here judges numbers by themselves: that is the suite's part. CHECKS are all of them; `self_check` asks them.
"""

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..contract import Adapter
from ..running.guard import warnings_shown
from . import calls, declared
from .declared import NotChecked
from .samples import Subject

DOCUMENT = "docs/adapters.md"


@dataclass(frozen=True)
class Finding:
    """What came of one check.

    problems: what was expected, and what came; empty where all is well.  unchecked: why it could not be checked.
    section: where the document tells more.
    """

    check: str
    section: str
    problems: tuple[str, ...] = ()
    unchecked: str = ""

    def __str__(self) -> str:
        if self.unchecked:
            return f"{self.check}: not checked: {self.unchecked}"
        told = "".join(f"\n  {problem}" for problem in self.problems)
        return f"{self.check}: {f'{DOCUMENT}, {self.section!r}{told}' if told else 'ok'}"


def self_check(adapter: Adapter, device: str = "cpu", source: str = "") -> list[Finding]:
    """Every check. source: what loads the adapter, where that is known."""
    return [ask(name, adapter, device, source) for name in CHECKS]


def ask(name: str, adapter: Adapter, device: str = "cpu", source: str = "", **more: Any) -> Finding:
    """One check of CHECKS. Whatever the adapter raises is a problem; its warnings are shown as warnings.

    more: what else a Subject is told.
    """
    (section, check), problems = CHECKS[name], list[str]()
    try:
        with warnings_shown():
            problems.extend(check(Subject(adapter, device, source, **more)))
    except NotChecked as reason:
        return Finding(name, section, unchecked=str(reason))
    except Exception as error:  # the author's code, in whatever way it fails
        frame = traceback.extract_tb(error.__traceback__)[-1]
        problems.append(f"a supported call raised {type(error).__name__}: {error} ({frame.filename}:{frame.lineno})")
    return Finding(name, section, tuple(problems))


# name -> the section of the document, and the check
CHECKS: dict[str, tuple[str, Callable[[Subject], Iterator[str]]]] = {
    "what it says of itself": ("What to write", declared.declarations),
    "laziness": ("What to write", declared.laziness),
    "shapes and dtypes": ("Arguments and answers", calls.forms),
    "arguments are left alone": ("Arguments and answers", calls.arguments),
    "a module can be asked again": ("Arguments and answers", calls.repeats),
    "a module can be asked other sizes": ("Arguments and answers", calls.sizes),
    "zeros beyond lengths": ("Arguments and answers", calls.padding),
    "parameters are copied": ("Arguments and answers", calls.parameters),
    "what is unsupported is refused": ("Capabilities", calls.refusals),
    "devices and dtypes that are not there": ("Arguments and answers", declared.errors),
    "round trip": ("What may be left out", declared.round_trip),
    "product and activation": ("What may be left out", declared.primitives),
}
