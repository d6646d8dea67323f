"""The text of functions that stand alone, for a script that is to hold them too."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path


@cache
def definitions(*files: Path) -> Mapping[str, tuple[str, frozenset[str]]]:
    """What modules define: the text of each function and class, and the names in it."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for text in (file.read_text("utf-8") for file in files):
        for one in ast.parse(text).body:
            if isinstance(one, ast.FunctionDef | ast.ClassDef):
                found[one.name] = ast.get_source_segment(text, one) or "", frozenset(_names(one))
    return found


def source(file: Path, *names: str, beside: tuple[Path, ...] = ()) -> str:
    """The text of these functions and classes and of all that they use of their module, in its order.

    beside: modules whose functions they may use too; the text of these comes first. Raises KeyError for a name that no
    module defines.
    """
    used, more, defined = set[str](), {*names}, definitions(*beside, file)
    while more:
        used |= more
        more = {inner for one in more for inner in defined[one][1] if inner in defined} - used
    return "\n\n\n".join(text for one, (text, _) in defined.items() if one in used)


def _names(node: ast.AST) -> Iterator[str]:
    return (one.id for one in ast.walk(node) if isinstance(one, ast.Name))
