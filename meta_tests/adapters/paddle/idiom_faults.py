"""Faults of Paddle that show in one idiom alone."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from meta_tests.common.idiom_faults import Planted

Patch = pytest.MonkeyPatch
BASE, WRAPPER = "paddle.nn.layer.rnn.RNNBase.forward", "paddle.nn.layer.rnn.RNN.forward"


def paddle() -> Any:
    return import_module("paddle")


def negated_where(when: Callable[[Any, Any], bool], *where: str) -> Callable[[Patch], None]:
    """when: of a layer and x; its answer is then that to -x."""

    def plant(patch: Patch) -> None:
        for name in where or (BASE, WRAPPER):
            kind = getattr(import_module("paddle.nn.layer.rnn"), name.split(".")[-2])
            right = kind.forward
            patch.setattr(name, lambda layer, x, *more, right=right: right(layer, -x if when(layer, x) else x, *more))

    return plant


def halves_exchanged(patch: Patch) -> None:
    """Of cells without a projection: with one, run itself comes to a BiRNN."""
    right = paddle().nn.BiRNN.forward

    def forward(layer: Any, *given: Any) -> Any:
        output, finals = right(layer, *given)
        first, second = paddle().split(output, 2, -1)
        own = getattr(layer.cell_fw, "proj_size", 0)
        return output if own else paddle().concat([second, first], -1), finals

    patch.setattr("paddle.nn.BiRNN.forward", forward)


def no_memory_by_hand(patch: Patch) -> None:
    """A cell that no layer calls forgets its state."""
    inside, right = [False], import_module("paddle.nn.layer.rnn").rnn

    def rnn(*given: Any, **words: Any) -> Any:
        inside[0] = True
        try:
            return right(*given, **words)
        finally:
            inside[0] = False

    patch.setattr("paddle.nn.layer.rnn.rnn", rnn)
    for kind in (paddle().nn.SimpleRNNCell, paddle().nn.GRUCell):
        forward = kind.forward
        patch.setattr(kind, "forward", lambda cell, x, h, forward=forward: forward(cell, x, h if inside[0] else 0 * h))


def state_kept(patch: Patch) -> None:
    """A layer without initial states goes on from its own last ones."""
    base = import_module("paddle.nn.layer.rnn").RNNBase
    right = base.forward

    def forward(layer: Any, x: Any, states: Any = None, lengths: Any = None) -> Any:
        output, last = right(layer, x, vars(layer).get("last") if states is None else states, lengths)
        vars(layer)["last"] = last
        return output, last

    patch.setattr(BASE, forward)


def own_state_dropped(patch: Patch) -> None:
    """A state that the layer itself answered is taken for zeros."""
    base = import_module("paddle.nn.layer.rnn").RNNBase
    right = base.forward

    def forward(layer: Any, x: Any, states: Any = None, lengths: Any = None) -> Any:
        one = states[0] if isinstance(states, tuple) else states
        own = one is not None and one is vars(layer).get("last")
        output, last = right(layer, x, None if own else states, lengths)
        vars(layer)["last"] = last[0] if isinstance(last, tuple) else last
        return output, last

    patch.setattr(BASE, forward)


def read_as_zeros(patch: Patch) -> None:
    load = paddle().load
    patch.setattr("paddle.load", lambda *file: {name: 0 * weight for name, weight in load(*file).items()})


def names_exchanged(patch: Patch) -> None:
    """bias_ih_l0 is the name of bias_hh of the first layer."""

    def kept(layer: Any, weight: Any) -> None:
        layer._parameters["bias_ih_l0"] = weight

    shown = property(lambda layer: layer._parameters["bias_hh_l0"], kept)
    patch.setattr("paddle.nn.layer.rnn.RNNBase.bias_ih_l0", shown, raising=False)


def halved_when_cast(patch: Patch) -> None:
    to = paddle().nn.Layer.to

    def halved(layer: Any, **words: Any) -> Any:
        cast = to(layer, **words)
        for weight in cast.parameters():
            weight.set_value(weight / 2)
        return cast

    patch.setattr("paddle.nn.Layer.to", halved)


def static_negated(patch: Patch) -> None:
    def made(layer: Any, **words: Any) -> Any:
        layer.forward = lambda x, *more: type(layer).forward(layer, -x, *more)
        return layer

    patch.setattr("paddle.jit.to_static", made)


def every_other_backward(patch: Patch) -> None:
    backward, calls = paddle().autograd.backward, [0]

    def lost(*given: Any) -> None:
        calls[0] += 1
        if calls[0] % 2:
            backward(*given)

    patch.setattr("paddle.autograd.backward", lost)


def grad_doubled(when: Callable[..., bool]) -> Callable[[Patch], None]:
    """when: of what gradients are asked by, and of the words of the call."""

    def plant(patch: Patch) -> None:
        grad = paddle().grad

        def doubled(outputs: Any, inputs: Any, *given: Any, **words: Any) -> Any:
            found = grad(outputs, inputs, *given, **words)
            twice = when(inputs, *given, **words)
            return [one if one is None or not twice else 2 * one for one in found]

        patch.setattr("paddle.grad", doubled)

    return plant


DOUBLED = Planted(
    "gradients that can be differentiated are doubled",
    grad_doubled(lambda inputs, *given, create_graph=False, **words: create_graph),
)
PLANTED = {
    "wrapped": (Planted("the halves of a BiRNN are exchanged", halves_exchanged),),
    "loop": (Planted("a cell that is called by hand forgets its state", no_memory_by_hand),),
    "default dtype": (
        Planted(
            "a layer is wrong where float64 is the default",
            negated_where(lambda layer, x: paddle().get_default_dtype() == "float64"),
        ),
    ),
    "training": (
        Planted(
            "a layer in training is wrong where no gradients are asked",
            negated_where(lambda layer, x: layer.training and x.stop_gradient),
        ),
    ),
    "dropout": (Planted("dropout has an effect in eval()", negated_where(lambda layer, x: layer.dropout > 0, BASE)),),
    "in parts": (
        Planted("a layer that was asked goes on from its last state", state_kept),
        Planted("a state that is handed on is dropped", own_state_dropped),
    ),
    "strided": (
        Planted("x is read wrong where it is not contiguous", negated_where(lambda layer, x: not x.is_contiguous())),
    ),
    "saved": (Planted("weights that are read from a file are zeros", read_as_zeros),),
    "by name": (Planted("a bias has the name of the other", names_exchanged),),
    "converted": (Planted("weights are halved when they are cast", halved_when_cast),),
    "moved": (Planted("weights are halved when they are moved", halved_when_cast),),
    "to_static": (Planted("a layer that is made static answers for -x", static_negated),),
    "accumulated": (Planted("the second of two backward passes is lost", every_other_backward),),
    "loss": (Planted("gradients of one number are doubled", grad_doubled(lambda inputs, *given, **words: not given)),),
    "frozen": (
        Planted("gradients by a few arrays are doubled", grad_doubled(lambda inputs, *_, **words: len(inputs) <= 5)),
    ),
    **dict.fromkeys(("create graph", "differentiated twice"), (DOUBLED,)),
    "evaluated": (
        Planted(
            "a layer in eval() is wrong where gradients are asked",
            negated_where(lambda layer, x: not layer.training and not x.stop_gradient, WRAPPER),
        ),
    ),
}
