"""Two campaigns of other versions, block by block, down to the first case that moved."""

from __future__ import annotations

from pathlib import Path

from evidence.campaign.cases import COMBINATIONS
from evidence.campaign.record import WRONG, Block, Campaign, Counts, read
from evidence.record.lines import Unusable
from evidence.words import many, one_line

from .verify import asked_here, is_here

SHOWN = 10  # blocks of which is said more than that they differ
GOOD = "agrees"


def command(old: Path, new: Path, as_json: bool = False, as_markdown: bool = False) -> int:
    """Print what became of each block: 0 is go, 1 no-go. Raises Unusable where no block is in both."""
    if as_json or as_markdown:
        raise Unusable("--json, --markdown: are for records of runs, and these are campaigns")
    before, after = read(old), read(new)
    if (before.header.draws, before.header.axes) != (after.header.draws, after.header.axes):
        raise Unusable(f"{old} and {new} draw, or count, their cases in other ways")
    known = {tuple(block.seeds): (block.digest, block.counts) for block in before.blocks}
    common, moved, worse = 0, list[int](), list[int]()
    for block in (block for block in after.blocks if tuple(block.seeds) in known):
        digest, counts = known[tuple(block.seeds)]
        common += 1
        moved += [block.seeds[0]] * (digest != block.digest)
        worse += [block.seeds[0]] * is_worse(counts, block.counts)
    if not common:
        raise Unusable(f"nothing to compare: no block is in {old} and in {new}")
    versions = " and ".join(f"{one.header.target.adapter} {one.header.target.version}" for one in (before, after))
    print(one_line(f"{versions}: {many(common, 'block')} in both: {common - len(moved):,} with the same bits, "
                   f"{len(moved):,} with other bits, {len(worse):,} worse"))  # fmt: skip
    shown = {*[*worse, *(start for start in moved if start not in {*worse})][:SHOWN]}
    first = {block.seeds[0]: block for block in before.blocks if block.seeds[0] in shown}
    for block in (block for block in after.blocks if block.seeds[0] in shown):
        print(
            one_line(f"  seeds {block.seeds[0]}:{block.seeds[1]}: {told(before, after, first[block.seeds[0]], block)}")
        )
    print(f"NO-GO: {many(len(worse), 'block')} came out worse" if worse else "GO: no block came out worse")
    return int(bool(worse))


def is_worse(old: Counts, new: Counts) -> bool:
    """Whether in some combination fewer cases agree than did, or more are wrong than were."""
    fewer = any(new.get(GOOD, {}).get(number, 0) < count for number, count in old.get(GOOD, {}).items())
    return fewer or any(count > old.get(name, {}).get(number, 0)
                        for name in (*WRONG, "finding") for number, count in new.get(name, {}).items())  # fmt: skip


def told(before: Campaign, after: Campaign, old: Block, new: Block) -> str:
    """What became of a block; its first case that moved is asked again, where one of the versions is installed here."""
    names = sorted({*old.counts, *new.counts})
    changed = [f"{old.outcomes[name]} to {new.outcomes[name]} {name}" for name in names
               if old.outcomes[name] != new.outcomes[name]]  # fmt: skip
    moved = [new.seeds[0] + at for at, tag in enumerate(new.each) if tag != old.each[at]]
    said = (
        f"{many(len(moved), 'case')} moved, first seed {moved[:1]}; {', '.join(changed) or 'the counts are the same'}"
    )
    target = after.header.target
    here = is_here(target, before.header.target.version, target.version)
    if isinstance(here, str) or not moved:
        return f"{said}; not asked again: {here if isinstance(here, str) else 'none moved'}"
    now = asked_here(target, moved[0], moved[0] + 1)
    ((outcome, count),) = now.counts.items()
    combination = " ".join(map(str, COMBINATIONS[int(next(iter(count)))]))
    error = f", {now.worst.fraction:g} of its bound" if now.worst else ""
    whose = "as in the new one" if now.each[0] == new.each[moved[0] - new.seeds[0]] else "not as in the new one"
    return f"{said}; asked again of {target.adapter} {here['version']}: {combination}: {outcome}{error}, {whose}"
