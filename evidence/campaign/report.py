"""A page and a text of a campaign, in the style of a run's report."""

from collections import Counter
from pathlib import Path
from typing import Any, get_args

from reference.files import write_atomically

from .. import words
from ..record.packed import plain
from ..record.schema import Outcome
from ..report import render
from .record import Campaign, Wrong, read

MOST_SHOWN = 20  # cases that did not agree


def command(file: Path, output: Path | None = None, summary: bool = False) -> int:
    """Write a page and a text into a folder, and print their names; or print the text."""
    shown = model(read(file))
    if summary:
        print(render("campaign.md", shown), end="")
        return 0
    folder = output or file.parent
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("html", "md"):
        path = folder / f"{plain(file.name).removesuffix('.json')}.{kind}"
        write_atomically(path, render(f"campaign.{kind}", shown))
        print(path)
    return 0


def model(campaign: Campaign) -> dict[str, Any]:
    """What both templates show. rows: (axis, value) -> outcome -> cases."""
    findings, wrong, worst = Counter[str](), list[Wrong](), None
    rows: dict[tuple[str, str], Counter[str]] = {}
    combinations = campaign.header.combinations
    for block in campaign.blocks:
        findings.update(block.findings)
        wrong += block.wrong[: MOST_SHOWN - len(wrong)]
        if block.worst and (worst is None or not block.worst.fraction <= worst.fraction):
            worst = block.worst
        for outcome, count in block.counts.items():
            for number, many in count.items():
                for axis in zip(campaign.header.axes, combinations[int(number)], strict=True):
                    rows.setdefault(axis, Counter())[outcome] += many
    target, agree = campaign.header.target, campaign.outcomes["agrees"]
    told = f"{agree:,} answers of {target.adapter} {target.version} on {target.device} agree; "
    told += f"{words.many(len(findings), 'finding')} present; " if findings else ""
    told += f"{words.many(campaign.wrong, 'answer')} wrong" if campaign.wrong else "none is wrong that is not known"
    return {"campaign": campaign, "rows": dict(sorted(rows.items())), "findings": sorted(findings.items()),
            "wrong": wrong, "worst": worst, "outcomes": get_args(Outcome), "sentence": told}  # fmt: skip
