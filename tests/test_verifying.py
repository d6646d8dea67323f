"""Verification: what is wrong with a record whose hash is right, because whoever wrote it computed that too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

from adapters import Capabilities
from evidence import __main__ as command
from evidence import corpus
from evidence.lines import dump
from evidence.reading import Evidence, read
from evidence.verifying import conclusion, verify

from .mirror import Answerless, Crashing, Doubling, Integer, Mirror
from .recorded import record, run_digest

Line = dict[str, Any]


def problems(evidence: Evidence) -> list[str]:
    return [problem for finding in verify(evidence) for problem in finding.problems]


def forged(path: Path, change: Callable[[list[Line]], None]) -> Evidence:
    """The record with its lines changed, and its SHA-256 made anew."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    body = b"".join(dump(line) for line in lines[:-1])
    lines[-1]["sha256"] = run_digest(body, lines[-1])
    path.write_bytes(body + dump(lines[-1]))
    return read(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return record(tmp_path / "run.json", Mirror(), Renamed()).path


class Renamed(Doubling):
    name = "doubling"


def test_a_whole_run_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evidence = record(tmp_path / "run.json", Mirror(), cases=corpus.cases().values())
    assert problems(evidence) == []
    assert evidence.sha256 in conclusion(evidence, verify(evidence))
    assert command.main(["verify", str(evidence.path)]) == 0
    out = capsys.readouterr().out
    assert "mirror cpu was asked the corpus, 369 cases; 369 kept answers were judged again" in out


NARROW = [case for case in corpus.cases().values() if case.dtype == "bfloat16"]


class Wide(Mirror):
    capabilities = Capabilities(arithmetics={(("dtype", "bfloat16"),): "bfloat16_accumulate_float32"})


def test_answers_are_judged_again_by_the_arithmetic_that_was_declared(tmp_path: Path) -> None:
    evidence = record(tmp_path / "run.json", Wide(), cases=NARROW[:3])
    assert {line.verdict.arithmetic for line in evidence.runs[0].verdicts} == {"bfloat16_accumulate_float32"}
    assert [problem for problem in problems(evidence) if "not asked once" not in problem] == []
    said = " ".join(finding.checked for finding in verify(evidence))
    assert "(dtype bfloat16 by the arithmetic bfloat16_accumulate_float32, as declared)" in said


@pytest.mark.parametrize(
    ("declared", "words"),
    [("bfloat16", "with another arithmetic, "), ("exact", "declared: got 'exact'"), ("tf32", "that stores bfloat16")],
)
def test_another_declared_arithmetic_is_found_out(tmp_path: Path, declared: str, words: str) -> None:
    def change(lines: list[Line]) -> None:
        lines[0]["targets"][0]["arithmetics"][0]["reason"] = declared

    record(tmp_path / "run.json", Wide(), cases=NARROW[:3])
    assert any(words in problem for problem in problems(forged(tmp_path / "run.json", change)))


def test_a_record_from_before_arithmetics_were_declared_is_read(tmp_path: Path) -> None:
    def change(lines: list[Line]) -> None:
        del lines[0]["targets"][0]["arithmetics"]

    path = record(tmp_path / "run.json", Mirror()).path
    assert not [problem for problem in problems(forged(path, change)) if "not asked once" not in problem]


def test_a_run_of_a_part_of_the_corpus_says_what_was_not_asked(path: Path) -> None:
    found = problems(read(path))
    assert len(found) == 2
    assert "362 cases were not asked once: '004 forward batch_first tanh float64 full' 0 times" in found[0]


def swap_outcome(lines: list[Line]) -> None:
    wrong = next(line for line in lines if line.get("outcome") == "disagrees")
    wrong["outcome"] = "agrees"


def drop_line(lines: list[Line]) -> None:
    del lines[1]


def mend_counts(lines: list[Line]) -> None:
    """All verdicts made good, and the last line with them."""
    swap_outcome(lines)
    outcomes, cells = lines[-1]["outcomes"]["doubling cpu"], lines[-1]["cells"]
    outcomes["disagrees"] -= 1
    outcomes["agrees"] = outcomes.get("agrees", 0) + 1
    wrong = next(cell for cell in cells if cell["outcomes"].get("disagrees"))
    wrong["outcomes"]["disagrees"] -= 1
    wrong["outcomes"]["agrees"] = 1


def change_answer(lines: list[Line]) -> None:
    one, _, _, two = [line for line in lines if line.get("answer") and line["target"] == "mirror cpu"][:4]
    one["answer"] = two["answer"]


def not_an_array(lines: list[Line]) -> None:
    line = next(line for line in lines if line.get("answer"))
    line["answer"]["output"]["data"] = "AAAA"


def another_corpus(lines: list[Line]) -> None:
    lines[0]["corpus"] = "0" * 64


def another_case(lines: list[Line]) -> None:
    next(line for line in lines if line.get("answer"))["corpus"] = "000 of my own"


def strip_answers(lines: list[Line]) -> None:
    for line in lines:
        if line.pop("answer", None) is not None:
            line["outcome"], line["answer_id"] = "agrees", None


def refuse(lines: list[Line]) -> None:
    line = lines[1]
    line.update(outcome="refused", verdict=None, message="of course")
    del line["answer"]


def wider_bound(lines: list[Line]) -> None:
    """The bounds of TF32, or of a whole trajectory, let more pass."""
    for line in lines[1:-1]:
        line["verdict"]["arithmetic"] = "tf32"


def no_prefixes(lines: list[Line]) -> None:
    for line in lines[1:-1]:
        line["answer"]["prefixes"] = None


def better_figures(lines: list[Line]) -> None:
    for line in lines[1:-1]:
        line["verdict"]["max_fraction"] /= 2


def other_sizes(lines: list[Line]) -> None:
    lines[1]["sizes"]["time"] = 1000


def hidden_failure(lines: list[Line]) -> None:
    lines.insert(-1, {"kind": "test", "test": "t", "outcome": "failed", "message": ""})
    lines[-1]["lines"] += 1


def told_failure(lines: list[Line]) -> None:
    hidden_failure(lines)
    lines[-1]["tests"]["failed"] = 1


def asked_twice(lines: list[Line]) -> None:
    lines.insert(1, lines[1])
    lines[-1]["lines"] += 1
    lines[-1]["outcomes"]["mirror cpu"]["agrees"] += 1


def other_cells(lines: list[Line]) -> None:
    lines[-1]["cells"].pop()


def related(lines: list[Line]) -> None:
    """A relation is no case that was asked of the reference."""
    lines[1]["relation"] = True


def other_property(lines: list[Line]) -> None:
    lines[1]["property"] = "corpus, whole trajectory"


def wrong_shape(lines: list[Line]) -> None:
    lines[1]["verdict"]["reason"] = "shape"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (strip_answers, "recorded as agrees, and no answer is kept that shows it"),
        (refuse, "it was refused, and nothing that it asks for is declared unsupported"),
        (wider_bound, "recorded as agrees, with another arithmetic than the answer's"),
        (no_prefixes, "prefixes: got None, expected the outputs of the first 1 layers"),
        (better_figures, "recorded as agrees, with another max_fraction than the answer's"),
        (other_sizes, "its sizes are {'batch': 4, 'time': 6"),
        (hidden_failure, "the last line speaks of 0 tests with failed, there are 1"),
        (told_failure, "pytest ended with status 0, and tests failed"),
        (asked_twice, "cases were not asked once: '000 forward batch_first tanh float32 plain' 2 times"),
        (other_cells, "the cells of the last line are not those that its verdicts fill"),
        (related, "it is not in this suite's corpus"),
        (other_property, "363 cases were not asked once: '000 "),
        (wrong_shape, "an answer of another shape or dtype disagrees"),
        (swap_outcome, "its verdicts add up to"),
        (drop_line, "the last line speaks of 16 lines, there are 15"),
        (mend_counts, "recorded as agrees, with another outcome"),
        (change_answer, "the answer is "),
        (not_an_array, "output data: got '3 bytes', expected "),
        (another_corpus, "the corpus of the run is 0000000000000000..., this suite's is "),
        (another_case, "000 of my own: it is not in this suite's corpus"),
    ],
)
def test_a_forged_record_is_found_out(path: Path, change: Callable[[list[Line]], None], words: str) -> None:
    evidence = forged(path, change)
    assert any(words in problem for problem in problems(evidence)), problems(evidence)
    assert conclusion(evidence, verify(evidence)).startswith("Do not cite this file")


def test_a_run_without_targets_shows_nothing(path: Path) -> None:
    def nobody(lines: list[Line]) -> None:
        lines[0]["targets"] = []
        del lines[1:-1]
        lines[-1].update(lines=2, outcomes={}, cells=[])

    assert problems(forged(path, nobody)) == ["there is none"]


@pytest.mark.parametrize("adapter", [Answerless, Integer, Crashing])
def test_a_wrong_answer_that_is_honestly_recorded_is_no_forgery(adapter: type[Mirror], tmp_path: Path) -> None:
    evidence = record(tmp_path / "run.json", adapter(), cases=corpus.cases().values())
    assert problems(evidence) == []


def test_a_run_that_pytest_could_not_end_is_incomplete(tmp_path: Path) -> None:
    assert "pytest ended with status 2" in problems(record(tmp_path / "run.json", Mirror(), status=2))
