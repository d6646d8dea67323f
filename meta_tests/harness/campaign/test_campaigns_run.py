"""A campaign as its user starts it: killed, resumed, on workers that die, and with what cannot be used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("pydantic")

from evidence.campaign.cases import BLOCK, blocks
from evidence.campaign.record import Campaign, read
from evidence.record.lines import Unusable
from harness.campaign.run import Progress, seeds_of, shard_of
from meta_tests.common import command
from meta_tests.common.campaigns import MARK, NAMED, ODD, campaign

ROOT = Path(__file__).parents[3]
RIGHT, DEADLY = NAMED.format("Right"), NAMED.format("Deadly")


def started(path: Path, *arguments: str, source: str = RIGHT, **environment: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "rnn_equivalence", "campaign", "--adapter", source, "--evidence", str(path)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what ignores it, as nohup does, is inherited
    try:
        return subprocess.Popen([*words, *arguments], cwd=ROOT, env={**os.environ, **environment}, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)


def digests(of: Campaign) -> dict[int, str]:
    return {block.seeds[0]: block.digest for block in of.blocks}


def wait_for(partial: Path, lines: int) -> None:
    end = time.monotonic() + 60
    while not partial.exists() or partial.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_campaign_that_was_cut_off_goes_on_and_ends_alike(tmp_path: Path, how: signal.Signals) -> None:
    """Its blocks are not asked again: they are there as they were."""
    path, partial, seeds = tmp_path / "a.json", tmp_path / "a.json.partial", "--seeds=900:5300"
    several = ["--processes=2"] if how == signal.SIGINT and find_spec("distributed") else []
    process = started(path, seeds, *several)
    wait_for(partial, 2)
    os.killpg(process.pid, how)
    said = process.communicate(timeout=60)[1]
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "--resume goes on" in said
        assert "Traceback" not in said
    kept = partial.read_bytes()
    with partial.open("ab") as file:
        file.write(b'{"kind":"block","seeds":[20')  # as a process that is killed may leave it
    process = started(path, seeds, "--resume")
    assert process.wait(60) == 0
    assert path.read_bytes().startswith(kept[: kept.rindex(b"\n") + 1])
    assert not partial.exists()
    whole = read(path)
    assert (len(whole.starts), sum(whole.outcomes.values())) == (blocks(900, 5_300), 4_400)
    process.communicate()


@pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed")
def test_workers_that_die_lose_nothing_and_what_kills_them_is_one_case(tmp_path: Path) -> None:
    """A cluster of two processes. One case kills its process once, in mid-block; another one does always."""
    path, mark = tmp_path / "a.json", tmp_path / "died"
    process = started(path, "--seeds=960:1040", "--processes=2", source=DEADLY, **{MARK: str(mark)})
    wrong = process.communicate(timeout=120)[1]
    assert process.returncode == 1, wrong
    assert mark.exists()
    found, right = read(path), campaign(tmp_path / "right.json", RIGHT, 960, 1_040)
    assert found.outcomes == Counter(agrees=79, crashed=1)
    assert digests(found)[960] == digests(right)[960]
    (crash,) = [one for block in found.blocks for one in block.wrong]
    assert crash.seed == ODD
    assert "died: SIGKILL" in crash.said.message
    pairs = [zip(a.each, b.each, strict=True) for a in found.blocks for b in right.blocks if a.seeds == b.seeds]
    assert sum(one != other for several in pairs for one, other in several) == 1


def test_shards_are_all_blocks_once() -> None:
    for seeds in ((0, 10**6), (1_500, 20_100), (0, 7_000)):
        for n in (1, 3, 7):
            shards = [shard_of(seeds, f"{i}/{n}") for i in range(n)]
            assert [seeds[0], *(stop for _, stop in shards)] == [*(start for start, _ in shards), seeds[1]]
            assert sum(blocks(*shard) for shard in shards) == blocks(*seeds)
            assert all(start % BLOCK == 0 for start, _ in shards[1:])
    assert shard_of((0, 10**6), "3/64") == (46_000, 62_000), "it is stable: a shard is the same on every machine"


@pytest.mark.parametrize("text", ["3/3", "-1/3", "x", "1/0", "0/8", "1"])
def test_a_shard_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(Unusable, match=r"--shard: got .*, expected i/n, i from 0 to n - 1, n at most 7"):
        shard_of((0, 7_000), text)


@pytest.mark.parametrize("text", ["0", "5:5", "9:3", "-1:5", "0:1e6", "0:999999999999999", "a:b"])
def test_seeds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Unusable, match="--seeds: got"):
        seeds_of(text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seeds=0:10"], "expected one of --framework and --adapter"),
        (["--framework=mxnet", "--seeds=0:10"], "--framework: got 'mxnet', expected one of "),
        (["--framework=reference", "--seeds=0:10", "--shard=1/1"], "--shard: got '1/1'"),
        (["--framework=reference", "--seeds=0:10", "--device=cuda:9"], "has no 'cuda:9', only cpu"),
        (["--adapter=no.such:Adapter", "--seeds=0:10"], "No module named 'no'"),
        (["--framework=reference", "--seeds=0:10", "--processes=2", "--dask=a"], "of --processes and --dask"),
        (["--framework=reference", "--seeds=0:10", "--evidence=nowhere/a.json"], "No such file or directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_sentence(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["campaign", "--evidence=a.json", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed")
def test_an_address_where_no_scheduler_answers_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.campaign import cluster

    monkeypatch.setattr(cluster, "PATIENCE", 1)
    words = ["campaign", "--framework=reference", "--seeds=0:10", "--dask=tcp://127.0.0.1:9"]
    assert command.main([*words, f"--evidence={tmp_path / 'a.json'}"]) == 2
    said = capsys.readouterr().err
    assert "--dask: got 'tcp://127.0.0.1:9', and no scheduler with a worker answers" in said
    assert said.count("\n") == 1


def test_without_dask_it_asks_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "harness.campaign.cluster", raising=False)
    monkeypatch.delattr("harness.campaign.cluster", raising=False)
    words = ["campaign", "--framework=reference", "--seeds=0:50", "--processes=2", f"--evidence={tmp_path / 'a.json'}"]
    assert command.main(words) == 0
    assert "asking in one process" in capsys.readouterr().err
    assert command.main([*words[:3], "--dask=a", f"--evidence={tmp_path / 'b.json'}"]) == 2
    assert "pip install" in capsys.readouterr().err


def test_progress_says_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter((0.0, 2.0, 12.0))
    progress = Progress(10_000, 2_000, lambda: next(clock))
    progress.add({"seeds": [2_000, 3_000], "counts": {"agrees": {"1": 998}, "crashed": {"1": 2}}})
    assert capsys.readouterr().err == "", "not after each block"
    progress.add({"seeds": [3_000, 8_000], "counts": {"agrees": {"1": 5_000}}})
    said = "8,000 of 10,000 cases, 2 did not agree; 500 cases a second, 0.1 minutes left\n"
    assert capsys.readouterr().err == said
