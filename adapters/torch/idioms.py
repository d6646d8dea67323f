"""Other ways in which users call torch's layers than run does: those of ways.py, and settings that run replaces."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from reference import Case
from reference.arguments import check_cotangents
from reference.judging.view import View
from reference.layout import each_state

from ..contract import Idiom, Refusal, Result, result_of
from ..inputs import Inputs
from . import ways
from .differentiation import accumulated, at_once, create_graph, frozen_in_turn, jacfwd, twice, vjp
from .gradients import asked_of, differentiated
from .models import flipped
from .modes import Answer
from .read import array_of
from .settings import settings
from .tensors import states, tensor

LENGTHS = (("lengths", "mixed"), ("lengths", "with zeros"))
NOTHING_PACKED = {(("batch", "0"),): Refusal("RuntimeError", "Cannot pack empty tensors")}
NO_LIST = {(("batch", "0"),): Refusal("RuntimeError", "received an empty list of sequences")}
# what packs sequences has no place in a function that torch.func transforms
NO_STORAGE = {(("gradients", True), lengths): Refusal("RuntimeError", "Cannot access data pointer of Tensor")
              for lengths in LENGTHS}  # fmt: skip
NO_MORE: dict[Any, str] = {}
NARROW = dict.fromkeys(
    ((("dtype", "float16"),), (("dtype", "bfloat16"),)), "of so long a sum in 16 bits no bound says anything"
)
# what has no formula in forward mode
NO_TANGENTS = {
    **{(("gradients", True), one): Refusal("NotImplementedError", "Trying to use forward AD with _pack_padded_sequence")
       for one in LENGTHS},
    (("gradients", True), ("cell", "lstm"), ("dtype", "float32")):
        Refusal("NotImplementedError", "Trying to use forward AD with mkldnn_rnn_layer"),
}  # fmt: skip


def idioms(adapter: Any) -> dict[str, Idiom]:
    """Those of the adapter, by their words."""

    def with_settings(mode: str) -> Callable[[Case, str], Result]:
        def answer(case: Case, device: str) -> Result:
            known = adapter._known(adapter.build(case.spec, case.parameters, device))._replace(mode=mode)
            return adapter._run(known, _inputs(case))

        return answer

    def called(way: Callable[..., Any], by: Any = at_once) -> Callable[[Case, str], Result]:
        return lambda case, device: _answer(adapter, case, device, way, by)

    def trained(says: str, by: Any, more: Any = NO_MORE, **words: Any) -> Idiom:
        forward = {(("gradients", False),): "it asks for gradients"}
        return Idiom(says, called(ways.as_it_is, by), without=forward | more, answers=trains, **words)

    trains = ((("gradients", True),),)
    whole = {(feature,): "it takes tensors, and no packed sequences" for feature in LENGTHS}
    both = {(("direction", "bidirectional"),): "a half that runs backwards begins with the last part"}
    batched = {(("layout", "unbatched"),): "it goes over the axis of sequences, which there is none"}
    return {
        "as it comes": Idiom("with no setting touched, as torch is imported", with_settings("as it comes")),
        "medium": Idiom('after torch.set_float32_matmul_precision("medium")', with_settings("bfloat16_products")),
        "cells": Idiom("by a loop over torch.nn.RNNCell, GRUCell or LSTMCell", called(ways.loop_over_cells),
                       without={(("projection", True),): "torch.nn.LSTMCell has no projection"},
                       answers=((("mask", True),), (("time", "0"),), (("lengths", "with zeros"),),
                                (("lengths", "with zeros"), ("time", "0")), *trains)),
        "sorted": Idiom("by sequences that were sorted by length, with enforce_sorted=True and a list of lengths",
                        called(ways.sorted_by_length), refused=NOTHING_PACKED, answers=trains),
        "list": Idiom("by pack_sequence of a list, and unpack_sequence", called(ways.list_of_sequences),
                      refused=NO_LIST, answers=trains),
        "in parts": Idiom("of a layer that was asked before, in two parts, with the state handed on",
                          called(ways.in_parts), without=whole | both, answers=trains),
        "strided": Idiom("of x and h0 that are not contiguous", called(ways.strided), answers=trains),
        "functional call": Idiom("by torch.func.functional_call", called(ways.functional_call), answers=trains),
        "assigned": Idiom("of a layer that was made on the device meta and given its weights by "
                          "load_state_dict(assign=True), in float64, copied, converted, and saved whole",
                          called(ways.assigned)),
        "computed weights": Idiom("of a layer of pruned and parametrized weights", called(ways.computed_weights)),
        "vmap": Idiom("by torch.func.vmap over the modules of an ensemble", called(ways.vmap), without=whole | batched),
        "dynamic batch": Idiom("by torch.export for any number of sequences", called(ways.dynamic_batch),
                               without=whole | batched, isolate=True, compiles=True),
        "dynamic steps": Idiom("by torch.export for any number of steps", called(ways.dynamic_steps), without=whole,
                               isolate=True),
        "compiled": Idiom("by torch.compile with allow_rnn", called(ways.compiled), isolate=True, compiles=True,
                          answers=trains),
        "accumulated": trained("for gradients by backward, over two calls of half the weight each", accumulated),
        "frozen": trained("for gradients where two of three arrays require none, in turn", frozen_in_turn),
        "create graph": trained("for gradients with create_graph=True", create_graph),
        "vjp": trained("for gradients by torch.func.vjp", vjp, refused=NO_STORAGE),
        "jacfwd": trained("for gradients by torch.func.jacfwd, in forward mode", jacfwd, refused=NO_TANGENTS,
                          view=View(differentiation="forward"), more=NARROW),
        "differentiated twice": trained("for second derivatives, those of the sum of gradients", twice,
                                        view=View(differentiation="twice"), more=NARROW),
    }  # fmt: skip


def _inputs(case: Case) -> Inputs:
    steps = None if case.lengths is None else np.atleast_1d(np.asarray(case.lengths)).astype(np.int64)
    return Inputs(case.x, case.h0, steps, case.mask, case.layout, case.layout)


def _answer(adapter: Any, case: Case, device: str, way: Callable[..., Any], by: Any = at_once) -> Result:
    """Of a way that takes padded sequences and lengths, or which steps run; of another, sequences are packed.

    torch.nn.RNN has no reverse direction alone: each sequence is flipped before and after. Of which steps run, all are.
    by: how gradients are asked for, a function of differentiation.py.
    """
    spec, inputs, takes = case.spec, _inputs(case), {*inspect.signature(way).parameters}
    reverse = spec.direction == "reverse"
    if inputs.layout == "unbatched" and ("lengths" in takes or inputs.valid is not None):
        inputs = inputs.to("time_first")
    spec = replace(spec, direction="forward") if reverse else spec
    rnn = adapter.build(spec, case.parameters, device, layout=inputs.layout)
    rnn.train(case.cotangents is not None)
    steps: Any = None if inputs.lengths is None or "runs" in takes else torch.from_numpy(inputs.lengths)
    own = "lengths" in takes or steps is None or not len(steps)  # torch packs no empty batch
    ends = None if own else steps
    told = _told(takes, inputs, rnn.batch_first, reverse, device)

    def call(x: torch.Tensor, hx: Any) -> Answer:
        x = flipped(x, steps, rnn.batch_first) if reverse else x
        given = x if ends is None else pack_padded_sequence(x, ends, rnn.batch_first, enforce_sorted=False)
        output, h_n = way(rnn, given, hx, *told)
        if ends is not None:
            output, _ = pad_packed_sequence(output, rnn.batch_first, total_length=x.shape[1 if rnn.batch_first else 0])
        return flipped(output, steps, rnn.batch_first) if reverse else output, h_n

    with torch.set_grad_enabled(rnn.training), settings(device=device), torch.random.fork_rng(devices=[]):
        if case.cotangents is not None:
            cotangents = inputs.cotangents(check_cotangents(spec, case.x, case.layout, case.cotangents))
            found = differentiated(spec, asked_of(spec, inputs, device), rnn, call, cotangents, by)
            return result_of(inputs.gradients(found))
        output, h_n = call(tensor(inputs.x).to(device), states(inputs.h0, device))
    return inputs.result([array_of(output)], each_state(array_of, h_n))


def _told(takes: set[str], inputs: Inputs, batch_first: bool, reverse: bool, device: str) -> tuple[Any, ...]:
    """What a way takes beside x and h0."""
    if "lengths" in takes:
        return (None if inputs.lengths is None else inputs.lengths.tolist(),)
    if "runs" not in takes:
        return ()
    if inputs.valid is None:
        return (None,)
    runs = torch.from_numpy(np.array(inputs.valid.T if batch_first else inputs.valid)).to(device)
    return (runs.flip(0) if reverse else runs,)
