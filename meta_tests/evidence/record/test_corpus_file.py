"""The frozen corpus is what it was, covers what it should, and can grow: by a case, and by a family."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from adapters import FEATURES
from adapters.contract import features_of_case
from evidence.record import corpus
from evidence.record.ledger import AXES, FIRST_AXES
from evidence.verify import declarations
from meta_tests import make_corpus
from meta_tests.common.corpora import added_case, added_family, grown
from reference.cells import CELLS

FROZEN = "491b37f5c3a3830198fc6ea0b24b0b2f2ce7694e5a5f28b301fe867ebaf0f0f7"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A copy of the corpus of elman, in which the suite sees another family or case."""
    with grown(tmp_path / "corpora") as folder:
        yield folder


def test_the_corpus_is_what_it_was() -> None:
    """Cases are only added, at the end: then the number of those that were published stands before the last one."""
    assert dict(corpus.families()["elman"].published) == {FROZEN: 369}
    assert corpus.digests()["elman"] == FROZEN


def test_it_can_be_drawn_again_bit_for_bit() -> None:
    for family in corpus.families():
        assert make_corpus.text(family) == (corpus.FOLDER / f"{family}.jsonl").read_text(encoding="utf-8")


def test_every_combination_and_feature_is_asked() -> None:
    asked = [features_of_case(case) for case in corpus.cases().values()]
    for axes, least in ((AXES, 1), (FIRST_AXES, 3)):
        combinations = Counter(tuple(features[name] for name in axes) for features in asked)
        assert all(combinations[one] >= least for one in product(*(FEATURES[name] for name in axes)))
    found = {(name, value) for features in asked for name, value in features.items()}
    possible = {(name, value) for name, values in FEATURES.items() for value in values}
    modes = {("mode", mode) for mode in FEATURES["mode"] if mode != "eager"}  # test_corpus.py asks them
    assert possible - found == modes


def test_the_cells_that_some_adapter_offers_have_a_corpus_and_no_others_have() -> None:
    """Of a cell that nobody offers, every case would be counted as not offered, by every target."""
    offered = {word for word in CELLS for entry in declarations.known().values()
               if not any(said["features"] == {"cell": word} for said in entry["unsupported"])}  # fmt: skip
    assert corpus.families().keys() == offered | {corpus.GRADIENTS}


def test_it_is_small_and_no_case_stands_in_it_twice() -> None:
    assert len(corpus.names()) == len(corpus.cases()) == sum(len(one.cases) for one in corpus.families().values())
    assert len(corpus.families()["elman"].cases) == 369
    assert sum(path.stat().st_size for path in corpus.FOLDER.iterdir()) < 4.2e6


def test_nobody_can_write_into_it() -> None:
    case = next(iter(corpus.cases().values()))
    with pytest.raises(ValueError, match="read-only"):
        case.x[...] = 0


def test_a_case_that_is_added_changes_the_digest_and_the_old_one_stays_known(folder: Path) -> None:
    added_case(folder)
    assert list(corpus.families()["elman"].published.values()) == [369, 370]
    assert corpus.digests()["elman"] != FROZEN
    assert len(corpus.of({"elman": FROZEN}).cases) == 369
    assert len(corpus.cases()) == 370
    assert corpus.of({"elman": FROZEN}).earlier == ("elman: 369 of 370 cases",)
    assert corpus.of({"elman": FROZEN}).wrong == ()


def test_a_beginning_that_was_not_published_is_no_corpus(folder: Path) -> None:
    """Else a record could leave out the cases at the end of which a framework is wrong."""
    digest = corpus.digest_of(corpus.cases(), 300)
    assert "this suite's is " in corpus.of({"elman": digest}).wrong[0]
    added_family(folder)
    assert corpus.of({"gru": corpus.digests()["gru"]}).wrong == (
        "the header names no corpus 'elman', which every version of the suite asks",
    )


def test_a_family_has_a_digest_of_its_own(folder: Path) -> None:
    added_family(folder)
    assert list(corpus.digests()) == ["elman", "gru"]
    assert corpus.digests()["elman"] == FROZEN
    assert set(corpus.names().values()) >= {"000 forward batch_first tanh float32 plain", "gru-000 forward plain"}
    assert corpus.of({"elman": FROZEN}).earlier == ("gru: 0 of 2 cases",)
    assert {corpus.family_of(name) for name in corpus.cases()} == {"elman", "gru"}


@pytest.mark.parametrize(
    ("first", "name", "words"),
    [
        ({"format": "corpus 2", "published": []}, "gru-000 a", "expected 'rnn-equivalence corpus 1'"),
        ({"format": corpus.FORMAT}, "gru-000 a", "expected 'rnn-equivalence corpus 1'"),
        ({"format": corpus.FORMAT, "published": []}, "000 a", "got the name '000 a', expected one that begins 'gru-'"),
    ],
)
def test_another_file_is_refused(folder: Path, first: dict[str, object], name: str, words: str) -> None:
    case = json.loads(next(iter(corpus.cases().values())).to_json())
    lines = [first, {"name": name, "case": case}]
    (folder / "gru.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    corpus.families.cache_clear()
    with pytest.raises(ValueError, match=words):
        corpus.families()
