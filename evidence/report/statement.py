"""What a record says, as an in-toto statement of a test result: for a program that checks who signed it.

The kind is https://in-toto.io/attestation/test-result/v0.1. A test is a target asked with one cell.
"""

import hashlib
from collections import Counter
from typing import Any

from ..record.packed import plain
from ..record.reader import Evidence, Run
from ..record.runs import FAILED
from .columns import Column, judged, state_of
from .problems import conclude

KIND = "https://in-toto.io/attestation/test-result/v0.1"
RESULTS = {"good": "PASSED", "warn": "WARNED", "bad": "FAILED"}  # by the level of the conclusion
LISTS = {"passedTests": ("agree",), "warnedTests": ("finding", "vacuous", "left out"),
         "failedTests": ("disagree", "undeclared")}  # fmt: skip


def statement(evidence: Evidence, found: list[Column]) -> dict[str, Any]:
    """subject: the file as it lies, and its text where it is compressed.

    Tests that pytest says failed are listed by their own names, behind the targets.
    """
    states = {name: state_of(outcomes, {}).state for column in judged(found) for name, outcomes in _parts(column)}
    lists = {word: [name for name, state in states.items() if state in of] for word, of in LISTS.items()}
    lists["failedTests"] += [line.test for run in evidence.runs for line in run.tests if line.outcome in FAILED]
    configuration = {str(one): one for run in evidence.runs for one in _configuration(run)}  # each once
    result = {"result": RESULTS[conclude(evidence, found).level], "configuration": [*configuration.values()]}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": _subjects(evidence),
        "predicateType": KIND,
        "predicate": result | lists,
    }


def _parts(column: Column) -> list[tuple[str, Counter[str]]]:
    """A target's outcomes by cell; a record from before there were several cells has one part."""
    cells = {key[0][1]: outcomes for key, outcomes in column.asked.items() if len(key) == 1 and key[0][0] == "cell"}
    return [(f"{column.name}: {cell}", some) for cell, some in cells.items()] or [(column.name, column.outcomes)]


def _subjects(evidence: Evidence) -> list[dict[str, Any]]:
    name = evidence.path.name
    with evidence.path.open("rb") as file:
        found = {name: hashlib.file_digest(file, "sha256").hexdigest(), plain(name): evidence.sha256}
    return [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in found.items()]


def _configuration(run: Run) -> list[dict[str, Any]]:
    """What was asked, of what: the suite's commit, the corpora, and the run."""
    head = run.header
    versions = {target.label: target.version for target in head.targets}
    told = {"suite": head.suite.version, "started": head.run.started, "profile": head.run.profile,
            "cases": head.run.cases, "seed": head.run.seed, "targets": versions}  # fmt: skip
    digests = {"rnn-equivalence": ("gitCommit", head.suite.commit)}
    digests |= {f"corpus {family}": ("sha256", digest) for family, digest in head.digests.items()}
    digests[f"run {run.name}"] = ("sha256", run.end.sha256 if run.end else "")
    return [
        {"name": name, "digest": {kind: digest}} | ({"annotations": told} if name.startswith("run ") else {})
        for name, (kind, digest) in digests.items()
        if digest
    ]
