"""A case as one stand-alone Python script for a bug report: the parts that are the same for every framework.

The script holds every number of the case, the framework's own module as its user would write it, the equations in
float64, and a bound for each element. It imports NumPy and the framework, and nothing of this suite.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Template
from typing import Any, NamedTuple

import numpy as np

from reference import DIRECTIONS, LAYOUTS, Case, RNNSpec
from reference import layout as layouts
from reference.judging.comparison import vacuous_elements
from reference.spec import DTYPES, expect, expect_word

from .bounds import rounded_up, trajectory
from .literals import DECODED, array_literal, text_literal

# the words that stand in a script's text as they are
WORDS = re.compile(r"[A-Za-z0-9 .,_-]{1,100}")
ON_CPU = re.compile(r"cpu")
ON_CPU_AND_CUDA = re.compile(r"cpu|cuda(:[0-9]{1,3})?")
ACTIVATIONS = {"tanh": "np.tanh(a)", "relu": "np.maximum(a, 0)"}
# layout -> what is written behind an array to bring it to another order of axes, and back
MOVES = {
    "batch_first": {"to_batch_first": "", "from_batch_first": "", "to_time_first": ".swapaxes(0, 1)",
                    "from_time_first": ".swapaxes(0, 1)", "state": "", "state_back": ""},
    "time_first": {"to_batch_first": ".swapaxes(0, 1)", "from_batch_first": ".swapaxes(0, 1)", "to_time_first": "",
                   "from_time_first": "", "state": "", "state_back": ""},
    "unbatched": {"to_batch_first": "[None]", "from_batch_first": "[0]", "to_time_first": "[:, None]",
                  "from_time_first": "[:, 0]", "state": "[:, None]", "state_back": "[:, 0]"},
}  # fmt: skip


class Native(NamedTuple):
    """What a framework gives to its script.

    title: what is called, in words.  package: what is needed beside NumPy, in words. The rest is Python source, in
    templates that `filled` fills with the words of the case:
    imports: the framework's, with what must stand before them; sys and np are there.
    versions: what print is given of the framework: its version, and what it runs on.
    call: builds the module, runs it on the arrays of the case, and leaves `actual`, a dict of the arrays "output"
    and "h_n" in float64 and in the case's layout.
    devices: what a device may be called.
    """

    title: str
    package: str
    imports: str
    versions: str
    call: str
    devices: re.Pattern[str] = ON_CPU_AND_CUDA


def script(case: Case, native: Native, device: str = "cpu", more: Mapping[str, Any] | None = None) -> str:
    """The whole script. It exits with 1 if an element lies outside its bound; it catches no exception.

    more: words that the framework's templates use beside those of `words_of`. A script may be written for a device that
    is not here. Raises ValueError or TypeError, naming the field, where a word that goes into a script is none of
    those known: what stands in a script runs when the script does.
    """
    for name in ("title", "package"):
        text = getattr(native, name)
        expect(isinstance(text, str) and WORDS.fullmatch(text) is not None, name, text, "words of ASCII")
    words = {**words_of(case, device, native.devices), **(more or {})}
    call = f"# {native.title}, as its user writes it.\n\n{filled(native.call, words)}"
    body = [_numbers(case), call, filled(EQUATIONS, words), _bounds(case), COMPARISON]
    framework = filled(native.imports, words)
    decodes = any("= decoded(" in section for section in body)
    imports = ["import base64"] * decodes + ["import os"] * ("os." in framework) + ["import sys", ""]
    imports += ["import numpy as np", framework, "", f"print({filled(native.versions, words)})"]
    imports.append("""print(f"NumPy {np.__version__}, Python {sys.version.split()[0]}, {sys.platform}")""")
    heading = filled(HEADING, {**words, "title": native.title, "package": native.package})
    sections = [heading, "\n".join(imports), *[DECODED] * decodes, *body]
    text = "\n\n".join(section.strip() for section in sections) + "\n"
    return re.sub(r"\n+(?=\ndef )", "\n\n", text)


def filled(template: str, words: Mapping[str, Any]) -> str:
    """A template's text: $name is the word of that name; lines of it are indented as the first.

    Behind a line, "#? names" says what must be true of the case for that line to stand, "!name" what must not; on a
    line of its own it says so of all lines up to the next "#?" alone. KeyError for a name that is no word.
    """
    lines: list[str] = []
    block = ""
    for line in template.strip().splitlines():
        code, marked, condition = line.partition("#?")
        if marked and not code:
            block = condition
        elif all(
            bool(words[name.removeprefix("!")]) != name.startswith("!") for name in f"{block} {condition}".split()
        ):
            indent = "\n" + " " * (len(code) - len(code.lstrip()))
            lines.append(Template(code.rstrip()).substitute(words).replace("\n", indent))
    return "\n".join(lines)


def words_of(case: Case, device: str = "cpu", devices: re.Pattern[str] = ON_CPU_AND_CUDA) -> dict[str, Any]:
    """What a template may say of a case, by name: its sizes and words, and what is true of it.

    Raises ValueError or TypeError as `script` does.
    """
    spec = RNNSpec(**case.spec.to_dict())
    expect_word("layout", case.layout, LAYOUTS)
    expect_word("dtype", case.dtype, DTYPES)
    expect_word("nonlinearity", spec.nonlinearity, tuple(ACTIVATIONS))
    expected = "cpu" if devices is ON_CPU else "cpu, cuda or cuda:N"
    expect(isinstance(device, str) and devices.fullmatch(device) is not None, "device", device, expected)
    kind, _, index = device.partition(":")
    sizes = dict(zip(layouts.sequence_axes(case.layout), case.x.shape, strict=True))
    steps = {"forward": f"range({sizes['time']})", "reverse": f"range({sizes['time']})[::-1]"}
    return {
        **spec.to_dict(),
        **MOVES[case.layout],
        **{word: word in (case.layout, spec.direction, case.dtype) for word in (*LAYOUTS, *DIRECTIONS, *DTYPES)},
        **{name: getattr(case, name) is not None for name in ("h0", "lengths", "mask")},
        "packed": case.lengths is not None and np.size(case.lengths) > 0,
        "ended": case.lengths is not None or case.mask is not None,
        "id": case.id,
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


def cell_suffix(case: Case, index: int) -> str:
    """The end of the names of cell `index`, as torch has it: "l0", "l0_reverse", "l1", ..."""
    layer, direction = divmod(index, case.spec.num_directions)
    return f"l{layer}_reverse" if direction else f"l{layer}"


HEADING = '''
"""$title against the equations of the layer: one case, complete in this file.

It needs NumPy and $package. It prints how far the answer lies from the equations, computed in float64, and
exits with 1 if an element lies outside the bound that was derived for it.

num_layers $num_layers, $direction, $nonlinearity, bias $bias, $dtype; rnn-equivalence case $id.
"""
'''


def _numbers(case: Case) -> str:
    """Every array of the case, under a name of its own, and the list of its cells."""
    held = " Its bfloat16 numbers are held in float32." if case.dtype == "bfloat16" else ""
    axes, state = layouts.sequence_axes(case.layout), layouts.state_axes(case.layout)
    lines = [f"# The case, bit for bit.{held}", "", f"# {', '.join(axes)}", f"x = {array_literal(case.x)}"]
    if case.h0 is not None:
        lines += [f"# {', '.join(state)}", f"h0 = {array_literal(case.h0)}"]
    if case.lengths is not None:
        lines.append(f"lengths = {np.atleast_1d(case.lengths).tolist()}")
    if case.mask is not None:
        rows = np.asarray(case.mask).astype(int).tolist()
        lines += [f"# {', '.join(axes[:-1])}", f"mask = np.array({rows}, dtype=bool)"]
    cells = []
    for index, cell in enumerate(case.parameters):
        named = {f"{name}_{cell_suffix(case, index)}": array for name, array in cell.arrays().items()}
        lines += ["", f"# {case.spec.cell_name(index)}; rows are units"]
        lines += [f"{name} = {array_literal(array)}" for name, array in named.items()]
        cells.append(f"    ({', '.join(named)}),")
    return "\n".join([*lines, "", "cells = [", *cells, "]"])


# The layers in a dozen lines of NumPy, which leave `expected`.
EQUATIONS = '''
# The equations in float64: a_t = w_ih x_t + w_hh h_(t-1) and the biases, h_t = $nonlinearity(a_t). Time comes first.

runs = (np.arange($time)[:, None] < np.array(lengths))[..., None]  #? lengths
runs = mask$to_time_first[..., None]  #? mask

def equations(sequence):
    """The output and the final states of the stack."""
    h_n = []  # cell after cell
    for _layer in range($num_layers):
        halves = []
        for steps in [$steps]:  # $step_names
            $weights = (array.astype("float64") for array in cells[len(h_n)])
            h, half = np.zeros(($batch, $hidden_size)), np.zeros((*sequence.shape[:2], $hidden_size))
            h = h0$state[len(h_n)].astype("float64")  #? h0
            for t in steps:
                a = sequence[t] @ w_ih.T + b_ih + b_hh + h @ w_hh.T  #? bias
                a = sequence[t] @ w_ih.T + h @ w_hh.T  #? !bias
                h = half[t] = $activation  #? !ended
                h = np.where(runs[t], $activation, h)  #? ended
                half[t] = np.where(runs[t], h, 0)  #? ended
            halves.append(half)
            h_n.append(h)
        sequence = np.concatenate(halves, axis=-1)
    return sequence, np.stack(h_n)


with np.errstate(all="ignore"):
    output, h_n = equations(x$to_time_first.astype("float64"))
expected = {"output": output$from_time_first, "h_n": h_n$state_back}
'''


def _bounds(case: Case) -> str:
    """The trajectory bound of every element, which leaves `bound`."""
    parts = trajectory(case)
    wide = sum(int(vacuous_elements(*part).sum()) for part in parts.values())
    arrays = {f"{name}_bound": array_literal(rounded_up(part.bound), np.inf) for name, part in parts.items()}
    return filled(BOUNDS, {"dtype": case.dtype, "wide": wide, **arrays})


BOUNDS = """
# How far a correct answer in $dtype arithmetic may lie from the equations, whatever the order of its sums:
# derived by rnn-equivalence for each element, over the whole trajectory, and rounded up to three digits. (That suite
# itself judges by a narrower bound: of one step, from the state that the framework answered for the step before.)
# $wide of these bounds are too wide to mean anything: the answer 0 would pass.  #? wide

output_bound = $output_bound
h_n_bound = $h_n_bound
bound = {"output": output_bound, "h_n": h_n_bound}
"""

COMPARISON = '''# What came of it.

def compare(name):
    """Print how far an answer lies from the equations; the number of elements outside their bound."""
    a, e, b = actual[name], expected[name], bound[name]
    if a.shape != e.shape:
        sys.exit(f"{name}: got shape {a.shape}, expected {e.shape}")
    with np.errstate(all="ignore"):
        difference = np.abs(a - e)
        difference[(a == e) | (np.isnan(a) & np.isnan(e))] = 0
        difference[np.isnan(difference)] = np.inf
        outside = difference > b
        largest = {"largest difference": difference, "furthest outside": np.where(outside, difference / b, 0)}
    print(f"{name} {a.shape}: {outside.sum()} of {a.size} elements lie outside the bound")
    for words, sizes in largest.items():
        if sizes.any():
            at = np.unravel_index(sizes.argmax(), sizes.shape)
            print(f"  {words}: {difference[at]:.3g} at {[int(i) for i in at]}, bound {b[at]:.3g}")
            print(f"    expected {float(e[at])}, actual {float(a[at])}")
    return outside.sum()


outside = sum(compare(name) for name in actual)
sys.exit(1 if outside else 0)
'''
