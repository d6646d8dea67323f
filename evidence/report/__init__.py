"""What a record says, as one HTML file with pictures that needs nothing else, as Markdown, and as a statement to sign.

The first two are templates over one model. Whatever the evidence holds is text in them, never markup.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reference.files import write_atomically

from .. import words
from ..markdown import escaped, fenced
from ..record.packed import plain
from ..record.reader import Evidence, read
from ..record.runs import Unusable
from . import columns, figures, problems
from .instructions import citation, documents, reproduce, verify
from .kills import kill_matrix
from .statement import statement

COLOURS = {"good": "brightgreen", "warn": "yellow", "bad": "red"}  # of a badge, by the level of the conclusion


def command(file: Path, output: Path | None = None, summary: bool = False) -> int:
    """Write a page, a text and a statement of a record into a folder, and print their names; or print a summary."""
    evidence = read(file)
    _expect_full(evidence, "a report")
    if summary:
        print(render_markdown(evidence, brief=True), end="")
        return 0
    shown = model(evidence)
    said = json.dumps(statement(evidence, shown["columns"]), indent=1)
    return write(file, output, {"html": render("page.html", shown), "md": render("text.md", shown),
                                "intoto.json": f"{said}\n"})  # fmt: skip


def write(file: Path, output: Path | None, texts: Mapping[str, str]) -> int:
    """Write what a record says, beside it or into a folder, each text whole or not at all, and print their names.

    texts: how its name ends -> a text.
    """
    folder = output or file.parent
    folder.mkdir(parents=True, exist_ok=True)
    for kind, text in texts.items():
        path = folder / f"{plain(file.name).removesuffix('.json')}.{kind}"
        write_atomically(path, text)
        print(path)
    return 0


def command_badge(file: Path, output: Path | None = None) -> int:
    """Write the badge of a record into a file, and print its name; or print the badge."""
    badge = json.dumps(badge_of(read(file)), indent=1) + "\n"
    if output is not None:
        write_atomically(output, badge)
    print(badge if output is None else f"{output}\n", end="")
    return 0


def badge_of(evidence: Evidence) -> dict[str, str | int]:
    """The conclusion in a few words, as https://shields.io/badges/endpoint-badge reads it."""
    _expect_full(evidence, "a badge")
    said = problems.conclude(evidence, columns.columns(evidence))
    return {"schemaVersion": 1, "label": "rnn-equivalence", "message": words.one_line(said.brief),
            "color": COLOURS[said.level]}  # fmt: skip


def _expect_full(evidence: Evidence, what: str) -> None:
    """A compact record counts too few."""
    if any(run.header.compact for run in evidence.runs):
        raise Unusable(f"{evidence.path}: it is compact, and {what} is made of the record in full")


def render_html(evidence: Evidence) -> str:
    """The whole page: no network, no script, no font."""
    return render("page.html", model(evidence))


def render_markdown(evidence: Evidence, brief: bool = False) -> str:
    """The same facts without pictures. brief: the verdict, each target's counts and what was absent, for a CI job."""
    return render("text.md", model(evidence) | {"brief": brief})


def model(evidence: Evidence) -> dict[str, Any]:
    found = columns.columns(evidence)
    counted = columns.judged(found)
    loaded = {target.adapter for run in evidence.runs for target in run.header.targets}
    named = {line.name: line for run in evidence.runs for line in run.header.absent}
    absent = [line for name, line in named.items() if name not in loaded]  # each once, and in no run loaded
    return {
        "evidence": evidence,
        "brief": False,
        "several": len(evidence.runs) > 1,
        "figures": figures,
        "conclusion": problems.conclude(evidence, found),
        "columns": found,
        "counted": counted,
        "cells": list(
            dict.fromkeys(words.value(of) for run in evidence.runs for of in run.header.features.get("cell", ()))
        ),
        "docs": documents(),
        "findings": problems.findings(found, "fault"),
        "documented": problems.findings(found, "documented"),
        "absent": absent,
        "totals": {outcome: sum(column.outcomes[outcome] for column in counted) for outcome in columns.OUTCOMES},
        "tests": [problems.tests_of(run) for run in evidence.runs],
        "features": columns.features_table(evidence, found, absent),
        "combinations": list(columns.combinations_tables(found)),
        "idioms": columns.idioms_tables(found),
        "declared": columns.declared(found),
        "STATES": columns.STATES,
        "problems": list(problems.problems(evidence, found)),
        "replay": lambda line: problems.replay(evidence, line),
        "skipped": problems.skipped(evidence),
        "matrix": kill_matrix(),
        "reproduce": [reproduce(run) for run in evidence.runs],
        "verify": verify(evidence),
        "citation": citation(evidence),
    }


def render(template: str, shown: dict[str, Any]) -> str:
    """A template of this folder, filled."""
    html = template.endswith(".html")
    text: Callable[[str], str] = words.visible if html else escaped
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=html, undefined=StrictUndefined,
        finalize=lambda of: text(of) if isinstance(of, str) and not isinstance(of, Markup) else of,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters.update(
        value=words.value, many=words.many, moment=words.moment, count="{:,}".format, asked=problems.asked,
        said=problems.said, code=lambda of: Markup(fenced(of)), link=Markup,  # schema.Link is plain
    )  # fmt: skip
    return environment.get_template(template).render(shown)
