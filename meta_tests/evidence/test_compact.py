"""A compact record: small, of use to diff, and never taken for the record in full."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pydantic")

from adapters import Capabilities, NotOffered, Refused, Result
from adapters.capabilities import Refusal
from evidence.compare.difference import difference
from evidence.merge import compact, merge
from evidence.record import corpus
from evidence.record.reader import read
from evidence.record.runs import Evidence, Unusable, miscounts
from evidence.verify.questions import FOLDER
from meta_tests.common import command
from meta_tests.common.records import ask, few, record, recording
from meta_tests.common.references import Doubling, Mirror, Moved
from meta_tests.evidence.verify.test_verifying import problems, recounted
from reference import LAYOUTS

NAN = "test_equivalence.py::test_nan_and_infinity_come_out_where_the_equations_put_them"


class Other(Mirror):
    name = "other"


class Shy(Mirror):
    """Wrong on small inputs alone, of which the corpus has none."""

    def run(self, module: Any, **inputs: Any) -> Result:
        result = super().run(module, **inputs)
        return result._replace(output=result.output * 2) if abs(inputs["x"]).max() <= 0.25 else result


class Reluctant(Mirror):
    """It refuses small inputs, and has not declared that."""

    def run(self, module: Any, **inputs: Any) -> Result:
        if abs(inputs["x"]).max() <= 0.25:
            raise Refused("too small")
        return super().run(module, **inputs)


class Finite(Mirror):
    """It refuses NaN, as it declares."""

    capabilities = Capabilities(unsupported={("values", "not finite"): "no NaN"})

    def run(self, module: Any, **inputs: Any) -> Result:
        if np.isnan(inputs["x"]).any():
            raise NotOffered("values not finite: no NaN")
        return super().run(module, **inputs)


class Wordy(Mirror):
    """It refuses a sequence alone, as it declares, with the words in the midst of many; in time first it raises."""

    capabilities = Capabilities(refused={(("layout", "unbatched"),): Refusal("TypeError", "no sequence alone")})

    def run(self, module: Any, **inputs: Any) -> Result:
        match inputs["layout"]:
            case "unbatched":
                raise TypeError("so " * 4000 + "no sequence alone" + " so" * 4000)
            case "time_first":
                raise OSError("first" + " so" * 4000 + " last")
            case _:
                return super().run(module, **inputs)


@pytest.fixture
def full(tmp_path: Path) -> Evidence:
    drawn = [replace(case, x=case.x / 2) for case in few()[:2]]
    return record(tmp_path / "full.json", Mirror(), cases=[*few(), *drawn])


def of(evidence: Evidence) -> Evidence:
    path = evidence.path.with_name(f"compact-{evidence.path.name}")
    if not path.exists():
        compact(evidence, path)
    return read(path)


def test_it_has_the_verdicts_on_the_corpus_and_says_of_what_it_was_made(full: Evidence) -> None:
    (run,), (whole,) = of(full).runs, full.runs
    assert len(run.verdicts) == len(few()) == len(whole.verdicts) - 2
    assert not any(line.answer or line.content for line in run.verdicts)
    assert [line.answer_id for line in run.verdicts] == [line.answer_id for line in whole.verdicts if line.corpus]
    assert run.header.compact.model_dump() == {"file": full.sha256, "run": whole.end.sha256, "verdicts": 9}
    assert list(miscounts(run)) == []
    assert (run.end.tests, run.end.finished) == (whole.end.tests, whole.end.finished)


def test_it_names_no_worst_element_of_what_is_expected_and_keeps_the_words_that_were_declared(tmp_path: Path) -> None:
    several = [next(case for case in corpus.cases().values() if case.layout == layout) for layout in LAYOUTS]
    whole = record(tmp_path / "wordy.json", Wordy(), cases=several)
    (long,), (small,) = whole.runs, of(whole).runs
    came = {line.features["layout"]: line for line in small.verdicts}
    assert (came["batch_first"].outcome, came["batch_first"].verdict.worst) == ("agrees", None)
    assert next(iter(long.verdicts)).verdict.worst is not None
    assert came["unbatched"].message == "TypeError: ... no sequence alone ..."
    assert came["time_first"].message.startswith("OSError: first so")
    assert came["time_first"].message.endswith("so last")
    assert len(came["time_first"].message) < 6_100
    said = problems(of(whole))
    assert not any("refused in the words" in one or "worst element" in one for one in said), said
    unnamed = recounted(whole.path, lambda lines: lines[1]["verdict"].update(worst=None))
    assert any("the worst element is not named" in one for one in problems(unnamed))


def test_diff_takes_it_for_the_record_in_full_but_for_how_far_answers_moved(full: Evidence) -> None:
    small = of(full)
    assert dict(difference(small, full).counts()) == {"same bits": 7}
    assert difference(small, full).not_compared == (0, 2)
    moved = record(full.path.with_name("moved.json"), Moved())
    for old, new in ((small, moved), (small, of(moved))):
        found = difference(old, new)
        assert (dict(found.counts()), {change.ulps for change in found.changes}) == ({"moved": 7}, {None})
    wrong = of(record(full.path.with_name("wrong.json"), Doubling()))
    assert not difference(small, wrong).go


def test_what_disagrees_is_kept_though_it_was_drawn(tmp_path: Path) -> None:
    """Or the new run's compact record would be a go where the record in full is none."""
    drawn = [replace(case, x=case.x / 4) for case in few()[:2]]
    old = record(tmp_path / "old.json", Mirror(), cases=[*few(), *drawn])
    new = record(tmp_path / "new.json", Shy(), cases=[*few(), *drawn])
    assert dict(difference(old, new).counts()) == {"same bits": 7, "now outside": 2}
    found = difference(old, of(new))
    assert (found.go, dict(found.counts())) == (False, {"same bits": 7, "now outside": 2})
    assert dict(difference(of(new), new).counts()) == {"same bits": 7, "still outside": 2}
    assert not any(line.answer or line.content for line in of(new).runs[0].verdicts)
    no = record(tmp_path / "no.json", Reluctant(), cases=[*few(), *drawn])
    assert dict(difference(old, of(no)).counts()) == {"same bits": 7, "now refused": 2}


def test_a_fixed_test_of_which_a_part_is_kept_is_not_held_to_the_whole(tmp_path: Path) -> None:
    with recording(tmp_path / "part.json", Finite()) as (target,):
        nan = [replace(case, x=case.x * np.array(factor, case.dtype)) for case in few()[:1] for factor in (np.nan, 0.2)]
        ask(target, f"{FOLDER}{NAN}[mirror-cpu-nan-x-forward]", "NaN and infinity", *nan)
    (run,) = of(read(tmp_path / "part.json")).runs
    assert [line.outcome for line in run.verdicts] == ["not offered"]
    assert not any("it asks for 2" in problem for problem in problems(of(read(tmp_path / "part.json"))))


def test_verify_never_says_that_it_is_right(full: Evidence, capsys: pytest.CaptureFixture[str]) -> None:
    small = of(full)
    assert command.main(["verify", str(small.path)]) == 1
    said = [problem for problem in problems(small) if "not asked once" not in problem]
    assert said == []
    assert "Do not cite" in capsys.readouterr().out, "seven cases are not the corpus"
    lost = recounted(small.path, lambda lines: lines[0].pop("compact"))
    assert any("the worst element is not named" in problem for problem in problems(lost))


def test_runs_that_were_merged_stay_merged(full: Evidence) -> None:
    two = record(full.path.with_name("two.json"), Other())
    merge([full, two], full.path.with_name("all.json.gz"))
    both = of(read(full.path.with_name("all.json.gz")))
    assert [len(run.verdicts) for run in both.runs] == [7, 7]
    assert {run.header.compact.file for run in both.runs} == {read(full.path.with_name("all.json.gz")).sha256}


def test_what_is_no_record_in_full_is_refused(full: Evidence, capsys: pytest.CaptureFixture[str]) -> None:
    small = of(full)
    with pytest.raises(Unusable, match="it is compact already"):
        compact(small, full.path.with_name("twice.json"))
    with pytest.raises(Unusable, match="it is compact, and runs are merged in full"):
        merge([full, small], full.path.with_name("both.json"))
    assert command.main(["report", str(small.path)]) == 2
    assert "it is compact, and a report is made of the record in full" in capsys.readouterr().err
    cut = record(full.path.with_name("cut.json"), Mirror(), status=3)
    with pytest.raises(Unusable, match="pytest ended with status 3"):
        compact(cut, full.path.with_name("none.json"))
    assert command.main(["compact", str(full.path), str(small.path)]) == 2
    assert "it is there already, expected a name that is free" in capsys.readouterr().err
