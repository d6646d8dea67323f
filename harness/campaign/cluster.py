"""Blocks on the workers of a Dask cluster, on one machine or on many."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any

from dask import config
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed

from adapters.running.guard import told
from evidence.record.lines import Line, Unusable

from . import block

DEATHS = 3  # of workers, after which a block is asked in processes of its own, case by case
PATIENCE = 20  # seconds for a scheduler to answer, and for a first worker to come
SILENT = logging.CRITICAL  # what becomes of a worker is told in the record
AHEAD = 2  # blocks for each worker that are handed out: a campaign of any length takes the same memory


@contextmanager
def cluster(address: str | None, processes: int | None) -> Iterator[Cluster]:
    """The workers of a scheduler's address; so many processes of this machine where there is none.

    Raises Unusable where no scheduler answers, or no worker comes.
    """
    # what a scheduler of somebody else's counts is its own setting
    with config.set({"distributed.scheduler.allowed-failures": DEATHS - 1}), ExitStack() as closing:
        with _deaf():
            where: Any = address or closing.enter_context(
                LocalCluster(n_workers=processes, threads_per_worker=1, memory_limit=0, dashboard_address=None,
                             silence_logs=SILENT))  # fmt: skip
        try:
            client = closing.enter_context(Client(where, timeout=PATIENCE))
            client.wait_for_workers(1, PATIENCE)
        except (OSError, ValueError) as error:  # a TimeoutError is an OSError
            raise Unusable(f"--dask: got {address!r}, and no scheduler with a worker answers: {told(error)}") from error
        yield Cluster(client)


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are begun in this context do not hear Ctrl-C: the campaign's own ends them."""
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)


class Cluster:
    """What a client's workers are asked."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def about(self, source: str, device: str) -> Line:
        """What a header says of the machine that asks: of a worker's."""
        return self._client.submit(block.about, source, device, pure=False).result()

    def lines(self, source: str, device: str, several: Iterator[tuple[int, int]], isolate: bool) -> Iterator[Line]:
        """The lines of blocks as they come. A block whose worker is lost is asked again by another; one whose worker
        died DEATHS times once more, each case in a process of its own: then a case is recorded as crashed, not a block.
        """
        asked: dict[Future, tuple[int, int, bool]] = {}
        coming = as_completed()

        def hand_out(*todo: tuple[int, int, bool]) -> None:
            wanted = max(0, AHEAD * max(1, len(self._client.nthreads())) - len(asked))
            for one in (*todo, *((*seeds, isolate) for seeds in islice(several, wanted))):
                future = self._client.submit(block.ask_block, source, device, *one, pure=False)
                asked[future] = one
                coming.add(future)

        hand_out()
        for future in coming:
            start, stop, apart = asked.pop(future)
            again: list[tuple[int, int, bool]] = []
            try:
                yield future.result()
            except KilledWorker as error:
                if apart:
                    yield block.died(start, stop, told(error))
                else:
                    again.append((start, stop, True))
            hand_out(*again)
