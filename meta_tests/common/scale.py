"""How much to try: a little on every run, a lot at night."""

from __future__ import annotations

import os
import zlib

import pytest


def nightly() -> bool:
    """Whether this is the nightly run: the environment variable HYPOTHESIS_PROFILE says "nightly".

    conftest.py sets it, from pytest's --hypothesis-profile if that is given, so that Hypothesis, loops and
    tables all follow one switch.
    """
    return os.environ.get("HYPOTHESIS_PROFILE", "") == "nightly"


def skip_by_day(share: int, *words: object) -> None:
    """Skip a test by day, but for one in `share` of those of its kind, which the words decide."""
    if not nightly() and zlib.crc32(" ".join(map(str, words)).encode()) % share:
        pytest.skip(f"asked at night; by day one in {share} is")


def at_night(normal: int, night: int) -> int:
    """`night` in the nightly run, else `normal`."""
    return night if nightly() else normal
