"""Adapters that are there to be asked: they declare what a record's targets declare, and answer as the reference does,
but for what a finding leaves out in the record.

`python -m rnn_equivalence verify` runs the properties on them, in a process whose variable RNN_REDRAWN names a file of
targets, to see which questions the profile ci asks. The first is harness.question_adapters:T0, the second T1, ...
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from adapters import Capabilities, Result
from adapters.contract import Compiles, Idiom, Refused, cast_exactly, features_of, features_of_case, result_of
from evidence.record.lines import capabilities, idiom_of
from findings import all_findings
from reference import Case, CellParameters, Gradients, backward, forward
from reference.judging.gradients import probe
from reference.judging.partial import gradients_shown
from reference.judging.view import answer_of


class Redrawn:
    """An adapter of the reference with another's name, backend, device and capabilities."""

    version, framework = "0", None

    def __init__(self, told: dict[str, Any]) -> None:
        self.name, self.backend, self.device = told["adapter"], told["backend"], told["device"]
        self.compiles = told["compiles"] and Compiles(**told["compiles"])
        # what raises, so that findings that leave cases out are present here, too: their pinned cases, and no others
        left_out = (finding for finding in all_findings() if finding.id in told["left_out"])
        self.raising = [(finding, one) for finding in left_out for one in _asked(finding.case.case())]
        self.capabilities = capabilities(told["unsupported"], told["refused"], told["arithmetics"])
        self.idioms = {one["word"]: self._idiom(one) for one in told["idioms"]}

    def devices(self) -> tuple[str, ...]:
        return (self.device,)

    def build(
        self, spec: Any, parameters: Any, device: str = "cpu", dtype: str | None = None, mode: str = "eager"
    ) -> Any:
        return spec, list(cast_exactly(parameters, dtype)), mode

    def run(
        self, module: Any, x: Any, h0: Any = None, lengths: Any = None, layout: str = "batch_first", mask: Any = None
    ) -> Result:
        spec, parameters, mode = module
        asked = features_of(spec, x, h0, lengths, layout, mask=mask, mode=mode)
        self.capabilities.require(asked)
        self._refuse(self.capabilities, asked, parameters, x)
        return Result(*forward(spec, parameters, x, h0, lengths, layout, mask))

    def gradients(self, module: Any, x: Any, h0: Any = None, lengths: Any = None, layout: str = "batch_first",
                  mask: Any = None, cotangents: Any = None) -> Gradients:  # fmt: skip
        spec, parameters, mode = module
        asked = features_of(spec, x, h0, lengths, layout, mask=mask, mode=mode, gradients=True)
        self.capabilities.require(asked)
        self._refuse(self.capabilities, asked, parameters, x)
        return backward(spec, parameters, x, h0, lengths, layout, mask, cotangents)

    def _idiom(self, line: dict[str, Any]) -> Idiom:
        def answer(case: Case, device: str) -> Result:
            self._refuse(
                idiom.narrowed(self.capabilities), features_of_case(case), case.parameters, case.x, line["word"]
            )
            if case.cotangents is not None:
                return result_of(gradients_shown(idiom.view, case))
            return Result(*answer_of(idiom.view, case, *case.answer()))

        idiom = idiom_of(line, answer)
        return idiom

    def _refuse(self, offered: Capabilities, asked: dict[str, Any], parameters: Any, x: Any, idiom: str = "") -> None:
        """Raise where an answer is refused; and where the case is pinned, not where it only has a finding's features:
        of a stack each layer is asked alone, too."""
        if said := offered.refusal(asked):
            raise Refused(str(said))
        for finding, case in self.raising:
            alike = case.x.shape == x.shape and [*map(_bytes, case.parameters)] == [*map(_bytes, parameters)]
            if alike and finding.holds(asked, idiom):
                raise RuntimeError("as wrong as the finding says: its cases are left out")

    def set_weights(self, module: Any, parameters: Any) -> None:
        module[1][:] = parameters

    def read(self, module: Any) -> Any:
        return module[:2]


def _asked(case: Case) -> tuple[Case, ...]:
    """A case, and the one by which its gradients are asked."""
    return (case,) if case.cotangents is None else (case, probe(case))


def _bytes(track: CellParameters) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in track.arrays().items()}


@cache
def _told() -> list[dict[str, Any]]:
    return json.loads(Path(os.environ["RNN_REDRAWN"]).read_text(encoding="utf-8"))


def __getattr__(name: str) -> Any:
    if not name.startswith("T") or not name[1:].isdecimal() or "RNN_REDRAWN" not in os.environ:
        raise AttributeError(name)
    return lambda: Redrawn(_told()[int(name[1:])])
