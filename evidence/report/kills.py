"""The kill matrix, docs/kill-matrix.json, where there is one: which planted faults the suite sees."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PATH = Path(__file__).parents[2] / "docs" / "kill-matrix.json"


class Row(BaseModel):
    """A change that was planted.  equivalent: whether it is no fault.  exit: 1 where it was seen."""

    model_config = ConfigDict(strict=True)

    name: str
    family: str
    equivalent: bool
    exit: int
    seen_by: str


class KillMatrix(BaseModel):
    """properties: name of a test -> the letter that stands for it in seen_by."""

    format: Literal["rnn-equivalence kill matrix 2"]
    adapter: str
    properties: dict[str, str]
    rows: Annotated[list[Row], Field(min_length=1)]

    @property
    def faults(self) -> list[Row]:
        return [row for row in self.rows if not row.equivalent]

    @property
    def spared(self) -> list[Row]:
        """Changes that are no fault."""
        return [row for row in self.rows if row.equivalent]


def kill_matrix() -> KillMatrix | str:
    """What the file says; or why nothing is shown. What is not as it must be is not believed."""
    try:
        return KillMatrix.model_validate_json(PATH.read_bytes())
    except FileNotFoundError:
        return "There is no kill matrix beside this report."
    except (OSError, ValidationError):
        return f"The kill matrix is left out: {PATH.name} cannot be read."
