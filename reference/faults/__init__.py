"""Known faults: how implementations of a recurrent layer go wrong, each as a small variation of the reference.

fault: what a fault is.  machine: an implementation with faults planted in it.  where, changes, rows, step: what they
are made of.  weights: those in the weights and the biases, made from a cell's own.  layers, inputs, states, directions,
lengths, arithmetic, outputs: the others, rows of tables and functions of a few lines.  masks: those that only a layer
with a mask can have.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from . import arithmetic, directions, inputs, layers, lengths, outputs, states, weights
from .fault import Fault, Run, Where
from .machine import implementation

__all__ = ["COMMONEST", "EQUIVALENT", "FAULTS", "Fault", "Run", "Where", "implementation"]

MODULES: tuple[ModuleType, ...] = (weights, layers, inputs, states, directions, lengths, arithmetic, outputs)


def _of(module: ModuleType) -> Iterator[Fault]:
    """The faults of a module, in order: single ones, and tables of them."""
    for entry in vars(module).values():
        for each in entry if isinstance(entry, tuple) else (entry,):
            if isinstance(each, Fault):
                yield each


_ALL = [fault for module in MODULES for fault in _of(module)]

# by name, in the order of the modules
FAULTS = {fault.name: fault for fault in _ALL if not fault.equivalent}
# changes that are no faults, and must stay invisible
EQUIVALENT = {fault.name: fault for fault in _ALL if fault.equivalent}

# what a diagnosis tries in pairs: those that porting guides and issue threads report most
COMMONEST = tuple(
    FAULTS[name]
    for name in (
        "w_ih_transposed",
        "w_ih_reshaped",
        "w_hh_transposed",
        "b_ih_ignored",
        "b_hh_ignored",
        "biases_ignored",
        "directions_exchange_parameters",
        "batch_first_ignored",
        "h0_ignored",
        "h0_directions_exchanged",
        "direction_ignored",
        "reverse_not_put_back",
        "lengths_ignored",
        "halves_exchanged",
        "h_n_directions_exchanged",
        "h_n_from_the_last_output",
        "tanh_for_relu",
        "relu_for_tanh",
    )
)
