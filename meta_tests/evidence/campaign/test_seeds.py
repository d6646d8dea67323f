"""A case is a function of its seed: of nothing else, on every machine and with every NumPy."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from adapters.capabilities import FEATURES, features_of_case
from evidence.campaign import cases
from evidence.campaign.cases import BLOCK, MOST_SEED, OF_A_KEY, OF_A_MODULE, asked, blocks, case_of, group_of, pieces

ROOT = Path(__file__).parents[3]
# the ids of the first cases, of those of a few seeds, and a digest of a case of each of the first 40 keys. Who changes
# them raises DRAWS: a record says what its seeds stand for by it.
GOLDEN = {
    0: "c02e12004cbeb780",
    1: "4a813eab1c6dfd95",
    2: "dcf243bad9099051",
    3: "8c3a7401b482cf55",
    50: "3b0a642c394dcc37",
    100: "8923953ca4d4969b",
    1_013: "bfd41155e6e571e8",
    2_007: "d1f68067340ee72c",
    123_456_789: "f02bcc067a8e1942",
    281_474_976_710_655: "4b127a8b2814c5ef",
}
OF_KEYS = "cf0de338530e772f"


def digest_of_keys() -> str:
    return hashlib.sha256(" ".join(case_of(OF_A_KEY * n + n).id for n in range(40)).encode()).hexdigest()[:16]


def test_the_cases_of_seeds_are_those_that_they_were() -> None:
    assert {seed: case_of(seed).id for seed in GOLDEN} == GOLDEN
    assert digest_of_keys() == OF_KEYS


def test_planted_another_draw_is_another_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "OF_NUMBERS", 1)
    assert {seed: case_of(seed).id for seed in GOLDEN} != GOLDEN


def test_a_case_depends_on_no_other_and_on_no_process() -> None:
    """Asked in another order, in a process whose hashes are other ones."""
    code = "from evidence.campaign.cases import case_of; print(*(case_of(seed).id for seed in (1013, 7, 0)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "7"}, text=True,
                         capture_output=True, check=True)  # fmt: skip
    assert run.stdout.split() == [case_of(seed).id for seed in (1013, 7, 0)]


def test_cases_of_a_module_stand_beside_each_other_in_its_part() -> None:
    for first in (0, 1_230, 88_880):
        group = group_of(first)
        for seed in range(first, first + OF_A_MODULE):
            case, row = group.case(seed), (seed - first) * group.key.batch
            assert group_of(seed).case(seed).id == case.id
            batch = case.x if case.layout == "time_first" else case.x[None] if case.layout == "unbatched" else case.x
            own = batch if case.layout == "time_first" else batch.transpose(1, 0, 2)
            assert np.array_equal(own, group.whole.x[:, row : row + group.key.batch])


def test_every_feature_is_asked() -> None:
    """Within 3,000 keys, in every combination that is counted; and other numbers in each case of a module."""
    seen, combinations = Counter[tuple[str, str]](), set[int]()
    for key in range(3_000):
        combinations.add(cases.key_of(key).combination)
    for key in range(400):
        group = group_of(key * OF_A_KEY)
        seen.update((name, str(value)) for name, value in features_of_case(group.case(group.first)).items())
    never = {("gradients", "True"), ("values", "not finite"), ("mode", "eager"), ("num_layers", "3 to 10")}
    wanted = {(name, str(value)) for name, values in FEATURES.items() if name != "mode" for value in values}
    assert wanted - never <= seen.keys()
    assert combinations == set(range(len(cases.COMBINATIONS)))
    alike = [one.tobytes() == other.tobytes() for one, other in pairwise(case_of(seed).x for seed in range(10))]
    assert not any(alike)


@pytest.mark.parametrize("seed", [-1, MOST_SEED])
def test_what_is_no_seed_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="expected one from 0 to"):
        case_of(seed)


def test_blocks_hold_all_seeds_once() -> None:
    found = list(pieces(1_500, 4_250, BLOCK))
    assert found == [(1_500, 2_000), (2_000, 3_000), (3_000, 4_000), (4_000, 4_250)]
    assert blocks(1_500, 4_250) == len(found)
    assert blocks(0, 10**6) == 1_000
    assert sum(asked(1_500, 4_250).values()) == 2_750
