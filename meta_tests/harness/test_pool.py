"""Which keys a target that compiles is asked, and that what is kept for other values is asked with them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import Result
from adapters.contract import Compiles, features_of_case
from adapters.running.trial import Modules, Stack
from evidence.record import corpus
from evidence.record.ledger import Ledger
from harness import pool
from harness.strategies import Question, questions
from harness.target import Target
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.process import suite
from meta_tests.common.references import Mirror
from reference import RNNSpec
from reference.draws import draw_case

REFERENCES = "meta_tests.common.references"


class Compiled(Mirror):
    """The reference, as a framework that compiles for shapes, and is given other weights."""

    name, compiles = "compiled", Compiles()

    def set_weights(self, module, parameters):
        module[1][:] = parameters


class Baked(Compiled):
    """Its weights are constants of what it compiled."""

    def set_weights(self, module, parameters):
        pass


class Stale(Compiled):
    """What it compiled for one sequence of inputs answers every other of that shape."""

    def run(self, module, **inputs):
        kept, x = self.__dict__.setdefault("answers", {}), inputs["x"]
        return kept.setdefault((module[0], x.shape, x.dtype), super().run(module, **inputs))


class Unwilling(Compiled):
    """It takes no initial states together with lengths."""

    capabilities = type(Mirror.capabilities)(
        offers=(("mask", True),), together={(("h0", True), ("lengths", "mixed")): "the compiler fails"}
    )


def key(question: Question) -> dict[str, object]:
    """What a compiler sees of a question."""
    case = question.case("forward", "tanh", "float32")
    return features_of_case(case) | {"shape": case.x.shape, "units": case.spec.hidden_size}


def target(adapter: Any, seed: int = 0) -> Target:
    return Target(adapter, "cpu", Ledger(), adapter.name, pool=seed)


def test_a_pool_is_its_seed() -> None:
    first = pool.keys(questions(), 7)
    assert pool.keys(questions(), 7) == first != pool.keys(questions(), 8)
    assert len({repr(key(question)) for question in first}) > pool.SIZE * 2 / 3
    assert max(question.hidden_size for question in first) > 5


def test_every_combination_has_a_key_of_its_own_choice() -> None:
    known = pool.keys(questions(), 7)
    words = [(a, b) for a in "abcdef" for b in "uvwxyz"]
    chosen = [pool.key_of(known, 7, *word) for word in words]
    assert len(set(chosen)) > 12
    assert chosen == [pool.key_of(known, 7, *word) for word in words]
    assert chosen != [pool.key_of(known, 8, *word) for word in words]


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("sane", [True, False])
@pytest.mark.parametrize("place", range(0, pool.SIZE, 5))
def test_other_values_are_of_the_same_key(place: int, sane: bool, weights: bool) -> None:
    of = pool.keys(questions(sane=sane), 3)[place]
    seen = []

    @settings(max_examples=20, database=None)
    @given(pool.values(of, sane=sane, weights=weights))
    def check(question: Question) -> None:
        if of.lengths is not None and 0 in of.lengths:
            assert question.lengths is not None  # that one of them is 0 is not seen by a compiler
        else:
            assert key(question) == key(of)
        seen.append(question.case("forward", "tanh", "float32"))

    check()
    assert len({case.x.tobytes() for case in seen}) > 10
    assert (len({case.parameters[0].w_ih.tobytes() for case in seen}) == 1) == weights


def test_a_run_asks_one_in_so_many_and_many_runs_ask_all() -> None:
    names = list(corpus.cases())
    share = [sum(pool.among(seed, name) for name in names) / len(names) for seed in range(20)]
    assert all(0.5 / pool.SHARE < part < 1.6 / pool.SHARE for part in share)
    assert all(any(pool.among(seed, name) for seed in range(100)) for name in names)


@pytest.mark.parametrize("name", ["keras", "flax", "openvino", "torch-onnx", "litert"])
@pytest.mark.parametrize("seed", [0, 5])
def test_a_run_asks_each_combination_that_a_compiler_offers(name: str, seed: int) -> None:
    """Else the run would fail for what it did not ask."""
    one, ledger = target(framework_adapter(name), seed), Ledger()
    for case in (corpus.cases()[chosen] for chosen in one.corpus):
        ledger.record(one.label, corpus.PROPERTY, one.features(case), "agrees")
    supported = {axis: one.capabilities.supported(axis) for axis in ledger.axes}
    assert not list(ledger.unfilled(one.label, supported, lambda _: False))
    assert one.corpus != target(one.adapter, seed + 1).corpus


@pytest.mark.parametrize("adapter", [Baked, Stale])
def test_what_is_kept_and_should_not_be_is_seen(adapter: type[Compiled]) -> None:
    cases = [draw_case(RNNSpec(3, 4), batch=2, time=3, seed=seed) for seed in (1, 2)]
    target(Compiled()).check("kept", *cases)
    with pytest.raises(AssertionError, match="disagrees"):
        target(adapter()).check("kept", *cases)


def test_modules_are_built_once_for_a_key() -> None:
    adapter = Compiled()
    one = target(adapter)
    for seed in range(5):
        one.check("kept", draw_case(RNNSpec(3, 4), batch=2, time=3 + seed, seed=seed))
    assert len(adapter.built) == 1
    adapter.compiles = Compiles(weights=True)
    two = target(adapter)
    for seed in (0, 0, 1):
        two.check("kept", draw_case(RNNSpec(3, 4), batch=2, time=3, seed=seed))
    assert len(adapter.built) == 3


@pytest.mark.parametrize("name", ["keras", "flax"])
def test_every_mode_answers_with_the_weights_that_it_is_asked_of(name: str) -> None:
    """Saved and loaded, a module is another one: to set the weights of the first changes nothing in its answer."""
    one = target(framework_adapter(name))
    for mode in dict.fromkeys(("eager", "saved", "autograd", one.kept)):
        for seed in (1, 2):
            one.check("kept", draw_case(RNNSpec(3, 4), batch=2, time=3, seed=seed), mode=mode)


def test_no_more_modules_are_kept_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Modules, "KEPT", 2)
    adapter = Compiled()
    kept = Modules(adapter, adapter.compiles, "cpu")
    for size in (1, 2, 1, 3, 1, 2):  # 2 is forgotten when 3 comes
        case = draw_case(RNNSpec(3, size), batch=2, time=3)
        assert isinstance(Stack(adapter, case, kept=kept).answer(case), Result)
    assert [spec.hidden_size for spec, *_ in adapter.built] == [1, 2, 3, 2]


def test_eager_calls_are_asked_less_often() -> None:
    adapter = Compiled()
    adapter.compiles = Compiles("compiled")
    one = target(adapter)
    modes = [one._mode(draw_case(RNNSpec(1, 1), batch=1, time=1, seed=seed)) for seed in range(1000)]
    assert 4 < modes.count("eager") < 40
    assert set(modes) == {"eager", "compiled"}


def test_what_is_refused_together_is_no_key() -> None:
    """A property would draw in vain: all its questions are of one key."""
    one = target(Unwilling())

    @settings(max_examples=30, database=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        word = data.draw(st.sampled_from("abcdefghijkl"))
        question = data.draw(one.questions(word))
        assert not question.h0 or question.lengths is None or 0 in question.lengths

    check()


def test_a_run_says_what_it_asks_and_a_recorded_one_asks_all(tmp_path: Path) -> None:
    asked = [f"--adapter={__name__}:Compiled", "--device=cpu", "tests/properties/test_corpus.py", "-k", "not mode"]
    run = suite(*asked, "--pool=5")
    assert (
        "one in 8 of the other tests that have a key of their own; many runs ask all (--pool=5): compiled cpu."
        in run.stdout
    )
    passed = int(re.search(r"(\d+) passed", run.stdout)[1])
    names = [f"test_whole_trajectories_of_the_corpus[compiled-cpu-{way}]" for way in ("forward", "bidirectional")]
    chosen = target(Compiled(), 5).corpus
    named = (name.replace(" full", " with all") for name in corpus.cases() if name not in chosen)
    names += [f"test_the_corpus[compiled-cpu-{name}]" for name in named]
    assert passed == len(chosen) + sum(pool.among(5, f"tests/properties/test_corpus.py::{name}") for name in names)
    whole = suite(*asked, f"--evidence={tmp_path}/run.json")
    assert "a few of them with many values (--pool=0): compiled cpu." in whole.stdout
    assert "one in 8" not in whole.stdout
    assert int(re.search(r"(\d+) passed", whole.stdout)[1]) == len(corpus.cases()) + 2


def test_all_processes_of_a_run_draw_of_the_same_seeds(tmp_path: Path) -> None:
    """And of those that the record names: with them one process draws the same cases again."""
    asked = [f"--adapter={__name__}:Compiled", "--device=cpu", "tests/properties/test_relations.py", "-k", "batch"]
    drawn = []
    for number, again in enumerate((["-n2"], ["-n0"])):
        if number:
            run = json.loads((tmp_path / "0.json").read_text(encoding="utf-8").splitlines()[0])["run"]
            again += [f"--pool={run['pool']}", f"--hypothesis-seed={run['seed']}"]
        record = tmp_path / f"{number}.json"
        done = suite(*asked, *again, f"--evidence={record}", environment={"HYPOTHESIS_PROFILE": "default"})
        assert done.returncode == 0, done.stdout[-2000:]
        lines = map(json.loads, record.read_text(encoding="utf-8").splitlines())
        drawn.append(sorted(line["case"] for line in lines if line["kind"] == "verdict"))
    assert len(drawn[0]) > 10
    assert drawn[0] == drawn[1]
