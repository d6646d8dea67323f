"""The kill matrix: every known fault planted in a real adapter, and the properties that see it.

python -m meta_tests.kill_matrix [FAULT ...] [--publish]: for each fault the suite is run as its user runs it,
`pytest --adapter meta_tests.common.faulty:FAULT`, in a process of its own, and must exit with 1. Of a fault in the
backward pass alone, planted by meta_tests.common.faulty_gradients, the properties of gradients are run. Prints the
matrix, and writes it to out/kill-matrix.json, or with --publish to docs/kill-matrix.md, for readers, and to
docs/kill-matrix.json, for the report; there the rows of faults that were not run again stay. Exits with 1 where a fault
survived, or a change that is no fault was seen.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import string
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console
from rich.table import Table

import adapters
from meta_tests.common.equivalent import EQUIVALENT, REASONS
from meta_tests.common.faulty import ADAPTER_FAULTS
from reference.faults import FAULTS
from reference.faults.backward import FAULTS as BACKWARD
from reference.files import write_atomically

ROOT = Path(__file__).parents[1]
FORMAT = "rnn-equivalence kill matrix 2"
CATALOGUE = FAULTS | EQUIVALENT
OF_LENGTH_0 = ("empty_takes_a_step", "empty_takes_a_step_from_zeros")  # which torch refuses: planted in the reference
ENVIRONMENT = {"HYPOTHESIS_PROFILE": "ci", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Row:
    """A fault and what became of it.

    exit: pytest's exit status.  saw: property -> whether a test of it failed.  tests: that failed, and that were run.
    """

    name: str
    exit: int
    saw: dict[str, bool]
    tests: tuple[int, int]

    @property
    def family(self) -> str:
        if self.name in BACKWARD:
            return "backward"
        return "adapter" if self.name in ADAPTER_FAULTS else CATALOGUE[self.name].family

    @property
    def says(self) -> str:
        if self.name in BACKWARD:
            return BACKWARD[self.name].says
        return ADAPTER_FAULTS[self.name] if self.name in ADAPTER_FAULTS else CATALOGUE[self.name].says

    @property
    def where(self) -> str:
        if self.name in BACKWARD:
            return ", ".join(("gradients", *BACKWARD[self.name].needs))
        return "any case" if self.name in ADAPTER_FAULTS else CATALOGUE[self.name].where.words

    @property
    def equivalent(self) -> str:
        """Of a change that is no fault, the reason."""
        return REASONS.get(self.name, "")

    @property
    def killed(self) -> bool:
        return self.exit == pytest.ExitCode.TESTS_FAILED

    @property
    def outcome(self) -> str:
        """killed, survived, or the exit status of a pytest that did neither pass nor fail."""
        if self.exit in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return "killed" if self.killed else "survived"
        return f"exit {self.exit}"

    @property
    def as_it_should(self) -> bool:
        return self.outcome == ("survived" if self.equivalent else "killed")


def run(name: str) -> Row:
    """The suite on one faulty adapter."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        planted, asked = ("faulty", "") if name not in BACKWARD else ("faulty_gradients", "/test_gradients.py")
        command = [sys.executable, "-m", "pytest", f"tests/properties{asked}"]
        command += ["--adapter", f"meta_tests.common.{planted}:{name}"]
        command += ["--no-shrink", "-q", "--tb=native", "-p", "no:cacheprovider", f"--junitxml={report}"]
        environment = os.environ | ENVIRONMENT | {"HYPOTHESIS_STORAGE_DIRECTORY": folder}
        environment |= {"RNN_PLANTED_IN": "reference"} if name in OF_LENGTH_0 else {}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        counts = counted(report.read_text()) if report.exists() else {}
    failed, total = (sum(count[i] for count in counts.values()) for i in (0, 1))
    row = Row(name, done.returncode, {name: failed > 0 for name, (failed, _) in counts.items()}, (failed, total))
    if not row.as_it_should:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
    return row


def counted(report: str) -> dict[str, tuple[int, int]]:
    """Each property's tests that failed, and that were run and not skipped, from JUnit XML of our own pytest."""
    failed, run_ = Counter[str](), Counter[str]()
    for test in ElementTree.fromstring(report).iter("testcase"):
        name = re.sub(r"\[.*", "", test.attrib["name"])
        if test.find("skipped") is None:
            run_[name] += 1
            failed[name] += test.find("failure") is not None or test.find("error") is not None
    return {name: (failed[name], run_[name]) for name in run_}


def matrix(names: list[str], jobs: int) -> list[Row]:
    rows = []
    with ThreadPoolExecutor(jobs) as pool:
        for row in pool.map(run, names):
            rows.append(row)
            print(f"{len(rows)} of {len(names)}: {row.name} {row.outcome}", file=sys.stderr, flush=True)
    return rows


def properties(rows: list[Row]) -> dict[str, str]:
    """A letter for each property."""
    return dict(zip(sorted({name for row in rows for name in row.saw}), string.ascii_letters, strict=False))


def letters(row: Row, key: dict[str, str]) -> str:
    """The properties that saw the fault, by letter."""
    return "".join(letter if row.saw.get(name) else "·" for name, letter in key.items())


def kills(rows: list[Row], name: str) -> int:
    """How many faults a property sees."""
    return sum(row.saw.get(name, False) for row in rows if not row.equivalent)


def table(rows: list[Row]) -> Table:
    key = properties(rows)
    shown = Table(title="Kill matrix: fault by property")
    for column in ("fault", "seen by", "tests failed", ""):
        shown.add_column(column, justify="right" if column == "tests failed" else "left")
    for row in rows:
        failed, total = row.tests
        word = row.outcome + ("" if row.as_it_should else " (IT MUST NOT)")
        shown.add_row(row.name, letters(row, key), f"{failed} of {total}", word)
    shown.caption = "\n".join(f"{letter}: {name}, sees {kills(rows, name)}" for name, letter in key.items())
    return shown


def markdown(rows: list[Row]) -> str:
    key = properties(rows)
    faults = [row for row in rows if not row.equivalent]
    lines = ["| fault | what is wrong | visible with | seen by | tests failed |", "|---|---|---|---|---:|"]
    for row in rows:
        failed, total = row.tests
        says = row.says + (f" (no fault: {row.equivalent})" if row.equivalent else "")
        lines.append(f"| `{row.name}` | {says} | {row.where} | `{letters(row, key)}` | {failed} of {total} |")
    legend = [f"| `{letter}` | `{name}` | {kills(rows, name)} |" for name, letter in key.items()]
    spared = [row for row in rows if row.equivalent]
    return "\n".join([
        f"{sum(row.killed for row in faults)} of {len(faults)} faults were killed; of {len(spared)} changes "
        f"that are none, {sum(row.killed for row in spared)} were seen.",
        "", "| letter | property | faults it sees |", "|---|---|---:|", *legend, "", *lines, "",
    ])  # fmt: skip


def to_json(rows: list[Row]) -> str:
    """The matrix for programs. Each row has the letters of the properties that saw it."""
    adapter, key = adapters.load(os.environ.get("RNN_PLANTED_IN", "torch")), properties(rows)
    head = {"format": FORMAT, "adapter": f"{adapter.name} {adapter.version}", "properties": key}
    lines = [
        {"name": row.name, "family": row.family, "equivalent": bool(row.equivalent), "exit": row.exit,
         "seen_by": letters(row, key).replace("·", ""), "tests": row.tests}
        for row in rows
    ]  # fmt: skip
    return json.dumps(head)[:-1] + ', "rows": [\n' + ",\n".join(map(json.dumps, lines)) + "\n]}\n"


def from_json(text: str) -> list[Row]:
    """The rows that to_json wrote."""
    content = json.loads(text)
    key = content["properties"].items()
    return [
        Row(row["name"], row["exit"], {name: letter in row["seen_by"] for name, letter in key}, tuple(row["tests"]))
        for row in content["rows"]
    ]


def main() -> int:
    every = [*FAULTS, *ADAPTER_FAULTS, *BACKWARD, *EQUIVALENT]
    parser = argparse.ArgumentParser(prog="python -m meta_tests.kill_matrix", description=__doc__)
    parser.add_argument("fault", nargs="*", help="these only (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="suites run at once")
    parser.add_argument("--publish", action="store_true", help="write docs/kill-matrix.json and docs/kill-matrix.md")
    arguments = parser.parse_args()
    for name in arguments.fault:
        if name not in every:
            parser.error(f"fault: got {name!r}, expected one of {', '.join(every)}")
    rows = matrix(arguments.fault or every, arguments.jobs)
    Console(highlight=False).print(table(rows))
    if arguments.publish:
        publish(rows, every)
    else:
        (ROOT / "out").mkdir(exist_ok=True)
        write_atomically(ROOT / "out" / "kill-matrix.json", to_json(rows))
    return 0 if all(row.as_it_should for row in rows) else 1


def publish(rows: list[Row], every: list[str]) -> None:
    """Put rows into docs/kill-matrix.json, in the place of older ones, and all into docs/kill-matrix.md."""
    saved, page = ROOT / "docs" / "kill-matrix.json", ROOT / "docs" / "kill-matrix.md"
    known = {row.name: row for row in (from_json(saved.read_text()) if saved.exists() else [])}
    known |= {row.name: row for row in rows}
    ordered = [known[name] for name in every if name in known]
    introduction, marker, _ = page.read_text().partition("<!-- measured -->\n")
    write_atomically(saved, to_json(ordered))
    write_atomically(page, introduction + marker + "\n" + markdown(ordered))


if __name__ == "__main__":
    raise SystemExit(main())
