"""GRU and LSTM go from torch to Keras and back: what is read is what was there, and the answers are equal."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.contract import NotOffered
from reference import Case, RNNSpec, judge
from reference.draws import draw_case
from reference.layout import state_tuple
from tests.frameworks import framework_adapter

ROOT = Path(__file__).parents[3]
CELLS = ("gru", "lstm")
DIRECTIONS = ("forward", "bidirectional")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_torch_to_keras_and_back(cell: str, direction: str, bias: bool):
    torch, keras = framework_adapter("torch"), framework_adapter("keras")
    spec = RNNSpec(3, 5, 2, direction, bias=bias, cell=cell)
    case = draw_case(spec, batch=2, time=4, h0=True, rounded=True)  # whose biases have an exact sum
    there = torch.build(spec, case.parameters)
    ported, parameters = keras.read(keras.build(*torch.read(there)))
    again, back = torch.read(torch.build(ported, parameters))
    assert again == spec
    for drawn, read in zip(case.parameters, back, strict=True):
        given, found = drawn.arrays(), read.arrays()
        if bias and cell == "lstm":
            given |= {"b_ih": given["b_ih"] + given["b_hh"], "b_hh": np.zeros_like(given["b_hh"])}
        assert given.keys() == found.keys()
        for name, array in given.items():
            assert np.array_equal(found[name], array), name
    first, last = (torch.run(one, case.x, case.h0) for one in (there, torch.build(again, back)))
    assert np.array_equal(first.output, last.output)
    for one, other in zip(state_tuple(first.h_n), state_tuple(last.h_n), strict=True):
        assert np.array_equal(one, other)
    model = keras.build(ported, parameters)
    verdict = judge(Case(ported, parameters, case.x, case.h0), *keras.run(model, case.x, case.h0)[:2])
    assert verdict.outcome == "agrees", verdict


def test_a_gru_that_resets_before_has_no_place_in_torch():
    keras, torch = framework_adapter("keras"), framework_adapter("torch")
    case = draw_case(RNNSpec(3, 5, cell="gru_reset_before"), batch=2, time=4)
    with pytest.raises(NotOffered, match="cell gru_reset_before"):
        torch.build(*keras.read(keras.build(case.spec, case.parameters)))


def port_and_judge(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run a document's blocks of Python, and the commands that judge, as they stand; what the blocks printed."""
    pytest.importorskip("click")
    from meta_tests.common import command

    for name in ("torch", "keras"):
        framework_adapter(name)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / document).read_text(encoding="utf-8")
    given: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            exec(block, given)
    judged = re.findall(r"^python -m rnn_equivalence (judge .*)$", text, re.MULTILINE)
    assert judged
    for line in judged:
        assert command.main(shlex.split(line)) == 0, line
    return printed.getvalue().splitlines()


@pytest.mark.filterwarnings("ignore")
def test_the_port_in_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """It prints that all bits are the same after both ports; and torch's layer and Keras' are the same function."""
    assert port_and_judge("README.md", tmp_path, monkeypatch) == ["True"]


@pytest.mark.filterwarnings("ignore")
def test_the_guide_to_porting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """After one port the answers differ by a rounding."""
    same, difference, judged = port_and_judge("docs/porting.md", tmp_path, monkeypatch)
    assert same == "True"
    assert 0 <= float(difference) < 2**-20
    assert judged.startswith("agrees by the step bound of float64")
