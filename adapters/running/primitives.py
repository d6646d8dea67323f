"""A framework's own product and activations, asked what a case's first track would ask them."""

from __future__ import annotations

import numpy as np

from reference import Case
from reference.bounds.arithmetic import arithmetic as arithmetic_of
from reference.judging.primitives import PrimitiveVerdict, judge_activation, judge_product
from reference.layout import sequence_to_time_first
from reference.spec import GATED

from ..contract import Adapter
from .guard import warnings_shown
from .trial import asked_of


def primitive_verdicts(
    adapter: Adapter, case: Case, device: str, arithmetic: str | None = None
) -> list[PrimitiveVerdict]:
    """What is said of the products w_ih x and w_hh h, and of the activations of their sum, each by itself.

    Empty where the adapter has no dense or no activation of its own: a user's need not have them.
    arithmetic: of a finding, by which they are judged, in whatever dtype they answer; the declared one when None.
    """
    dense, activation = getattr(adapter, "dense", None), getattr(adapter, "activation", None)
    refusal, declared = asked_of(adapter, case, device, "eager")
    declared = arithmetic or declared
    if dense is None or activation is None or refusal or not case.x.size:
        return []
    cell, words = case.parameters[0], ("sigmoid", "tanh") if case.spec.cell in GATED else (case.spec.nonlinearity,)
    x = np.ascontiguousarray(sequence_to_time_first(case.x, case.layout)).reshape(-1, case.spec.input_size)
    states = sequence_to_time_first(case.prefix(1).answer().output, case.layout)[..., case.spec.half(0)]
    h = np.ascontiguousarray(states).reshape(-1, case.spec.state_size)
    none = np.zeros(len(cell.w_ih), x.dtype)
    b_ih, b_hh = (none if bias is None else bias for bias in (cell.b_ih, cell.b_hh))
    operands = (cell.w_ih, b_ih, x), (cell.w_hh, b_hh, h)
    with warnings_shown():
        answered = [dense(*operand, device) for operand in operands]
        if arithmetic is not None:
            answered = [product.astype(x.dtype) for product in answered]
        products = [(*operand, product) for operand, product in zip(operands, answered, strict=True)]
        a = np.add(*(product[-1] for product in products)).astype(x.dtype)
        if (judged := arithmetic_of(declared)).narrow:  # alone, the activation is asked what the layer would ask it
            a = a.astype(judged.computed).astype(x.dtype)
        activated = {word: activation(a, word, device) for word in words}
        if arithmetic is not None:
            activated = {word: answer.astype(a.dtype) for word, answer in activated.items()}
    return [
        *(judge_product(*product, declared) for product in products),
        *(judge_activation(a, word, answer, declared) for word, answer in activated.items()),
    ]
