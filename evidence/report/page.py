"""The report as one HTML file that needs nothing else: no network, no script, no font."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .. import words
from ..record.reader import Evidence
from . import figures
from .cells import LEGEND, SIGNS, grids, heat_map
from .columns import OUTCOMES, absent, columns
from .conclusion import conclude, tests_of
from .instructions import citation, reproduce, verify
from .kills import KillMatrix, kill_matrix
from .problems import problems, skipped
from .series import STEPS, WHOLE, margins

HERE = Path(__file__).parent
SHOWN = 12  # problems that are shown at once; the others are folded


def render_html(evidence: Evidence) -> str:
    """The whole page. Whatever the evidence holds is text in it, never markup."""
    return _environment().get_template("template.html").render(facts(evidence))


def facts(evidence: Evidence) -> dict[str, Any]:
    """Everything that a report shows."""
    found, gone = columns(evidence), absent(evidence)
    matrix = kill_matrix()
    return {
        "evidence": evidence,
        "conclusion": conclude(evidence),
        "columns": found,
        "absent": gone,
        "totals": {outcome: sum(column.outcomes[outcome] for column in found) for outcome in OUTCOMES},
        "tests": [tests_of(run) for run in evidence.runs],
        "heat": heat_map(evidence, found, gone),
        "grids": grids(found),
        "margins": margins(found),
        "problems": problems(evidence),
        "skipped": skipped(evidence),
        "matrix": matrix if isinstance(matrix, KillMatrix) else None,
        "no_matrix": "" if isinstance(matrix, KillMatrix) else matrix,
        "reproduce": [reproduce(run) for run in evidence.runs],
        "verify": verify(evidence),
        "citation": citation(evidence),
        "several": len(evidence.runs) > 1,
        "OUTCOMES": OUTCOMES,
        "SIGNS": SIGNS,
        "LEGEND": LEGEND,
        "SHOWN": SHOWN,
    }


def _pictures(evidence: Evidence) -> dict[str, Any]:
    """The figures, drawn."""
    found = columns(evidence)
    return {
        "fractions": [(column, panels) for column, panels in figures.fraction_rows(found) if panels],
        "whole": figures.growth_panels(found, WHOLE),
        "steps": figures.growth_panels(found, STEPS),
        "keys": [figures.key(index) for index in range(len(found))],
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_final,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(value=words.value, many=words.many, moment=words.moment)
    environment.globals.update(pictures=_pictures)
    return environment


def _final(shown: Any) -> Any:
    """What a page shows of a value: markup of the template's own as it is, text without hidden characters."""
    return words.visible(shown) if isinstance(shown, str) and not hasattr(shown, "__html__") else shown
