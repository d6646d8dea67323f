"""What the tests of the diagnosis share: a usual case, and what is said of it with faults planted."""

from __future__ import annotations

from reference import Case, Diagnosis, RNNSpec, diagnose
from reference.draws import draw_case
from reference.faults import FAULTS

from .property_cases import faulty_answer


def usual(direction: str = "bidirectional", **changes: object) -> Case:
    """A case in which most faults show, no two alike."""
    spec = RNNSpec(4, 6, 2, direction, **changes)  # type: ignore[arg-type]
    return draw_case(spec, batch=3, time=5, h0=True, lengths=(2, 5, 4))


def diagnosed(*names: str, case: Case | None = None) -> Diagnosis:
    case = usual() if case is None else case
    return diagnose(case, *faulty_answer([FAULTS[name] for name in names], case))
