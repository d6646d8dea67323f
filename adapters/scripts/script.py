"""A case as one stand-alone Python script for a bug report: the parts that are the same for every framework.

The script holds every number of the case, the framework's own module as its user would write it, the equations in
float64, and a bound for each element. It imports NumPy and the framework, and nothing of this suite.
"""

import decimal
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from reference import DIRECTIONS, LAYOUTS, Case, CellParameters, Result, RNNSpec, forward
from reference import layout as layouts
from reference.bounds.arithmetic import Arithmetic, arithmetic
from reference.bounds.step import Enclosure
from reference.bounds.trajectory import trajectory_bound
from reference.cells import cell_of
from reference.judging.comparison import vacuous_elements
from reference.judging.parts import Whole, shown_of, whole_of
from reference.judging.view import WHOLE, View, answer_of, merged, sequence_of
from reference.layout import state_tuple
from reference.spec import DTYPES, expect, expect_word

from ..capabilities import variants_of
from ..inputs import Inputs
from .literals import DECODED, array_literal, text_literal

TEMPLATE = Path(__file__).with_suffix(".txt")
# the words that stand in a script's text as they are
WORDS = re.compile(r"[A-Za-z0-9 .,_-]{1,100}")
ON_CPU = re.compile(r"cpu")
ON_CPU_AND_CUDA = re.compile(r"cpu|cuda(:[0-9]{1,3})?")
EQUATIONS = ("elman", "gru", "gru_reset_before", "lstm")  # cells whose equations the template holds
ACTIVATIONS = {"tanh": "np.tanh(a)", "relu": "np.maximum(a, 0)"}
# layout -> what is written behind an array to bring it to another order of axes, and back
_SWAP = ".swapaxes(0, 1)"
_MOVES = ("to_batch_first", "from_batch_first", "to_time_first", "from_time_first", "state", "state_back")
MOVES = {
    "batch_first": dict(zip(_MOVES, ("", "", _SWAP, _SWAP, "", ""), strict=True)),
    "time_first": dict(zip(_MOVES, (_SWAP, _SWAP, "", "", "", ""), strict=True)),
    "unbatched": dict(zip(_MOVES, ("[None]", "[0]", "[:, None]", "[:, 0]", "[:, None]", "[:, 0]"), strict=True)),
}


def script(
    case: Case,
    template: Path,
    title: str,
    package: str,
    device: str,
    devices: re.Pattern[str] = ON_CPU_AND_CUDA,
    view: View = WHOLE,
    cells: tuple[str, ...] = ("elman",),
    **more: Any,
) -> str:
    """The whole script. It exits with 1 if an element lies outside its bound; it catches no exception.

    template: the file of the framework's part, as `filled` reads it: it imports the framework, prints its version,
    builds the module, runs it on the arrays of the case, and leaves `actual`, a dict of the arrays "output" and "h_n"
    that the view shows ("c_n" too of an lstm), in float64 and in the case's layout; np and sys are there.
    title, package: what is called, and what is needed beside NumPy, in words.
    device: one that may not be here.  devices: what it may be called.  view: what the call shows of the answer.
    cells: of which the framework's part has a layer.  more: words that the template uses beside those of `_words`.
    Raises ValueError or TypeError, naming the field, where a word that goes into a script is none of those known: what
    stands in a script runs when the script does.
    """
    for name, text in (("title", title), ("package", package)):
        expect(isinstance(text, str) and WORDS.fullmatch(text) is not None, name, text, "words of ASCII")
    expect_device(device, devices)
    expect_word("cell", case.spec.cell, cells)
    words = {**_words(case, device), **_words_of(view, case), **more, "title": title, "package": package}
    parts = trajectory(case, view) if case.cotangents is None else {}
    words["wide"] = sum(int(vacuous_elements(*part).sum()) for part in parts.values())
    bounds = {name: array_literal(rounded_up(part.bound), np.inf) for name, part in parts.items()}
    words["bounds"] = "\n".join(f"{name}_bound = {text}" for name, text in bounds.items())
    words["bound_names"] = ", ".join(f'"{name}": {name}_bound' for name in bounds)
    words["expected"] = ", ".join(f'"{name}": {EXPECTED[name][view.output == "last step"]}' for name in bounds)
    words["expected"] = Template(words["expected"]).substitute(words)
    words["decoded"] = DECODED.strip() if any("decoded(" in str(word) for word in words.values()) else ""
    words["native"] = filled(template.read_text("utf-8"), words)
    return re.sub(r"\n{4,}", "\n\n\n", filled(TEMPLATE.read_text("utf-8"), words)) + "\n"


def expect_device(device: object, devices: re.Pattern[str]) -> None:
    """Raise ValueError for a device that is called none of these."""
    expected = "cpu" if devices is ON_CPU else "cpu, cuda or cuda:N"
    expect(isinstance(device, str) and devices.fullmatch(device) is not None, "device", device, expected)


def filled(template: str, words: Mapping[str, Any]) -> str:
    """A template's text: $name is the word of that name; lines of it are indented as the first.

    Behind a line, "#? names" says what must be true of the case for that line to stand, "!name" what must not; on a
    line of its own it says so of all lines up to the next "#?" alone. KeyError for a name that is no word.
    """
    lines: list[str] = []
    block = ""
    for line in template.strip().splitlines():
        code, marked, condition = line.partition("#?")
        asked = f"{block} {condition}".split()
        if marked and not code:
            block = condition
        elif all(bool(words[name.removeprefix("!")]) != name.startswith("!") for name in asked):
            indent = "\n" + " " * (len(code) - len(code.lstrip()))
            lines.append(Template(code.rstrip()).substitute(words).replace("\n", indent))
    return "\n".join(lines)


def checked(case: Case) -> RNNSpec:
    """The spec of a case whose words are known. Raises ValueError for one that was changed behind its checks."""
    spec = RNNSpec(**case.spec.to_dict())
    expect_word("layout", case.layout, LAYOUTS)
    expect_word("dtype", case.dtype, DTYPES)
    expect_word("nonlinearity", spec.nonlinearity, tuple(ACTIVATIONS))
    expect_word("cell", spec.cell, EQUATIONS)
    return spec


def _words(case: Case, device: str) -> dict[str, Any]:
    """What a template may say of a case, by name: its sizes and words, and what is true of it."""
    spec, asked = checked(case), case
    if case.cotangents is not None and case.h0 is None:  # so that there is something to differentiate by
        case = replace(case, h0=layouts.each_state(np.zeros_like, case.answer().h_n))
    h0, c0 = (*state_tuple(case.h0), None)[:2]
    kind, _, index = device.partition(":")
    axes = layouts.sequence_axes(case.layout)
    sizes = dict(zip(axes, case.x.shape, strict=True))
    steps = {"forward": f"range({sizes['time']})", "reverse": f"range({sizes['time']})[::-1]"}
    return {
        **spec.to_dict(),
        "kind": spec.nonlinearity if spec.cell == "elman" else spec.cell,
        "projection_size": spec.projection_size,
        "state_size": spec.state_size,
        **{word: word == spec.cell for word in EQUATIONS},
        **variants_of(spec),
        "clip": spec.clip,
        **MOVES[case.layout],
        **{word: word in (case.layout, spec.direction, case.dtype) for word in (*LAYOUTS, *DIRECTIONS, *DTYPES)},
        **{name: getattr(case, name) is not None for name in ("h0", "lengths", "mask")},
        "packed": case.lengths is not None and np.size(case.lengths) > 0,
        "ended": case.lengths is not None or case.mask is not None,
        **_cotangents(case),
        "by_weights": _by_weights(case),
        "x": array_literal(case.x),
        "h0_array": None if h0 is None else array_literal(h0),
        "c0_array": None if c0 is None else array_literal(c0),
        "lengths_list": None if case.lengths is None else np.atleast_1d(case.lengths).tolist(),
        "mask_list": None if case.mask is None else np.asarray(case.mask).astype(int).tolist(),
        "cells": _cells(case),
        "axes": ", ".join(axes),
        "step_axes": ", ".join(axes[:-1]),
        "state_axes": ", ".join(layouts.state_axes(case.layout)),
        "id": asked.id,
        "dtype": case.dtype,
        "directions": spec.num_directions,
        "output_size": spec.output_size,
        "time": sizes["time"],
        "batch": sizes.get("batch", 1),
        "steps": ", ".join(steps[direction] for direction in spec.directions),
        "step_names": ", ".join(spec.directions),
        "weights": ", ".join(case.parameters[0].arrays()),
        "activation": ACTIVATIONS[spec.nonlinearity],
        "device": text_literal(device),
        "device_kind": text_literal(kind),
        "device_index": int(index or 0),
        "cpu": device == "cpu",
    }


def _cotangents(case: Case) -> dict[str, Any]:
    """What a template says of cotangents: zeros where there are none, and at steps that do not count."""
    if case.cotangents is None:
        return {"gradients": False, "aside": False}
    (g_output, finals), blank = case.cotangents, case.answer()
    plain = Inputs(case.x, case.h0, None if case.lengths is None else np.atleast_1d(case.lengths), case.mask,
                   case.layout, case.layout)  # fmt: skip
    g = np.zeros_like(blank.output) if g_output is None else plain.zeroed(g_output)
    g_h_n, g_c_n = (*state_tuple(layouts.each_state(np.zeros_like, blank.h_n) if finals is None else finals), None)[:2]
    arrays = {"g_output": g, "g_h_n": g_h_n, "g_c_n": g_c_n}
    return {
        "gradients": True,
        "aside": False,
        **{f"{name}_array": None if a is None else array_literal(a) for name, a in arrays.items()},
    }


def _by_weights(case: Case) -> bool:
    """Whether a script shows the gradient by w_hh too: of an Elman layer in 16 bits, where its sum is in question."""
    narrow = case.dtype in ("float16", "bfloat16")
    return case.cotangents is not None and narrow and case.spec.cell == "elman" and case.spec.num_cells == 1


# what is expected of each array, in the case's layout, from time-first ones; and where there is no axis of time
EXPECTED = {
    "output": ("output$from_time_first", "output$from_batched"),
    **{name: (f"{name}$state_back",) * 2 for name in ("h_n", "c_n")},
}


def _words_of(view: View, case: Case) -> dict[str, Any]:
    """What is true of what a call shows."""
    ended, merges = case.lengths is not None or case.mask is not None, view.merges(case.spec.num_directions)
    return {
        "partial": view != WHOLE,
        "held": view.masked == "held" and view.output == "every step" and ended,
        "last_step": view.output == "last step",
        "last_layer": view.states == "last layer",
        "merges": merges,
        "merging": {"sum": "a + b", "mul": "a * b", "ave": "(a + b) / 2"}[view.halves] if merges else "",
        "from_batched": "" if layouts.is_batched(case.layout) else "[0]",
    }


def cell_suffix(case: Case, index: int) -> str:
    """The end of the names of cell `index`, as torch has it: "l0", "l0_reverse", "l1", ..."""
    layer, direction = divmod(index, case.spec.num_directions)
    return f"l{layer}_reverse" if direction else f"l{layer}"


def _cells(case: Case) -> str:
    """Every array of the cells, under a name of its own, and the list of the cells."""
    lines, cells = [], []
    for index, cell in enumerate(case.parameters):
        named = {f"{name}_{cell_suffix(case, index)}": array for name, array in cell.arrays().items()}
        lines += [f"# {case.spec.cell_name(index)}; rows are units"]
        lines += [*(f"{name} = {array_literal(array)}" for name, array in named.items()), ""]
        cells.append(f"    ({', '.join(named)}),")
    return "\n".join([*lines, "cells = [", *cells, "]"])


def trajectory(case: Case, view: View = WHOLE) -> dict[str, Enclosure]:
    """What is expected of "output" and "h_n", those that a view shows, by the trajectory bound, in the case's layout.

    The bound is 0 where NaN or infinity is certain, which the trajectory bound itself says nothing of.
    """
    promised = arithmetic(case.dtype)
    with np.errstate(all="ignore"):
        output, states = shown_of(view, case, _whole(case, promised))
        if output is not None and view.merges(case.spec.num_directions):
            halves = [output.each(lambda a, d=d: a[..., case.spec.half(d)]) for d in range(case.spec.num_directions)]
            output = merged(view, halves, promised)
    parts: dict[str, Enclosure] = {}
    if output is not None:
        parts["output"] = Enclosure(*(np.asarray(sequence_of(view, case, array)) for array in output))
    names = [f"{state.name}_n" for state in cell_of(case.spec).states]
    for name, state in zip(names, states, strict=False):
        parts[name] = state.each(lambda array: layouts.state_from_batched(array, case.layout))
    given = [answer_of(view, case, *answer) for answer in (_certain_nan(case), _certain_infinity(case))]
    certain, infinite = (dict[str, Any](zip(("output", *names), (one[0], *state_tuple(one[1])), strict=False))
                         for one in given)  # fmt: skip
    exact = {name: np.isnan(certain[name]) | np.isinf(infinite[name]) for name in parts}
    return {name: part._replace(bound=np.where(exact[name], 0, part.bound)) for name, part in parts.items()}


def _whole(case: Case, promised: Arithmetic) -> Whole:
    """The whole answer by the trajectory bound, time first."""
    if case.mask is not None:
        plain, order = case.without_mask()
        output, states = _whole(plain, promised)
        back = np.argsort(order, axis=0)
        return output.each(lambda array: layouts.take_steps(array, back, "time_first")), states
    lengths = None if case.lengths is None else np.atleast_1d(case.lengths)
    inputs = Inputs(case.x, case.h0, lengths, None, case.layout, case.layout).to("time_first")
    return whole_of(case, trajectory_bound(case.spec, case.parameters, inputs.x, inputs.h0, lengths, promised))


def _certain_nan(case: Case) -> Result:
    """NaN where a NaN of the case must come out, whatever all other numbers are: IEEE 754 leaves no choice; else 0."""

    def nan_or_zero(array: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(array), np.nan, 0)

    cells = [CellParameters.of({name: nan_or_zero(a) for name, a in cell.arrays().items()}) for cell in case.parameters]
    h0 = layouts.each_state(nan_or_zero, case.h0)
    return forward(case.spec, cells, nan_or_zero(case.x), h0, case.lengths, case.layout)


def _certain_infinity(case: Case) -> Result:
    """The answer where it is infinite because x or h0 is, and nothing else comes near to overflow; else all zeros."""

    def finite(array: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(array), array, 0).astype(array.dtype)

    calm = replace(case, x=finite(case.x), h0=layouts.each_state(finite, case.h0)).answer()
    largest = arithmetic(case.dtype).largest
    if all(np.all(np.abs(a.astype(np.float64)) < largest**0.5) for a in (calm.output, *state_tuple(calm.h_n))):
        return case.answer()
    return Result(np.zeros_like(calm.output), layouts.each_state(np.zeros_like, calm.h_n))


def rounded_up(array: np.ndarray) -> np.ndarray:
    """Numbers of at least 0, float64, each rounded up to three decimal digits."""
    context = decimal.Context(prec=3, rounding=decimal.ROUND_CEILING)
    rounded = [float(context.create_decimal_from_float(float(value))) for value in array.flat]
    return np.array(rounded, np.float64).reshape(array.shape)
