"""A corpus that has grown: by a case at its end, or by a family."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evidence.record import corpus
from evidence.verify import questions
from reference import Case, RNNSpec
from reference.draws import draw_case


@contextmanager
def grown(folder: Path) -> Iterator[Path]:
    """A copy of the corpus of elman, which the suite reads instead of its own until the context ends."""
    folder.mkdir()
    shutil.copy(corpus.FOLDER / "elman.jsonl", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "FOLDER", folder)
        forget()
        yield folder
    forget()


def forget() -> None:
    """What was read of the files, and follows from it, is read again."""
    for cached in (corpus.families, corpus._of, questions.all_tests):
        cached.cache_clear()


def added_case(folder: Path) -> Case:
    """One case more at the end of elman; the number before was published."""
    case = draw_case(RNNSpec(3, 4, 1), batch=2, time=3, dtype="float32", seed=77)
    _append(folder / "elman.jsonl", ("369 one more", case))
    return case


def added_family(folder: Path) -> list[Case]:
    """A family gru, of two cases."""
    cases = [draw_case(RNNSpec(3, 4, 1), batch=2, time=3, dtype="float32", seed=seed) for seed in (88, 89)]
    (folder / "gru.jsonl").write_text(json.dumps({"format": corpus.FORMAT, "published": [2]}) + "\n")
    _append(folder / "gru.jsonl", ("gru-000 forward plain", cases[0]), ("gru-001 forward full", cases[1]))
    return cases


def _append(path: Path, *named: tuple[str, Case]) -> None:
    with path.open("a", encoding="utf-8") as file:
        for name, case in named:
            file.write(json.dumps({"name": name, "case": json.loads(case.to_json())}) + "\n")
    forget()
