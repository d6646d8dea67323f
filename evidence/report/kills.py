"""The kill matrix, docs/kill-matrix.json, where there is one: which planted faults the suite sees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PATH = Path(__file__).parents[2] / "docs" / "kill-matrix.json"


class _Row(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    family: str
    equivalent: bool
    exit: int
    seen_by: str


class _File(BaseModel):
    format: Literal["rnn-equivalence kill matrix 2"]
    adapter: str
    properties: dict[str, str]
    rows: Annotated[list[_Row], Field(min_length=1)]


class KillMatrix(NamedTuple):
    """How many faults were seen.  spared: changes that are no fault, and how many of them were seen.

    families: (name, its faults, how many of them each of the properties sees).
    """

    adapter: str
    killed: int
    faults: int
    survivors: list[str]
    spared: int
    seen: int
    properties: list[str]
    families: list[tuple[str, int, list[int]]]


def kill_matrix() -> KillMatrix | str:
    """What the file says; or why nothing is shown. What is not as it must be is not believed."""
    try:
        file = _File.model_validate_json(PATH.read_bytes())
    except FileNotFoundError:
        return "There is no kill matrix beside this report."
    except (OSError, ValidationError):
        return f"The kill matrix is left out: {PATH.name} cannot be read."
    faults, spared = ([row for row in file.rows if row.equivalent == spare] for spare in (False, True))
    names = [name.removeprefix("test_").replace("_", " ") for name in sorted(file.properties)]
    letters = [letter for _, letter in sorted(file.properties.items())]
    families: dict[str, list[_Row]] = {}
    for row in faults:
        families.setdefault(row.family, []).append(row)
    table = [
        (family, len(rows), [sum(letter in row.seen_by for row in rows) for letter in letters])
        for family, rows in families.items()
    ]
    survivors, seen = [row.name for row in faults if row.exit != 1], sum(row.exit == 1 for row in spared)
    killed = len(faults) - len(survivors)
    return KillMatrix(file.adapter, killed, len(faults), survivors, len(spared), seen, names, table)
