"""A case as one stand-alone Python script for a bug report: the parts that are the same for every framework.

The script holds every number of the case, the framework's own module as its user would write it, the equations in
float64, and a bound for each element. It imports NumPy and the framework, and nothing of this suite.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from reference import LAYOUTS, Case, RNNSpec
from reference import layout as layouts
from reference.judging.comparison import vacuous_elements
from reference.spec import DTYPES, expect, expect_word

from .bounds import rounded_up, trajectory
from .literals import DECODED, array_literal

# the words that stand in a script's text as they are
WORDS = re.compile(r"[A-Za-z0-9 .,_-]{1,100}")
ON_CPU = re.compile(r"cpu")
ON_CPU_AND_CUDA = re.compile(r"cpu|cuda(:[0-9]{1,3})?")


def expect_words(case: Case, device: object, devices: re.Pattern[str] = ON_CPU_AND_CUDA) -> None:
    """Raise ValueError or TypeError, naming the field, where a word that goes into a script is none of those known.

    What stands in a script runs when the script does. A script may be written for a device that is not here.
    """
    RNNSpec(**case.spec.to_dict())
    expect_word("cell", case.spec.cell, ("elman",))  # the equations of a script are Elman's
    expect_word("layout", case.layout, LAYOUTS)
    expect_word("dtype", case.dtype, DTYPES)
    expected = "cpu" if devices is ON_CPU else "cpu, cuda or cuda:N"
    expect(isinstance(device, str) and devices.fullmatch(device) is not None, "device", device, expected)


class Native(NamedTuple):
    """What a framework gives to its script.

    title: what is called, in words.  package: what is needed beside NumPy, in words. The rest is Python source:
    imports: the framework's, with what must stand before them; sys and np are there.
    versions: what print is given of the framework: its version, and what it runs on.
    call: builds the module, runs it on the arrays of the case, and leaves `actual`, a dict of the arrays "output"
    and "h_n" in float64 and in the case's layout.
    """

    title: str
    package: str
    imports: str
    versions: str
    call: str


def script(case: Case, native: Native) -> str:
    """The whole script. It exits with 1 if an element lies outside its bound; it catches no exception.

    Raises ValueError for a title or a package that is more than words: they stand in the script's docstring.
    """
    for name in ("title", "package"):
        words = getattr(native, name)
        expect(isinstance(words, str) and WORDS.fullmatch(words) is not None, name, words, "words of ASCII")
    body = [_numbers(case), f"# {native.title}, as its user writes it.\n\n{native.call.strip()}", _equations(case)]
    body += [_bounds(case), _COMPARISON]
    decodes = any("= decoded(" in section for section in body)
    imports = ["import base64"] * decodes + ["import os"] * ("os." in native.imports) + ["import sys", ""]
    imports += ["import numpy as np", native.imports, "", f"print({native.versions})", _VERSIONS]
    sections = [_heading(case, native), "\n".join(imports), *[DECODED] * decodes, *body]
    text = "\n\n".join(section.strip() for section in sections) + "\n"
    return re.sub(r"\n+(?=\ndef )", "\n\n", text)


_VERSIONS = """print(f"NumPy {np.__version__}, Python {sys.version.split()[0]}, {sys.platform}")"""


def cell_suffix(case: Case, index: int) -> str:
    """The end of the names of cell `index`, as torch has it: "l0", "l0_reverse", "l1", ..."""
    layer, direction = divmod(index, case.spec.num_directions)
    return f"l{layer}_reverse" if direction else f"l{layer}"


def _heading(case: Case, native: Native) -> str:
    spec = case.spec
    layers = f"{spec.num_layers} layer{'s' * (spec.num_layers > 1)}"
    biases = "with" if spec.bias else "without"
    return f'''
"""{native.title} against the equations of the layer: one case, complete in this file.

It needs NumPy and {native.package}. It prints how far the answer lies from the equations, computed in float64, and
exits with 1 if an element lies outside the bound that was derived for it.

{layers}, {spec.direction}, {spec.nonlinearity}, {biases} biases, {case.dtype}; rnn-equivalence case {case.id}.
"""'''


def _numbers(case: Case) -> str:
    """Every array of the case, under a name of its own, and the list of its cells."""
    held = " Its bfloat16 numbers are held in float32." if case.dtype == "bfloat16" else ""
    lines = [f"# The case, bit for bit.{held}", "", f"# {', '.join(layouts.sequence_axes(case.layout))}"]
    lines.append(f"x = {array_literal(case.x)}")
    if case.h0 is not None:
        lines += [f"# {', '.join(layouts.state_axes(case.layout))}", f"h0 = {array_literal(case.h0)}"]
    if case.lengths is not None:
        lines.append(f"lengths = {np.atleast_1d(case.lengths).tolist()}")
    if case.mask is not None:
        rows = np.asarray(case.mask).astype(int).tolist()
        lines += [f"# {', '.join(layouts.sequence_axes(case.layout)[:-1])}", f"mask = np.array({rows}, dtype=bool)"]
    cells = []
    for index, cell in enumerate(case.parameters):
        named = {f"{name}_{cell_suffix(case, index)}": array for name, array in cell.arrays().items()}
        lines += ["", f"# {case.spec.cell_name(index)}; rows are units"]
        lines += [f"{name} = {array_literal(array)}" for name, array in named.items()]
        cells.append(f"    ({', '.join(named)}),")
    return "\n".join([*lines, "", "cells = [", *cells, "]"])


def _equations(case: Case) -> str:
    """The layers in a dozen lines of NumPy, which leave `expected`."""
    spec, axes = case.spec, layouts.sequence_axes(case.layout)
    time, t = case.x.shape[axes.index("time")], ":, t" if axes[1] == "time" else "t"
    steps = [f"range({time})" if direction == "forward" else f"range({time})[::-1]" for direction in spec.directions]
    state = *(n for axis, n in zip(axes, case.x.shape, strict=True) if axis == "batch"), spec.hidden_size
    h = f"np.zeros({state})" if case.h0 is None else 'h0[len(h_n)].astype("float64")'
    names, biases = ("w_ih, w_hh, b_ih, b_hh", " + b_ih + b_hh") if spec.bias else ("w_ih, w_hh", "")
    phi = {"tanh": "np.tanh(a)", "relu": "np.maximum(a, 0)"}[spec.nonlinearity]
    runs = "t < lengths[0]" if case.layout == "unbatched" else "t < np.array(lengths)[:, None]"
    if case.mask is not None:
        runs = {"batch_first": "mask[:, t, None]", "time_first": "mask[t, :, None]", "unbatched": "mask[t]"}[
            case.layout
        ]
    if case.lengths is None and case.mask is None:
        step = [f"h = half[{t}] = {phi}"]
    else:
        step = [f"runs = {runs}", f"h = np.where(runs, {phi}, h)", f"half[{t}] = np.where(runs, h, 0)"]
    return f'''
# The equations in float64: a_t = w_ih x_t{biases} + w_hh h_(t-1), h_t = {spec.nonlinearity}(a_t).

def equations(sequence):
    """The output and the final states of the stack."""
    h_n = []  # cell after cell
    for _layer in range({spec.num_layers}):
        halves = []
        for steps in [{", ".join(steps)}]:  # {", ".join(spec.directions)}
            {names} = (array.astype("float64") for array in cells[len(h_n)])
            h, half = {h}, np.zeros((*sequence.shape[:-1], {spec.hidden_size}))
            for t in steps:
                a = sequence[{t}] @ w_ih.T{biases} + h @ w_hh.T
                {(chr(10) + " " * 16).join(step)}
            halves.append(half)
            h_n.append(h)
        sequence = np.concatenate(halves, axis=-1)
    return {{"output": sequence, "h_n": np.stack(h_n)}}


with np.errstate(all="ignore"):
    expected = equations(x.astype("float64"))
'''


def _bounds(case: Case) -> str:
    """The trajectory bound of every element, which leaves `bound`."""
    parts = trajectory(case)
    wide = sum(int(vacuous_elements(*part).sum()) for part in parts.values())
    said = f"\n# {wide} of these bounds are too wide to mean anything: the answer 0 would pass." if wide else ""
    arrays = [f"{name}_bound = {array_literal(rounded_up(part.bound), np.inf)}" for name, part in parts.items()]
    return "\n".join(
        [
            f"""
# How far a correct answer in {case.dtype} arithmetic may lie from the equations, whatever the order of its sums:
# derived by rnn-equivalence for each element, over the whole trajectory, and rounded up to three digits. (That suite
# itself judges by a narrower bound: of one step, from the state that the framework answered for the step before.){said}
""",
            *arrays,
            'bound = {"output": output_bound, "h_n": h_n_bound}',
        ]
    )


_COMPARISON = '''# What came of it.

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
