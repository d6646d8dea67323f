"""What the tests of the report share: the lines of a small record, the evidence they make, and a page as it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from evidence.record.ledger import FIRST_AXES, Ledger, sums
from evidence.record.lines import FORMAT, dump, sealed, verdict_line
from evidence.record.reader import Evidence, read
from reference import Case, RNNSpec, judge
from reference.draws import draw_case

SHA = "0" * 64
FEATURES: dict[str, list[Any]] = {
    "direction": ["forward", "reverse"],
    "layout": ["batch_first"],
    "nonlinearity": ["tanh"],
    "dtype": ["float32", "float64"],
    "bias": [True, False],
    "lengths": ["full", "with zeros"],
    "time": ["0", "more"],
}
ASKED = {"direction": "forward", "layout": "batch_first", "nonlinearity": "tanh", "dtype": "float32", "bias": True,
         "lengths": "full", "time": "more"}  # fmt: skip


def header(*labels: str, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "header",
        "format": FORMAT,
        "suite": {"version": "0.1.0", "commit": "c" * 40, "modified": False},
        "run": {"started": "2026-01-02T03:04:05+00:00", "profile": "default", "cases": 8, "seed": 7, "shrink": True},
        "environment": {
            "Python": "CPython 3.11.7", "system": "Linux", "machine": "x86_64", "CPU": "a CPU", "CPUs": 2,
            "NumPy": "2.4.6", "BLAS": "OpenBLAS", "driver": None, "variables": {"CI": "1"}, "packages": {"one": "1.0"},
        },
        "features": FEATURES,
        "corpus": SHA,
        "targets": [target(label) for label in labels or ("one cpu",)],
        "absent": [{"name": "gone", "problem": "No module named 'gone'"}],
    } | changes  # fmt: skip


def target(label: str) -> dict[str, Any]:
    return {
        "label": label, "adapter": label.split()[0], "source": label.split()[0], "version": "1.0", "backend": "",
        "device": "cpu", "environment": {"threads": 2, "wide": True},
        "unsupported": [{"features": {"lengths": "with zeros"}, "reason": "it cannot"}],
        "refused": [{"features": {"lengths": "with zeros", "bias": False}, "exception": "ValueError", "words": "no"}],
        "emulated": [{"features": {"direction": "reverse"}, "reason": "it flips"}],
    }  # fmt: skip


def finding(number: int = 1, **changes: Any) -> dict[str, Any]:
    """What a header says of a finding."""
    return {
        "id": f"F-{number:03}", "kind": "fault", "title": f"It is wrong in the {number}th way",
        "link": "https://example.org/issues/1", "avoid": "Use another.", "trigger": {"dtype": ["float32"]},
        "idiom": "", "device": "cpu", "what": "agrees with the reference if something else",
    } | changes  # fmt: skip


def pinned(outcome: str = "finding", number: int = 1, label: str = "one cpu", **changes: Any) -> dict[str, Any]:
    """The line of a finding's case."""
    said = line("disagrees" if outcome == "finding" else outcome, label, **changes)
    named = [f"F-{number:03}"] if outcome == "finding" else []
    return said | {"property": f"finding F-{number:03}", "outcome": outcome, "findings": named}


def case_of(time: int = 3, layers: int = 1) -> Case:
    return draw_case(RNNSpec(2, 3, layers), batch=2, time=time, dtype="float32", seed=time)


def line(outcome: str = "agrees", label: str = "one cpu", case: Case | None = None, **changes: Any) -> dict[str, Any]:
    """A verdict line; one that disagrees has the words of a real verdict."""
    case = case or case_of()
    output, h_n = (np.array(array) for array in case.answer())
    output += 1.0 * (outcome == "disagrees")
    said = judge(case, output, h_n) if outcome in ("agrees", "disagrees", "vacuous") else None
    made = verdict_line(target=label, test="tests/test_a.py::test_b[x]", tested="equivalence", relation=False,
                        case=case, features=ASKED, outcome=outcome, verdict=said,
                        message="it fell" if outcome == "crashed" else "")  # fmt: skip
    return made | ({"content": "{}"} if outcome in ("disagrees", "crashed") else {}) | changes


def growing() -> Iterator[dict[str, Any]]:
    """What the frozen corpus' growing cases are told of."""
    for words in ("time", "depth"):
        for size in (1, 2, 5):
            case = case_of(time=size) if words == "time" else case_of(layers=size)
            for tested in ("corpus", "corpus, whole trajectory"):
                yield line(case=case, property=tested, corpus=f"001 {words} {size} forward float32")


def ended(**changes: Any) -> dict[str, Any]:
    return {
        "finished": "2026-01-02T04:00:00+00:00",
        "exit_status": 0,
        "torn": 0,
        "selection": "",
        "tests": {"passed": 5},
    } | changes


def finished(header: dict[str, Any], lines: Iterable[dict[str, Any]], ended: dict[str, Any]) -> bytes:
    """The whole file of a run: its lines, and at last what they add up to."""
    lines = list(lines)
    ledger = Ledger(tuple(header.get("axes", FIRST_AXES)))
    for line in lines:
        if line["kind"] == "verdict":
            ledger.add(line)
    body = b"".join(dump(line) for line in (header | {"complete": True}, *lines))
    return body + sealed(
        hashlib.sha256(body), {"kind": "end", **ended, "lines": len(lines) + 2, **sums(ledger, header)}
    )


def failed_test(outcome: str = "failed", message: str = "AssertionError: no") -> dict[str, Any]:
    return {"kind": "test", "test": "tests/test_a.py::test_b[x]", "outcome": outcome, "message": message}


def evidence_of(folder: Path, *lines: dict[str, Any], head: dict[str, Any] | None = None, **changes: Any) -> Evidence:
    """Evidence of one run, by way of a file: run.json in the folder."""
    path = folder / "run.json"
    path.write_bytes(finished(head or header(), lines, ended(**changes)))
    return read(path)


class Page(HTMLParser):
    """What a browser makes of a page: its elements with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.pieces: list[str] = []
        self.cells: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.links += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action", "srcset")
        ]

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())
