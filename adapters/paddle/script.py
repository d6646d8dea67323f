"""Paddle's part of a stand-alone script: its layers as their own user writes them. It imports no Paddle here."""

from __future__ import annotations

from pathlib import Path

from reference import Case

from ..contract import NotOffered
from ..scripts.script import ON_CPU, script
from ..torch.script import function

TEMPLATE = Path(__file__).with_suffix(".txt")
WAYS, GRADIENTS = Path(__file__).with_name("ways.py"), Path(__file__).with_name("differentiation.py")
LAYERS = {"elman": "SimpleRNN", "gru": "GRU", "lstm": "LSTM"}
# idiom -> the function of ways.py by which it calls; the one of differentiation.py by which it asks for gradients
CALLED = {"eager": "called", "by name": "by_name", "default dtype": "default_dtype", "in parts": "in_parts",
          **{word: word for word in ("wrapped", "loop", "training", "dropout", "strided", "saved", "converted",
                                     "moved", "to_static")}}  # fmt: skip
ASKED = {"frozen": "frozen_in_turn", "create graph": "create_graph", "evaluated": "evaluated",
         "accumulated": "accumulated", "loss": "of_a_loss"}  # fmt: skip


def paddle_script(case: Case, device: str = "cpu", way: str = "eager") -> str:
    """The script of a case for Paddle's layers on the CPU; ValueError elsewhere.  way: "eager", or an idiom."""
    if way not in (*CALLED, *ASKED):
        raise NotOffered(f"way {way}: of Paddle a script is written of {', '.join((*CALLED, *ASKED))}")
    called, by = CALLED.get(way, "called"), ASKED.get(way, "at_once")
    text = function(WAYS, called)
    if "def cells_of" not in text:
        text = f"{function(WAYS, 'cells_of')}\n\n\n{text}"
    if case.cotangents is not None:
        text = f"{text}\n\n\n{function(GRADIENTS, by)}"
    kind, one = f"paddle.nn.{LAYERS.get(case.spec.cell)}", case.layout == "unbatched"
    return script(case, TEMPLATE, kind, "paddlepaddle", device, ON_CPU, cells=tuple(LAYERS), layer=kind,
                  cell=f"{kind}Cell", functions=text, called=called, by=by, to="[None]" if one else "",
                  back="[0]" if one else "", copy="copy." in text, tempfile="tempfile." in text,
                  loss=by == "of_a_loss")  # fmt: skip
