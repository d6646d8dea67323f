"""A part of a document that a program writes, between two comments that name it."""

from __future__ import annotations


def replaced(text: str, name: str, made: str) -> str:
    """The text with another part of that name. Raises ValueError where the text has no such part."""
    begins, ends = f"<!-- {name}: made by a program -->\n", f"\n<!-- end of {name} -->"
    before, found, rest = text.partition(begins)
    _, ended, after = rest.partition(ends)
    if not found or not ended:
        raise ValueError(f"part {name!r}: not in the document, expected {begins.strip()} and {ends.strip()}")
    return before + begins + "\n" + made.strip() + "\n" + ends + after
