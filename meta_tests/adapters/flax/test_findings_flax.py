"""What Flax has no way to say. What it gets wrong is in findings/."""

from __future__ import annotations

import numpy as np
import pytest

from meta_tests.common.frameworks import framework_adapter


def test_a_mask_with_holes_cannot_be_said() -> None:
    nnx = framework_adapter("flax").framework.nnx
    layer = nnx.RNN(nnx.SimpleCell(3, 5, rngs=nnx.Rngs(0)))
    with pytest.raises(TypeError, match="mask"):
        layer(np.zeros((2, 4, 3), "float32"), mask=np.ones((2, 4), bool))
