"""A page and a text of a campaign, in the style of a run's report."""

from collections import Counter
from pathlib import Path
from typing import Any

from adapters.running.trial import OUTCOMES

from .. import words
from ..report import render, write
from .record import Campaign, Wrong, read

MOST_SHOWN = 20  # cases that did not agree


def command(file: Path, output: Path | None = None, summary: bool = False) -> int:
    """Write a page and a text into a folder, and print their names; or print the text."""
    shown = model(read(file))
    if summary:
        print(render("campaign.md", shown), end="")
        return 0
    return write(file, output, {kind: render(f"campaign.{kind}", shown) for kind in ("html", "md")})


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
            "wrong": wrong, "worst": worst, "outcomes": OUTCOMES, "sentence": told}  # fmt: skip
