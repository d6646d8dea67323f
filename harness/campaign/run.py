"""The campaign itself: which blocks are to be asked, who asks them, and how far it is."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from evidence.campaign.cases import BLOCK, MOST_SEED, blocks, pieces
from evidence.campaign.record import WRONG, Campaign, Writer, header_line
from evidence.record.lines import Line, Unusable
from evidence.words import many

from .block import about, of_seeds

EVERY = 5.0  # seconds between two words of progress
Seeds = tuple[int, int]
# the lines of blocks, from an iterator over their seeds
Ask = Callable[[Iterator[Seeds]], Iterator[Line]]


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
    given, number = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text), blocks(*seeds)
    i, n = map(int, given.groups()) if given else (0, 0)
    if not 0 <= i < n <= number:
        expected = f"i/n, i from 0 to n - 1, n at most {number}, as there are {many(number, 'block')} of {BLOCK}"
        raise Unusable(f"--shard: got {text!r}, expected {expected}")
    begin = seeds[0] // BLOCK
    first, last = (begin + number * at // n for at in (i, i + 1))
    return max(seeds[0], first * BLOCK), min(seeds[1], last * BLOCK)


def command(
    source: str, device: str, seeds: str, shard: str | None, evidence: Path, resume: bool, isolate: bool,
    processes: int | None, dask: str | None,
) -> int:  # fmt: skip
    """Ask all blocks that are not there yet; returns 1 where a case did not agree. Raises Unusable, in a sentence, for
    what cannot be used; every block that was finished is kept."""
    chosen = shard_of(seeds_of(seeds), shard)
    if dask is None and processes in (None, 1):
        return _run(chosen, evidence, resume, partial(about, source, device),
                    partial(of_seeds, source, device, isolate=isolate))  # fmt: skip
    try:
        from . import cluster
    except ModuleNotFoundError as missing:
        if dask is not None:
            raise Unusable(f"--dask: {missing}; python3 -m pip install -c constraints.txt distributed") from missing
        print(f"{missing}: asking in one process", file=sys.stderr)
        return _run(chosen, evidence, resume, partial(about, source, device),
                    partial(of_seeds, source, device, isolate=isolate))  # fmt: skip
    with cluster.client(dask, processes) as client:
        there = cluster.Cluster(client, source, device, isolate)
        return _run(chosen, evidence, resume, there.about, there.lines)


def _run(seeds: Seeds, path: Path, resume: bool, tell: Callable[[], Line], ask: Ask) -> int:
    try:
        header = header_line(tell(), seeds)
    except (ImportError, ValueError) as error:
        raise Unusable(str(error)) from error
    writer = (Writer.resumed if resume else Writer)(path, header)
    todo = (piece for piece in pieces(*seeds, BLOCK) if piece[0] not in writer.starts)
    total = seeds[1] - seeds[0]
    progress = Progress(total, sum(end - first for first, end in pieces(*seeds, BLOCK) if first in writer.starts))
    try:
        for line in ask(todo):
            writer.write(checked(header, line))
            progress.add(line)
    except KeyboardInterrupt:
        print(f"\ninterrupted: {progress.done:,} cases are in {writer.partial}; --resume goes on", file=sys.stderr)
        raise
    campaign = writer.finish()
    print(told(campaign))
    return int(bool(campaign.wrong))


def checked(header: Line, line: Line) -> Line:
    """The line for the record. Raises Unusable where a worker has another version of anything that decides verdicts."""
    by, expected = line.pop("by", None), header["target"]["version"]
    if by is None:
        return line
    if (by["version"], by["suite"]) != (expected, header["suite"]):
        raise Unusable(f"a worker has {by['version']} and the suite {by['suite']}, the first one {expected} and "
                       f"{header['suite']}: all must have the same")  # fmt: skip
    elsewhere = by["cpu"] != header["environment"]["CPU"]
    return {**line, "cpu": by["cpu"]} if elsewhere else line


def told(campaign: Campaign) -> str:
    """A finished campaign in a few lines."""
    first, stop = campaign.header.seeds
    counts = ", ".join(f"{count:,} {name}" for name, count in campaign.outcomes.most_common())
    return f"{campaign.path}: seeds {first}:{stop} of {campaign.header.target.label}: {counts}"


class Progress:
    """Rate and time left, on stderr, every few seconds."""

    def __init__(self, total: int, done: int = 0) -> None:
        self.total, self.done, self.wrong, self._before = total, done, 0, done
        self._began = self._said = time.monotonic()

    def add(self, line: dict[str, Any]) -> None:
        self.done += line["seeds"][1] - line["seeds"][0]
        self.wrong += sum(sum(line["counts"].get(name, {}).values()) for name in WRONG)
        now = time.monotonic()
        if now - self._said >= EVERY or self.done == self.total:
            self._said = now
            print(self.words(now - self._began), file=sys.stderr, flush=True)

    def words(self, seconds: float) -> str:
        rate = (self.done - self._before) / max(seconds, 1e-9)
        left = (self.total - self.done) / rate if rate else 0.0
        return (f"{self.done:,} of {self.total:,} cases, {self.wrong:,} did not agree; {rate:,.0f} cases a second, "
                f"{left / 60:,.1f} minutes left")  # fmt: skip
