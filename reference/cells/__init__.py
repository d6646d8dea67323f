"""One file a cell: its states, its weights, its equations, written once over the operations of reference.calculus."""

from __future__ import annotations

from ..spec import RNNSpec
from .cell import Cell, State, Weight
from .elman import Elman

__all__ = ["Cell", "State", "Weight", "cell_of"]


def cell_of(spec: RNNSpec) -> Cell:
    """The cell that a spec names."""
    return Elman(spec.nonlinearity)
