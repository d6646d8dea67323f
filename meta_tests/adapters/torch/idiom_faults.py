"""Faults of torch that show in one idiom alone."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from meta_tests.common.idiom_faults import Planted

Patch = pytest.MonkeyPatch


def narrowed_by(precision: str) -> Callable[[Patch], None]:
    """The layer reads x in bfloat16 at a float32 matmul precision; at first it is "default"."""

    def plant(patch: Patch) -> None:
        torch: Any = import_module("torch")
        now, forward = ["default"], torch.nn.RNN.forward

        def narrow(layer: Any, x: Any, hx: Any = None) -> Any:
            data = x if isinstance(x, torch.Tensor) else x.data
            rounded = data.bfloat16().to(data.dtype)
            given = rounded if data is x else x._replace(data=rounded)
            return forward(layer, given if now[0] == precision else x, hx)

        patch.setattr("torch.nn.RNN.forward", narrow)
        patch.setattr("torch.get_float32_matmul_precision", lambda: now[0])
        patch.setattr("torch.set_float32_matmul_precision", lambda new: now.__setitem__(0, new))

    return plant


def no_memory(patch: Patch) -> None:
    forward = import_module("torch").nn.RNNCell.forward
    patch.setattr("torch.nn.RNNCell.forward", lambda cell, x, hx=None: forward(cell, x, None))


def one_step_less(patch: Patch) -> None:
    """Those that import pack_padded_sequence by its name keep the right one."""
    pack = import_module("torch.nn.utils.rnn").pack_padded_sequence

    def short(x: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> Any:
        shorter = [max(length - 1, 1) for length in lengths] if enforce_sorted else lengths
        return pack(x, shorter, batch_first, enforce_sorted)

    patch.setattr("torch.nn.utils.rnn.pack_padded_sequence", short)


def order_forgotten(patch: Patch) -> None:
    sequences = import_module("torch.nn.utils.rnn")
    to = sequences.PackedSequence.to
    plain = lambda packed: sequences.PackedSequence(packed.data, packed.batch_sizes)  # noqa: E731
    patch.setattr(
        "torch.nn.utils.rnn.PackedSequence.to", lambda packed, *how, **words: plain(to(packed, *how, **words))
    )


def state_kept(patch: Patch) -> None:
    """A layer without hx goes on from its own last state."""
    forward = import_module("torch").nn.RNN.forward

    def call(layer: Any, x: Any, hx: Any = None) -> Any:
        output, vars(layer)["last"] = forward(layer, x, vars(layer).get("last") if hx is None else hx)
        return output, vars(layer)["last"]

    patch.setattr("torch.nn.RNN.forward", call)


def own_state_dropped(patch: Patch) -> None:
    """A state that the layer itself answered is taken for zeros."""
    forward = import_module("torch").nn.RNN.forward

    def call(layer: Any, x: Any, hx: Any = None) -> Any:
        output, vars(layer)["last"] = forward(layer, x, None if hx is vars(layer).get("last") else hx)
        return output, vars(layer)["last"]

    patch.setattr("torch.nn.RNN.forward", call)


def read_as_contiguous(which: int) -> Callable[[Patch], None]:
    """which: 0 for x, 1 for hx."""

    def plant(patch: Patch) -> None:
        torch: Any = import_module("torch")
        forward = torch.nn.RNN.forward

        def packed(one: Any) -> Any:
            if not isinstance(one, torch.Tensor):
                return one and one._replace(data=packed(one.data))
            known = torch._C._functorch.is_functorch_wrapped_tensor(one)
            return one if known else one.as_strided(one.shape, torch.empty(one.shape).stride())

        def call(layer: Any, x: Any, hx: Any = None) -> Any:
            return forward(layer, packed(x) if which == 0 else x, packed(hx) if which == 1 else hx)

        patch.setattr("torch.nn.RNN.forward", call)

    return plant


def read_layer_of_zeros(patch: Patch) -> None:
    torch: Any = import_module("torch")
    load = torch.load

    def zeros(file: Any, **words: Any) -> Any:
        read = load(file, **words)
        if isinstance(read, torch.nn.RNN):
            for weight in read.parameters():
                weight.zero_()
        return read

    patch.setattr("torch.load", zeros)


def stale_weights(patch: Patch) -> None:
    """As it was before torch 2.0: https://github.com/pytorch/pytorch/issues/90500."""
    patch.setattr("torch.nn.RNNBase._weights_have_changed", lambda layer: False)


def assigned_transposed(patch: Patch) -> None:
    load = import_module("torch").nn.RNN.load_state_dict

    def transposed(layer: Any, state: Any, strict: bool = True, assign: bool = False) -> Any:
        turned = {name: weight.T if assign and "weight_hh" in name else weight for name, weight in state.items()}
        return load(layer, turned, strict, assign)

    patch.setattr("torch.nn.RNN.load_state_dict", transposed)


def not_computed(patch: Patch) -> None:
    patch.setattr("torch.nn.utils.parametrize.ParametrizationList.forward", lambda weight: weight.original)


def not_pruned(patch: Patch) -> None:
    patch.setattr("torch.nn.utils.prune.Identity.compute_mask", lambda method, weight, mask: 0 * mask)


def last_first(patch: Patch) -> None:
    """vmap answers, and gives each sequence the answer of another."""
    torch: Any = import_module("torch")

    def vmap(called: Any, in_dims: Any, out_dims: Any) -> Any:
        def of_each(weights: Any, x: Any, h0: Any) -> Any:
            first = {name: weight[0] for name, weight in weights.items() if len(weight)}
            rows = [called(first, row, None if h0 is None else h0[:, number])
                    for number, row in enumerate(x.unbind(in_dims[1]))]  # fmt: skip
            return tuple(
                torch.stack(one[::-1], axis) for one, axis in zip(zip(*rows, strict=True), out_dims, strict=True)
            )

        return of_each

    patch.setattr("torch.func.vmap", vmap)


def negated(name: str) -> Callable[[Patch], None]:
    """What a function of torch makes of a layer answers for -x; it takes any sizes."""

    def plant(patch: Patch) -> None:
        class Made:
            def __init__(self, layer: Any) -> None:
                self.layer = layer

            def run_decompositions(self) -> Made:
                return self

            def module(self) -> Any:
                return lambda x, hx=None: self.layer(-x, hx)

        patch.setattr(name, lambda layer, *given, **words: Made(layer))

    return plant


def compiled_negated(patch: Patch) -> None:
    def made(layer: Any, **words: Any) -> Any:
        return lambda x, hx=None: layer(x._replace(data=-x.data) if hasattr(x, "batch_sizes") else -x, hx)

    patch.setattr("torch.compile", made)


def grad_replaced(patch: Patch) -> None:
    autograd = import_module("torch").autograd
    backward = autograd.backward

    def fresh(*given: Any, inputs: Any = (), **words: Any) -> None:
        for leaf in inputs:
            leaf.grad = None
        backward(*given, inputs=inputs, **words)

    patch.setattr("torch.autograd.backward", fresh)


def input_frozen_with_a_weight(patch: Patch) -> None:
    forward = import_module("torch").nn.RNN.forward

    def detached(layer: Any, x: Any, hx: Any = None) -> Any:
        frozen = (
            layer.training and not layer.weight_ih_l0.requires_grad and isinstance(x, import_module("torch").Tensor)
        )
        return forward(layer, x.detach() if frozen else x, hx)

    patch.setattr("torch.nn.RNN.forward", detached)


def doubled_with_a_graph(patch: Patch) -> None:
    grad = import_module("torch").autograd.grad

    def twice(*given: Any, create_graph: bool = False, **words: Any) -> Any:
        found = grad(*given, create_graph=create_graph, **words)
        return [2 * one for one in found] if create_graph else found

    patch.setattr("torch.autograd.grad", twice)


def half_without_a_graph(patch: Patch) -> None:
    """Gradients that are right, and depend on what they are made of by half of it."""
    grad = import_module("torch").autograd.grad

    def detached(*given: Any, create_graph: bool = False, **words: Any) -> Any:
        found = grad(*given, create_graph=create_graph, **words)
        return [(one + one.detach()) / 2 for one in found] if create_graph else found

    patch.setattr("torch.autograd.grad", detached)


def vjp_negated(patch: Patch) -> None:
    vjp = import_module("torch").func.vjp

    def negated(*given: Any, **words: Any) -> Any:
        answer, back = vjp(*given, **words)
        return answer, lambda g: back(tuple(-one for one in g))

    patch.setattr("torch.func.vjp", negated)


def jacfwd_negated(patch: Patch) -> None:
    jacfwd = import_module("torch").func.jacfwd

    def negated(*given: Any, **words: Any) -> Any:
        def asked(*arguments: Any) -> Any:
            (by_inputs, by_weights), answers = jacfwd(*given, **words)(*arguments)
            return ([-one for one in by_inputs], by_weights), answers

        return asked

    patch.setattr("torch.func.jacfwd", negated)


PLANTED = {
    "as it comes": (Planted("products of float32 are narrow by default", narrowed_by("default")),),
    "medium": (Planted("products of float32 are narrow at medium", narrowed_by("medium")),),
    "cells": (Planted("a cell forgets its state", no_memory),),
    "sorted": (Planted("sorted sequences lose their last step", one_step_less),),
    "list": (Planted("a packed sequence forgets its order where its dtype changes", order_forgotten),),
    "in parts": (
        Planted("a layer that was asked goes on from its last state", state_kept),
        Planted("a state that is handed on is dropped", own_state_dropped),
    ),
    "strided": (
        Planted("x is read as if it were contiguous", read_as_contiguous(0)),
        Planted("hx is read as if it were contiguous", read_as_contiguous(1)),
    ),
    "functional call": (Planted("a layer does not see that its weights were exchanged", stale_weights),),
    "assigned": (
        Planted("weights that are assigned are transposed", assigned_transposed),
        Planted("a layer that is read whole has weights of zeros", read_layer_of_zeros),
    ),
    "computed weights": (
        Planted("a parametrized weight is the kept one", not_computed),
        Planted("pruning of nothing prunes all", not_pruned),
    ),
    "vmap": (Planted("the answers stand in the wrong order", last_first),),
    "dynamic batch": (Planted("an exported layer answers for -x", negated("torch.export.export")),),
    "dynamic steps": (Planted("an exported layer answers for -x", negated("torch.export.export")),),
    "compiled": (Planted("a compiled layer answers for -x", compiled_negated),),
    "accumulated": (Planted(".grad has the last call's gradient alone", grad_replaced),),
    "frozen": (Planted("x has no gradient where the weight that it meets is frozen", input_frozen_with_a_weight),),
    "create graph": (Planted("gradients that can be differentiated are doubled", doubled_with_a_graph),),
    "vjp": (Planted("torch.func.vjp goes back with -g", vjp_negated),),
    "jacfwd": (Planted("torch.func.jacfwd answers -dx", jacfwd_negated),),
    "differentiated twice": (Planted("half of a gradient has no graph", half_without_a_graph),),
}
