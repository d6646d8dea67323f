"""An upgrade before it is made: the corpus and the findings in two fresh environments, and what changed between."""

import os
import re
import sys
import tempfile
import time
import tomllib
from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import chain, pairwise
from pathlib import Path
from shutil import rmtree

from adapters.versions import OLDEST, numbers, refused
from reference import limits
from reference.files import read_text, write_atomically

from ..record.environment import ROOT, USER_FOLDER
from ..record.journal import now
from ..record.reader import read
from ..record.runs import Unusable
from .changes import json_parts, show, to_markdown
from .difference import difference
from .together import Together

LONGEST = 1_000  # characters of one constraint
ASKED = (
    "tests/properties/test_corpus.py tests/properties/test_findings.py "
    "tests/properties/test_idioms.py::test_every_feature_in_an_idiom"
)
PINS = ROOT / "constraints.txt"
OUTPUT = USER_FOLDER / "out" / "upgrade"
# pinned whatever else has to give way; torch, because an open range would pull gigabytes that the corpus never runs
TOOLS = ("hypothesis", "pytest", "pytest-xdist", "rich", "torch")
PIP = find_spec("pip") is not None  # two environments are made sooner without one of their own
TOLD = re.compile(r"\d+ (of \d+ tests, |(passed|failed)\b)")  # what is passed on of pytest's lines
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
    for extra in (*BACKENDS, "flax", "equinox", "mlx", "onnx", "onnxruntime", "openvino", "torch-onnx", "tract",
                  "litert", "keras-numpy", "keras-openvino")
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

    @property
    def pip(self) -> list[str | Path]:
        """pip for its environment: that of this Python, or one of its own."""
        return [sys.executable, "-m", "pip", "--python", self.python] if PIP else [self.python, "-m", "pip"]


def command(old: Sequence[str], new: Sequence[str], output: Path | None = None) -> int:
    """Record the corpus on both sides at once, print the difference, keep the files. 0 is go, 1 no-go.

    All packages but those named are the same on both sides, as far as pip can make them so; the difference lists
    what is not. Raises Unusable where an environment cannot be made, or the corpus not be run in it.
    """
    times, both = [time.monotonic()], Together()
    home = output or OUTPUT
    home.mkdir(parents=True, exist_ok=True)
    output = Path(tempfile.mkdtemp(prefix=f"{now()[:19].replace(':', '')}-", dir=home))  # another may be going on
    output.chmod(0o755)
    environments = tempfile.TemporaryDirectory(prefix="environments-", dir=output)
    with environments as folder, ThreadPoolExecutor() as removing:
        sides = [side(name, output, Path(folder), asked) for name, asked in (("old", old), ("new", new))]
        named = _packages(*sides[0].asked, *sides[1].asked)
        ours = [pin for pin in _lines(PINS) if package(pin) not in named]
        installing = both.do(partial(install, both, (ours, [pin for pin in ours if package(pin) in TOOLS])), sides)
        both.do(partial(align, both, *sides), [named])
        times.append(time.monotonic())
        judging = both.do(partial(record, both), sides)
        times.append(time.monotonic())
        for one in sides:  # while they are compared: it is thousands of files
            removing.submit(rmtree, one.folder, ignore_errors=True)
        found = difference(*(read(one.record) for one in sides))
        write_atomically(output / "difference.json", "".join(json_parts(found)))
        write_atomically(output / "difference.md", to_markdown(found))
        show(found)
        print(f"the records and the difference: {output}", flush=True)
        times.append(time.monotonic())
    made, judged, compared = (after - before for before, after in pairwise(times))
    each = "old {:.1f}, new {:.1f}".format
    parts = f"environments {made:.1f} s ({each(*installing)}), judging {judged:.1f} s ({each(*judging)})"
    whole = f"all, with removing the environments, {time.monotonic() - times[0]:.1f} s"
    print(f"{parts}, comparing {compared:.1f} s; {whole}")
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
        if words := too_old(requirement):
            raise Unusable(f"--{name}: {words}")
    beside = [name for name in companions(asked) if name not in _packages(*asked)]
    requirements = (*asked, *beside, *PROJECT["dependencies"])
    record = output.resolve() / f"{name}.json"
    return Side(name, folder.resolve() / name, record, tuple(asked), requirements, pins)


def too_old(requirement: str) -> str:
    """Why every adapter would refuse the version that a requirement pins. Empty where it pins none, or one takes it."""
    pin = re.fullmatch(r"([\w.-]+)\s*==\s*(\d[\w.+]*)", requirement)
    least = [needs[pin[1]] for needs in OLDEST.values() if pin and pin[1] in needs]
    return refused(pin[1], pin[2], min(least, key=numbers)) if pin and least else ""


def companions(asked: Sequence[str]) -> list[str]:
    """The packages of the first extra that each package asked for belongs to; Keras to that of KERAS_BACKEND."""
    chosen: list[str] = []
    for name in map(package, asked):
        homes = [extra for extra, names in FRAMEWORKS.items() if name in names][:1]
        if name == "keras":
            backend = os.environ.get("KERAS_BACKEND", homes[0])
            homes = [f"keras-{backend}" if f"keras-{backend}" in FRAMEWORKS else backend]
        chosen += [need for extra in homes for need in FRAMEWORKS.get(extra, ())]
    return list(dict.fromkeys(chosen))


def install(both: Together, attempts: Sequence[Sequence[str]], one: Side) -> None:
    """A fresh environment, with the first of the sets of constraints that pip can satisfy."""
    print(f"{one.name}: installing {' '.join(one.asked)}", flush=True)
    status, said = both.run([sys.executable, "-m", "venv", *(["--without-pip"] if PIP else []), one.folder])
    if status or all(said := _pip(both, one, pins) for pins in ([one.pins] if one.pins else attempts)):
        raise Unusable(f"{one.name}: pip could not install {' '.join(one.asked)}:\n{said[-2000:]}")
    print(f"{one.name}: installed", flush=True)


def align(both: Together, first: Side, second: Side, named: Container[str]) -> None:
    """Install on the second side what the first has, of all that is not named, as far as pip can."""
    same = [pin for pin in freeze(both, first) if package(pin) not in named]
    there = {package(pin): pin for pin in freeze(both, second)}
    if second.pins or all(there.get(package(pin), pin) == pin for pin in same):
        return
    print(f"{second.name}: installing what {first.name} has of all else", flush=True)
    needed = _packages(*first.requirements, *second.requirements)
    all(_pip(both, second, pins) for pins in (same, [pin for pin in same if package(pin) in needed]))


def _pip(both: Together, one: Side, pins: Sequence[str]) -> str:
    """Install what is required within constraints: what pip said where it cannot, empty where it can."""
    constraints = one.folder / "constraints.txt"
    constraints.write_text("\n".join(pins) + "\n", encoding="utf-8")
    install = [*one.pip, "install", "--quiet", "--disable-pip-version-check", "--no-compile", "-c", constraints]
    status, said = both.run([*install, *one.requirements])
    return (said or f"exit status {status}") if status else ""


def freeze(both: Together, one: Side) -> list[str]:
    return re.findall(r"^[\w.-]+==\S+$", both.run([*one.pip, "freeze"])[1], re.MULTILINE)


def record(both: Together, one: Side) -> None:
    """Run the corpus and the findings there. A framework that disagrees is a result; one that cannot be run is not."""
    print(f"{one.name}: running the corpus", flush=True)
    run = f"-m pytest {ASKED} -q -p no:cacheprovider --progress=10"
    workers = (os.cpu_count() or 1) // 2  # the other side has as many
    command = [one.python, *run.split(), f"--evidence={one.record}", *([f"-n{workers}"] if workers > 1 else [])]
    backends = [backend for backend in BACKENDS if backend in _packages(*one.requirements)]
    follows = len(backends) == 1 and "KERAS_BACKEND" not in os.environ  # from what is installed
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONUNBUFFERED": "1"}
    environment |= {"KERAS_BACKEND": backends[0]} if follows else {}

    def hear(line: str) -> None:
        if TOLD.match(line):
            print(f"{one.name}: {line}", flush=True)

    status, said = both.run(command, hear, cwd=ROOT, env=environment)
    if status not in (0, 1):
        raise Unusable(f"{one.name}: the corpus could not be run: {said[-2000:]}")


def _lines(path: Path) -> list[str]:
    """The constraints of a file, without comments."""
    try:
        written = read_text("constraints", path, limits.PINS_BYTES)
    except ValueError as error:
        raise Unusable(f"{path}: {error}") from error
    return [pin for line in written.splitlines() if (pin := line.split("#")[0].strip())]
