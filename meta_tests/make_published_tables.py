"""python -m meta_tests.make_published_tables: write into README.md and docs/citing.md what evidence/published says.

To be run again whenever evidence is published, which meta_tests/repository/test_generated_pages.py notices.
"""

from __future__ import annotations

import json
import lzma
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evidence.report.columns import STATES, state_of
from reference.files import write_atomically

from .common.regions import replaced

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "evidence" / "published"
CELLS = {"elman": "Elman", "gru": "GRU", "gru_reset_before": "GRU, reset before", "lstm": "LSTM"}
TARGETS = ("torch", "keras/tensorflow", "keras/torch", "keras/jax", "keras/numpy", "keras/openvino", "flax",
           "equinox", "mlx", "onnxruntime", "onnx", "torch-onnx", "openvino", "tract", "litert", "paddle")  # fmt: skip
COUNTS = re.compile(
    r"^\| ([\w/-]+) cpu(?: \(run \d+\))? \| ([^|]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|", re.MULTILINE
)


def lines() -> Iterator[dict[str, Any]]:
    """Of the compact record."""
    with lzma.open(PUBLISHED / "evidence.compact.json.xz", "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def states() -> dict[tuple[str, str], str]:
    """(target, cell) -> the state of what was asked of it: the record keeps all that did not agree."""
    found: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for line in lines():
        if line["kind"] == "verdict":
            found[line["target"].removesuffix(" cpu"), line["features"]["cell"]][line["outcome"]] += 1
    return {of: state_of(outcomes, {}).state for of, outcomes in found.items()}


def cells() -> str:
    """Targets by cells, a glyph each."""
    known = states()
    rows = [f"| {name} | {' | '.join(STATES[known.get((name, cell), 'not asked')][0] for cell in CELLS)} |"
            for name in TARGETS]  # fmt: skip
    return "\n".join([f"| target | {' | '.join(CELLS.values())} |", "|---|" + ":-:|" * len(CELLS), *rows])


def counts() -> list[tuple[str, str, int, int, int]]:
    """Target, version, and how many answers agree, disagree, are findings: the report counts the record in full."""
    rows = COUNTS.findall((PUBLISHED / "evidence.md").read_text(encoding="utf-8"))
    found = []
    for name, version, *some in rows:
        agree, disagree, known = (int(count.replace(",", "")) for count in some)
        found += [] if name == "reference" else [(name, version, agree, disagree, known)]
    return found


def headline() -> str:
    """What was judged, of which version, where and when, and what came of it."""
    heads = [line for line in lines() if line["kind"] == "header"]
    suite, began = heads[0]["suite"], sorted(head["run"]["started"] for head in heads)
    days = " to ".join(dict.fromkeys((began[0][:10], began[-1][:10])))
    ran = {(head["environment"]["CPU"], head["environment"]["CPUs"], head["environment"]["Python"]) for head in heads}
    where = "; ".join(f"{cpu}, {cpus} CPUs, {python}" for cpu, cpus, python in sorted(ran))
    present = {line["findings"][0] for line in lines() if line["kind"] == "verdict" and line["outcome"] == "finding"
               and line["property"].startswith("finding ")}  # fmt: skip
    kinds = {one["id"]: one["kind"] for head in heads for target in head["targets"] for one in target["findings"]}
    faults = sum(kinds[one] == "fault" for one in present)
    agree = sum(row[2] for row in counts())
    rows = [
        f"| {name} | {version} | cpu | {good:,} | {bad:,} | {known:,} |" for name, version, good, bad, known in counts()
    ]
    return "\n".join([
        f"{agree:,} answers agree, {sum(row[3] for row in counts()):,} disagree; {faults} findings are present.",
        f"Recorded on {days} by commit `{suite['commit'][:12]}`, profile `{heads[0]['run']['profile']}`, on {where}.\n",
        "| target | version | device | agrees | disagrees | finding |\n|---|---|---|---:|---:|---:|",
        *rows,
    ])  # fmt: skip


def again() -> str:
    """The commands of each run, as the report prints them."""
    text = (PUBLISHED / "evidence.md").read_text(encoding="utf-8").split("## Run it again")[1]
    blocks = [block for block in re.findall(r"```text\n(.*?)```", text, re.DOTALL) if "git checkout" in block]
    return "\n\n".join(f"```sh\n{block}```" for block in blocks)


PAGES = {"README.md": {"cells": cells}, "docs/citing.md": {"headline": headline, "again": again}}


def page(name: str) -> str:
    """A document with its tables made anew."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for region, make in PAGES[name].items():
        text = replaced(text, region, make())
    return text


if __name__ == "__main__":
    for name in PAGES:
        write_atomically(ROOT / name, page(name))
