"""The sessions of declared minima, and of one framework alone, leave out nothing that pyproject.toml declares."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from adapters.versions import OLDEST, TORCH
from meta_tests.minima import PROJECT, WITH_EVERY_EXTRA, declared, lowest

ROOT = Path(__file__).parents[2]
OPTIONAL = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
TOOLS = (
    "wheel",
    "benchmark",
    "lint",
    "docs",
    "mutation",
)  # who works on the project itself has those of constraints.txt


def pins(file: str) -> dict[str, str]:
    """Package -> the version that a file of constraints pins."""
    found = re.findall(r"^([^=#\s]+)==(\S+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def named(word: str) -> dict[str, str]:
    """What the noxfile says by this word."""
    body = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body
    (found,) = (ast.literal_eval(node.value) for node in body if isinstance(node, ast.Assign)
                and ast.unparse(node.targets[0]) == word)  # fmt: skip
    return found


PINNED = pins("constraints.txt")
APART = {extra: pins(file) for extra, file in named("APART").items()}


def frameworks() -> list[str]:
    """The extras that the noxfile names, in its order."""
    return list(named("FRAMEWORKS"))


def test_every_extra_is_installed_by_a_session() -> None:
    assert {*frameworks(), "all", "dev", "keras-export", *WITH_EVERY_EXTRA, *TOOLS} == set(OPTIONAL)


def test_the_workflow_runs_a_session_for_each() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    matrices = [re.findall(r"[\w-]+", found) for found in re.findall(r"extra: \[([^\]]*)\]", text)]
    assert matrices == [frameworks(), [*frameworks(), "all"]]
    assert 'nox -s "alone(${{ matrix.extra }})"' in text
    assert 'nox -s "minima(${{ matrix.extra }})"' in text


@pytest.mark.parametrize("extra", [*frameworks(), "all"])
def test_every_declared_dependency_is_installed_at_its_minimum(extra: str) -> None:
    pins = {pin.name: pin for pin in map(Requirement, lowest(declared(extra)))}
    asked = [Requirement(text) for text in declared(extra)]
    assert {canonicalize_name(one.name) for one in asked} == set(pins)
    assert {canonicalize_name(Requirement(text).name) for text in OPTIONAL[extra]} <= set(pins)
    for one in asked:
        (pin,) = pins[canonicalize_name(one.name)].specifier
        assert pin.operator == "=="
        assert pin.version in one.specifier


# extra -> what of adapters/versions.py it is for
ADAPTERS = {
    "tensorflow": ("keras", "keras on tensorflow"),
    "jax": ("keras", "keras on jax"),
    "keras-torch": ("keras", "keras on torch"),
    "keras-numpy": ("keras", "keras on numpy"),
    "keras-openvino": ("keras", "keras on openvino"),
    "all": ("torch", "keras", "keras on tensorflow"),
}


@pytest.mark.parametrize("extra", [*frameworks(), "all"])
def test_what_is_older_than_an_extra_allows_is_refused(extra: str) -> None:
    """And nothing else is; of torch, no older release was run, and some are tried all the same."""
    taken = {name: version for adapter in ADAPTERS.get(extra, (extra,)) for name, version in OLDEST[adapter].items()}
    asked = {one.name: next(iter(one.specifier)).version for one in map(Requirement, OPTIONAL[extra])}
    if "torch" in taken:
        assert (taken.pop("torch"), asked.pop("torch")) == (TORCH, "2.13")
    assert taken == {name: version for name, version in asked.items() if name not in ("numpy", "ml_dtypes")}


@pytest.mark.parametrize("extra", [name for name in OPTIONAL if name != "dev"])
def test_the_pinned_versions_are_not_below_the_minima(extra: str) -> None:
    for one in map(Requirement, declared(extra)):
        if extra not in APART or one.name != "distributed":  # campaigns are run where frameworks are together
            assert APART.get(extra, PINNED)[canonicalize_name(one.name)] in one.specifier, one


def test_the_table_of_adapters_has_their_minima() -> None:
    """Of Keras, what each backend needs stands behind its name."""
    text = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| [^|]+ \|([^|]*)\|$", text, re.MULTILINE))
    own, *backends = rows.pop("keras").split(";")
    told = {name: needs.strip() for name, needs in rows.items()} | {"keras": own.strip()}
    told |= {f"keras {' '.join(words[:2]).lower()}": " ".join(words[2:]) for words in map(str.split, backends)}
    told.pop("reference")
    assert told == {
        name: ", ".join(f"{package} {version}" for package, version in needs.items()) for name, needs in OLDEST.items()
    }


def test_constraints_apart_are_the_common_ones_but_for_what_keeps_them_apart() -> None:
    differing = {extra: [name for name, version in mine.items() if PINNED.get(name, version) != version]
                 for extra, mine in APART.items()}  # fmt: skip
    assert differing == {"paddle": ["opt-einsum"]}


def test_of_two_minima_the_greater_is_installed_whatever_the_spelling() -> None:
    assert lowest(["ml_dtypes>=0.4", "a>=1.10", "ml-dtypes>=0.5.4", "a>=1.9"]) == ["ml-dtypes==0.5.4", "a==1.10"]


@pytest.mark.parametrize("text", ["a", "a==1", "a>=1,<2", "a[b]>=1", "a>=1; python_version > '3'"])
def test_a_requirement_without_one_minimum_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="expected name>=version"):
        lowest([text])
