"""The lines of an evidence file, as plain objects. docs/evidence.md describes them; record/schema.py checks them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from reference import Case, Verdict
from reference.encoding import encode

from . import corpus

FORMAT = "rnn-equivalence evidence 1"
SEAL = b',"sha256":"%b"}\n'  # how a last line ends; its SHA-256 is that of the text in which `}\n` stands there
CUT_OFF = -1  # the exit status of a run that was cut off and closed later: none of pytest's
Line = dict[str, Any]


def dump(line: Mapping[str, Any]) -> bytes:
    """One line of text. JSON has no NaN and no infinity: here they are the words "nan", "inf" and "-inf"."""
    return (json.dumps(mapped(line, _writable), separators=(",", ":"), allow_nan=False) + "\n").encode()


def sealed(before: Any, last: Mapping[str, Any]) -> bytes:
    """The last line of a run or file, with its SHA-256.  before: a SHA-256 object of all bytes before it."""
    before = before.copy()
    before.update(dump(last))
    return dump({**last, "sha256": before.hexdigest()})


def _writable(value: Any) -> Any:
    """A number or text that JSON can hold: no half of a surrogate pair, which a path on a disk may have."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return value


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """The value with every number and text in it, keys too, replaced by what the function makes of it."""
    if isinstance(value, Mapping):
        return {function(key): mapped(item, function) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mapped(item, function) for item in value]
    return function(value)


def answer_id(output: np.ndarray, h_n: np.ndarray) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of an answer's dtypes, shapes and bits."""
    digest = hashlib.sha256()
    for array in (output, h_n):
        digest.update(f"{array.dtype.name} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def verdict_line(
    *,
    target: str, test: str, tested: str, relation: bool, case: Case, features: Mapping[str, Any], outcome: str,
    verdict: Verdict | None = None, message: str = "", answer: Sequence[np.ndarray] | None = None,
) -> Line:  # fmt: skip
    """What was said of one case.

    target: an adapter on a device, by its label.  test: pytest's name of the test.  tested: the property.
    relation: whether the answer was compared with another answer and not with the reference.
    message: why there is no verdict.  answer: output and h_n, of which the digest is noted.
    """
    said = None if verdict is None else {k: v for k, v in verdict.to_dict().items() if k != "outcome"}
    noted = answer_id(*answer[:2]) if comparable(verdict) and answer is not None else None
    return {
        "kind": "verdict", "target": target, "test": test, "property": tested, "relation": relation, "case": case.id,
        "corpus": corpus.names().get(case.id), "features": dict(features), "sizes": sizes(case), "outcome": outcome,
        "message": message, "verdict": said, "answer_id": noted,
    }  # fmt: skip


def comparable(verdict: Verdict | None) -> bool:
    """Whether an answer was of the shape and dtype that were asked for, so that its elements were compared."""
    return verdict is not None and verdict.reason not in ("shape", "dtype")


def sizes(case: Case) -> dict[str, int]:
    """The sizes of a case; its batch is 1 where it has no batch axis."""
    time_axis = 0 if case.layout in ("time_first", "unbatched") else 1
    return {
        "batch": 1 if case.layout == "unbatched" else case.x.shape[1 - time_axis],
        "time": case.x.shape[time_axis],
        "input_size": case.spec.input_size,
        "hidden_size": case.spec.hidden_size,
        "num_layers": case.spec.num_layers,
    }


def kept_answer(output: np.ndarray, h_n: np.ndarray, prefixes: Sequence[np.ndarray] | None) -> Line:
    """An answer, with all that is needed to judge it again."""
    lower = None if prefixes is None else [encode(array) for array in prefixes]
    return {"output": encode(output), "h_n": encode(h_n), "prefixes": lower}


def declarations(declared: Mapping[tuple[tuple[str, Any], ...], str]) -> list[Line]:
    """What an adapter declares of features, alone or together, as a list that JSON can hold: a reason, or a name."""
    return [{"features": dict(several), "reason": reason} for several, reason in declared.items()]
