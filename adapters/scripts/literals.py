"""Arrays and texts as Python source that gives the same back."""

import base64
import re

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
    same = np.array([float(_number(value)) for value in array.flat], dtype).tobytes() == array.tobytes()
    if array.size > limit or not same:  # not the same: a NaN that is not NumPy's own
        text = base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()
        lines = [text[start : start + WIDTH] for start in range(0, len(text), WIDTH)]
        return "\n".join([f'decoded("{dtype}", {array.shape}, """', *lines, '""")'])
    words = np.array2string(
        array,
        max_line_width=WIDTH,
        separator=", ",
        threshold=array.size,
        formatter={"float_kind": lambda value: re.sub("(?=nan|inf)", "np.", _number(value))},
    )
    return f'np.array({words}, "{dtype}")'


def _number(value: np.floating) -> str:
    """The shortest digits that give the value back, when read as a float64 and rounded to its dtype."""
    short = str(value)
    return short if type(value)(float(short)) == value or np.isnan(value) else repr(float(value))
