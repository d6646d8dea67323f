"""What a third party may believe of a campaign's record: its bytes, its counts, and a sample that is asked again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from adapters import KNOWN

from ..record.environment import cpu, suite
from ..record.lines import Line, Unusable
from ..verify.check import Check, few, those
from ..words import figure, many, one_line
from .cases import DRAWS, asked
from .record import WRONG, Block, Campaign, Target, read

SAMPLE = 0.001
Again = Callable[[str, str, int, int], Line]  # harness.campaign.block.ask_block
About = Callable[[str, str], Line]  # harness.campaign.block.about
RIGHT = (
    "The file is as it was written, its counts are those of the cases that its seeds stand for, and what was asked "
    "again here came out as it says. Of the blocks that were not asked again, it shows nothing: --sample 1 asks all."
)


def command(file: Path, sample: float | None, again: Again, about: About) -> int:
    """Print what was checked, and what may be concluded: 0 where all is right and something was asked again, else 1."""
    campaign = read(file)
    checks = [*unasked(campaign), *sampled(campaign, SAMPLE if sample is None else sample, again, about)]
    for check in checks:
        print(f"{'WRONG' if check.problems else 'right'}  {one_line(check.checked)}")
        for said in (*check.problems, *check.unshown):
            print(f"         {one_line(said)}")
    wrong, shown = any(check.problems for check in checks), not checks[-1].unshown["not asked"]
    print("Not verified." if wrong or not shown else RIGHT)
    return int(wrong or not shown)


def unasked(campaign: Campaign) -> Iterator[Check]:
    """What needs no framework. Form, seeds, sums and SHA-256 were checked on reading."""
    header, here = campaign.header, suite()
    yield Check(
        f"its lines have its SHA-256, and its blocks are those of the seeds {header.seeds[0]}:{header.seeds[1]}"
    )
    other = here["commit"] != header.suite.commit and f"it was made by the commit {header.suite.commit}"
    yield Check("its cases are drawn as this suite draws them", [*those(
        (header.draws != DRAWS, f"it draws by {header.draws}, this suite by {DRAWS}: {other or 'another version'}"),
    )])  # fmt: skip
    wrong = (f"seeds {b.seeds[0]}:{b.seeds[1]}: {words}" for b in campaign.blocks for words in problems(b))
    yield Check(f"each of its {len(campaign.starts):,} blocks counts the cases that its seeds stand for", few(wrong))


def problems(block: Block) -> Iterator[str]:
    """Where a line does not agree with its seeds, or with itself."""
    counted = Counter[str]()
    for count in block.counts.values():
        counted.update(count)
    there = {str(number): many for number, many in asked(*block.seeds).items()}
    if dict(counted) != there:
        yield "its counts are not those of its cases"
    named = [wrong.seed for wrong in block.wrong] + ([block.worst.seed] if block.worst else [])
    seen = Counter(wrong.said.outcome for wrong in block.wrong)
    told, outcomes = sum(block.findings.values()), block.outcomes
    yield from those(
        (any(seed not in range(*block.seeds) for seed in named), "it names a seed of another block"),
        (any(count > outcomes[name] for name, count in seen.items()), "it keeps more cases than it counts"),
        (any(outcomes[name] and not block.message and not block.wrong for name in WRONG),
         "it counts cases that did not agree, and keeps none"),
        (told < outcomes["finding"] or (told and not outcomes["finding"]), "its findings explain other cases"),
    )  # fmt: skip


def sampled(campaign: Campaign, sample: float, again: Again, about: About) -> Iterator[Check]:
    """Blocks that are asked again: one at least."""
    if not 0 < sample <= 1:
        raise Unusable(f"--sample: got {sample}, expected a part of all blocks, above 0 and at most 1")
    target = campaign.header.target
    here = is_here(target, about)
    if isinstance(here, str):
        yield _not_asked(here)
        return
    if campaign.header.draws != DRAWS:
        yield _not_asked("its cases are not drawn here")
        return
    number = max(1, round(sample * len(campaign.starts)))
    chosen, same = {*random.sample(campaign.starts, number)}, here["environment"] == target.environment
    wrong, moved = list[str](), Counter[str]()
    for block in (block for block in campaign.blocks if block.seeds[0] in chosen):
        place = f"seeds {block.seeds[0]}:{block.seeds[1]}"
        now = block_of(again(target.source, target.device, *block.seeds))
        is_there = same and (block.cpu or campaign.header.environment.CPU) == cpu()
        wrong += [f"{place}: {words}" for words in differences(block, now, is_there)]
        if now.digest != block.digest and not is_there:
            moved[f"{place}: other bits, on another processor or with other settings: {cpu()}"] += 1
    asked_again = (
        f"{many(number, 'block')} of {len(campaign.starts):,}, chosen anew in each run, came out the same here"
    )
    yield Check(asked_again, few(wrong), moved)


def is_here(target: Target, about: About, *versions: str) -> Line | str:
    """What the target says of itself here; or why it cannot be asked. Code that a file names is not run.

    versions: that may be here; the target's own where none is named.
    """
    if target.source not in KNOWN:
        return f"it asked {target.source!r}, code of its own, which a file does not get run"
    try:
        here = about(target.source, target.device)["target"]
    except (ImportError, ValueError) as error:
        return str(error)
    if here["label"] != target.label or here["version"] not in (versions or (target.version,)):
        return f"{target.label} {target.version} was asked, and {here['label']} {here['version']} is here"
    return here


def _not_asked(why: str) -> Check:
    return Check("a sample is asked again", unshown=Counter({"not asked": 1, why: 1}))


def differences(recorded: Block, now: Block, is_there: bool) -> Iterator[str]:
    """In what a block came out otherwise.  is_there: whether the bits must be the same."""
    if recorded.message:
        return  # what killed its workers is asked of no process that shall live
    if recorded.counts != now.counts:
        yield f"it counts {_told(recorded)}, and came to {_told(now)}"
    same = recorded.digest == now.digest
    yield from those(
        (is_there and not same, f"its digest is {recorded.digest}, and came to {now.digest}"),
        (recorded.findings != now.findings, f"its findings are {recorded.findings}, and came to {now.findings}"),
        (same and recorded.worst != now.worst, f"its worst error is {_worst(recorded)}, and came to {_worst(now)}"),
        (same and _wrong(recorded.wrong) != _wrong(now.wrong), "it keeps other cases in full"),
    )  # fmt: skip


def _told(block: Block) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(block.outcomes.items()))


def _worst(block: Block) -> str:
    return f"{figure(block.worst.fraction)} of its bound, seed {block.worst.seed}" if block.worst else "none"


def _wrong(several: Sequence) -> list[tuple[int, str, str, str | None]]:
    return [(one.seed, one.said.outcome, one.said.case, one.said.content) for one in several]


def block_of(line: Line) -> Block:
    """The block of a line that was asked here."""
    try:
        return Block.model_validate({name: value for name, value in line.items() if name != "by"})
    except ValidationError as error:
        raise Unusable(f"what came of a block is none: {error.errors()[0]['msg']}") from error
