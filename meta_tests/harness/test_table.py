"""Tables with rich and without: the same words."""

from __future__ import annotations

import pytest

from harness.table import Table, text

TABLE = Table("Cases", ("target", "dtype\ntanh / relu"), [("torch cpu", "12 / 7"), ("keras", "")])


def test_with_rich_every_word_is_there() -> None:
    pytest.importorskip("rich")
    for word in ("Cases", "target", "tanh / relu", "torch cpu", "12 / 7", "keras"):
        assert word in text(TABLE, rich=True)


def test_without_rich_columns_stand_side_by_side() -> None:
    assert text(TABLE, rich=False) == "Cases\ntarget     dtype tanh / relu\ntorch cpu  12 / 7\nkeras\n\n"
