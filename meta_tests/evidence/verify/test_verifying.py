"""Verification: what is wrong with a record whose counts and hash are right, because its forger made these anew."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pydantic")

import adapters
from adapters import Result
from evidence.record import corpus
from evidence.record.lines import dump, sealed
from evidence.record.reader import Evidence, Unusable, read
from evidence.verify import again
from evidence.verify.again import ask_again
from evidence.verify.questions import all_tests
from evidence.verify.target_checks import NOT_REACHED
from evidence.verify.verify import conclusion, verify
from findings import all_findings
from harness.relations import check_pair
from meta_tests.common import command
from meta_tests.common.records import FEW, ask, ask_the_corpus, edited, few, record, recording, run_digest
from meta_tests.common.references import Answerless, Crashing, Doubling, Integer, Mirror
from meta_tests.common.report import finished
from reference import Case, RNNSpec
from reference.draws import draw_case
from reference.judging.verdict import OWN_STEPS

Line = dict[str, Any]
CORPUS, TRAJECTORY = corpus.PROPERTY, corpus.TRAJECTORY
CASES = {case.id: case for case in corpus.cases().values()}
CORPUS_TESTS = "tests/properties/test_corpus.py"


class Renamed(Doubling):
    name = "doubling"


def problems(evidence: Evidence) -> list[str]:
    return [problem for check in verify(evidence) for problem in check.problems]


def notes(evidence: Evidence) -> str:
    return conclusion(evidence, [finding for finding in verify(evidence) if not finding.problems])


def recounted(path: Path, change: Callable[[list[Line]], Any]) -> Evidence:
    """The record with its lines changed, and its counts and SHA-256 made anew."""
    header, *lines, end = (json.loads(line) for line in path.read_text().splitlines())
    whole = [header, *lines, end]
    change(whole)
    header, *lines, end = whole
    ended = {name: end[name] for name in ("finished", "exit_status", "selection", "tests", "torn")}
    forged = path.with_name("forged.json")
    forged.write_bytes(finished(header, lines, ended))
    return read(forged)


def rehashed(path: Path, change: Callable[[list[Line]], Any]) -> Evidence:
    """The record with its lines changed, and its SHA-256 made anew."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    body = b"".join(dump(line) for line in lines[:-1])
    lines[-1]["sha256"] = run_digest(body, lines[-1])
    forged = path.with_name("forged.json")
    forged.write_bytes(body + dump(lines[-1]))
    return read(forged)


def lengths_case() -> Case:
    return draw_case(RNNSpec(3, 4, 2), batch=4, time=5, h0=True, lengths=(2, 5, 1, 4))


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of the reference, a known adapter, and of one that is wrong: of the corpus, modes, relations, drawn."""
    path = tmp_path_factory.mktemp("genuine") / "run.json"
    known = adapters.load("reference")
    with recording(path, known, Renamed(), selection="only some of it was run") as targets:
        for target in targets:
            label = target.label.replace(" ", "-")
            for case in few():
                name = corpus.names()[case.id]
                ask(target, f"tests/properties/test_corpus.py::test_the_corpus[{name}-{label}]", CORPUS, case)
        ask_the_corpus(targets[0], TRAJECTORY, f"{CORPUS}, compiled", numbers=FEW)
        tests = {"lengths": "test_hard_cases.py::test_lengths", "equivalence": "test_equivalence.py::"
                 "test_answers_agree_with_the_reference"}  # fmt: skip
        for tested, name in tests.items():
            ask(targets[0], f"tests/properties/{name}[reference-cpu-forward]", tested, lengths_case())
        case = draw_case(RNNSpec(33, 64, 2), batch=8, time=6, dtype="float32", h0=True)
        with pytest.MonkeyPatch.context() as patch:
            name = "test_relations.py::test_a_repeated_run_has_the_same_bits_or_is_counted"
            patch.setenv("PYTEST_CURRENT_TEST", f"tests/properties/{name}[float32-reference-cpu-forward] (call)")
            output, h_n = case.answer()
            answers = [Result(array, h_n, [case.prefix(1).answer().output]) for array in (output, output.copy())]
            check_pair(targets[0], "repeated", case, *answers)
            answers[1].output.view(np.uint32)[0, 0, 0] ^= 1
            patch.setattr("reference.judging.judge.DEAREST_PRODUCTS", -1)  # each is judged by its own steps
            check_pair(targets[0], "repeated", case, *answers)
    return path


def lines_of(lines: list[Line], tested: str = CORPUS, **wanted: Any) -> list[Line]:
    found = [line for line in lines if line.get("property") == tested and line["target"] == "reference cpu"]
    return [line for line in found if all(line[name] == value for name, value in wanted.items())]


def sets(tested: str, where: str, value: Any, **wanted: Any) -> Callable[[list[Line]], None]:
    """A forgery of one field of the first line of a property; a function makes it of what it was."""

    def change(lines: list[Line]) -> None:
        line = lines_of(lines, tested, **wanted)[0]
        *path, last = where.split(".")
        for name in path:
            line = line[name]
        line[last] = value(line[last]) if callable(value) else value

    return change


def on_header(where: str, value: Any) -> Callable[[list[Line]], None]:
    def change(lines: list[Line]) -> None:
        inner = lines[0]["targets"][0] if where.startswith("target.") else lines[0]
        *path, last = where.removeprefix("target.").split(".")
        for name in path:
            inner = inner[name]
        inner[last] = value(inner[last]) if callable(value) else value

    return change


def on_wrong(**fields: Any) -> Callable[[list[Line]], None]:
    """A forgery of the first answer that disagrees."""

    def change(lines: list[Line]) -> None:
        next(line for line in lines if line.get("outcome") == "disagrees").update(copy.deepcopy(fields))

    return change


def refused(lines: list[Line]) -> None:
    lines_of(lines)[0].update(outcome="refused", verdict=None, answer=None, answer_id=None, message="no")


def all_made_good(lines: list[Line]) -> None:
    for line in lines[1:-1]:
        if line["kind"] == "verdict" and line["outcome"] == "disagrees":
            line["outcome"] = "agrees"
            line["verdict"] |= {"outside": 0, "first": None, "reason": "", "max_fraction": 0.5}
            line["verdict"]["worst"] |= {"bound": 2 * abs(line["verdict"]["worst"]["actual"])}
    lines[:] = [line for line in lines if line["kind"] != "test"]
    lines[-1].update(exit_status=0, tests={"passed": 1536})


def no_failed_tests(lines: list[Line]) -> None:
    lines[:] = [line for line in lines if line["kind"] != "test"]
    lines[-1].update(exit_status=0, tests={"passed": 1536})


def twice(tested: str, times: int = 1) -> Callable[[list[Line]], None]:
    return lambda lines: lines.__setitem__(slice(1, 1), [lines_of(lines, tested)[0]] * times)


def without(tested: str) -> Callable[[list[Line]], None]:
    return lambda lines: lines.remove(lines_of(lines, tested)[0])


def other_answer(lines: list[Line]) -> None:
    one, two = [line for line in lines_of(lines) if line["sizes"]["num_layers"] == 1][:2]
    one["answer"] = two["answer"]


def no_prefixes(lines: list[Line]) -> None:
    next(line for line in lines_of(lines) if line["sizes"]["num_layers"] > 1)["answer"]["prefixes"] = None


def moved_place(lines: list[Line]) -> None:
    worst = lines_of(lines)[0]["verdict"]["worst"]
    worst["unit"] = (worst["unit"] + 1) % 5


def absent_and_installed(lines: list[Line]) -> None:
    lines[0]["environment"]["packages"]["keras"] = "3"
    lines[0]["absent"] = [{"name": "keras", "problem": "keras is not installed: pip install keras"}]


def declared_away(lines: list[Line]) -> None:
    """The case is refused, and the header says that it was to be."""
    lines[0]["targets"][0]["unsupported"].append({"features": {"direction": "forward"}, "reason": "no"})
    for line in lines_of(lines):
        line.update(outcome="refused", verdict=None, answer=None, answer_id=None, message="direction forward: no")


def wider_arithmetic(lines: list[Line]) -> None:
    """The header promises less, and the verdicts are by it."""
    lines[0]["targets"][0]["arithmetics"].insert(0, {"features": {"dtype": "float32"}, "reason": "tf32"})
    for line in lines_of(lines):
        line["verdict"]["arithmetic"] = "tf32" if line["features"]["dtype"] == "float32" else "float64"


ARRAY = {"dtype": "float32", "shape": [1], "data": "AAAA"}
ANSWER = {"output": ARRAY, "h_n": ARRAY, "prefixes": None}


def wide_bound(lines: list[Line]) -> None:
    said = lines_of(lines, "lengths")[0]["verdict"]
    said["worst"]["bound"], said["max_fraction"] = 1e9, abs(said["worst"]["actual"] - said["worst"]["expected"]) / 1e9


def no_float32(lines: list[Line]) -> None:
    worst = lines_of(lines, "lengths")[0]["verdict"]["worst"]
    worst["actual"] = worst["expected"] + worst["bound"] / 4


def doubled_failure(lines: list[Line]) -> None:
    """A test that failed has one answer that is wrong, and as many right ones as its forger likes."""
    test = lines_of(lines, "lengths")[0]["test"]
    lines[-1:-1] = [
        *[lines_of(lines, "lengths")[0]] * 99,
        {"kind": "test", "test": test, "outcome": "xfailed", "message": "known"},
    ]
    lines[-1]["tests"]["xfailed"] = 1


def skipped(test: str, times: int = 1) -> Callable[[list[Line]], None]:
    def change(lines: list[Line]) -> None:
        lines[-1:-1] = [{"kind": "test", "test": test, "outcome": "skipped", "message": "no"}] * times
        lines[-1]["tests"]["skipped"] = times

    return change


def hidden(lines: list[Line]) -> None:
    """A drawn case that is called one of a family that this suite has not."""
    lines[0]["corpora"]["gru"] = "0" * 64
    lines_of(lines, "lengths")[0]["corpus"] = "gru-000"
    sets("lengths", "verdict.outside", 3)(lines)


FORGERIES: dict[str, tuple[Callable[[list[Line]], Any], str]] = {
    "an eager agreement in a mode": (sets(CORPUS, "features.mode", "compiled"), "asked in mode compiled"),
    "another mode": (sets(f"{CORPUS}, compiled", "features.mode", "traced"), "asks in mode compiled"),
    "a mode that is none": (sets(CORPUS, "features.mode", "quick"), "features.mode: got 'quick'"),
    "features": (sets(CORPUS, "features.bias", False), "it asks for bias True, the line says otherwise"),
    "a dtype": (sets(CORPUS, "features.dtype", "float64"), "it asks for dtype float32, the line says otherwise"),
    "a feature that is none": (sets(CORPUS, "features.layout", "sideways"), "features.layout: got 'sideways'"),
    "sizes": (sets(CORPUS, "sizes.hidden_size", 50), "its sizes are {'batch': 4"),
    "a case's id": (sets(CORPUS, "case", "0" * 16), "this suite's corpus has None"),
    "a case's name": (sets(CORPUS, "corpus", "000 of my own"), "it is called '000 of my own'"),
    "a name for none": (sets(CORPUS, "corpus", None), "it is called None"),
    "a message": (sets(CORPUS, "message", "of course"), "with the message 'of course'"),
    "a reason": (sets(CORPUS, "verdict.reason", "value"), "with the reason 'value'"),
    "a shape": (sets(CORPUS, "verdict.reason", "shape"), "an answer of another shape or dtype disagrees"),
    "a bound": (sets(CORPUS, "verdict.bound", "trajectory"), "judged by the 'trajectory' bound"),
    "an arithmetic": (sets(CORPUS, "verdict.arithmetic", "tf32"), "by another arithmetic, 'tf32'"),
    "elements": (sets(CORPUS, "verdict.elements", 7), "7 elements, a case of these sizes has"),
    "outside": (sets(CORPUS, "verdict.outside", 1), "another outcome than its own figures"),
    "vacuous": (sets(CORPUS, "verdict.vacuous", 1), "another outcome than its own figures"),
    "a fraction": (sets(CORPUS, "verdict.max_fraction", lambda old: old / 2), "of its bound, at the worst element"),
    "an error": (sets(CORPUS, "verdict.max_error", lambda old: old * 2), "with another max_error"),
    "a smaller error": (sets(CORPUS, "verdict.max_error", lambda old: old / 9), "a largest error of"),
    "ulps": (sets(CORPUS, "verdict.max_ulps", lambda old: old * 2), "with another max_ulps"),
    "a residual": (sets(CORPUS, "verdict.mean_signed_residual", 0.25), "with another mean_signed_residual"),
    "a place": (moved_place, "with another worst"),
    "a place beyond": (sets(CORPUS, "verdict.worst.batch", 9), "worst: batch beyond the sizes"),
    "a value": (sets(CORPUS, "verdict.worst.actual", 0.5), "of its bound, at the worst element"),
    "a bound there": (sets(CORPUS, "verdict.worst.bound", 1.0), "of its bound, at the worst element"),
    "no place": (sets(CORPUS, "verdict.worst", None), "the worst element is not named"),
    "a first": (lambda lines: sets(CORPUS, "verdict.first", lines_of(lines)[0]["verdict"]["worst"])(lines), "named"),
    "a detail": (sets(CORPUS, "verdict.detail", "fine"), "it has the detail 'fine'"),
    "no verdict": (sets(CORPUS, "verdict", None), "agrees, and it has no verdict"),
    "an answer's id": (sets(CORPUS, "answer_id", "0" * 16), "the answer is "),
    "no id": (sets(CORPUS, "answer_id", None), "with the answer None"),
    "no answer": (sets(CORPUS, "answer", None), "no answer is kept that shows it"),
    "another answer": (other_answer, "the answer is "),
    "no array": (sets(CORPUS, "answer.output.data", "AAAA"), "output data: got '3 bytes'"),
    "no prefixes": (no_prefixes, "prefixes: got None"),
    "an agreement that crashed": (sets(CORPUS, "outcome", "crashed"), "crashed, and it has an answer"),
    "vacuous for agrees": (sets(CORPUS, "outcome", "vacuous"), "another outcome than its own figures"),
    "a relation": (sets(CORPUS, "relation", True), "does not ask 'corpus', with relation True"),
    "a property": (sets(CORPUS, "property", TRAJECTORY), "does not ask 'corpus, whole trajectory'"),
    "a test": (sets(CORPUS, "test", "tests/mine.py::test_it"), "this suite has no such test"),
    "another target": (sets(CORPUS, "target", "doubling cpu"), "is no test of doubling cpu"),
    "declared away": (declared_away, "what it declares unsupported is not what this version"),
    "a wider arithmetic": (wider_arithmetic, "what it declares arithmetics is not what this version"),
    "asked twice": (twice(CORPUS), "cases were not asked once: '000 forward batch_first tanh float32 plain' 2 times"),
    "not asked": (without(CORPUS), f"{len(corpus.cases()) - 6} cases were not asked once"),
    "a refusal's words": (sets(f"{CORPUS}, compiled", "message", "too hot"), "recorded as not offered: 'too hot'"),
    "no words": (sets(f"{CORPUS}, compiled", "message", ""), "not offered without a verdict, and the message is ''"),
    "a refusal that crashed": (sets(f"{CORPUS}, compiled", "outcome", "crashed"), "recorded as crashed, and declared"),
    "a mode not asked": (without(f"{CORPUS}, compiled"), "in a mode, or by their whole trajectory"),
    "a trajectory's fraction": (sets(TRAJECTORY, "verdict.max_ulps", lambda old: old * 2), "with another max_ulps"),
    "a trajectory's outcome": (sets(TRAJECTORY, "outcome", "vacuous"), "another outcome than its own figures"),
    "drawn: outside": (sets("lengths", "verdict.outside", 3), "another outcome than its own figures"),
    "drawn: a fraction": (sets("lengths", "verdict.max_fraction", 2.0), "nothing outside, and the largest error is 2"),
    "drawn: below 0": (sets("lengths", "verdict.max_ulps", -1.0), "max_ulps: below 0 or no number"),
    "drawn: few ulps": (sets("lengths", "verdict.max_ulps", 2.0**-90), "ulp of any expected value"),
    "drawn: many ulps": (sets("lengths", "verdict.max_ulps", 1e30), "ulp of any expected value"),
    "drawn: other ulps": (sets("lengths", "verdict.max_ulps", lambda old: 1.5 * old), "ulp of any expected value"),
    "beyond tanh": (sets(CORPUS, "verdict.worst.expected", 1024.5), "no layer of tanh is expected"),
    "drawn: a wide bound": (wide_bound, "says nothing, and no element is counted as vacuous"),
    "drawn: no float32": (no_float32, "is no number of float32"),
    "drawn: an answer": (sets("lengths", "answer", ANSWER), "an answer is kept of the corpus, of findings"),
    "drawn: no number": (sets("lengths", "verdict.max_error", "nan"), "max_error: below 0 or no number"),
    "drawn: a residual": (sets("lengths", "verdict.mean_signed_residual", 1e4), "by these errors it is at most"),
    "drawn: elements": (sets("lengths", "verdict.elements", lambda old: old + 1), "a case of these sizes has"),
    "drawn: too vacuous": (sets("lengths", "verdict.vacuous", 10**6), "1000000 vacuous of "),
    "drawn: a dtype": (sets("lengths", "features.dtype", "float16"), "by another arithmetic, 'float32'"),
    "drawn: a time": (sets("lengths", "features.time", "1"), "it asks for time '1', of sizes"),
    "drawn: a batch": (sets("lengths", "features.layout", "unbatched"), "has no batch of 4"),
    "drawn: layers": (sets("lengths", "sizes.num_layers", 3), "it asks for num_layers '2', of sizes"),
    "drawn: 50 layers": (sets("lengths", "sizes.num_layers", 50), "no case has the sizes"),
    "drawn: units": (sets("lengths", "sizes.hidden_size", 5), "a case of these sizes has"),
    "drawn: a direction": (sets("lengths", "features.direction", "reverse"), "direction 'forward' of a case in"),
    "drawn: a corpus name": (sets("lengths", "corpus", "000"), "this suite's corpus has None"),
    "drawn: refused": (sets("lengths", "outcome", "refused"), "refused, and it has an answer or a verdict"),
    "drawn: a property": (sets("lengths", "property", "deep"), "does not ask 'deep'"),
    "drawn: a mode": (sets("lengths", "features.mode", "compiled"), "asked in mode compiled"),
    "drawn: 3,960 times": (twice("equivalence", 3960), "3961 verdicts, and it asks for 48"),
    "drawn: twice": (twice("lengths"), "1 questions were asked again"),
    "drawn: a kept case": (sets("lengths", "content", "{}"), "as only that of a line is that did not agree"),
    "two answers: a bound": (sets("repeated", "verdict.bound", "step"), "judged by the 'step' bound"),
    "two answers: by one's steps": (sets("repeated", "verdict.bound", OWN_STEPS[0]), "a case of these sizes has"),
    "one answer by its steps": (sets(CORPUS, "verdict.bound", OWN_STEPS[1]), "judged by the"),
    "two answers: no relation": (sets("repeated", "relation", False), "with relation False"),
    "two answers: one": (without("repeated"), "1 verdicts, and it asks for 2"),
    "wrong, made good": (all_made_good, "of its bound, at the worst element"),
    "wrong, and called right": (on_wrong(outcome="agrees"), "another outcome than its own figures"),
    "wrong, and called vacuous": (on_wrong(outcome="vacuous"), "another outcome than its own figures"),
    "a right one, and refused": (refused, "it was refused, and nothing that it asks for is declared so"),
    "wrong, and passed": (no_failed_tests, "it is recorded as disagrees; its test did not fail"),
    "wrong, and asked 99 times": (doubled_failure, "questions were asked again, and it asks each once"),
    "a test that ended twice": (skipped("tests/test_a.py::test_b", 2), "ended 2 times as skipped"),
    "a test that is none": (skipped("tests/properties/test_a.py::test_b"), "'tests/properties/test_a.py::test_b'"),
    "examples": (on_header("run.cases", 10**9), "1,000,000,000 examples of each property"),
    "status 0": (lambda lines: lines[-1].update(exit_status=0), "pytest ended with status 0, and tests failed"),
    "a million passed": (lambda lines: lines[-1]["tests"].update(passed=10**6), "tests ended"),
    "more outcomes": (lambda lines: lines[-1]["tests"].update(brilliant=1), "tests that ended as brilliant"),
    "the whole suite": (lambda lines: lines[-1].update(selection=""), "left verdicts, this suite has"),
    "a version": (on_header("target.version", "on NumPy 9.9"), "version 'on NumPy 9.9', and the packages"),
    "NumPy's version": (on_header("environment.NumPy", "9.9"), "NumPy 9.9, and the packages"),
    "an adapter's name": (on_header("target.adapter", "torch"), "the target 'reference cpu' is 'torch'"),
    "a backend": (on_header("target.backend", "abacus"), "backend 'abacus'"),
    "a device": (on_header("target.device", "gpu"), "device 'gpu': this suite has none such"),
    "a source": (on_header("target.source", "torch"), "adapter 'torch' named 'reference'"),
    "an emulation": (on_header("target.emulated", [{"features": {"bias": True}, "reason": "so"}]), "declares emulated"),
    "fewer modes": (on_header("target.unsupported", lambda old: old[1:]), "declares unsupported"),
    "no arithmetics": (on_header("target.arithmetics", []), "declares arithmetics"),
    "values of features": (on_header("features.time", ["1", "more"]), "not those of this version of the suite"),
    "another corpus": (on_header("corpora.elman", "0" * 64), "the corpus of the run is 0000000000000000"),
    "a family that hides": (hidden, "another outcome than its own figures"),
    "a family without a name": (on_header("corpora", {"": "0" * 64, "elman": "0" * 64}), "corpora"),
    "a profile": (on_header("run.profile", "thorough"), "profile 'thorough'"),
    "a seed": (lambda lines: lines[0]["run"].update(profile="nightly", seed=None), "no seed"),
    "a start": (on_header("run.started", "2099-01-01T00:00:00+00:00"), "begun '2099"),
    "no time": (on_header("run.started", "once"), "begun 'once'"),
    "absent twice": (on_header("absent", [{"name": "flax", "problem": "no"}] * 2), "called absent twice: flax"),
    "a variable": (on_header("environment.variables", {"EVIL": "1"}), "variables that no run records: EVIL"),
    "status 1": (lambda lines: (no_failed_tests(lines), lines[-1].update(exit_status=1)), "and no test failed"),
    "absent": (on_header("absent", [{"name": "reference", "problem": "away"}]), "it was judged"),
    "absent and there": (absent_and_installed, "have keras"),
    "absent and unknown": (on_header("absent", [{"name": "cobol", "problem": "no"}]), "no such adapter"),
}  # fmt: skip


@pytest.fixture(scope="module")
def before(genuine: Path) -> set[str]:
    """What is wrong with the genuine record: a part of the corpus was asked, and nothing else."""
    found = problems(read(genuine))
    assert len(found) == 4
    assert all("cases were not asked once" in problem for problem in found)
    assert conclusion(read(genuine), verify(read(genuine))).startswith("Do not cite this file")
    return set(found)


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_record_is_found_out(genuine: Path, before: set[str], name: str) -> None:
    change, words = FORGERIES[name]
    try:
        found = [problem for problem in problems(recounted(genuine, change)) if problem not in before]
    except Unusable as error:  # it was refused when it was read
        found = [str(error)]
    assert any(words in problem for problem in found), found


def hidden_failure(lines: list[Line]) -> None:
    lines.insert(-1, {"kind": "test", "test": "t", "outcome": "failed", "message": ""})
    lines[-1]["lines"] += 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (hidden_failure, "the last line speaks of 7 tests with failed, there are 8"),
        (
            lambda lines: lines[-1]["cells"].pop(),
            "the combinations of the last line are not those that its verdicts fill",
        ),
        (lambda lines: lines.pop(1), " lines, there are "),
        (lambda lines: lines[-1]["outcomes"].update(torch={"agrees": 9}), "counts verdicts of torch, which the header"),
        (on_wrong(outcome="agrees"), "its verdicts add up to"),
        (lambda lines: lines[-1]["cells"][0].update(unsupported="no"), "the combinations of the last line"),
        (lambda lines: lines[-1]["outcomes"]["reference cpu"].update(agrees=10**6), "its verdicts add up to"),
    ],
)
def test_a_last_line_that_was_forged_is_found_out(
    genuine: Path, change: Callable[[list[Line]], Any], words: str
) -> None:
    found = problems(rehashed(genuine, change))
    assert any(words in problem for problem in found), found


def test_a_whole_run_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    with recording(path, adapters.load("reference"), selection="only the corpus was run") as targets:
        ask_the_corpus(targets[0])
    assert command.main(["verify", str(path)]) == 0, problems(read(path))
    out = capsys.readouterr().out
    assert read(path).sha256 in out
    judged = int(out.split(f"{len(corpus.cases())} cases; ")[1].split()[0])
    unshown = [int(line.split()[2]) for line in out.splitlines() if line.startswith("Not shown: ")]
    assert judged + sum(unshown) == len(corpus.cases()) + len(corpus.asked()[TRAJECTORY].names)
    assert "342 were not offered, as declared" in out


def test_a_test_of_several_cases_that_failed_asks_no_more(tmp_path: Path) -> None:
    """An honest record of an adapter that is wrong holds what it can."""
    with recording(tmp_path / "run.json", Doubling(), selection="") as (target,):
        cases = [case for case in map(corpus.cases().get, corpus.asked()[TRAJECTORY].names) if case]
        for direction in ("forward", "bidirectional"):
            name = f"{CORPUS_TESTS}::test_whole_trajectories_of_the_corpus[mirror-cpu-{direction}]"
            mine = [case for case in cases if case.spec.direction == direction]
            ask(target, name, TRAJECTORY, *mine, bound="trajectory")
    found = verify(read(tmp_path / "run.json"))
    assert not any(f"by {TRAJECTORY!r}" in problem for finding in found for problem in finding.problems)
    assert max(finding.unshown[NOT_REACHED] for finding in found) == 82
    hidden = recounted(tmp_path / "run.json", lambda lines: lines.pop(1))
    assert any(f"by {TRAJECTORY!r}" in problem for problem in problems(hidden))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"outcome":"agrees"', '"outcome":"disagrees","outcome":"agrees"', "got 'outcome' twice in one object"),
        ('"outside":0', '"outside":9,"outs\\u0069de":0', "got 'outside' twice in one object"),
        ('"max_ulps":', '"max_ulps":NaN,"max_fraction":', "max_fraction|got NaN, expected the word"),
        ('{"kind":"verdict"', '{"kind":"test","kind":"verdict"', "got 'kind' twice in one object"),
    ],
)
def test_a_line_has_one_reading(genuine: Path, old: str, new: str, words: str) -> None:
    """Of two values with one name, this reader takes the last, and another may take the first."""
    with pytest.raises(Unusable, match=words):
        read(edited(genuine, old, new))


def test_a_file_of_runs_that_merge_refuses_is_found_out(genuine: Path) -> None:
    """Made by hand: the same run twice, with the right SHA-256s."""
    run = genuine.read_bytes()
    both = genuine.with_name("both.json")
    both.write_bytes(
        run * 2 + sealed(hashlib.sha256(run * 2), {"kind": "merged", "runs": [read(genuine).runs[0].end.sha256] * 2})
    )
    assert any("is in" in problem and "already" in problem for problem in problems(read(both)))


@pytest.mark.parametrize("adapter", [Answerless, Integer, Crashing])
def test_a_wrong_answer_that_is_honestly_recorded_is_no_forgery(adapter: type[Mirror], tmp_path: Path) -> None:
    evidence = record(tmp_path / "run.json", adapter())
    assert [problem for problem in problems(evidence) if "not asked once" not in problem] == []
    assert f"mirror cpu is 'meta_tests.common.references:{adapter.__name__}', code of its author's own" in notes(
        evidence
    )
    assert sum(sum(finding.unshown.values()) for finding in verify(evidence)) == 7


NARROW = [case for case in corpus.cases().values() if case.dtype == "bfloat16"]


class Wide(Mirror):
    capabilities = replace(Mirror.capabilities, arithmetics={(("dtype", "bfloat16"),): "bfloat16_accumulate_float32"})


def test_answers_are_judged_again_by_the_arithmetic_that_was_declared(tmp_path: Path) -> None:
    evidence = record(tmp_path / "run.json", Wide(), cases=NARROW[:3])
    assert {line.verdict.arithmetic for line in evidence.runs[0].verdicts} == {"bfloat16_accumulate_float32"}
    assert [problem for problem in problems(evidence) if "not asked once" not in problem] == []
    said = " ".join(finding.checked for finding in verify(evidence))
    assert "(dtype bfloat16 by the arithmetic bfloat16_accumulate_float32, as declared)" in said
    (claim,) = [line for line in notes(evidence).splitlines() if "author's own, who claims of it: " in line]
    assert claim.endswith("dtype bfloat16: bfloat16_accumulate_float32.")  # behind what it does not offer


@pytest.mark.parametrize(
    ("declared", "words"),
    [("bfloat16", "by another arithmetic, "), ("exact", "declared: "), ("tf32", "that stores bfloat16")],
)
def test_another_declared_arithmetic_is_found_out(tmp_path: Path, declared: str, words: str) -> None:
    def change(lines: list[Line]) -> None:
        lines[0]["targets"][0]["arithmetics"][0]["reason"] = declared

    record(tmp_path / "run.json", Wide(), cases=NARROW[:3])
    assert any(words in problem for problem in problems(recounted(tmp_path / "run.json", change)))


class Coarse(Doubling):
    name = "coarse"
    capabilities = replace(Mirror.capabilities, arithmetics={(("dtype", "float32"),): "tf32"})


@pytest.mark.parametrize("worse", [0, 1])
def test_of_two_answers_the_one_that_is_named_has_its_own_targets_arithmetic(
    worse: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer of a port is judged by its own steps: the record names the one that is worse, and its arithmetic."""
    test = "test_between_frameworks.py::test_a_port_gives_the_same_answers[reference-cpu-forward]"
    monkeypatch.setenv("PYTEST_CURRENT_TEST", f"tests/properties/{test} (call)")
    monkeypatch.setattr("reference.judging.judge.DEAREST_PRODUCTS", -1)
    right, moved = lengths_case().answer(), lengths_case().answer()
    moved.output[0, 1, 2] += np.float32(2.0 ** (-11 if worse else -22))
    answers = [Result(*answer, [lengths_case().prefix(1).answer().output]) for answer in (right, moved)]
    with recording(tmp_path / "run.json", adapters.load("reference"), Coarse()) as (one, other):
        check_pair(one, f"port to {other.label}", lengths_case(), *answers[:: 1 if worse else -1], other)
    evidence = read(tmp_path / "run.json")
    (said,) = [line.verdict for line in evidence.runs[0].verdicts]
    assert (said.bound, said.arithmetic) == (OWN_STEPS[worse], ("float32", "tf32")[worse])
    assert not [problem for problem in problems(evidence) if "arithmetic, " in problem]


def test_a_record_from_before_arithmetics_were_declared_is_read(tmp_path: Path) -> None:
    def change(lines: list[Line]) -> None:
        del lines[0]["targets"][0]["arithmetics"]

    path = record(tmp_path / "run.json", Mirror()).path
    assert not [problem for problem in problems(recounted(path, change)) if "not asked once" not in problem]


def test_a_passed_test_more_is_found_out_where_the_whole_suite_was_run(tmp_path: Path) -> None:
    evidence = record(tmp_path / "run.json", Mirror(), selection="")
    assert not [problem for problem in problems(evidence) if "tests ended" in problem]
    assert any(
        "mirror cpu: 0 tests test_equivalence.py::test_an_empty_batch_gives_empty_answers left" in problem
        for problem in problems(evidence)
    )
    more = recounted(evidence.path, lambda lines: lines[-1]["tests"].update(passed=850))
    assert any("850 tests ended" in problem for problem in problems(more))
    assert any("no case agrees of " in problem for problem in problems(evidence))


def test_a_run_without_targets_shows_nothing(genuine: Path) -> None:
    def nobody(lines: list[Line]) -> None:
        lines[0]["targets"] = []
        del lines[1:-1]
        lines[-1].update(exit_status=0, tests={})

    assert "there is none" in problems(recounted(genuine, nobody))


def test_a_run_that_pytest_could_not_end_is_incomplete(tmp_path: Path) -> None:
    assert "pytest ended with status 2" in problems(record(tmp_path / "run.json", Mirror(), status=2))


@pytest.mark.parametrize(("raised", "found"), [({1: "no"}, []), ({2: "no"}, []), ({}, ["it is answered"]),
                                               ({1: "other"}, ["it is answered"])])  # fmt: skip
def test_a_stack_that_is_answered_may_be_recorded_as_what_its_lower_layers_raise(
    genuine: Path, monkeypatch: pytest.MonkeyPatch, raised: dict[int, str], found: list[str]
) -> None:
    """Their answers are asked for to judge the stack's by. raised: by stacks of so many layers."""
    run = read(genuine).runs[0]
    line = next(line for line in run.verdicts if line.property == CORPUS)
    case = draw_case(RNNSpec(2, 3, 3), batch=2, time=2, seed=1)
    recorded = line.model_copy(update={"outcome": "crashed", "message": "ValueError: no", "case": case.id})

    def answers(target: object, questions: Sequence[tuple[object, Case]], seconds: float) -> list[dict[str, str]]:
        layers = [case.spec.num_layers for _, case in questions]
        return [{"crashed": f"ValueError: {raised[n]}"} if n in raised else {"output": ""} for n in layers]

    monkeypatch.setattr(again, "_answers", answers)
    problems, _ = ask_again(run.header.targets[0], [recorded], {case.id: case})
    assert [problem.split("; here ")[1] for problem in problems] == found


def test_what_was_refused_or_crashed_is_asked_again(genuine: Path) -> None:
    target = read(genuine).runs[0].header.targets[0]
    line = next(line for line in read(genuine).runs[0].verdicts if line.property == f"{CORPUS}, compiled")
    words = next(one for one in target.unsupported if one.features == {"mode": "compiled"}).reason
    told = line.model_copy(update={"outcome": "not offered", "message": f"mode compiled: {words}"})
    eager = {"features": line.features | {"mode": "eager"}, "outcome": "crashed", "message": "ValueError: no"}
    others = [told.model_copy(update={"message": "too hot"}), line.model_copy(update=eager)]
    found, unshown = ask_again(target, [told, *others], CASES)
    assert [problem.split("; here ")[1] for problem in found] == [f"the words are {told.message!r}", "it is answered"]
    assert unshown == {}
    elsewhere = target.model_copy(update={"version": "on NumPy 1.0"})
    (reason, count), *_ = ask_again(elsewhere, [told], CASES)[1].items()
    assert (count, reason[-40:]) == (1, "reference on NumPy 1.0 is not installed here"[-40:])


def test_an_exception_of_some_processors_may_be_answered_on_another(genuine: Path, monkeypatch) -> None:
    target = read(genuine).runs[0].header.targets[0]
    line = next(line for line in read(genuine).runs[0].verdicts if line.property == f"{CORPUS}, compiled")
    told = line.model_copy(update={"features": line.features | {"mode": "eager"}, "outcome": "finding",
                                   "message": "RuntimeError: no primitive", "findings": ["F-142"]})  # fmt: skip
    of_one = next(one for one in all_findings() if one.id == "F-142")
    for processor in (True, False):
        monkeypatch.setattr("evidence.verify.declarations.findings_of", lambda _, given=processor: {
            "F-142": replace(of_one, processor=given)})  # fmt: skip
        problems, unshown = ask_again(target, [told], CASES)
        assert (len(problems), [*unshown.values()]) == ((0, [1]) if processor else (1, []))


def test_every_test_that_is_known_is_one_of_the_properties_and_the_other_way_round(pytestconfig: pytest.Config) -> None:
    folder = pytestconfig.rootpath / "tests" / "properties"
    there = {
        f"{path.name}::{line.split('(')[0].removeprefix('def ')}"
        for path in folder.glob("test_*.py")
        for line in path.read_text().splitlines()
        if line.startswith("def test_")
    }
    assert there == all_tests().keys()


@pytest.mark.parametrize("vacuous", [False, True])
def test_what_lies_outside_has_a_large_fraction_unless_its_bound_says_nothing(tmp_path: Path, vacuous: bool) -> None:
    """The largest fraction leaves out elements whose bound says nothing, and they may lie outside it all the same."""
    wrong = record(tmp_path / "wrong.json", Doubling())

    def smaller(lines: list[Line]) -> None:
        said = lines[1]["verdict"]
        assert said["outside"] > said["vacuous"] == 0
        said.update(max_fraction=0.5, vacuous=said["outside"] * vacuous)

    found = problems(recounted(wrong.path, smaller))
    assert any("elements outside, and the largest error is 0.5 of its bound" in one for one in found) != vacuous
