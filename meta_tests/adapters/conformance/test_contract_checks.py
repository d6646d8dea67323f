"""The self-check: each fault of an adapter is seen by the check that is meant for it, and right adapters pass."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adapters
from adapters import Capabilities, Result
from adapters.capabilities import beyond_base
from adapters.conformance.self_check import CHECKS, ask, self_check
from adapters.numpy.adapter import ReferenceAdapter
from meta_tests.common.references import Listing, Mirror, Reusing, Writing

ROOT = Path(__file__).parents[3]


class Nameless(Mirror):
    name = ""


class OneDevice(Mirror):
    def devices(self) -> Any:
        return "cpu"


class BuildsAtOnce(Mirror):
    def __init__(self) -> None:
        super().__init__()
        from adapters.conformance.samples import features, sample

        case = sample(features(self.capabilities))
        self.build(case.spec, case.parameters, "cpu", None)


class Altered(Mirror):
    """Answers what `altered` makes of the right answer."""

    def run(self, module: Any, **inputs: Any) -> Any:
        return self.altered(inputs, super().run(module, **inputs))

    def altered(self, inputs: dict[str, Any], result: Result) -> Any:
        raise NotImplementedError


class PlainTuple(Altered):
    def altered(self, inputs, result):
        return tuple(result[:2])


class StatesLast(Altered):
    def altered(self, inputs, result):
        return Result(result.output, np.moveaxis(result.h_n, 0, -1))


class InFloat64(Altered):
    def altered(self, inputs, result):
        return Result(result.output.astype(np.float64), result.h_n)


class RepeatsTheLast(Altered):
    """Beyond a length it repeats itself, as some frameworks do."""

    def altered(self, inputs, result):
        return Result(np.where(result.output == 0, result.output.max(), result.output), result.h_n)


class Counting(Altered):
    """Each answer depends on how many there were."""

    calls = 0

    def altered(self, inputs, result):
        self.calls += 1
        return Result(result.output / self.calls, result.h_n)


class FixedSize(Mirror):
    """A module of the sizes of its first call, as a compiled one may be."""

    def build(self, spec: Any, parameters: Any, device: str, dtype: str | None) -> Any:
        return {"module": super().build(spec, parameters, device, dtype), "shape": None}

    def run(self, module: Any, **inputs: Any) -> Result:
        module["shape"] = module["shape"] or inputs["x"].shape
        if inputs["x"].shape != module["shape"]:
            raise IndexError("this module is of another size")
        return super().run(module["module"], **inputs)


class ScalesItsParameters(Mirror):
    def build(self, spec: Any, parameters: Any, device: str, dtype: str | None) -> Any:
        module = super().build(spec, parameters, device, dtype)
        parameters[0].w_hh[...] *= 2
        return module


class KeepsTheCallers(Mirror):
    def build(self, spec: Any, parameters: Any, device: str, dtype: str | None) -> Any:
        return spec, parameters


class Stale(Mirror):
    """One module for a spec, with the weights of its first build."""

    def build(self, spec: Any, parameters: Any, device: str, dtype: str | None) -> Any:
        self.kept = getattr(self, "kept", {})
        return self.kept.setdefault((spec, dtype), super().build(spec, parameters, device, dtype))


class Overreaching(Mirror):
    capabilities = Capabilities({("layout", "unbatched"): "there is no such thing"}, offers=(("mask", True),))


class RefusesByKeyError(Overreaching):
    def run(self, module: Any, **inputs: Any) -> Result:
        return {"batch_first": super().run}[inputs["layout"]](module, **inputs)


class Reading(ReferenceAdapter):
    """read finds w_hh transposed."""

    def read(self, module: Any) -> Any:
        spec, cells = super().read(module)
        for cell in cells:
            cell.w_hh[...] = cell.w_hh.T.copy()
        return spec, cells


class WideDense(ReferenceAdapter):
    def dense(self, weight: Any, bias: Any, x: Any, device: str = "cpu") -> Any:
        return super().dense(weight, bias, x, device).astype(np.float64)


PLANTED = {
    Nameless: ("what it says of itself", "its name is '', expected printable text"),
    OneDevice: ("what it says of itself", "devices() is 'cpu', expected at least one name"),
    Listing: ("what it says of itself", "environment() gave list, expected a dict"),
    BuildsAtOnce: ("laziness", "making the adapter called build"),
    PlainTuple: ("shapes and dtypes", "run answered tuple, expected adapters.Result(output, h_n)"),
    StatesLast: ("shapes and dtypes", "forward, batch_first: h_n has shape (4, 6, 2) and dtype float32, expected "
                 "(2, 4, 6), axes (num_layers * num_directions, batch, hidden_size), and float32"),
    InFloat64: ("shapes and dtypes", "output has shape (4, 5, 6) and dtype float64, expected (4, 5, 6)"),
    Writing: ("arguments are left alone", "run changed its argument x"),
    ScalesItsParameters: ("arguments are left alone", "build changed its argument parameters[0] w_hh"),
    Reusing: ("a module can be asked again", "the first answer changed when the second was given"),
    Counting: ("a module can be asked again", "state or dropout is kept between calls"),
    FixedSize: ("a module can be asked other sizes", "IndexError: this module is of another size"),
    RepeatsTheLast: ("zeros beyond lengths", "reverse, lengths mixed: beyond a sequence's length the output is"),
    KeepsTheCallers: ("parameters are copied", "the caller's parameters were changed after build"),
    Stale: ("parameters are copied", "a module built with other parameters gave the same answer"),
    Overreaching: ("what is unsupported is refused", "layout 'unbatched' is declared unsupported (there is no such "
                   "thing), and was answered; expected adapters.Unsupported"),
    RefusesByKeyError: ("what is unsupported is refused", "KeyError: 'unbatched'; expected adapters.Unsupported"),
    Reading: ("round trip", "forward, bias True: parameters[0] w_hh came back with other values"),
    WideDense: ("product and activation", "dense answered (4, 6) float64, expected (4, 6) float32"),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.__name__)
def test_a_fault_of_an_adapter_is_named(planted: type) -> None:
    check, words = PLANTED[planted]
    finding = ask(check, planted(), "cpu", f"{planted.__module__}:{planted.__name__}")
    assert words in str(finding)
    assert f"docs/adapters.md, {CHECKS[check][0]!r}" in str(finding)


def test_a_device_and_a_dtype_that_are_ignored_are_named() -> None:
    finding = ask("devices and dtypes that are not there", KeepsTheCallers())
    assert "build for the device 'no-such-device:0' was answered; expected ValueError" in str(finding)
    assert "build of float64 parameters in float32, which cannot hold them, was answered" in str(finding)


def test_what_is_offered_without_an_argument_for_it_is_named() -> None:
    class Offering(Mirror):
        capabilities = Capabilities(offers=beyond_base())

        def run(self, module: Any, x: Any, h0: Any, lengths: Any, layout: str) -> Result:  # type: ignore[override]
            return super().run(module, x=x, h0=h0, lengths=lengths, layout=layout)

    mode, mask, gradients = ask("what it says of itself", Offering()).problems
    assert mode == ("('mode', 'inference') is offered, and build raised TypeError: Mirror.build() got an unexpected "
                    "keyword argument 'mode'; expected an argument mode")  # fmt: skip
    assert mask.startswith("('mask', True) is offered, and run raised TypeError: ")
    assert mask.endswith("; expected an argument mask")
    assert gradients == "('gradients', True) is offered, and there is no method gradients"


def test_an_undeclared_refusal_is_a_problem() -> None:
    class Refusing(Mirror):
        def run(self, module: Any, **inputs: Any) -> Result:
            raise adapters.Unsupported("not on a Sunday")

    assert "a supported call raised Unsupported: not on a Sunday" in str(ask("shapes and dtypes", Refusing()))


def test_every_check_has_a_planted_fault_and_a_section() -> None:
    assert {check for check, _ in PLANTED.values()} | {"devices and dtypes that are not there"} == set(CHECKS)
    headings = [line[3:] for line in (ROOT / "docs" / "adapters.md").read_text().splitlines() if line[:3] == "## "]
    assert {section for section, _ in CHECKS.values()} <= set(headings)


def test_what_an_adapter_lacks_is_not_checked_and_said() -> None:
    findings = {
        finding.check: finding for finding in self_check(Mirror(), source="meta_tests.common.references:Mirror")
    }
    assert not any(finding.problems for finding in findings.values())
    unchecked = {name for name, finding in findings.items() if finding.unchecked}
    assert unchecked == {"round trip", "product and activation"}
    assert "it has no read" in str(findings["round trip"])


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_prints_every_check_and_exits_with_1_for_a_problem() -> None:
    right = command("adapters", "reference", "--check")
    assert (right.returncode, right.stdout) == (0, "".join(f"{name}: ok\n" for name in CHECKS))
    wrong = command("adapters", "meta_tests.adapters.conformance.test_contract_checks:StatesLast", "--check")
    assert wrong.returncode == 1
    assert "shapes and dtypes: docs/adapters.md, 'Arguments and answers'\n" in wrong.stdout


def test_pytest_asks_it_first_and_an_adapter_without_read_is_judged_by_the_rest() -> None:
    """meta_tests.common.references:Mirror has neither read nor dense: what needs them is skipped, with the reason."""
    run = command(
        "pytest",
        "-v",
        "tests/properties",
        "-k",
        "self_check or primitives or port or empty_batch",
        "-rs",
        "--adapter",
        "meta_tests.common.references:Mirror",
        "--device",
        "cpu",
        "--cases",
        "1",
        "-p",
        "no:cacheprovider",
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    files = re.findall(r"^tests/properties/(\w+\.py)::", run.stdout, re.MULTILINE)
    assert list(dict.fromkeys(files))[:3] == ["test_self_check.py", "test_primitives.py", "test_between_frameworks.py"]
    assert "mirror cpu: the adapter has no read, so no weights are ported from it" in run.stdout


def test_with_isolate_the_self_check_says_how_it_is_run() -> None:
    run = command("pytest", "-q", "-rs", "tests/properties/test_self_check.py", "--isolate",
                  "--adapter=meta_tests.common.references:Mirror", "--device=cpu", "-pno:cacheprovider")  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    assert "python -m rnn_equivalence adapters meta_tests.common.references:Mirror --check" in run.stdout
