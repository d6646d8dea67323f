"""Layers that are wrong as kernels and wrappers are, for --adapter meta_tests.common.outside:NAME.

A layer written plainly, in a loop, with one thing wrong in it. Nothing here is of the catalogue (reference/faults), and
the properties know nothing of it: what of these they see is a measure of them. FAULTS has the names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adapters import Capabilities, Result
from adapters.inputs import Inputs, Known
from adapters.numpy.adapter import ReferenceAdapter
from reference import Case, CellParameters, RNNSpec


@dataclass
class Call:
    """What a layer is asked: x (time, batch, input_size), h0 (tracks, batch, units) or None, lengths (batch,) or None.

    given: x as the caller gave it.  asked: in which layout.
    """

    spec: RNNSpec
    parameters: Sequence[CellParameters]
    x: np.ndarray
    h0: np.ndarray | None
    lengths: np.ndarray | None
    mask: np.ndarray | None
    given: np.ndarray
    asked: str

    @property
    def time(self) -> int:
        return len(self.x)

    @property
    def batch(self) -> int:
        return self.x.shape[1]

    @property
    def units(self) -> int:
        return self.spec.hidden_size

    @property
    def dtype(self) -> str:
        return self.x.dtype.name

    @property
    def reverse(self) -> bool:
        return self.spec.direction == "reverse"


@dataclass
class Track:
    """One layer in one direction: where it stands in the stack, and the call."""

    call: Call
    layer: int
    reverse: bool

    @property
    def last(self) -> bool:
        return self.layer == self.call.spec.num_layers - 1


Array = np.ndarray


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, where `when` holds; all else is right.

    question: changes the call.  weights: of a track.  inputs: (track, w, x) -> x @ w.T, of all steps.
    recurrent: (track, w, h) -> h @ w.T.  activation: of sums.  state: (track, k, before, after, x) -> after, after the
    k-th step.  answer: of the call, changes output (time, batch, ...) and h_n.
    """

    says: str
    when: Callable[[Call], bool] = lambda call: True
    question: Callable[[Call], Call] = lambda call: call
    weights: Callable[[Track, CellParameters], CellParameters] = lambda track, cell: cell
    inputs: Callable[[Track, Array, Array], Array] = lambda track, w, x: x @ w.T
    recurrent: Callable[[Track, Array, Array], Array] = lambda track, w, h: h @ w.T
    activation: Callable[[Track, Array], Array] | None = None
    state: Callable[[Track, int, Array, Array, Array], Array] = lambda track, k, before, after, x: after
    answer: Callable[[Call, Array, Array], tuple[Array, Array]] = lambda call, output, h_n: (output, h_n)


RIGHT = Fault("nothing is wrong")


def layer(call: Call, fault: Fault) -> tuple[list[Array], Array]:
    """The outputs of all layers, time first, and h_n; sums and products of narrow dtypes in float32."""
    with np.errstate(all="ignore"):
        fault = fault if fault.when(call) else RIGHT
        dtype, call = call.x.dtype, fault.question(call)
        call = replace(call, x=call.x.astype(dtype), h0=None if call.h0 is None else call.h0.astype(dtype))
        below, outputs, finals = call.x, [], []
        for index in range(call.spec.num_layers):
            tracks = [Track(call, index, name == "reverse") for name in call.spec.directions]
            halves = [scan(fault, track, index * len(tracks) + d, below) for d, track in enumerate(tracks)]
            below = np.concatenate([half for half, _ in halves], axis=-1)
            outputs.append(below)
            finals += [final for _, final in halves]
        output, h_n = fault.answer(call, below, np.stack(finals))
        return [*outputs[:-1], output.astype(dtype)], h_n.astype(dtype)


def scan(fault: Fault, track: Track, index: int, below: Array) -> tuple[Array, Array]:
    """The output of one track, (time, batch, units), and its final state."""
    call, dtype = track.call, below.dtype
    wide = np.float32 if dtype.itemsize == 2 else dtype
    cell = fault.weights(track, call.parameters[index]).astype(wide)
    bias = 0 if cell.b_ih is None or cell.b_hh is None else cell.b_ih + cell.b_hh
    h = np.zeros((call.batch, call.units), dtype) if call.h0 is None else call.h0[index]
    counts = np.ones((call.time, call.batch), bool) if call.mask is None else call.mask
    counts = counts if call.lengths is None else np.arange(call.time)[:, None] < call.lengths
    from_x = fault.inputs(track, cell.w_ih, below.astype(wide)) + bias
    output, steps = np.zeros((call.time, call.batch, call.units), dtype), range(call.time)
    for k, t in enumerate(reversed(steps) if track.reverse else steps):
        total = from_x[t] + fault.recurrent(track, cell.w_hh, h.astype(wide))
        total = total if call.spec.clip is None else np.clip(total, -call.spec.clip, call.spec.clip)
        after = fault.activation(track, total) if fault.activation else usual(track, total)
        after = fault.state(track, k, h, after.astype(dtype), below[t]).astype(dtype)
        h = np.where(counts[t][:, None], after, h)
        output[t] = np.where(counts[t][:, None], after, 0)
    return output, h


def usual(track: Track, total: Array) -> Array:
    return np.tanh(total) if track.call.spec.nonlinearity == "tanh" else np.maximum(total, 0)


class Outside(ReferenceAdapter):
    """The adapter of one fault."""

    capabilities = Capabilities(arithmetics=ReferenceAdapter.capabilities.arithmetics,
                                offers=(("mask", True), ("clip", True)))  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name, self.version, self._fault = name, "0", {**FAULTS, "right": RIGHT}[name]

    def _run(self, known: Known, inputs: Inputs) -> Result:
        return inputs.to("time_first").result(*layer(call_of(known.spec, known.native, inputs), self._fault))

    def concerns(self, case: Case) -> bool:
        """Whether the fault is there at all in what a case asks."""
        lengths = None if case.lengths is None else np.atleast_1d(np.asarray(case.lengths))
        inputs = Inputs(case.x, case.h0, lengths, case.mask, case.layout, case.layout)
        return self._fault.when(call_of(case.spec, case.parameters, inputs))


def call_of(spec: RNNSpec, parameters: Sequence[CellParameters], inputs: Inputs) -> Call:
    moved = inputs.to("time_first")
    return Call(spec, parameters, moved.x, moved.h0, moved.lengths, moved.mask, inputs.x, inputs.asked)


def __getattr__(name: str) -> Callable[[], Outside]:
    """What makes the adapter of the fault of that name; "right" has none."""
    if name not in FAULTS and name != "right":
        raise AttributeError(f"no fault outside of the catalogue is named {name!r}")
    return lambda: Outside(name)


# --- what is wrong, piece by piece


def tail(size: int, width: int) -> slice:
    """What is left of an axis beyond its whole vectors."""
    return slice(size - size % width, size)


def without_tail(array: Array, axis: int, width: int) -> Array:
    """The array with zeros where its tail is."""
    array = array.copy()
    array[(slice(None),) * axis + (tail(array.shape[axis], width),)] = 0
    return array


def with_weights(change: Callable[[Array], Array], *names: str) -> Callable[[Track, CellParameters], CellParameters]:
    """Weights of these names, of those that there are, changed."""
    return lambda track, cell: CellParameters.of(
        {name: change(array).astype(array.dtype) if name in names else array for name, array in cell.arrays().items()}
    )


def with_x(change: Callable[[Array], Array]) -> Callable[[Call], Call]:
    return lambda call: replace(call, x=change(call.x))


def with_h0(change: Callable[[Array], Array]) -> Callable[[Call], Call]:
    return lambda call: replace(call, h0=None if call.h0 is None else change(call.h0))


def product_in(dtype: str, axis: int | None = None) -> Callable[[Track, Array, Array], Array]:
    """A product of operands rounded to a narrower dtype."""
    return lambda track, w, a: (a.astype(dtype).astype(np.float64) @ w.astype(dtype).astype(np.float64).T).astype(
        w.dtype
    )


def tf32(array: Array) -> Array:
    return (array.astype(np.float32).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


def flushed(below: float) -> Callable[[Array], Array]:
    return lambda array: np.where(np.abs(array) < below, np.zeros_like(array), array)


def clipped(limit: float) -> Callable[[Array], Array]:
    return lambda array: np.clip(array, -limit, limit)


def by_exponentials(track: Track, total: Array) -> Array:
    up, down = np.exp(total), np.exp(-total)
    return (up - down) / (up + down) if track.call.spec.nonlinearity == "tanh" else usual(track, total)


def rational_tanh(track: Track, total: Array) -> Array:
    square = np.minimum(total * total, 9)
    near = np.clip(total, -3, 3) * (27 + square) / (27 + 9 * square)
    return near if track.call.spec.nonlinearity == "tanh" else usual(track, total)


def tied_rows(call: Call, output: Array, h_n: Array) -> tuple[Array, Array]:
    """Put back by lengths alone, in the wrong order where two are the same."""
    assert call.lengths is not None
    order = np.argsort(call.lengths, kind="stable")
    back = np.arange(call.batch)
    for length in np.unique(call.lengths):
        rows = order[call.lengths[order] == length]
        back[rows] = rows[::-1]
    return output[:, back], h_n[:, back]


def sign_of_strides_lost(call: Call) -> Call:
    """The sign of the strides of x, as it was given, is lost."""
    signs = tuple(slice(None, None, -1 if stride < 0 else 1) for stride in call.given.strides)
    given = call.given[signs]
    x = given if call.asked == "time_first" else given[:, None] if call.asked == "unbatched" else given.swapaxes(0, 1)
    return replace(call, x=x)


def read_flat(call: Call) -> Call:
    """An array in Fortran order is read as if it were in C order."""
    given = call.given.ravel(order="K").reshape(call.given.shape) if call.given.flags.f_contiguous else call.given
    x = given if call.asked == "time_first" else given[:, None] if call.asked == "unbatched" else given.swapaxes(0, 1)
    return replace(call, x=x)


def half_forgotten(track: Track, cell: CellParameters) -> CellParameters:
    """The reverse half of the last of several layers has no b_hh."""
    alone = track.last and track.layer and track.reverse and cell.b_hh is not None
    return replace(cell, b_hh=np.zeros_like(cell.b_hh)) if alone else cell


def step_held(hold: Callable[[Track, int, Array], Array]) -> Callable[[Track, int, Array, Array, Array], Array]:
    """Where hold (track, k, x) says so of a row, the step is skipped."""
    return lambda track, k, before, after, x: np.where(hold(track, k, x)[:, None], before, after)


def states_set(size: int, rows: slice, change: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    """Of more units than size, some after each step by (before, after)."""

    def state(track: Track, k: int, before: Array, after: Array, x: Array) -> Array:
        after = after.copy()
        after[:, rows] = change(before, after)[:, rows]
        return after

    return state


def rows_set(rows: Callable[[int], slice], change: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    """Some rows of the batch, of its size, after each step by (before, after)."""

    def state(track: Track, k: int, before: Array, after: Array, x: Array) -> Array:
        after = after.copy()
        after[rows(len(after))] = change(before, after)[rows(len(after))]
        return after

    return state


def zero(before: Array, after: Array) -> Array:
    return np.zeros_like(after)


def held(before: Array, after: Array) -> Array:
    return before


def first_row(before: Array, after: Array) -> Array:
    return np.broadcast_to(after[:1], after.shape)


def ends_of_time(call: Call, output: Array, h_n: Array) -> tuple[Array, Array]:
    """h_n of the last layer is the output at the last step, whatever the lengths."""
    halves = np.split(output, call.spec.num_directions, axis=-1)
    last = [half[0 if name == "reverse" else -1] for half, name in zip(halves, call.spec.directions, strict=True)]
    return output, np.concatenate([h_n[: -len(last)], np.stack(last)])


def rows_beyond(size: int, change: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """h0 (tracks, batch, units) of the rows from `size` on changed."""
    return lambda h0: np.concatenate([h0[:, :size], change(h0[:, size:])], axis=1)


def big(name: str, least: int) -> Callable[[Call], bool]:
    """Calls with at least so many of batch, time, units or features."""
    return lambda call: (call.spec.input_size if name == "features" else getattr(call, name)) >= least


def both(*conditions: Callable[[Call], bool]) -> Callable[[Call], bool]:
    return lambda call: all(condition(call) for condition in conditions)


def of(name: str, value: Any) -> Callable[[Call], bool]:
    """Calls whose spec has this value; a layout, dtype, or what is given, by its own name."""
    return lambda call: (
        {
            "layout": call.asked,
            "dtype": call.dtype,
            "h0": call.h0 is not None,
            "lengths": call.lengths is not None,
            "mask": call.mask is not None,
            "clip": call.spec.clip is not None,
        }.get(name, getattr(call.spec, name, None))
        == value
    )


def without(name: str) -> Callable[[Track, CellParameters], CellParameters]:
    return with_weights(np.zeros_like, name)


def less_recurrent(width: int) -> Callable[[Track, Array, Array], Array]:
    return lambda track, w, h: without_tail(h, 1, width) @ w.T


def less_inputs(width: int) -> Callable[[Track, Array, Array], Array]:
    return lambda track, w, x: without_tail(x, 2, width) @ w.T


def only_first(features: int) -> Callable[[Track, Array, Array], Array]:
    return lambda track, w, x: x[..., :features] @ w[:, :features].T


def no_state(track: Track, cell: CellParameters) -> CellParameters:
    return with_weights(np.zeros_like, "w_hh")(track, cell) if track.last else cell


def restarted(every: int) -> Callable[[Track, int, Array, Array, Array], Array]:
    """The state is lost after so many steps, as at the end of a chunk."""
    return lambda track, k, before, after, x: after * ((k + 1) % every != 0)


def saturating(limit: float, highest: float, sign: float) -> Callable[[Track, Array], Array]:
    """An activation that is another one beyond a limit, on one side."""

    def activation(track: Track, total: Array) -> Array:
        return np.where(sign * total > limit, total.dtype.type(sign * highest), usual(track, total))

    return activation


def finite(change: Callable[[Array], Array], start: int) -> Callable[[Array], Array]:
    """What is not finite in the last axis from `start` on, changed."""

    def changed(array: Array) -> Array:
        beyond = np.arange(array.shape[-1]) >= start
        return np.where(beyond & ~np.isfinite(array), change(array), array)

    return changed


def poisoned(track: Track, k: int, before: Array, after: Array, x: Array) -> Array:
    """NaN in one row is in all."""
    return np.where(np.isnan(after).any(axis=0), after.dtype.type(np.nan), after)


def biased_last(track: Track, total: Array) -> Array:
    return usual(track, total + (np.arange(total.shape[-1]) == total.shape[-1] - 1) * total.dtype.type(2.0**-5))


TANH, RELU = of("nonlinearity", "tanh"), of("nonlinearity", "relu")
BIDIRECTIONAL, REVERSE = of("direction", "bidirectional"), of("direction", "reverse")
LENGTHS, H0, NO_BIAS, UNBATCHED = of("lengths", True), of("h0", True), of("bias", False), of("layout", "unbatched")
STACK = lambda call: call.spec.num_layers > 1  # noqa: E731 (a condition beside the others)

FAULTS: Mapping[str, Fault] = {
    # tails
    "tail_of_4_units": Fault("h of the units beyond the last 4 is not multiplied", big("units", 5),
                             recurrent=less_recurrent(4)),
    "tail_of_8_units": Fault("h of the units beyond the last 8 is not multiplied", big("units", 9),
                             recurrent=less_recurrent(8)),
    "tail_of_16_units": Fault("h of the units beyond the last 16 is not multiplied", big("units", 17),
                              recurrent=less_recurrent(16)),
    "tail_of_32_units_of_relu": Fault("of relu, h of the units beyond the last 32", both(big("units", 33), RELU),
                                      recurrent=less_recurrent(32)),
    "tail_of_64_units_in_reverse": Fault("in reverse, h of the units beyond the last 64",
                                         both(big("units", 65), REVERSE), recurrent=less_recurrent(64)),
    "unit_128_zero": Fault("unit 128 is zero", big("units", 129), state=states_set(129, slice(128, 129), zero)),
    "units_from_256_zero": Fault("units from 256 on are zero", big("units", 257),
                                 state=states_set(257, slice(256, None), zero)),
    "tail_of_4_rows": Fault("the rows beyond the last 4 keep their state", big("batch", 5),
                            state=rows_set(lambda n: tail(n, 4), held)),
    "tail_of_8_rows": Fault("the rows beyond the last 8 are the first one", big("batch", 9),
                            state=rows_set(lambda n: tail(n, 8), first_row)),
    "tail_of_16_rows": Fault("the rows beyond the last 16 are zero", big("batch", 17),
                             state=rows_set(lambda n: tail(n, 16), zero)),
    "rows_from_64": Fault("the rows from 64 on are the first one", big("batch", 65),
                          state=rows_set(lambda n: slice(64, None), first_row)),
    "rows_from_256": Fault("the rows from 256 on keep their state", big("batch", 257),
                           state=rows_set(lambda n: slice(256, None), held)),
    "tail_of_8_features": Fault("the features beyond the last 8 are not read", big("features", 9),
                                inputs=less_inputs(8)),
    "tail_of_16_features": Fault("the features beyond the last 16 are not read", big("features", 17),
                                 inputs=less_inputs(16)),
    "features_from_128": Fault("the features from 128 on are not read", big("features", 129), inputs=only_first(128)),
    "chunks_of_32_steps": Fault("after 32 steps the state is lost", big("time", 33), state=restarted(32)),
    "chunks_of_128_steps": Fault("after 128 steps the state is lost", big("time", 129), state=restarted(128)),
    "chunks_of_256_steps": Fault("after 256 steps the state is lost", big("time", 257), state=restarted(256)),
    # another kernel from a size on
    "fast_tanh_from_64_units": Fault("from 64 units on tanh is a fraction", both(big("units", 64), TANH),
                                     activation=rational_tanh),
    "no_b_hh_from_128_units": Fault("from 128 units on b_hh is forgotten", big("units", 128), weights=without("b_hh")),
    "no_b_ih_from_32_rows": Fault("from 32 rows on b_ih is forgotten", big("batch", 32), weights=without("b_ih")),
    "narrow_inputs_from_255_features": Fault("from 255 features on x is rounded to float16", big("features", 255),
                                             inputs=product_in("float16")),
    "narrow_state_from_64_steps": Fault("from 64 steps on the state is kept in float16", big("time", 64),
                                        state=lambda track, k, before, after, x: after.astype(np.float16)),
    "transposed_in_whole_tiles": Fault("w_hh is read transposed where it is of whole tiles of 32",
                                       lambda call: call.units % 32 == 0, weights=with_weights(np.transpose, "w_hh")),
    "tf32_from_65_units": Fault("from 65 units on the recurrent product is in TF32", big("units", 65),
                                recurrent=lambda track, w, h: (tf32(h) @ tf32(w).T).astype(h.dtype)),
    "bfloat16_recurrence_from_17_units": Fault("from 17 units on the recurrent product is in bfloat16",
                                               big("units", 17), recurrent=product_in("bfloat16")),
    "float32_recurrence": Fault("the recurrent product of float64 is in float32", of("dtype", "float64"),
                                recurrent=product_in("float32")),
    "float16_recurrence_of_the_last_layer": Fault(
        "the last layer's recurrent product is in float16", STACK,
        recurrent=lambda track, w, h: (product_in("float16") if track.last else RIGHT.recurrent)(track, w, h)),
    # a size with another feature
    "reverse_from_33_units": Fault("in reverse, from 33 units on b_ih is forgotten", both(big("units", 33), REVERSE),
                                   weights=without("b_ih")),
    "float64_from_17_rows": Fault("float64 from 17 rows on is computed in float32",
                                  both(big("batch", 17), of("dtype", "float64")), inputs=product_in("float32")),
    "time_first_from_129_units": Fault("time first, from 129 units on, the last state is held",
                                       both(big("units", 129), of("layout", "time_first")),
                                       state=step_held(lambda track, k, x: np.full(len(x), k == track.call.time - 1))),
    "relu_from_65_units": Fault("relu from 65 units on is leaky", both(big("units", 65), RELU),
                                activation=lambda track, total: np.maximum(total, total * 2.0**-7)),
    "no_bias_from_17_units": Fault("without biases, from 17 units on the last one has one",
                                   both(big("units", 17), NO_BIAS), activation=biased_last),
    "h0_from_33_rows": Fault("h0 of the rows from 32 on is ignored", both(big("batch", 33), H0),
                             question=with_h0(rows_beyond(32, np.zeros_like))),
    "lengths_from_65_rows": Fault("from 65 rows on no lengths are read", both(big("batch", 65), LENGTHS),
                                  question=lambda call: replace(call, lengths=None)),
    "second_layer_from_128_units": Fault("from 128 units on the upper layers read float16",
                                         both(big("units", 128), STACK), inputs=lambda track, w, x: (
                                             product_in("float16") if track.layer else RIGHT.inputs)(track, w, x)),
    "unbatched_from_17_steps": Fault("unbatched, from 17 steps on the state is lost after 16",
                                     both(big("time", 17), UNBATCHED), state=restarted(16)),
    "bidirectional_from_33_features": Fault(
        "bidirectional, the reverse half does not read the features from 32 on",
        both(big("features", 33), BIDIRECTIONAL),
        inputs=lambda track, w, x: (only_first(32) if track.reverse else RIGHT.inputs)(track, w, x)),
    "bfloat16_from_31_units": Fault("bfloat16 from 31 units on has no recurrence",
                                    both(big("units", 31), of("dtype", "bfloat16")),
                                    weights=without("w_hh")),
    "masks_from_33_steps": Fault("from 33 steps on no mask is read", both(big("time", 33), of("mask", True)),
                                 question=lambda call: replace(call, mask=None)),
    "clip_from_64_units": Fault("from 64 units on nothing is clipped", both(big("units", 64), of("clip", True)),
                                question=lambda call: replace(call, spec=replace(call.spec, clip=None))),
    "h0_of_a_deep_stack": Fault("from 3 layers on h0 is not read", both(lambda call: call.spec.num_layers > 2, H0),
                                question=lambda call: replace(call, h0=None)),
    "lengths_of_one_step": Fault("of one step, with lengths, the answer is zero",
                                 both(lambda call: call.time == 1, LENGTHS),
                                 answer=lambda call, output, h_n: (np.zeros_like(output), h_n)),
    "one_row_with_h0": Fault("h0 of one row, of several tracks, is that of the first",
                             both(lambda call: call.batch == 1, H0),
                             question=with_h0(lambda h0: np.broadcast_to(h0[:1], h0.shape))),
    "one_unit": Fault("of one unit b_hh is forgotten", lambda call: call.units == 1, weights=without("b_hh")),
    "one_feature": Fault("of one feature, the reverse half reads twice that",
                         both(lambda call: call.spec.input_size == 1, BIDIRECTIONAL),
                         inputs=lambda track, w, x: x @ w.T * (2 if track.reverse and not track.layer else 1)),
    "h_n_from_16_rows": Fault("from 16 rows on h_n of the last layer is at the last step",
                              both(big("batch", 16), LENGTHS), answer=ends_of_time),
    "last_layer_in_reverse": Fault("the last layer's reverse half has no b_hh", both(STACK, BIDIRECTIONAL),
                                   weights=half_forgotten),
    "last_layer_of_three": Fault("from 3 layers on the last one has no recurrence",
                                 lambda call: call.spec.num_layers > 2, weights=no_state),
    # values
    "h0_clipped": Fault("h0 is clipped to [-1, 1]", H0, question=with_h0(clipped(1))),
    "x_clipped_at_100": Fault("x is clipped to [-100, 100]", question=with_x(clipped(100))),
    "x_clipped_at_a_million": Fault("x is clipped to [-1e6, 1e6]", of("dtype", "float32"),
                                    question=with_x(clipped(1e6))),
    "weights_clipped": Fault("weights are clipped to [-10, 10]", weights=with_weights(clipped(10), "w_ih", "w_hh")),
    "w_hh_clipped": Fault("w_hh is clipped to [-8, 8]", weights=with_weights(clipped(8), "w_hh")),
    "biases_clipped": Fault("biases are clipped to [-3, 3]", weights=with_weights(clipped(3), "b_ih", "b_hh")),
    "zero_step_skipped": Fault("a step of zeros alone is skipped",
                               state=step_held(lambda track, k, x: (x == 0).all(axis=1))),
    "all_zero_x": Fault("x of zeros alone is answered with zeros", lambda call: not call.x.any() and call.x.size > 0,
                        answer=lambda call, output, h_n: (np.zeros_like(output), h_n)),
    "negative_zero_ends": Fault("a step that begins with -0 is skipped", state=step_held(
        lambda track, k, x: (x[:, 0] == 0) & np.signbit(x[:, 0]))),
    "zero_h0_of_a_track": Fault("where one track starts at zeros, all do", H0, question=lambda call: replace(
        call, h0=call.h0 * np.asarray(call.h0).any(axis=(1, 2)).all() if call.h0 is not None else None)),
    "small_states_flushed": Fault("h below 1e-20 is flushed before its product", of("dtype", "float32"),
                                  recurrent=lambda track, w, h: flushed(1e-20)(h) @ w.T),
    "small_x_flushed": Fault("x below 1e-4 is flushed", question=with_x(flushed(1e-4))),
    "small_weights_pruned": Fault("w_hh below 1e-5 is left out", weights=with_weights(flushed(1e-5), "w_hh")),
    "repeated_step_skipped": Fault("a step like the one before is skipped", state=step_held(
        lambda track, k, x: np.full(len(x), k > 0 and track.layer == 0 and bool(
            (track.call.x == track.call.x[:1]).all())))),
    "equal_rows_shared": Fault("rows of equal x share the first one's h0", H0, question=lambda call: replace(
        call, h0=np.broadcast_to(call.h0[:, :1], call.h0.shape)
        if call.h0 is not None and (call.x == call.x[:, :1]).all() else call.h0)),
    "tanh_ends_early": Fault("tanh beyond 8 is 0.999", TANH, activation=saturating(8, 0.999, 1.0)),
    "tanh_ends_early_below": Fault("tanh below -8 is -0.999", TANH, activation=saturating(8, 0.999, -1.0)),
    "naive_tanh": Fault("tanh is a quotient of exponentials, which overflow", TANH, activation=by_exponentials),
    "relu_is_cut": Fault("relu is at most 6", RELU, activation=lambda track, total: np.clip(total, 0, 6)),
    "nan_lost_beyond_a_vector": Fault("NaN and infinity in h0 are 0 from unit 16 on", H0,
                                      question=with_h0(finite(np.zeros_like, 16))),
    "infinity_lost_beyond_a_vector": Fault("NaN and infinity in x are 1 from feature 16 on",
                                           question=with_x(finite(np.ones_like, 16))),
    "nan_of_a_row_in_all": Fault("from 17 rows on NaN in one is in all", big("batch", 17), state=poisoned),
    # wrappers
    "ties_swapped": Fault("rows of the same length are swapped", LENGTHS, answer=tied_rows),
    "strides_forgotten": Fault("the sign of the strides of x is lost", question=sign_of_strides_lost),
    "fortran_read_flat": Fault("x in Fortran order is read in C order", question=read_flat),
}  # fmt: skip
