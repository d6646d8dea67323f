"""Idioms that two runs have are compared case by case; what one alone was asked is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("rich")

from evidence.compare.changes import conclusion, json_parts, to_markdown
from evidence.compare.difference import difference
from evidence.merge import compact
from evidence.record import corpus, seeded
from evidence.record.reader import Evidence, read
from meta_tests.common.records import CORPUS, ask, few, recording
from meta_tests.common.wrong import Fallen, Wrong, ask_idioms, known
from meta_tests.evidence.verify.test_verifying import recounted

ASKED = ("twice", "last output", "held")


@pytest.fixture(autouse=True)
def findings() -> Iterator[None]:
    with known():
        yield


def of(path: Path, adapter: Any, *idioms: str) -> Evidence:
    with recording(path, adapter) as (target,):
        for case in few():
            ask(target, f"{CORPUS}[{corpus.names()[case.id]}-reference-cpu]", corpus.PROPERTY, case)
        ask_idioms(target, *idioms)
    return read(path)


@pytest.fixture
def old(tmp_path: Path) -> Evidence:
    return of(tmp_path / "old.json", Wrong(), *ASKED)


def asked(evidence: Evidence) -> int:
    return sum(line.property == seeded.PROPERTY for line in evidence.runs[0].verdicts)


def test_they_are_compared_as_the_corpus_is(tmp_path: Path, old: Evidence) -> None:
    found = difference(old, of(tmp_path / "new.json", Wrong(), *ASKED))
    assert found.go
    assert sum(found.idioms.values()) == asked(old) > 20
    assert f"{asked(old)} fixed cases of 3 idioms were compared, as those of the corpus." in to_markdown(found)
    assert "cases of the corpus, in all modes, and of idioms, were answered in both (" in conclusion(found)
    told = json.loads("".join(json_parts(found)))
    assert [word for _, word, _ in told["idioms compared"]] == sorted(ASKED)
    assert {change["idiom"] for change in told["changes"]} == {"", *ASKED}


def test_one_that_begins_to_disagree_is_a_no_go(tmp_path: Path, old: Evidence) -> None:
    new = of(tmp_path / "new.json", Fallen("F-901"), *ASKED)
    found = difference(old, new)
    assert not found.go
    assert "1 now outside" in conclusion(found)
    assert "in the idiom" in to_markdown(found)
    (tmp_path / "small").mkdir()
    for one in (old, new):
        compact(one, tmp_path / "small" / one.path.name)
    small = difference(*(read(tmp_path / "small" / one.path.name) for one in (old, new)))
    assert "1 now outside" in conclusion(small)


def test_a_finding_in_an_idiom_is_a_no_go_too(tmp_path: Path, old: Evidence) -> None:
    found = difference(old, of(tmp_path / "new.json", Wrong("F-906"), *ASKED))
    assert not found.go
    assert "now a finding" in conclusion(found)


def test_what_one_alone_was_asked_is_said(tmp_path: Path, old: Evidence) -> None:
    few = of(tmp_path / "few.json", Wrong(), "twice")
    assert "Left out: idioms of reference cpu that only the new run was asked: 'held', 'last output'." in notes(
        few, old
    )
    assert "Left out: idioms of reference cpu that only the old run was asked: 'held', 'last output'." in notes(
        old, few
    )
    assert difference(old, few).go

    def absent(lines: list[dict[str, Any]]) -> None:
        lines[0]["targets"][0]["idioms"][2]["absent"] = "no such provider"

    here = recounted(of(tmp_path / "two.json", Wrong(), "twice", "last output").path, absent)
    assert "only the old run was asked: 'held' (absent: no such provider)." in notes(old, here)


def notes(old: Evidence, new: Evidence) -> str:
    return "\n".join(f"Left out: {words}." for words in difference(old, new).left_out)


def taken(change: Callable[[dict[str, Any]], Any] = len) -> Callable[[list[dict[str, Any]]], None]:
    """Without one case of an idiom.  change: of what the header declares of it."""

    def changed(lines: list[dict[str, Any]]) -> None:
        change(lines[0]["targets"][0]["idioms"][2])
        lines.remove(next(one for one in lines if one.get("idiom") == "held"))

    return changed


def test_a_case_that_is_missing_is_a_no_go_unless_the_idiom_is_declared_otherwise(old: Evidence) -> None:
    assert "NO-GO: 1 missing" in conclusion(difference(old, recounted(old.path, taken())))
    wider = {"features": {"bias": False}, "reason": "no"}
    found = difference(old, recounted(old.path, taken(lambda idiom: idiom["without"].append(wider))))
    assert found.go
    assert list(found.left_out) == [
        "idioms of reference cpu that are declared otherwise: cases of one run alone: 'held'"
    ]


def test_the_numbers_of_a_case_do_not_depend_on_what_else_is_asked() -> None:
    """So that an adapter that offers more is asked the same cases as before, and others."""
    every, fewer = (
        {case.id for case in seeded.cases_of(offered)}
        for offered in (Wrong().capabilities, Wrong().idioms["held"].narrowed(Wrong().capabilities))
    )
    assert len(every & fewer) > len(every) / 2
