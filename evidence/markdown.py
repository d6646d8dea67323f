"""Markdown in which nothing but what is meant has a meaning."""

import re
from collections.abc import Iterable, Sequence

from .words import visible

# what begins markup or a link inside a line; and at its start, where it begins a list, a heading or a rule
SPECIAL = re.compile(r"[\\`*\[\]|~$@]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.|^[-+=#]", re.IGNORECASE)
NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escaped(text: str) -> str:
    """Text that Markdown and its HTML show as it is, on one line."""
    line = SPECIAL.sub(r"\\\g<0>", visible(" ".join(text.split())))
    return NUMBERED.sub(r"\1\\\2", line).translate(ENTITIES)


def fenced(text: str) -> str:
    """Text as a block of code, between fences that it cannot close."""
    shown = visible(text)
    fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", shown))]))
    return f"{fence}text\n{shown}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """A table of cells that are escaped already; the last columns, so many, hold numbers."""
    marks = ["---"] * (len(head) - numbers) + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, marks, *rows))
