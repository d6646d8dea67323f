"""The other ways in which users call the layer: each must answer what the equations say that such a call answers.

They are drawn, and not crossed with everything: the fixed cases of an idiom have each value of each feature that it can
meet, and a few questions are drawn anew.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.record import seeded
from harness.strategies import in_layout
from harness.target import Target

few = settings(max_examples=-(-settings.default.max_examples // 4))


def test_every_feature_in_an_idiom(target: Target, idiom: str | None) -> None:
    word = asked(target, idiom)
    target.check(seeded.PROPERTY, *target.fixed(word), idiom=word)


@pytest.mark.own_key
@few
@given(data=st.data())
def test_answers_in_an_idiom_agree_with_the_reference(target: Target, idiom: str | None, data: st.DataObject) -> None:
    word = asked(target, idiom)
    if target.idioms[word].compiles:
        pytest.skip(f"{target.label}: the idiom {word} compiles for each case: its fixed ones are asked alone")
    offered = target.offered(word)
    if False not in offered.supported("gradients"):
        pytest.skip(f"{target.label}: the idiom {word} is asked for gradients alone")
    dtypes = [dtype for dtype in ("float32", "float64") if dtype in offered.supported("dtype")]
    names = {"direction": None, "nonlinearity": None, "layout": None, "dtype": dtypes}
    chosen = {name: data.draw(st.sampled_from(several or offered.supported(name)), name)
              for name, several in names.items()}  # fmt: skip
    question = data.draw(target.questions(idiom=word, sane=True, with_all=True, max_layers=3), "question")
    layout = chosen.pop("layout")
    target.check(seeded.DRAWN, in_layout(question.case(**chosen), layout, question.memory), idiom=word)


def asked(target: Target, idiom: str | None) -> str:
    """The idiom; the test is skipped where there is none, or where it cannot be asked here."""
    if idiom is None:
        pytest.skip(f"{target.label}: no idiom is declared")
    if why := target.idioms[idiom].absent:
        pytest.skip(f"{target.label}: the idiom {idiom} is absent: {why}")
    return idiom
