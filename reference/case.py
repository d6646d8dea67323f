"""A case: one question, complete, with a stable id and a round trip to JSON."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .arguments import check_inputs, check_parameters
from .files import write_atomically
from .recurrence import Result, forward
from .spec import CellParameters, Lengths, RNNSpec, expect

FORMAT = "rnn-equivalence case 1"


@dataclass(frozen=True, eq=False)
class Case:
    """A layer, its weights and its inputs: what `forward` and every adapter are asked.

    The arguments are forward's, and are checked in the same way. A case's dtype is x's.
    """

    spec: RNNSpec
    parameters: Sequence[CellParameters]
    x: np.ndarray
    h0: np.ndarray | None = None
    lengths: Lengths = None
    layout: str = "batch_first"

    def __post_init__(self) -> None:
        check_parameters(self.spec, self.parameters)
        check_inputs(self.spec, self.x, self.h0, self.lengths, self.layout, self.parameters[0].dtype)
        object.__setattr__(self, "parameters", tuple(self.parameters))
        if self.lengths is not None:
            object.__setattr__(self, "lengths", np.asarray(self.lengths, dtype=np.int64))

    @property
    def dtype(self) -> str:
        return self.x.dtype.name

    @property
    def inputs(self) -> dict[str, Any]:
        """What an adapter's run takes beside the module: x, h0, lengths, layout."""
        return {"x": self.x, "h0": self.h0, "lengths": self.lengths, "layout": self.layout}

    def answer(self) -> Result:
        """The reference's answer, in the arithmetic of the case's dtype."""
        return forward(self.spec, self.parameters, **self.inputs)

    def prefix(self, layers: int) -> Case:
        """The same question to the first `layers` layers of the stack."""
        cells = layers * self.spec.num_directions
        h0 = None if self.h0 is None else self.h0[:cells]
        spec = replace(self.spec, num_layers=layers)
        return Case(spec, self.parameters[:cells], self.x, h0, self.lengths, self.layout)

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the case's content."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """The case as JSON: arrays as base64 of their little-endian bytes in C order, with dtype and shape."""
        content = {
            "format": FORMAT,
            "spec": asdict(self.spec),
            "parameters": [{n: _encode(a) for n, a in cell.arrays().items()} for cell in self.parameters],
            "x": _encode(self.x),
            "h0": None if self.h0 is None else _encode(self.h0),
            "lengths": None if self.lengths is None else np.asarray(self.lengths).tolist(),
            "layout": self.layout,
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Case:
        """The case that to_json wrote. Raises ValueError, naming the field, for anything else."""
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"case: got text that is not JSON ({error}), expected {FORMAT!r}") from error
        fields = {"format", "spec", "parameters", "x", "h0", "lengths", "layout"}
        expect(isinstance(content, dict) and content.get("format") == FORMAT, "format",
               content.get("format") if isinstance(content, dict) else content, repr(FORMAT))  # fmt: skip
        expect(content.keys() == fields, "case fields", sorted(content), str(sorted(fields)))
        try:
            spec = RNNSpec(**content["spec"])
            parameters = [CellParameters(**{n: _decode(n, a) for n, a in c.items()}) for c in content["parameters"]]
        except (TypeError, AttributeError) as error:
            raise ValueError(f"case: {error}") from error
        h0 = None if content["h0"] is None else _decode("h0", content["h0"])
        return cls(spec, parameters, _decode("x", content["x"]), h0, content["lengths"], content["layout"])

    def save(self, path: str | Path) -> None:
        write_atomically(Path(path), self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Case:
        return cls.from_json(Path(path).read_text())


def _encode(array: np.ndarray) -> dict[str, Any]:
    # astype("<f4") would not do: bfloat16 has no such name, so the bytes are swapped by hand where needed
    raw = np.ascontiguousarray(array)
    if raw.dtype.byteorder == ">" or (raw.dtype.byteorder == "=" and not np.little_endian):
        raw = raw.byteswap()
    data = base64.b64encode(raw.tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def _decode(field: str, encoded: Any) -> np.ndarray:
    keys = {"dtype", "shape", "data"}
    expect(isinstance(encoded, dict) and encoded.keys() == keys, field, encoded, f"an object with {sorted(keys)}")
    try:
        dtype = np.dtype(encoded["dtype"])
    except TypeError as error:
        raise ValueError(
            f"{field} dtype: got {encoded['dtype']!r}, which NumPy does not know (bfloat16 needs ml_dtypes imported)"
        ) from error
    raw = base64.b64decode(encoded["data"], validate=True)
    count = int(np.prod(encoded["shape"], dtype=np.int64))
    expect(len(raw) == count * dtype.itemsize, f"{field} data", f"{len(raw)} bytes", f"{count * dtype.itemsize} bytes")
    array = np.frombuffer(raw, dtype=dtype).reshape(encoded["shape"]).copy()
    return array if np.little_endian else array.byteswap()
