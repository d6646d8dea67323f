"""A page and a text of a campaign, in the style of a run's report."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple, get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reference.files import write_atomically

from .. import words
from ..markdown import escaped
from ..record.schema import Outcome
from ..report.columns import STATES
from .cases import COMBINATIONS
from .record import Campaign, Worst, Wrong, read

HERE = Path(__file__).parent
MOST_SHOWN = 20  # cases that did not agree


class Row(NamedTuple):
    """One value of what cases are counted by.  name: of the axis."""

    name: str
    value: str
    outcomes: Counter[str]


def command(file: Path, output: Path | None = None, summary: bool = False) -> int:
    """Write a page and a text into a folder, and print their names; or print the text."""
    shown = model(read(file))
    if summary:
        print(_render("text.md", shown), end="")
        return 0
    folder = output or file.parent
    folder.mkdir(parents=True, exist_ok=True)
    name = file.name.removesuffix(".gz").removesuffix(".json")
    for kind, template in (("html", "page.html"), ("md", "text.md")):
        write_atomically(folder / f"{name}.{kind}", _render(template, shown))
        print(folder / f"{name}.{kind}")
    return 0


def model(campaign: Campaign) -> dict[str, Any]:
    """What both templates show."""
    by, findings, wrong, worst = dict[tuple[str, str], Counter[str]](), Counter[str](), list[Wrong](), None
    for block in campaign.blocks:
        findings.update(block.findings)
        wrong += block.wrong[: MOST_SHOWN - len(wrong)]
        worst = _larger(worst, block.worst)
        for outcome, count in block.counts.items():
            for number, many in count.items():
                for axis in zip(("cell", "direction", "layout", "dtype"), COMBINATIONS[int(number)], strict=True):
                    by.setdefault(axis, Counter())[outcome] += many
    rows = [Row(*axis, outcomes) for axis, outcomes in by.items()]
    return {"campaign": campaign, "rows": sorted(rows, key=lambda row: row.name), "findings": sorted(findings.items()),
            "wrong": wrong, "worst": worst, "conclusion": conclusion(campaign, len(findings)),
            "outcomes": get_args(Outcome), "sign": {"good": STATES["agree"][0], "bad": STATES["disagree"][0]}}  # fmt: skip


def _larger(one: Worst | None, other: Worst | None) -> Worst | None:
    return other if one is None or (other is not None and not other.fraction <= one.fraction) else one


def conclusion(campaign: Campaign, findings: int) -> tuple[str, str]:
    """Whether it is good, and the first sentence."""
    target = campaign.header.target
    told = f"{campaign.outcomes['agrees']:,} answers of {target.adapter} {target.version} on {target.device} agree"
    told += f"; {words.many(findings, 'finding')} in others" if findings else ""
    if not campaign.wrong:
        return "good", f"{told}; none is wrong that is not known"
    return "bad", f"{told}; {words.many(campaign.wrong, 'answer')} wrong"


def _render(template: str, shown: dict[str, Any]) -> str:
    html = template.endswith(".html")
    text = words.visible if html else escaped
    folders = [HERE, HERE.parent / "report"]
    environment = Environment(
        loader=FileSystemLoader(folders), autoescape=html, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda of: text(of) if isinstance(of, str) and not isinstance(of, Markup) else of,
        keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters.update(count="{:,}".format, figure=words.figure, moment=words.moment)
    return environment.get_template(f"campaign.{template.rpartition('.')[2]}").render(shown)
