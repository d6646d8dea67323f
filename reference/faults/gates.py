"""Faults of gated cells: a gate the other way round, a bias in the wrong place, the hidden state mixed up."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..cells import cell_of
from ..judging.case import Case
from ..layout import from_state_tuple, state_tuple
from ..recurrence import Result
from ..spec import RNNSpec
from .changes import reshaped
from .fault import Run, Where, presupposed
from .machine import advanced, lengths_of, one_step, with_spec
from .rows import Does, of_answer, of_question, of_tracks, table
from .step import Step, StepChange
from .weights import Arrays, of_arrays
from .where import BIAS, CLIP, H0, STEPS, UNITS


def _of_cell(*kinds: str) -> Where:
    return presupposed(f"a cell of {' or '.join(kinds)}", lambda case: case.spec.cell in kinds)


GRUS = _of_cell("gru", "gru_reset_before")
RESET_AFTER = _of_cell("gru")
LSTM = _of_cell("lstm")
HIDDEN = presupposed("a hidden state", lambda case: len(cell_of(case.spec).states) > 1)
EQUAL_SIZES = presupposed(
    "a hidden state of h's size",
    lambda case: len({state.size for state in cell_of(case.spec).states}) == 1 < len(cell_of(case.spec).states),
)
PEEPHOLES = presupposed("peepholes", lambda case: case.spec.peepholes)
SQUARE_PROJECTION = presupposed("a projection of more than one unit", lambda case: case.spec.projection_size > 1)
NOT_ONE = Where("a recurrence that starts from a state", lambda case: case.h0 is not None or len(case.x) > 1)


def of_weights(change: Callable[[Arrays], Arrays]) -> Does:
    return of_question(of_arrays(change))


def other_reset(case: Case) -> Case:
    return with_spec(case, cell={"gru": "gru_reset_before", "gru_reset_before": "gru"}[case.spec.cell])


def rows_of(spec: RNNSpec, name: str, gate: str) -> slice:
    """The rows of a gate in an array of a track."""
    gates = next(one.gates for one in cell_of(spec).weights(spec) if one.name == name)
    start = gates.index(gate) * spec.hidden_size
    return slice(start, start + spec.hidden_size)


def of_gate(gate: str, *names: str, factor: float = 1.0, shift: float = 0.0) -> Does:
    """The rows of a gate multiplied, and a number added to them, in these arrays."""

    def asked(case: Case) -> Case:
        def change(arrays: Arrays) -> Arrays:
            changed = {name: arrays[name].copy() for name in names if name in arrays}
            for name, array in changed.items():
                rows = rows_of(case.spec, name, gate)
                array[rows] = array[rows] * array.dtype.type(factor) + array.dtype.type(shift)
            return changed

        return of_arrays(change)(case)

    return of_question(asked)


def inner_bias_outside(case: Case) -> Case:
    def change(arrays: Arrays) -> Arrays:
        outer, inner = arrays["b_ih"].copy(), arrays["b_hh"].copy()
        rows = rows_of(case.spec, "b_hh", "n")
        outer[rows] += inner[rows]
        inner[rows] = 0
        return {"b_ih": outer, "b_hh": inner}

    return of_arrays(change)(case)


def hidden_from_zero(case: Case) -> Case:
    h, *hidden = state_tuple(case.h0)
    return replace(case, h0=from_state_tuple([h, *map(np.zeros_like, hidden)]))


def h_for_every_state(case: Case, output: np.ndarray, h_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At the end."""
    size = case.spec.state_size
    return output, np.concatenate([h_n[..., :size]] * (h_n.shape[-1] // size), axis=-1)


def hidden_one_step_early(track: Case, run: Run) -> Result:
    """The hidden state that is answered is the one before the last step."""

    def advance(_k: int, x_t: np.ndarray, states: list[np.ndarray]) -> np.ndarray:
        return one_step(track, run, x_t, states[-1])

    stepped, size = advanced(track, advance), track.spec.state_size
    longer = replace(track, lengths=np.maximum(lengths_of(track) - 1, 0))
    early = advanced(longer, advance).h_n
    return Result(stepped.output, np.concatenate([stepped.h_n[..., :size], early[..., size:]], axis=-1))


def no_tanh_of_c(s: Step) -> np.ndarray:
    """The tanh of what is no sum of products is that of the hidden state."""
    return s.right() if s.products else s.sum()


FAULTS = table(
    "gates",
    ("reset_the_other_way", "the reset gate is applied after the product instead of before, or before instead of after",
     GRUS & UNITS & NOT_ONE, of_question(other_reset)),
    ("update_gate_complemented", "the update gate is 1 - z", GRUS & STEPS,
     of_gate("z", "w_ih", "w_hh", "b_ih", "b_hh", factor=-1.0)),
    ("inner_bias_outside", "b_hn is added outside the reset gate", RESET_AFTER & BIAS & STEPS,
     of_question(inner_bias_outside)),
    ("forget_bias_added", "1 is added to the forget gate's bias", LSTM & BIAS & STEPS,
     of_gate("f", "b_ih", shift=1.0)),
    ("forget_bias_lost", "the forget gate has no bias", LSTM & BIAS & STEPS, of_gate("f", "b_ih", "b_hh", factor=0.0)),
    ("input_and_forget_coupled", "the forget gate is 1 - i", LSTM & STEPS,
     of_question(lambda case: with_spec(case, input_forget=True))),
    ("tanh_of_c_forgotten", "h is o c, without a tanh", LSTM & STEPS, {"step": StepChange(no_tanh_of_c)}),
    ("c0_ignored", "the hidden state starts from zero, whatever is given", HIDDEN & H0 & STEPS,
     of_question(hidden_from_zero)),
    ("c_n_is_h_n", "the hidden state that is answered is h_n", EQUAL_SIZES & STEPS,
     of_answer(h_for_every_state)),
    ("c_n_one_step_early", "the hidden state that is answered is that before the last step", HIDDEN & STEPS,
     of_tracks(hidden_one_step_early)),
    ("peepholes_ignored", "the peepholes are ignored", PEEPHOLES & STEPS,
     of_weights(lambda arrays: {"w_peephole": np.zeros_like(arrays["w_peephole"])})),
    ("w_hr_transposed", "w_hr is read column by column", SQUARE_PROJECTION & STEPS,
     of_weights(lambda arrays: {"w_hr": reshaped(arrays["w_hr"])})),
    ("clip_ignored", "the arguments of the activations are not clipped", CLIP & STEPS,
     of_question(lambda case: with_spec(case, clip=None))),
)  # fmt: skip
