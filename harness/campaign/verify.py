"""What a third party may believe of a campaign's record: its bytes, its counts, and a sample that is asked again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from adapters import KNOWN
from evidence.campaign.cases import COMBINATIONS, DRAWS, asked
from evidence.campaign.record import WRONG, Block, Campaign, read
from evidence.record.lines import Line, Unusable
from evidence.record.schema import TargetLine
from evidence.verify.check import Check, few, those
from evidence.words import many, one_line

from . import block as asking

SAMPLE = 0.001
RIGHT = (
    "The file is as it was written, its counts are those of the cases that its seeds stand for, and what was asked "
    "again here came out as it says. Of the blocks that were not asked again, it shows nothing: --sample 1 asks all."
)


def command(file: Path, sample: float | None) -> int:
    """Print what was checked, and what may be concluded: 0 where all is right and something was asked again, else 1."""
    campaign, part = read(file), SAMPLE if sample is None else sample
    if not 0 < part <= 1:
        raise Unusable(f"--sample: got {sample}, expected a part of all blocks, above 0 and at most 1")
    wrong = (f"{_where(one)}: {words}" for one in campaign.blocks for words in problems(one))
    checks = [
        Check(f"its lines have its SHA-256, and its {len(campaign.starts):,} blocks are those of its seeds"),
        Check("each block counts the cases that its seeds stand for, as this suite draws them", few(wrong)),
        again(campaign, part),
    ]
    for check in checks:
        print(f"{'WRONG' if check.problems else 'right'}  {one_line(check.checked)}")
        for said in filter(None, (*check.problems, *check.unshown)):
            print(f"         {one_line(said)}")
    verified = not any(check.problems for check in checks) and "" not in checks[-1].unshown
    print(RIGHT if verified else "Not verified.")
    return int(not verified)


def _where(block: Block) -> str:
    return f"seeds {block.seeds[0]}:{block.seeds[1]}"


def problems(block: Block) -> Iterator[str]:
    """Where a line does not agree with its seeds, or with itself."""
    counted, outcomes, told = Counter[str](), block.outcomes, sum(block.findings.values())
    for count in block.counts.values():
        counted.update(count)
    named = [wrong.seed for wrong in block.wrong] + ([block.worst.seed] if block.worst else [])
    yield from those(
        (dict(counted) != {str(number): count for number, count in asked(*block.seeds).items()},
         "its counts are not those of its cases"),
        (any(seed not in range(*block.seeds) for seed in named), "it names a seed of another block"),
        (any(outcomes[name] for name in WRONG) and not (block.message or block.wrong), "it keeps none that is wrong"),
        (told < outcomes["finding"] or bool(told) > bool(outcomes["finding"]), "its findings explain other cases"),
    )  # fmt: skip


def again(campaign: Campaign, part: float) -> Check:
    """Some blocks are asked again, one at least. What of them cannot be said is not shown; the empty word: of all."""
    target = campaign.header.target
    here = is_here(target)
    otherwise = campaign.header.draws != DRAWS or campaign.header.combinations != list(COMBINATIONS)
    if isinstance(here, str) or otherwise:
        why = here if isinstance(here, str) else "its cases are drawn, or counted, in another way"
        return Check("a sample is asked again", unshown=Counter({f"not asked: {why}": 1, "": 1}))
    chosen = {*random.sample(campaign.starts, max(1, round(part * len(campaign.starts))))}
    wrong, elsewhere, same = list[str](), Counter[str](), here["environment"] == target.environment
    for block in (block for block in campaign.blocks if block.seeds[0] in chosen):
        now = asked_here(target, *block.seeds)
        is_there = same and (block.cpu or campaign.header.environment.CPU) == asking.worker()["cpu"]
        wrong += [f"{_where(block)}: {words}" for words in differences(block, now, is_there)]
        elsewhere[f"{_where(block)}: other bits, on another processor or with other settings"] += (
            now.digest != block.digest and not is_there
        )
    told = f"{many(len(chosen), 'block')} of {len(campaign.starts):,}, chosen anew each time, came out the same here"
    return Check(told, few(wrong), +elsewhere)


def is_here(target: TargetLine, *versions: str) -> Line | str:
    """What the target says of itself here; or why it cannot be asked. Code that a file names is not run.

    versions: that may be here; the target's own where none is named.
    """
    if target.source not in KNOWN:
        return f"{target.source!r} is code of its own, which a file does not get run"
    try:
        here = asking.about(target.source, target.device)["target"]
    except Unusable as error:
        return str(error)
    if here["label"] == target.label and here["version"] in (versions or (target.version,)):
        return here
    return f"{target.label} {target.version} was asked, and {here['label']} {here['version']} is here"


def asked_here(target: TargetLine, start: int, stop: int) -> Block:
    line = asking.ask_block(target.source, target.device, start, stop)
    return Block.model_validate({name: value for name, value in line.items() if name != "by"})


def differences(recorded: Block, now: Block, is_there: bool) -> Iterator[str]:
    """In what a block came out otherwise.  is_there: whether the bits must be the same."""
    kept = [
        [(one.seed, one.said.outcome, one.said.case, one.said.content) for one in of.wrong] for of in (recorded, now)
    ]
    same = recorded.digest == now.digest
    worst = [one and f"{one.fraction:g} of its bound, seed {one.seed}" for one in (recorded.worst, now.worst)]
    yield from () if recorded.message else those(  # what killed workers is asked of no process that shall live
        (recorded.counts != now.counts, f"it counts {dict(recorded.outcomes)}, and came to {dict(now.outcomes)}"),
        (is_there and not same, f"its digest is {recorded.digest}, and came to {now.digest}"),
        (recorded.findings != now.findings, f"its findings are {recorded.findings}, and came to {now.findings}"),
        (same and worst[0] != worst[1], f"its worst error is {worst[0]}, and came to {worst[1]}"),
        (same and kept[0] != kept[1], "it keeps other cases in full"),
    )  # fmt: skip
