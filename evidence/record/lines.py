"""The lines of an evidence file, as plain objects. docs/evidence.md describes them; record/schema.py checks them.

A file is plain text, or the same text compressed: record/packed.py says how.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adapters.capabilities import MODES, Capabilities, Refusal, beyond_base
from adapters.contract import Idiom, Result
from findings import Finding
from reference import Case, Gradients, Verdict, limits
from reference.encoding import arrays_of
from reference.files import opened, written_atomically
from reference.judging.view import WHOLE, View
from reference.layout import sequence_axes
from reference.spec import short

from . import corpus, packed

FORMAT = "rnn-equivalence evidence 1"
FORMATS = {FORMAT: "run", "rnn-equivalence campaign 1": "campaign"}
SEAL = b',"sha256":"%b"}\n'  # how a last line ends; its SHA-256 is that of the text in which `}\n` stands there
PINNED = "finding "  # and its id: the property that asks its pinned case
CUT_OFF = -1  # the exit status of a run that was cut off and closed later: none of pytest's
Line = dict[str, Any]


class Unusable(ValueError):
    """A file that is no evidence, or whose lines are not what was written."""


def dump(line: Mapping[str, Any]) -> bytes:
    """One line of text. JSON has no NaN and no infinity: here they are the words "nan", "inf" and "-inf"."""
    return (json.dumps(mapped(line, _writable), separators=(",", ":"), allow_nan=False) + "\n").encode()


def sealed(before: Any, last: Mapping[str, Any]) -> bytes:
    """The last line of a run or file, with its SHA-256.  before: a SHA-256 object of all bytes before it."""
    before = before.copy()
    before.update(dump(last))
    return dump({**last, "sha256": before.hexdigest()})


def with_seal(lines: Iterable[bytes], last: Mapping[str, Any]) -> Iterator[bytes]:
    """The lines of a run or file, and the last one, with their SHA-256."""
    found = hashlib.sha256()
    for line in lines:
        found.update(line)
        yield line
    yield sealed(found, last)


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


def answer_id(output: np.ndarray | None, h_n: Any, gradients: Gradients | None = None) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of an answer's dtypes, shapes and bits; None is not shown."""
    digest = hashlib.sha256()
    for array in arrays_of(output, h_n, gradients):
        told = "nothing " if array is None else f"{array.dtype.name} {array.shape} "
        digest.update(told.encode() + (b"" if array is None else np.ascontiguousarray(array).tobytes()))
    return digest.hexdigest()[:16]


def verdict_line(
    *,
    target: str, test: str, tested: str, relation: bool, case: Case, features: Mapping[str, Any], outcome: str,
    verdict: Verdict | None = None, message: str = "", answer: Result | None = None, idiom: str = "",
    findings: Sequence[str] = (), view: View = WHOLE,
) -> Line:  # fmt: skip
    """What was said of one case: record/schema.py says what each field means.  tested: the property.  answer: of which
    the digest is noted.  view: what an idiom shows, noted where that is not all."""
    said = None if verdict is None else {k: v for k, v in verdict.to_dict().items() if k != "outcome"}
    shown = None if answer is None else (answer.output, answer.h_n, answer.gradients)
    noted = answer_id(*shown) if comparable(verdict) and shown else None
    return {
        "kind": "verdict", "target": target, "test": test, "property": tested, "relation": relation, "case": case.id,
        "corpus": corpus.names().get(case.id), "features": dict(features), "sizes": sizes(case), "outcome": outcome,
        "message": message, "verdict": said, "answer_id": noted, "idiom": idiom, "findings": list(findings),
        **({"view": view.words()} if view != WHOLE else {}),
    }  # fmt: skip


def comparable(verdict: Verdict | None) -> bool:
    """Whether an answer was of the shape and dtype that were asked for, so that its elements were compared."""
    return verdict is not None and verdict.reason not in ("shape", "dtype")


def sizes(case: Case) -> dict[str, int]:
    """The sizes of a case; its batch is 1 where it has no batch axis."""
    axes = dict(zip(sequence_axes(case.layout), case.x.shape, strict=True))
    projected = {"projection_size": case.spec.projection_size} if case.spec.projection_size else {}
    return projected | {
        "batch": axes.get("batch", 1),
        "time": axes["time"],
        "input_size": case.spec.input_size,
        "hidden_size": case.spec.hidden_size,
        "num_layers": case.spec.num_layers,
    }


def refusals(refused: Mapping[tuple[tuple[str, Any], ...], Refusal]) -> list[Line]:
    return [{"features": dict(several), **said._asdict()} for several, said in refused.items()]


def capabilities(unsupported: Sequence[Line], refused: Sequence[Line], arithmetics: Sequence[Line]) -> Capabilities:
    """What was declared in these lines: `declarations` and `refusals` made them."""
    lacks = [(tuple(one["features"].items()), one["reason"]) for one in unsupported]
    return Capabilities(
        unsupported={several[0]: reason for several, reason in lacks if len(several) == 1},
        together={several: reason for several, reason in lacks if len(several) > 1},
        refused={tuple(one["features"].items()): Refusal(one["exception"], one["words"]) for one in refused},
        arithmetics={tuple(one["features"].items()): one["reason"] for one in arithmetics},
        offers=tuple(one for one in beyond_base() if (one,) not in dict(lacks)),
        gradient_modes=tuple(MODES),  # where it has none, the lines say so
    )


def idiom_lines(idioms: Mapping[str, Idiom]) -> list[Line]:
    return [
        {"word": word, "says": one.says, "view": one.view.words(), "without": declarations(one.without),
         "refused": refusals(one.refused), "answers": [dict(several) for several in one.answers],
         "absent": one.absent, "compiles": one.compiles}
        for word, one in idioms.items()
    ]  # fmt: skip


def idiom_of(line: Line, answer: Callable[[Case, str], Any]) -> Idiom:
    """The idiom that such a line declares, with what is to answer in it."""
    without = {tuple(one["features"].items()): one["reason"] for one in line["without"]}
    refused = {tuple(one["features"].items()): Refusal(one["exception"], one["words"]) for one in line["refused"]}
    answers = tuple(tuple(several.items()) for several in line["answers"])
    return Idiom(line["says"], answer, View.parse(line["view"]), without, refused, absent=line["absent"],
                 answers=answers, compiles=line["compiles"])  # fmt: skip


def finding_line(finding: Finding) -> Line:
    kept = ("id", "kind", "title", "link", "avoid", "idiom", "device")
    trigger = {name: list(values) for name, values in finding.trigger.items()}
    return {name: getattr(finding, name) for name in kept} | {"trigger": trigger, "what": str(finding.what)}


def declarations(declared: Mapping[tuple[tuple[str, Any], ...], str]) -> list[Line]:
    """What an adapter declares of features, alone or together, as a list that JSON can hold: a reason, or a name."""
    return [{"features": dict(several), "reason": reason} for several, reason in declared.items()]


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file's text. Raises FileNotFoundError; Unusable for no text, or more than reference.limits has."""
    try:
        with opened("file", path, limits.RECORD_BYTES) as stored:
            text = packed.unpacked(stored, path.suffix)
            position = number = 0
            while line := text.readline(limits.LINE_BYTES + 1):
                position, number = position + len(line), number + 1
                if len(line) > limits.LINE_BYTES:
                    longest = f"line {number}: longer than {limits.LINE_BYTES} bytes"
                    raise ValueError(f"{longest}, expected lines of a record")
                if position > limits.RECORD_BYTES:
                    raise ValueError(f"got text of more than {limits.RECORD_BYTES:,} bytes, expected at most that")
                if position > limits.RECORD_RATIO * max(stored.tell(), packed.CHUNK):
                    got = f"more than {position:,} bytes of text in {stored.tell():,} that are stored"
                    raise ValueError(f"got {got}, expected at most {limits.RECORD_RATIO} times as many")
                yield line
    except FileNotFoundError:
        raise
    except (*packed.FAULTS, ValueError) as error:
        raise Unusable(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def format_of(path: Path) -> str:
    """The kind of record that a file says it is, one of FORMATS. What names none is a run's, whose reader says what is
    wrong with it. Raises Unusable for another format."""
    try:
        first = json.loads(next(read_lines(path), b"null"))
    except (FileNotFoundError, ValueError, RecursionError):
        return "run"
    given = first.get("format", FORMAT) if isinstance(first, dict) else FORMAT
    if not isinstance(given, str) or given not in FORMATS:
        raise Unusable(f"{path.name}: got format {short(given)}, expected {' or '.join(map(repr, FORMATS))}")
    return FORMATS[given]


def write_lines(path: Path, text: Iterable[bytes]) -> None:
    """Write the text, compressed where the name asks for it; the same text gives the same bytes."""
    with written_atomically(path) as file:
        packed.pack(file, path.suffix, text)
