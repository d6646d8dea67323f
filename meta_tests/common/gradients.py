"""Cases with cotangents, for the tests of gradients; and the equations once more, of numbers of any kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from reference import Case, RNNSpec
from reference.draws import Draw, draw_case
from reference.layout import from_state_tuple, state_tuple

SPECS: dict[str, dict[str, Any]] = {
    "tanh": {},
    "relu": {"nonlinearity": "relu"},
    "elman clipped": {"clip": 0.4},
    "gru": {"cell": "gru"},
    "gru_reset_before": {"cell": "gru_reset_before"},
    "lstm": {"cell": "lstm"},
    "peepholes": {"cell": "lstm", "peepholes": True},
    "input_forget": {"cell": "lstm", "input_forget": True},
    "projection": {"cell": "lstm", "projection_size": 2},
    "lstm clipped": {"cell": "lstm", "clip": 0.3},
    "all of lstm": {"cell": "lstm", "peepholes": True, "input_forget": True, "projection_size": 2, "clip": 0.5},
}


def with_cotangents(case: Case, seed: int = 7, scale: float = 1.0, only: str = "") -> Case:
    """The case with drawn cotangents.  only: "output" or "h_n", where the other one is None."""
    draw, blank = Draw(seed), case.answer()
    g_output = draw.uniform(blank.output.shape, scale).astype(case.x.dtype)
    finals = [draw.uniform(state.shape, scale).astype(case.x.dtype) for state in state_tuple(blank.h_n)]
    given = {"": (g_output, from_state_tuple(finals)), "output": (g_output, None),
             "h_n": (None, from_state_tuple(finals))}  # fmt: skip
    return replace(case, cotangents=given[only])


def gradient_case(name: str, *, layers: int = 1, direction: str = "forward", sizes: tuple[int, int] = (3, 4),
                  only: str = "", **words: Any) -> Case:  # fmt: skip
    """A case of one of SPECS with cotangents; words: of draw_case."""
    given = {"batch": 3, "time": 5, "h0": True, "seed": 3} | words
    return with_cotangents(draw_case(RNNSpec(*sizes, layers, direction, **SPECS[name]), **given), only=only)


Functions = Mapping[str, Callable[[Any], Any]]


def states_after(spec: RNNSpec, w: Mapping[str, np.ndarray], x: np.ndarray, states: list[np.ndarray],
                 functions: Functions) -> list[np.ndarray]:  # fmt: skip
    """The states after a step, by the equations as cells/ says them in words: arrays of any kind of number.

    x: (batch, features).  functions: sigmoid, tanh, relu, clip, each of an array.
    """
    sigmoid, tanh, clip = functions["sigmoid"], functions["tanh"], functions["clip"]
    gates = {"elman": 1, "gru": 3, "gru_reset_before": 3, "lstm": 4}[spec.cell]
    h, *hidden = states

    def rows(name: str) -> list[np.ndarray]:
        return np.split(w[name], gates) if name in w else [np.zeros(spec.hidden_size, int)] * gates

    w_ih, w_hh, b_ih, b_hh = map(rows, ("w_ih", "w_hh", "b_ih", "b_hh"))
    a = [x @ w_ih[k].T + b_ih[k] for k in range(gates)]
    u = [h @ w_hh[k].T + b_hh[k] for k in range(gates)]
    if spec.cell == "elman":
        return [functions[spec.nonlinearity](clip(a[0] + u[0]))]
    if spec.cell.startswith("gru"):
        r, z = sigmoid(a[0] + u[0]), sigmoid(a[1] + u[1])
        inner = r * u[2] if spec.cell == "gru" else (r * h) @ w_hh[2].T + b_hh[2]
        return [(1 - z) * tanh(a[2] + inner) + z * h]
    (c,) = hidden
    p_i, p_f, p_o = np.split(w["w_peephole"], 3) if spec.peepholes else [0] * 3
    i, g = sigmoid(clip(a[0] + u[0] + p_i * c)), tanh(clip(a[2] + u[2]))
    f = 1 - i if spec.input_forget else sigmoid(clip(a[1] + u[1] + p_f * c))
    new = f * c + i * g
    m = sigmoid(clip(a[3] + u[3] + p_o * new)) * tanh(new)
    return [m @ w["w_hr"].T if spec.projection_size else m, new]
