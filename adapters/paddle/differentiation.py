"""The ways in which users of Paddle ask for gradients, each a function of a layer and of what it is asked.

layer: whose weights are among the leaves.  call: it answers the output and the final states.  leaves: tensors that take
gradients.  g: of each answer a cotangent, or None.  Each answers what the layer answered, and a gradient for each leaf,
None where nothing depends on it.
"""

from __future__ import annotations

from typing import Any

import paddle


def at_once(layer: Any, call: Any, leaves: Any, g: Any, create_graph: Any = False) -> Any:
    """By paddle.grad."""
    answers = call()
    outputs, given = asked(answers, g)
    return answers, paddle.grad(outputs, list(leaves), given, allow_unused=True, create_graph=create_graph)


def create_graph(layer: Any, call: Any, leaves: Any, g: Any) -> Any:
    """Of gradients that can be differentiated once more."""
    return at_once(layer, call, leaves, g, create_graph=True)


def twice(layer: Any, call: Any, leaves: Any, g: Any) -> Any:
    """Of the sum of all first gradients but those by biases."""
    answers, first = create_graph(layer, call, leaves, g)
    total = sum(one.sum() for one in first if one is not None and one.ndim > 1)
    return answers, paddle.grad(total, list(leaves), allow_unused=True)


def evaluated(layer: Any, call: Any, leaves: Any, g: Any) -> Any:
    """Of a layer in eval(), as one that is not trained itself."""
    layer.eval()
    return at_once(layer, call, leaves, g)


def accumulated(layer: Any, call: Any, leaves: Any, g: Any) -> Any:
    """By backward, over two calls whose losses have half of the weight each: .grad has the sum."""
    answers = ()
    for _ in range(2):
        answers = call()
        outputs, given = asked(answers, g)
        paddle.autograd.backward(outputs, [one / 2 for one in given])
    return answers, [leaf.grad for leaf in leaves]


def of_a_loss(layer: Any, call: Any, leaves: Any, g: Any) -> Any:
    """Of one number, in which each answer has its cotangent as a weight."""
    answers = call()
    loss = sum((answer * one).sum() for answer, one in zip(*asked(answers, g), strict=True))
    return answers, paddle.grad(loss, list(leaves), allow_unused=True)


def frozen_in_turn(layer: Any, call: Any, leaves: Any, g: Any) -> Any:
    """Of every third leaf, where the others take no gradient; and of the next ones."""
    answers, found = (), list(leaves)
    for turn in range(3):
        for place, leaf in enumerate(leaves):
            leaf.stop_gradient = place % 3 != turn
        answers = call()
        outputs, given = asked(answers, g)
        found[turn::3] = paddle.grad(outputs, list(leaves[turn::3]), given, allow_unused=True)
    return answers, found


def asked(answers: Any, g: Any) -> Any:
    """The answers that have a cotangent, and these."""
    pairs = [(answer, one) for answer, one in zip(answers, g, strict=True) if one is not None]
    return [answer for answer, _ in pairs], [one for _, one in pairs]
