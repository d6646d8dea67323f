"""One line of a record in itself: what it says of a case, of an answer and of a verdict must fit together.

Of a case that Hypothesis drew nothing is kept but this, unless it did not agree: here a forger is held to what a real
line could say. What numbers a verdict can have is in figures.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.contract import FEATURES, features_of
from reference import Case
from reference.bounds.arithmetic import arithmetic

from ..record.corpus import Corpus
from ..record.lines import sizes
from ..record.schema import Judgement, Place, VerdictLine
from .check import those
from .declarations import Declared
from .figures import impossible
from .questions import PAIR

CHANGED = "the adapter changed its arguments: the case was "
COMPARED = ("value", "non-finite")  # reasons of a disagreement between elements
UNCOMPARED = ("shape", "dtype")


def inconsistencies(line: VerdictLine, declared: Declared, bound: str, asked: Corpus) -> Iterator[str]:
    """What in a line contradicts itself, or the case that it names or holds.

    declared: what the target, or the other target of a port, declares.  bound: the one that its property judges by.
    asked: the corpus that the run was asked.
    """
    for name, given in line.features.items():
        if given not in FEATURES.get(name, ()):
            yield f"it asks for {name} {given!r}, expected one of {', '.join(map(str, FEATURES.get(name, ())))}"
            break
    else:
        yield from _asked(line, asked)
    yield from _said(line)
    if line.verdict is not None:
        yield from _judgement(line, line.verdict, declared, bound)


def _asked(line: VerdictLine, asked: Corpus) -> Iterator[str]:
    """Features that contradict the sizes; a case that is another than its id, name or content says."""
    features, given = line.features, line.sizes
    words = {name: str(size) if size < 2 else "more" for name, size in (("time", given.time), ("batch", given.batch))}
    words["num_layers"] = str(given.num_layers) if given.num_layers < 3 else "3 to 10"
    for name, word in words.items():
        if features[name] != word:
            yield f"it asks for {name} {features[name]!r}, of sizes {given.model_dump()}"
    possible = min(given.num_layers, given.input_size, given.hidden_size) >= 1 and given.num_layers <= 10
    yield from those(
        (not possible, f"no case has the sizes {given.model_dump()}"),
        (features["layout"] == "unbatched" and given.batch != 1, f"an unbatched case has no batch of {given.batch}"),
        (features["mask"] and features["lengths"] != "full", "no case has a mask and lengths"),
    )
    if line.corpus != (name := asked.names.get(line.case)):
        yield f"it is called {line.corpus!r}, this suite's corpus has {name!r}"
    elif line.corpus is not None:
        yield from _is_of(asked.cases[line.corpus], line)
    if line.content is not None:
        yield from _content(line)


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
    if other := [name for name, value in line.features.items() if asked.get(name) != value]:
        yield f"it asks for {', '.join(f'{name} {asked[name]}' for name in other)}, the line says otherwise"


def _said(line: VerdictLine) -> Iterator[str]:
    """Whether outcome, verdict, message and answer go together."""
    said, words = line.verdict, f"message {line.message[:80]!r}"
    if line.outcome in ("refused", "crashed") or (line.outcome == "disagrees" and said is None):
        answered = said is not None or line.answer is not None or line.answer_id is not None
        silent = not line.message or (line.outcome == "disagrees" and not line.message.startswith(CHANGED))
        yield from those(
            (answered, f"{line.outcome}, and it has an answer or a verdict"),
            (silent, f"{line.outcome} without a verdict, and the message is {line.message[:80]!r}"),
        )
        return
    reason = said.reason if said else ""
    kept = said is None or (line.answer_id is None) == (reason in UNCOMPARED)
    yield from those(
        (line.message, f"{line.outcome}, with the {words} of a case that has no verdict"),
        (said is None, f"{line.outcome}, and it has no verdict"),
        (not kept, f"{line.outcome}{f' ({reason})' if reason else ''}, with the answer {line.answer_id}"),
        (line.answer is not None and (line.relation or line.corpus is None),
         "an answer is kept of the corpus alone, judged by the reference"),
    )  # fmt: skip


def _judgement(line: VerdictLine, said: Judgement, declared: Declared, bound: str) -> Iterator[str]:
    promised = declared.arithmetic(line.features)
    try:
        storage = arithmetic(promised).storage
    except ValueError as error:
        yield f"declared: {error}"
        return
    dtype, other = line.features["dtype"], f"another arithmetic, {said.arithmetic!r}, than {promised!r}"
    yield from those(
        (storage != dtype, f"declared: got {promised!r}, expected an arithmetic that stores {dtype}"),
        (said.arithmetic != promised, f"it was judged by {other}, which is declared"),
    )
    if said.reason in UNCOMPARED:
        blank: dict[str, Any] = dict.fromkeys(vars(said), 0) | {"bound": "", "worst": None, "first": None}
        kept = {"reason": said.reason, "arithmetic": promised, "detail": said.detail}
        if line.outcome != "disagrees" or vars(said) != blank | kept or not said.detail:
            yield "an answer of another shape or dtype disagrees, and nothing of it is compared"
        return
    detail = f"it has the detail {said.detail[:80]!r} of an answer of another shape or dtype"
    yield from those(
        (said.bound != bound, f"it was judged by the {said.bound!r} bound, its property judges by {bound!r}"),
        (said.detail, detail),
    )
    yield from _counts(line, said)
    yield from impossible(line, said)
    for name, place in (("worst", said.worst), ("first", said.first)):
        if place is not None and (wrong := _misplaced(line, place, said.bound)):
            yield f"{name}: {wrong}"


def _counts(line: VerdictLine, said: Judgement) -> Iterator[str]:
    """Elements: every layer's output is compared by the step bound, the last one's else; and all final states."""
    layers = line.sizes.num_layers
    states = line.sizes.batch * line.sizes.hidden_size * len(_directions(line))
    expected = states * (line.sizes.time * (layers if said.bound == "step" else 1) + layers)
    outcome = "disagrees" if said.outside else "vacuous" if said.vacuous else "agrees"
    outside, of = f"{said.outside} elements outside", f"{said.vacuous} vacuous of {said.elements} elements"
    other = f"recorded as {line.outcome}, with another outcome than its own figures"
    reasons = COMPARED if said.outside else ("",)
    yield from those(
        (said.elements != expected, f"{said.elements} elements, a case of these sizes has {expected}"),
        (max(said.outside, said.vacuous) > said.elements, f"{said.outside} outside and {of}"),
        (line.outcome != outcome, f"{other}: {outside}, {said.vacuous} vacuous"),
        (said.reason not in reasons, f"{outside}, with the reason {said.reason!r}"),
        ((said.first is None) != (not said.outside),
         f"{outside}, and the first of them is {'not ' * (said.first is None)}named"),
    )  # fmt: skip


def _directions(line: VerdictLine) -> tuple[str, ...]:
    given = str(line.features["direction"])
    return ("forward", "reverse") if given == "bidirectional" else (given,)


def _misplaced(line: VerdictLine, place: Place, bound: str) -> str:
    """What is wrong with the place of an element; empty where nothing is."""
    sizes = line.sizes
    ends = {"layer": (place.layer, sizes.num_layers), "batch": (place.batch, sizes.batch),
            "unit": (place.unit, sizes.hidden_size), "time": (place.time or 0, max(sizes.time, 1))}  # fmt: skip
    past = [name for name, (at, size) in ends.items() if at >= size]
    kind = place.array in ("output", "h_n") and (place.time is None) == (place.array == "h_n")
    lower = place.array == "output" and bound in ("trajectory", PAIR) and place.layer != sizes.num_layers - 1
    of = f"of a case in {line.features['direction']!r}"
    wrong = those(
        (past, f"{', '.join(past)} beyond the sizes of the case"),
        (not kind, f"{place.array!r} at time {place.time}"),
        (lower, f"the output of layer {place.layer}, and only the last layer's is compared"),
        (place.direction not in _directions(line), f"direction {place.direction!r} {of}"),
        (place.bound < 0, f"bound {place.bound!r}"),
    )
    return next(wrong, "")
