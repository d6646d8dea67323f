"""Faults from outside of the catalogue (common/outside.py), and how many of them the suite sees.

python -m meta_tests.outside_faults [FAULT ...] [--seeds 1 2] [--jobs N] [--publish]: for each fault and seed the suite
is run as its user runs it, `pytest tests/properties --adapter meta_tests.common.outside:FAULT --hypothesis-seed=SEED`,
in a process of its own, which ends at its first failing test. Prints what was seen, and by which test first, and with
--publish writes it to docs/outside-faults.md. Exits with 1 where less than SEEN of the faults were seen with a seed, or
where the layer without a fault was.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest

from meta_tests.common.outside import FAULTS
from reference.files import write_atomically

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "outside-faults.md"
SEEN = 0.95
NONE = "right"  # the layer without a fault
MARKER = "<!-- measured -->\n"


def first_failure(name: str, seed: int) -> str:
    """The first test that fails; empty where none does. Raises RuntimeError where pytest neither passes nor fails."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "tests/properties", "--adapter", f"meta_tests.common.outside:{name}"]
        command += [f"--hypothesis-seed={seed}", "-x", "-q", "--no-shrink", "--tb=no", "-rfE", "-p", "no:cacheprovider"]
        usual = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "HYPOTHESIS_STORAGE_DIRECTORY": folder}
        environment = {name: value for name, value in os.environ.items() if name != "CI"} | usual
        done = subprocess.run(
            [*command, "--progress=0"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"{name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    found = re.search(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE)
    return found[1] if found else ""


def measured(names: Sequence[str], seeds: Sequence[int], jobs: int) -> dict[tuple[str, int], str]:
    """The first test that fails, of each fault and seed; empty where none does."""
    asked, came = list(product(names, seeds)), {}
    with ThreadPoolExecutor(jobs) as pool:
        for (name, seed), test in zip(asked, pool.map(first_failure, *zip(*asked, strict=True)), strict=True):
            came[name, seed] = test
            print(
                f"{len(came)} of {len(asked)}: {name}, seed {seed}: {test or 'NOT SEEN'}", file=sys.stderr, flush=True
            )
    return came


def markdown(came: dict[tuple[str, int], str], names: Sequence[str], seeds: Sequence[int]) -> str:
    """The figures, and a row for each fault."""
    counts = {seed: sum(bool(came[name, seed]) for name in names) for seed in seeds}
    said = "; ".join(f"with seed {seed}: {count} of {len(names)}" for seed, count in counts.items())
    lines = [f"| fault | what is wrong | {' | '.join(f'seed {seed}, seen first by' for seed in seeds)} |",
             f"|---|---|{'---|' * len(seeds)}"]  # fmt: skip
    for name in names:
        tests = (f"`{came[name, seed]}`" if came[name, seed] else "not seen" for seed in seeds)
        lines.append(f"| `{name}` | {FAULTS[name].says} | {' | '.join(tests)} |")
    return "\n".join([f"Seen {said}.", "", *lines, ""])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m meta_tests.outside_faults", description=__doc__)
    parser.add_argument("fault", nargs="*", help="these only (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="suites run at once")
    parser.add_argument("--publish", action="store_true", help=f"write docs/{PAGE.name}")
    arguments = parser.parse_args()
    names, seeds = arguments.fault or [*FAULTS], arguments.seeds
    for name in names:
        if name not in FAULTS:
            parser.error(f"fault: got {name!r}, expected one of {', '.join(FAULTS)}")
    came = measured([NONE, *names], seeds, arguments.jobs)
    text = markdown(came, names, seeds)
    print(text)
    if arguments.publish:
        introduction = PAGE.read_text(encoding="utf-8").partition(MARKER)[0]
        write_atomically(PAGE, f"{introduction}{MARKER}\n{text}")
    enough = all(sum(bool(came[name, seed]) for name in names) >= SEEN * len(names) for seed in seeds)
    return 0 if enough and not any(came[NONE, seed] for seed in seeds) else 1


if __name__ == "__main__":
    raise SystemExit(main())
