"""Tables for the terminal: rich's where it is installed. A GPU machine may have torch and pytest, and no more."""

import codecs
import io
import sys
from importlib.util import find_spec
from typing import NamedTuple

WIDTH = 100


class Table(NamedTuple):
    """columns: their names.  rows: as many words each."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def text(table: Table, rich: bool = find_spec("rich") is not None, encoding: str | None = None) -> str:
    """The table with lines around its words, or, without rich, its columns side by side.

    encoding: the terminal's, that of the standard output when None: not every one has the characters of lines.
    """
    return _ruled(table, encoding or getattr(sys.__stdout__, "encoding", None) or "ascii") if rich else _plain(table)


def _ruled(table: Table, encoding: str) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Ruled

    lines = box.HEAVY_HEAD if codecs.lookup(encoding).name.startswith("utf") else box.ASCII
    ruled = Ruled(*table.columns, title=table.title, box=lines)
    for row in table.rows:
        ruled.add_row(*row)
    out = io.StringIO()
    Console(file=out, width=WIDTH, force_terminal=False).print(ruled)
    return out.getvalue()


def _plain(table: Table) -> str:
    rows = [[words.replace("\n", " ") for words in row] for row in (table.columns, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([table.title, *lines, "", ""])
