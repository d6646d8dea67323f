"""Which adapters there are: nothing is imported before it is needed, and what is absent says so and how to get it."""

from __future__ import annotations

import abc
import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import adapters
from meta_tests.common.frameworks import framework_adapter

ROOT = Path(adapters.__file__).parents[1]
EXPECTED = f"expected one of {', '.join(adapters.KNOWN)}, or module:Class"
REPORT = """
import json
import adapters
problems = {}
for name in adapters.KNOWN:
    try:
        adapters.load(name)
    except ImportError as error:
        problems[name] = str(error)
found = {a.name: [a.state, a.version, a.devices, a.problem] for a in adapters.available()}
print(json.dumps([found, problems]))
"""


def python(code: str, *flags: str, path: Path | None = None, **environment: str) -> str:
    """What a fresh interpreter prints; `path` comes before the repository's root on its module path."""
    paths = [str(p) for p in (path, ROOT) if p is not None]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment}
    done = subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_adapters_imports_no_framework():
    loaded = python("import sys, adapters, adapters.running.trial; print(*sys.modules)").split()
    assert "adapters.running.trial" in loaded
    frameworks = {"torch", "keras", "tensorflow", "jax", "flax", "equinox", "mlx", "onnx", "onnxruntime", "openvino",
                  "tract", "ai_edge_litert", "tf_keras", "paddle"}  # fmt: skip
    assert frameworks.isdisjoint(loaded)


def test_importing_reference_imports_only_numpy_and_the_standard_library():
    code = (
        "import sys, numpy; before = set(sys.modules); import reference; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(*(new - set(sys.stdlib_module_names) - {'numpy'}))"
    )
    assert python(code).split() == ["reference"]


def test_every_framework_is_listed_with_version_and_devices():
    """The reference is none: where there is no framework, there is nothing to judge."""
    found = {a.name: a for a in adapters.available()}
    assert [*found, "reference"] == list(adapters.KNOWN)
    for name, availability in found.items():
        if availability.loads:
            adapter = adapters.load(name)
            assert availability == adapters.Availability(name, "loads", adapter.version, adapter.devices())
            assert availability.devices[0] == "cpu"
        else:
            assert availability.problem


def test_versions_are_the_frameworks_own():
    torch, keras = framework_adapter("torch"), framework_adapter("keras")
    backend = keras.framework.backend.backend()
    assert torch.version == torch.framework.__version__
    assert keras.version.startswith(f"{keras.framework.__version__} on {backend} ")
    assert keras.version.split()[-1][0].isdigit()


def test_absent_frameworks_are_reported_with_how_to_install_them(tmp_path: Path):
    """An interpreter without site-packages, given NumPy and ml_dtypes alone: the frameworks are really absent."""
    for package in (np, ml_dtypes):
        home = Path(package.__file__).parent
        for there in (home, home.with_name(f"{home.name}.libs")):
            if there.exists():
                (tmp_path / there.name).symlink_to(there)
    found, problems = json.loads(python(REPORT, "-S", path=tmp_path))
    assert found == {
        name: ["absent", None, [], f"{distribution} is not installed: {install}"]
        for name, (_, distribution, install) in adapters.KNOWN.items()
        if name not in adapters.ONLY_NAMED
    }
    assert found["keras"][3] == "keras is not installed: pip install keras tensorflow"
    # the first that is imported
    needed = {"onnxruntime": "onnx", "openvino": "onnx", "torch-onnx": "onnxruntime", "tract": "onnx",
              "litert": "keras"}  # fmt: skip
    words = {name: f"No module named {needed.get(name, name)!r}" for name in found}  # the reference needs no framework
    assert {name: problems[name] for name in found} == {
        name: f"adapter {name}: {word}; {adapters.KNOWN[name][2]}" for name, word in words.items()
    }


def test_an_installed_framework_that_fails_to_import_is_reported():
    framework_adapter("keras")
    framework_adapter("flax")
    broken = "import sys; sys.modules.update(dict.fromkeys(['tensorflow', 'torch', 'jax']))\n" + REPORT
    found, problems = json.loads(python(broken, KERAS_BACKEND="tensorflow"))
    for name in ("torch", "keras"):
        state, version, devices, problem = found[name]
        assert (state, devices) == ("absent", []), "a package is hidden: nothing that is there failed"
        assert version
        assert problem.startswith("installed, but not usable: ")
        assert problems[name].endswith(adapters.KNOWN[name][2])


class Fake:
    version = "9.9+own"

    def devices(self) -> tuple[str, ...]:
        return ("cpu", "cuda:0")


def test_what_is_available_is_told_apart(monkeypatch: pytest.MonkeyPatch):
    """The same in this process: absent, installed and broken, and there."""
    known = {name: (f"{name}:Adapter", f"dist-{name}", f"pip install {name}") for name in ("absent", "broken", "there")}

    def version(distribution: str) -> str:
        if distribution == "dist-absent":
            raise importlib.metadata.PackageNotFoundError
        return f"version of {distribution}"

    def load(name: str) -> Fake:
        if name == "broken":
            raise RuntimeError("no such symbol")
        assert name == "there"
        return Fake()

    monkeypatch.setattr(adapters, "KNOWN", known)
    monkeypatch.setattr(adapters, "load", load)
    monkeypatch.setattr(importlib.metadata, "version", version)
    assert adapters.available() == [
        adapters.Availability("absent", "absent", None, (), "dist-absent is not installed: pip install absent"),
        adapters.Availability("broken", "crashed", "version of dist-broken", (),
                              "installed, but fails: RuntimeError: no such symbol"),
        adapters.Availability("there", "loads", "9.9+own", ("cpu", "cuda:0"), ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("theano", ValueError, rf"adapter: got 'theano', {EXPECTED}"),
        ("no_such_module:Adapter", ImportError, r"adapter no_such_module:Adapter: No module named 'no_such_module'"),
        ("json:Adapter", ImportError, r"adapter json:Adapter: json has no 'Adapter'"),
        ("theanos:", ValueError, rf"adapter: got 'theanos:', {EXPECTED}"),
        ("json:a:b", ValueError, rf"adapter: got 'json:a:b', {EXPECTED}"),
        ("../x.py:Class", ValueError, rf"adapter: got '\.\./x\.py:Class', {EXPECTED}"),
        (":Class", ValueError, rf"adapter: got ':Class', {EXPECTED}"),
        ("", ValueError, rf"adapter: got '', {EXPECTED}"),
        ("torhc", ValueError, rf"adapter: got 'torhc', {EXPECTED}; did you mean 'torch'\?"),
        ("os:path", ImportError, r"adapter os:path: path of os is a module, expected a class"),
        (
            "meta_tests.adapters.test_available:Abstract",
            ImportError,
            r"adapter \S+: TypeError: Can't instantiate abstract class .*",
        ),
        ("meta_tests.adapters.test_available:Leaving", ImportError, r"adapter \S+: SystemExit: 3"),
    ],
)
def test_an_unknown_adapter_is_an_error(name: str, error: type[Exception], message: str):
    with pytest.raises(error, match=f"^{message}$"):
        adapters.load(name)


def test_an_adapter_of_ones_own_is_loaded_by_module_and_class():
    assert adapters.load("meta_tests.adapters.test_available:Own").name == "own"


class Own:
    """The least that load asks of an adapter."""

    name = "own"


class Abstract(abc.ABC):
    @abc.abstractmethod
    def run(self) -> None: ...


class Leaving:
    def __init__(self) -> None:
        sys.exit(3)


@pytest.mark.parametrize(("content", "state"), [("raise ImportError('libbroken.so')\n", "crashed"), (None, "absent")])
def test_a_package_that_nobody_installed_is_there_if_it_can_be_imported(
    content: str | None, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder on the path, which no package manager knows of: what is in it fails, or nothing is."""
    folder = tmp_path / "strayed"
    folder.mkdir()
    if content is not None:
        (folder / "__init__.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(adapters, "KNOWN", {"strayed": ("strayed:Adapter", "strayed", "pip install strayed")})
    (found,) = adapters.available()
    assert (found.state, found.version) == (state, None)
    assert ("libbroken.so" if content else "strayed is not installed: pip install strayed") in found.problem


def test_what_is_compiled_is_kept_where_the_user_has_said_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, *others = adapters.JAX_KEEPS, *adapters.JAX_KEEPS_ALL
    for variable in (name, *others):
        monkeypatch.setenv(variable, "given")
    adapters.keep_compiled(tmp_path / "compiled")
    assert os.environ[name] == "given"
    for variable in (name, *others):
        monkeypatch.delenv(variable)
    (tmp_path / "file").touch()
    for installed, folder in ((None, tmp_path / "compiled"), (object(), tmp_path / "file" / "compiled")):
        monkeypatch.setattr(adapters, "find_spec", lambda _name, installed=installed: installed)
        adapters.keep_compiled(folder)
        assert not {name, *others} & os.environ.keys()
        assert not folder.exists()
    adapters.keep_compiled(tmp_path / "out" / "compiled")
    assert Path(os.environ[name]).is_dir()
    assert {name, *others} < os.environ.keys()
