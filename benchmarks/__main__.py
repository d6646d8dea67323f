"""python -m benchmarks: the tables of ratios as Markdown; exit status 1 when one is above its limit."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

import adapters

from .questions import (
    CASE_LIMIT,
    CASE_SIZES,
    DTYPES,
    FORWARD_LIMITS,
    FORWARD_SIZES,
    JUDGE_LIMITS,
    JUDGE_SIZES,
    JUDGED_STACKS,
    LARGE_LIMIT,
    LARGE_SIZES,
    STACKS,
    TRAJECTORY_SIZES,
    TRIAL_LIMIT,
    TRIAL_SIZES,
    Pair,
    Size,
    case_pair,
    forward_pair,
    judgement_pair,
    trajectory_pair,
    trial_pair,
    two_answers_pair,
)
from .ratios import SECONDS, median_ratio


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time for each ratio (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="leave out the two largest sizes of the forward pass")
    options = parser.parse_args(arguments)
    sizes = FORWARD_SIZES[:3] if options.quick else FORWARD_SIZES
    print(circumstances())
    too_slow = [
        *(line for cell, limit in FORWARD_LIMITS.items() for line in table(
            f"Forward pass, {cell}: reference / torch", sizes, STACKS, partial(forward_pair, cell=cell), limit,
            options.seconds)),
        *(line for cell, limit in JUDGE_LIMITS.items() for line in table(
            f"Judging, {cell}, step bound: judge / float64 forward pass", JUDGE_SIZES, JUDGED_STACKS,
            partial(judgement_pair, cell=cell), limit, options.seconds)),
        *table("Judging, trajectory bound: judge / float64 forward pass", TRAJECTORY_SIZES, ("one layer",),
               trajectory_pair, None, options.seconds),
        *table("Judging a large case, whole trajectory: judge / float64 forward pass", LARGE_SIZES, ("one layer",),
               trajectory_pair, LARGE_LIMIT, options.seconds),
        *table("Judging two answers to a large case: judge_pair / float64 forward pass", LARGE_SIZES, ("one layer",),
               two_answers_pair, LARGE_LIMIT, options.seconds),
        *table("A small case: drawn, built, run and judged / torch.nn.RNN made and called", CASE_SIZES, JUDGED_STACKS,
               case_pair, CASE_LIMIT, options.seconds),
        *table("A trial: run and judged / torch.nn.RNN called, and three float64 forward passes", TRIAL_SIZES,
               JUDGED_STACKS, trial_pair, TRIAL_LIMIT, options.seconds),
    ]  # fmt: skip
    for line in too_slow:
        print(line, file=sys.stderr)
    return 1 if too_slow else 0


def circumstances() -> str:
    """What the ratios depend on beside the code.

    They mean nothing on a busy machine: a product shared between threads waits until each has had its turn, which
    costs a short function that multiplies a lot many times its own duration.
    """
    busy = f"{os.getloadavg()[0]:.1f} processes busy" if hasattr(os, "getloadavg") else "load unknown"
    return (
        f"NumPy {np.__version__}, torch {adapters.load('torch').version}; {os.cpu_count()} processors, {busy} before. "
        "Medians over interleaved rounds."
    )


def table(
    title: str,
    sizes: Sequence[Size],
    stacks: Sequence[str] | dict[str, tuple[int, str]],
    pair: Callable[[Size, str, str], Pair],
    limit: float | None,
    seconds: float,
) -> list[str]:
    """Print a table of ratios, a row for each size. Returns a line for each ratio above the limit."""
    columns = [(dtype, stack) for dtype in DTYPES for stack in stacks]
    print(f"\n{title}{'' if limit is None else f' (at most {limit})'}\n")
    print("| time, batch, input, hidden |" + "".join(f" {dtype} {stack} |" for dtype, stack in columns))
    print("| --- |" + " ---: |" * len(columns))
    too_slow = []
    for size in sizes:
        ratios = [median_ratio(pair(size, dtype, stack), seconds) for dtype, stack in columns]
        print(f"| {size} |" + "".join(f" {ratio:.2f} |" for ratio in ratios), flush=True)
        too_slow += [
            f"{title}: {ratio:.2f} at ({size}), {dtype}, {stack}: above {limit}"
            for ratio, (dtype, stack) in zip(ratios, columns, strict=True)
            if limit is not None and ratio > limit
        ]
    return too_slow


if __name__ == "__main__":
    sys.exit(main())
