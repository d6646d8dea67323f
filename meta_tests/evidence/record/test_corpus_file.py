"""The frozen corpus is what it was, and covers what it should."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from adapters import FEATURES
from adapters.contract import features_of
from evidence.record import corpus
from evidence.record.ledger import CELL
from meta_tests import make_corpus

FROZEN = "491b37f5c3a3830198fc6ea0b24b0b2f2ce7694e5a5f28b301fe867ebaf0f0f7"


def test_the_corpus_is_what_it_was() -> None:
    """Whoever changes it makes all earlier records incomparable: then this line changes too."""
    assert corpus.digest() == FROZEN


def test_it_can_be_drawn_again_bit_for_bit() -> None:
    assert make_corpus.text() == corpus.PATH.read_text(encoding="utf-8")


def test_every_cell_and_feature_is_asked() -> None:
    asked = [features_of(case.spec, **case.inputs) for case in corpus.cases().values()]
    cells = Counter(tuple(features[name] for name in CELL) for features in asked)
    assert all(cells[cell] >= 3 for cell in product(*(FEATURES[name] for name in CELL)))
    found = {(name, value) for features in asked for name, value in features.items()}
    possible = {(name, value) for name, values in FEATURES.items() for value in values}
    assert possible - found == {("mode", mode) for mode in FEATURES["mode"] if mode != "eager"}, (
        "test_corpus.py asks them"
    )


def test_it_is_small_and_no_case_stands_in_it_twice() -> None:
    assert len(corpus.names()) == len(corpus.cases()) == 369
    assert corpus.PATH.stat().st_size < 3e6


def test_nobody_can_write_into_it() -> None:
    case = next(iter(corpus.cases().values()))
    with pytest.raises(ValueError, match="read-only"):
        case.x[...] = 0


def test_another_file_is_refused(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"format": "corpus 2"}\n')
    monkeypatch.setattr(corpus, "PATH", tmp_path / "corpus.jsonl")
    with pytest.raises(ValueError, match="expected 'rnn-equivalence corpus 1'"):
        corpus.cases.__wrapped__()
