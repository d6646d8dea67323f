"""The project's commands. Each session sets itself up from constraints.txt, in an environment of its own."""

from __future__ import annotations

import shutil

import nox

nox.options.sessions = ["tests"]
nox.options.reuse_existing_virtualenvs = True
PINNED = ("-c", "constraints.txt")
# the tests run in parallel processes; threads of NumPy's BLAS beside them would only wait for each other
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}


def requirements(*extras: str) -> list[str]:
    """What pyproject.toml asks for, with these extras; the project itself installs nothing."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    wanted = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    return wanted


def install(session: nox.Session, *extras: str) -> None:
    session.install(*PINNED, *requirements(*extras))


@nox.session
def tests(session: nox.Session) -> None:
    """All tests: every installed framework, the bounds' proofs, the planted faults."""
    install(session, "torch", "tensorflow", "proof")
    session.run("python", "-m", "pytest", *(session.posargs or ["-n", "auto"]), env=ONE_THREAD)


@nox.session
def evidence(session: nox.Session) -> None:
    """The suite as its user runs it: what the frameworks answer, and the count of it."""
    install(session, "torch", "tensorflow")
    session.run("python", "-m", "pytest", "tests/properties", *(session.posargs or ["-n", "auto"]), env=ONE_THREAD)


@nox.session
def nightly(session: nox.Session) -> None:
    """All tests with many more cases."""
    install(session, "torch", "tensorflow", "proof")
    session.run(
        "python", "-m", "pytest", "-n", "auto", *session.posargs, env={**ONE_THREAD, "HYPOTHESIS_PROFILE": "nightly"}
    )


@nox.session
def faults(session: nox.Session) -> None:
    """Every known fault planted in torch's adapter: the kill matrix, then the diagnosis' score. Takes an hour."""
    install(session, "torch")
    session.run("python", "-m", "tests.kill_matrix", *session.posargs, env=ONE_THREAD)
    session.run("python", "-m", "tests.tables", "diagnosis", env=ONE_THREAD)


@nox.session
def tables(session: nox.Session) -> None:
    """The tables of docs/error-bounds.md: activation, false-alarms, sensitivity, residual."""
    install(session, "torch", "tensorflow", "proof")
    names = [word for word in session.posargs if not word.startswith("-")]
    flags = [word for word in session.posargs if word.startswith("-")]
    for table in names or ("activation", "false-alarms", "sensitivity", "residual"):
        session.run("python", "-m", "tests.tables", table, *flags)


@nox.session
def benchmark(session: nox.Session) -> None:
    """The reference against torch.nn.RNN, and the cost of judging; fails above its limits."""
    install(session, "torch", "benchmark")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Are the tests sharp? Mutates reference and adapters; fails where a survivor is not accounted for."""
    install(session, "torch", "proof", "mutation")
    # Hypothesis draws the same cases every time; torch's threads do not survive a fork
    session.env.update({**ONE_THREAD, "CI": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
    if not session.posargs:  # mutmut keeps its results, and does not know that a test has changed
        shutil.rmtree("mutants", ignore_errors=True)
    session.run("mutmut", "run", *session.posargs)
    session.run("python", "-m", "tests.mutation")


@nox.session
def lint(session: nox.Session) -> None:
    """ruff and pyright."""
    install(session, "torch", "tensorflow", "proof", "benchmark", "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("pyright")
