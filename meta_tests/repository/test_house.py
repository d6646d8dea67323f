"""The house keeps its shape: dependencies run one way, frameworks are named in one place, no tolerance is chosen."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

import adapters
import reference

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {"torch", "keras", "tensorflow", "jax", "jaxlib", "flax", "onnx", "onnxruntime", "openvino"}
OURS = {"reference", "adapters", "evidence", "tests", "benchmarks", "conftest"}
# what each package may import of ours, and beyond the standard library
ALLOWED = {
    "reference": ({"reference"}, {"numpy"}),
    "adapters": ({"reference", "adapters"}, {"numpy", "ml_dtypes", *FRAMEWORKS}),
    "evidence": (
        {
            "reference",
            "evidence",
            "adapters",
        },  # for words and features; meta_tests/evidence/verify/test_declarations.py: no framework
        {"numpy", "ml_dtypes", "rich", "pydantic", "jinja2", "markupsafe", "matplotlib"},
    ),
    "tests": (OURS, {"numpy", "ml_dtypes", "hypothesis", "packaging", "pytest", "rich", "flint"}),
    "benchmarks": ({"reference", "adapters", "tests", "benchmarks"}, {"numpy", "pytest", "pytest_benchmark"}),
}


def imported(source: str) -> set[str]:
    """The top-level packages that a module imports by absolute name, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def forbidden(package: str, source: str) -> set[str]:
    """What a module of `package` imports and must not."""
    ours, others = ALLOWED[package]
    return imported(source) - ours - others - set(sys.stdlib_module_names)


@pytest.mark.parametrize("package", ALLOWED)
def test_dependencies_run_one_way(package: str) -> None:
    modules = sorted((ROOT / package).rglob("*.py"))
    assert modules
    wrong = {str(path.relative_to(ROOT)): found for path in modules if (found := forbidden(package, path.read_text()))}
    assert not wrong


def test_that_test_would_fail() -> None:
    assert forbidden("reference", "import scipy") == {"scipy"}
    assert forbidden("reference", "def f():\n    from adapters import load") == {"adapters"}
    assert forbidden("evidence", "import torch") == {"torch"}
    assert forbidden("tests", "import torch.nn as nn") == {"torch"}
    assert not forbidden("tests", "import os\nfrom .draws import Draw")


def test_the_packages_are_those_of_this_repository() -> None:
    """`adapters` is also the import name of a package on the index: a wheel puts ours below rnn_equivalence/suite."""
    for module in (adapters, reference):
        assert Path(str(module.__file__)).parents[1] == ROOT
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["rnn_equivalence"]
    assert {f"rnn_equivalence/suite/{path}" for path in wheel["force-include"]} == {*wheel["force-include"].values()}
    assert {"reference", "adapters", "harness", "evidence", "tests"} <= {*wheel["force-include"]}


TOLERANCE = re.compile(r"\b(rtol|atol|rel_tol|abs_tol|rel|abs|decimal|places)\s*=\s*(?!0[,) ])[0-9.]+(e-?[0-9]+)?")


def tolerances(source: str) -> list[str]:
    """Lines that choose a number for a tolerance, or call pytest.approx, which has one."""
    return [
        line.strip()
        for line in source.splitlines()
        if TOLERANCE.search(line) or "approx(" in line.replace('"approx(" in', "")
    ]


def test_no_tolerance_is_chosen_outside_the_bounds() -> None:
    modules = [path for package in ALLOWED for path in (ROOT / package).rglob("*.py")]
    modules = [path for path in modules if "bounds" not in path.parts and path != Path(__file__)]
    wrong = {str(path.relative_to(ROOT)): found for path in modules if (found := tolerances(path.read_text()))}
    assert not wrong


def test_that_test_too_would_fail() -> None:
    assert tolerances("np.allclose(a, b, rtol=1e-5)")
    assert tolerances("np.allclose(a, b, atol = .5)")
    assert tolerances("a == pytest.approx(b)")
    assert not tolerances("np.allclose(actual, expected, rtol=0, atol=bound)")


def test_every_test_that_the_documents_name_exists() -> None:
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    named = [m for path in documents for m in re.findall(r"(tests/[\w/]+\.py)::(\w+)", path.read_text())]
    assert named
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).exists() or f"def {name}(" not in (ROOT / path).read_text()
    ]
    assert not missing
