"""Which keys a run asks of a target that compiles: a few, drawn anew in every run, with other values each time.

A key is all that a compiler sees of a case: sizes, features, dtype, layout, whether there are lengths; of some the
weights too. The first call of a key costs such a framework a hundred times what the next one costs. So a run asks one
key of each property and combination, with many draws of values, one case of the corpus for each combination, and one
in SHARE of the other tests that have a key of their own. The pool's seed decides which. Many runs cover all; a recorded
run asks every test.
"""

from __future__ import annotations

import random
import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from adapters.capabilities import VARIANTS
from evidence.record.ledger import AXES
from reference import Case
from reference.draws import MEMORY

from .strategies import INPUT_SCALES, SEEDS, WEIGHT_SCALES, Draw, Question

if TYPE_CHECKING:
    from .target import Target

SIZE = 24  # keys, of which each property and combination is asked one
SHARE = 8  # of the tests that are marked OWN_KEY, a run asks one in so many
EAGER = 64  # of the cases that a kept function could answer, one in so many is asked by an eager call
OWN_KEY = "own_key"
MOST_LAYERS = 3  # of a drawn key: each layer is compiled; deeper stacks have tests of their own
# what a question asks for, whatever test asks it
OF_A_QUESTION = ("bias", "h0", "lengths", "mask", "cell", *VARIANTS, "clip", "num_layers", "time", "batch", "mode")


def choose(config: pytest.Config) -> None:
    """The seed of a run's pool: that of --pool, else 0 in the profile ci, else that of --hypothesis-seed, else a new
    one."""
    if config.option.pool is None:
        seed = str(config.getoption("--hypothesis-seed") or "")
        drawn = int(seed) % 2**32 if seed.isdecimal() else secrets.randbelow(2**32)
        config.option.pool = 0 if settings().derandomize else drawn


def words(targets: Sequence[Target], whole: bool) -> list[str]:
    """What a run says of its pool; nothing where no target compiles."""
    labels = ", ".join(target.label for target in targets if target.compiles)
    said = "Compiled for each key, and asked a few of them with many values"
    if not whole:
        said += ", a case of the corpus for each combination, and one in "
        said += f"{SHARE} of the other tests that have a key of their own; many runs ask all"
    return [f"{said} (--pool={targets[0].pool}): {labels}."] if labels else []


def keys(questions: st.SearchStrategy[Question], pool: int) -> list[Question]:
    """SIZE questions, the same for the same seed of a pool. Hypothesis draws small ones first: they are left out."""
    found: list[Question] = []

    @seed(pool)
    @settings(max_examples=SIZE + 5, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(questions)
    def collect(question: Question) -> None:
        found.append(question)

    collect()
    return found[-SIZE:]


def key_of(known: list[Question], pool: int, *words: str) -> Question:
    """One of the keys, which the words decide: the test and the combination that ask it."""
    return known[zlib.crc32(" ".join((str(pool), *words)).encode()) % len(known)]


@st.composite
def values(draw: Draw, key: Question, sane: bool, weights: bool) -> Question:
    """A question of the same key and other values.

    sane: as in strategies.questions.  weights: whether they are part of the key.
    """
    drawn: dict[str, Any] = {"seed": draw(SEEDS), "memory": draw(st.sampled_from(MEMORY))}
    if not sane:
        drawn["input_scale"] = draw(st.sampled_from(INPUT_SCALES))
    if key.lengths is not None:
        length = st.integers(0 if 0 in key.lengths else 1, key.time)
        drawn["lengths"] = tuple(draw(st.lists(length, min_size=key.batch, max_size=key.batch)))
    if weights:
        return replace(key, weights=key.seed, **drawn)
    drawn["rounded"] = not draw(st.booleans())
    if not sane:
        drawn["weight_scale"] = draw(st.sampled_from(WEIGHT_SCALES))
    return replace(key, **drawn)


def asked(item: pytest.Item, target: Target) -> bool:
    """Whether a run asks a test of a target that compiles: all but some of those that are marked OWN_KEY."""
    marker = item.get_closest_marker(OWN_KEY)
    if marker is None:
        return True
    if marker.kwargs.get("of_the_corpus") and item.callspec.params["name"] in target.corpus:  # type: ignore[attr-defined]
        return True
    return among(target.pool, item.nodeid)


def among(pool: int, name: str) -> bool:
    """Whether a thing of this name is among the one in SHARE that a pool has."""
    return random.Random(f"{pool} {name}").randrange(SHARE) == 0


def of_each_combination(cases: Mapping[str, Case], target: Target) -> frozenset[str]:
    """The names of the cases that a run asks: of each combination one to which the target is to answer."""
    names: dict[tuple[Any, ...], list[str]] = {}
    for name, case in cases.items():
        features = target.features(case)
        if not target.capabilities.no_answer(features):
            names.setdefault(tuple(features[axis] for axis in AXES), []).append(name)
    return frozenset(random.Random(f"{target.pool} {axes}").choice(several) for axes, several in names.items())
