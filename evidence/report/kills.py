"""The kill matrix, docs/kill-matrix.json, where there is one: which planted faults the suite sees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

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
    model_config = ConfigDict(strict=True)

    format: Literal["rnn-equivalence kill matrix 2"]
    adapter: str
    properties: dict[str, str]
    rows: Annotated[list[_Row], Field(min_length=1)]


@dataclass(frozen=True)
class Share:
    """How many of a family's faults a property sees; shade: how dark to paint it, 0 to 4."""

    seen: int
    faults: int

    @property
    def percent(self) -> str:
        return f"{100 * self.seen / self.faults:.0f}" if self.seen else "·"

    @property
    def shade(self) -> int:
        return -(-4 * self.seen // self.faults)


@dataclass(frozen=True)
class KillMatrix:
    """The matrix by family.  spared: changes that are no fault, and how many of them were seen."""

    adapter: str
    killed: int
    faults: int
    survivors: tuple[str, ...]
    spared: int
    seen: int
    properties: tuple[str, ...]
    families: tuple[tuple[str, int, tuple[Share, ...]], ...]


def kill_matrix(path: Path | None = None) -> KillMatrix | str:
    """What the file says; or why nothing is shown. What is not as it must be is not believed."""
    path = path or PATH
    try:
        file = _File.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return "There is no kill matrix beside this report."
    except (OSError, ValidationError):
        return f"The kill matrix is left out: {path.name} cannot be read."
    faults = [row for row in file.rows if not row.equivalent]
    spared = [row for row in file.rows if row.equivalent]
    names = sorted(file.properties)
    families = dict.fromkeys(row.family for row in faults)
    return KillMatrix(
        file.adapter,
        sum(row.exit == 1 for row in faults),
        len(faults),
        tuple(row.name for row in faults if row.exit != 1),
        len(spared),
        sum(row.exit == 1 for row in spared),
        tuple(name.removeprefix("test_").replace("_", " ") for name in names),
        tuple(
            _family(name, [row for row in faults if row.family == name], [file.properties[of] for of in names])
            for name in families
        ),
    )


def _family(name: str, rows: list[_Row], letters: list[str]) -> tuple[str, int, tuple[Share, ...]]:
    seen = (sum(letter in row.seen_by for row in rows) for letter in letters)
    return name, len(rows), tuple(Share(count, len(rows)) for count in seen)
