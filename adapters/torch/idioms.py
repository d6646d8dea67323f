"""Other ways in which users call torch.nn.RNN than run does: with settings that run replaces."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference import Case

from ..contract import Idiom, NotOffered, Result
from ..inputs import Inputs


def idioms(adapter: Any) -> dict[str, Idiom]:
    """Those of the adapter, by their words."""

    def with_settings(mode: str) -> Any:
        def answer(case: Case, device: str) -> Result:
            if case.mask is not None:
                raise NotOffered("torch.nn.RNN takes no mask")
            known = adapter._known(adapter.build(case.spec, case.parameters, device))._replace(mode=mode)
            steps = None if case.lengths is None else np.atleast_1d(np.asarray(case.lengths)).astype(np.int64)
            return adapter._run(known, Inputs(case.x, case.h0, steps, None, case.layout, case.layout))

        return answer

    return {
        "as it comes": Idiom("with the settings that torch has when it is imported", with_settings("as it comes")),
        "medium": Idiom('after torch.set_float32_matmul_precision("medium")', with_settings("bfloat16_products")),
    }
