"""Arrays in JSON: base64 of their little-endian bytes in C order, with dtype and shape. Nothing is unpickled."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence, Set
from typing import Any

import numpy as np

from . import limits
from .backward import Gradients
from .layout import state_tuple
from .spec import DTYPES, CellParameters, dtype_name, expect, expect_word, short

ARRAY_FIELDS = {"dtype", "shape", "data"}
MOST_AXES = 3


def expect_object(field: str, given: Any, needed: Set[str], possible: Set[str] = frozenset()) -> None:
    """Raise unless `given` is a JSON object with the needed fields and, beside them, none but possible ones."""
    if not isinstance(given, dict):
        raise TypeError(f"{field}: got {type(given).__name__}, expected an object with {sorted(needed)}")
    if not needed <= given.keys() <= needed | possible:
        raise ValueError(f"{field} fields: got {short(sorted(given))}, expected {sorted(needed)}")


def raw(array: np.ndarray) -> dict[str, Any]:
    """The array as an object that json can write with `in_base64`; its dtype is one of DTYPES."""
    # astype("<f4") would not do: bfloat16 has no such name, so the bytes are swapped by hand where needed
    data = (array if np.little_endian else array.byteswap()).tobytes()
    return {"dtype": dtype_name(array.dtype), "shape": list(array.shape), "data": data}


def in_base64(data: bytes) -> str:
    """What `raw` leaves of an array, as JSON holds it."""
    return base64.b64encode(data).decode()


def encode(array: np.ndarray) -> dict[str, Any]:
    """The array as an object that json can write; its dtype is one of DTYPES."""
    bare = raw(array)
    return bare | {"data": in_base64(bare["data"])}


def decode(field: str, encoded: Any) -> np.ndarray:
    """The array that encode wrote, of at most MOST_AXES axes. It is made once the bytes at hand are known to fill it.

    Raises TypeError or ValueError, naming the field, for anything else.
    """
    expect_object(field, encoded, ARRAY_FIELDS)
    expect_word(f"{field} dtype", encoded["dtype"], DTYPES)
    try:
        dtype = np.dtype(encoded["dtype"])
    except TypeError as error:
        got = repr(encoded["dtype"])
        raise ValueError(f"{field} dtype: got {got}, which NumPy does not know (import ml_dtypes)") from error
    shape = _decode_shape(f"{field} shape", encoded["shape"], dtype.itemsize)
    if not isinstance(encoded["data"], str):
        raise TypeError(f"{field} data: got {type(encoded['data']).__name__}, expected a str")
    try:
        raw = base64.b64decode(encoded["data"], validate=True)
    except ValueError as error:
        raise ValueError(f"{field} data: got what is not base64 ({error}), expected an array's bytes") from error
    expected = math.prod(shape) * dtype.itemsize
    expect(len(raw) == expected, f"{field} data", f"{len(raw)} bytes", f"{expected} bytes")
    array = np.frombuffer(raw, dtype=dtype).reshape(shape).copy()
    return array if np.little_endian else array.byteswap()


def encode_states(states: Any) -> Any:
    """h0 or h_n: an array as encode writes it, a list of them for a tuple, None for None."""
    return list(map(encode, states)) if isinstance(states, tuple) else None if states is None else encode(states)


def decode_states(field: str, encoded: Any) -> Any:
    """What encode_states wrote. Raises as decode does."""
    if isinstance(encoded, list):
        return tuple(decode(f"{field}[{index}]", one) for index, one in enumerate(encoded))
    return None if encoded is None else decode(field, encoded)


def _decode_shape(field: str, shape: Any, itemsize: int) -> tuple[int, ...]:
    if not isinstance(shape, list) or any(type(n) is not int for n in shape):
        raise TypeError(f"{field}: got {short(shape)}, expected a list of integers")
    expect(all(n >= 0 for n in shape) and len(shape) <= MOST_AXES, field, shape,
           f"at most {MOST_AXES} integers of at least 0")  # fmt: skip
    expect(all(n <= limits.CASE_AXIS for n in shape), field, shape, f"integers of at most {limits.CASE_AXIS}")
    bytes_at_most = math.prod(max(n, 1) for n in shape) * itemsize  # an empty array's other axes count: steps are taken
    expect(bytes_at_most <= limits.CASE_BYTES, field, shape, f"a shape of at most {limits.CASE_BYTES} bytes")
    return tuple(shape)


def arrays_of(output: Any, h_n: Any, gradients: Gradients | None = None) -> list[Any]:
    """Every array of an answer, in one order; None in place of one that is not shown."""
    found = [output, *state_tuple(h_n)]
    if gradients is not None:
        found += [gradients.x, *state_tuple(gradients.h0)]
        found += [array for track in gradients.parameters for array in track.arrays().values()]
    return found


def encode_answer(
    output: Any, h_n: Any, prefixes: Sequence[np.ndarray] | None, gradients: Gradients | None = None
) -> Any:
    """An answer as an object that json can write; null in place of an array that is not shown. The output and the final
    states of gradients are the answer's."""
    lower = None if prefixes is None else [encode(array) for array in prefixes]
    answer = {"output": encode_states(output), "h_n": encode_states(h_n), "prefixes": lower}
    if gradients is None:
        return answer
    tracks = [{name: encode(array) for name, array in track.arrays().items()} for track in gradients.parameters]
    by = {"x": encode(gradients.x), "h0": encode_states(gradients.h0), "parameters": tracks}
    return {**answer, "gradients": by}


def decode_answer(answer: Any) -> tuple[Any, Any, list[np.ndarray] | None, Gradients | None]:
    """Output, h_n, prefixes and gradients that encode_answer wrote. Raises TypeError or ValueError where they are no
    arrays."""
    output = decode_states("output", answer["output"])
    h_n = decode_states("h_n", answer["h_n"])
    prefixes = answer["prefixes"]
    lower = None if prefixes is None else [decode(f"prefixes[{n}]", array) for n, array in enumerate(prefixes)]
    by = answer.get("gradients")
    if by is None:
        return output, h_n, lower, None
    tracks = [
        CellParameters.of({name: decode(f"gradients of parameters[{index}] {name}", a) for name, a in track.items()})
        for index, track in enumerate(by["parameters"])
    ]
    of_x, of_h0 = decode("gradient of x", by["x"]), decode_states("gradient of h0", by["h0"])
    return output, h_n, lower, Gradients(of_x, of_h0, tracks, output, h_n)
