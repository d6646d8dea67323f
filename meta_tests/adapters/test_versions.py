"""A version that is older than an adapter takes is refused before it is imported; with --any-version it is tried."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

import adapters
from adapters import versions
from evidence.compare.upgrade import too_old
from rnn_equivalence.commands import commands

ROOT = Path(adapters.__file__).parents[1]
REFUSED = "flax 0.1.0: this adapter needs 0.12.2 or newer; --any-version tries it"
TRIED = "RuntimeError: flax 0.1.0 is imported"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder with a distribution of an old Flax, which says so when it is imported."""
    (tmp_path / "flax-0.1.0.dist-info").mkdir()
    (tmp_path / "flax-0.1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: flax\nVersion: 0.1.0\n")
    (tmp_path / "flax").mkdir()
    (tmp_path / "flax" / "__init__.py").write_text("raise RuntimeError('flax 0.1.0 is imported')\n")
    return tmp_path


COMMANDS = {
    "pytest": ("pytest", "-q", "-p", "no:cacheprovider", "--framework", "flax"),
    "workers": ("pytest", "-q", "-p", "no:cacheprovider", "-n", "1", "--framework", "flax"),
    "run": ("rnn_equivalence", "run", "-q", "-p", "no:cacheprovider", "--framework", "flax"),
    "adapters": ("adapters", "flax", "--check"),
    "front door": ("rnn_equivalence", "adapters", "flax", "--check"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_an_old_version_is_refused_by_name_and_tried_where_any_is(command: tuple[str, ...], old: Path) -> None:
    words = said_by(old, *command)
    assert f"adapter flax: {REFUSED}" in words
    assert "Traceback" not in words
    assert "is imported" not in words
    assert f"adapter flax: {TRIED}" in said_by(old, *command, "--any-version")


def said_by(old: Path, *command: str, **environment: str) -> str:
    """What a command says on both streams, in a fresh interpreter that has the old Flax."""
    paths = os.pathsep.join((str(old), str(ROOT)))
    kept = {name: value for name, value in os.environ.items() if name != versions.ANY_VERSION}
    done = subprocess.run([sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**kept, "PYTHONPATH": paths, **environment}, cwd=ROOT, check=False)  # fmt: skip
    assert done.returncode != 0
    return done.stdout


def test_a_process_of_its_own_hears_of_it(old: Path) -> None:
    child = ("adapters.running.child", "flax")
    assert said_by(old, *child).strip() == f"adapter flax: {REFUSED}"
    assert said_by(old, *child, **{versions.ANY_VERSION: "1"}).strip() == f"adapter flax: {TRIED}"


def test_it_is_listed_as_absent_with_the_words(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, where the path alone has it: nothing is imported."""
    monkeypatch.delenv(versions.ANY_VERSION, raising=False)
    monkeypatch.syspath_prepend(old)
    found = adapters._availability("flax")
    assert found == adapters.Availability("flax", "absent", "0.1.0", (), f"installed, but not usable: {REFUSED}")
    with pytest.raises(adapters.LoadError, match=f"^adapter flax: {REFUSED}$") as raised:
        adapters.load("flax")
    assert raised.value.absent


@pytest.mark.parametrize(
    ("version", "taken"),
    [
        *[(taken, True) for taken in ("3.5", "3.5.0", "3.5.0rc1", "3.5+own", "3.15.1", "3.100", "4.0", "20.1.dev3")],
        *[(refused, False) for refused in ("3.0.0", "3.4.1", "3", "2.15.0", "0.1", "unknown")],
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, taken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(versions.ANY_VERSION, raising=False)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    if taken:
        versions.expect_versions("keras")
    else:
        with pytest.raises(ImportError, match=rf"^keras {version}: this adapter needs 3\.5 or newer; "):
            versions.expect_versions("keras")
    versions.expect_versions("my.module:Adapter")


def test_every_adapter_of_a_framework_has_its_oldest_versions() -> None:
    assert {name.partition(" on ")[0] for name in versions.OLDEST} == set(adapters.KNOWN) - {"reference"}
    for name, needs in versions.OLDEST.items():
        if name in adapters.KNOWN:
            assert adapters.KNOWN[name][1] in needs


def test_an_upgrade_says_at_once_what_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(versions.ANY_VERSION, raising=False)
    assert too_old("keras==3.0.0") == "keras 3.0.0: this adapter needs 3.5 or newer; --any-version tries it"
    for requirement in ("keras==3.5.0", "keras==3.*", "keras>=3.0", "keras", "numpy==1.26.4", "keras[extra]==3.0"):
        assert not too_old(requirement), requirement
    monkeypatch.setenv(versions.ANY_VERSION, "")
    commands.commands["upgrade"].make_context(
        "upgrade", ["--from", "keras==3.0", "--to", "keras==3.5", "--any-version"]
    )
    assert not too_old("keras==3.0.0")
