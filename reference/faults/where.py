"""Conditions without which a fault changes nothing; the cases are time first and batched."""

import numpy as np

from .fault import Where, presupposed
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
SQUARE = presupposed(
    "a layer with as many features as units",
    lambda case: case.spec.hidden_size in map(case.spec.layer_input_size, range(case.spec.num_layers)),
)
ALL_SQUARE = presupposed("input_size equal to the output's", lambda case: case.spec.input_size == case.spec.output_size)
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
EQUAL_TIME = presupposed("as many sequences as steps, above 1", lambda case: case.x.shape[0] == case.x.shape[1] > 1)
BIAS = presupposed("bias", lambda case: case.spec.bias)
H0 = presupposed("h0", lambda case: case.h0 is not None)
LAYERS = presupposed("num_layers above 1", lambda case: case.spec.num_layers > 1)
THREE_LAYERS = presupposed("num_layers above 2", lambda case: case.spec.num_layers > 2)
TRACKS = Where("more than one cell", lambda case: case.spec.num_cells > 1)
BOTH = presupposed("bidirectional", lambda case: case.spec.num_directions > 1)
A_REVERSE = presupposed("reverse or bidirectional", lambda case: case.spec.direction != "forward")
A_FORWARD = presupposed("forward or bidirectional", lambda case: case.spec.direction != "reverse")
PADDING = Where("a length below the number of steps", lambda case: bool(np.any(lengths_of(case) < len(case.x))))
EMPTY = Where("a sequence of length 0", lambda case: case.mask is None and bool(np.any(lengths_of(case) == 0)))
UNSORTED = Where("lengths that are not in descending order", lambda case: bool(np.any(np.diff(lengths_of(case)) > 0)))
TANH = presupposed("tanh", lambda case: case.spec.nonlinearity == "tanh")
RELU = presupposed("relu", lambda case: case.spec.nonlinearity == "relu")
CLIP = presupposed("clip", lambda case: case.spec.clip is not None)
FLOAT64 = presupposed("float64", lambda case: case.dtype == "float64")
FLOAT32 = presupposed("float32", lambda case: case.dtype == "float32")
WIDE = presupposed("float32 or float64", lambda case: case.dtype in ("float32", "float64"))
FINER = presupposed("any dtype but bfloat16", lambda case: case.dtype != "bfloat16")
NO_H0 = presupposed("no h0", lambda case: case.h0 is None)
EQUAL_TRACKS = presupposed(
    "as many cells as sequences, above 1", lambda case: case.spec.num_cells == case.x.shape[1] > 1
)
EQUAL_UNITS = presupposed(
    "as many sequences as units, above 1", lambda case: case.spec.state_size == case.x.shape[1] > 1
)
NOT_FINAL = Where(
    "a final state that is not the last output",
    lambda case: len(case.x) > 0 and (case.spec.direction != "forward" or bool(np.any(lengths_of(case) < len(case.x)))),
)
