"""What is no evidence, or not as it was written, is refused with the reason: never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

from evidence.merge import merge
from evidence.record.journal import partial_path
from evidence.record.lines import FORMAT, dump
from evidence.record.packed import COMPRESSIONS
from evidence.record.reader import Unusable, read
from meta_tests.common import command
from meta_tests.common.records import edited, few, record, run_digest
from meta_tests.common.references import Mirror

ROOT = Path(__file__).parents[3]


class Other(Mirror):
    name = "other"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return record(tmp_path / "run.json", Mirror()).path


def test_a_record_is_read_as_it_was_written(path: Path) -> None:
    evidence = read(path)
    (run,) = evidence.runs
    assert run.end is not None
    assert run.name == run.end.sha256[:16]
    assert {line.outcome for line in run.verdicts} == {"agrees"}
    assert path.stat().st_mode & 0o444 == 0o444, "others may read it"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\x80\x81\x82\n", "got a file that begins"),
        (b"[" * 200_000, "got a file that begins"),
        (b"1" * 5000, "got a file that begins"),
        (b"null\n", "got a file that begins"),
        (b"{}\n", "got a file that begins"),
        (b'{"format":"rnn-equivalence evidence 2"}\n', "got format 'rnn-equivalence evidence 2', expected"),
        (b'{"format":"<script>alert(1)</script>"}\n', "got format '<script>"),
        (dump({"format": FORMAT}), "line 1: line: Unable to extract tag"),
        (dump({"format": FORMAT, "kind": "header"}), "line 1: header.complete: Field required"),
        (dump({"format": FORMAT, "kind": "end"}), "line 1: end.finished: Field required"),
    ],
)
def test_garbage_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "garbage.json"
    path.write_bytes(content)
    with pytest.raises(Unusable, match=r"garbage\.json") as raised:
        read(path)
    assert words in str(raised.value)


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_a_compressed_record_is_the_same_record(tmp_path: Path, path: Path, ending: str) -> None:
    whole, broken = tmp_path / f"all.json{ending}", tmp_path / f"broken.json{ending}"
    merge([read(path), record(tmp_path / "two.json", Other())], whole)
    merge([read(path), read(tmp_path / "two.json")], tmp_path / "all.json")
    compressed, plain = read(whole), read(tmp_path / "all.json")
    assert (compressed.runs, compressed.sha256) == (plain.runs, plain.sha256)
    assert whole.stat().st_size < (tmp_path / "all.json").stat().st_size / 2
    squeezed = whole.read_bytes()
    for content in (b"plain text", squeezed[:-9], squeezed[:100] + b"x" * 100, squeezed + squeezed):
        broken.write_bytes(content)
        with pytest.raises(Unusable, match=rf"broken\.json\{ending}"):
            read(broken)


def test_a_hundred_megabytes_of_garbage_are_refused_by_their_first_line(tmp_path: Path) -> None:
    path = tmp_path / "garbage.json"
    with path.open("wb") as file:
        file.write(b"x")
        file.truncate(100 * 2**20)
    with pytest.raises(Unusable, match="longer than 4194304 bytes"):
        read(path)


def test_garbage_after_a_header_is_refused_by_its_line(path: Path) -> None:
    header = path.read_bytes().splitlines(keepends=True)[0]
    path.write_bytes(header + b"[" * 100_000 + b"\n")
    with pytest.raises(Unusable, match="line 2: "):
        read(path)


FORGED = [
    ('"outcome":"agrees"', '"outcome":"refused"', "it was changed after it was written"),
    ('"outcome":"agrees"', '"outcome":"perfect"', "outcome: Input should be"),
    ('"version":"1.2"', '"version":"9.9"', "it was changed after it was written"),
    ('"exit_status":0', '"exit_status":1', "it was changed after it was written"),
    ('"sha256":"', '"sha256":"00', "sha256: String should match pattern"),
    ('"kind":"header"', '"kind":"heading"', "does not match any of the expected tags"),
    ('"corpus":"000 ', '"extra":1,"corpus":"000 ', "extra: Extra inputs are not permitted"),
    ('"relation":false', '"relation":0', "relation: Input should be a valid boolean"),
]


@pytest.mark.parametrize(("old", "new", "words"), FORGED)
def test_what_was_edited_by_hand_is_refused(path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(Unusable) as raised:
        read(edited(path, old, new))
    assert words in str(raised.value)


@pytest.mark.parametrize("spaces", [(", ", ": "), (",", ": ")])
def test_a_last_line_that_is_written_otherwise_is_refused(path: Path, spaces: tuple[str, str]) -> None:
    """The SHA-256 is of the bytes as they stand: other spaces, another order, another end of line."""
    *lines, last = path.read_bytes().splitlines(keepends=True)
    content = json.loads(last)
    first = {"sha256": content.pop("sha256"), **content}
    others = [json.dumps(content, separators=spaces) for content in (json.loads(last), first)]
    others += [last.decode().replace("}\n", "} "), last.decode().strip().replace('"end"', '"\\u0065nd"')]
    for other in others:
        path.write_bytes(b"".join([*lines, other.encode(), b"\n"]))
        with pytest.raises(Unusable, match="it was changed after it was written"):
            read(path)


def test_verdicts_are_read_again_and_a_file_that_changes_meanwhile_is_refused(path: Path) -> None:
    (run,) = read(path).runs
    assert len(run.verdicts) == len(list(run.verdicts)) == len(list(run.verdicts)) == len(few())
    assert not list(run.tests)
    path.write_bytes(path.read_bytes().replace(b'"agrees"', b'"vacuous"', 1))
    with pytest.raises(Unusable, match="it was changed while it was read"):
        list(run.verdicts)


def test_lines_cannot_be_taken_out_doubled_or_put_in_another_order(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    for other in (lines[:2] + lines[3:], [*lines[:2], *lines[1:]], [lines[0], lines[2], lines[1], *lines[3:]]):
        path.write_bytes(b"".join(other))
        with pytest.raises(Unusable, match="it was changed after it was written"):
            read(path)


def test_a_file_that_was_cut_off_says_so(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in (b"".join(lines[:-1]), b"".join(lines)[:-10], b"".join(lines[:2]) + lines[2][:50]):
        path.write_bytes(kept)
        assert read(path).runs[0].incomplete == "its end was cut off after it was written"


def test_two_runs_that_were_only_put_together_are_refused(path: Path, tmp_path: Path) -> None:
    other = record(tmp_path / "other.json", Mirror()).path
    both = tmp_path / "both.json"
    both.write_bytes(path.read_bytes() + other.read_bytes())
    with pytest.raises(Unusable, match="2 runs and no last line that merges them"):
        read(both)


def test_a_verdict_on_a_target_that_the_header_does_not_know_is_refused(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line.replace('"target":"mirror cpu"', '"target":"gpu"') for line in lines[:-1]))
    with pytest.raises(Unusable, match="verdicts on 'gpu', which its header does not know"):
        read(path)


def test_lines_after_the_last_line_are_refused(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    for line in lines[1], lines[-1]:
        path.write_bytes(b"".join([*lines, line]))
        with pytest.raises(Unusable, match="a run's last line stands among its others"):
            read(path)


def test_bytes_after_the_last_line_are_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"garbage")
    with pytest.raises(Unusable, match="'garbage' after the last line"):
        read(path)


def redone(path: Path, change: Callable[[list[Any]], None]) -> Path:
    """The record with its lines changed, and its SHA-256 made anew."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    body = b"".join(dump(line) for line in lines[:-1])
    path.write_bytes(body + dump(lines[-1] | {"sha256": run_digest(body, lines[-1])}))
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda lines: lines[0]["targets"].append(lines[0]["targets"][0]),
            "its header names a target twice: mirror cpu",
        ),
        (
            lambda lines: lines[0]["features"].pop("dtype"),
            "its header's features make no combinations of cell, direction, layout, dtype",
        ),
        (
            lambda lines: lines[0]["features"].update(dtype=["x"] * 60, layout=["x"] * 60),
            "1 targets of 43200 combinations (cell x direction x layout x dtype), expected at most 10000",
        ),
        (lambda lines: lines[1]["features"].pop("dtype"), "not its header's"),
        (lambda lines: lines[0].update(complete=False), "a run that ended, and whose header says that it did not"),
        (lambda lines: lines[0]["targets"][0].update(label="a\x1b[2J"), "label: String should match pattern"),
        (lambda lines: lines[0]["targets"][0].update(device="x" * 301), "device: String should have at most 300"),
        (lambda lines: lines[1]["sizes"].update(time=10**30), "time: "),
        (lambda lines: lines[1]["features"].update(mode="quick"), "features.mode: got 'quick', expected one of its"),
    ],
)
def test_what_makes_no_sense_is_refused(path: Path, change: Callable[[list[Any]], None], words: str) -> None:
    with pytest.raises(Unusable) as raised:
        read(redone(path, change))
    assert words in str(raised.value)


def test_nothing_that_a_file_says_moves_the_cursor(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def escape(lines: list[Any]) -> None:
        lines[1].update(message="\x1b[2Jall is well", corpus="000\x1b[8m")

    redone(path, escape)
    for arguments in (["verify", str(path)], ["diff", str(path), str(path)], ["replay", str(path), "000\x1b[8m"]):
        command.main(arguments)
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert "\\u001b[8m" in printed.out


def test_an_absent_file_is_named_and_an_unfinished_one_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with pytest.raises(Unusable, match=r"no such file$"):
        read(path)
    partial_path(path).touch()
    with pytest.raises(Unusable, match=r"there is run\.json\.partial, of a run that did not end"):
        read(path)
    with pytest.raises(Unusable, match="got a directory, expected a regular file"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["verify", "report", "diff", "replay", "merge"])
def test_every_command_ends_with_status_2_and_the_reason(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "garbage.json"
    path.write_bytes(b"<html>")
    more = {"diff": [path], "replay": ["000"], "merge": [path]}
    assert command.main([name, str(path), *map(str, more.get(name, []))]) == 2
    assert "expected 'rnn-equivalence evidence 1'" in capsys.readouterr().err


def test_the_schema_that_is_published_is_the_one_that_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["schema"]) == 0
    published = json.loads((ROOT / "docs" / "evidence.schema.json").read_text())
    assert json.loads(capsys.readouterr().out) == published


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_figures_that_json_has_no_number_for_are_words(value: float, path: Path) -> None:
    line: Any = json.loads(path.read_text().splitlines()[1])
    line["verdict"]["max_error"] = value
    written = dump(line)
    assert b"NaN" not in written
    assert b"Infinity" not in written
    from evidence.record.schema import LINE

    read_back = LINE.validate_json(written).verdict.max_error  # type: ignore[union-attr]
    assert str(read_back) == str(value)
