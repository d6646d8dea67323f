"""An upgrade before it is made: the corpus in two fresh environments, and what changed between them."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import tomllib
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from reference import limits
from reference.files import read_text, write_atomically

from ..record.environment import ROOT, USER_FOLDER
from ..record.journal import now
from ..record.reader import read
from ..record.runs import Unusable
from .changes import json_parts, show, to_markdown
from .difference import difference

LONGEST = 1_000  # characters of one constraint
CORPUS = "tests/properties/test_corpus.py"
PINS = ROOT / "constraints.txt"
OUTPUT = USER_FOLDER / "out" / "upgrade"
# pinned whatever else has to give way; torch, because an open range would pull gigabytes that the corpus never runs
TOOLS = ("hypothesis", "pytest", "pytest-xdist", "rich", "torch")
BACKENDS = ("tensorflow", "jax", "torch")  # extras of pyproject.toml that can stand below Keras


def package(requirement: str) -> str:
    """The normalised name of a requirement's package."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]).lower()


def _packages(*requirements: str) -> set[str]:
    return set(map(package, requirements))


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# An extra -> its packages, without those that the suite needs whatever it judges
FRAMEWORKS = {
    extra: [name for name in map(package, PROJECT["optional-dependencies"][extra])
            if name not in _packages(*PROJECT["dependencies"])]
    for extra in (*BACKENDS, "flax", "onnx", "onnxruntime", "openvino", "torch-onnx")
}  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One side of an upgrade.

    folder: its environment.  record: what the run there leaves.
    asked: requirements as the user wrote them, or one constraints file.
    requirements: what pip is asked for.  pins: constraints that the user gave, line by line.
    """

    name: str
    folder: Path
    record: Path
    asked: tuple[str, ...]
    requirements: tuple[str, ...]
    pins: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin") / "python"


def command(old: Sequence[str], new: Sequence[str], output: Path | None = None) -> int:
    """Record the corpus on both sides, print the difference, keep the files. 0 is go, 1 no-go.

    All packages but those named are the same on both sides, as far as pip can make them so; the difference lists
    what is not. Raises Unusable where an environment cannot be made, or the corpus not be run in it.
    """
    home = output or OUTPUT
    home.mkdir(parents=True, exist_ok=True)
    output = Path(tempfile.mkdtemp(prefix=f"{now()[:19].replace(':', '')}-", dir=home))  # another may be going on
    output.chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="environments-", dir=output) as folder:
        first, second = (side(name, output, Path(folder), asked) for name, asked in (("old", old), ("new", new)))
        # the second environment is as the first in all that is not named, as far as pip can make it so
        named = _packages(*first.asked, *second.asked)
        ours = [pin for pin in _lines(PINS) if package(pin) not in named]
        loose = [pin for pin in ours if package(pin) in TOOLS]
        install(first, (ours, loose))
        same = [pin for pin in freeze(first) if package(pin) not in named]
        needed = _packages(*first.requirements, *second.requirements)
        install(second, (same, [pin for pin in same if package(pin) in needed], loose))
        record(first)
        record(second)
    found = difference(read(first.record), read(second.record))
    write_atomically(output / "difference.json", "".join(json_parts(found)))
    write_atomically(output / "difference.md", to_markdown(found))
    show(found)
    print(f"the records and the difference: {output}")
    return 0 if found.go else 1


def side(name: str, output: Path, folder: Path, asked: Sequence[str]) -> Side:
    """What to install for what was asked: the packages named, and those that must stand beside them."""
    pins: tuple[str, ...] = ()
    if len(asked) == 1 and Path(asked[0]).is_file():
        pins = tuple(_lines(Path(asked[0])))
        if long := next((pin for pin in pins if len(pin) > LONGEST), None):
            raise Unusable(f"--{name}: got a constraint {long[:40]!r}..., expected at most {LONGEST} characters")
        frameworks = set(chain.from_iterable(FRAMEWORKS.values()))
        asked = [pin for pin in pins if package(pin) in frameworks]
        if not asked:
            raise Unusable(f"--{name}: the constraints name none of {', '.join(sorted(frameworks))}")
    for requirement in asked:
        if not re.fullmatch(r"[A-Za-z0-9][\w.\-]*(\[[\w,\-]*\])?\s*([=<>!~].*)?", requirement):
            raise Unusable(f"got {requirement!r}, expected a requirement such as keras==3.5.0, or a constraints file")
    beside = [name for name in companions(asked) if name not in _packages(*asked)]
    requirements = (*asked, *beside, *PROJECT["dependencies"])
    record = output.resolve() / f"{name}.json"
    return Side(name, folder.resolve() / name, record, tuple(asked), requirements, pins)


def companions(asked: Sequence[str]) -> list[str]:
    """The packages of the first extra that each package asked for belongs to; Keras to that of KERAS_BACKEND."""
    chosen: list[str] = []
    for name in map(package, asked):
        homes = [extra for extra, names in FRAMEWORKS.items() if name in names][:1]
        if name == "keras":
            homes = [os.environ.get("KERAS_BACKEND", homes[0])]
        chosen += [need for extra in homes for need in FRAMEWORKS.get(extra, ())]
    return list(dict.fromkeys(chosen))


def install(one: Side, attempts: Sequence[Sequence[str]]) -> None:
    """A fresh environment, with the first of the sets of constraints that pip can satisfy."""
    said = ""
    for pins in attempts:
        venv.create(one.folder, clear=True, with_pip=True)
        constraints = one.folder / "constraints.txt"
        constraints.write_text("\n".join(one.pins or pins) + "\n", encoding="utf-8")
        print(f"{one.name}: installing {' '.join(one.asked)}", flush=True)
        command = [one.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints]
        done = subprocess.run([*command, *one.requirements], text=True, capture_output=True, check=False)
        if done.returncode == 0:
            return
        said = done.stderr
    raise Unusable(f"{one.name}: pip could not install {' '.join(one.asked)}:\n{said[-2000:]}")


def freeze(one: Side) -> list[str]:
    """The packages of an environment, as constraints."""
    done = subprocess.run([one.python, "-m", "pip", "freeze"], text=True, capture_output=True, check=True)
    return [line for line in done.stdout.splitlines() if "==" in line]


def record(one: Side) -> None:
    """Run the corpus in an environment. A framework that disagrees is a result; one that cannot be run is not."""
    print(f"{one.name}: running the corpus", flush=True)
    command = [one.python, "-m", "pytest", CORPUS, f"--evidence={one.record}", "-q", "-p", "no:cacheprovider"]
    backends = [backend for backend in BACKENDS if backend in _packages(*one.requirements)]
    follows = len(backends) == 1 and "KERAS_BACKEND" not in os.environ  # from what is installed
    environment = {**os.environ, "PYTHONPATH": "", **({"KERAS_BACKEND": backends[0]} if follows else {})}
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False)
    print("\n".join(done.stdout.splitlines()[-1:]), flush=True)
    if done.returncode not in (0, 1):
        raise Unusable(f"{one.name}: the corpus could not be run: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _lines(path: Path) -> list[str]:
    """The constraints of a file, without comments."""
    try:
        written = read_text("constraints", path, limits.PINS_BYTES)
    except ValueError as error:
        raise Unusable(f"{path}: {error}") from error
    return [pin for line in written.splitlines() if (pin := line.split("#")[0].strip())]
