"""What every adapter's run does around its framework: a question in other axes has the same answer, brought back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adapters
from adapters import Capabilities
from adapters.inputs import Inputs
from adapters.numpy.adapter import ReferenceAdapter
from reference import LAYOUTS, Case, RNNSpec, forward
from reference.draws import draw_case, draw_parameters

EVERYTHING = Capabilities(offers=(("mask", True),))
SPEC = RNNSpec(3, 5, 2, "bidirectional")


class Asked(ReferenceAdapter):
    """Gives back what `_run` is asked."""

    def _run(self, known: Any, inputs: Inputs) -> Any:
        return inputs


def given(capabilities: Capabilities, dtype: str, *inputs: Any, **named: Any) -> Any:
    adapter = Asked()
    adapter.capabilities = capabilities
    return adapter.run(adapter.build(SPEC, draw_parameters(SPEC, dtype)), *inputs, **named)


def asked(layout: str, **more: Any) -> tuple[Case, Inputs]:
    case = draw_case(SPEC, batch=1 if layout == "unbatched" else 4, time=6, layout=layout, h0=True, **more)
    return case, given(EVERYTHING, case.dtype, **case.inputs)


@pytest.mark.parametrize("more", [{}, {"lengths": (6, 2, 0, 5)}, {"mask": True}], ids=["full", "lengths", "mask"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("other", ["batch_first", "time_first"])
def test_a_question_in_other_axes_has_the_same_answer(layout: str, other: str, more: dict[str, Any]) -> None:
    """The lengths are given as the mask that they are, which is what a framework with masks alone is given."""
    if layout == "unbatched" and "lengths" in more:
        more = {"lengths": (4,)}
    case, inputs = asked(layout, **more)
    moved = inputs.to(other)
    assert moved.x.ndim == 3
    answer = forward(SPEC, case.parameters, moved.x, moved.h0, None, other, moved.valid)
    came = moved.result([answer.output], answer.h_n)
    expected = case.answer()
    assert came.output.shape == expected.output.shape
    assert np.array_equal(came.output, expected.output)
    assert np.array_equal(came.h_n, expected.h_n)
    assert came.prefixes is None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pair_of_states_is_brought_to_other_axes_and_back(layout: str) -> None:
    spec = RNNSpec(3, 5, 2, cell="lstm", projection_size=2)
    case = draw_case(spec, batch=1, time=4, layout=layout, h0=True)
    inputs = Inputs(case.x, case.h0, None, None, layout, layout).to("batch_first")
    assert [state.shape for state in inputs.h0] == [(2, 1, 2), (2, 1, 5)]
    came = inputs.result([inputs.x], inputs.h0)
    assert all(np.array_equal(one, other) for one, other in zip(came.h_n, case.h0, strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_padding_is_set_to_zero_where_no_step_counts(layout: str) -> None:
    case, inputs = asked(layout, lengths=(4,) if layout == "unbatched" else (6, 2, 0, 5))
    moved = inputs.to("batch_first")
    output, h_n = case.answer()[:2]
    padded = np.where(output == 0, output.dtype.type(7), output)
    native = inputs.result([padded, padded], h_n, zero_padding=True)
    assert np.array_equal(native.output, output)
    assert native.prefixes is not None
    assert np.array_equal(native.prefixes[0], output)
    sevens = np.full((*moved.x.shape[:2], output.shape[-1]), 7, output.dtype)
    assert moved.h0 is not None
    assert np.array_equal(moved.result([sevens], moved.h0, zero_padding=True).output == 0, output == 0)


def test_what_is_asked_is_checked_in_one_sentence() -> None:
    x = np.zeros((2, 3, 3), "float32")
    with pytest.raises(adapters.NotOffered, match=r"^mask True: the adapter's run takes no mask$"):
        given(Capabilities(), "float32", x, None, None, "batch_first", np.ones((2, 3), bool))
    with pytest.raises(ValueError, match=r"^x dtype: got 'float32', expected float64"):
        given(Capabilities(), "float64", x, None, None, "batch_first")
    with pytest.raises(ValueError, match=r"^layout: got 'sideways', expected one of"):
        given(Capabilities(), "float32", x, None, None, "sideways")
