"""Conditions without which a fault changes nothing; the cases are time first and batched."""

import numpy as np

from .fault import Where
from .machine import lengths_of

ALWAYS = Where("any case", lambda case: case.x.shape[1] > 0)
STEPS = Where("time steps", lambda case: case.x.size > 0)
UNMASKED = Where("time steps, no mask", lambda case: case.x.size > 0 and case.mask is None)
UNITS = Where("hidden_size above 1", lambda case: case.spec.hidden_size > 1)
OUTPUTS = Where("more than one output", lambda case: case.spec.output_size > 1)
FEATURES = Where("input_size above 1", lambda case: case.spec.input_size > 1)
# the first layer's features, or those that an upper layer reads
ANY_FEATURES = Where(
    "a layer that reads more than one feature",
    lambda case: case.spec.input_size > 1 or (case.spec.num_layers > 1 and case.spec.output_size > 1),
)
SQUARE = Where(
    "a layer with as many features as units",
    lambda case: case.spec.hidden_size in map(case.spec.layer_input_size, range(case.spec.num_layers)),
    presupposed=True,
)
ALL_SQUARE = Where(
    "input_size equal to the output's", lambda case: case.spec.input_size == case.spec.output_size, presupposed=True
)
ROWS = Where("batch above 1", lambda case: case.x.shape[1] > 1)
TWO_STEPS = Where("a sequence of two steps", lambda case: bool(np.any(lengths_of(case) > 1)))
SEQUENCE = Where("more than one time step", lambda case: len(case.x) > 1)
FIVE_STEPS = Where("a sequence of five steps", lambda case: bool(np.any(lengths_of(case) > 4)))
# w_hh matters: there is a state before some step
RECURRENT = Where(
    "h0 or a sequence of two steps", lambda case: bool(np.any(lengths_of(case) > (1 if case.h0 is None else 0)))
)
# where w_hh is square: it is, but of a projected layer
SQUARE_RECURRENT = Where(
    RECURRENT.words, lambda case: RECURRENT.holds(case) and case.spec.state_size == case.spec.hidden_size
)
EQUAL_TIME = Where(
    "as many sequences as steps, above 1", lambda case: case.x.shape[0] == case.x.shape[1] > 1, presupposed=True
)
BIAS = Where("bias", lambda case: case.spec.bias, presupposed=True)
H0 = Where("h0", lambda case: case.h0 is not None, presupposed=True)
LAYERS = Where("num_layers above 1", lambda case: case.spec.num_layers > 1, presupposed=True)
THREE_LAYERS = Where("num_layers above 2", lambda case: case.spec.num_layers > 2, presupposed=True)
TRACKS = Where("more than one cell", lambda case: case.spec.num_cells > 1)
BOTH = Where("bidirectional", lambda case: case.spec.num_directions > 1, presupposed=True)
A_REVERSE = Where("reverse or bidirectional", lambda case: case.spec.direction != "forward", presupposed=True)
A_FORWARD = Where("forward or bidirectional", lambda case: case.spec.direction != "reverse", presupposed=True)
PADDING = Where("a length below the number of steps", lambda case: bool(np.any(lengths_of(case) < len(case.x))))
EMPTY = Where("a sequence of length 0", lambda case: case.mask is None and bool(np.any(lengths_of(case) == 0)))
UNSORTED = Where("lengths that are not in descending order", lambda case: bool(np.any(np.diff(lengths_of(case)) > 0)))
TANH = Where("tanh", lambda case: case.spec.nonlinearity == "tanh", presupposed=True)
RELU = Where("relu", lambda case: case.spec.nonlinearity == "relu", presupposed=True)
CLIP = Where("clip", lambda case: case.spec.clip is not None, presupposed=True)
FLOAT64 = Where("float64", lambda case: case.dtype == "float64", presupposed=True)
FLOAT32 = Where("float32", lambda case: case.dtype == "float32", presupposed=True)
WIDE = Where("float32 or float64", lambda case: case.dtype in ("float32", "float64"), presupposed=True)
FINER = Where("any dtype but bfloat16", lambda case: case.dtype != "bfloat16", presupposed=True)
NO_H0 = Where("no h0", lambda case: case.h0 is None, presupposed=True)
EQUAL_TRACKS = Where(
    "as many cells as sequences, above 1", lambda case: case.spec.num_cells == case.x.shape[1] > 1, presupposed=True
)
EQUAL_UNITS = Where(
    "as many sequences as units, above 1", lambda case: case.spec.state_size == case.x.shape[1] > 1, presupposed=True
)
NOT_FINAL = Where(
    "a final state that is not the last output",
    lambda case: len(case.x) > 0 and (case.spec.direction != "forward" or bool(np.any(lengths_of(case) < len(case.x)))),
)
