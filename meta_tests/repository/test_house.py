"""The house keeps its shape: dependencies run one way, frameworks are named in one place, no tolerance is chosen."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

import adapters
import reference

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {"torch", "keras", "tensorflow", "jax", "jaxlib", "flax", "equinox", "mlx", "onnx", "onnxruntime",
              "openvino", "tract", "ai_edge_litert", "tf_keras", "paddle"}  # fmt: skip
OURS = {
    "reference",
    "adapters",
    "evidence",
    "findings",
    "harness",
    "tests",
    "meta_tests",
    "benchmarks",
    "rnn_equivalence",
}
TESTING = {"numpy", "ml_dtypes", "hypothesis", "pytest"}
# what each room may import of ours, and beyond the standard library
ALLOWED = {
    "reference": ({"reference"}, {"numpy", "ml_dtypes"}),
    "adapters": ({"reference", "adapters"}, {"numpy", "ml_dtypes", *FRAMEWORKS}),
    "evidence": (
        # adapters for the words and features; meta_tests/evidence/verify/test_declarations.py: no framework
        {"reference", "adapters", "findings", "evidence"},
        {"numpy", "ml_dtypes", "rich", "pydantic", "jinja2", "markupsafe", "matplotlib"},
    ),
    "findings": ({"reference", "adapters", "findings"}, {"numpy"}),
    "harness": (
        {"reference", "adapters", "findings", "evidence", "harness"},
        {*TESTING, "rich", "dask", "distributed"},
    ),
    "tests": ({"reference", "adapters", "findings", "evidence", "harness", "tests"}, TESTING),
    "meta_tests": (OURS, {*TESTING, "rich", "packaging", "flint", "pydantic"}),
    "benchmarks": ({"reference", "adapters", "harness", "benchmarks"}, {"numpy", "pytest", "pytest_benchmark"}),
    "docs": (set(), set()),
    "rnn_equivalence": (OURS - {"tests", "meta_tests", "benchmarks"}, {"pytest", "click"}),
}
ROOMS = [room for room in ALLOWED if (ROOT / room).is_dir()]


def imported(source: str) -> set[str]:
    """The top-level packages that a module imports by absolute name, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def forbidden(room: str, source: str) -> set[str]:
    """What a module of `room` imports and must not."""
    ours, others = ALLOWED[room]
    return imported(source) - ours - others - set(sys.stdlib_module_names)


def modules(room: str) -> dict[str, str]:
    """The source of every module of a room, by its path."""
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in (ROOT / room).rglob("*.py")}


@pytest.mark.parametrize("room", ROOMS)
def test_dependencies_run_one_way(room: str) -> None:
    """reference <- adapters <- harness <- tests. Frameworks are imported in adapters alone."""
    found = {path: forbidden(room, source) for path, source in modules(room).items()}
    assert found
    assert not {path: names for path, names in found.items() if names}


def test_every_room_has_its_row() -> None:
    tracked = subprocess.run(["git", "ls-files", "*/*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {path.split("/")[0] for path in tracked.stdout.splitlines()} <= set(ALLOWED)


@pytest.mark.parametrize(
    ("room", "source", "wrong"),
    [
        ("reference", "import scipy", {"scipy"}),
        ("reference", "def f():\n    from adapters import load", {"adapters"}),
        ("adapters", "from harness import target", {"harness"}),
        ("adapters", "from findings import Finding", {"findings"}),
        ("findings", "from evidence.record import lines", {"evidence"}),
        ("evidence", "import torch", {"torch"}),
        ("evidence", "from harness import target", {"harness"}),
        ("harness", "from tests.frameworks import array_of", {"tests"}),
        ("tests", "import torch.nn as nn", {"torch"}),
        ("tests", "from meta_tests.common import records", {"meta_tests"}),
        ("meta_tests", "def f():\n    import keras", {"keras"}),
        ("rnn_equivalence", "import meta_tests", {"meta_tests"}),
        ("tests", "import os\nfrom .draws import Draw\nfrom harness import target", set()),
    ],
)
def test_that_test_would_fail(room: str, source: str, wrong: set[str]) -> None:
    assert forbidden(room, source) == wrong


def twice(paths: Iterable[str]) -> list[str]:
    """The names that more than one test file has, wherever they lie."""
    names = Counter(name for path in paths if (name := Path(path).name).startswith("test_"))
    return sorted(name for name, times in names.items() if times > 1)


def test_no_two_test_files_have_one_name() -> None:
    """A failing test is known by its file's name; these do not tell it apart."""
    assert twice(path for room in ROOMS for path in modules(room)) == []
    assert twice(["a/test_x.py", "a/x.py", "b/test_x.py", "b/x.py"]) == ["test_x.py"]


# words for what became of a thing; a module is named after the thing
PARTICIPLE = re.compile(r"(^|_)(judged|drawn|printed|recorded|reported|redrawn|narrowed|merged|planted)(_|$)")


def test_modules_are_named_after_things() -> None:
    named = [path for room in ROOMS for path in modules(room) if not Path(path).name.startswith("test_")]
    assert [path for path in named if PARTICIPLE.search(Path(path).stem)] == []
    assert [name for name in ("judged", "as_drawn", "redrawn_x", "draws", "record") if PARTICIPLE.search(name)] == [
        "judged", "as_drawn", "redrawn_x",
    ]  # fmt: skip


def test_the_packages_are_those_of_this_repository() -> None:
    """`adapters` is also the import name of a package on the index: a wheel puts ours below rnn_equivalence/suite."""
    for module in (adapters, reference):
        assert Path(str(module.__file__)).parents[1] == ROOT
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["rnn_equivalence"]
    assert {f"rnn_equivalence/suite/{path}" for path in wheel["force-include"]} == {*wheel["force-include"].values()}
    assert {"reference", "adapters", "findings", "harness", "evidence", "tests"} <= {*wheel["force-include"]}


TOLERANCE = re.compile(r"\b(rtol|atol|rel_tol|abs_tol|rel|abs|decimal|places)\s*=\s*(?!0[,) ])[0-9.]+(e-?[0-9]+)?")


def tolerances(source: str) -> list[str]:
    """Lines that choose a number for a tolerance, or call pytest.approx, which has one."""
    return [
        line.strip()
        for line in source.splitlines()
        if TOLERANCE.search(line) or "approx(" in line.replace('"approx(" in', "")
    ]


def test_no_tolerance_is_chosen_outside_the_bounds() -> None:
    found = {
        path: tolerances(source)
        for room in ROOMS
        for path, source in modules(room).items()
        if "bounds" not in path.split("/") and ROOT / path != Path(__file__)
    }
    assert not {path: lines for path, lines in found.items() if lines}


def test_that_test_too_would_fail() -> None:
    assert tolerances("np.allclose(a, b, rtol=1e-5)")
    assert tolerances("np.allclose(a, b, atol = .5)")
    assert tolerances("a == pytest.approx(b)")
    assert not tolerances("np.allclose(actual, expected, rtol=0, atol=bound)")


def test_every_test_that_the_documents_name_exists() -> None:
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    named = [m for path in documents for m in re.findall(r"((?:meta_)?tests/[\w/]+\.py)::(\w+)", path.read_text())]
    assert named
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).exists() or f"def {name}(" not in (ROOT / path).read_text()
    ]
    assert not missing
