"""Arguments that fit each other: a stack, its parameters, and an x for it. Tests change one of them."""

from __future__ import annotations

import numpy as np

from reference import RNNSpec
from reference.draws import draw_parameters

SPEC = RNNSpec(3, 4, 2, "bidirectional")
GOOD = draw_parameters(SPEC)
X = np.zeros((2, 5, 3), "float32")
FOREIGN = X.dtype.newbyteorder("S")
