"""nightly() follows the profile that the command line chose."""

from __future__ import annotations

import pytest

from meta_tests.common.scale import nightly


@pytest.mark.parametrize(("profile", "expected"), [("nightly", True), ("default", False), ("ci", False), ("", False)])
def test_nightly_is_the_profile_of_that_name(monkeypatch: pytest.MonkeyPatch, profile: str, expected: bool) -> None:
    monkeypatch.setenv("HYPOTHESIS_PROFILE", profile)
    assert nightly() is expected
