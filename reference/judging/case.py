"""A case: one question, complete, with a stable id and a round trip to JSON."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import limits
from ..arguments import check_inputs, check_parameters
from ..cells import cell_of
from ..encoding import decode, decode_states, expect_object, in_base64, raw
from ..files import read_text, write_atomically
from ..layout import each_state, take_steps, unmasked_first
from ..recurrence import Result, forward
from ..spec import FIRST, CellParameters, Lengths, RNNSpec, dtype_name, expect, short

FORMAT = "rnn-equivalence case 1"
FIELDS = {"format", "spec", "parameters", "x", "h0", "lengths", "layout"}
OPTIONAL_FIELDS = FIELDS | {"mask"}  # absent where there is none: an id does not change with it


@dataclass(frozen=True, eq=False)
class Case:
    """A layer, its weights and its inputs: what `forward` and every adapter are asked.

    The arguments are forward's, and are checked in the same way. A case's dtype is x's; its lengths and its mask
    are read-only copies.
    """

    spec: RNNSpec
    parameters: Sequence[CellParameters]
    x: np.ndarray
    h0: Any = None
    lengths: Lengths = None
    layout: str = "batch_first"
    mask: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_parameters(self.spec, self.parameters)
        check_inputs(self.spec, self.x, self.h0, self.lengths, self.layout, self.parameters[0].dtype, self.mask)
        object.__setattr__(self, "parameters", tuple(self.parameters))
        for name, dtype in (("lengths", np.int64), ("mask", np.bool_)):
            if getattr(self, name) is not None:
                copied = np.array(getattr(self, name), dtype=dtype)
                copied.setflags(write=False)
                object.__setattr__(self, name, copied)

    @property
    def dtype(self) -> str:
        return dtype_name(self.x.dtype)

    @property
    def inputs(self) -> dict[str, Any]:
        """What forward takes beside spec and parameters, and run beside the module; mask where there is one."""
        inputs = {"x": self.x, "h0": self.h0, "lengths": self.lengths, "layout": self.layout}
        return inputs if self.mask is None else {**inputs, "mask": self.mask}

    def answer(self) -> Result:
        """The reference's answer, in the arithmetic of the case's dtype."""
        return forward(self.spec, self.parameters, **self.inputs)

    def prefix(self, layers: int) -> Case:
        """The same question to the first `layers` layers of the stack."""
        tracks = layers * self.spec.num_directions
        h0 = each_state(lambda state: state[:tracks], self.h0)
        return replace(self, spec=replace(self.spec, num_layers=layers), parameters=self.parameters[:tracks], h0=h0)

    def without_mask(self) -> tuple[Case, np.ndarray]:
        """The same question with lengths in place of the mask, and the order of steps that makes it so.

        A masked step changes nothing: each sequence's other steps are put in front (layout.unmasked_first).
        """
        if self.mask is None:
            raise ValueError("mask: got None, expected a case with a mask")
        order, lengths = unmasked_first(self.mask, self.layout)
        return replace(self, x=take_steps(self.x, order, self.layout), lengths=lengths, mask=None), order

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the case's content."""
        return id_of(self.content())

    def content(self) -> dict[str, Any]:
        """All that the id depends on, as it is now: copies, with arrays as their little-endian bytes in C order."""
        return {
            "format": FORMAT,
            "spec": self.spec.to_dict(),
            "parameters": [{n: raw(a) for n, a in track.arrays().items()} for track in self.parameters],
            "x": raw(self.x),
            "h0": each_state(raw, self.h0),
            "lengths": None if self.lengths is None else np.asarray(self.lengths).tolist(),
            "layout": self.layout,
        } | ({} if self.mask is None else {"mask": self.mask.tolist()})

    def to_json(self) -> str:
        """The case as JSON: its content, with arrays' bytes as base64."""
        return _json(self.content())

    @classmethod
    def from_json(cls, text: str) -> Case:
        """The case that to_json wrote. Raises TypeError or ValueError, naming the field, for anything else."""
        content = _parse(text)
        expect_object("spec", content["spec"], set(FIRST), {one.name for one in fields(RNNSpec) if one.compare})
        spec = RNNSpec(**content["spec"])
        expect(spec.num_layers <= limits.CASE_LAYERS, "num_layers", spec.num_layers, f"at most {limits.CASE_LAYERS}")
        if not isinstance(content["parameters"], list):
            raise TypeError(f"parameters: got {type(content['parameters']).__name__}, expected a list of objects")
        possible = {"b_ih", "b_hh", *(weight.name for weight in cell_of(spec).weights(spec))}
        parameters = []
        for index, track in enumerate(content["parameters"]):
            name = f"parameters[{index}]"
            expect_object(name, track, {"w_ih", "w_hh"}, possible)
            parameters.append(CellParameters.of({key: decode(f"{name} {key}", array) for key, array in track.items()}))
        h0, lengths, mask = content["h0"], content["lengths"], _decode_mask(content.get("mask"))
        several = len(cell_of(spec).states) > 1
        h0 = (decode_states if several or h0 is None else decode)("h0", h0)
        for index, length in enumerate(lengths if isinstance(lengths, list) else ()):  # check_inputs sees to the others
            if type(length) is not int:
                raise TypeError(f"lengths[{index}]: got {short(length)}, expected an integer")
        return cls(spec, parameters, decode("x", content["x"]), h0, lengths, content["layout"], mask)

    def save(self, path: str | Path) -> None:
        """Write the case to a file. Raises ValueError for one that is too large to be loaded."""
        text = self.to_json()
        _expect_small(text)
        write_atomically(Path(path), text)

    @classmethod
    def load(cls, path: str | Path) -> Case:
        """The case in a file. Raises OSError where there is none, and TypeError or ValueError as from_json does."""
        try:
            return cls.from_json(read_text("case", Path(path), limits.CASE_BYTES))
        except UnicodeDecodeError as error:
            raise ValueError(f"case: got a file that is not text ({error}), expected {FORMAT!r}") from error


def id_of(content: dict[str, Any]) -> str:
    """The id of a case that has, or had, this content."""
    return hashlib.sha256(_json(content).encode()).hexdigest()[:16]


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), default=in_base64)


def _parse(text: str) -> dict[str, Any]:
    """The object that a case's text holds, of this format and with its fields; the fields are not checked yet."""
    if not isinstance(text, str):
        raise TypeError(f"case: got {type(text).__name__}, expected a str, {FORMAT!r}")
    _expect_small(text)
    try:
        content = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError:
        raise ValueError(f"case: got text that is nested too deeply, expected {FORMAT!r}") from None
    except ValueError as error:
        raise ValueError(f"case: got text that is not JSON ({error}), expected {FORMAT!r}") from error
    given = content.get("format") if isinstance(content, dict) else content
    expect(given == FORMAT and isinstance(content, dict), "format", given, repr(FORMAT))
    expect_object("case", content, FIELDS, OPTIONAL_FIELDS)
    return content


def _expect_small(text: str) -> None:
    """Raise unless a case's text has a size that can be read, and few enough values."""
    expect(len(text) <= limits.CASE_BYTES, "case", f"{len(text)} characters", f"at most {limits.CASE_BYTES}")
    values = sum(map(text.count, ",[{")) + 1
    expect(values <= limits.CASE_VALUES, "case", f"{values} values", f"at most {limits.CASE_VALUES}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the field {short(twice)} stands there twice")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _decode_mask(given: Any) -> np.ndarray | None:
    """A list of booleans, nested or not, as an array; its shape is checked with x's."""
    if given is None:
        return None
    if not isinstance(given, list):
        raise TypeError(f"mask: got {type(given).__name__}, expected a list of booleans")
    rows = given if all(isinstance(row, list) for row in given) else [given]
    for row in rows:
        if len(row) != len(rows[0]):
            raise TypeError(f"mask: got rows of {len(rows[0])} and {len(row)}, expected rows of one length")
        for value in row:
            if not isinstance(value, bool):
                raise TypeError(f"mask: got {short(value)}, expected booleans")
    return np.array(given, dtype=np.bool_)
