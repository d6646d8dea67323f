"""The project's commands. Each session sets itself up from constraints.txt, in an environment of its own."""

from __future__ import annotations

import shutil
from itertools import combinations
from pathlib import Path

import nox

nox.options.sessions = ["tests"]
nox.options.reuse_existing_virtualenvs = True
PINNED = "constraints.txt"
# the tests run in parallel processes; threads of NumPy's BLAS beside them would only wait for each other
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
# Keras picks its backend at import, so each has a run of its own: backend -> what is judged in it
BACKENDS = {
    "tensorflow": ("torch", "keras", "onnxruntime", "onnx", "torch-onnx", "openvino", "tract", "litert", "reference"),
    "torch": ("keras",),
    "jax": ("keras", "flax", "equinox", "mlx"),
    "numpy": ("keras",),
    "openvino": ("keras",),
}
# what `nox -s evidence` judges where it is not asked for --all, and what it installs for it
USUAL = {"tensorflow": ("torch", "keras")}
USUAL_EXTRAS = ("torch", "tensorflow")
# an extra of pyproject.toml -> the backend of the Keras that it installs
FRAMEWORKS = {
    "torch": "",
    "tensorflow": "tensorflow",
    "jax": "jax",
    "keras-torch": "torch",
    "keras-numpy": "numpy",
    "keras-openvino": "openvino",
    "flax": "",
    "equinox": "",
    "mlx": "",
    "onnx": "",
    "onnxruntime": "",
    "torch-onnx": "",
    "openvino": "",
    "tract": "",
    "litert": "tensorflow",
    "paddle": "",
}
# an extra that pins a package otherwise than constraints.txt -> constraints of its own: no environment holds it and
# the others, so it has one of its own, in `alone` and in `evidence -- --all`
APART = {"paddle": "constraints-paddle.txt"}
TOGETHER = [extra for extra in FRAMEWORKS if extra not in APART]
# what takes minutes of its own is judged in `alone`, at night and in `evidence -- --all`, and not in `tests`
AT_NIGHT = ("equinox", "litert")
BY_DAY = [extra for extra in TOGETHER if extra not in AT_NIGHT]
ALONE = [nox.param((extra,), id=extra) for extra in FRAMEWORKS]
PAIRS = [nox.param(pair, id="+".join(pair)) for pair in combinations(TOGETHER, 2)]
# what the suite cannot do without; the rest of its dependencies makes it faster, prettier or more
BARE = ("numpy", "ml_dtypes", "hypothesis", "pytest")


def requirements(*extras: str) -> list[str]:
    """What pyproject.toml asks for, with these extras; the project itself installs nothing."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    wanted = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    return wanted


def install(session: nox.Session, *extras: str) -> None:
    session.install("-c", pinned(*extras), *requirements(*extras))


def pinned(*extras: str) -> str:
    """The constraints of these extras."""
    return next((APART[extra] for extra in extras if extra in APART), PINNED)


def python_apart(session: nox.Session, extra: str) -> str:
    """The Python of an environment of its own, inside the session's, for an extra that has none with others."""
    home = Path(session.virtualenv.location, extra).resolve()
    python = str(home / "bin" / "python")
    session.run("python", "-m", "venv", str(home))
    install = ("-m", "pip", "install", "--quiet", "-c", pinned(extra), *requirements(extra, "evidence"))
    session.run(python, *install, external=True)
    return python


def run_tests(session: nox.Session, *arguments: str, **environment: str) -> None:
    """pytest with these arguments and the session's own, in parallel unless those say otherwise.

    Where none of them names a test file or folder, it runs the judging and the suite's own tests.
    """
    asked = session.posargs or ["-n", "auto"]
    named = any(Path(word.partition("::")[0]).exists() for word in (*arguments, *asked))
    folders = () if named else ("tests", "meta_tests")
    session.run("python", "-m", "pytest", *folders, *arguments, *asked, env={**ONE_THREAD, **environment})


def keras_on(*extras: str) -> dict[str, str]:
    """Keras asks for TensorFlow where it is not told which backend these extras have."""
    backends = [backend for extra in extras if (backend := FRAMEWORKS.get(extra))]
    return {"KERAS_BACKEND": backends[0]} if backends else {}


@nox.session
def tests(session: nox.Session) -> None:
    """All tests: frameworks judged, the bounds' proofs, the planted faults, the evidence, the wheel."""
    install(session, *BY_DAY, "keras-export", "proof", "evidence", "campaign", "wheel")
    run_tests(session)


@nox.session
@nox.parametrize("extras", ALONE)
def alone(session: nox.Session, extras: tuple[str, ...]) -> None:
    """All tests where one framework is installed and no other: nox -s "alone(torch)". Arguments go to pytest."""
    install(session, *extras, "proof", "evidence")
    run_tests(session, **keras_on(*extras))


@nox.session
@nox.parametrize("extras", PAIRS)
def pair(session: nox.Session, extras: tuple[str, ...]) -> None:
    """The same with two frameworks: nox -s "pair(torch+flax)"."""
    install(session, *extras, "proof", "evidence")
    run_tests(session, **keras_on(*extras))


@nox.session
def bare(session: nox.Session) -> None:
    """All tests with torch and only what the suite cannot do without: no report, no proofs, no parallel processes."""
    session.install("-c", PINNED, *BARE, "torch")
    session.run("python", "-m", "pytest", *(session.posargs or ("tests", "meta_tests")), env=ONE_THREAD)


@nox.session
@nox.parametrize("extra", [nox.param(extra, id=extra) for extra in (*FRAMEWORKS, "all")])
def minima(session: nox.Session, extra: str) -> None:
    """The judging, with the oldest releases that an extra of pyproject.toml allows: nox -s "minima(torch)"."""
    session.install("packaging")
    session.install(*str(session.run("python", "-m", "meta_tests.minima", extra, silent=True)).split())
    run_tests(session, "tests/properties", **keras_on(extra))


@nox.session
def evidence(session: nox.Session) -> None:
    """The suite as its user runs it: torch and Keras on TensorFlow, recorded, verified and reported.

    -- --all judges every target, in a run for each Keras backend, and for each framework that has an environment of its
    own, and merges the records. Other arguments go to pytest. The files lie in out/evidence.
    """
    everything = "--all" in session.posargs
    asked = [word for word in session.posargs if word != "--all"] or ["-n", "auto"]
    backends = BACKENDS if everything else USUAL
    install(session, *((*TOGETHER, "keras-export") if everything else USUAL_EXTRAS), "evidence")
    folder = Path("out", "evidence")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    whole = str(folder / "evidence.json.gz")
    # each part: its Python, what it judges, its file, and the backend of Keras
    parts = [("python", frameworks, str(folder / f"keras-{name}.json") if everything else whole, name)
             for name, frameworks in backends.items()]  # fmt: skip
    if everything:
        parts += [(python_apart(session, extra), (extra,), str(folder / f"{extra}.json"), "") for extra in APART]
    failed = []
    for python, frameworks, file, backend in parts:
        judged = [f"--framework={name}" for name in frameworks]
        try:
            session.run(python, "-m", "pytest", "tests/properties", *judged, f"--evidence={file}", *asked,
                        env={**ONE_THREAD, **({"KERAS_BACKEND": backend} if backend else {})},
                        external=python != "python")  # fmt: skip
        except nox.command.CommandFailed:  # it is recorded, and reported with the others
            failed.append(backend or " ".join(frameworks))
    command = ("python", "-m", "rnn_equivalence")
    if everything:
        session.run(*command, "merge", whole, *(file for _, _, file, _ in parts))
    session.run(*command, "verify", whole)
    session.run(*command, "report", whole)
    if failed:
        session.error(f"failed on {', '.join(failed)}: see {folder / 'evidence.html'}")


@nox.session(venv_backend="none")
def cuda(session: nox.Session) -> None:
    """The suite on CUDA, with what this Python has: torch, NumPy, ml_dtypes, Hypothesis and pytest will do.

    Arguments go to pytest. Named and absent, CUDA is an error. The record is out/evidence/cuda.json.
    """
    search = f"import importlib.util as u; print(*(name for name in {(*BARE, 'torch')} if not u.find_spec(name)))"
    if absent := str(session.run("python", "-c", search, silent=True)).strip():
        session.error(f"this Python lacks {absent}: python -m pip install {absent}")
    folder = Path("out", "evidence")
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "cuda.json"
    record.unlink(missing_ok=True)
    session.run("python", "-m", "pytest", "meta_tests/harness/test_cuda.py")
    session.run("python", "-m", "pytest", "tests/properties", "--device=cuda", f"--evidence={record}", *session.posargs)


@nox.session
def upgrade(session: nox.Session) -> None:
    """Go or no-go: -- --from keras==3.5.0 --to keras==3.10.0. Exits with 1 on a regression or a missing case."""
    install(session, "evidence")
    session.run("python", "-m", "rnn_equivalence", "upgrade", *session.posargs)


@nox.session
def nightly(session: nox.Session) -> None:
    """All tests with many more cases."""
    install(session, *TOGETHER, "keras-export", "proof", "evidence", "campaign", "wheel")
    run_tests(session, HYPOTHESIS_PROFILE="nightly")


@nox.session
def faults(session: nox.Session) -> None:
    """Every known fault planted in torch's adapter: the kill matrix, then the diagnosis' score. Takes an hour."""
    install(session, "torch")
    session.run("python", "-m", "meta_tests.kill_matrix", *session.posargs, env=ONE_THREAD)
    session.run("python", "-m", "meta_tests.tables", "diagnosis", env=ONE_THREAD)


@nox.session
def outside(session: nox.Session) -> None:
    """The faults that are not of the catalogue, with two seeds: docs/outside-faults.md. Takes half an hour."""
    install(session, "torch")
    session.run("python", "-m", "meta_tests.outside_faults", *session.posargs, env=ONE_THREAD)


@nox.session
def tables(session: nox.Session) -> None:
    """The tables of docs/error-bounds.md: activation, false-alarms, sensitivity, residual."""
    install(session, "torch", "tensorflow", "proof")
    names = [word for word in session.posargs if not word.startswith("-")]
    flags = [word for word in session.posargs if word.startswith("-")]
    for table in names or ("activation", "false-alarms", "sensitivity", "residual"):
        session.run("python", "-m", "meta_tests.tables", table, *flags)


@nox.session
def benchmark(session: nox.Session) -> None:
    """The reference against torch.nn.RNN, and the cost of judging; fails above its limits."""
    install(session, "torch", "benchmark")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def times(session: nox.Session) -> None:
    """How long a run of each target takes, as docs/times.md has it. Arguments: targets, --tests."""
    install(session, *TOGETHER, "proof", "evidence", "wheel")
    session.run("python", "-m", "benchmarks.times", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Are the tests sharp? Mutates reference and adapters; fails where a survivor is not accounted for."""
    install(session, "torch", "proof", "mutation")
    # Hypothesis draws the same cases every time; torch's threads do not survive a fork
    session.env.update({**ONE_THREAD, "CI": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
    if not session.posargs:  # mutmut keeps its results, and does not know that a test has changed
        shutil.rmtree("mutants", ignore_errors=True)
    session.run("mutmut", "run", *session.posargs)
    session.run("python", "-m", "meta_tests.mutation")


def build_docs(session: nox.Session) -> None:
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "-q", "docs", str(Path("out", "docs")))


@nox.session
def docs(session: nox.Session) -> None:
    """The documents as a site, in out/docs; a warning fails."""
    session.install("-c", PINNED, *nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]["docs"])
    build_docs(session)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, pyright, and whether the documents build."""
    install(session, *TOGETHER, "proof", "benchmark", "evidence", "campaign", "wheel", "lint", "docs")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("pyright")
    session.run("pyright", "-p", "meta_tests")  # where bad arguments are passed on purpose
    build_docs(session)
