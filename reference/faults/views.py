"""Faults in what a call shows of a right answer: the wrong step for the last one, halves added that are to be averaged.

They are no part of FAULTS: a call that shows all has no place for them. Each is a view in whose words the faulty call
would be said, or what it shows in place of the right elements.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..judging.case import Case
from ..judging.view import PROCESSED, Show, Shown, View, answer_of, held, shown
from .fault import Fault, Seen
from .found import UNCOUNTED
from .machine import all_asked, as_time_first, implementation
from .masks import IN_TIME
from .rows import Does, table
from .where import A_REVERSE, BOTH, H0, LAYERS, SEQUENCE, STEPS

BACKWARDS = {"forward": PROCESSED["reverse"], "reverse": PROCESSED["forward"]}  # each direction from its end
# the last output, (batch, features), from the view, the case, the whole output and the states
Last = Callable[[View, Case, np.ndarray, Sequence[np.ndarray]], np.ndarray]


def seen_in(view: View, case: Case, faults: Sequence[Fault]) -> Seen:
    """In what view, and by what, an answer to a case is shown with the first of the faults that is one of showing."""
    for fault in faults:
        view = fault.seen(view) if fault.seen else view
    seen = [fault.shown(view) for fault in faults if fault.shown and fault.where.holds(case)]
    return next(filter(None, seen), (view, shown))


def answer_with(faults: Sequence[Fault], view: View, case: Case) -> tuple[np.ndarray | None, Any]:
    """What the reference with these faults, the outermost first, shows, where it takes steps for those that count."""
    question = all_asked(faults, case)
    told, show = seen_in(view, as_time_first(question), faults)
    return answer_of(told, case, *implementation(faults, Case.answer)(case),
                     lambda told, _case, output, states: show(told, question, output, states))  # fmt: skip


def of_words(asked: dict[str, str], told: dict[str, str], show: Show = shown) -> Does:
    """In a view with the words `asked` it answers as one with the words `told`."""

    def change(view: View) -> Seen | None:
        return (view._replace(**told), show) if asked.items() <= view._asdict().items() else None

    return {"shown": change}


def of_last(last: Last) -> Does:
    """Another output for the last one."""

    def show(view: View, case: Case, output: np.ndarray, states: Sequence[np.ndarray]) -> Shown:
        right = shown(view, case, output, states)
        return right._replace(output=last(view, case, output, states)[None])

    return of_words({"output": "last step"}, {}, show)


def of_held(ways: Mapping[str, slice]) -> Does:
    """A masked step repeats another one.  ways: for each direction, the order in which the one before is sought."""

    def show(view: View, case: Case, output: np.ndarray, states: Sequence[np.ndarray]) -> Shown:
        other = held(view, case, output, ways)
        return shown(view, case, output, states)._replace(output=other)

    return of_words({"output": "every step", "masked": "held"}, {}, show)


def of_one_half(word: str, d: int) -> Does:
    """One half stands where both are to be merged: the mean of it and itself."""

    def show(view: View, case: Case, output: np.ndarray, states: Sequence[np.ndarray]) -> Shown:
        right = shown(view, case, output, states)
        half = right.output if right.output is None else right.output[..., case.spec.half(d)]
        return right._replace(output=None if half is None else np.concatenate([half, half], axis=-1))

    return of_words({"halves": word}, {"halves": "ave"}, show)


def by_halves(at: dict[str, int]) -> Last:
    """The step at these places, for each direction."""

    def last(_view: View, case: Case, output: np.ndarray, _states: Sequence[np.ndarray]) -> np.ndarray:
        halves = [output[at[way], :, case.spec.half(d)] for d, way in enumerate(case.spec.directions)]
        return np.concatenate(halves, axis=-1)

    return last


def at_the_last_that_counts(_view: View, case: Case, output: np.ndarray, _states: Sequence[np.ndarray]) -> np.ndarray:
    return held(View(), case, output, IN_TIME)[-1]


def of_the_first_step(view: View, case: Case, output: np.ndarray, states: Sequence[np.ndarray]) -> np.ndarray:
    first = held(View(), case, output, BACKWARDS)
    return by_halves({"forward": 0, "reverse": -1})(view, case, first, states)


def of_the_first_layer(_view: View, case: Case, _output: np.ndarray, states: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(states[0][: case.spec.num_directions]), axis=-1)


def with_halves_exchanged(view: View, case: Case, output: np.ndarray, states: Sequence[np.ndarray]) -> np.ndarray:
    right = shown(view, case, output, states).output
    assert right is not None
    return np.roll(right[0], case.spec.half(0).stop, axis=-1)


def states_of_the_first_layer(view: View, case: Case, output: np.ndarray, states: Sequence[np.ndarray]) -> Shown:
    first = tuple(state[: case.spec.num_directions] for state in states)
    return shown(view, case, output, states)._replace(states=first)


HELD, ZERO = {"output": "every step", "masked": "held"}, {"output": "every step", "masked": "zero"}
DOES = {"sum": "added", "ave": "averaged", "mul": "multiplied"}
VIEW_FAULTS = table(
    "views",
    ("zero_for_held", "the output at a masked step is zero, not held", UNCOUNTED, of_words(HELD, ZERO)),
    ("held_for_zero", "the output at a masked step is held, not zero", UNCOUNTED, of_words(ZERO, HELD)),
    ("held_from_the_next", "what is held at a masked step is the output of the step processed next", UNCOUNTED,
     of_held(BACKWARDS)),
    ("held_in_time_order", "the reverse direction holds the output of the step before in time", A_REVERSE & UNCOUNTED,
     of_held(IN_TIME)),
    ("last_whether_it_counts", "the last output is that of the last step, not of the last that counts", UNCOUNTED,
     of_last(by_halves({"forward": -1, "reverse": 0}))),
    ("last_in_time", "the last output is that at the end of time, in the reverse direction too", A_REVERSE & STEPS,
     of_last(by_halves({"forward": -1, "reverse": -1}))),
    ("last_that_counts_in_time", "the last output is that of the last step in time that counts, in the reverse "
     "direction too", A_REVERSE & UNCOUNTED, of_last(at_the_last_that_counts)),
    ("last_is_the_first", "the last output is that of the first step", SEQUENCE, of_last(of_the_first_step)),
    ("last_output_of_no_steps_is_h0", "an output before any step that counts is the last layer's initial state",
     UNCOUNTED & H0, of_words({"first": "zero"}, {"first": "h0"})),
    ("last_of_the_first_layer", "the last output is the first layer's", LAYERS & STEPS, of_last(of_the_first_layer)),
    ("last_halves_exchanged", "the halves of the last output are exchanged", BOTH & STEPS,
     of_last(with_halves_exchanged)),
    ("states_of_the_first_layer", "the states are the first layer's, not the last one's", LAYERS,
     of_words({"states": "last layer"}, {}, states_of_the_first_layer)),
    *((f"{other}_for_{word}", f"the halves are {DOES[other]}, not {DOES[word]}", BOTH & STEPS,
       of_words({"halves": word}, {"halves": other})) for word in DOES for other in DOES if other != word),
    *((f"{direction}_half_for_{word}", f"the {direction} half alone stands where the halves are to be {DOES[word]}",
       BOTH & STEPS, of_one_half(word, d)) for word in DOES for d, direction in enumerate(("forward", "reverse"))),
)  # fmt: skip
