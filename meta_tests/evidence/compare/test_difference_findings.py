"""A finding that appears in an upgrade is a no-go, and named; one that goes is said; what a go rests on is counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("rich")

from evidence.compare.changes import NO_GO, Change, Said, conclusion, json_parts, show, to_markdown
from evidence.compare.difference import difference
from evidence.markdown import escaped
from evidence.merge import compact
from evidence.record import corpus
from evidence.record.reader import Evidence, read
from meta_tests.common.records import CORPUS, ask, recording
from meta_tests.common.wrong import FINDINGS, Wrong, ask_findings, known
from meta_tests.evidence.verify.test_verifying import recounted
from reference import Case

LEFT_OUT, WRONG = (Said(outcome, 0, False, None) for outcome in ("left out", "finding"))
TITLE = "F-901 Biases are ignored (https://example.org/issues/F-901)"


@pytest.fixture(autouse=True)
def findings() -> Iterator[None]:
    with known():
        yield


def cases() -> list[Case]:
    """A case of relu, one of tanh and one unbatched, float32 all."""
    kinds = ("relu float32 plain", "tanh float32 plain")
    names = [next(name for name in corpus.cases() if f"forward batch_first {kind}" in name) for kind in kinds]
    names += [next(name for name in corpus.cases() if "forward unbatched tanh float64" in name)]
    return [corpus.cases()[name] for name in names]


def of(path: Path, *has: str, asked: bool = True) -> Evidence:
    with recording(path, Wrong(*has)) as (target,):
        for case in cases():
            ask(target, f"{CORPUS}[{corpus.names()[case.id]}-reference-cpu]", corpus.PROPERTY, case)
        if asked:
            ask_findings(target)
    return read(path)


def test_one_that_appears_is_a_no_go_and_one_that_goes_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without, having = of(tmp_path / "without.json"), of(tmp_path / "having.json", "F-901")
    found = difference(without, having)
    assert not found.go
    assert conclusion(found) == "NO-GO: F-901 appears in reference cpu, 2 now a finding"
    assert [str(fate) for fate in found.fates] == [f"{TITLE} appears in reference cpu (old: gone, new: present)"]
    told = json.loads("".join(json_parts(found)))
    assert told["findings"][0]["id"] == "F-901"
    assert told["findings"][0]["link"] == "https://example.org/issues/F-901"
    named = f"{TITLE} appears in reference cpu (old: gone, new: present). To avoid it: Use another version."
    assert escaped(named) in to_markdown(found)
    show(found)
    assert named in " ".join(capsys.readouterr().out.split())
    back = difference(having, without)
    assert back.go
    assert [fate.kind for fate in back.fates] == ["goes"]
    assert back.counts()["now inside"] == 2
    both = difference(having, having)
    assert (both.go, both.counts()["still a finding"]) == (True, 2)
    assert [fate.kind for fate in both.fates] == ["still present"]


def test_one_outside_of_the_corpus_is_a_no_go_by_its_own_case(tmp_path: Path) -> None:
    """Users call a layer in an idiom that no case of the corpus has."""
    found = difference(of(tmp_path / "old.json"), of(tmp_path / "new.json", "F-906"))
    assert conclusion(found) == "NO-GO: F-906 appears in reference cpu, 1 now a finding"


def test_a_documented_default_that_appears_is_a_no_go(tmp_path: Path) -> None:
    found = difference(of(tmp_path / "old.json"), of(tmp_path / "new.json", "F-905"))
    assert not found.go


def test_what_is_left_out_now_is_lost(tmp_path: Path) -> None:
    old, new = of(tmp_path / "old.json"), of(tmp_path / "new.json", "F-904")
    found = difference(old, new)
    assert conclusion(found) == "NO-GO: F-904 appears in reference cpu, 1 now a finding, 1 now left out"
    same = difference(new, new)
    assert same.counts()["still left out"] == 1
    said = conclusion(same)
    assert said.startswith(
        "GO: 2 of 3 cases of the corpus, in all modes, were answered in both (67 %); 1 left out by F"
    )
    assert json.loads("".join(json_parts(same)))["answered in both"] == {
        "cases": 2, "of": 3, "others": {"left out by F-904": 1}
    }  # fmt: skip
    assert difference(new, old).counts()["now inside"] == 2


def test_one_that_was_not_asked_before_is_a_no_go_unless_none_was(tmp_path: Path) -> None:
    asked_none, new = of(tmp_path / "old.json", "F-906", asked=False), of(tmp_path / "new.json", "F-906")
    assert conclusion(difference(asked_none, new)) == "NO-GO: F-906 appears in reference cpu"

    def as_older(lines: list) -> None:
        for name in ("refused", "findings"):
            del lines[0]["targets"][0][name]

    older = recounted(asked_none.path, as_older)
    found = difference(older, new)
    assert (found.go, [fate.kind for fate in found.fates]) == (True, ["present"])


def test_one_that_was_hidden_by_another_is_no_no_go(tmp_path: Path) -> None:
    """F-904 says that nothing can be expected where F-903 would be asked; when that goes, F-903 is seen, and is old."""
    old, new = of(tmp_path / "old.json", "F-904"), of(tmp_path / "new.json", "F-901")

    def hidden(lines: list) -> None:
        lines[:] = [line for line in lines if line.get("property") != "finding F-901"]

    found = difference(recounted(old.path, hidden), new)
    kinds = {fate.finding.id: fate.kind for fate in found.fates}
    assert kinds["F-901"] == "seen now"
    assert kinds["F-904"] == "goes"
    assert Change(b"", next(iter(found.changes)).place, LEFT_OUT, WRONG).kind == "a finding, left out before"
    assert "a finding, left out before" not in NO_GO


def test_what_was_a_finding_and_is_wrong_otherwise_is_outside(tmp_path: Path) -> None:
    class Worse(Wrong):
        def answered(self, case, finding):
            output, h_n, *_ = super().answered(case, finding)
            return super().answered(case, finding)._replace(output=output * 2, h_n=h_n * 2)

    old = of(tmp_path / "old.json", "F-901")
    with recording(tmp_path / "new.json", Worse("F-901")) as (target,):
        for case in cases():
            ask(target, f"{CORPUS}[{corpus.names()[case.id]}-reference-cpu]", corpus.PROPERTY, case)
        ask_findings(target)
    found = difference(old, read(tmp_path / "new.json"))
    assert conclusion(found) == "NO-GO: F-901 changed in reference cpu, 2 now outside"


def test_a_compact_record_says_what_became_of_findings(tmp_path: Path) -> None:
    old, new = of(tmp_path / "old.json"), of(tmp_path / "new.json", "F-901")
    compact(old, tmp_path / "small.json")
    small = read(tmp_path / "small.json")
    assert {line.property for line in small.runs[0].verdicts} >= {f"finding {name}" for name in FINDINGS}
    assert conclusion(difference(small, new)) == "NO-GO: F-901 appears in reference cpu, 2 now a finding"
