"""Files that are small, or endless, and claim to be large: each is refused within a second and 200 MB."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("resource")

from evidence.record.journal import partial_path
from evidence.record.ledger import AXES
from evidence.record.lines import dump
from meta_tests.common.records import multiplied, record
from meta_tests.common.references import Mirror
from meta_tests.reference.judging.test_case import usual
from reference import limits

ROOT = Path(__file__).parents[2]
SECONDS, MEGABYTES = 3.0, 200  # a second on an idle machine; a slow or busy one takes longer
LARGEST = 2**31  # bytes of memory that a reader may ask for, so that one that fails here takes no machine down
# Each file is read by a process of its own, forked where all is imported: what it takes is that reader's alone.
READERS = """
import json, os, resource, sys, time
from pathlib import Path
import evidence.report
from evidence import merge as merging
from evidence.compare import upgrade
from evidence.record import journal
from evidence.record.reader import read
from harness import known_failures
from reference import Case
def merge(path):
    merging.merge([read(path), read(f"{path}.other")], Path(f"{path}.all"))
readers = {"case": Case.load, "record": read, "list": known_failures.read, "pins": upgrade._lines,
           "merge": merge, "finish": lambda path: journal.finish(journal.partial_path(path))}
def measured(reader, path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, said = time.process_time(), None
    try:
        readers[reader](Path(path))
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    spent = time.process_time() - started
    return said, spent, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
for line in sys.stdin:
    if os.fork() == 0:
        resource.setrlimit(resource.RLIMIT_AS, (LARGEST, LARGEST))
        print(json.dumps(measured(*json.loads(line))), flush=True)
        os._exit(0)
    if os.wait()[1]:
        print(json.dumps(["killed", 0, 0]), flush=True)
"""


Made = Callable[[list[Any]], bytes]


def case_with(**changes: Any) -> Made:
    """A case's text, made when its test runs and not when it is collected: some are large."""
    return lambda _lines: json.dumps(json.loads(usual().to_json()) | changes).encode()


def bomb(first: bytes, block: bytes, times: int) -> bytes:
    """gzip of `first` and so many blocks, made of one: after a full flush it may stand anywhere."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    begun = stream.compress(first) + stream.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + begun + (stream.compress(block) + stream.flush(zlib.Z_FULL_FLUSH)) * times


def array(*shape: int, data: str = "") -> dict[str, Any]:
    return {"dtype": "float32", "shape": list(shape), "data": data}


class Other(Mirror):
    name = "other"


CELL = {"w_ih": array(1, 1, data="AAAAAA=="), "w_hh": array(1, 1, data="AAAAAA==")}
SPEC = json.loads(usual().to_json())["spec"]
CASES: dict[str, tuple[bytes | Made, str]] = {
    "a billion steps": (case_with(x=array(0, 10**9, 3)), "x shape: got [0, 1000000000, 3], expected integers of"),
    "a product": (case_with(x=array(0, 10**5, 10**5)), "x shape: got [0, 100000, 100000], expected a shape of at most"),
    "a billion units": (case_with(spec=SPEC | {"hidden_size": 10**9}), "b_hh: got (4,), expected (1000000000,)"),
    "a billion layers": (case_with(spec=SPEC | {"num_layers": 10**9}), "num_layers: got 1000000000, expected at most"),
    "cells": (case_with(parameters=[CELL] * 30_000), "parameters: got '30000 cells', expected 4"),
    "lists": (case_with(mask=[[]] * 2_000_000), "case: got '4000121 values', expected at most 500000"),
    "letters": (case_with(lengths=["x" * 10**6, *["x"] * 400_000]), "lengths[0]: got 'xxx"),
    "words": (case_with(mask=[["x" * 10**6, *["x"] * 400_000]]), "mask: got 'xxx"),
    "fields": (lambda _lines: json.dumps({str(n): n for n in range(400_000)}).encode(), "format: got None, expected"),
    "twice": (b"{" + b'"a":1,' * 400_000 + b'"b":1}', "the field 'a' stands there twice"),
    "nested": (b'{"a":' * 100_000, "nested too deeply"),
    "digits": (b"1" * 2**20, "case: got text that is not JSON"),
    "text": (case_with(x=array(2, 5, 3, data="A" * 31 * 2**20)), "x data: got '24379392 bytes', expected 120 bytes"),
}
LARGE = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**30}]  # that its reader would have to keep
RECORDS: dict[str, tuple[bytes | Made, str]] = {
    "tests.gz": (lambda lines: bomb(lines[0], packed({"message": "x" * 1_000}) * 1_000, 1000), "times as many"),
    "line.gz": (lambda lines: bomb(lines[0], b" " * 2**20, 1000), "line 2: longer than 4194304 bytes"),
    "zeros.gz": (lambda lines: gzip.compress(b"".join(lines)) + bytes(2**23), "after the end of its gzip stream"),
    "empty.gz": (lambda lines: gzip.compress(b"") * 400_000, "after the end of its gzip stream"),
    "tests.xz": (lambda lines: lzma.compress(lines[0] + packed({"message": "x" * 1_000}) * 40_000), "times as many"),
    "line.xz": (lambda lines: lzma.compress(lines[0] + b" " * 2**26, preset=0), "line 2: longer than 4194304 bytes"),
    "zeros.xz": (lambda lines: lzma.compress(b"".join(lines)) + bytes(2**23), "after the end of its xz stream"),
    "dictionary.xz": (lambda lines: lzma.compress(b"".join(lines), filters=LARGE), "Memory usage limit exceeded"),
    "tests": (lambda lines: lines[0] + TESTS * 60_000, "got 50,001 tests that did not pass, expected at most"),
    "runs": (lambda lines: lines[0] * 1_000, "expected at most"),
    "targets": (lambda lines: wide(lines, 300), "header.targets: List should have at most 100 items"),
    "cells": (lambda lines: wide(lines, 90), "got 90 targets of 10000 combinations (cell x direction"),
    "lists": (
        lambda lines: lines[0] + b'{"kind":"test","test":[' + b"[]," * 1_300_000 + b"0]}\n",
        "line 2: got 2600004 values, expected at most",
    ),
    "objects": (lambda lines: b'{"a":' + b"[[[[[" * 700_000, "got a file that begins"),
    "fields": (lambda lines: lines[0] + packed({str(n): 0 for n in range(49_000)}), "Extra inputs are not permitted"),
    "nested": (lambda lines: lines[0] + b'{"kind":' + b"[" * 40_000 + b"\n", "recursion limit"),
    "digits": (lambda lines: lines[0] + b'{"kind":"end","exit_status":' + b"1" * 2**21 + b"}\n", "line 2: "),
    "packages": (lambda lines: packages(lines, 12_000), "packages: Dictionary should have at most 10000 items"),
    "empty lines": (lambda lines: going(lines) + b"\n" * 10**6, "got more than 1000 torn lines"),
    "properties": (
        lambda lines: lines[0] + b"".join(lines[1].replace(b'"corpus",', b'"%d",' % n, 1) for n in range(301)),
        "got 301 properties, expected at most 300",
    ),
}
LISTS: dict[str, tuple[bytes | Made, str]] = {
    "lists": (b"a = " + b"[" * 1_000, "nested too deeply"),
    "lists on lines": (b"a = " + b"[\n" * 100_000, "nested too deeply"),
    "tables": (b"a = " + b"{a = " * 390, "nested too deeply"),
    "a long name": (b"[" + b"a." * 100_000 + b"a]", "line 1: got 200003 characters, expected at most 2000"),
    "long names": ((b"a." * 990 + b"a = 1\n") * 120, "Cannot overwrite a value"),
    "large": (b"#" * (2**18 + 1), "file: got a file of 262,145 bytes, expected at most 262,144"),
}
TESTS = dump({"kind": "test", "test": "a", "outcome": "skipped", "message": ""})


def packed(more: dict[str, Any]) -> bytes:
    return dump({"kind": "test", "test": "a", "outcome": "skipped", "message": "", **more})


def going(lines: list[Any]) -> bytes:
    return lines[0].replace(b'"complete": true', b'"complete":false')


def wide(lines: list[Any], targets: int) -> bytes:
    header = json.loads(lines[0])
    header["targets"] = [header["targets"][0] | {"label": str(n)} for n in range(targets)]
    header["features"] |= {name: [str(n) for n in range(10)] for name in AXES}
    return dump(header)


def packages(lines: list[Any], count: int) -> bytes:
    header = json.loads(lines[0])
    header["environment"]["packages"] = {str(n): "1" for n in range(count)}
    return dump(header)


@pytest.fixture(scope="module")
def read_by(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Reads a file in a process of its own: what was said, the seconds and the megabytes that it took."""
    code = READERS.replace("LARGEST", str(LARGEST))
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as readers:  # fmt: skip
        assert readers.stdin
        assert readers.stdout

        def read_by(reader: str, path: Path) -> tuple[str | None, float, float]:
            readers.stdin.write(json.dumps([reader, str(path)]) + "\n")
            readers.stdin.flush()
            return tuple(json.loads(readers.stdout.readline()))

        yield read_by
        readers.stdin.close()


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    path = tmp_path_factory.mktemp("record") / "run.json"
    return record(path, Mirror()).path.read_bytes().splitlines(keepends=True)


def expect_refusal(measured: tuple[str | None, float, float], words: str) -> None:
    said, seconds, megabytes = measured
    assert said is not None, "it was read"
    assert words in said
    assert said.split(":")[0] in ("ValueError", "TypeError", "Unusable", "UsageError", "FileNotFoundError")
    assert len(said) < 2_000
    assert seconds < SECONDS
    assert megabytes < MEGABYTES


@pytest.mark.parametrize(
    ("reader", "name"),
    [(reader, name) for reader, of in (("case", CASES), ("record", RECORDS), ("list", LISTS)) for name in of],
)
def test_a_hostile_file_is_refused(reader: str, name: str, read_by: Any, lines: list[bytes], tmp_path: Path) -> None:
    content, words = {"case": CASES, "record": RECORDS, "list": LISTS}[reader][name]
    path = tmp_path / f"hostile {name}"
    path.write_bytes(content if isinstance(content, bytes) else content(lines))
    expect_refusal(read_by(reader, path), words)


@pytest.mark.parametrize("reader", ["case", "record", "list", "pins"])
def test_only_a_regular_file_of_some_size_is_read(reader: str, read_by: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 2**33)
    for path, words in (
        (tmp_path / "pipe", "got a pipe, expected a regular file"),
        (tmp_path / "link", "got a device, expected a regular file"),
        (Path("/dev/zero"), "got a device, expected a regular file"),
        (tmp_path, "got a directory, expected a regular file"),
        (tmp_path / "large", "got a file of 8,589,934,592 bytes, expected at most"),
        (tmp_path / "none", "No such file" if reader != "record" else "no such file"),
    ):
        expect_refusal(read_by(reader, path), words)


def test_what_the_suite_writes_is_far_below_the_limits(lines: list[bytes]) -> None:
    assert max(map(len, lines)) * 20 < limits.LINE_BYTES
    assert len(usual().to_json()) * 100 < limits.CASE_BYTES


def test_a_case_that_could_not_be_loaded_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CASE_BYTES", 1000)
    with pytest.raises(ValueError, match=r"case: got '\d+ characters', expected at most 1000"):
        usual().save(tmp_path / "case.json")
    assert not list(tmp_path.iterdir())


def test_a_message_is_cut_and_the_record_can_be_read(tmp_path: Path) -> None:
    class Talking(Mirror):
        def run(self, module: Any, **inputs: Any) -> Any:
            raise RuntimeError("no " * 3_000_000 + "and this is why")

    (run,) = record(tmp_path / "run.json", Talking()).runs
    message = next(iter(run.verdicts)).message
    assert message.startswith("RuntimeError: no no")
    assert message.endswith("no and this is why")
    assert len(message) < limits.MESSAGE + 100


@pytest.mark.parametrize("reader", ["record", "merge", "finish"])
def test_memory_does_not_grow_with_the_verdicts(reader: str, read_by: Any, tmp_path: Path) -> None:
    """5,000 verdicts take at most 10 MB more than 100; a list of their models took 35 MB."""
    used = {}
    for count in (100, 5_000):
        path = multiplied(tmp_path / f"{count}.json", count, Mirror())
        if reader == "merge":
            multiplied(tmp_path / f"{count}.json.other", count, Other())
        if reader == "finish":
            first, *others, _ = path.read_bytes().splitlines(keepends=True)
            partial_path(path).write_bytes(b"".join([going([first]), *others]))
            path.unlink()
        said, _, used[count] = read_by(reader, path)
        assert said is None
    assert used[5_000] < used[100] + 10
