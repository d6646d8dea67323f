"""How much to try: a little on every run, a lot at night."""

from __future__ import annotations

import os


def nightly() -> bool:
    """Whether this is the nightly run: the environment variable HYPOTHESIS_PROFILE says "nightly".

    conftest.py sets it, from pytest's --hypothesis-profile if that is given, so that Hypothesis, loops and
    tables all follow one switch.
    """
    return os.environ.get("HYPOTHESIS_PROFILE", "") == "nightly"


def at_night(normal: int, night: int) -> int:
    """`night` in the nightly run, else `normal`."""
    return night if nightly() else normal
