"""The data that verification is held to: what adapters declare, and what the suite asks, is what they are."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pydantic")

import adapters
from adapters.contract import capabilities_on, idioms_of
from evidence.record import corpus
from evidence.record.environment import ROOT
from evidence.record.schema import TargetLine
from evidence.record.seeded import cases_of
from evidence.verify.declarations import PATH, known, seeded_cases, version_of, wrong
from evidence.verify.questions import FOLDER, all_tests, number_for_a_target
from meta_tests.make_declarations import BACKENDS, DEVICES, declared


@pytest.mark.parametrize("name", adapters.KNOWN)
def test_what_an_adapter_declares_is_in_the_data(name: str) -> None:
    """Else: python -m meta_tests.make_declarations."""
    try:
        adapter = adapters.load(name)
    except ImportError as error:
        pytest.skip(str(error))
    for entry in declared(name):
        there = known()[name, str(getattr(adapter, "backend", "")), entry["device"]]
        for field in entry:
            assert there[field] == entry[field], field


@pytest.mark.parametrize("name", adapters.KNOWN)
def test_what_is_declared_gives_the_fixed_cases_that_are_asked(name: str) -> None:
    """Else a record of an adapter to which a feature is not offered would lack a case of it."""
    try:
        adapter = adapters.load(name)
    except ImportError as error:
        pytest.skip(str(error))
    entry = declared(name)[0]
    offered = capabilities_on(adapter, entry["device"])
    same = ("adapter", "source", "backend", "device", "unsupported", "refused", "emulated", "arithmetics", "idioms")
    line = {field: entry[field] for field in same} | {"label": name, "version": "", "environment": {}}
    kept = TargetLine.model_validate(line)
    for one in kept.idioms:
        idiom = idioms_of(adapter)[one.word]
        asked = cases_of(idiom.narrowed(offered), idiom.refused)
        assert [*seeded_cases(kept, one)] == [case.id for case in asked], one.word


def test_a_header_that_says_otherwise_what_is_compiled_is_noticed() -> None:
    """It decides which keys were asked, and in which mode. A header from before says nothing of it."""
    entry = known()["openvino", "", "cpu"]
    same = ("adapter", "source", "backend", "unsupported", "refused", "emulated", "arithmetics")
    line = {name: entry[name] for name in same}
    line |= {"label": "openvino cpu", "device": "cpu", "version": "2026.3.0", "environment": {}}
    environment = SimpleNamespace(packages={"openvino": "2026.3.0"})
    header: Any = SimpleNamespace(older=True, knows_idioms=False, features=adapters.FEATURES, environment=environment)
    for compiles, noticed in ((None, []), (entry["compiles"], []), ({"mode": "traced", "weights": True}, ["traced"])):
        problems = list(wrong(header, TargetLine(**line, compiles=compiles)))
        assert len(problems) == len(noticed)
        assert all(word in problem for word, problem in zip(noticed, problems, strict=True))


def test_every_adapter_is_in_the_data_on_every_backend_and_device() -> None:
    expected = {
        (name, backend, device)
        for name in adapters.KNOWN
        for backend in BACKENDS.get(name, ("",))
        for device in DEVICES
    }
    assert set(known()) == expected
    assert json.loads(PATH.read_text())["format"] == "rnn-equivalence declarations 1"


def test_the_properties_are_those_that_pytest_collects() -> None:
    """How many tests there are of each, for one target."""
    command = [sys.executable, "-m", "pytest", FOLDER, "--collect-only", "-q", "--framework=reference", "--progress=0",
               "-p", "no:cacheprovider"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    there: dict[str, int] = {}
    for line in done.stdout.splitlines():
        if line.startswith(FOLDER):
            name = line.removeprefix(FOLDER).split("[")[0]
            there[name] = there.get(name, 0) + 1
    assert there == {name: test.tests for name, test in all_tests().items()}
    assert sum(there.values()) == number_for_a_target()


def test_the_corpus_is_asked_whole_and_in_every_mode() -> None:
    asked = corpus.asked()
    assert asked[corpus.PROPERTY].names == tuple(corpus.cases())
    assert len(asked[corpus.TRAJECTORY].names) == 84
    assert {one.mode for one in asked.values()} == set(adapters.FEATURES["mode"])
    assert {len(one.names) for one in asked.values() if one.mode != "eager"} == {12, 18, 21}


def test_the_evidence_imports_no_framework() -> None:
    """Nor the front door's click. Words and features are the adapters', which import none before one is loaded."""
    modules = ("compare.upgrade", "merge", "replay", "verify.again", "verify.verify")
    code = f"import sys, {', '.join(f'evidence.{name}' for name in modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {
        "torch",
        "keras",
        "tensorflow",
        "jax",
        "flax",
        "equinox",
        "mlx",
        "onnx",
        "onnxruntime",
        "openvino",
        "paddle",
        "click",
    }


def test_a_version_is_made_of_the_packages() -> None:
    entry = known()["keras", "jax", "cpu"]
    assert version_of(entry, {"Keras": "3.15.1", "jax": "0.10.2"}) == "3.15.1 on jax 0.10.2"
    assert version_of(known()["torch-onnx", "", "cpu"], {"torch": "2.13.0+cpu", "onnxruntime": "1.31.1"}) == (
        "2.13.0 in ONNX Runtime 1.31.1"
    )
    assert version_of(entry, {}) == "? on jax ?"
