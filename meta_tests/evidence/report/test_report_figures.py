"""The report's figures: what can be drawn is, outside its bound in red, and what cannot is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from evidence import report
from evidence.report.figures import style
from meta_tests.common.report import ASKED, FEATURES, Page, evidence_of, header, line


def test_figures_that_are_no_numbers_are_counted_and_not_drawn(tmp_path: Path) -> None:
    strange = [
        line(property="corpus, whole trajectory", corpus="001 time 3 forward float32", verdict=line()["verdict"] | of)
        for of in ({"max_error": "nan", "max_fraction": "nan"}, {"max_error": "inf", "max_fraction": "inf"})
    ]
    text = Page(report.render_html(evidence_of(tmp_path, *strange))).text
    assert "2 whose error is not finite, not drawn" in text
    assert "No finite error among 2 answers" in text
    zero = [
        one | {"verdict": line()["verdict"] | {"max_error": 0.0, "max_fraction": 0.0, "worst": None}} for one in strange
    ]
    assert "2 without any error, not drawn" in Page(report.render_html(evidence_of(tmp_path, *zero))).text


@pytest.mark.parametrize(("fraction", "outside"), [(0.5, False), (1.0, False), (1.5, True), (1e200, True)])
def test_what_is_outside_its_bound_is_drawn_in_red(tmp_path: Path, fraction: float, outside: bool) -> None:
    some = line("disagrees" if outside else "agrees")
    html = report.render_html(
        evidence_of(tmp_path, line(), some | {"verdict": some["verdict"] | {"max_fraction": fraction}})
    )
    drawing = html.partition("step bound</h4>")[2].partition("</svg>")[0]
    assert ("var(--bad)" in drawing) == outside
    assert not outside or drawing.index("var(--band)") < drawing.index("var(--bad)")  # it stands before the band
    assert ("1 outside the bound" in html) == outside


@pytest.mark.parametrize("dtype", ["float32", "float64", "float8"])
def test_the_largest_and_smallest_numbers_are_drawn_or_counted(tmp_path: Path, dtype: str) -> None:
    extremes = [
        line(property="corpus", corpus=f"001 time {number} x", features=ASKED | {"dtype": dtype},
             verdict=line()["verdict"] | {"max_error": number, "max_fraction": number})
        for number in (5e-324, 1e-30, 1.0, 1e30, 1.7e308)
    ]  # fmt: skip
    head = header(features=FEATURES | {"dtype": [dtype]})
    made = evidence_of(tmp_path, *extremes, head=head)
    assert "largest 1.7e+308 of the bound" in Page(report.render_html(made)).text


def test_ten_targets_are_told_apart_without_any_colour() -> None:
    assert len({style(index)[1] for index in range(10)}) == 10
    assert len({style(index) for index in range(30)}) == 30
