"""Every call of an adapter is made under this guard: what a framework warns of is shown, and is no error."""

import warnings
from contextlib import AbstractContextManager


def warnings_shown() -> AbstractContextManager[object]:
    """Within it no warning is raised as an error, whatever the caller's filters are.

    Who shows warnings (warnings.showwarning) is left alone: the interpreter on stderr, pytest, or a run at its end.
    """
    return warnings.catch_warnings(action="default")


def one_line(said: object) -> str:
    return " ".join(str(said).split())


class Told(RuntimeError):
    """What was raised in another process, as `told` has it."""


NO_WORDS = "no words"


def told(error: BaseException) -> str:
    """What was raised, on one line: its type and its words, NO_WORDS where it has none."""
    if isinstance(error, Told):
        return str(error)
    return f"{type(error).__name__}: {one_line(error) or NO_WORDS}"
