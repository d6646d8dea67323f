"""A process of its own for what may take a process down: compilers above all. It answers cases, a line of JSON each.

`Child` asks; `python -m adapters.child NAME` answers. Cases and arrays travel as JSON: nothing is unpickled.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import Any, TextIO

from reference import Case
from reference.encoding import decode, encode

from . import load
from .contract import Result, Unsupported
from .trial import Stack

PATIENCE = 600.0  # seconds for one answer, in which the framework may be imported and compile


class Died(Exception):
    """The process ended, or was ended, without an answer."""


class Child:
    """A process with an adapter in it. It is started when it is first asked, and anew when it has died.

    source: what loads the adapter: its name, or module:Class.  patience: seconds to wait for an answer.
    """

    def __init__(self, source: str, patience: float = PATIENCE) -> None:
        self.source, self.patience = source, patience
        self._process: subprocess.Popen[str] | None = None

    def answer(self, case: Case, device: str, mode: str) -> Result:
        """The adapter's answer. Raises Unsupported where it refuses, Died where the process does not live to answer,
        and RuntimeError, in the adapter's own words, where it raises anything else."""
        process = self._process = self._process if self._process and self._process.poll() is None else self._start()
        assert process.stdin is not None
        try:
            print(json.dumps({"device": device, "mode": mode, "case": case.to_json()}), file=process.stdin, flush=True)
        except BrokenPipeError:
            raise self._died() from None
        said = json.loads(self._line(process))
        if "refused" in said:
            raise Unsupported(said["refused"])
        if "crashed" in said:
            raise RuntimeError(said["crashed"])
        prefixes = said["prefixes"]
        lower = None if prefixes is None else [decode("prefixes", array) for array in prefixes]
        return Result(decode("output", said["output"]), decode("h_n", said["h_n"]), lower)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "adapters.child", self.source]
        path = os.pathsep.join(entry or "." for entry in sys.path)
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                text=True, env={**os.environ, "PYTHONPATH": path})  # fmt: skip

    def _line(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            if not ready.select(self.patience):
                self.close()
                raise Died(f"no answer within {self.patience:g} s")
        line = process.stdout.readline()
        if not line.endswith("\n"):
            raise self._died()
        return line

    def _died(self) -> Died:
        assert self._process is not None
        status = self._process.wait(self.patience)
        self.close()
        name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return Died(f"the process of {self.source} died: {name}")


class ChildStack(Stack):
    """A stack whose modules are built and run in a process of their own."""

    def __init__(self, child: Child, adapter: Any, case: Case, device: str, mode: str) -> None:
        super().__init__(adapter, case, device, mode)
        self._child = child

    def answer(self, case: Case) -> Result:
        started = time.perf_counter()
        try:
            return self._child.answer(case, self.device, self.mode)
        finally:
            self.seconds["run"] += time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m adapters.child", description=__doc__)
    parser.add_argument("name", help="an adapter: torch, keras, or module:Class")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a framework prints is no answer
    adapter = load(parser.parse_args().name)
    stack: tuple[Any, Stack] | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        case = Case.from_json(asked["case"])
        key = [asked["device"], asked["mode"], [encode(a) for cell in case.parameters for a in cell.arrays().values()]]
        key.append(str(case.spec))
        if stack is None or stack[0] != key:
            stack = key, Stack(adapter, case, asked["device"], asked["mode"])
        _say(answers, stack[1], case)


def _say(answers: TextIO, stack: Stack, case: Case) -> None:
    said: dict[str, Any]
    try:
        output, h_n, prefixes = stack.answer(case)
        lower = None if prefixes is None else [encode(array) for array in prefixes]
        said = {"output": encode(output), "h_n": encode(h_n), "prefixes": lower}
    except Unsupported as refusal:
        said = {"refused": str(refusal)}
    except Exception as error:  # it is told, in the words of whatever was raised
        said = {"crashed": f"{type(error).__name__}: {error}"}
    print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main()
