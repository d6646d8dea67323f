"""python -m meta_tests.make_findings_page: write docs/findings.md from findings/, and what adapters declare refused.

The last section is kept by hand, in docs/findings_by_hand.md. To be run again whenever a finding or a refusal changes,
which meta_tests/findings/test_findings_page.py notices.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from evidence.verify.declarations import PATH as DECLARATIONS
from findings import Finding, all_findings
from findings.finding import KINDS, NO_LINK
from reference.files import write_atomically

DOCS = Path(__file__).parents[1] / "docs"
PAGE, BY_HAND = DOCS / "findings.md", DOCS / "findings_by_hand.md"
INTRODUCTION = """# Findings

What released frameworks were seen to get wrong. Each is a file in `findings/`, of which this page is made (`python -m
meta_tests.make_findings_page`), with a case that shows it. Every run asks that case: a finding is *present* in the
version at hand, or *gone*, or *changed*, which fails. A drawn case inside the trigger has the outcome `finding` only
where the answer is just as wrong as the finding says.

An entry says in which versions it was *seen wrong*, and in which *right*: versions between these were not asked.
*Where* names the framework, the features of which a case must have one value each, and the [idiom](idioms.md) in which
the layer is called, or those in which it is not so. *What* is with what the wrong answer agrees, or which exception is
raised: the words of different versions are parted by " | ".

```sh
python -m rnn_equivalence findings                  # those that the installed versions have, and how to avoid each
python -m rnn_equivalence findings --script {first}   # a program that shows one, without this suite
```
"""
SECTIONS = {
    "fault": ("Wrong", f"{KINDS['fault'].capitalize()}."),
    "documented": ("Documented", f"Each is {KINDS['documented']}. They are not counted in a run's headline."),
}


def page() -> str:
    """The whole page."""
    findings = all_findings()
    introduction = INTRODUCTION.replace("{first}", findings[0].id)
    parts = [introduction, *_table(findings)]
    for kind, (title, says) in SECTIONS.items():
        parts += [f"\n## {title}\n\n{says}\n", *(_section(one) for one in findings if one.kind == kind)]
    return "\n".join([*parts, *_refusals(), "", BY_HAND.read_text(encoding="utf-8").rstrip(), ""])


def _table(findings: tuple[Finding, ...]) -> Iterator[str]:
    yield "| id | framework | what | kind | seen in |\n|---|---|---|---|---|"
    for one in findings:
        link = f"[{one.id}](#{one.id.lower()})"
        yield f"| {link} | {_where(one)} | {_cell(one.title)} | {one.kind} | {_cell(', '.join(one.wrong))} |"


def _where(one: Finding) -> str:
    return one.framework + (f" on {', '.join(one.backends)}" if one.backends else "")


def _section(one: Finding) -> str:
    words = " and ".join(f"{name} {' or '.join(map(str, values))}" for name, values in one.trigger.items())
    some = " (some processors)" if one.processor else ""
    idiom = f', asked in the idiom "{one.idiom}"' if one.idiom else ""
    idiom += "".join(f', not in the idiom "{word}"' for word in one.not_in)
    lines = [
        f"### {one.id}\n\n**{one.title}**\n",
        f"- seen wrong: {', '.join(one.wrong)}" + (f"; right: {', '.join(one.right)}" if one.right else ""),
        f"- where: {_where(one)}, device {one.device}{some}, {words or 'every case'}{idiom}",
        f"- what: {one.what}",
        f"- avoid it: {one.avoid}",
        f"- upstream: {one.link if one.link == NO_LINK else f'<{one.link}>'}",
    ]
    return "\n".join([*lines, *(["", one.note] if one.note else []), ""])


def _refusals() -> Iterator[str]:
    """What each framework was asked, and said no to, as its adapter declares; once for all devices."""
    yield "## Refused\n\nThe framework is asked, and raises this. Where a newer version answers, a run says so.\n"
    yield "| framework | what | what it says |\n|---|---|---|"
    rows = {}
    for target in json.loads(DECLARATIONS.read_text(encoding="utf-8"))["targets"]:
        where = " on ".join(filter(None, (target["adapter"], target["backend"])))
        for said in target.get("refused", ()):
            asked = ", ".join(f"{name} {value}" for name, value in said["features"].items())
            rows[where, asked, f"{said['exception']}: {said['words']}"] = None
    yield from (f"| {' | '.join(map(_cell, row))} |" for row in rows)


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    write_atomically(PAGE, page())
