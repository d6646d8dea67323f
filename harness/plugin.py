"""The command line of the suite: which adapters, which devices, how many cases; and the count at the end."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

import pytest

try:
    from hypothesis import HealthCheck, Phase, settings

    import adapters
    from evidence.record.ledger import Ledger
    from harness import known_failures, recording, summary
    from harness.failures import Folder, new_run
    from harness.framework_warnings import FrameworkWarnings
    from harness.progress import Progress, Properties
    from harness.target import Target
    from harness.targets import named, targets
except ModuleNotFoundError as missing:
    if missing.name not in ("numpy", "ml_dtypes", "hypothesis"):
        raise
    sys.stderr.write(f"ERROR: {missing}; pip install -c constraints.txt numpy ml_dtypes hypothesis\n")
    raise SystemExit(pytest.ExitCode.USAGE_ERROR) from None

PROPERTIES = Path(__file__).parents[1] / "tests" / "properties"
CASES = {"default": 8, "ci": 8, "nightly": 200}
FOUND = pytest.StashKey[list[adapters.Availability]]()
TARGETS = pytest.StashKey[list[Target]]()
LEDGER = pytest.StashKey[Ledger]()
DESELECTED = pytest.StashKey[list[str]]()
STOPPED = pytest.StashKey[str]()
WARNINGS = pytest.StashKey[FrameworkWarnings]()
RUN = pytest.StashKey[str]()  # the name of the folder of its failures


def register_profiles(cases: int | None = None, shrink: bool = True) -> None:
    """ci: the same cases every time.  default: new ones every time.  nightly: many."""
    phases = [Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if shrink else [])]
    for name, examples in CASES.items():
        settings.register_profile(
            name,
            max_examples=cases or examples,
            phases=phases,  # all but explain, which runs a failing case many times more and says little here
            deadline=None,  # a first call compiles, and machines differ
            derandomize=name == "ci",
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        )


register_profiles()  # here, so that --hypothesis-profile finds them


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("rnn-equivalence")
    group.addoption("--framework", action="append", default=[], metavar="NAME",
                    help=f"judge this framework only ({', '.join(adapters.KNOWN)}); may be repeated")  # fmt: skip
    group.addoption("--adapter", action="append", default=[], metavar="MODULE:CLASS",
                    help="judge your own adapter; may be repeated")  # fmt: skip
    group.addoption("--device", action="append", default=[], metavar="DEVICE",
                    help="judge on this device only: cpu, cuda, cuda:1, ...; may be repeated")  # fmt: skip
    group.addoption("--no-shrink", action="store_true",
                    help="report the first failing case as it was drawn, not the smallest one")  # fmt: skip
    group.addoption("--isolate", action="store_true",
                    help="run every case in a process of its own, which a framework may take down")  # fmt: skip
    group.addoption("--cases", type=int, metavar="N", help=f"Hypothesis examples for each property ({CASES})")
    group.addoption("--evidence", metavar="FILE", help="record every verdict in this file (python -m evidence)")
    group.addoption("--known-failures", metavar="FILE",
                    help="tests that are expected to fail, and why: docs/adapters.md")  # fmt: skip
    group.addoption("--progress", type=float, default=30.0, metavar="SECONDS",
                    help="say what is going on so often (default 30; 0 for never)")  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    load_profile(config)
    config.stash[LEDGER] = Ledger()
    config.stash[DESELECTED] = []
    config.stash[STOPPED] = ""
    config.stash[RUN] = getattr(config, "workerinput", {}).get("run") or new_run()
    heard = config.stash[WARNINGS] = FrameworkWarnings()
    everything = not (named(config, "--framework") or named(config, "--adapter"))
    journal = recording.journal_of(config)
    with heard.collected():
        config.stash[FOUND] = adapters.available() if everything else []
        folder, isolate = Folder(config.stash[RUN]), bool(config.getoption("isolate"))
        target = functools.partial(
            Target, ledger=config.stash[LEDGER], journal=journal, isolate=isolate, failures=folder
        )
        config.stash[TARGETS] = targets(config, config.stash[FOUND], target)
    config.pluginmanager.register(Properties(config.stash[LEDGER]))
    config.pluginmanager.register(heard)
    known = known_failures.of_file(config, lambda: narrowed(config))
    if known is not None:
        config.pluginmanager.register(known)
    if hasattr(config, "workerinput"):  # a worker of pytest-xdist: the controller speaks
        return
    if journal is not None:
        recorder = recording.Recording(journal, config, lambda: narrowed(config))
        config.pluginmanager.register(recorder, "recording")
    seconds: float = config.getoption("--progress")  # type: ignore[assignment]
    if seconds > 0:
        config.pluginmanager.register(Progress(config, seconds))


def pytest_sessionstart(session: pytest.Session) -> None:
    recorder = session.config.pluginmanager.get_plugin("recording")
    if recorder is not None:
        config = session.config
        with config.stash[WARNINGS].collected():
            recorder.begin(config.stash[TARGETS], config.stash[FOUND], os.environ["HYPOTHESIS_PROFILE"])


def load_profile(config: pytest.Config) -> None:
    """The profile that --hypothesis-profile or HYPOTHESIS_PROFILE names; ci where CI is set; else default."""
    cases = config.getoption("--cases")
    if cases is not None and cases < 1:
        raise pytest.UsageError(f"--cases: got {cases}, expected at least 1")
    usual = "ci" if os.environ.get("CI") else "default"
    profile = config.getoption("--hypothesis-profile") or os.environ.get("HYPOTHESIS_PROFILE") or usual
    if profile not in CASES:
        raise pytest.UsageError(f"Hypothesis profile: got {profile!r}, expected one of {', '.join(CASES)}")
    register_profiles(cases, shrink=not config.getoption("--no-shrink"))
    settings.load_profile(profile)
    os.environ["HYPOTHESIS_PROFILE"] = profile


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        found = metafunc.config.stash[TARGETS]
        metafunc.parametrize("target", found, ids=[target.label.replace(" ", "-") for target in found])


@pytest.fixture(scope="session")
def every_target(request: pytest.FixtureRequest) -> list[Target]:
    """All targets of this run, for the properties that compare them with each other."""
    return request.config.stash[TARGETS]


@pytest.fixture(scope="session")
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """What this run counts and measures."""
    return request.config.stash[LEDGER]


def pytest_report_header(config: pytest.Config) -> list[str]:
    judged = [f"{t.adapter.name} {t.adapter.version} on {t.device}" for t in config.stash[TARGETS]]
    absent = [f"{found.state}: {found.name} ({found.problem})" for found in config.stash[FOUND] if not found.loads]
    profile = os.environ["HYPOTHESIS_PROFILE"]
    return [f"judged: {', '.join(judged)}", *absent,
            f"cases for each property: {settings().max_examples} (profile {profile})"]  # fmt: skip


def pytest_deselected(items: list[pytest.Item]) -> None:
    if items:
        items[0].config.stash[DESELECTED] += [item.nodeid for item in items]


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    config.stash[STOPPED] = str(session.shouldstop or session.shouldfail or "")
    output = getattr(config, "workeroutput", None)
    if output is not None:  # a worker of pytest-xdist: the controller counts
        output["ledger"] = config.stash[LEDGER].dump()
        output["deselected"] = len(config.stash[DESELECTED])
        output["warnings"] = config.stash[WARNINGS].dump()
        return
    missing = summary.missing_cells(config.stash[TARGETS], config.stash[LEDGER]) and not narrowed(config)
    if (missing or crashed(config)) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def crashed(config: pytest.Config) -> list[str]:
    """Frameworks that are installed and do not load: an error, unless the user chose others."""
    return [found.name for found in config.stash[FOUND] if found.state == "crashed"]


def pytest_unconfigure(config: pytest.Config) -> None:
    for target in config.stash.get(TARGETS, []):
        target.close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """A worker of pytest-xdist begins: it leaves its failures where the others do."""
    node.workerinput["run"] = node.config.stash[RUN]  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object, error: object) -> None:
    """A worker of pytest-xdist has finished: take over its counts."""
    config, output = node.config, getattr(node, "workeroutput", {})  # type: ignore[attr-defined]
    if "ledger" in output:
        config.stash[LEDGER].merge(output["ledger"])
        config.stash[WARNINGS].merge(output["warnings"])
        everywhere = output["deselected"]  # every worker collects all tests, and deselects the same
        config.stash[DESELECTED] = max(config.stash[DESELECTED], [""] * everywhere, key=len)


def narrowed(config: pytest.Config) -> str:
    """Why this run does not have to fill every cell: the option that chose some of the tests; else empty."""
    if config.stash[DESELECTED]:
        return f"{len(config.stash[DESELECTED])} tests were deselected"
    if config.getoption("ignore") or config.getoption("ignore_glob"):
        return "some files were ignored"
    if config.stash[STOPPED]:
        return config.stash[STOPPED]
    whole = {PROPERTIES, *PROPERTIES.parents}
    by_default = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if not by_default and not any(
        (config.invocation_params.dir / argument).resolve() in whole for argument in config.args
    ):
        return f"only {' '.join(config.args)} was run"
    if config.getoption("collectonly"):
        return "tests were only collected"
    return ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    terminalreporter.section("cells")
    rendered = summary.render(config.stash[TARGETS], config.stash[FOUND], config.stash[LEDGER])
    for line in rendered.splitlines():
        terminalreporter.write_line(line)
    if crashed(config):
        terminalreporter.write_line(f"FAILED: installed, and does not load: {', '.join(crashed(config))}", red=True)
    missing = summary.missing_cells(config.stash[TARGETS], config.stash[LEDGER])
    reason = narrowed(config)
    if reason:
        terminalreporter.write_line(f"Counts are not enforced: {reason}.")
    elif missing:
        terminalreporter.write_line(f"FAILED: {len(missing)} supported cells got no case that agrees:", red=True)
        for line in missing:
            terminalreporter.write_line(f"  {line}", red=True)
    else:
        terminalreporter.write_line("Every supported cell and feature got at least one case that agrees.")
