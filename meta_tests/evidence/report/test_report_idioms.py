"""The report has a matrix of idioms: what came of each, for each target, in words and counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from evidence import report
from evidence.record.reader import Evidence
from meta_tests.common.report import Page, evidence_of, header, line, target

HELD = {"word": "held", "says": "as it holds", "view": {"masked": "held"}, "without": [], "refused": [], "absent": ""}
LAST = HELD | {"word": "last output", "says": "for its last output", "view": {"output": "last step", "states": "none"},
               "without": [{"features": {"bias": True}, "reason": "no bias there"}]}  # fmt: skip
AWAY = HELD | {"word": "elsewhere", "says": "on another machine", "view": {}, "absent": "no other machine"}


def made(folder: Path, *lines: dict[str, Any], idioms: tuple[dict[str, Any], ...] = (HELD, LAST, AWAY)) -> Evidence:
    targets = [target(label) | {"idioms": list(idioms)} for label in ("one cpu", "one cuda")] + [target("two cpu")]
    return evidence_of(folder, line(), *lines, head=header(targets=targets))


def test_each_idiom_has_a_row_with_its_outcomes(tmp_path: Path) -> None:
    held = [line(idiom="held"), line(idiom="held"), line("vacuous", idiom="held")]
    declared = line("not offered", idiom="last output", message="bias True: no bias there")
    evidence = made(tmp_path, *held, declared, line("disagrees", idiom="held", label="one cuda"))
    markdown = report.render_markdown(evidence)
    assert "| one, idiom | how it is called | what it shows | one cpu | one cuda |" in markdown
    assert "| held | as it holds | masked held | ✓ 2 agrees, 1 vacuous | ✗ 1 disagrees |" in markdown
    assert "| last output | for its last output | output last step, states none | — 1 not offered | · not asked |" in (
        markdown
    )
    assert "| elsewhere | on another machine | whole | ∅ absent: no other machine | ∅ absent: no other machine |" in (
        markdown
    )
    assert "two, idiom" not in markdown
    text = Page(report.render_html(evidence)).text
    assert "In which ways the layers were called" in text
    assert "held as it holds; it shows: masked held ✓ 2 agrees, 1 vacuous" in text


def test_the_first_screen_says_how_many_were_asked(tmp_path: Path) -> None:
    evidence = made(tmp_path, line(idiom="held"), line(idiom="held", label="one cuda"), line(idiom="last output"))
    words = "3 idioms, other ways of a call, were asked in 3 cases; 2 are absent on this machine."
    assert words in Page(report.render_html(evidence)).text.split("target agrees")[0]
    assert words in report.render_markdown(evidence, brief=True)
    assert "idiom" not in report.render_markdown(evidence_of(tmp_path, line()))


def test_what_is_wrong_in_an_idiom_is_said_with_the_command_that_asks_it_again(tmp_path: Path) -> None:
    shown = {"output": "last step", "states": "none"}
    evidence = made(tmp_path, line("crashed", idiom="last output", view=shown))
    for text in (report.render_html(evidence), report.render_markdown(evidence)):
        assert "in the idiom" in text
        assert "which shows: output last step, states none" in text
        assert "--idiom=last output" in text


def test_what_an_idiom_declares_is_not_undeclared(tmp_path: Path) -> None:
    said = line("not offered", idiom="last output", message="bias True: no bias there")
    assert "undeclared" not in report.render_markdown(made(tmp_path, said), brief=True)
    assert "refused without being declared so" in report.render_markdown(
        made(tmp_path, said | {"idiom": "held"}), brief=True
    )
