"""Other ways in which users call Paddle's layers than run does: those of ways.py, and of differentiation.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reference import Case
from reference.arguments import check_cotangents
from reference.judging.view import View

from ..contract import Idiom, Refusal, Result, result_of
from ..inputs import Inputs
from . import ways
from .differentiation import accumulated, at_once, create_graph, evaluated, frozen_in_turn, of_a_loss, twice
from .gradients import answer_of, gradients_of

TRAINS = ((("gradients", True),),)
WHOLE = {(("lengths", word),): "a part of a sequence has no length of its own" for word in ("mixed", "with zeros")}
BOTH = {(("direction", "bidirectional"),): "a half that runs backwards begins with the last part",
        (("direction", "reverse"),): "a layer that runs backwards begins with the last part"}  # fmt: skip
STEPS = {(("time", "0"),): "a loop over no steps has nothing to stack"}
ALONE = {(("direction", "reverse"),): "paddle.nn.RNN has a cell, whose weights have other names"}
ONCE = Refusal("RuntimeError", "The Op rnn_grad doesn't have any grad")
UNTYPED = {
    (("dtype", dtype), ("direction", "reverse")): Refusal("TypeError", "Check data type error for op: flip")
    for dtype in ("float16", "bfloat16")
}
# of the loop of paddle.nn.RNN, which is an LSTM's with a projection, too
UNTYPED |= {
    (("gradients", True), beside): Refusal("NotImplementedError", "(Unimplemented) Only support DenseTensorType")
    for beside in (("direction", "reverse"), ("projection", True))
}
ROUNDED = {(("dtype", "float64"),): "float32, between, would round its weights"}
NO_MORE: dict[Any, str] = {}
NARROW = dict.fromkeys(
    ((("dtype", "float16"),), (("dtype", "bfloat16"),)), "of so long a sum in 16 bits no bound says anything"
)
FORWARD = {(("gradients", False),): "it asks for gradients"}


def idioms(adapter: Any) -> dict[str, Idiom]:
    """Those of the adapter, by their words."""

    def called(way: Any = ways.called, by: Any = at_once, padding: Any = None) -> Callable[[Case, str], Result]:
        return lambda case, device: _answer(adapter, case, device, way, by, padding)

    def trained(says: str, by: Any, padding: float | None = None, way: Any = ways.called, more: Any = NO_MORE,
                **words: Any) -> Idiom:  # fmt: skip
        return Idiom(says, called(way, by, padding), without=FORWARD | more, answers=TRAINS, **words)

    return {
        "wrapped": Idiom("by paddle.nn.RNN and BiRNN around the cells", called(ways.wrapped), answers=TRAINS),
        "loop": Idiom("by a loop over the cells", called(ways.loop), without=STEPS, answers=TRAINS),
        "default dtype": Idiom("after paddle.set_default_dtype", called(ways.default_dtype)),
        "training": Idiom("in training, without dropout", called(ways.training)),
        "dropout": Idiom("with dropout, in eval(), where it has no effect", called(ways.dropout)),
        "in parts": Idiom("of a layer that was asked before, in two parts, with the states handed on",
                          called(ways.in_parts), without=WHOLE | BOTH, answers=TRAINS),
        "strided": Idiom("of x and states that are not contiguous", called(ways.strided), answers=TRAINS),
        "saved": Idiom("of weights that were saved, and set by set_state_dict", called(ways.saved)),
        "by name": Idiom("of weights that were set by the names in the documents, weight_ih_l0 and its kin",
                         called(ways.by_name), without=ALONE),
        "converted": Idiom("of a layer that was brought to another dtype, and back", called(ways.converted),
                           without=ROUNDED),
        "moved": Idiom("of a layer that was moved to the CPU", called(ways.moved)),
        "to_static": Idiom("by paddle.jit.to_static", called(ways.to_static), refused=UNTYPED, isolate=True,
                           compiles=True, answers=TRAINS),
        "accumulated": trained("for gradients by backward, over two calls of half the weight each", accumulated),
        "loss": trained("for gradients of one number, which is NaN where the padding of the output is in it",
                        of_a_loss, np.nan),
        "frozen": trained("for gradients where two of three arrays require none, in turn", frozen_in_turn),
        "create graph": trained("for gradients with create_graph=True", create_graph,
                                refused={(("gradients", True), ("direction", word)): ONCE
                                         for word in ("forward", "bidirectional")}),
        "differentiated twice": trained("for second derivatives, those of the sum of gradients, by paddle.nn.RNN and "
                                        "BiRNN around the cells", twice, way=ways.wrapped, more=NARROW,
                                        view=View(differentiation="twice")),
        "evaluated": trained("for gradients in eval()", evaluated),
    }  # fmt: skip


def _answer(adapter: Any, case: Case, device: str, way: Any, by: Any, padding: float | None) -> Result:
    layer = adapter.build(case.spec, case.parameters, device, layout=case.layout)
    known = adapter._known(layer)
    steps = None if case.lengths is None else np.atleast_1d(np.asarray(case.lengths)).astype(np.int64)
    inputs = Inputs(case.x, case.h0, steps, case.mask, case.layout, case.layout)
    if case.cotangents is None:
        return answer_of(layer, known, inputs, way)
    cotangents = check_cotangents(case.spec, case.x, case.layout, case.cotangents)
    return result_of(gradients_of(layer, known, inputs, cotangents, way, by, padding))
