"""The report: it says what the record says, and nothing that the record holds becomes markup in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evidence.journal import finished, run_digest
from evidence.ledger import CELL
from evidence.lines import FORMAT, dump, verdict_line
from reference import Case, RNNSpec, judge

from .draws import draw_case

for package in ("pydantic", "jinja2", "matplotlib"):
    pytest.importorskip(package)
markdown_it = pytest.importorskip("markdown_it")  # rich needs it

from evidence import report  # noqa: E402
from evidence.reading import Evidence, read  # noqa: E402
from evidence.report import kills  # noqa: E402

HOSTILE = (
    "\"'><script>alert(1)</script><img src=x onerror=alert(1)>`|`{{ 7*7 }}$x$ [a](http://b)**c**"
    "\n# d\n\n---\n```\n~~~\n* e\n<!-- &amp;"
)
SHA = "0" * 64
FEATURES: dict[str, list[Any]] = {
    "direction": ["forward", "reverse"],
    "layout": ["batch_first"],
    "nonlinearity": ["tanh"],
    "dtype": ["float32", "float64"],
    "bias": [True, False],
    "lengths": ["full", "with zeros"],
    "time": ["0", "more"],
}
ASKED = {"direction": "forward", "layout": "batch_first", "nonlinearity": "tanh", "dtype": "float32", "bias": True,
         "lengths": "full", "time": "more"}  # fmt: skip


def header(*labels: str, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "header",
        "format": FORMAT,
        "suite": {"version": "0.1.0", "commit": "c" * 40, "modified": False},
        "run": {"started": "2026-01-02T03:04:05+00:00", "profile": "default", "cases": 8, "seed": 7, "shrink": True},
        "environment": {
            "Python": "CPython 3.11.7", "system": "Linux", "machine": "x86_64", "CPU": "a CPU", "CPUs": 2,
            "NumPy": "2.4.6", "BLAS": "OpenBLAS", "driver": None, "variables": {"CI": "1"}, "packages": {"one": "1.0"},
        },
        "features": FEATURES,
        "corpus": SHA,
        "targets": [target(label) for label in labels or ("one cpu",)],
        "absent": [{"name": "gone", "problem": "No module named 'gone'"}],
    } | changes  # fmt: skip


def target(label: str) -> dict[str, Any]:
    return {
        "label": label, "adapter": label.split()[0], "source": label.split()[0], "version": "1.0", "backend": "",
        "device": "cpu", "environment": {"threads": 2, "wide": True},
        "unsupported": [{"features": {"lengths": "with zeros"}, "reason": "it cannot"}],
        "emulated": [{"features": {"direction": "reverse"}, "reason": "it flips"}],
    }  # fmt: skip


def case_of(time: int = 3, layers: int = 1) -> Case:
    return draw_case(RNNSpec(2, 3, layers), batch=2, time=time, dtype="float32", seed=time)


def line(outcome: str = "agrees", label: str = "one cpu", case: Case | None = None, **changes: Any) -> dict[str, Any]:
    """A verdict line; one that disagrees has the words of a real verdict."""
    case = case or case_of()
    output, h_n = (np.array(array) for array in case.answer())
    output += 1.0 * (outcome == "disagrees")
    said = judge(case, output, h_n) if outcome in ("agrees", "disagrees", "vacuous") else None
    made = verdict_line(target=label, test="tests/test_a.py::test_b[x]", tested="equivalence", relation=False,
                        case=case, features=ASKED, outcome=outcome, verdict=said,
                        message="it fell" if outcome == "crashed" else "")  # fmt: skip
    return made | ({"content": "{}"} if outcome in ("disagrees", "crashed") else {}) | changes


def growing() -> Iterator[dict[str, Any]]:
    """What the frozen corpus' growing cases are told of."""
    for words in ("time", "depth"):
        for size in (1, 2, 5):
            case = case_of(time=size) if words == "time" else case_of(layers=size)
            for tested in ("corpus", "corpus, whole trajectory"):
                yield line(case=case, property=tested, corpus=f"001 {words} {size} forward float32")


def ended(**changes: Any) -> dict[str, Any]:
    return {
        "finished": "2026-01-02T04:00:00+00:00",
        "exit_status": 0,
        "torn": 0,
        "selection": "",
        "tests": {"passed": 5},
    } | changes


def failed_test(outcome: str = "failed", message: str = "AssertionError: no") -> dict[str, Any]:
    return {"kind": "test", "test": "tests/test_a.py::test_b[x]", "outcome": outcome, "message": message}


Make = Callable[..., Evidence]


@pytest.fixture
def evidence(tmp_path: Path) -> Make:
    """Evidence of one run, by way of a file."""

    def make(*lines: dict[str, Any], head: dict[str, Any] | None = None, **changes: Any) -> Evidence:
        path = tmp_path / "run.json"
        path.write_bytes(finished(head or header(), lines, ended(**changes)))
        return read(path)

    return make


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


class Page(HTMLParser):
    """What a browser makes of a page: its elements with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.pieces: list[str] = []
        self.cells: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.links += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action", "srcset")
        ]

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())


def heading(made: Evidence) -> str:
    """The first sentence of the page, which is that of the Markdown and of the summary too."""
    html = report.render_html(made)
    sentence = html.partition("<h1>")[2].partition("</h1>")[0]
    for text in (report.render_markdown(made), report.summary(made)):
        assert text.splitlines()[0].endswith(sentence)
    return sentence


def test_everything_agrees(evidence: Make) -> None:
    made = evidence(line(), line("refused", features=ASKED | {"lengths": "with zeros"}), *growing())
    assert heading(made) == "Everything agrees: 13 answers of 1 target lie within their bounds."
    page = Page(report.render_html(made))
    assert "None is in the record." in page.text
    assert tuple(tag for tag, _ in page.elements if tag == "svg")[:2] == ("svg", "svg")
    assert made.runs[0].end.sha256 in page.text
    assert "c" * 40 in page.text
    assert "python -m evidence verify run.json" in page.text
    assert "--hypothesis-seed=7" in page.text


@pytest.mark.parametrize(
    ("lines", "changes", "said"),
    [
        ([line("disagrees")], {"exit_status": 1}, "1 answer disagrees"),
        ([line("disagrees")] * 2, {"exit_status": 1}, "2 answers disagree"),
        ([line("disagrees"), line("crashed")], {}, "1 answer disagrees and 1 crashed"),
        ([line("refused")], {}, "1 question was refused without being declared unsupported"),
        ([failed_test()], {"tests": {"failed": 1}, "exit_status": 1}, "1 test failed"),
        ([failed_test("error")], {"tests": {"error": 1}, "exit_status": 1}, "1 test failed"),
        ([], {"exit_status": 1}, "7 supported cells or values got no case that agrees"),
    ],
)
def test_what_is_wrong_is_the_first_sentence(evidence: Make, lines: list[Any], changes: Any, said: str) -> None:
    made = evidence(line(), *lines, **changes)
    assert heading(made) == f"Not everything agrees: {said}."
    assert "Everything agrees" not in report.render_html(made)


def test_an_incomplete_run_is_named_as_such_and_agrees_to_nothing(evidence: Make) -> None:
    cut = cut_off(evidence(line()))
    assert heading(cut) == "No verdict: the run is incomplete; the 1 answer judged before agree."
    assert "This run is incomplete: it was cut off in mid-run." in Page(report.render_html(cut)).text
    interrupted = evidence(line(), exit_status=2)
    assert heading(interrupted).startswith("No verdict: the run is incomplete")
    assert "pytest ended with status 2" in report.summary(interrupted)
    wrong = cut_off(evidence(line("disagrees")))
    assert heading(wrong).startswith("Not everything agrees: 1 answer disagrees")
    assert "This run is incomplete" in report.summary(wrong)


def test_a_part_of_the_suite_is_called_a_part(evidence: Make) -> None:
    made = evidence(line(), selection="3 tests were deselected")
    assert heading(made).startswith("All that was asked agrees, but not all was asked")
    assert "This run is only a part of the suite: 3 tests were deselected." in report.summary(made)


def test_a_last_line_that_counts_otherwise_is_not_believed(evidence: Make) -> None:
    made = evidence(line())
    *lines, last = made.path.read_bytes().splitlines(keepends=True)
    end = json.loads(last) | {"outcomes": {"one cpu": {"agrees": 100}}}
    del end["sha256"]
    made.path.write_bytes(b"".join(lines) + dump(end | {"sha256": run_digest(b"".join(lines), end)}))
    assert "the last line of 1 run counts other verdicts than there are" in heading(read(made.path))


def test_the_counts_are_those_of_the_record(evidence: Make) -> None:
    lines = [line()] * 3 + [line("disagrees")] * 2 + [line("vacuous"), line("crashed"), line("crashed", "two cpu")]
    made = evidence(*lines, head=header("one cpu", "two cpu"))
    markdown = report.summary(made)
    assert "| one cpu | 1.0 | 3 | 2 | 1 | 0 | 1 |" in markdown
    assert "| two cpu | 1.0 | 0 | 0 | 0 | 0 | 1 |" in markdown
    assert "gone is absent: No module named 'gone'" in markdown
    text = Page(report.render_html(made)).text
    assert "one cpu 1.0 3 2 1 0 1 two cpu 1.0 0 0 0 0 1" in text
    assert "agrees 3 disagrees 2 vacuous 1 refused 0 crashed 2 absent 1" in text


def test_every_state_of_a_cell_is_shown(evidence: Make) -> None:
    of = [("agrees", "1"), ("disagrees", "2"), ("vacuous", "3"), ("refused", "4")]
    lines = [line(outcome, features=ASKED | {"time": time}) for outcome, time in of]
    head = header(features=FEATURES | {"time": ["1", "2", "3", "4", "5"]})
    rows = [row for row in report.render_markdown(evidence(*lines, head=head)).splitlines() if "| time |" in row]
    assert rows == [
        "| time | 1 | ✓ 1 | ∅ absent |",
        "| time | 2 | ✗ 1 of 1 | ∅ absent |",
        "| time | 3 | ≈ 1 | ∅ absent |",
        "| time | 4 | ! 1 of 1 refused | ∅ absent |",
        "| time | 5 | · not asked | ∅ absent |",
    ]
    assert "| lengths | with zeros | — unsupported | ∅ absent |" in report.render_markdown(evidence())


def test_a_relation_fills_no_cell(evidence: Make) -> None:
    made = evidence(line(), line(relation=True))
    assert "| direction | forward | ✓ 1 | ∅ absent |" in report.render_markdown(made)
    assert "| one cpu | 1.0 | 2 | 0 | 0 | 0 | 0 |" in report.summary(made)


def test_a_problem_says_how_to_run_it_again(evidence: Make) -> None:
    first, last = line("disagrees", case=case_of(5)), line("disagrees", case=case_of(1))
    made = evidence(first, line("disagrees", case=case_of(4), content=None), last, failed_test(message="the words"))
    text = Page(report.render_html(made)).text
    assert f"python -m evidence replay run.json {last['case']}" in text
    assert (
        f"3 answers of this test ended so; this is the last that was kept, the smallest. Also kept: {first['case']}"
        in text
    )
    assert "disagrees (value) by the step bound of float32" in text
    assert "the words" in text
    assert f"python -m evidence replay run.json {last['case']}" in report.render_markdown(made)
    head = header(targets=[target("one cpu"), target("two cpu") | {"source": "my.module:Adapter"}])
    several = Page(report.render_html(evidence(line("crashed", "two cpu"), head=head))).text
    assert f"replay run.json {line()['case']} --target 'two cpu' --adapter my.module:Adapter" in several
    lost = evidence(line("crashed", content=None))
    assert "The case itself was not kept" in report.render_html(lost)
    assert "the words" not in report.render_html(lost)


def test_the_commands_make_the_run_again_and_are_quoted(evidence: Make) -> None:
    own = target("own cpu") | {"source": "my module:Adapter; echo $HOME"}
    variables = {"CI": "1", "HYPOTHESIS_PROFILE": "default", "XLA_FLAGS": "--a --b", "NO=$(x)": "1"}
    about = header()["environment"] | {"packages": {"One": "1.0", "other": "2"}, "variables": variables}
    made = evidence(
        head=header(targets=[target("one cpu"), own], environment=about, run=header()["run"] | {"shrink": False})
    )
    text = Page(report.render_html(made)).text
    assert "git checkout " + "c" * 40 in text
    assert (
        "-c constraints.txt numpy ml_dtypes hypothesis pytest pytest-xdist rich pydantic jinja2 matplotlib One CI=1"
        in text
    )
    assert (
        "CI=1 HYPOTHESIS_PROFILE=default XLA_FLAGS='--a --b' python3 -m pytest tests/properties --evidence run.json "
        "--cases 8 --hypothesis-seed=7 --no-shrink --framework one --adapter 'my module:Adapter; echo $HOME' "
        "--device cpu"
    ) in text


def test_a_citation_names_the_suite_and_the_record(evidence: Make) -> None:
    made = evidence(line())
    text = Page(report.render_html(made)).text
    assert (
        "The rnn-equivalence authors. rnn-equivalence: a cross-framework equivalence test suite for recurrent layers, "
        f"version 0.1.0 (commit cccccccccccc), 2026-01-02. Evidence: SHA-256 {made.runs[0].end.sha256}."
    ) in text
    assert "author = {{The rnn-equivalence authors}}," in text


@pytest.mark.parametrize("head", [header(), header(targets=[], absent=[])], ids=["targets", "nothing"])
def test_an_empty_run(evidence: Make, head: dict[str, Any]) -> None:
    made = evidence(head=head)
    assert heading(made) == "No verdict: no answer was found to agree, and none to disagree."
    text = Page(report.render_html(made)).text
    assert "there is no margin to show" in text
    assert "there is no growth to show" in text
    assert "No answer was judged by a bound." in report.render_markdown(made)


def test_a_port_that_the_other_framework_refuses_is_no_problem(evidence: Make) -> None:
    """Of a relation, it is the other target that refused: nothing of it is undeclared, or to be replayed."""
    made = evidence(line(), line("refused", relation=True, property="port to two cpu"))
    assert heading(made).startswith("Everything agrees")
    assert "None is in the record." in report.render_markdown(made)


def test_two_runs_in_one_file(tmp_path: Path) -> None:
    one = finished(header("one cpu"), [line()], ended())
    two = finished(header("one cpu", absent=[]), [line(), line("disagrees")], ended(exit_status=1))
    made = merged(tmp_path / "both.json", one, two)
    assert heading(made) == "Not everything agrees: 1 answer disagrees."
    assert "| one cpu (run 1) | 1.0 | 1 | 0 | 0 | 0 | 0 |" in report.summary(made)
    assert "| one cpu (run 2) | 1.0 | 1 | 1 | 0 | 0 | 0 |" in report.summary(made)
    text = Page(report.render_html(made)).text
    assert all(run.end.sha256 in text for run in made.runs)
    assert "gone is absent from run 1" in text


def test_figures_that_are_no_numbers_are_counted_and_not_drawn(evidence: Make) -> None:
    strange = [
        line(property="corpus, whole trajectory", corpus="001 time 3 forward float32", verdict=line()["verdict"] | of)
        for of in ({"max_error": "nan", "max_fraction": "nan"}, {"max_error": "inf", "max_fraction": "inf"})
    ]
    text = Page(report.render_html(evidence(*strange))).text
    assert "2 whose error is not finite, not drawn" in text
    assert "No finite error among 2 answers" in text
    zero = [
        one | {"verdict": line()["verdict"] | {"max_error": 0.0, "max_fraction": 0.0, "worst": None}} for one in strange
    ]
    assert "2 without any error, not drawn" in Page(report.render_html(evidence(*zero))).text


@pytest.mark.parametrize(("fraction", "outside"), [(0.5, False), (1.0, False), (1.5, True), (1e200, True)])
def test_what_is_outside_its_bound_is_drawn_in_red(evidence: Make, fraction: float, outside: bool) -> None:
    some = line("disagrees" if outside else "agrees")
    html = report.render_html(evidence(line(), some | {"verdict": some["verdict"] | {"max_fraction": fraction}}))
    drawing = html.partition("step bound</h4>")[2].partition("</svg>")[0]
    assert ("var(--bad)" in drawing) == outside
    assert not outside or drawing.index("var(--band)") < drawing.index("var(--bad)")  # it stands before the band
    assert ("1 outside the bound" in html) == outside


@pytest.mark.parametrize("dtype", ["float32", "float64", "float8", True])
def test_the_largest_and_smallest_numbers_are_drawn_or_counted(evidence: Make, dtype: str | bool) -> None:
    extremes = [
        line(property="corpus", corpus=f"001 time {number} x", features=ASKED | {"dtype": dtype},
             verdict=line()["verdict"] | {"max_error": number, "max_fraction": number})
        for number in (5e-324, 1e-30, 1.0, 1e30, 1.7e308)
    ]  # fmt: skip
    assert "largest 1.7e+308 of the bound" in Page(report.render_html(evidence(*extremes))).text


# what the evidence holds is text -----------------------------------------------------------------------------------

ON_ONE_LINE = {"adapter", "source", "version", "backend", "device"}  # the reader accepts no others
KEPT = {"kind", "format", "complete", "outcome", "case", "answer_id", "target", "label", "array", "started", "seed"}


def poisoned(value: Any, poison: str, names: bool, key: str = "") -> Any:
    """An object whose strings end with `poison`; names: and its keys, where they are free."""
    if isinstance(value, dict):
        free = names and key in ("variables", "packages", "environment")
        free = free and "Python" not in value
        return {
            name + poison * free: of if name in KEPT else poisoned(of, poison, names, name)
            for name, of in value.items()
        }
    if isinstance(value, list):
        return [poisoned(of, poison, names, key) for of in value]
    if key == "corpus" and value == SHA:
        return value
    poison = " ".join(poison.split()) if key in ON_ONE_LINE else poison
    return value + poison if isinstance(value, str) else value


def spoiled(path: Path, poison: str, names: bool) -> Evidence:
    """A run with all that a run can hold, and poison in every string of it."""
    label = f"one cpu{' '.join(poison.split())}"
    lines = [line(), line("disagrees"), line("crashed"), line("vacuous"), line("refused")]
    lines += [failed_test(), failed_test("skipped") | {"test": "another"}]
    lines = [poisoned(of, poison, names) | ({"target": label} if of["kind"] == "verdict" else {}) for of in lines]
    lines += [poisoned(of, poison, names) | {"target": label, "property": of["property"]} for of in growing()]
    head = poisoned(header(), poison, names) | {"run": header()["run"] | {"started": poison, "profile": poison}}
    head["targets"][0]["label"] = label
    made = finished_without_cells(head, lines, ended(selection=poison, finished=poison, tests={"passed" + poison: 1}))
    path.write_bytes(made)
    return read(path)


def finished_without_cells(head: dict[str, Any], lines: list[dict[str, Any]], end: dict[str, Any]) -> bytes:
    """As journal.finished, for lines whose features have other names."""
    body = b"".join(dump(of) for of in (head | {"complete": True}, *lines))
    end = {"kind": "end", **end, "lines": len(lines) + 2, "outcomes": {}, "cells": []}
    return body + dump(end | {"sha256": run_digest(body, end)})


@pytest.mark.parametrize("names", [False, True], ids=["values", "values and names"])
def test_nothing_in_the_evidence_becomes_html(tmp_path: Path, names: bool) -> None:
    hostile = report.render_html(spoiled(tmp_path / "run.json", HOSTILE, names))
    page, plain = Page(hostile), Page(report.render_html(spoiled(tmp_path / "run.json", " harmless", names)))
    assert page.elements == plain.elements
    assert not {tag for tag, _ in page.elements} & {
        "script",
        "img",
        "iframe",
        "object",
        "embed",
        "link",
        "form",
        "base",
    }
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert all(link.startswith("#") for link in page.links)
    assert page.text.count("<script>alert(1)</script>") > 50
    assert "{{ 7*7 }}" in page.text


@pytest.mark.parametrize("names", [False, True], ids=["values", "values and names"])
@pytest.mark.parametrize("render", [report.render_markdown, report.summary])
def test_nothing_in_the_evidence_becomes_markdown(tmp_path: Path, names: bool, render: Callable[..., str]) -> None:
    def shown(poison: str) -> list[tuple[str, tuple[str, ...]]]:
        markdown = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
        return Page(markdown.render(render(spoiled(tmp_path / "run.json", poison, names)))).elements

    assert shown(HOSTILE) == shown(" harmless")


def test_a_file_of_any_name(tmp_path: Path) -> None:
    path = tmp_path / "a b;<img src=x>`.json"
    path.write_bytes(finished(header(), [line("disagrees")], ended()))
    html = report.render_html(read(path))
    assert "replay &#39;a b;&lt;img src=x&gt;`.json&#39;" in html
    assert str(tmp_path) not in html + report.render_markdown(read(path))


def test_hidden_characters_are_spelled_out(evidence: Make) -> None:
    made = evidence(line("crashed", message="a\u202eb\x1b[31m\x00"))
    for text in (report.render_html(made), report.render_markdown(made)):
        assert "a\\u202eb\\u001b[31m\\u0000" in text


def test_the_page_needs_nothing_else(evidence: Make) -> None:
    html = report.render_html(evidence(line(), *growing()))
    assert "://" not in html
    assert "@import" not in html
    assert "url(" not in html.replace("url(#", "")
    ids = [part.partition('"')[0] for part in html.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_the_same_record_makes_the_same_bytes(tmp_path: Path, evidence: Make) -> None:
    made = evidence(line(), line("disagrees"), *growing())
    first, second = tmp_path / "1", tmp_path / "2"
    for folder in (first, second):
        folder.mkdir()
        report.write(made, folder / "a.html", folder / "a.md")
    for name in ("a.html", "a.md"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


# the kill matrix ---------------------------------------------------------------------------------------------------


def test_the_kill_matrix_of_this_repository() -> None:
    matrix = kills.kill_matrix()
    assert isinstance(matrix, kills.KillMatrix)
    rows = json.loads(kills.PATH.read_text())["rows"]
    assert matrix.faults + matrix.spared == len(rows)
    assert all(len(shares) == len(matrix.properties) for _, _, shares in matrix.families)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "rnn-equivalence kill matrix 1", "adapter": 1, "rows": [1]}']
)
def test_a_kill_matrix_that_is_none_is_left_out(
    tmp_path: Path, evidence: Make, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(kills, "PATH", tmp_path / "kill-matrix.json")
    assert "There is no kill matrix" in report.render_html(evidence(line()))
    kills.PATH.write_text(text)
    assert "The kill matrix is left out" in report.render_html(evidence(line()))
    assert "The kill matrix is left out" in report.render_markdown(evidence(line()))


def test_the_features_of_these_tests_make_cells() -> None:
    assert set(CELL) <= set(FEATURES) == set(ASKED)
