"""Verification of findings: a disagreement is not turned into one, nor left out, by whoever makes the counts anew."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

from adapters.capabilities import Refusal
from evidence.record import corpus
from evidence.record.reader import read
from evidence.record.schema import TestLine
from evidence.verify import declarations, questions
from evidence.verify.again import _other
from evidence.verify.verify import conclusion, verify
from meta_tests.common.records import ask, few, record, recording
from meta_tests.common.wrong import FINDINGS, Wrong, ask_findings, known
from meta_tests.evidence.verify.test_verifying import CORPUS, CORPUS_TESTS, recounted

Line = dict[str, Any]
HAS = ("F-901", "F-902", "F-904", "F-905", "F-906")


@pytest.fixture(autouse=True)
def findings() -> Iterator[None]:
    with known():
        yield


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("genuine") / "run.json"
    unbatched = [case for case in corpus.cases().values() if case.layout == "unbatched"][:1]
    with known(), recording(path, Wrong(*HAS), selection="only some of it was run") as (target,):
        for case in [*few(), *unbatched, *relu()]:
            name = f"{CORPUS_TESTS}::test_the_corpus[{corpus.names()[case.id]}-reference-cpu]"
            ask(target, name, CORPUS, case)
        ask_findings(target)
    return path


def relu() -> list[Any]:
    wanted = ("relu", "float32", "batch_first")
    cases = (case for name, case in corpus.cases().items() if all(word in name.split() for word in wanted))
    return [next(cases)]


def problems(path: Any) -> list[str]:
    found = [problem for check in verify(path) for problem in check.problems]
    return [problem for problem in found if "not asked once" not in problem]


def test_a_record_with_findings_is_right_and_the_conclusion_names_them(genuine: Path) -> None:
    evidence = read(genuine)
    assert problems(evidence) == []
    outcomes = {line.outcome for line in evidence.runs[0].verdicts}
    assert outcomes >= {"agrees", "finding", "left out"}
    said = conclusion(evidence, [check for check in verify(evidence) if not check.problems])
    assert "F-901 Biases are ignored (https://example.org/issues/F-901) is present." in said
    assert "F-903" not in said
    assert any("; 1 were left out, as F-904 says" in check.checked for check in verify(evidence))


def those(lines: list[Line], outcome: str, tested: str = CORPUS, named: str = "") -> list[Line]:
    found = [line for line in lines if line.get("outcome") == outcome and line["property"] == tested]
    return [line for line in found if not named or named in line["findings"]]


def changes(at: str, tested: str = CORPUS, of: str = "", **fields: Any) -> Callable[[list[Line]], None]:
    return lambda lines: those(lines, at, tested, of)[0].update(copy.deepcopy(fields))


def another_way_wrong(lines: list[Line]) -> None:
    """An answer that is wrong, called what a finding says: that of another case, with the figures of its verdict."""
    relu, *_ = those(lines, "finding", named="F-901")
    relu["findings"] = ["F-902"]


def no_pinned(lines: list[Line]) -> None:
    lines[:] = [line for line in lines if line.get("property") != "finding F-901"]


def gone(lines: list[Line]) -> None:
    """The case of the finding is called right."""
    line = those(lines, "finding", "finding F-901")[0]
    line.update(outcome="agrees", findings=[], content=None)
    line["verdict"] |= {"outside": 0, "first": None, "reason": "", "max_fraction": 0.5}
    worst = line["verdict"]["worst"]
    worst["bound"] = 2 * abs(worst["actual"] - worst["expected"])


def called_present(lines: list[Line]) -> None:
    """A finding that the version has not, so that cases can be called one."""
    line = those(lines, "agrees", "finding F-903")[0]
    line.update(outcome="finding", findings=["F-903"], verdict=None, answer=None, answer_id=None)
    line["message"] = "IndexError: no batch"


def left_out(lines: list[Line]) -> None:
    line = those(lines, "finding", named="F-901")[0]
    line.update(outcome="left out", findings=[], verdict=None, answer=None, answer_id=None, message="F-904")


def by_one_that_can_be_told(lines: list[Line]) -> None:
    left_out(lines)
    those(lines, "left out")[0]["message"] = "F-901"
    next(line for line in lines if line.get("message") == "F-904").update(message="F-901")


def crash(lines: list[Line]) -> None:
    line = those(lines, "finding", named="F-901")[0]
    line.update(verdict=None, answer=None, answer_id=None, message="ZeroDivisionError: no units")


def header(**fields: Any) -> Callable[[list[Line]], None]:
    return lambda lines: lines[0]["targets"][0]["findings"][0].update(fields)


FORGERIES: dict[str, tuple[Callable[[list[Line]], Any], str]] = {
    "another finding": (another_way_wrong, "it names 'F-902', no finding that is present, and of such a case"),
    "none": (changes("finding", findings=[]), "finding, and it names 0 findings"),
    "one too many": (changes("finding", of="F-901", findings=["F-901", "F-905"]), "it names 'F-905'"),
    "one twice": (changes("finding", of="F-901", findings=["F-901"] * 2), "it names a finding twice"),
    "one that is none": (changes("finding", of="F-901", findings=["F-999"]), "it names 'F-999'"),
    "one of an idiom": (changes("finding", of="F-901", findings=["F-906"]), "it names 'F-906'"),
    "one that is gone": (changes("finding", of="F-901", findings=["F-903"]), "it names 'F-903'"),
    "an agreement": (changes("agrees", outcome="finding", findings=["F-902"]), "another outcome than its own figures"),
    "a name on an agreement": (changes("agrees", findings=["F-902"]), "agrees, and it names 1 findings"),
    "called agreed": (changes("finding", outcome="agrees", findings=[]), "another outcome than its own figures"),
    "called vacuous": (changes("finding", of="F-901", outcome="vacuous", findings=[]), "recorded as vacuous"),
    "called a disagreement": (changes("finding", outcome="disagrees", findings=[]), "its test did not fail"),
    "an idiom": (changes("agrees", idiom="twice"), "it was asked in the idiom 'twice'"),
    "no idiom": (changes("finding", "finding F-906", idiom=""), "it was asked in the idiom ''"),
    "pinned: gone": (gone, "recorded as agrees, with another outcome"),
    "pinned: another case": (changes("finding", "finding F-901", case="0" * 16), "the case of the finding is"),
    "pinned: no answer": (changes("finding", "finding F-901", answer=None), "no answer is kept that shows it"),
    "pinned: another's": (changes("finding", "finding F-901", findings=["F-902"]), "others than 'finding F-901'"),
    "pinned: changed": (changes("finding", "finding F-901", outcome="disagrees", findings=[]), "recorded as disagrees"),
    "pinned: of none": (changes("finding", "finding F-901", property="finding F-999"), "knows no such finding"),
    "pinned: called present": (called_present, "recorded as finding: 'IndexError: no batch'; here it is answered"),
    "left out": (left_out, "it names 'F-904', no finding that is present, and of such a case"),
    "left out by another": (by_one_that_can_be_told, "left out, and what F-901 says can be told"),
    "a crash": (crash, "it raised 'ZeroDivisionError: no units', which is not what F-901 says"),
    "header: none": (lambda lines: lines[0]["targets"][0].update(findings=[]), "its findings (none) are not those"),
    "header: a title": (header(title="All is well"), "are not those of this version of the suite"),
    "header: a trigger": (header(trigger={}), "are not those of this version of the suite"),
    "header: a kind": (header(kind="documented"), "are not those of this version of the suite"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_record_is_found_out(genuine: Path, name: str) -> None:
    change, words = FORGERIES[name]
    found = problems(recounted(genuine, change))
    assert any(words in problem for problem in found), found


def test_an_answer_that_is_wrong_in_another_way_is_no_finding(tmp_path: Path) -> None:
    """The forger plants another fault, keeps its answer, and calls it what a finding of the case says."""
    with recording(tmp_path / "run.json", Wrong("F-901"), selection="a part") as (target,):
        ask_findings(target)

        class Worse(Wrong):
            def answered(self, case: Any, finding: str) -> Any:
                output, h_n, *_ = super().answered(case, finding)
                return type(super().answered(case, finding))(output * 2, h_n * 2)

        object.__setattr__(target, "adapter", Worse("F-901"))
        (case,) = relu()
        ask(target, f"{CORPUS_TESTS}::test_the_corpus[{corpus.names()[case.id]}-reference-cpu]", CORPUS, case)

    def called_a_finding(lines: list[Line]) -> None:
        those(lines, "disagrees")[0].update(outcome="finding", findings=["F-901"])
        lines[:] = [line for line in lines if line["kind"] != "test"]
        lines[-1].update(exit_status=0, tests={"passed": lines[-1]["tests"]["passed"] + 1})

    assert problems(read(tmp_path / "run.json")) == []
    found = problems(recounted(tmp_path / "run.json", called_a_finding))
    assert any("recorded as finding F-901, by the answer kept it is disagrees" in problem for problem in found), found


def test_an_exception_that_this_version_does_not_raise_is_found_out(tmp_path: Path) -> None:
    """A record that says so of a version that is installed here: it is asked again."""
    with recording(tmp_path / "run.json", Wrong("F-903"), selection="a part") as (target,):
        ask_findings(target)
    assert problems(read(tmp_path / "run.json")) == [
        "finding F-903: recorded as finding: 'IndexError: there is no batch here'; here it is answered"
    ]


class Narrow(Wrong):
    capabilities = replace(Wrong.capabilities, refused={(("direction", "forward"),): Refusal("TypeError", "not ahead")})
    words = "TypeError: one goes not ahead"

    def run(self, *given: Any, **named: Any) -> Any:
        kind, _, said = self.words.partition(": ")
        raise {"TypeError": TypeError, "KeyError": KeyError}[kind](said)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = declarations.known()["reference", "", "cpu"]
    said = {"features": {"direction": "forward"}, "exception": "TypeError", "words": "not ahead"}
    here = {("reference", "", "cpu"): entry | {"refused": [said]}}
    monkeypatch.setattr(declarations, "known", lambda: here)


@pytest.mark.usefixtures("narrow")
def test_a_refusal_fits_what_was_declared_and_is_asked_again(tmp_path: Path) -> None:
    case = few()[:1]
    evidence = record(tmp_path / "run.json", Narrow(), cases=case)
    (line,) = evidence.runs[0].verdicts
    assert (line.outcome, line.message) == ("refused", Narrow.words)
    reasons = {cell.unsupported for cell in evidence.runs[0].end.cells if "forward" in cell.cell}
    assert reasons == {"direction forward: refused, TypeError: not ahead"}
    assert problems(evidence) == [
        f"{line.corpus}: recorded as refused: 'TypeError: one goes not ahead'; here it is answered"
    ]
    forged = recounted(evidence.path, changes("refused", message="TypeError: it is late"))
    assert any("words 'TypeError: it is late', which are not those that" in problem for problem in problems(forged))
    undeclared = recounted(evidence.path, lambda lines: lines[0]["targets"][0].update(refused=[]))
    assert any("what it declares refused is not what this version" in problem for problem in problems(undeclared))
    answered = record(tmp_path / "newer.json", Wider(), cases=case)
    assert [line.outcome for line in answered.runs[0].verdicts] == ["agrees"], "a newer version answers, and it passes"
    assert problems(answered) == []


class Wider(Wrong):
    capabilities = Narrow.capabilities


def test_a_foreign_adapter_has_no_findings(genuine: Path) -> None:
    found = problems(recounted(genuine, lambda lines: lines[0]["targets"][0].update(source="mine:Adapter")))
    assert any("its findings (F-901, " in problem and "(none)" in problem for problem in found)


def test_a_whole_run_asks_the_case_of_each_finding(genuine: Path) -> None:
    evidence = recounted(genuine, lambda lines: lines[-1].update(selection=""))
    number = questions.number_for_a_target(None, evidence.runs[0].header.targets[0])
    idioms = len(questions.IDIOMS) * (len(Wrong().idioms) - 1)
    assert number == questions.number_for_a_target() + len(FINDINGS) - 1 + idioms
    asked = "tests test_findings.py::test_the_pinned_case left verdicts"
    assert not any(asked in problem for problem in problems(evidence))
    assert any(f"{len(FINDINGS) - 1} {asked}, this suite has {len(FINDINGS)}" in problem
               for problem in problems(recounted(evidence.path, no_pinned)))  # fmt: skip


def test_a_pinned_case_may_be_skipped_only_where_another_finding_says_what_comes_of_it(genuine: Path) -> None:
    run = read(genuine).runs[0]
    (target,) = run.header.targets

    def said(finding: str) -> int:
        test = f"{questions.FOLDER}{questions.PINNED_TEST}[{target.label.replace(' ', '-')}-{finding}]"
        line = TestLine(kind="test", test=test, outcome="skipped", message="Skipped: as another says")
        return questions.Tally(replace(run, tests=(line,)), corpus.of(corpus.digests()))._said_by_others(target)

    several = FINDINGS.values()
    others = {
        one.id: any(other.holds(one.case.features(), one.case.idiom) for other in several
                    if other.id in HAS and other is not one)
        for one in several
    }  # fmt: skip
    assert {True, False} == {*others.values()}
    assert {one.id: bool(said(one.id)) for one in several} == others


def test_the_words_of_a_finding_may_differ_in_what_it_does_not_name(genuine: Path) -> None:
    run = read(genuine).runs[0]
    line = next(one for one in run.verdicts if one.outcome == "agrees").model_copy(
        update={"outcome": "finding", "findings": ["F-903"], "message": "IndexError: no batch, node 1"}
    )
    assert _other(run.header.targets[0], line, {"crashed": "IndexError: no batch, node 2"}) == ""
    assert "the words are" in _other(run.header.targets[0], line, {"crashed": "IndexError: no bath, node 2"})
    assert "the words are" in _other(run.header.targets[0], line, {"crashed": "KeyError: no batch, node 1"})
