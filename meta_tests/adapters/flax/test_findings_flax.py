"""What Flax gets wrong or refuses: docs/findings.md, pinned.

A test that fails here says that Flax has changed: strike the finding, and widen the adapter's capabilities.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meta_tests.adapters.scripts.test_script import run_alone
from meta_tests.common.frameworks import array_of, framework_adapter
from reference import RNNSpec, judge
from reference.draws import draw_case


@pytest.fixture
def nnx() -> Any:
    return framework_adapter("flax").framework.nnx


@pytest.mark.parametrize("reverse", [False, True])
def test_the_carry_of_a_length_of_0_is_that_of_the_last_padded_step(nnx: Any, reverse: bool) -> None:
    """Its sequence has no step, so the carry is the initial one; Flax answers one that the padding made."""
    spec = RNNSpec(3, 5, direction="reverse" if reverse else "forward")
    case = draw_case(spec, batch=3, time=4, h0=True, lengths=(4, 0, 3))
    adapter = framework_adapter("flax")
    layer = adapter.build(spec, case.parameters)
    assert case.h0 is not None
    carry, output = layer(
        case.x, initial_carry=case.h0[0], seq_lengths=np.array([4, 0, 3]), return_carry=True, keep_order=False
    )
    h_n, output = array_of(carry), array_of(output)
    assert np.array_equal(h_n[1], output[1, -1]), "the last step that was taken, in processing order"
    assert not np.array_equal(h_n[1], case.h0[0, 1])
    expected = case.answer()
    verdict = judge(case, expected.output, h_n[None])
    assert verdict.outcome == "disagrees", verdict
    h_n[1] = case.h0[0, 1]
    verdict = judge(case, expected.output, h_n[None], bound="trajectory")
    assert verdict.outcome == "agrees", verdict


def test_a_script_alone_shows_it(tmp_path: Path) -> None:
    adapter: Any = framework_adapter("flax")
    run = run_alone(adapter.script(draw_case(RNNSpec(3, 5), batch=3, time=4, lengths=(4, 0, 3))), tmp_path)
    assert run.returncode == 1, run.stderr
    assert "output (3, 4, 5): 0 of 60 elements lie outside the bound" in run.stdout
    assert "h_n (1, 3, 5): 5 of 15 elements lie outside the bound" in run.stdout


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_narrow_simple_cell_cannot_be_initialised(nnx: Any, dtype: str) -> None:
    """The default recurrent initializer needs a QR decomposition, which JAX has for float32 and float64 alone."""
    with pytest.raises(NotImplementedError, match=f"Unsupported dtype {dtype}"):
        nnx.SimpleCell(3, 5, dtype=dtype, param_dtype=dtype, rngs=nnx.Rngs(0))
    nnx.LSTMCell(3, 5, dtype=dtype, param_dtype=dtype, rngs=nnx.Rngs(0))  # which draws in float32, and rounds


def test_a_sequence_without_steps_is_refused_where_it_has_lengths(nnx: Any) -> None:
    """Without them it is answered, and the carry is the initial one."""
    layer = nnx.RNN(nnx.SimpleCell(3, 5, rngs=nnx.Rngs(0)), return_carry=True)
    x = np.zeros((2, 0, 3), "float32")
    carry, output = layer(x)
    assert (array_of(carry).any(), output.shape) == (False, (2, 0, 5))
    with pytest.raises(TypeError, match="Slice size at index 0 in gather op is out of range"):
        layer(x, seq_lengths=np.zeros(2, int))


def test_a_mask_with_holes_cannot_be_said(nnx: Any) -> None:
    layer = nnx.RNN(nnx.SimpleCell(3, 5, rngs=nnx.Rngs(0)))
    with pytest.raises(TypeError, match="mask"):
        layer(np.zeros((2, 4, 3), "float32"), mask=np.ones((2, 4), bool))
