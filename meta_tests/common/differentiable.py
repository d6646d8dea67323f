"""Simulated automatic differentiation, once and twice: every operation of it is rounded, those of a backward pass too.

Cells are written in it once more, and share no code with the reference. A machine decides which way each rounding goes,
in which order terms are added up, and by which formula a slope is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from reference import RNNSpec
from reference.bounds.arithmetic import ACTIVATION_UNITS, SIGMOID_UNITS

Back = Callable[["Var"], Sequence["Var | None"]]


@dataclass(frozen=True)
class Machine:
    """u: of each rounding.  rounding: "random", "random sign", "up" or "down".  slopes: (1 - y) (1 + y) in place of
    1 - y y, where it is True.  mix: the formula of the mix, 0 to 2.  wrong: the error that is planted; none if empty.
    """

    u: float
    seed: int
    rounding: str
    slopes: bool
    mix: int
    wrong: str = ""
    random: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "random", np.random.default_rng(self.seed))

    def round(self, exact: np.ndarray, units: float = 1.0) -> np.ndarray:
        shape, most = np.shape(exact), units * self.u / (1 + units * self.u)
        way = {"up": lambda: 1.0, "down": lambda: -1.0, "random": lambda: self.random.uniform(-1, 1, shape),
               "random sign": lambda: 2.0 * self.random.integers(0, 2, shape) - 1}[self.rounding]()  # fmt: skip
        return exact * (1 + most * way)


class Var:
    """An array, and how it came about.  operands, back: what it was made of, and what each is handed."""

    def __init__(self, machine: Machine, value: np.ndarray, operands: Sequence[Var] = (), back: Back | None = None):
        self.machine, self.value, self.operands, self.back = machine, value, operands, back

    def made(self, exact: np.ndarray, operands: Sequence[Var], back: Back, units: float = 1.0) -> Var:
        return Var(self.machine, self.machine.round(exact, units), operands, back)

    def moved(self, value: np.ndarray, back: Callable[[Var], Var]) -> Var:
        """Elements in other places: nothing is rounded."""
        return Var(self.machine, value, (self,), lambda g: (back(g),))

    def detached(self) -> Var:
        return Var(self.machine, self.value)

    def __add__(self, other: Var) -> Var:
        return self.made(self.value + other.value, (self, other), lambda g: (g, g))

    def __sub__(self, other: Var) -> Var:
        return self.made(self.value - other.value, (self, other), lambda g: (g, -g))

    def __neg__(self) -> Var:
        return self.moved(-self.value, lambda g: -g)

    def __mul__(self, other: Var) -> Var:
        return self.made(self.value * other.value, (self, other), lambda g: (g * other, g * self))

    def at(self, index: int | slice, axis: int = 0) -> Var:
        where = (slice(None),) * axis + (index,)

        def put(g: Var) -> Var:
            whole = np.zeros(self.value.shape)
            whole[where] = g.value
            return g.moved(whole, lambda h: h.at(index, axis))

        return self.moved(self.value[where], put)

    def turned(self) -> Var:
        return self.moved(self.value.T, lambda g: g.turned())

    def dot(self, weight: Var) -> Var:
        """Of (batch, features) and (units, features): terms are added up in an order of the machine's."""
        order = self.machine.random.permutation(self.value.shape[1])
        total = np.zeros((len(self.value), len(weight.value)))
        for n, k in enumerate(order):
            term = self.machine.round(self.value[:, k, None] * weight.value[:, k])
            total = term if n == 0 else self.machine.round(total + term)
        return Var(
            self.machine, total, (self, weight), lambda g: (g.dot(weight.turned()), g.turned().dot(self.turned()))
        )

    def rows(self, count: int) -> Var:
        """A bias for each sequence."""
        return self.moved(np.broadcast_to(self.value, (count, len(self.value))), lambda g: g.summed())

    def summed(self) -> Var:
        total, count = self.value[0], len(self.value)
        for row in self.value[1:]:
            total = self.machine.round(total + row)
        return self.moved(total, lambda g: g.rows(count))

    def one_less(self) -> Var:
        return self.made(1 - self.value, (self,), lambda g: (-g,))

    def tanh(self) -> Var:
        def back(g: Var) -> Sequence[Var]:
            y = answer.detached() if self.machine.wrong == "flat slopes" else answer
            return (g * y.one_less() * (-y).one_less(),) if self.machine.slopes else (g * (y * y).one_less(),)

        answer = self.made(np.tanh(self.value), (self,), back, ACTIVATION_UNITS["float32"] - 2)
        return answer

    def sigmoid(self) -> Var:
        def back(g: Var) -> Sequence[Var]:
            y = answer.detached() if self.machine.wrong == "flat slopes" else answer
            return (g * y * y.one_less(),) if self.machine.slopes else (g * (y - y * y),)

        answer = self.made(1 / (1 + np.exp(-self.value)), (self,), back, SIGMOID_UNITS["float32"] - 2)
        return answer


def gradients(answers: Sequence[Var], g: Sequence[Var], leaves: Sequence[Var]) -> list[Var]:
    """By each leaf, as Vars themselves; what is handed to one Var is added up as it comes."""
    handed: dict[int, Var] = {}
    for answer, one in zip(answers, g, strict=True):
        handed[id(answer)] = handed[id(answer)] + one if id(answer) in handed else one
    for var in reversed(_in_order(answers)):
        if var.back is None or id(var) not in handed:
            continue
        for operand, one in zip(var.operands, var.back(handed[id(var)]), strict=True):
            if one is not None:
                handed[id(operand)] = handed[id(operand)] + one if id(operand) in handed else one
    return [handed.get(id(leaf), Var(leaf.machine, np.zeros(leaf.value.shape))) for leaf in leaves]


def _in_order(answers: Sequence[Var]) -> list[Var]:
    """Each after all that it was made of."""
    seen, order = set[int](), list[Var]()
    stack = [(answer, False) for answer in answers]
    while stack:
        var, done = stack.pop()
        if done:
            order.append(var)
        elif id(var) not in seen:
            seen.add(id(var))
            stack += [(var, True), *((operand, False) for operand in var.operands)]
    return order


GATES = {"elman": 1, "gru": 3, "gru_reset_before": 3, "lstm": 4}


def layer(spec: RNNSpec, x: Var, states: Sequence[Var], weights: dict[str, Var]) -> tuple[list[Var], list[Var]]:
    """The outputs of all steps of one forward layer, and its final states.  x: (time, batch, features)."""
    machine, count, size = x.machine, x.value.shape[1], spec.hidden_size

    def of(name: str, v: Var, gate: int) -> Var:
        rows = slice(gate * size, (gate + 1) * size)
        total = v.dot(weights[f"w_{name}"].at(rows))
        return total + weights[f"b_{name}"].at(rows).rows(count) if spec.bias else total

    outputs, carried = [], list(states)
    for t in range(len(x.value)):
        x_t, h = x.at(t), carried[0]
        match spec.cell:
            case "elman":
                carried = [(of("ih", x_t, 0) + of("hh", h, 0)).tanh()]
            case "lstm":
                i, f, g, o = (of("ih", x_t, gate) + of("hh", h, gate) for gate in range(4))
                c = f.sigmoid() * carried[1] + i.sigmoid() * g.tanh()
                carried = [o.sigmoid() * c.tanh(), c.detached() if machine.wrong == "c detached" else c]
            case _:
                r, z = ((of("ih", x_t, gate) + of("hh", h, gate)).sigmoid() for gate in range(2))
                inner = r * of("hh", h, 2) if spec.cell == "gru" else of("hh", r * h, 2)
                n = (of("ih", x_t, 2) + inner).tanh()
                carried = [[z.one_less() * n + z * h, n + z * (h - n), h + z.one_less() * (n - h)][machine.mix]]
        outputs.append(carried[0])
    return outputs, carried
