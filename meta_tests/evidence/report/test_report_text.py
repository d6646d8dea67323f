"""What the evidence holds is text: nothing of it becomes markup in the page, which needs nothing beside it."""

from __future__ import annotations

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
    SHA,
    Page,
    ended,
    evidence_of,
    failed_test,
    finding,
    growing,
    header,
    line,
    pinned,
    target,
)

markdown_it = pytest.importorskip("markdown_it")  # rich needs it

HOSTILE = (
    "\"'><script>alert(1)</script><img src=x onerror=alert(1)>`|`{{ 7*7 }}$x$ [a](http://b)**c**"
    "\n# d\n\n---\n```\n~~~\n* e\n<!-- &amp;"
)
ON_ONE_LINE = {"adapter", "source", "version", "backend", "device", "exception", "idiom"}  # no others are read
KEPT = {"kind", "id", "link", "format", "complete", "outcome", "case", "answer_id", "target", "label", "array",
        "started", "seed"}  # fmt: skip


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
    if (key == "corpus" and value == SHA) or (key == "findings" and isinstance(value, str)):
        return value
    poison = " ".join(poison.split()) if key in ON_ONE_LINE else poison
    return value + poison if isinstance(value, str) else value


def finished_without_cells(head: dict[str, Any], lines: list[dict[str, Any]], end: dict[str, Any]) -> bytes:
    """As journal.finished, for lines whose features have other names."""
    body = b"".join(dump(of) for of in (head | {"complete": True}, *lines))
    end = {"kind": "end", **end, "lines": len(lines) + 2, "outcomes": {}, "cells": []}
    return body + dump(end | {"sha256": run_digest(body, end)})


def spoiled(path: Path, poison: str, names: bool) -> Evidence:
    """A run with all that a run can hold, and poison in every string of it."""
    label = f"one cpu{' '.join(poison.split())}"
    lines = [line(), line("disagrees"), line("crashed"), line("vacuous"), line("refused")]
    lines += [pinned(), pinned(number=2), line("left out"), line("not offered")]
    lines += [failed_test(), failed_test("skipped") | {"test": "another"}]
    lines = [poisoned(of, poison, names) | ({"target": label} if of["kind"] == "verdict" else {}) for of in lines]
    lines += [poisoned(of, poison, names) | {"target": label, "property": of["property"]} for of in growing()]
    findings = [finding(1), finding(2, kind="documented"), finding(3)]
    head = poisoned(header(targets=[target("one cpu") | {"findings": findings}]), poison, names)
    head |= {"run": header()["run"] | {"started": poison, "profile": poison}}
    head["targets"][0]["label"] = label
    made = finished_without_cells(head, lines, ended(selection=poison, finished=poison, tests={"passed" + poison: 1}))
    path.write_bytes(made)
    return read(path)


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
    assert all(link.startswith(("#", "./run.json")) or link == finding()["link"] for link in page.links)
    assert page.text.count("<script>alert(1)</script>") > 50
    assert "{{ 7*7 }}" in page.text


@pytest.mark.parametrize("names", [False, True], ids=["values", "values and names"])
@pytest.mark.parametrize("brief", [False, True])
def test_nothing_in_the_evidence_becomes_markdown(tmp_path: Path, names: bool, brief: bool) -> None:
    def shown(poison: str) -> list[tuple[str, tuple[str, ...]]]:
        markdown = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
        return Page(
            markdown.render(report.render_markdown(spoiled(tmp_path / "run.json", poison, names), brief))
        ).elements

    assert shown(HOSTILE) == shown(" harmless")


def test_hidden_characters_are_spelled_out(tmp_path: Path) -> None:
    made = evidence_of(tmp_path, line("crashed", message="a\u202eb\x1b[31m\x00"))
    for text in (report.render_html(made), report.render_markdown(made)):
        assert "a\\u202eb\\u001b[31m\\u0000" in text


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    html = report.render_html(evidence_of(tmp_path, line(), *growing()))
    assert "://" not in html
    assert "@import" not in html
    assert "url(" not in html.replace("url(#", "")
    ids = [part.partition('"')[0] for part in html.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_the_same_record_makes_the_same_bytes(tmp_path: Path) -> None:
    made = evidence_of(tmp_path, line(), line("disagrees"), *growing())
    for folder in ("1", "2"):
        assert report.command(made.path, tmp_path / folder) == 0
    for name in ("html", "md", "intoto.json"):
        one, other = (tmp_path / folder / f"{made.path.stem}.{name}" for folder in ("1", "2"))
        assert one.read_bytes() == other.read_bytes()


def test_what_targets_declare_alike_stands_in_one_line(tmp_path: Path) -> None:
    head = header("one cpu", "two cpu", "three cpu")
    head["targets"][1]["emulated"] = []
    head["targets"][2] |= {"unsupported": [], "refused": [], "emulated": []}
    text = report.render_markdown(evidence_of(tmp_path, line("agrees"), head=head))
    assert "- one cpu, two cpu: not offered: lengths with zeros (it cannot)\n" in text
    assert "- one cpu, two cpu: refused: lengths with zeros with bias False (ValueError: no)\n" in text
    assert "- one cpu: emulated: direction reverse (it flips)\n" in text
    assert "- three cpu: asked: everything (nothing is refused or emulated)\n" in text
