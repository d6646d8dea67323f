"""The record of a campaign: what a reader believes of it, what merge refuses, what verify and diff find."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

import adapters
from evidence.campaign import report
from evidence.campaign.record import Campaign, begin, finish, header_line, lines_of, merge, read, written
from evidence.record.lines import Unusable, dump
from harness.campaign import compare, verify
from harness.campaign.block import ask_block
from meta_tests.common import command
from meta_tests.common.campaigns import NAMED, ODD, campaign
from meta_tests.common.campaigns import told as about

RIGHT, WRONG, MOVED, RAISING = map(NAMED.format, ("Right", "Wrong", "Moved", "Raising"))
START, STOP = 960, 1_040  # two blocks: 960 to 999, and from 1000 on
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file gets no code of its own run: these adapters have names here."""
    for source in (RIGHT, WRONG, MOVED, RAISING):
        monkeypatch.setitem(adapters.KNOWN, source, (source, "numpy", ""))


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    return campaign(tmp_path_factory.mktemp("campaign") / "right.json", RIGHT, START, STOP)


def forged(campaign: Campaign, path: Path, *, at: int, change: Change) -> Path:
    """The record with a line changed, or left out where the change answers False, and its end made anew."""
    lines, outcomes = [json.loads(raw) for raw, _ in lines_of(campaign.path)][:-1], Counter[str]()
    if change(lines[at]) is False:
        del lines[at]
    for line in lines:
        outcomes.update({name: sum(many.values()) for name, many in line.get("counts", {}).items()})
    path.write_bytes(b"".join(written(map(dump, lines), len(lines) - 1, outcomes)))
    return path


def checked(path: Path, sample: float = 1.0) -> list[str]:
    """Every problem that verify prints."""
    campaign = read(path)
    wrong = [words for block in campaign.blocks for words in verify.problems(block)]
    return [*wrong, *verify.again(campaign, sample).problems]


def test_what_is_right_is_verified(right: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(right.path) == []
    assert verify.command(right.path, None) == 0
    assert "1 block of 2" in capsys.readouterr().out
    assert (right.wrong, sum(right.outcomes.values())) == (0, STOP - START)


def swap(line: dict[str, Any]) -> None:
    """A case that agrees is called vacuous."""
    (number, count), *_ = line["counts"]["agrees"].items()
    line["counts"]["agrees"][number] = count - 1
    line["counts"].setdefault("vacuous", {})[number] = 1


def more(line: dict[str, Any]) -> None:
    (number, _), *_ = line["counts"]["agrees"].items()
    line["counts"]["agrees"][number] += 1


def other_answers(line: dict[str, Any]) -> None:
    """Tags and digest of other answers, that fit each other."""
    tags = bytes(byte ^ 1 for byte in base64.b64decode(line["tags"]))
    line["tags"], line["digest"] = base64.b64encode(tags).decode(), hashlib.sha256(tags).hexdigest()[:16]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (more, "its counts are not those of its cases"),
        (swap, "came to"),
        (other_answers, "its digest is"),
        (lambda line: line["worst"].update(seed=5), "it names a seed of another block"),
        (lambda line: line["worst"].update(fraction=0.001), "its worst error is 0.001"),
        (lambda line: line["findings"].update({"F-001": 3}), "its findings explain other cases"),
    ],
)  # fmt: skip
def test_planted_a_forged_line_is_found(right: Campaign, tmp_path: Path, change: Change, words: str) -> None:
    problems = checked(forged(right, tmp_path / "forged.json", at=1, change=change))
    assert any(words in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("at", "change", "words"),
    [
        (2, lambda line: False, "1 of 2 blocks: that of seed 1000 is missing"),
        (0, lambda line: line.update(seeds=[START, 3_000]), "or no block of 960:3000"),
        (0, lambda line: line.update(axes={c: ["x"] * 200 for c in "abcdefg"}), "more than 10000 combinations"),
        (0, lambda line: line.update(seeds=[START, 2**49]), "seeds.1: Input should be less"),
        (1, lambda line: line.update(seeds=[960, 980]), "tags: got those of 40 cases .* expected those of 20 "),
        (1, lambda line: line.update(seeds=[960, 2**47]), "expected some of one block"),
        (1, lambda line: line["counts"]["agrees"].update({"144": 0}), "a combination that is none of 144"),
        (2, lambda line: line.update(seeds=[960, 1_000]), "are there twice"),
        (1, lambda line: line.update(digest="0" * 16), "expected those of 40 and 0000000000000000"),
        (0, lambda line: line.update(format="rnn-equivalence campaign 2"), "format"),
    ],
)  # fmt: skip
def test_planted_what_is_no_whole_record_is_refused(
    right: Campaign, tmp_path: Path, at: int, change: Change, words: str
) -> None:
    with pytest.raises(Unusable, match=words.replace("(", r"\(")):
        read(forged(right, tmp_path / "forged.json", at=at, change=change))


def test_planted_bytes_that_were_changed_are_refused(right: Campaign, tmp_path: Path) -> None:
    (tmp_path / "changed.json").write_bytes(right.path.read_bytes().replace(b'"worst"', b'"worst" '))
    with pytest.raises(Unusable, match="it was changed after it was written"):
        read(tmp_path / "changed.json")


def test_other_bits_elsewhere_are_no_forgery(right: Campaign, tmp_path: Path) -> None:
    path = forged(
        right, tmp_path / "b.json", at=1, change=lambda line: (line.update(cpu="another"), other_answers(line))
    )
    found = verify.again(read(path), 1.0)
    assert not found.problems
    assert "other bits, on another processor" in str([*found.unshown])


def test_what_is_not_installed_is_not_shown(
    right: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = forged(right, tmp_path / "b.json", at=0, change=lambda line: line["target"].update(version="0.1"))
    assert verify.command(path, None) == 1
    assert "Not verified." in capsys.readouterr().out
    path = forged(right, tmp_path / "c.json", at=0, change=lambda line: line["target"].update(source="os:system"))
    assert verify.command(path, None) == 1
    assert "'os:system' is code of its own" in capsys.readouterr().out


@pytest.mark.parametrize("sample", [0.0, 1.5, -1.0, float("nan")])
def test_a_sample_is_a_part(right: Campaign, sample: float) -> None:
    with pytest.raises(Unusable, match="above 0 and at most 1"):
        verify.command(right.path, sample)


def test_shards_are_merged_and_verified(right: Campaign, tmp_path: Path) -> None:
    parts = [
        campaign(tmp_path / f"{first}.json", RIGHT, first, stop) for first, stop in ((1_000, STOP), (START, 1_000))
    ]
    paths = [str(part.path) for part in parts]
    assert command.main(["merge", str(tmp_path / "all.json"), *paths]) == 0
    assert checked(tmp_path / "all.json") == []
    whole = read(tmp_path / "all.json")
    assert [block.digest for block in whole.blocks] == [block.digest for block in right.blocks]
    assert whole.header.parts == [part.end.sha256 for part in reversed(parts)]


@pytest.mark.parametrize(
    ("source", "seeds", "change", "words"),
    [
        (RIGHT, (1_020, 1_030), dict, "a gap"),
        (RIGHT, (1_000, 1_010), dict, "an overlap"),
        (RIGHT, (1_010, 1_020), lambda header: header["target"].update(version="0.1"), "differ in their target"),
        (RIGHT, (1_010, 1_020), lambda header: header["suite"].update(version="0.1"), "differ in their suite"),
        (RIGHT, (1_010, 1_020), lambda header: header.update(draws=0), "differ in their draws"),
    ],
)  # fmt: skip
def test_planted_shards_that_make_no_campaign_are_refused(
    tmp_path: Path, source: str, seeds: tuple[int, int], change: Change, words: str
) -> None:
    one = campaign(tmp_path / "a.json", RIGHT, 1_000, 1_010)
    other = campaign(tmp_path / "b.json", source, *seeds, change)
    with pytest.raises(Unusable, match=words):
        merge(tmp_path / "all.json", [one.path, other.path])
    assert not (tmp_path / "all.json").exists()


def test_diff_finds_the_first_case_that_moved(
    right: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.command(right.path, right.path) == 0
    assert "2 with the same bits, 0 with other bits, 0 worse" in capsys.readouterr().out
    moved = campaign(tmp_path / "moved.json", MOVED, START, STOP)
    assert compare.command(right.path, moved.path) == 0
    said = capsys.readouterr().out
    assert f"seeds 1000:1040: 1 case moved, first seed [{ODD}]; the counts are the same; asked again of right" in said
    assert "as in the new one" in said


@pytest.mark.parametrize("source", [WRONG, RAISING])
def test_diff_calls_it_worse_where_a_case_no_longer_agrees(
    right: Campaign, tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    worse = campaign(tmp_path / "worse.json", source, START, STOP)
    assert compare.command(right.path, worse.path) == 1
    assert "NO-GO: 1 block came out worse" in capsys.readouterr().out
    assert compare.command(worse.path, right.path) == 0
    assert checked(worse.path) == []


def test_diff_of_nothing_in_common_is_refused(right: Campaign, tmp_path: Path) -> None:
    other = campaign(tmp_path / "other.json", RIGHT, 2_000, 2_010)
    with pytest.raises(Unusable, match="nothing to compare"):
        compare.command(right.path, other.path)


def test_a_page_says_what_came_of_it(right: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = campaign(tmp_path / "wrong.json", WRONG, START, STOP)
    assert command.main(["report", str(wrong.path), "--output", str(tmp_path)]) == 0
    page, text = ((tmp_path / f"wrong.{kind}").read_text() for kind in ("html", "md"))
    for shown in (page, text):
        assert "1 answer wrong" in shown
        assert f"eed {ODD}: disagrees" in shown
    assert report.command(right.path, summary=True) == 0
    assert "none is wrong that is not known" in capsys.readouterr().out


def test_a_campaign_is_known_by_its_header_alone(
    right: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, words in (
        ("campaign 9", "got format 'rnn-equivalence campaign 9', expected 'rnn-equivalence evidence 1' or"),
    ):
        (tmp_path / "x.json").write_text(json.dumps({"kind": "header", "format": f"rnn-equivalence {name}"}) + "\n")
        assert command.main(["verify", str(tmp_path / "x.json")]) == 2
        assert words in capsys.readouterr().err
    (tmp_path / "run.json").write_text('{"kind":"header","format":"rnn-equivalence evidence 1"}\n')
    assert command.main(["diff", str(right.path), str(tmp_path / "run.json")]) == 2
    assert "expected records of one kind" in capsys.readouterr().err
    assert command.main(["verify", str(tmp_path / "run.json"), "--sample", "1"]) == 2
    assert "--sample: is for a record of a campaign" in capsys.readouterr().err
    assert command.main(["diff", str(right.path), str(right.path), "--markdown"]) == 2
    assert "--json, --markdown: are for records of runs" in capsys.readouterr().err


def test_a_full_disk_is_one_sentence_and_loses_no_block(
    right: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write takes half a line; what was finished is kept, and the campaign goes on."""
    header = header_line(about(RIGHT, "cpu"), (START, STOP))
    journal, _ = begin(tmp_path / "a.json", header, False)
    lines = [ask_block(RIGHT, "cpu", *seeds) for seeds in ((START, 1_000), (1_000, STOP))]
    for line in lines:
        line.pop("by")
    journal.write(lines[0])
    with monkeypatch.context() as patch:
        write = os.write
        patch.setattr(os, "write", lambda handle, data: write(handle, data[: len(data) // 2]))
        with pytest.raises(OSError, match="is the disk full"):
            journal.write(lines[1])
    os.close(journal._handle)
    resumed, starts = begin(tmp_path / "a.json", header, True)
    assert starts == {START}
    resumed.write(lines[1])
    assert [block.digest for block in finish(tmp_path / "a.json").blocks] == [block.digest for block in right.blocks]


def test_planted_a_campaign_does_not_go_on_as_another(tmp_path: Path) -> None:
    header = header_line(about(RIGHT, "cpu"), (START, STOP))
    journal, _ = begin(tmp_path / "a.json", header, False)
    with pytest.raises(Unusable, match="another campaign is writing it"):
        begin(tmp_path / "a.json", header, True)
    os.close(journal._handle)
    with pytest.raises(Unusable, match="is there already: --resume goes on"):
        begin(tmp_path / "a.json", header, False)
    for name, other in (("seeds", [START, 2_000]), ("draws", 0), ("suite", header["suite"] | {"version": "0"}),
                        ("target", header["target"] | {"version": "0"})):  # fmt: skip
        with pytest.raises(Unusable, match=f"{name}: it was begun with"):
            begin(tmp_path / "a.json", header | {name: other}, True)
