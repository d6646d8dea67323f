"""Markdown in which nothing but what is meant has a meaning."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence


def escaped(text: str) -> str:
    """Text as it is, on one line: no character of it is Markdown or HTML."""
    flat = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]#|~$!])", r"\\\1", flat)


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A table; the first row is its head."""
    head, *body = ([escaped(cell) for cell in row] for row in rows)
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
