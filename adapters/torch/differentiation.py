"""The ways in which users of torch ask for gradients, each a function of a module and of what it is asked.

module: called with x and the initial states, it answers the output and the final states.  leaves: x, the initial
states, and then the module's weights, which require gradients.  g: of each answer a cotangent, or None.
Each answers what the module answered, and a gradient for each leaf.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

Several = Sequence[Any]
Answered = tuple[Several, Several]


def at_once(module: Any, leaves: Several, g: Several, **more: Any) -> Answered:
    """By torch.autograd.grad."""
    answers = _called(module, leaves)
    return answers, _found(answers, leaves, g, **more)


def create_graph(module: Any, leaves: Several, g: Several) -> Answered:
    """Of gradients that can be differentiated once more."""
    return at_once(module, leaves, g, create_graph=True)


def twice(module: Any, leaves: Several, g: Several) -> Answered:
    """Of the sum of all first gradients but those by biases, as a gradient penalty is differentiated."""
    answers, first = create_graph(module, leaves, g)
    total: Any = sum(one.sum() for one in first if one.dim() > 1)
    return answers, torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)


def accumulated(module: Any, leaves: Several, g: Several) -> Answered:
    """By backward, over two calls whose losses have half of the weight each: .grad has the sum."""
    answers: Several = ()
    for _ in range(2):
        answers = _called(module, leaves)
        outputs, given = _asked(answers, g)
        torch.autograd.backward(outputs, [one / 2 for one in given], inputs=list(leaves))
    return answers, [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]


def frozen_in_turn(module: Any, leaves: Several, g: Several) -> Answered:
    """Of every third leaf, where the others require no gradient; and of the next ones."""
    answers, found = (), [None] * len(leaves)
    for turn in range(3):
        for place, leaf in enumerate(leaves):
            leaf.requires_grad_(place % 3 == turn)
        answers = _called(module, leaves)
        found[turn::3] = _found(answers, leaves[turn::3], g)
    return answers, found


def vjp(module: Any, leaves: Several, g: Several) -> Answered:
    """By torch.func.vjp of torch.func.functional_call."""
    function, inputs, weights = _functional(module, leaves)
    answers, back, *_ = torch.func.vjp(function, inputs, weights)
    given = [torch.zeros_like(answer) if one is None else one for answer, one in zip(answers, g, strict=True)]
    by_inputs, by_weights = back(tuple(given))
    return answers, [*by_inputs, *by_weights]


def jacfwd(module: Any, leaves: Several, g: Several) -> Answered:
    """By torch.func.jacfwd, in forward mode, of the sum of all that is answered, weighted by the cotangents."""
    function, inputs, weights = _functional(module, leaves)

    def weighted(inputs: Several, weights: Several) -> Any:
        answers = function(inputs, weights)
        outputs, given = _asked(answers, g)
        return sum((output * one).sum() for output, one in zip(outputs, given, strict=True)), answers

    (by_inputs, by_weights), answers = torch.func.jacfwd(weighted, (0, 1), has_aux=True)(inputs, weights)
    return answers, [*by_inputs, *by_weights]


def _functional(module: Any, leaves: Several) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """The module as a function of its inputs and its weights, and these."""
    names = [name for name, _ in module.named_parameters()]

    def function(inputs: Several, weights: Several) -> Any:
        answers = torch.func.functional_call(module, dict(zip(names, weights, strict=True)), tuple(inputs))
        return tuple(answers)

    return function, tuple(leaves[: -len(names)]), tuple(leaves[-len(names) :])


def _called(module: Any, leaves: Several) -> Several:
    return module(*leaves[: -len([*module.parameters()])])


def _found(answers: Several, leaves: Several, g: Several, **more: Any) -> Several:
    outputs, given = _asked(answers, g)
    return torch.autograd.grad(outputs, leaves, given, allow_unused=True, materialize_grads=True, **more)


def _asked(answers: Several, g: Several) -> tuple[list[Any], list[Any]]:
    """The answers that have a cotangent, and these."""
    pairs = [(answer, one) for answer, one in zip(answers, g, strict=True) if one is not None]
    return [answer for answer, _ in pairs], [one for _, one in pairs]
