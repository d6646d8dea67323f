"""Known faults: how implementations of a recurrent layer go wrong, each as a small variation of the reference.

fault: what a fault is.  machine: an implementation with faults planted in it.  where, changes, rows, step: what they
are made of.  weights: the faults in the weights and the biases, made from those of a cell.  layers, inputs, states,
directions, lengths, arithmetic, outputs: a table each.  masks: those that only a layer with a mask can have; gates:
those that only a cell with gates can have; found: those that findings name.
"""

from . import arithmetic, directions, gates, inputs, layers, lengths, outputs, states, weights
from .fault import Fault, Run, Where
from .machine import implementation

__all__ = ["COMMONEST", "FAULTS", "GATED_FAULTS", "Fault", "Run", "Where", "implementation"]

FAMILIES = (weights, layers, inputs, states, directions, lengths, arithmetic, outputs)
FAULTS = {name: fault for module in FAMILIES for name, fault in module.FAULTS.items()}
# those that a cell with gates alone can have
GATED_FAULTS = {name: fault for name, fault in (weights.OF_EVERY_CELL | gates.FAULTS).items() if name not in FAULTS}
# what a diagnosis tries in pairs: those that porting guides and issue threads report most
COMMONEST = tuple(
    FAULTS[name]
    for name in (
        "w_ih_transposed", "w_ih_reshaped", "w_hh_transposed", "b_ih_ignored", "b_hh_ignored", "biases_ignored",
        "directions_exchange_parameters", "batch_first_ignored", "h0_ignored", "h0_directions_exchanged",
        "direction_ignored", "reverse_not_put_back", "lengths_ignored", "halves_exchanged",
        "h_n_directions_exchanged", "h_n_from_the_last_output", "tanh_for_relu", "relu_for_tanh",
    )
)  # fmt: skip
