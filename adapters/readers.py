"""What the readers of users' own modules share: how they refuse, and what they make of what they found."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reference import CellParameters, RNNSpec
from reference.arguments import check_parameters

from .contract import NotOffered

NAMES = ("w_ih", "w_hh", "b_ih", "b_hh")


def refuse(name: str, faults: Mapping[str, Any]) -> None:
    """Raise NotOffered for the first of these sentences that is true of the part of that name."""
    for sentence, true in faults.items():
        if true:
            raise NotOffered(f"{name}: {sentence}")


def one_for_all(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The value of each fact that all layers or tracks share; NotOffered where they do not."""
    for name in facts[0]:
        values = list(dict.fromkeys(fact[name] for fact in facts))
        if len(values) > 1:
            raise NotOffered(f"module: got layers with {name} {values}, expected one value: RNNSpec has one for all")
    return dict(facts[0])


def spec_and_parameters(weights: Sequence[Sequence[np.ndarray]], **words: Any) -> tuple[RNNSpec, list[CellParameters]]:
    """The RNNSpec of these words and the CellParameters of these weights, or NotOffered where they make none.

    weights: of each track its kernel, its recurrent kernel and, if it has one, its bias. Columns are units; the bias
    becomes b_ih, and b_hh is zero.
    """
    try:
        spec = RNNSpec(**words)
        parameters = [
            CellParameters.of(dict(zip(NAMES, (np.array(array.T, order="C") for array in arrays), strict=False)))
            for arrays in ([*track, *map(np.zeros_like, track[2:])] for track in weights)
        ]
        check_parameters(spec, parameters)
    except (TypeError, ValueError) as error:
        raise NotOffered(f"module: {error}") from error
    return spec, parameters


def columns(cell: CellParameters) -> list[np.ndarray]:
    """[kernel, recurrent kernel], and the sum of both biases where there are any: what spec_and_parameters takes."""
    kernels = [np.array(w.T, order="C") for w in (cell.w_ih, cell.w_hh)]
    return kernels if cell.b_ih is None else [*kernels, cell.b_ih + cell.b_hh]
