"""python -m benchmarks.times [TARGET ...] [--tests]: how long a run of each target takes, as Markdown.

Each is a run of its own, `pytest tests/properties -n 2`, on an idle machine: seconds from its start to its end, seconds
of all its processes, and which share of the time of its tests went into the framework. With --tests, the suite's own
tests too. What was compiled is kept in a new folder, and forgotten at the end: nothing of an earlier run is in the way.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
# target -> adapter, backend of Keras
TARGETS = {
    "torch": ("torch", ""),
    "onnxruntime": ("onnxruntime", ""),
    "onnx": ("onnx", ""),
    "torch-onnx": ("torch-onnx", ""),
    "openvino": ("openvino", ""),
    "tract": ("tract", ""),
    "litert": ("litert", "tensorflow"),
    "paddle": ("paddle", ""),
    "keras/tensorflow": ("keras", "tensorflow"),
    "keras/torch": ("keras", "torch"),
    "keras/jax": ("keras", "jax"),
    "keras/numpy": ("keras", "numpy"),
    "keras/openvino": ("keras", "openvino"),
    "flax": ("flax", ""),
    "equinox": ("equinox", ""),
    "mlx": ("mlx", ""),
    "reference": ("reference", ""),
}
SHARE = re.compile(r"^Time in framework.*?: .*? ([01]\.\d\d) ", re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.times", description=__doc__)
    parser.add_argument("target", nargs="*", help=f"these only (default: all of {', '.join(TARGETS)})")
    parser.add_argument("--tests", action="store_true", help="all tests, the suite's own too")
    options = parser.parse_args()
    if unknown := [name for name in options.target if name not in TARGETS]:
        parser.error(f"target: got {unknown[0]!r}, expected one of {', '.join(TARGETS)}")
    print("| run | seconds | process seconds | in the framework | what came of it |\n|---|---:|---:|---:|---|")
    total, failed = 0.0, False
    for target in options.target or TARGETS:
        adapter, backend = TARGETS[target]
        seconds, status = row(target, ["tests/properties", f"--framework={adapter}"], backend)
        total, failed = total + seconds, failed or status != 0
    print(f"| together | {total:.0f} | | | |")
    if options.tests:
        failed = row("all tests", ["tests", "meta_tests"], "")[1] != 0 or failed
    return int(failed)


def row(name: str, asked: list[str], backend: str) -> tuple[float, int]:
    """Print what a run took; its seconds, and its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "JAX_COMPILATION_CACHE_DIR": folder,
                       "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                       "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
                       **({"KERAS_BACKEND": backend} if backend else {})}  # fmt: skip
        command = [sys.executable, "-m", "pytest", *asked, "-n", "2", "-q", "-p", "no:cacheprovider", "--progress=0"]
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    shares = SHARE.findall(run.stdout)
    came = run.stdout.strip().rpartition("\n")[2].strip("= ").rpartition(" in ")[0]
    print(f"| {name} | {seconds:.0f} | {spent:.0f} | {shares[0] if len(shares) == 1 else ''} | {came} |", flush=True)
    return seconds, run.returncode


if __name__ == "__main__":
    sys.exit(main())
