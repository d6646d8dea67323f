"""The command line, run as its user runs it: what is named and absent is an error, and a planted fault is found."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from pathlib import Path

import pytest

import adapters
from adapters import FEATURES
from evidence.record.ledger import AXES, Ledger
from evidence.verify.questions import number_for_a_target
from harness import targets as choosing
from harness.summary import Summary
from harness.target import Target
from meta_tests.common.faulty import Faithful
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.process import suite
from reference.faults import FAULTS

REFERENCES = "meta_tests.common.references"
MIRROR = ("--adapter", f"{REFERENCES}:Mirror")
EQUIVALENCE = "tests/properties/test_equivalence.py"
PLANTED_IN = "reference"  # so that no framework is loaded


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--framework", "mxnet"], f"--framework: got 'mxnet', expected one of {', '.join(adapters.KNOWN)}"),
        ([*MIRROR, "--device", "tpu"], "has no 'tpu', only cpu, cuda"),
        ([*MIRROR, "--cases", "0"], "--cases: got 0, expected at least 1"),
        (
            [*MIRROR, "--adapter", f"{REFERENCES}:Doubling"],
            f"{REFERENCES}:Mirror: another adapter is named 'mirror' too",
        ),
    ],
)
def test_what_is_named_and_absent_is_an_error(arguments: list[str], words: str) -> None:
    run = suite(EQUIVALENCE, "--collect-only", *arguments)
    assert run.returncode == pytest.ExitCode.USAGE_ERROR, run.stdout + run.stderr
    assert words in run.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such_module:Adapter", "adapter no_such_module:Adapter: No module named 'no_such_module'"),
        ("meta_tests.common.faulty:NoSuch", "meta_tests.common.faulty has no 'NoSuch'"),
        ("meta_tests.common.faulty:Unloadable", "meta_tests.common.faulty:Unloadable: RuntimeError: no licence found"),
        ("meta_tests.common.faulty:Undeclared", "its capabilities is None, expected Capabilities"),
    ],
)
def test_an_adapter_that_cannot_be_used_is_an_error(name: str, words: str) -> None:
    framework_adapter("torch")
    with pytest.raises(pytest.UsageError, match=re.escape(words)):
        choosing.load(name)


def test_an_adapter_without_devices_is_an_error() -> None:
    framework_adapter("torch")
    with pytest.raises(pytest.UsageError, match=r"NoDevices: devices\(\) is empty, expected at least one"):
        choosing.devices(choosing.load("meta_tests.common.faulty:NoDevices"), [], "meta_tests.common.faulty:NoDevices")


def test_a_named_framework_that_is_not_installed_says_how_to_install_it() -> None:
    run = suite(EQUIVALENCE, "--collect-only", "--framework", "torch", before="sys.modules['torch'] = None")
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "pip install torch" in run.stderr


def test_a_framework_that_is_absent_is_counted_as_absent() -> None:
    framework_adapter("keras")
    mirror = (MIRROR[1], "numpy", "")  # frameworks take long to load
    two = f"import adapters; adapters.KNOWN = {{'keras': adapters.KNOWN['keras'], 'mirror': {mirror}}}"
    hidden = f"sys.modules['keras'] = None; {two}"
    run = suite(EQUIVALENCE, "-k", "empty_batch and float32", before=hidden)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "absent" in run.stdout
    assert "import of keras halted" in run.stdout


# one of each family, and of each way in which an adapter itself can be wrong
PLANTED = {
    **{
        name: f"diagnosis: agrees with the reference if {FAULTS[name].says} (error "
        for name in ("w_hh_transposed", "b_hh_ignored", "top_layer_skipped", "x_of_the_next_row", "h0_ignored",
                     "direction_ignored", "lengths_ignored", "products_in_tf32", "halves_exchanged")
    },
    "ChangesItsInput": "disagrees: the adapter changed its arguments",
    "Overreaching": "declared unsupported, but answered: direction bidirectional: planted",
    "Refusing": "not offered: lengths: planted",
    "BatchAxisKept": "disagrees (shape)",
    "AnswersInFloat64": "disagrees (dtype)",
    "Crashing": "crashed: MemoryError: no memory for this sequence",
}  # fmt: skip
RUNS = (list(PLANTED)[:3], list(PLANTED)[3:])  # which take as long


@functools.cache
def planted_run(*names: str) -> subprocess.CompletedProcess[str]:
    """A run of these faults, each in an adapter of its own."""
    planted = [f"--adapter=meta_tests.common.faulty:{name}" for name in names]
    return suite(f"{EQUIVALENCE}::test_answers_agree_with_the_reference", "-k", "bidirectional and float32",
                 "--no-shrink", *planted, environment={"RNN_PLANTED_IN": PLANTED_IN})  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_makes_the_run_fail(fault: str) -> None:
    """And the failure says what is wrong, and how to run the case again. The wrapping alone changes nothing."""
    names = next(names for names in RUNS if fault in names)
    run = planted_run(*names, "Faithful")
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout[-3000:] + run.stderr
    assert f"{len(names)} failed, 1 passed" in run.stdout
    failures = run.stdout.split("equivalence: ")
    failure = next(text for text in failures[1:] if f"{fault} planted in {PLANTED_IN}" in text)
    assert PLANTED[fault] in failure
    assert (
        fault == "Overreaching"
        or f"replay: python -m rnn_equivalence adapters meta_tests.common.faulty:{fault}" in failure
    )


def test_an_honest_adapter_that_can_do_little_passes(tmp_path: Path) -> None:
    """It is asked for nothing that it declares unsupported, but to refuse it; and the table says what it cannot do.

    This is a whole run: its counts are enforced, and its record says that nothing was left out.
    """
    run = suite("-vv", "--cases=1", "-n0", "--adapter=meta_tests.common.faulty:Limited",
                f"--evidence={tmp_path / 'run.json'}", environment={"RNN_PLANTED_IN": PLANTED_IN})  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    end = json.loads((tmp_path / "run.json").read_text(encoding="utf-8").splitlines()[-1])
    assert end["selection"] == ""
    assert sum(end["tests"].values()) == number_for_a_target()
    assert "Every supported combination and feature got at least one case that agrees." in run.stdout
    assert "Limited cpu: direction bidirectional is not offered: planted" in run.stdout


def test_a_supported_combination_without_a_case_makes_the_run_fail() -> None:
    run = suite(*MIRROR, "--override-ini", "testpaths=meta_tests/harness/test_scale.py")
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout[-3000:] + run.stderr
    assert "supported combinations got no case that agrees" in run.stdout
    assert "mirror cpu: elman, reverse, time_first, float32" in run.stdout


@pytest.mark.parametrize("filled", ["agrees", "finding", "left out"])
def test_only_a_case_that_agrees_or_that_a_finding_covers_fills_a_combination(filled: str) -> None:
    framework_adapter("torch")
    target, ledger = Target(Faithful(), "cpu", Ledger(), "meta_tests.common.faulty:Faithful"), Ledger()
    everything = {name: values[-1] for name, values in FEATURES.items()} | {"cell": "elman"}
    combination = ", ".join(str(everything[name]) for name in AXES)
    for outcome in ("vacuous", "refused", "not offered", "disagrees", "crashed"):
        ledger.record(target.label, "equivalence", everything, outcome)
        assert f"{target.label}: {combination}" in Summary([target], [], ledger).missing()
    ledger.record(target.label, "equivalence", everything, filled)
    assert f"{target.label}: {combination}" not in Summary([target], [], ledger).missing()


def test_the_counts_of_two_processes_add_up() -> None:
    one, two = Ledger(), Ledger()
    features = {name: values[0] for name, values in FEATURES.items()}
    for ledger in (one, two, two):
        ledger.record("torch cpu", "equivalence", features, "agrees")
    one.figure("torch cpu", "error / bound", 0.25)
    two.figure("torch cpu", "error / bound", 0.5)
    one.merge(two.dump())
    assert one.figures == {("torch cpu", "error / bound"): 0.5}
    assert one.outcomes("torch cpu") == {"agrees": 3}
    assert one.cases("torch cpu", "bias", True, "agrees") == 3
