"""The front door: one command line. In a wheel, `suite/` beside this file holds everything else."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITE = HERE / "suite" if (HERE / "suite").is_dir() else HERE.parent  # the wheel's copy, or the clone
INTERRUPTED = 130  # the exit status of what the user interrupted: 128 + SIGINT, as a shell has it
