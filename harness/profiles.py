"""Hypothesis' profiles, each a number of examples for every property whose cases are drawn."""

import os
import sys

import pytest
from hypothesis import HealthCheck, Phase, settings

CASES = {"default": 8, "ci": 8, "nightly": 200}
# the last one of newer versions alone: a pool is drawn once, of a seed of its own (harness/pool.py)
UNCHECKED = ("too_slow", "data_too_large", "filter_too_much", "nested_given")


def register(cases: int | None = None, shrink: bool = True) -> None:
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
            suppress_health_check=[getattr(HealthCheck, name) for name in UNCHECKED if hasattr(HealthCheck, name)],
        )


def load(config: pytest.Config) -> None:
    """The profile that --hypothesis-profile or HYPOTHESIS_PROFILE names; ci where CI is set; else default."""
    cases = config.getoption("--cases")
    if cases is not None and cases < 1:
        raise pytest.UsageError(f"--cases: got {cases}, expected at least 1")
    usual = "ci" if os.environ.get("CI") else "default"
    profile = config.getoption("--hypothesis-profile") or os.environ.get("HYPOTHESIS_PROFILE") or usual
    if profile not in CASES:
        raise pytest.UsageError(f"Hypothesis profile: got {profile!r}, expected one of {', '.join(CASES)}")
    register(cases, shrink=not config.getoption("--no-shrink"))
    settings.load_profile(profile)
    if profile == "ci":
        _draw_from_no_module()
    os.environ["HYPOTHESIS_PROFILE"] = profile


def _draw_from_no_module() -> None:
    """Hypothesis also draws numbers that it finds in the source of the modules that are loaded, ours and the user's.

    So the cases would be others with another framework, in another order of tests, or where they are drawn again.
    """
    providers = sys.modules.get("hypothesis.internal.conjecture.providers")
    if hasattr(providers, "_get_local_constants"):  # newer versions alone do so, and have no setting for it
        providers._get_local_constants = providers.Constants  # type: ignore[union-attr]


register()  # here, so that --hypothesis-profile finds them
