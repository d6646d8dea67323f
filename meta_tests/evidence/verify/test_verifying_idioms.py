"""Verification of idioms: whoever makes the counts anew claims no idiom, view or outcome that does not follow."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

from evidence.record import seeded
from evidence.record.lines import idiom_lines
from evidence.record.reader import Unusable, read
from evidence.verify import declarations
from evidence.verify.verify import conclusion, verify
from meta_tests.common.records import recording
from meta_tests.common.wrong import Fallen, Wrong, ask_findings, ask_idioms, known
from meta_tests.evidence.verify.test_verifying import recounted
from meta_tests.evidence.verify.test_verifying_findings import problems

Line = dict[str, Any]
ASKED = ("twice", "last output", "held")


@pytest.fixture(autouse=True)
def findings() -> Iterator[None]:
    with known():
        yield


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("genuine") / "run.json"
    with known(), recording(path, Wrong("F-906"), selection="only some of it was run") as (target,):
        ask_findings(target)
        ask_idioms(target, *ASKED)
    return path


def of(lines: list[Line], idiom: str, outcome: str = "agrees", tested: str = seeded.PROPERTY) -> list[Line]:
    return [
        one
        for one in lines
        if one["kind"] == "verdict" and (one["idiom"], one["outcome"], one["property"]) == (idiom, outcome, tested)
    ]


def test_a_record_of_idioms_is_right_and_says_what_is_absent(genuine: Path) -> None:
    evidence = read(genuine)
    assert problems(evidence) == []
    (run,) = evidence.runs
    lines = [line for line in run.verdicts if line.property == seeded.PROPERTY]
    assert {line.idiom for line in lines} == {*ASKED}
    assert {line.outcome for line in lines if line.idiom == "twice"} == {"agrees", "finding"}
    assert {tuple(line.view.items()) for line in lines if line.idiom == "held"} == {(("masked", "held"),)}
    assert all(line.answer for line in lines), "they can be judged again"
    assert all(line.answer and line.answer.h_n is None for line in lines if line.idiom == "last output")
    checks = verify(evidence)
    assert any(f", and {len(ASKED)} idioms; " in check.checked for check in checks)
    said = conclusion(evidence, [check for check in checks if not check.problems])
    assert "Not asked: reference cpu in the idiom 'elsewhere', which is absent: there is no other machine." in said


def test_kept_answers_are_judged_again_by_the_view(genuine: Path) -> None:
    """A digit of a kept answer is changed, with its digest made anew: the verdict does not follow from it."""
    from evidence.record.lines import answer_id
    from reference.encoding import decode_answer, encode_answer

    for idiom in ASKED:

        def change(lines: list[Line], idiom: str = idiom) -> None:
            line = of(lines, idiom)[0]
            output, h_n, prefixes, _ = decode_answer(line["answer"])
            assert output is not None
            output = output.copy()
            output.reshape(-1)[-1] += 1
            line.update(answer=encode_answer(output, h_n, prefixes), answer_id=answer_id(output, h_n))

        found = problems(recounted(genuine, change))
        assert any("recorded as agrees, with another outcome" in one for one in found), (idiom, found)


def changes(of_idiom: str, at: str = "agrees", **fields: Any) -> Callable[[list[Line]], None]:
    return lambda lines: of(lines, of_idiom, at)[0].update(copy.deepcopy(fields))


def header(number: int, **fields: Any) -> Callable[[list[Line]], None]:
    return lambda lines: lines[0]["targets"][0]["idioms"][number].update(fields)


def called_another(lines: list[Line]) -> None:
    """All of an idiom's lines are said to be of another, that was not asked: its tests too."""
    for line in lines[1:-1]:
        if line["kind"] == "verdict" and line["idiom"] == "held":
            line["test"] = line["test"].replace("held", "last_output")


def undeclared(lines: list[Line]) -> None:
    for line in of(lines, "held"):
        line.update(idiom="upside down", test=line["test"].replace("held", "upside_down"))


def asked_though_absent(lines: list[Line]) -> None:
    line = copy.deepcopy(of(lines, "held")[0])
    line.update(idiom="elsewhere", view={}, test=line["test"].replace("held", "elsewhere"))
    lines.insert(1, line)


def without(idiom: str, most: int | None = None) -> Callable[[list[Line]], None]:
    def change(lines: list[Line]) -> None:
        for line in of(lines, idiom)[:most]:
            lines.remove(line)

    return change


def of_the_whole_suite(change: Callable[[list[Line]], Any]) -> Callable[[list[Line]], None]:
    def changed(lines: list[Line]) -> None:
        lines[-1]["selection"] = ""
        change(lines)

    return changed


def left_out(lines: list[Line]) -> None:
    """A case that an idiom does not ask, as the idiom gives no initial states."""
    line = of(lines, "last output")
    taken = next(one for one in line if one["features"]["h0"])
    lines.insert(1, taken | {"idiom": "held", "view": {"masked": "held"}, "test": of(lines, "held")[0]["test"]})


FORGERIES: dict[str, tuple[Callable[[list[Line]], Any], str]] = {
    "an idiom that is not declared": (undeclared, "the idiom 'upside down', which reference cpu does not declare"),
    "an idiom that is absent": (asked_though_absent, "the idiom 'elsewhere', which is absent: there is no other"),
    "the idiom of another test": (called_another, "is no test of reference cpu in the idiom 'held'"),
    "no idiom": (changes("held", idiom=""), "is no test of reference cpu in the idiom ''"),
    "another view": (changes("held", view={}), "its view is whole, the idiom 'held' shows masked held"),
    "a view": (changes("twice", view={"states": "none"}), "its view is states none, the idiom 'twice' shows whole"),
    "a case of another": (left_out, "it is none of the cases that the idiom 'held' is asked"),
    "an outcome": (changes("twice", "finding", outcome="agrees", findings=[]), "another outcome than its own figures"),
    "a finding": (changes("last output", outcome="finding", findings=["F-906"]), "F-906"),
    "a refusal": (
        changes("held", outcome="refused", verdict=None, answer=None, answer_id=None, message="ValueError: no"),
        "it was refused, and nothing that it asks for is declared so",
    ),
    "not offered": (
        changes("held", outcome="not offered", verdict=None, answer=None, answer_id=None, message="no way"),
        "it was not offered, and nothing that it asks for is declared so",
    ),
    "no answer": (changes("held", answer=None), "no answer is kept that shows it"),
    "no case": (without("held", 1), "the idiom 'held' is declared, and 1 of its"),
    "a case twice": (lambda lines: lines.insert(1, of(lines, "held")[0]), "asked one of its cases 2 times"),
    "none at all": (of_the_whole_suite(without("held")), "the idiom 'held' is declared, and"),
    "header: no idiom": (lambda lines: lines[0]["targets"][0]["idioms"].pop(2), "otherwise: held"),
    "header: one more": (
        lambda lines: lines[0]["targets"][0]["idioms"].append(lines[0]["targets"][0]["idioms"][0] | {"word": "more"}),
        "(5, expected 4; otherwise: more)",
    ),
    "header: another view": (header(2, view={}), "otherwise: held"),
    "header: wider without": (
        header(2, without=[{"features": {"bias": True}, "reason": "no"}]), "the idioms that it declares are not those"),
    "header: other words": (header(1, says="in some way"), "otherwise: last output"),
    "header: from before": (
        lambda lines: (lines[0]["targets"][0].pop("idioms"), lines[0]["run"].update(draws=5)),
        "it draws as a suite does that asks idioms, and declares none",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_record_is_found_out(genuine: Path, name: str) -> None:
    change, words = FORGERIES[name]
    found = problems(recounted(genuine, change))
    assert any(words in problem for problem in found), found


def test_an_idiom_declared_twice_or_with_a_strange_view_is_no_record(genuine: Path) -> None:
    twice = lambda lines: lines[0]["targets"][0]["idioms"].append(lines[0]["targets"][0]["idioms"][0])  # noqa: E731
    with pytest.raises(Unusable, match="'reference cpu' declares an idiom twice: elsewhere, held, last output, twice"):
        recounted(genuine, twice)
    with pytest.raises(Unusable, match="view output: got 'all', expected one of every step, last step, none"):
        recounted(genuine, header(0, view={"output": "all"}))


def test_what_a_machine_lacks_is_its_own_word_and_is_said(genuine: Path) -> None:
    """Absent here, and there in the data of the suite: no machine knows of another."""

    def absent(lines: list[Line]) -> None:
        header(2, absent="no such provider")(lines)
        without("held")(lines)

    evidence = recounted(genuine, of_the_whole_suite(absent))
    assert not any("held" in problem for problem in problems(evidence))
    assert "in the idiom 'held', which is absent: no such provider." in conclusion(evidence, [])


def test_a_record_from_before_idioms_is_right_and_says_so(genuine: Path) -> None:
    def before(lines: list[Line]) -> None:
        lines[0]["targets"][0].pop("idioms")
        lines[0]["suite"]["commit"] = "c" * 40
        lines[:] = [line for line in lines if line.get("property") != seeded.PROPERTY]

    evidence = recounted(genuine, before)
    assert problems(evidence) == []
    assert "is from before idioms were asked" in conclusion(evidence, [])


def test_what_disagrees_in_an_idiom_fails_its_test_and_is_judged_again(tmp_path: Path) -> None:
    with recording(tmp_path / "run.json", Fallen(), selection="a part") as (target,):
        ask_findings(target)
        ask_idioms(target, *ASKED)
    evidence = read(tmp_path / "run.json")
    assert problems(evidence) == []
    assert [line.idiom for line in evidence.runs[0].verdicts if line.outcome == "disagrees"] == ["last output"]
    unshown = {words for check in verify(evidence) for words in check.unshown}
    assert any("their test had failed before it asked them" in words for words in unshown)

    def passed(lines: list[Line]) -> None:
        lines[:] = [line for line in lines if line["kind"] != "test"]
        lines[-1].update(exit_status=0, tests={"passed": lines[-1]["tests"]["passed"] + 1})

    assert any("its test did not fail" in one for one in problems(recounted(tmp_path / "run.json", passed)))


class Falling(Wrong):
    """In one idiom it falls."""

    def __init__(self) -> None:
        super().__init__()
        self.idioms["last output"] = self.idioms["last output"]._replace(answer=self.fall)

    def fall(self, case: Any, device: str) -> Any:
        raise RuntimeError("it fell")


def test_what_falls_in_an_idiom_has_its_view_too(tmp_path: Path) -> None:
    with recording(tmp_path / "run.json", Falling(), selection="a part") as (target,):
        ask_idioms(target, "last output")
    evidence = read(tmp_path / "run.json")
    (line,) = evidence.runs[0].verdicts
    assert (line.outcome, line.view) == ("crashed", {"output": "last step", "states": "none"})
    assert not any("its view is" in problem for problem in problems(evidence))


def test_the_data_has_the_idioms_of_this_adapter() -> None:
    assert declarations.known()["reference", "", "cpu"]["idioms"] == idiom_lines(Wrong().idioms)
