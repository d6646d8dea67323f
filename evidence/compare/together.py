"""Commands at the same time: where one fails, or the user interrupts, all others are ended."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from threading import Lock
from typing import Any


class Together:
    """Threads that wait for commands. Each command has a process group of its own, which is ended as a whole."""

    def __init__(self) -> None:
        self._lock, self._over = Lock(), False
        self._running: set[subprocess.Popen[str]] = set()

    def do(self, work: Callable[[Any], object], ones: Iterable[Any]) -> list[float]:
        """Do the work for all at once: the seconds that each took. Raises what the first raised that failed, when the
        others have been ended."""
        begun, seconds = time.monotonic(), dict[Any, float]()
        with ThreadPoolExecutor() as threads:
            going = [threads.submit(work, one) for one in ones]
            try:
                for one in as_completed(going):
                    one.result()
                    seconds[one] = time.monotonic() - begun
            except BaseException:
                with self._lock:
                    self._over = True
                    for process in self._running:
                        with suppress(ProcessLookupError):
                            process.terminate() if os.name == "nt" else os.killpg(process.pid, signal.SIGTERM)
                raise
        return [seconds[one] for one in going]

    def run(self, command: Sequence[Any], hear: Callable[[str], object] = len, **options: Any) -> tuple[int, str]:
        """Run a command: its exit status, and all that it said.

        hear: is told each line as soon as it is said.  options: those of subprocess.Popen.
        """
        with self._lock:
            if self._over:
                raise InterruptedError(f"{command[0]} was not started: another command failed")
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                       errors="backslashreplace", start_new_session=True, **options)  # fmt: skip
            self._running.add(process)
        said: list[str] = []
        with process:
            for line in process.stdout or ():
                said.append(line)
                hear(line.rstrip())
        with self._lock:
            self._running.remove(process)
        return process.returncode, "".join(said)
