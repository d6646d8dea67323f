"""The campaign itself: which blocks are to be asked, who asks them, and how far it is."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from evidence.campaign.cases import BLOCK, MOST_SEED, blocks, pieces
from evidence.campaign.record import WRONG, begin, finish, header_line
from evidence.record.journal import partial_path
from evidence.record.lines import Line, Unusable
from evidence.words import many

from .block import about, of_seeds

EVERY = 5.0  # seconds between two words of progress
Seeds = tuple[int, int]


def seeds_of(text: str) -> Seeds:
    """The first seed and the one behind the last, of "0:1000000". Raises Unusable."""
    given = re.fullmatch(r"(\d{1,15}):(\d{1,15})", text)
    start, stop = map(int, given.groups()) if given else (0, 0)
    if not start < stop <= MOST_SEED:
        raise Unusable(f"--seeds: got {text!r}, expected FIRST:BEHIND_THE_LAST, as 0:1000000, of at most {MOST_SEED}")
    return start, stop


def shard_of(seeds: Seeds, text: str | None) -> Seeds:
    """The seeds of a shard "i/n", i from 0 to n - 1: so many blocks in their order, which no other shard has.

    Raises Unusable for one that is out of range, and for more shards than there are blocks.
    """
    if text is None:
        return seeds
    given, number, first = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text), blocks(*seeds), seeds[0] // BLOCK
    i, n = map(int, given.groups()) if given else (0, 0)
    if not 0 <= i < n <= number:
        expected = f"i/n, i from 0 to n - 1, n at most {number}, as there are {many(number, 'block')} of {BLOCK}"
        raise Unusable(f"--shard: got {text!r}, expected {expected}")
    start, stop = ((first + number * at // n) * BLOCK for at in (i, i + 1))
    return max(seeds[0], start), min(seeds[1], stop)


def command(
    source: str, device: str, seeds: str, shard: str | None, file: Path, resume: bool, isolate: bool,
    processes: int | None, dask: str | None,
) -> int:  # fmt: skip
    """Ask all blocks that are not there yet; returns 1 where a case did not agree. Raises Unusable or OSError, in a
    sentence, for what cannot be used; every block that was finished is kept."""
    chosen, of = shard_of(seeds_of(seeds), shard), (source, device)
    with _cluster(processes, dask) as cluster:
        tell = cluster.about if cluster else about
        ask = partial(cluster.lines if cluster else of_seeds, *of, isolate=isolate)
        header = header_line(tell(*of), chosen)
        journal, there = begin(file, header, resume)
        done = sum(end - start for start, end in pieces(*chosen, BLOCK) if start in there)
        progress = Progress(chosen[1] - chosen[0], done)
        try:
            for line in ask(several=(piece for piece in pieces(*chosen, BLOCK) if piece[0] not in there)):
                journal.write(checked(header, line))
                progress.add(line)
        except KeyboardInterrupt:
            print(f"\n{progress.done:,} cases are in {partial_path(file)}: --resume goes on", file=sys.stderr)
            raise
    campaign = finish(file)
    counts = ", ".join(f"{count:,} {name}" for name, count in campaign.outcomes.most_common())
    print(f"{file}: seeds {chosen[0]}:{chosen[1]} of {campaign.header.target.label}: {counts}")
    return int(bool(campaign.wrong))


def _cluster(processes: int | None, dask: str | None):
    """The cluster that asks, in a context; of None where this process does."""
    if dask is None and processes in (None, 1):
        return nullcontext()
    try:
        from .cluster import cluster
    except ModuleNotFoundError as missing:
        install = f"{missing}: python3 -m pip install -c constraints.txt distributed"
        if dask is not None:
            raise Unusable(f"--dask: {install}") from missing
        print(f"{install}; asking in one process", file=sys.stderr)
        return nullcontext()
    return cluster(dask, processes)


def checked(header: Line, line: Line) -> Line:
    """The line for the record. Raises Unusable where a worker has another version of anything that decides verdicts."""
    here = {"version": header["target"]["version"], "suite": header["suite"], "cpu": header["environment"]["CPU"]}
    by = line.pop("by", here)
    for name in ("version", "suite"):
        if by[name] != here[name]:
            raise Unusable(f"a worker has the {name} {by[name]}, the first one {here[name]}: all must have the same")
    return line if by == here else {**line, "cpu": by["cpu"]}


class Progress:
    """Rate and time left, on stderr, every few seconds."""

    def __init__(self, total: int, done: int, now: Callable[[], float] = time.monotonic) -> None:
        self.total, self.done, self.wrong, self._before, self._now = total, done, 0, done, now
        self._began = self._said = now()

    def add(self, line: Line) -> None:
        self.done += line["seeds"][1] - line["seeds"][0]
        self.wrong += sum(sum(line["counts"].get(name, {}).values()) for name in WRONG)
        now = self._now()
        if now - self._said >= EVERY or self.done == self.total:
            self._said, rate = now, (self.done - self._before) / max(now - self._began, 1e-9)
            left = (self.total - self.done) / rate / 60
            print(f"{self.done:,} of {self.total:,} cases, {self.wrong:,} did not agree; {rate:,.0f} cases a second, "
                  f"{left:,.1f} minutes left", file=sys.stderr, flush=True)  # fmt: skip
