"""A process of its own for what may take a process down: compilers above all. It answers cases, a line of JSON each.

`Child` asks; `python -m adapters.running.child NAME` answers. Cases and arrays travel as JSON: nothing is unpickled.
"""

from __future__ import annotations

import argparse
import builtins
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from typing import IO, Any

from reference import Case
from reference.encoding import decode, decode_states, encode, encode_states

from .. import load
from ..contract import NotOffered, Refused, Result, Unsupported
from .guard import Told, one_line, told, warnings_shown
from .trial import Stack

# modes in which a compiler runs, which may take its process down
ISOLATED = ("scripted", "traced", "exported", "compiled")
GLANCE = 0.5  # seconds between two looks at whether the process lives
PATIENCE = 600.0  # seconds for one answer, in which the framework may be imported and compile
LAST_WORDS = 300  # characters of what a process that died said last
REFUSALS = {kind.__name__: kind for kind in (NotOffered, Refused, Unsupported)}


class Died(Exception):
    """The process ended, or was ended, without an answer."""


class Child:
    """A process with an adapter in it. It is started when it is first asked, and anew when it has died.

    source: what loads the adapter: its name, or module:Class.  patience: seconds to wait for an answer.
    """

    def __init__(self, source: str, patience: float = PATIENCE) -> None:
        self.source, self.patience = source, patience
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[bytes] | None = None  # what it says on stderr

    def answer(self, case: Case, device: str, mode: str, idiom: str = "") -> Result:
        """The adapter's answer. Raises Unsupported where it says no, Died where the process does not live to answer,
        and Told, in the adapter's own words, where it raises anything else."""
        said = self._said(json.dumps({"device": device, "mode": mode, "idiom": idiom, "case": case.to_json()}))
        with warnings_shown():
            for category, text in said["warnings"]:
                kind = getattr(builtins, category, None)  # of a category that Python lacks, its name is told
                known = isinstance(kind, type) and issubclass(kind, Warning)
                warnings.warn(text if known else f"{category}: {text}", kind if known else UserWarning, stacklevel=1)
        if "refused" in said:
            raise REFUSALS[said["kind"]](said["refused"])
        if "crashed" in said:
            raise Told(said["crashed"])
        prefixes = said["prefixes"] and [decode("prefixes", array) for array in said["prefixes"]]
        output, h_n = (decode_states(name, said[name]) for name in ("output", "h_n"))
        return Result(output, h_n, prefixes)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in filter(None, (self._process.stdin, self._process.stdout)):
                with contextlib.suppress(BrokenPipeError):  # of what was never read
                    pipe.close()
        if self._errors is not None:
            self._errors.close()
        self._process = self._errors = None

    def _said(self, asked: str) -> dict[str, Any]:
        """What the process says to one line, which it is given."""
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-m", "adapters.running.child", self.source]
            path = os.pathsep.join(entry or "." for entry in sys.path)
            self.close()
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
                encoding="utf-8", env={**os.environ, "PYTHONPATH": path})  # fmt: skip
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            print(asked, file=process.stdin, flush=True)
        except BrokenPipeError:
            raise self._died(process) from None
        self._wait(process)
        line = process.stdout.readline()
        if not line.endswith("\n"):
            raise self._died(process)
        return json.loads(line)

    def _wait(self, process: subprocess.Popen[str]) -> None:
        """Until there is something to read. Raises Died where there will be nothing: the process has ended, though what
        it started may hold its pipe open; or patience has."""
        assert process.stdout is not None
        end = time.monotonic() + self.patience
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            while not ready.select(min(GLANCE, self.patience)):
                if process.poll() is not None:
                    raise self._died(process)
                if time.monotonic() > end:
                    self.close()
                    raise Died(f"no answer within {self.patience:g} s")

    def _died(self, process: subprocess.Popen[str]) -> Died:
        """With the last line that the process said on stderr: the exception, where Python ended it."""
        status = process.wait(self.patience)
        assert self._errors is not None
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - 10 * LAST_WORDS))
        lines = self._errors.read().decode("utf-8", "backslashreplace").splitlines()
        said = [f": {words[:LAST_WORDS]}" for line in lines if (words := one_line(line))]
        self.close()
        name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return Died(f"the process of {self.source} died: {name}{said[-1] if said else ''}")


class ChildStack(Stack):
    """A stack whose modules are built and run in a process of their own."""

    def __init__(self, child: Child, adapter: Any, case: Case, device: str, mode: str, idiom: str = "") -> None:
        super().__init__(adapter, case, device, mode, idiom=idiom)
        self._child = child

    def answer(self, case: Case) -> Result:
        with self._timed("run"):
            return self._child.answer(case, self.device, self.mode, self.idiom)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m adapters.running.child", description=__doc__)
    parser.add_argument("name", help="an adapter: torch, keras, or module:Class")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a framework prints is no answer
    name = parser.parse_args().name
    with warnings.catch_warnings(record=True) as heard:
        try:
            adapter = load(name)
        except (ImportError, ValueError) as error:
            sys.exit(str(error))
    stack: tuple[Any, Stack] | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        case = Case.from_json(asked["case"])
        way = asked["device"], asked["mode"], asked["idiom"]
        key = [way, [encode(a) for cell in case.parameters for a in cell.arrays().values()]]
        key.append(str(case.spec))
        if stack is None or stack[0] != key:
            stack = key, Stack(adapter, case, *way[:2], idiom=way[2])
        with warnings.catch_warnings(record=True) as now:
            said = _answer(stack[1], case)
        told_once = dict.fromkeys((warning.category.__name__, str(warning.message)) for warning in [*heard, *now])
        print(json.dumps(said | {"warnings": list(told_once)}), file=answers, flush=True)
        heard.clear()


def _answer(stack: Stack, case: Case) -> dict[str, Any]:
    """The answer to a case, or what was raised."""
    try:
        with warnings_shown():
            stack.expect_offered(stack.features(case))
            output, h_n, prefixes = stack.answer(case)
        lower = None if prefixes is None else [encode(array) for array in prefixes]
        return {"output": encode_states(output), "h_n": encode_states(h_n), "prefixes": lower}
    except Unsupported as refusal:
        kind = next(name for name, kind in REFUSALS.items() if isinstance(refusal, kind))
        return {"refused": str(refusal), "kind": kind}
    except (Exception, SystemExit) as error:  # it is told, in the words of whatever was raised
        return {"crashed": told(error)}


if __name__ == "__main__":
    main()
