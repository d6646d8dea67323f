"""A script holds a function with all that it uses of its module, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.scripts.source import source

MODULE = '''"""A module."""

LIMIT = 1


class Base:
    """What is asked."""


def unused():
    return 3


def inner(asked: Base):
    return [asked]


def outer(asked):
    def nested():
        return inner(asked)

    return nested()
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "module.py").write_text(MODULE, "utf-8")
    return tmp_path / "module.py"


def test_what_a_function_uses_comes_before_it_in_the_order_of_the_module(file: Path) -> None:
    text = source(file, "outer")
    assert [text.index(word) for word in ("class Base", "def inner", "def outer")] == sorted(
        text.index(word) for word in ("class Base", "def inner", "def outer")
    )
    assert "unused" not in text
    names: dict[str, object] = {}
    exec(text, names)
    assert callable(names["outer"])


def test_a_function_alone_is_its_own_text(file: Path) -> None:
    assert source(file, "unused") == "def unused():\n    return 3"


def test_a_name_that_is_not_there_is_an_error(file: Path) -> None:
    with pytest.raises(KeyError, match="nowhere"):
        source(file, "nowhere")
