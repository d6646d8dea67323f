"""Arrays and texts as Python source that gives the same back."""

from __future__ import annotations

import base64
import textwrap

import numpy as np

LARGEST_READABLE = 200  # elements; a larger array is written as base64
WIDTH = 110  # columns of a line of numbers

# What a script with large arrays must define.
DECODED = '''
def decoded(dtype, shape, text):
    """An array too large to read: base64 of its little-endian bytes."""
    raw = np.frombuffer(base64.b64decode(text), np.dtype(dtype).newbyteorder("<"))
    return raw.astype(dtype).reshape(shape)
'''


def text_literal(text: str) -> str:
    """An expression that makes this text, on one line and of ASCII alone, in double quotes."""
    escaped = text.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return f'"{escaped}"'


def array_literal(array: np.ndarray, limit: float = LARGEST_READABLE) -> str:
    """An expression that makes this array, bit for bit: NumPy's own, or above `limit` elements one of DECODED.

    A bfloat16 array is written as the float32 array of the same numbers.
    """
    array = array.astype(np.float32) if array.dtype.name == "bfloat16" else array
    dtype = array.dtype.name
    if not array.size:
        return f'np.zeros({array.shape}, "{dtype}")'
    numbers = [_number(value) for value in array.flat]
    same = np.array([float(number) for number in numbers], dtype).tobytes() == array.tobytes()
    if array.size > limit or not same:  # not the same: a NaN that is not NumPy's own
        return _encoded(array)
    words = np.array([f"np.{n}" if n in ("nan", "inf") else n.replace("-inf", "-np.inf") for n in numbers])
    return f'np.array({_nested(words.reshape(array.shape))}, "{dtype}")'


def _number(value: np.floating) -> str:
    """The shortest digits that give the value back, when read as a float64 and rounded to its dtype."""
    short = str(value)
    return short if type(value)(float(short)) == value or np.isnan(value) else repr(float(value))


def _encoded(array: np.ndarray) -> str:
    little = array.astype(array.dtype.newbyteorder("<"))
    text = base64.b64encode(little.tobytes()).decode()
    lines = [text[start : start + WIDTH] for start in range(0, len(text), WIDTH)]
    return "\n".join([f'decoded("{array.dtype.name}", {array.shape}, """', *lines, '""")'])


def _nested(words: np.ndarray, depth: int = 0) -> str:
    """Nested lists of words: a row on a line, and a whole array that is short enough on one."""
    if words.ndim == 1:
        row = f"[{', '.join(words)}]"
        if len(row) + 4 * depth <= WIDTH:
            return row
        lines = textwrap.wrap(", ".join(words), WIDTH - 4 * depth, break_on_hyphens=False)
    else:
        lines = [f"{_nested(row, depth + 1)}," for row in words]
    inner, outer = "    " * (depth + 1), "    " * depth
    return "\n".join(["[", *(inner + line for line in lines), f"{outer}]"])
