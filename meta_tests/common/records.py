"""Records made in this process, as pytest would make them: of the frozen corpus, or of some of its cases."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from evidence.record import corpus
from evidence.record.journal import Journal, close, now, partial_path
from evidence.record.ledger import Ledger
from evidence.record.lines import dump, sealed
from evidence.record.reader import Evidence, read
from evidence.verify.questions import FOLDER, number_for_a_target
from harness.recording import header
from harness.target import Target
from reference import Case

CORPUS = f"{FOLDER}test_corpus.py::test_the_corpus"
ONLY_CORPUS = "only tests/properties/test_corpus.py was run"
FEW = ("000", "001", "002", "003", "216", "217", "240")  # numbers of cases of the corpus


def few() -> list[Case]:
    return [case for name, case in corpus.cases().items() if name.startswith(FEW)]


def run() -> dict[str, Any]:
    """What a record says of this run."""
    profile = os.environ["HYPOTHESIS_PROFILE"]
    return {"profile": profile, "cases": 8, "seed": None if profile == "ci" else 1, "shrink": True}


def record(
    path: Path,
    *judged: Any,
    cases: Iterable[Case] | None = None,
    status: int | None = None,
    selection: str = ONLY_CORPUS,
) -> Evidence:
    """A record of adapters, each on the CPU, asked the cases: those of `few` when None.

    status: pytest's; what the tests that failed make it when None.
    """
    asked = few() if cases is None else list(cases)
    with recording(path, *judged, status=status, selection=selection) as targets:
        for target in targets:
            for case in asked:
                name = corpus.names().get(case.id, case.id)
                ask(target, f"{CORPUS}[{name}-{target.label.replace(' ', '-')}]", corpus.PROPERTY, case)
    return read(path)


@contextmanager
def recording(path: Path, *judged: Any, status: int | None = None, selection: str = "") -> Iterator[list[Target]]:
    """The targets of a run that is recorded until the context ends."""
    journal = Journal(path)
    targets = [Target(adapter, "cpu", Ledger(), source_of(adapter), journal) for adapter in judged]
    journal.begin(header(targets, [], run()))
    failed: set[str] = set()
    for target in targets:
        object.__setattr__(target, "failed", failed)
    yield targets
    for target in targets:
        target.close()
    for name in sorted(failed):
        journal.write({"kind": "test", "test": name, "outcome": "failed", "message": "AssertionError"})
    passed = sum(number_for_a_target(None, target) for target in targets) - len(failed)
    ended = int(bool(failed)) if status is None else status
    journal.finish(ended, selection, {"passed": passed, **({"failed": len(failed)} if failed else {})})


def source_of(adapter: Any) -> str:
    """A known adapter's name, or where this suite's tests have it."""
    kind = type(adapter)
    if named := getattr(adapter, "source", ""):
        return named
    return adapter.name if kind.__module__.startswith("adapters.") else f"meta_tests.common.references:{kind.__name__}"


def ask(target: Target, test: str, tested: str, *cases: Case, **options: Any) -> None:
    """Ask a target as the test of that name would; the verdict is what is wanted, not the failure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_CURRENT_TEST", f"{test} (call)")
        try:
            target.check(tested, *cases, **options)
        except AssertionError:
            target.failed.add(test)  # type: ignore[attr-defined]


def ask_the_corpus(target: Target, *tested: str, numbers: tuple[str, ...] = ("",)) -> None:
    """What a run asks of the corpus in these properties, all where none is named; of the cases with these numbers."""
    functions = {corpus.PROPERTY: "", corpus.TRAJECTORY: "test_whole_trajectories_of_the_corpus"}
    for name, asked in corpus.asked().items():
        whole = functions.get(name, "test_the_corpus_in_every_mode")
        test = CORPUS.replace("test_the_corpus", whole) if whole else CORPUS
        names = [one for one in asked.names if (name in tested or not tested) and one.startswith(numbers)]
        for case in (corpus.cases()[one] for one in names):
            part = f"{case.spec.direction}-{asked.mode}" if whole else case.id
            bound = asked.bound if asked.bound == "trajectory" else None
            ask(target, f"{test}[{target.label.replace(' ', '-')}-{part}]", name, case, mode=asked.mode, bound=bound)


def run_digest(body: bytes, end: dict[str, Any]) -> str:
    """The SHA-256 that a last line behind these lines has, whether it has one yet or not."""
    bare = {key: value for key, value in end.items() if key != "sha256"}
    return json.loads(sealed(hashlib.sha256(body), bare))["sha256"]


def multiplied(path: Path, verdicts: int, *judged: Any) -> Path:
    """A record's file of so many verdicts: those of `few` again and again, each of a drawn case of its own."""
    first, *lines = record(path.with_name(f"few-{path.name}"), *judged).path.read_bytes().splitlines(keepends=True)
    drawn = [json.loads(line) | {"corpus": None, "answer": None} for line in lines[:-1]]
    parts = [dump(line).split(b'"case":"', 1) for line in drawn]
    partial = partial_path(path)
    with partial.open("wb") as file:
        file.write(first)
        for number, (before, after) in zip(range(verdicts), itertools.cycle(parts), strict=False):
            file.write(b'%b"case":"%016x%b' % (before, number, after[16:]))
    close(partial, path, {"finished": now(), "exit_status": 0, "selection": "", "tests": {"passed": verdicts}})
    return path


def edited(path: Path, old: str, new: str) -> Path:
    """A copy of a record in which the first `old` is `new`."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    copy = path.with_name(f"edited-{path.name}")
    copy.write_text(text.replace(old, new, 1), encoding="utf-8")
    return copy
