"""Scripts of cells with gates: the equations are the reference's, and torch is asked what the adapter asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.scripts.script import script
from adapters.torch.script import torch_script
from meta_tests.common.frameworks import framework_adapter
from reference import DIRECTIONS, LAYOUTS, Case, RNNSpec, judge
from reference.draws import draw_case
from reference.layout import from_state_tuple, state_tuple

from .test_script import execute

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")
CELLS: dict[str, tuple[str, dict[str, Any]]] = {
    "gru": ("gru", {}),
    "reset before": ("gru_reset_before", {}),
    "lstm": ("lstm", {}),
    "projection": ("lstm", {"projection_size": 2}),
    "peepholes": ("lstm", {"peepholes": True}),
    "input_forget": ("lstm", {"input_forget": True}),
    "clip": ("lstm", {"clip": 0.25, "peepholes": True}),
}
IN_TORCH = ("gru", "lstm", "projection")


def case_of(name: str, direction: str = "bidirectional", layout: str = "batch_first", **more: Any) -> Case:
    cell, variant = CELLS[name]
    spec = RNNSpec(3, 4, 2, direction, bias=more.pop("bias", True), cell=cell, **variant)
    return draw_case(spec, batch=1 if layout == "unbatched" else 3, time=4, layout=layout, h0=True, seed=5, **more)


@pytest.mark.parametrize("more", [{}, {"bias": False}, {"lengths": (4, 1, 2)}, {"mask": True}], ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_the_equations_are_the_references(name: str, more: dict[str, Any], tmp_path: Path) -> None:
    case = case_of(name, dtype="float64", weight_scale=2.0, **more)
    template = tmp_path / "native.txt"
    template.write_text("actual = {}")
    names, code, printed = execute(script(case, template, "none", "none", "cpu", cells=(case.spec.cell,)))
    assert code == 0, printed
    output, *finals = [names["expected"][one] for one in ("output", "h_n", "c_n") if one in names["expected"]]
    verdict = judge(case, output, from_state_tuple(finals))
    assert verdict.outcome == "agrees", verdict


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", IN_TORCH)
def test_torch_is_asked_what_the_adapter_asks(name: str, direction: str, layout: str) -> None:
    lengths = (3,) if layout == "unbatched" else (4, 1, 2)
    case, adapter = case_of(name, direction, layout, lengths=lengths), framework_adapter("torch")
    text = torch_script(case)
    names, code, printed = execute(text)
    assert code == 0, printed
    answer = adapter.run(adapter.build(case.spec, case.parameters), **case.inputs)
    for one, other in zip(names["actual"].values(), (answer.output, *state_tuple(answer.h_n)), strict=True):
        assert np.array_equal(one, other.astype(np.float64))
    assert execute(text.replace("bias_hh_l0.copy_", "bias_hh_l0.add_"))[1] == 1


@pytest.mark.parametrize("way", ["cells", "sorted", "list", "in parts", "strided", "functional call", "assigned"])
@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_an_idiom_is_asked_what_the_adapter_asks(name: str, way: str) -> None:
    case, adapter = case_of(name, "forward"), framework_adapter("torch")
    names, code, printed = execute(torch_script(case, "cpu", way))
    assert code == 0, printed
    answer = getattr(adapter, "idioms")[way].answer(case, "cpu")  # noqa: B009 (not every adapter has them)
    for one, other in zip(names["actual"].values(), (answer.output, *state_tuple(answer.h_n)), strict=True):
        assert np.array_equal(one, other.astype(np.float64))


def test_a_cell_that_the_template_has_no_layer_of_is_refused() -> None:
    with pytest.raises(ValueError, match="cell: got 'gru_reset_before', expected one of elman, gru, lstm"):
        torch_script(case_of("reset before"))
