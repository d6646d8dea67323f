"""The front door, called in this process."""

from __future__ import annotations

import pytest

from rnn_equivalence.commands import commands


def main(arguments: list[str]) -> int:
    """Run a command; returns its exit status."""
    with pytest.raises(SystemExit) as end:
        commands.main(arguments, prog_name="python -m rnn_equivalence")
    assert isinstance(end.value.code, int)
    return end.value.code
