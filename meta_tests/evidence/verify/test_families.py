"""A corpus that grows makes no older record wrong: it was asked the corpus of its own digest."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

import adapters
from adapters.contract import FEATURES
from evidence.compare.changes import to_markdown
from evidence.compare.difference import difference
from evidence.record import corpus
from evidence.record.ledger import FIRST_AXES
from evidence.record.reader import read
from evidence.record.runs import Evidence, Unusable
from evidence.verify import declarations
from evidence.verify.verify import conclusion, verify
from meta_tests.common.corpora import added_case, added_family, forget, grown
from meta_tests.common.records import ask_the_corpus, record, recording
from meta_tests.common.references import Doubling, Mirror
from meta_tests.evidence.verify.test_verifying import problems, recounted
from reference import Case

Line = dict[str, Any]
FROZEN = corpus.digests()["elman"]
PART = "only the corpus was run"


def before_cells(lines: list[Line]) -> None:
    """As if the suite knew no feature "cell"."""
    for line in lines:
        line.get("features", {}).pop("cell", None)
    for target in lines[0]["targets"]:
        target["unsupported"] = [one for one in target["unsupported"] if "cell" not in one["features"]]


@pytest.fixture(scope="module", autouse=True)
def elman_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The suite has no other corpus in these tests but those that they add."""
    with grown(tmp_path_factory.mktemp("alone") / "corpora"):
        yield


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory, elman_alone: None) -> Path:
    """A record of the whole corpus of today, as a record of 0.1.0 has it: of elman alone, under the name `corpus`."""
    path = tmp_path_factory.mktemp("old") / "run.json"
    with recording(path, adapters.load("reference"), selection=PART) as (target,):
        ask_the_corpus(target)

    def as_it_was(lines: list[Line]) -> None:
        assert lines[0].pop("corpora") == {"elman": FROZEN}
        del lines[0]["axes"]
        before_cells(lines)
        lines[0]["corpus"] = FROZEN
        lines[0]["suite"] |= {"commit": "0" * 40, "modified": False}

    return recounted(path, as_it_was).path.rename(path.with_name("old.json"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with grown(tmp_path / "corpora") as folder:
        yield folder


def said(path: Path) -> str:
    evidence = read(path)
    return conclusion(evidence, verify(evidence))


def test_an_old_record_names_its_corpus_and_axes(old: Path) -> None:
    header = read(old).runs[0].header
    assert header.digests == {"elman": FROZEN}
    assert header.axes == ["direction", "layout", "nonlinearity", "dtype"]
    assert "earlier corpus" not in said(old)


def test_it_stays_citable_where_a_case_and_a_family_are_added(old: Path, folder: Path) -> None:
    added_case(folder)
    added_family(folder)
    words = said(old)
    assert words.startswith("The file is as it was written")
    assert "was asked an earlier corpus than this suite has: elman: 369 of 370 cases; gru: 0 of 2 cases." in words


def test_a_corpus_that_never_was_is_refused_and_so_is_an_earlier_one_of_this_commit(
    old: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added_case(folder)
    forged = recounted(old, lambda lines: lines[0].update(corpus="0" * 64))
    assert any("the corpus of the run is 0000000000000000... for elman" in problem for problem in problems(forged))
    nothing = recounted(old, lambda lines: lines[0].update(corpora={"ours": lines[0].pop("corpus")}))
    assert any("the header names no corpus 'elman'" in problem for problem in problems(nothing))
    here = {"version": "0.1.0", "commit": "0" * 40, "modified": False}
    monkeypatch.setattr("evidence.verify.verify.suite", lambda: here)
    claim = "made by this commit, and asked an earlier corpus, elman: 369 of 370 cases"
    assert claim in problems(recounted(old, lambda lines: None))


@pytest.mark.parametrize(("change", "words"), [
    (lambda lines: lines[0].update(corpora={"elman": FROZEN}), "got corpus and corpora, or none of them"),
    (lambda lines: lines[0].pop("corpus"), "got corpus and corpora, or none of them"),
])  # fmt: skip
def test_a_header_has_one_word_for_its_corpus(old: Path, change: Any, words: str) -> None:
    with pytest.raises(Unusable, match=words):
        recounted(old, change)


def test_a_case_of_a_later_corpus_is_none_of_an_earlier_one(old: Path, folder: Path) -> None:
    case = added_case(folder)

    def later(lines: list[Line]) -> None:
        line = next(line for line in lines if line.get("corpus") == "000 forward batch_first tanh float32 plain")
        lines.insert(1, line | {"case": case.id, "corpus": "369 one more"})

    found = problems(recounted(old, later))
    assert any("it is called '369 one more', this suite's corpus has None" in problem for problem in found)


def asked(path: Path, adapter: Mirror, *cases: Case) -> Evidence:
    return record(path, adapter, cases=cases)


def test_a_family_that_this_suite_has_not_is_left_out_and_named(old: Path, tmp_path: Path, folder: Path) -> None:
    """Its lines stand beside those of elman."""
    added_family(folder)
    with recording(tmp_path / "gru.json", adapters.load("reference"), selection=PART) as (target,):
        ask_the_corpus(target, corpus.PROPERTY, numbers=("gru",))
    header, *family, _ = (json.loads(line) for line in (tmp_path / "gru.json").read_text().splitlines())
    before_cells([header, *family])
    header["axes"] = list(FIRST_AXES)
    (folder / "gru.jsonl").unlink()
    forget()

    def beside(lines: list[Line]) -> None:
        lines[:1] = [header | {"run": lines[0]["run"]}, *family]  # it began before they ended

    both = recounted(old, beside).path.rename(tmp_path / "run.json")
    words = said(both)
    assert words.startswith("The file is as it was written")
    assert "Not shown: 2 verdicts: of the corpus of gru, which this suite has not." in words

    def hidden(lines: list[Line]) -> None:
        """A case of elman that is called one of the family that nobody can check."""
        line = next(line for line in lines if line.get("corpus") == "000 forward batch_first tanh float32 plain")
        line["corpus"] = "gru-000"

    found = problems(recounted(both, hidden))
    assert any("1 cases were not asked once: '000 forward" in problem for problem in found)


def test_records_are_compared_in_what_both_were_asked(tmp_path: Path, folder: Path) -> None:
    some = list(corpus.cases().values())[:3]
    before = asked(tmp_path / "before.json", Mirror(), *some)
    case, family = added_case(folder), added_family(folder)
    after = asked(tmp_path / "after.json", Mirror(), *some, case, *family)
    for one, two, word in ((before, after, "new"), (after, before, "old")):
        found = difference(one, two)
        assert (dict(found.counts()), found.go) == ({"same bits": 3}, True)
        assert f"Left out: 1 cases of elman, which only the {word} run was asked." in to_markdown(found)
        assert f"Left out: gru, which only the {word} run was asked." in to_markdown(found)
    wrong = asked(tmp_path / "wrong.json", Doubling(), *some, case, *family)
    assert dict(difference(before, wrong).counts()) == {"now outside": 3, "outside, not asked before": 3}
    both = difference(after, wrong)
    assert dict(both.counts()) == {"now outside": 6}
    assert both.left_out == []


def test_a_record_without_the_corpus_that_all_are_asked_is_compared_with_none(tmp_path: Path) -> None:
    """Or what it lost of that corpus would be left out, and the rest a go."""
    one = asked(tmp_path / "one.json", Mirror(), *list(corpus.cases().values())[:2])
    (run,) = one.runs
    other = replace(one, runs=(replace(run, header=run.header.model_copy(update={"corpora": {"ours": "0" * 64}})),))
    for old, new in ((one, other), (other, one)):
        with pytest.raises(Unusable, match="it names no corpus 'elman', which every version of the suite asks"):
            difference(old, new)


def test_a_corpus_that_nobody_knows_is_compared_only_with_itself(tmp_path: Path) -> None:
    one = asked(tmp_path / "one.json", Mirror(), *list(corpus.cases().values())[:2])
    (run,) = one.runs
    unknown = replace(one, runs=(replace(run, header=run.header.model_copy(update={"corpora": {"elman": "0" * 64}})),))
    assert difference(unknown, unknown).go
    with pytest.raises(Unusable, match="were asked different corpora of elman"):
        difference(one, unknown)


def test_combinations_are_counted_by_the_axes_of_the_header(tmp_path: Path, old: Path) -> None:
    """A later suite may count by more of them; its record is read and counted by its own."""

    def wider(lines: list[Line]) -> None:
        lines[0]["axes"] = ["dtype", "h0"]

    evidence = recounted(old, wider)
    (run,) = evidence.runs
    assert [combination.cell for combination in run.end.cells][:2] == [["float32", True], ["float32", False]]
    assert difference(evidence, evidence).counts()["same bits"]
    assert any("it counts combinations of dtype, h0" in problem for problem in problems(evidence))
    assert not any("the last line" in problem for problem in problems(evidence))


def test_a_feature_that_is_added_makes_no_older_record_wrong(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what is declared of it: each case of the record asked for its first value."""
    assert "cell" in FEATURES
    assert "cell" not in read(old).runs[0].header.features
    assert said(old).startswith("The file is as it was written")
    entries = {key: copy.deepcopy(entry) for key, entry in declarations.known().items()}
    monkeypatch.setattr(declarations, "known", lambda: entries)
    for one in (declared := entries["reference", "", "cpu"]["arithmetics"]):
        one["features"]["cell"] = "elman"
    assert said(old).startswith("The file is as it was written")
    for one in declared:
        one["features"]["cell"] = "gru"
    first, *_ = problems(read(old))
    assert "reference cpu: what it declares arithmetics is not what this version of the suite declares" in first

    def fewer(lines: list[Line]) -> None:
        for line in lines[:-1]:
            line.get("features", {}).pop("h0", None)

    assert any("its features are not those of this version" in problem for problem in problems(recounted(old, fewer)))


def test_a_feature_that_only_a_later_suite_has_is_no_part_of_what_both_were_asked(old: Path) -> None:
    def later(lines: list[Line]) -> None:
        lines[0]["features"]["cell"] = ["elman"]
        for line in lines[1:-1]:
            if "features" in line:
                line["features"]["cell"] = "elman"

    evidence = read(old)
    for one, two in ((evidence, recounted(old, later)), (recounted(old, later), evidence)):
        assert set(difference(one, two).counts()) == {"same bits", "still not offered", "still vacuous"}
