"""Commands at the same time: each is heard, and none outlives another that failed, or a user who interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Barrier, Event

import pytest

from evidence.compare.together import Together

ROOT = Path(__file__).parents[3]
# a process that has another, whose id it writes into a file
SLEEPS = """
import pathlib, subprocess, sys
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1] + ".new").write_text(str(other.pid))
pathlib.Path(sys.argv[1] + ".new").rename(sys.argv[1])
print("begun", flush=True)
other.wait()
"""
INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
from functools import partial
from evidence.compare.together import Together
both = Together()
both.do(lambda path: both.run([sys.executable, "-c", sys.argv[1], path]), sys.argv[2:])
"""


def ended(pid: int) -> bool:
    """Whether a process is no more, or will be no more in a while."""
    for _ in range(600):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


def test_works_go_on_at_once_and_each_is_timed() -> None:
    meet = Barrier(2, timeout=60)
    seconds = Together().do(lambda delay: (meet.wait(), time.sleep(delay)), [0.0, 0.2])
    assert seconds[1] >= 0.2
    assert seconds[0] >= 0


def test_a_command_is_heard_while_it_runs() -> None:
    """It waits until somebody has heard it: else it would never end."""
    both, heard = Together(), Event()
    code = "import sys; print('begun', flush=True); print(input()); sys.exit(3)"
    reading, writing = os.pipe()
    lines = []

    def hear(line: str) -> None:
        lines.append(line)
        if not heard.is_set():
            heard.set()
            os.write(writing, b"heard\n")

    assert both.run([sys.executable, "-c", code], hear, stdin=reading) == (3, "begun\nheard\n")
    assert lines == ["begun", "heard"]
    os.close(reading)
    os.close(writing)


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_where_one_fails_the_other_ends_with_all_its_processes(tmp_path: Path) -> None:
    both, begun = Together(), Event()

    def work(name: str) -> None:
        if name == "fails":
            assert begun.wait(60)
            raise ValueError("disk full")
        both.run([sys.executable, "-c", SLEEPS, str(tmp_path / "pid")], lambda line: begun.set())

    with pytest.raises(ValueError, match="disk full"):
        both.do(work, ["fails", "sleeps"])
    assert ended(int((tmp_path / "pid").read_text()))
    with pytest.raises(InterruptedError, match="was not started: another command failed"):
        both.run([sys.executable, "-c", "pass"])


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_an_interrupt_ends_both(tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    command = [sys.executable, "-c", INTERRUPTED, SLEEPS, *map(str, paths)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if all(path.exists() for path in paths):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert all(ended(int(path.read_text())) for path in paths)
