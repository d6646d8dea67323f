"""Tables with rich and without: the same words."""

from __future__ import annotations

import pytest

from harness.table import Table, text


def table() -> Table:
    made = Table("target", "dtype\ntanh / relu", title="Cases")
    made.add_row("torch cpu", "12 / 7")
    made.add_row("keras", "")
    return made


def test_with_rich_every_word_is_there() -> None:
    pytest.importorskip("rich")
    for word in ("Cases", "target", "tanh / relu", "torch cpu", "12 / 7", "keras"):
        assert word in text(table(), rich=True)


def test_without_rich_columns_stand_side_by_side() -> None:
    assert text(table(), rich=False) == "Cases\ntarget     dtype tanh / relu\ntorch cpu  12 / 7\nkeras\n\n"
