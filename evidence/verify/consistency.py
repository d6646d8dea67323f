"""One line of a record in itself: what it says of a case, of an answer and of a verdict must fit together.

Of a case that Hypothesis drew nothing is kept but this, unless it did not agree: here a forger is held to what a real
line could say, and to the numbers that some answer has.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from adapters.contract import features_of_case
from reference import Case, RNNSpec
from reference.arguments import cell_shapes
from reference.bounds.arithmetic import Arithmetic, arithmetic
from reference.cells import cell_of
from reference.judging.gradients import elements
from reference.judging.verdict import GRADIENT, OWN_STEPS, PAIR, WITH_STEPS
from reference.judging.view import WHOLE, View

from ..record.corpus import Corpus
from ..record.lines import sizes
from ..record.schema import EXPECTED, Judgement, Place, TargetLine, VerdictLine
from .check import those

CHANGED = "the adapter changed its arguments: the case was "
COMPARED = ("value", "non-finite")  # reasons of a disagreement between elements
NO_VERDICT = ("refused", "not offered", "left out", "crashed")
UNCOMPARED = ("shape", "dtype")
# the reference's float64 sums differ in their last bits from one BLAS to another; a float64 answer's error is no larger
REPEATABLE = 2.0**-20


def close(one: float, other: float) -> bool:
    """Whether two figures are the same but for the last bits of the reference's float64 sums."""
    return math.isclose(one, other, rel_tol=REPEATABLE) or (math.isnan(one) and math.isnan(other))


def ordinary(line: VerdictLine) -> str:
    """The outcome of a line before findings explained it."""
    explained = line.outcome == "finding" or (line.outcome == "vacuous" and line.verdict and line.verdict.outside)
    return "disagrees" if explained else line.outcome


def bounds_of(line: VerdictLine, bound: str) -> tuple[str, ...]:
    """The bounds by which a line may have been judged.  bound: its property's, of a whole answer."""
    view = View(**line.view)
    if line.features.get("gradients"):
        return (GRADIENT,)
    if bound == PAIR:
        return (bound, *OWN_STEPS)
    if view == WHOLE and not (line.idiom and line.sizes.num_layers > 1):
        return (bound,)
    by_steps = view.output == "every step" and not view.merges(_directions(line))
    if view.masked == "held" or (by_steps and line.sizes.num_layers > 1):
        return "step", "trajectory"  # what is held is repeated exactly; and a call may show its lower layers
    return ("step",) if by_steps else ("trajectory",)


def _directions(line: VerdictLine) -> int:
    return 1 + (line.features["direction"] == "bidirectional")


def inconsistencies(line: VerdictLine, declared: TargetLine, bounds: Sequence[str], asked: Corpus,
                    fixed: Case | None = None, compact: bool = False) -> Iterator[str]:  # fmt: skip
    """What in a line contradicts itself, or the case that it names or holds.

    declared: what the target, or the other target of a port, declares.  bounds: those that its property judges by.
    asked: the corpus that the run was asked.  fixed: the case that the line asks, of a finding or an idiom.
    compact: whether it is of a compact record, where an outcome of EXPECTED names no worst element.
    """
    yield from _asked(line, asked, fixed)
    yield from _said(line, fixed is not None)
    if line.verdict is not None:
        yield from _judgement(line, line.verdict, declared, bounds)
        if line.verdict.reason not in UNCOMPARED:
            yield from _worst(line, line.verdict, compact and line.outcome in EXPECTED)


def _asked(line: VerdictLine, asked: Corpus, fixed: Case | None) -> Iterator[str]:
    """Features that contradict the sizes; a case that is another than its id, name or content says."""
    features, given = line.features, line.sizes
    told = given.model_dump(exclude_defaults=True)
    words = {name: str(size) if size < 2 else "more" for name, size in (("time", given.time), ("batch", given.batch))}
    words["num_layers"] = str(given.num_layers) if given.num_layers < 3 else "3 to 10"
    for name, word in words.items():
        if features[name] != word:
            yield f"it asks for {name} {features[name]!r}, of sizes {told}"
    possible = min(given.num_layers, given.input_size, given.hidden_size) >= 1 and given.num_layers <= 10
    yield from those(
        (not possible, f"no case has the sizes {told}"),
        (features["layout"] == "unbatched" and given.batch != 1, f"an unbatched case has no batch of {given.batch}"),
        (features["mask"] and features["lengths"] != "full", "no case has a mask and lengths"),
        (bool(given.projection_size) != bool(features.get("projection")), f"a projection to {given.projection_size}"),
    )
    cases: list[Case] = [] if fixed is None else [fixed]
    if fixed is not None and fixed.id != line.case:
        yield f"the case of the finding is {fixed.id}, the line says {line.case}"
    if line.corpus != (name := asked.names.get(line.case)):
        yield f"it is called {line.corpus!r}, this suite's corpus has {name!r}"
    elif line.corpus is not None:
        cases.append(asked.cases[line.corpus])
    if line.content is not None:
        if line.outcome == "agrees":
            yield "its case is kept, as only that of a line is that did not agree"
        try:
            cases.append(kept := Case.from_json(line.content))
            if kept.id != line.case:
                yield f"the case that was kept is {kept.id}, the line says {line.case}"
        except (TypeError, ValueError, RecursionError) as error:
            yield f"the case that was kept: {error}"
    for case in cases:
        if (found := sizes(case)) != told:
            yield f"its sizes are {found}, the line says {told}"
        really = features_of_case(case, str(features.get("mode")))
        if other := [name for name, value in features.items() if really.get(name) != value]:
            yield f"it asks for {', '.join(f'{name} {really[name]}' for name in other)}, the line says otherwise"


def _said(line: VerdictLine, fixed: bool) -> Iterator[str]:
    """Whether outcome, verdict, message and answer go together."""
    said, words = line.verdict, f"the message {line.message[:80]!r}"
    if line.outcome in NO_VERDICT or (line.outcome in ("disagrees", "finding") and said is None):
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
        (line.message, f"{line.outcome}, with {words} of a case that has no verdict"),
        (said is None, f"{line.outcome}, and it has no verdict"),
        (not kept, f"{line.outcome}{f' ({reason})' if reason else ''}, with the answer {line.answer_id}"),
        (line.answer is not None and (line.relation or (line.corpus is None and not fixed)),
         "an answer is kept of the corpus, of findings and of idioms alone, judged by the reference"),
    )  # fmt: skip


def _judgement(line: VerdictLine, said: Judgement, declared: TargetLine, bounds: Sequence[str]) -> Iterator[str]:
    promised = declared.arithmetic(line.features)
    try:
        judged = arithmetic(promised)
    except ValueError as error:
        yield f"declared: {error}"
        return
    dtype, other = line.features["dtype"], f"another arithmetic, {said.arithmetic!r}, than {promised!r}"
    yield from those(
        (judged.storage != dtype, f"declared: got {promised!r}, expected an arithmetic that stores {dtype}"),
        (said.arithmetic != promised, f"it was judged by {other}, which is declared"),
    )
    if said.reason in UNCOMPARED:
        blank: dict[str, Any] = dict.fromkeys(vars(said), 0) | {"bound": "", "worst": None, "first": None}
        kept = {"reason": said.reason, "arithmetic": promised, "detail": said.detail}
        if ordinary(line) != "disagrees" or vars(said) != blank | kept or not said.detail:
            yield "an answer of another shape or dtype disagrees, and nothing of it is compared"
        return
    yield from those(
        (said.bound not in bounds, f"it was judged by the {said.bound!r} bound, its property judges by {bounds[0]!r}"),
        (
            said.detail and not (said.bound == GRADIENT and said.outside),
            f"it has the detail {said.detail[:80]!r} of an answer of another shape or dtype",
        ),
    )
    yield from _counts(line, said)
    yield from _errors(line, said, judged)
    yield from _ulps(line, said, judged)
    for name, place in (("worst", said.worst), ("first", said.first)):
        if place is not None:
            yield from (f"{name}: {wrong}" for wrong in _place(line, said, place, judged))


def _counts(line: VerdictLine, said: Judgement) -> Iterator[str]:
    """Elements: every layer's output is compared by the step bound, the last one's else; and the final states, c of an
    LSTM too; of each what the view shows."""
    layers, view, directions = line.sizes.num_layers, View(**line.view), _directions(line)
    units = line.sizes.hidden_size
    row = line.sizes.batch * (line.sizes.projection_size or units)  # of one direction, at one step
    hidden = line.sizes.batch * units if _unbounded(line) else 0
    shown = row * (1 if view.merges(directions) else directions)  # of the last layer's output
    steps = {"every step": line.sizes.time, "last step": 1, "none": 0}[view.output]
    below = (layers - 1) * line.sizes.time if said.bound in ("step", *OWN_STEPS) else 0
    finals = {"every layer": layers, "last layer": 1, "none": 0}[view.states]
    expected = shown * steps + row * directions * (below + finals) + hidden * directions * finals
    if said.bound == GRADIENT:
        expected = elements(spec_of(line), line.sizes.batch, line.sizes.time, view)
    elif view.masked == "held" and said.outside and said.elements == shown * steps:
        expected = said.elements  # what is not held is compared with what stands before it, and nothing else
    outcome = "disagrees" if said.outside else "vacuous" if said.vacuous else "agrees"
    outside, of = f"{said.outside} elements outside", f"{said.vacuous} vacuous of {said.elements} elements"
    other = f"recorded as {line.outcome}, with another outcome than its own figures"
    reasons = COMPARED if said.outside else ("",)
    yield from those(
        (said.elements != expected, f"{said.elements} elements, a case of these sizes has {expected}"),
        (max(said.outside, said.vacuous) > said.elements, f"{said.outside} outside and {of}"),
        (ordinary(line) != outcome, f"{other}: {outside}, {said.vacuous} vacuous"),
        (said.reason not in reasons, f"{outside}, with the reason {said.reason!r}"),
        ((said.first is None) != (not said.outside),
         f"{outside}, and the first of them is {'not ' * (said.first is None)}named"),
    )  # fmt: skip


def _errors(line: VerdictLine, said: Judgement, judged: Arithmetic) -> Iterator[str]:
    """Errors that no answer with this outcome has."""
    errors = {"max_error": said.max_error, "max_ulps": said.max_ulps, "max_fraction": said.max_fraction}
    bad = [name for name, value in errors.items() if not value >= 0]
    finite = all(math.isfinite(value) for value in (*errors.values(), said.mean_signed_residual))
    fraction, inside = f"the largest error is {said.max_fraction:.3g} of its bound", not said.outside
    residual, most = said.mean_signed_residual, _most_residual(line, said, judged)
    # elements whose bound says nothing are left out of the largest fraction, though they may lie outside it
    small = said.reason == "value" and said.outside > said.vacuous and not said.max_fraction > 1
    other = (said.max_error == 0) != (said.max_ulps == 0) or (said.max_error == 0 and said.max_fraction > 0)
    of = f"{said.max_error:.3g}, {said.max_ulps:.3g} ulp, {said.max_fraction:.3g} of its bound"
    yield from those(
        (bad and inside, f"{', '.join(bad)}: below 0 or no number"),
        (not finite and inside, "figures that are not finite, and nothing is outside"),
        (small, f"elements outside, and {fraction}"),
        (inside and said.max_fraction > 1, f"nothing outside, and {fraction}"),
        (other, f"a largest error of {of}"),
        (abs(residual) > most, f"a mean signed residual of {residual:.3g}, by these errors it is at most {most:.3g}"),
    )


def _most_residual(line: VerdictLine, said: Judgement, judged: Arithmetic) -> float:
    """The largest mean signed residual: the largest error, over u times an expected value, and what the sums round."""
    rounded = float(max(said.elements, 1)) if line.features["dtype"] == "float64" else REPEATABLE
    if said.max_error == 0:
        return rounded
    if said.bound == GRADIENT:
        return math.inf
    expected = abs(said.worst.expected) if said.worst is not None and said.worst.array == "output" else 0.0
    scale = judged.unit_roundoff * expected
    return said.max_error / scale * (1 + REPEATABLE) + rounded if scale > 0 else math.inf


def _worst(line: VerdictLine, said: Judgement, unnamed: bool) -> Iterator[str]:
    """Whether the errors are those of the worst element, and the first one is outside.  unnamed: whether it is left
    out."""
    if said.first is not None and said.first.error <= said.first.bound:
        yield "first: it lies inside its bound"
    if said.worst is None:
        if not unnamed and (said.max_fraction or (said.elements and line.sizes.time)):
            yield "the worst element is not named"
        return
    error, bound = said.worst.error, said.worst.bound
    if error and not bound > 0:
        return  # its fraction is no number
    fraction = error / bound if error else 0.0
    meaningless = said.vacuous and said.max_fraction == 0  # elements whose bound says nothing are left out of it
    of, at = f"the largest error is {said.max_fraction!r} of its bound", f"at the worst element {fraction!r}"
    yield from those(
        (not close(fraction, said.max_fraction) and not meaningless, f"{of}, {at}"),
        (error > said.max_error, f"a largest error of {said.max_error!r}, at the worst element {error!r}"),
    )


def _ulps(line: VerdictLine, said: Judgement, judged: Arithmetic) -> Iterator[str]:
    """The largest error is counted in the last places of one expected value: they differ by a power of two."""
    if not (0 < said.max_error < math.inf and 0 < said.max_ulps < math.inf):
        return
    unit = said.max_error / said.max_ulps / (2 * judged.unit_roundoff)  # the power of two below the expected value
    most = math.inf if said.bound == PAIR and said.outside else _possible(line)[1]
    if math.frexp(unit)[0] != 0.5 or not judged.smallest_normal <= unit <= most:
        yield f"a largest error of {said.max_error:.3g} is not {said.max_ulps:.3g} ulp of any expected value"


def _place(line: VerdictLine, said: Judgement, place: Place, judged: Arithmetic) -> Iterator[str]:
    """What is wrong with the place of an element, and with the numbers there."""
    sizes, phi, of = line.sizes, line.features["nonlinearity"], str(line.features["direction"])
    for name in ("actual", "expected") if said.bound == PAIR else ("actual",):
        value = getattr(place, name)
        with np.errstate(over="ignore"):
            stored = math.isnan(value) or float(np.float64(value).astype(np.dtype(judged.storage))) == value
        if not stored:
            yield f"{name} {value!r} is no number of {judged.storage}"
    least, most = _possible(line)
    if said.bound == GRADIENT:
        yield from _gradient_place(line, place)
        return
    strange = said.bound != PAIR and (place.expected < least or place.expected > most)
    ends = {"layer": (place.layer, sizes.num_layers), "batch": (place.batch, sizes.batch),
            "unit": (place.unit, sizes.hidden_size), "time": (place.time or 0, max(sizes.time, 1))}  # fmt: skip
    past = [name for name, (at, size) in ends.items() if at >= size]
    last = "output" if View(**line.view).output == "every step" else "last output"
    finals = ("h_n", "c_n") if _unbounded(line) else ("h_n",)
    kind = place.array in (last, *finals) and (place.time is None) == (place.array != "output")
    lower = place.array == "output" and said.bound in ("trajectory", PAIR) and place.layer != sizes.num_layers - 1
    directions = ("forward", "reverse") if of == "bidirectional" else (of,)
    yield from those(
        (strange, f"no layer of {phi} is expected to answer {place.expected!r}"),
        (phi == "tanh" and not _unbounded(line) and not said.vacuous and place.bound >= 1,
         f"a bound of {place.bound!r} says nothing, and no element is counted as vacuous"),
        (past, f"{', '.join(past)} beyond the sizes of the case"),
        (not kind, f"{place.array!r} at time {place.time}"),
        (lower, f"the output of layer {place.layer}, and only the last layer's is compared"),
        (place.direction not in directions, f"direction {place.direction!r} of a case in {of!r}"),
        (place.bound < 0, f"bound {place.bound!r}"),
    )  # fmt: skip


def _gradient_place(line: VerdictLine, place: Place) -> Iterator[str]:
    """The same of an answer with gradients, which may be any number."""
    spec, sizes, view = spec_of(line), line.sizes, View(**line.view)
    layer, inputs = min(place.layer, sizes.num_layers - 1), sizes.input_size
    shapes = {f"d{name}": (1, *shape)[-2:] for name, shape in cell_shapes(spec, layer).items()}
    rows = shapes["dw_ih"][0]
    if sizes.num_layers == 1 and view.probed:
        shapes |= {"dw_ih": (rows, inputs + rows * spec.num_directions), "delta": (sizes.batch, rows)}  # of the probe
    for state in cell_of(spec).states:
        finals = (f"{state.name}_n",) if view.states != "none" else ()
        shapes |= dict.fromkeys((*finals, f"d{state.name}0"), (sizes.batch, state.size))
    shown = {"every step": ("output",), "last step": ("last output",), "none": ()}[view.output]
    shapes |= dict.fromkeys(shown, (sizes.batch, spec.state_size)) | {"dx": (sizes.batch, inputs)}
    steps = sizes.time if place.array in WITH_STEPS else 0
    if place.array not in shapes or (place.time is None) == (place.array in WITH_STEPS):
        yield f"{place.array!r} at time {place.time}"
        return
    (first, second), time = shapes[place.array], place.time or 0
    yield from those(
        (place.batch >= first or place.unit >= second or (time >= steps > 0) or place.layer > layer,
         f"{place.array} at {place.batch}, {place.unit}: beyond the sizes of the case"),
        (place.direction not in spec.directions, f"direction {place.direction!r} of a case in {spec.direction!r}"),
        (place.bound < 0, f"bound {place.bound!r}"),
    )  # fmt: skip


def spec_of(line: VerdictLine) -> RNNSpec:
    """The spec of a line's case, but for its clip."""
    words = ("direction", "nonlinearity", "bias", "cell", "peepholes", "input_forget")
    asked: dict[str, Any] = {name: line.features[name] for name in words}
    return RNNSpec(line.sizes.input_size, line.sizes.hidden_size, line.sizes.num_layers,
                   projection_size=line.sizes.projection_size, **asked)  # fmt: skip


def _unbounded(line: VerdictLine) -> bool:
    """Whether a state of the layer may be any number: c of an LSTM, and its h where it is projected."""
    return line.features.get("cell") == "lstm"


def _possible(line: VerdictLine) -> tuple[float, float]:
    """The least and the most that is expected: of an initial state, which an empty sequence gives back, anything."""
    if line.features["h0"] or _unbounded(line) or line.features.get("gradients"):
        return -math.inf, math.inf
    added = 2.0 if line.view.get("halves") == "sum" and _directions(line) > 1 else 1.0
    return {"tanh": (-added, added), "relu": (0.0, math.inf)}[str(line.features["nonlinearity"])]
