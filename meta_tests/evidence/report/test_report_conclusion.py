"""The report's first sentence: it is no better than what the record holds, and than what was asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from evidence import report
from evidence.record.lines import dump
from evidence.record.reader import Evidence, read
from meta_tests.common.records import run_digest
from meta_tests.common.report import (
    ASKED,
    FEATURES,
    Page,
    ended,
    evidence_of,
    failed_test,
    finding,
    finished,
    growing,
    header,
    line,
    pinned,
    target,
)


def heading(made: Evidence) -> str:
    """The first sentence of the page, which is that of the Markdown and of the summary too."""
    html = report.render_html(made)
    sentence = html.partition("<h1>")[2].partition("</h1>")[0]
    for text in (report.render_markdown(made), report.render_markdown(made, brief=True)):
        assert text.splitlines()[0].endswith(sentence)
    return sentence


def cut_off(made: Evidence) -> Evidence:
    """The same run without its last line, as it is after it was killed."""
    first, *lines, _ = made.path.read_bytes().splitlines(keepends=True)
    made.path.write_bytes(b"".join([dump(json.loads(first) | {"complete": False}), *lines]))
    return read(made.path)


def merged(path: Path, *runs: bytes) -> Evidence:
    ends = [json.loads(run.splitlines()[-1])["sha256"] for run in runs]
    last = {"kind": "merged", "runs": ends}
    path.write_bytes(b"".join(runs) + dump(last | {"sha256": run_digest(b"".join(runs), last)}))
    return read(path)


def test_everything_agrees(tmp_path: Path) -> None:
    made = evidence_of(tmp_path, line(), line("not offered", features=ASKED | {"lengths": "with zeros"}), *growing())
    assert heading(made) == "Everything agrees: 13 answers of 1 target lie within their bounds."
    page = Page(report.render_html(made))
    assert "None is in the record." in page.text
    assert tuple(tag for tag, _ in page.elements if tag == "svg")[:2] == ("svg", "svg")
    assert made.runs[0].end.sha256 in page.text
    assert "c" * 40 in page.text
    assert "python -m rnn_equivalence verify run.json" in page.text
    assert "--hypothesis-seed=7" in page.text


@pytest.mark.parametrize(
    ("lines", "changes", "said"),
    [
        ([line("disagrees")], {"exit_status": 1}, "1 answer disagrees"),
        ([line("disagrees")] * 2, {"exit_status": 1}, "2 answers disagree"),
        ([line("disagrees"), line("crashed")], {}, "1 answer disagrees and 1 crashed"),
        ([line("refused")], {}, "1 question was refused without being declared so"),
        ([failed_test()], {"tests": {"failed": 1}, "exit_status": 1}, "1 test failed"),
        ([failed_test("error")], {"tests": {"error": 1}, "exit_status": 1}, "1 test failed"),
        ([failed_test("xfailed")], {"tests": {"xfailed": 1}}, "1 test failed as was known"),
        ([], {"exit_status": 1}, "7 supported combinations or values got no case that agrees"),
    ],
)
def test_what_is_wrong_is_the_first_sentence(tmp_path: Path, lines: list[Any], changes: Any, said: str) -> None:
    made = evidence_of(tmp_path, line(), *lines, **changes)
    assert heading(made) == f"Not everything agrees: {said}."
    assert "Everything agrees" not in report.render_html(made)


def test_an_incomplete_run_is_named_as_such_and_agrees_to_nothing(tmp_path: Path) -> None:
    cut = cut_off(evidence_of(tmp_path, line()))
    assert heading(cut) == "No verdict: the run is incomplete; the 1 answer judged before agree."
    assert "This run is incomplete: it was cut off in mid-run." in Page(report.render_html(cut)).text
    interrupted = evidence_of(tmp_path, line(), exit_status=2)
    assert heading(interrupted).startswith("No verdict: the run is incomplete")
    assert "pytest ended with status 2" in report.render_markdown(interrupted, brief=True)
    wrong = cut_off(evidence_of(tmp_path, line("disagrees")))
    assert heading(wrong).startswith("Not everything agrees: 1 answer disagrees")
    assert "This run is incomplete" in report.render_markdown(wrong, brief=True)


def test_a_part_of_the_suite_is_called_a_part(tmp_path: Path) -> None:
    made = evidence_of(tmp_path, line(), selection="3 tests were deselected")
    assert heading(made).startswith("All that was asked agrees, but not all was asked")
    assert "This run is only a part of the suite: 3 tests were deselected." in report.render_markdown(made, brief=True)


def test_a_last_line_that_counts_otherwise_is_not_believed(tmp_path: Path) -> None:
    made = evidence_of(tmp_path, line())
    *lines, last = made.path.read_bytes().splitlines(keepends=True)
    end = json.loads(last) | {"outcomes": {"one cpu": {"agrees": 100}}}
    del end["sha256"]
    made.path.write_bytes(b"".join(lines) + dump(end | {"sha256": run_digest(b"".join(lines), end)}))
    assert "the last line of 1 run counts other verdicts than there are" in heading(read(made.path))


@pytest.mark.parametrize("head", [header(), header(targets=[], absent=[])], ids=["targets", "nothing"])
def test_an_empty_run(tmp_path: Path, head: dict[str, Any]) -> None:
    made = evidence_of(tmp_path, head=head)
    assert heading(made) == "No verdict: no answer was found to agree, and none to disagree."
    text = Page(report.render_html(made)).text
    assert "there is no margin to show" in text
    assert "there is no growth to show" in text
    assert "No answer was judged by a bound." in report.render_markdown(made)


def test_a_port_that_the_other_framework_refuses_is_no_problem(tmp_path: Path) -> None:
    """Of a relation, it is the other target that refused: nothing of it is undeclared, or to be replayed."""
    made = evidence_of(tmp_path, line(), line("refused", relation=True, property="port to two cpu"))
    assert heading(made).startswith("Everything agrees")
    assert "None is in the record." in report.render_markdown(made)


def test_two_runs_in_one_file(tmp_path: Path) -> None:
    one = finished(header("one cpu"), [line()], ended())
    two = finished(header("one cpu", absent=[]), [line(), line("disagrees")], ended(exit_status=1))
    made = merged(tmp_path / "both.json", one, two)
    assert heading(made) == "Not everything agrees: 1 answer disagrees."
    assert "| one cpu (run 1) | 1.0 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |" in report.render_markdown(made, brief=True)
    assert "| one cpu (run 2) | 1.0 | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 0 |" in report.render_markdown(made, brief=True)
    text = Page(report.render_html(made)).text
    assert all(run.end.sha256 in text for run in made.runs)
    assert "gone is absent from run 1" in text


def test_the_reference_judged_against_itself_is_no_target(tmp_path: Path) -> None:
    """It is in the tables; alone, it is what was asked. What it gets wrong counts in any case."""
    several, own = header("one cpu", "reference cpu"), [line(label="reference cpu")] * 5
    made = evidence_of(tmp_path, line(), *own, head=several)
    assert heading(made) == "Everything agrees: 1 answer of 1 target lie within their bounds."
    assert report.badge_of(made)["message"] == "1 agree"
    assert "it counts in no sum" in report.render_html(made)
    assert heading(evidence_of(tmp_path, line(), line("disagrees", "reference cpu"), head=several)).startswith(
        "Not every"
    )
    alone = evidence_of(tmp_path, *own, head=header("reference cpu"))
    assert heading(alone).startswith("Everything agrees: 5 answers of 1 target")


def test_a_long_sentence_is_cut_before_the_versions_on_the_page(tmp_path: Path) -> None:
    many = [finding(number) for number in range(1, 40)]
    head = header(targets=[target("one cpu") | {"findings": many}])
    made = evidence_of(tmp_path, line(), *(pinned(number=number) for number in range(1, 40)), head=head)
    assert '<h1 class="long">1 answers agree; 39 findings present.</h1>' in report.render_html(made)
    assert "F-039." in report.render_markdown(made).splitlines()[0]


def test_the_first_screen_says_what_when_and_where(tmp_path: Path) -> None:
    """And leads to what it names; above it, the way to each part of the page."""
    asked = ["elman", "gru"]
    head = header(targets=[target("one cpu") | {"findings": [finding()]}], features=FEATURES | {"cell": asked})
    lines = [line(features=ASKED | {"cell": cell}) for cell in asked]
    page = Page(report.render_html(evidence_of(tmp_path, *lines, pinned(features=ASKED | {"cell": "gru"}), head=head)))
    first = page.text.partition("target agrees")[0]
    for words in ("Cells elman, gru", "Targets one cpu 1.0", "Recorded 2026-01-02 03:04:05 UTC", "Findings 1 present"):
        assert words in first
    assert {"#findings", "#capabilities", "#cite", "./run.json"} <= set(page.links)
    tags = [tag for tag, _ in page.elements]
    assert tags.index("nav") < tags.index("main")


def test_reasons_are_opened_by_a_tap(tmp_path: Path) -> None:
    """No entry has a title, which only a mouse can reach; each has its words inside, and its column's name."""
    made = evidence_of(tmp_path, line(), line("not offered", features=ASKED | {"lengths": "with zeros"}))
    html = report.render_html(made)
    assert ' title="' not in html
    entries = re.findall(
        r'<td class="s-[^"]*" data-label="([^"]*)"><details class="why"><summary>.*?</summary>(.*?)</details>', html
    )
    assert ("one cpu", "1 not offered; lengths with zeros: it cannot") in entries
