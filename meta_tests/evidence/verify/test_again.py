"""A run of the profile ci, whose questions are drawn again: what was not drawn, and what is missing, is said."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pydantic")

from evidence.record import seeded
from evidence.record.environment import ROOT
from evidence.record.ledger import Ledger
from evidence.record.lines import idiom_lines
from evidence.record.reader import Run, read
from evidence.record.schema import question
from evidence.verify import again as redrawing
from evidence.verify.again import redraw
from harness.target import Target
from meta_tests.common.process import suite
from meta_tests.common.wrong import FINDINGS, Wrong, known
from reference import RNNSpec
from reference.draws import draw_case

ALL_KINDS = "tests/properties/test_equivalence.py::test_answers_agree_with_the_reference"
ONLY = "tests/properties/test_relations.py::test_split_in_time_with_the_state_carried_over"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A part of a run of the profile ci, as if it were the whole."""
    path = tmp_path_factory.mktemp("run") / "run.json"
    command = [sys.executable, "-m", "pytest", ONLY, "--framework=reference", f"--evidence={path}", "-q",
               "-p", "no:cacheprovider"]  # fmt: skip
    environment = {**os.environ, "HYPOTHESIS_PROFILE": "ci"}
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    made = read(path).runs[0]
    assert made.end
    return replace(made, end=made.end.model_copy(update={"selection": ""}))


def test_the_questions_of_the_profile_ci_are_drawn_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redrawing, "ASKED", ONLY)
    drawn = redrawing._drawn(run)
    monkeypatch.setattr(redrawing, "_drawn", lambda run: drawn)
    lines = tuple(run.verdicts)
    assert {line.property for line in lines} == {"split in time"}
    found = redraw(run)
    assert found
    assert (found.checked[-27:], found.problems, found.unshown) == ("ci draws (2 tests, drawn again)"[-27:], [], {})

    def problems(*changed: object) -> list[str]:
        found = redraw(replace(run, verdicts=changed))
        return list(found.problems) if found else []

    assert "1 questions that it does not draw, 0 that it draws are missing" in problems(*lines, lines[0])[0]
    assert "0 questions that it does not draw, 1 that it draws are missing" in problems(*lines[1:])[0]
    other = lines[0].model_copy(update={"case": "0" * 16})
    assert "1 questions that it does not draw, 1 that it draws are missing" in problems(other, *lines[1:])[0]
    larger = lines[0].model_copy(update={"sizes": lines[0].sizes.model_copy(update={"input_size": 99})})
    assert len(problems(larger, *lines[1:])) == 1


def test_the_questions_are_the_same_whatever_is_loaded(tmp_path: Path) -> None:
    """Hypothesis takes numbers from the source of loaded modules: an adapter's, or of the tests that ran before."""
    (tmp_path / "of_the_user.py").write_text(f"NUMBERS = {[10_007 * n for n in range(1, 400)]}\n")
    here = f"sys.path.append({str(tmp_path)!r})"
    asked = (ALL_KINDS, "--framework=reference", "--cases=12")
    drawn = []
    for name, before in (("without", here), ("with", f"{here}; import of_the_user")):
        path = tmp_path / f"{name}.json"
        run = suite(*asked, f"--evidence={path}", before=before)
        assert run.returncode == 0, run.stdout[-3000:]
        drawn.append([question(line) for line in read(path).runs[0].verdicts])
    assert len(drawn[0]) > 100
    assert drawn[0] == drawn[1]


def test_another_version_of_hypothesis_is_not_drawn_again(run: Run) -> None:
    header = run.header
    packages = header.environment.packages | {"hypothesis": "1.0"}
    about = header.environment.model_copy(update={"packages": packages})
    found = redraw(replace(run, header=header.model_copy(update={"environment": about})))
    assert found
    assert found.problems == []
    assert "not drawn again: hypothesis 1.0 is not installed here" in next(iter(found.unshown))
    default = header.model_copy(update={"run": header.run.model_copy(update={"profile": "default"})})
    assert redraw(replace(run, header=default)) is None


def test_an_adapter_that_only_draws_has_the_targets_of_a_file_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RNN_REDRAWN", raising=False)
    from harness import question_adapters as redrawn

    with pytest.raises(AttributeError, match="T0"):
        redrawn.T0  # noqa: B018
    assert Path(redrawn.__file__).name == "question_adapters.py"


def test_an_adapter_that_only_draws_knows_what_was_refused_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of such cases no relation is asked: others are drawn in their place, here as in the run."""
    from harness import question_adapters as redrawn

    refused = {"features": {"layout": "time_first"}, "exception": "TypeError", "words": "batch first"}
    told = {"adapter": "reference", "backend": "", "device": "cpu", "compiles": None, "unsupported": [],
            "arithmetics": [], "refused": [refused], "left_out": ["F-904"], "idioms": []}  # fmt: skip
    monkeypatch.setattr(redrawn, "all_findings", lambda: tuple(FINDINGS.values()))
    with known():
        for ids, outcome in ((["F-904"], "left out"), ([], "")):
            adapter = redrawn.Redrawn(told | {"left_out": ids})
            target = Target(adapter, "cpu", Ledger(), "harness.question_adapters:T0")
            assert len(target.findings) == len(FINDINGS)
            found = {}
            for layout in ("batch_first", "time_first", "unbatched"):
                case = draw_case(RNNSpec(2, 3), batch=1 if layout == "unbatched" else 2, time=3, layout=layout)
                found[layout] = target.not_asked(case)[0]
                target.check("equivalence", case)
            assert found == {"batch_first": "", "time_first": "refused", "unbatched": outcome}
        case = FINDINGS["F-904"].case.case()
        other = draw_case(RNNSpec(3, 5), batch=1, time=3, layout="unbatched", seed=1)
        adapter = redrawn.Redrawn(told | {"left_out": ["F-904"]})
        with pytest.raises(RuntimeError, match="left out"):
            adapter.run(adapter.build(case.spec, case.parameters), **case.inputs)
        # a lower layer of a stack, asked alone, may have the features of a finding that the stack has not
        assert adapter.run(adapter.build(other.spec, other.parameters), **other.inputs).output is not None
        foreign = Target(adapter, "cpu", Ledger(), "mine:Adapter")
        assert foreign.findings == []


def test_an_adapter_that_only_draws_answers_in_idioms_what_they_show() -> None:
    from harness import question_adapters as redrawn

    said = {"features": {"bias": False}, "exception": "TypeError", "words": "no layer without a bias"}
    lines = [line | ({"refused": [said]} if line["word"] == "held" else {}) for line in idiom_lines(Wrong().idioms)]
    told = {"adapter": "reference", "backend": "", "device": "cpu", "compiles": None, "unsupported": [],
            "arithmetics": [], "refused": [], "left_out": [], "idioms": lines}  # fmt: skip
    with known():
        target = Target(redrawn.Redrawn(told), "cpu", Ledger(), "harness.question_adapters:T0")
        for word in ("twice", "last output", "held"):
            target.check(seeded.PROPERTY, *seeded.cases_of(target.offered(word)), idiom=word)
        target.check(seeded.DRAWN, draw_case(RNNSpec(2, 3, bias=False), batch=2, time=3), idiom="held")
    noted = target.ledger.noted(target.label, "idiom")
    assert all(noted[f"{word}: agrees"] > 5 for word in ("twice", "last output", "held"))
    assert "disagrees" not in " ".join(noted)
    assert noted["held: refused"] == 1
