"""One line of a record in itself: what it says of a case, of an answer and of a verdict must fit together.

Of a case that Hypothesis drew nothing is kept but this, unless it did not agree: here a forger is held to what a real
line could say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from adapters.contract import FEATURES, features_of
from reference import Case
from reference.bounds.arithmetic import arithmetic

from ..record import corpus
from ..record.lines import sizes
from ..record.schema import Judgement, Place, Sizes, VerdictLine
from .declarations import Declared
from .figures import impossible
from .questions import PAIR

# the reference's float64 sums differ in their last bits from one BLAS to another; a float64 answer's error is no larger
REPEATABLE = 2.0**-20
CHANGED = "the adapter changed its arguments: the case was "
COMPARED = ("value", "non-finite")  # reasons of a disagreement between elements
UNCOMPARED = ("shape", "dtype")


def close(one: float, other: float) -> bool:
    """Whether two figures are the same but for the last bits of the reference's float64 sums."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=REPEATABLE)


def inconsistencies(line: VerdictLine, declared: Declared, bound: str) -> Iterator[str]:
    """What in a line contradicts itself, or the case that it names or holds.

    declared: what the target, or the other target of a port, declares.  bound: the one that its property judges by.
    """
    yield from _asked(line)
    yield from _said(line)
    if line.verdict is not None:
        yield from _judgement(line, line.verdict, declared, bound)


def directions(line: VerdictLine) -> tuple[str, ...]:
    given = str(line.features["direction"])
    return ("forward", "reverse") if given == "bidirectional" else (given,)


def _asked(line: VerdictLine) -> Iterator[str]:
    """Features that are none, or contradict the sizes; a case that is another than its id, name or content says."""
    for name, given in line.features.items():
        if given not in FEATURES.get(name, ()):
            yield f"it asks for {name} {given!r}, expected one of {', '.join(map(str, FEATURES.get(name, ())))}"
            return
    yield from _counted(line.features, line.sizes)
    if line.corpus != corpus.names().get(line.case):
        yield f"it is called {line.corpus!r}, this suite's corpus has {corpus.names().get(line.case)!r}"
    elif line.corpus is not None:
        yield from _is_of(corpus.cases()[line.corpus], line)
    if line.content is not None:
        yield from _content(line)


def _counted(features: dict[str, str | bool], counted: Sizes) -> Iterator[str]:
    few = {"time": counted.time, "batch": counted.batch}
    words = {name: str(size) if size < 2 else "more" for name, size in few.items()}
    words["num_layers"] = str(counted.num_layers) if counted.num_layers < 3 else "3 to 10"
    for name, word in words.items():
        if features[name] != word:
            yield f"it asks for {name} {features[name]!r}, of sizes {counted.model_dump()}"
    if min(counted.num_layers, counted.input_size, counted.hidden_size) < 1 or counted.num_layers > 10:
        yield f"no case has the sizes {counted.model_dump()}"
    if features["layout"] == "unbatched" and counted.batch != 1:
        yield f"an unbatched case has no batch of {counted.batch}"
    if features["mask"] and features["lengths"] != "full":
        yield "no case has a mask and lengths"


def _content(line: VerdictLine) -> Iterator[str]:
    if line.outcome == "agrees":
        yield "its case is kept, as only that of a line is that did not agree"
    try:
        case = Case.from_json(line.content or "")
    except (TypeError, ValueError, RecursionError) as error:
        yield f"the case that was kept: {error}"
        return
    if case.id != line.case:
        yield f"the case that was kept is {case.id}, the line says {line.case}"
    yield from _is_of(case, line)


def _is_of(case: Case, line: VerdictLine) -> Iterator[str]:
    """Whether features and sizes are those of the case."""
    if (found := sizes(case)) != line.sizes.model_dump():
        yield f"its sizes are {found}, the line says {line.sizes.model_dump()}"
    asked = features_of(case.spec, **case.inputs, mode=str(line.features.get("mode")))
    if other := [name for name, value in asked.items() if line.features.get(name) != value]:
        yield f"it asks for {', '.join(f'{name} {asked[name]}' for name in other)}, the line says otherwise"


def _said(line: VerdictLine) -> Iterator[str]:
    """Whether outcome, verdict, message and answer go together."""
    said = line.verdict
    if line.outcome in ("refused", "crashed") or (line.outcome == "disagrees" and said is None):
        if said is not None or line.answer is not None or line.answer_id is not None:
            yield f"{line.outcome}, and it has an answer or a verdict"
        if not line.message or (line.outcome == "disagrees" and not line.message.startswith(CHANGED)):
            yield f"{line.outcome} without a verdict, and the message is {line.message[:80]!r}"
        return
    if line.message:
        yield f"{line.outcome}, with the message {line.message[:80]!r} of a case that has no verdict"
    if said is None:
        yield f"{line.outcome}, and it has no verdict"
    elif (line.answer_id is None) != (said.reason in UNCOMPARED):
        yield f"{line.outcome}{f' ({said.reason})' if said.reason else ''}, with the answer {line.answer_id}"
    if line.answer is not None and (line.relation or line.corpus is None):
        yield "an answer is kept of the corpus alone, judged by the reference"


def _judgement(line: VerdictLine, said: Judgement, declared: Declared, bound: str) -> Iterator[str]:
    promised = declared.arithmetic(line.features)
    try:
        storage = arithmetic(promised).storage
    except ValueError as error:
        yield f"declared: {error}"
        return
    if storage != line.features["dtype"]:
        yield f"declared: got {promised!r}, expected an arithmetic that stores {line.features['dtype']}"
    if said.arithmetic != promised:
        yield f"it was judged by another arithmetic, {said.arithmetic!r}, than {promised!r}, which is declared"
    if said.reason in UNCOMPARED:
        blank = Judgement(reason=said.reason, bound="", arithmetic=promised, elements=0, outside=0, vacuous=0,
                          max_error=0.0, max_ulps=0.0, max_fraction=0.0, mean_signed_residual=0.0, worst=None,
                          first=None, detail=said.detail)  # fmt: skip
        if line.outcome != "disagrees" or said != blank or not said.detail:
            yield "an answer of another shape or dtype disagrees, and nothing of it is compared"
        return
    if said.bound != bound:
        yield f"it was judged by the {said.bound!r} bound, its property judges by {bound!r}"
    if said.detail:
        yield f"it has the detail {said.detail[:80]!r} of an answer of another shape or dtype"
    yield from _counts(line, said)
    yield from _figures(line, said)
    yield from impossible(line, said)
    for name, place in (("worst", said.worst), ("first", said.first)):
        if place is not None and (wrong := _misplaced(line, place, said.bound)):
            yield f"{name}: {wrong}"


def _elements(line: VerdictLine, bound: str) -> int:
    """How many elements are compared: every layer's output by the step bound, the last one's else; all final states."""
    states = line.sizes.batch * line.sizes.hidden_size * len(directions(line))
    layers = line.sizes.num_layers
    return states * (line.sizes.time * (layers if bound == "step" else 1) + layers)


def _counts(line: VerdictLine, said: Judgement) -> Iterator[str]:
    if said.elements != (expected := _elements(line, said.bound)):
        yield f"{said.elements} elements, a case of these sizes has {expected}"
    if max(said.outside, said.vacuous) > said.elements:
        yield f"{said.outside} outside and {said.vacuous} vacuous of {said.elements} elements"
    outcome = "disagrees" if said.outside else "vacuous" if said.vacuous else "agrees"
    if line.outcome != outcome:
        yield (
            f"recorded as {line.outcome}, with another outcome than its own figures: {said.outside} elements outside, "
            f"{said.vacuous} vacuous"
        )
    if (said.reason in COMPARED) != bool(said.outside) or (said.reason and said.reason not in COMPARED):
        yield f"{said.outside} elements outside, with the reason {said.reason!r}"
    if (said.first is None) != (not said.outside):
        yield f"{said.outside} elements outside, and the first of them is {'not ' * (said.first is None)}named"


def _figures(line: VerdictLine, said: Judgement) -> Iterator[str]:
    """Errors that no answer with this outcome has, or that are not those of the worst element."""
    errors = {"max_error": said.max_error, "max_ulps": said.max_ulps, "max_fraction": said.max_fraction}
    if bad := [name for name, value in errors.items() if not value >= 0 and not said.outside]:
        yield f"{', '.join(bad)}: below 0 or no number"
    if not said.outside and not all(math.isfinite(value) for value in (*errors.values(), said.mean_signed_residual)):
        yield "figures that are not finite, and nothing is outside"
    if said.reason == "value" and not said.max_fraction > 1:
        yield f"elements outside, and the largest error is {said.max_fraction:.3g} of its bound"
    if not said.outside and said.max_fraction > 1:
        yield f"nothing outside, and the largest error is {said.max_fraction:.3g} of its bound"
    if (said.max_error == 0) != (said.max_ulps == 0) or (said.max_error == 0 and said.max_fraction > 0):
        yield f"a largest error of {said.max_error:.3g}, {said.max_ulps:.3g} ulp, {said.max_fraction:.3g} of its bound"
    if abs(said.mean_signed_residual) > (most := _most_residual(line, said)):
        yield f"a mean signed residual of {said.mean_signed_residual:.3g}, by these errors it is at most {most:.3g}"
    if said.worst is None:
        if said.max_fraction or (said.elements and line.sizes.time):
            yield "the worst element is not named"
    elif (fraction := _fraction(said.worst)) is not None:
        if not close(fraction, said.max_fraction) and not _meaningless(said):
            yield f"the largest error is {said.max_fraction!r} of its bound, at the worst element {fraction!r}"
        if error_of(said.worst) > said.max_error:
            yield f"a largest error of {said.max_error!r}, at the worst element {error_of(said.worst)!r}"
    if said.first is not None and error_of(said.first) <= said.first.bound:
        yield "first: it lies inside its bound"


def _most_residual(line: VerdictLine, said: Judgement) -> float:
    """The largest mean signed residual: the largest error, over u times an expected value, and what the sums round."""
    rounded = float(max(said.elements, 1)) if line.features["dtype"] == "float64" else REPEATABLE
    if said.max_error == 0:
        return rounded
    expected = abs(said.worst.expected) if said.worst is not None and said.worst.array == "output" else 0.0
    scale = arithmetic(said.arithmetic).unit_roundoff * expected
    return said.max_error / scale * (1 + REPEATABLE) + rounded if scale > 0 else math.inf


def _meaningless(said: Judgement) -> bool:
    """Where the largest fraction leaves out elements whose bound says nothing: there it is 0 where all are such."""
    return bool(said.vacuous) and said.max_fraction == 0


def error_of(place: Place) -> float:
    """|actual - expected|: 0 where both are the same infinity or NaN, infinite where one is another."""
    error = abs(place.actual - place.expected)
    if not math.isnan(error):
        return error
    both = math.isnan(place.actual) and math.isnan(place.expected)
    return 0.0 if both or place.actual == place.expected else math.inf


def _fraction(place: Place) -> float | None:
    """The error as a fraction of the bound, 0 of any; None where it is no number."""
    error = error_of(place)
    if error == 0:
        return 0.0
    return error / place.bound if place.bound > 0 else None


def _misplaced(line: VerdictLine, place: Place, bound: str) -> str:
    """What is wrong with the place of an element; empty where nothing is."""
    counted = line.sizes
    ends = {"layer": (place.layer, counted.num_layers), "batch": (place.batch, counted.batch),
            "unit": (place.unit, counted.hidden_size), "time": (place.time or 0, max(counted.time, 1))}  # fmt: skip
    if past := [name for name, (at, size) in ends.items() if at >= size]:
        return f"{', '.join(past)} beyond the sizes of the case"
    if place.array not in ("output", "h_n") or (place.time is None) != (place.array == "h_n"):
        return f"{place.array!r} at time {place.time}"
    if place.array == "output" and bound in ("trajectory", PAIR) and place.layer != counted.num_layers - 1:
        return f"the output of layer {place.layer}, and only the last layer's is compared"
    if place.direction not in directions(line):
        return f"direction {place.direction!r} of a case in {line.features['direction']!r}"
    return "" if place.bound >= 0 or math.isnan(place.bound) else f"bound {place.bound!r}"
