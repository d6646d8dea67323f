"""Tables as a TOML file has them: that they hold the fields that they must, each of its kind."""

from collections.abc import Mapping
from typing import Any

from reference.spec import expect

WORDS = {str: "text", list: "a list", dict: "a table", int: "an integer", float: "a number", bool: "true or false"}
Kinds = Mapping[str, type]


def table(where: str, given: Any, needed: Kinds | None = None, at_will: Kinds | None = None) -> dict[str, Any]:
    """The fields of a table, texts without the blanks around them; any fields when `needed` is None.

    Raises ValueError, naming the field, for anything that is none, a field too many or too few, or of another kind.
    """
    expect(isinstance(given, dict), where or "file", given, WORDS[dict])
    if needed is None:
        return given
    kinds = {**needed, **(at_will or {})}
    for name in (*given, *needed):
        got = "nothing" if name not in given else f"field {name!r}"
        if name not in given or name not in kinds:
            raise ValueError(f"{where} {name}: got {got}, expected {', '.join(needed)}".lstrip())
    return {name: of_kind(f"{where} {name}".lstrip(), value, kinds[name]) for name, value in given.items()}


def of_kind(name: str, value: Any, kind: type) -> Any:
    """The value, where it is of that kind: a text has words, a truth value is no number, a number may be whole."""
    good = type(value) in ((int, float) if kind is float else (kind,))
    value = value.strip() if isinstance(value, str) else value
    expect(good and (value != "" or kind is not str), name, value, WORDS[kind])
    return value


def several(name: str, values: Any, kind: type) -> tuple[Any, ...]:
    """A list of values of one kind."""
    return tuple(of_kind(name, value, kind) for value in of_kind(name, values, list))
