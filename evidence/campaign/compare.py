"""Records of campaigns beside each other: shards that make one, and two of other versions, block by block."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from ..record.lines import Line, Unusable, dump, write_lines
from ..words import many
from .cases import COMBINATIONS
from .record import WRONG, Block, Campaign, Counts, Header, end_line, read
from .verify import About, Again, block_of, is_here

SHOWN = 10  # blocks of which is said more than that they differ
GOOD = "agrees"
ALIKE = ("suite", "draws", "target")  # of two records that are merged


def merge(file: Path, parts: Sequence[Path]) -> int:
    """Write one record of several with adjacent seeds. Raises Unusable for gaps, overlaps, other versions."""
    if file.exists():
        raise Unusable(f"{file}: it is there already, and the first file named is the one to write")
    several = sorted((read(path) for path in parts), key=lambda part: part.header.seeds)
    if len(several) < 2:
        raise Unusable(f"{len(several)} record to merge, expected at least two")
    for one, other in pairwise(several):
        between = f"{one.path} ends before seed {one.header.seeds[1]}, {other.path} begins at {other.header.seeds[0]}"
        if one.header.seeds[1] != other.header.seeds[0]:
            raise Unusable(f"{between}: {'a gap' if one.header.seeds[1] < other.header.seeds[0] else 'an overlap'}")
        for name in ALIKE:
            if (a := _told(one.header, name)) != (b := _told(other.header, name)):
                raise Unusable(f"{one.path} and {other.path} differ in their {name}: {a} and {b}")
    seeds = several[0].header.seeds[0], several[-1].header.seeds[1]
    write_lines(file, _merged(several, list(seeds)))
    read(file)
    print(file)
    return 0


def _told(header: Header, name: str) -> Any:
    value = header.model_dump(exclude={"target": {"environment"}})
    return value[name]


def _merged(several: Sequence[Campaign], seeds: list[int]) -> Iterator[bytes]:
    """The lines of all, those of a block as they are, with the processor where that is not the first one's."""
    header = several[0].header.model_dump(exclude_unset=True)
    parts = [end.sha256 for part in several if (end := part.end)]
    lines = chain([dump({**header, "seeds": seeds, "parts": parts})], *(_blocks(part, several[0]) for part in several))
    found, count = hashlib.sha256(), -1
    for line in lines:
        found.update(line)
        count += 1
        yield line
    yield end_line(found, count, sum((part.outcomes for part in several[1:]), several[0].outcomes))


def _blocks(part: Campaign, first: Campaign) -> Iterator[bytes]:
    here, there = part.header.environment.CPU, first.header.environment.CPU
    for block in part.blocks:
        where = block.cpu or here
        line = block.model_dump(exclude_unset=True, exclude={"cpu"})
        yield dump(line if where == there else {**line, "cpu": where})


def diff(old: Path, new: Path, as_json: bool, again: Again, about: About) -> int:
    """Print what became of each block: 0 is go, 1 no-go. Raises Unusable where no block is in both."""
    before, after = read(old), read(new)
    if before.header.draws != after.header.draws:
        raise Unusable(f"{old} and {new} draw their cases in other ways")
    known = {tuple(block.seeds): (block.digest, block.counts) for block in before.blocks}
    common, differ, worse = 0, list[int](), list[int]()
    for block in after.blocks:
        if tuple(block.seeds) in known:
            digest, counts = known[tuple(block.seeds)]
            common += 1
            differ += [block.seeds[0]] if digest != block.digest else []
            worse += [block.seeds[0]] if _worse(counts, block.counts) else []
    if not common:
        raise Unusable(f"nothing to compare: no block is in {old} and in {new}")
    shown = sorted([*worse, *(start for start in differ if start not in {*worse})][:SHOWN])
    told = [*_first_moves(before, after, shown, again, about)]
    if as_json:
        print(
            json.dumps({"go": not worse, "blocks": common, "same": common - len(differ), "worse": worse, "moved": told})
        )
        return int(bool(worse))
    versions = " and ".join(f"{one.header.target.adapter} {one.header.target.version}" for one in (before, after))
    print(f"{versions}: {many(common, 'block')} in both; {common - len(differ):,} the same bit for bit, "
          f"{len(differ):,} with other bits, {len(worse):,} worse")  # fmt: skip
    for one in told:
        print(f"  seeds {one['seeds'][0]}:{one['seeds'][1]}: {one['said']}")
    if len(differ) > len(told):
        print(f"  and {len(differ) - len(told):,} more")
    print(f"NO-GO: {many(len(worse), 'block')} came out worse" if worse else "GO: no block came out worse")
    return int(bool(worse))


def _worse(old: Counts, new: Counts) -> bool:
    """Whether in some combination fewer cases agree than did, or more are wrong than were."""
    fewer = any(new.get(GOOD, {}).get(number, 0) < count for number, count in old.get(GOOD, {}).items())
    return fewer or any(
        count > old.get(name, {}).get(number, 0)
        for name in (*WRONG, "finding") for number, count in new.get(name, {}).items()
    )  # fmt: skip


def _first_moves(old: Campaign, new: Campaign, starts: Sequence[int], again: Again, about: About) -> Iterator[Line]:
    """Of each of these blocks the first case that moved, and what is said of it where the target is installed here."""
    before = {block.seeds[0]: block for block in old.blocks if block.seeds[0] in starts}
    for block in (block for block in new.blocks if block.seeds[0] in before):
        pairs = zip(before[block.seeds[0]].each, block.each, strict=True)
        moved = [block.seeds[0] + at for at, (one, other) in enumerate(pairs) if one != other]
        if not moved:
            yield {"seeds": block.seeds, "first": None, "said": _change(before[block.seeds[0]], block)}
            continue
        said = f"{many(len(moved), 'case')} moved, first seed {moved[0]}; {_change(before[block.seeds[0]], block)}"
        here = _asked_here(old, new, moved[0], block, again, about)
        yield {"seeds": block.seeds, "first": moved[0], "said": f"{said}; {here}"}


def _change(old: Block, new: Block) -> str:
    names = sorted({*old.outcomes, *new.outcomes})
    changed = [f"{old.outcomes[name]} to {new.outcomes[name]} {name}" for name in names
               if old.outcomes[name] != new.outcomes[name]]  # fmt: skip
    return ", ".join(changed) or "the counts are the same"


def _asked_here(old: Campaign, new: Campaign, seed: int, block: Block, again: Again, about: About) -> str:
    """One case, asked again of what is installed here: whose answer it gives, and what comes of it."""
    target = new.header.target
    here = is_here(target, about, old.header.target.version, target.version)
    if isinstance(here, str):
        return f"not asked again: {here}"
    now = block_of(again(target.source, target.device, seed, seed + 1))
    (outcome, count), *_ = now.counts.items()
    combination = " ".join(map(str, COMBINATIONS[int(next(iter(count)))]))
    error = f", {now.worst.fraction:g} of its bound" if now.worst else ""
    whose = "as in the new one" if now.each[0] == block.each[seed - block.seeds[0]] else "not as in the new one"
    return f"asked again of {target.adapter} {here['version']}: {combination}: {outcome}{error}, {whose}"
