"""What a user's own torch.nn.RNN, GRU or LSTM computes, from what torch's forward uses; or why that is not known.

Torch's code is known, and so is what it computes. Whatever may replace a part of it, or runs beside it, is refused.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch.nn.modules import module as torch_module
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

from reference import CellParameters, RNNSpec
from reference.arguments import cell_shapes
from reference.spec import DTYPES, short

from ..contract import NotOffered
from ..mapping import parameters_of
from .mapping import MAPPING
from .models import LAYERS, REVERSED, Reverse

TORCH_DTYPES = tuple(getattr(torch, name) for name in DTYPES)
# torch's `mode` -> the cell and its nonlinearity
KINDS = {"RNN_TANH": ("elman", "tanh"), "RNN_RELU": ("elman", "relu"), "GRU": ("gru", "tanh"), "LSTM": ("lstm", "tanh")}

Shapes = Mapping[str, tuple[int, ...]]
OURS = (*LAYERS.values(), torch.nn.RNNBase, *REVERSED.values(), Reverse)
# what torch's forward takes from the module itself, and of which type
HOOKS = {"_forward_hooks": "forward hook", "_forward_pre_hooks": "forward pre-hook"}
LISTS = ("_flat_weights_names", "_flat_weights", "_flat_weight_refs")
SIZES = ("input_size", "hidden_size", "num_layers")
ATTRIBUTES: dict[str, tuple[type, ...]] = {
    "mode": (str,),
    **dict.fromkeys((*SIZES, "proj_size"), (int,)),
    **dict.fromkeys(("bias", "batch_first", "bidirectional", "training"), (bool,)),
    "dropout": (float, int),
    **dict.fromkeys(LISTS, (list,)),
    **dict.fromkeys(HOOKS, (OrderedDict, dict)),
}
# names of torch that no call of a module reaches: a subclass or an instance may have its own
UNCALLED = {
    *("__init__", "__new__", "__init_subclass__", "__getstate__", "__setstate__", "__reduce__", "__reduce_ex__"),
    *("__repr__", "__str__", "extra_repr", "_get_name", "reset_parameters", "train", "eval", "to", "apply", "_apply"),
    *("state_dict", "load_state_dict", "parameters", "named_parameters", "requires_grad_", "zero_grad"),
    *("all_weights", "cpu", "cuda", "float", "double", "half", "bfloat16", "share_memory"),
    *("__doc__", "__module__", "__qualname__", "__annotations__", "__constants__", "__dict__", "__weakref__"),
    *("__firstlineno__", "__static_attributes__", "__annotate_func__", "__annotations_cache__"),
}
# what torch computes a weight by, always alike; the last one in eval() alone
PARAMETRIZATIONS = ("_WeightNorm", "_Orthogonal", "_SpectralNorm")
REACHED = frozenset(name for layer in LAYERS.values() for name in dir(layer)) - UNCALLED
# with what every module keeps in itself, which a class may take the place of
REACHED_OF_CLASS = REACHED.union(ATTRIBUTES, ("_parameters", "_buffers", "_modules"))


@dataclass(frozen=True)
class Native:
    """A module that is read.

    spec: with the layout in which the module is called.  weights: what its next call computes with, by torch's names.
    view: a module of the same class, parameters and settings. It may be changed and called; the user's stays as it is.
    """

    spec: RNNSpec
    weights: dict[str, torch.Tensor]
    view: torch.nn.RNNBase

    @property
    def device(self) -> torch.device:
        return self.weights["weight_ih_l0"].device

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(str(self.weights["weight_ih_l0"].dtype).removeprefix("torch."))

    def parameters(self) -> list[CellParameters]:
        """Copies of the weights, one CellParameters for each cell."""
        layer = MAPPING[self.spec.cell]
        ends = [suffix(self.spec, index) for index in range(self.spec.num_cells)]
        tracks = [{name: name + end for name in layer.arrays if name + end in self.weights} for end in ends]
        return [
            parameters_of(self.spec, layer, {name: array_of(self.weights[there]) for name, there in track.items()})
            for track in tracks
        ]


def native(module: Any) -> Native:
    """What a module computes when it is called; NotOffered, with the reason, where that is not known or no RNNSpec."""
    kind = type(module)
    if not issubclass(kind, tuple(LAYERS.values())):
        raise NotOffered(f"module: got {kind.__name__}, expected torch.nn.RNN, GRU or LSTM")
    _expect_torchs_code(module)
    _expect_attributes(module)
    view = object.__new__(kind)  # copy.copy would ask __getstate__, which a parametrized module lacks
    vars(view).update(vars(module))
    spec, shapes = _spec(view)
    parametrized: Any = view.parametrizations if is_parametrized(view) else {}
    _expect_parametrizations(parametrized)
    with torch.no_grad():
        return Native(spec, _weights(view, shapes, parametrized), view)


def _own(torchs: frozenset[str], theirs: Iterable[str]) -> str:
    """The first name, in their order, that would be found instead of torch's."""
    return "" if torchs.isdisjoint(theirs) else next(name for name in theirs if name in torchs)


def _expect_torchs_code(module: torch.nn.Module) -> None:
    """Refuse a module of which a subclass, the instance or a hook may change what torch's own code computes."""
    kind = type(module)
    above = kind.__mro__[: kind.__mro__.index(torch.nn.Module)]
    names = [_own(REACHED_OF_CLASS, vars(one)) for one in above if one not in OURS] + [_own(REACHED, vars(module))]
    for name in filter(None, names):
        raise NotOffered(f"module: got {kind.__name__}, whose {name} is its own: it may compute anything")
    _expect_no_hooks(module, "module")


def _expect_no_hooks(module: torch.nn.Module, field: str) -> None:
    everywhere = {"_global_forward_hooks": "forward hook", "_global_forward_pre_hooks": "forward pre-hook"}
    found = [(hook, what) for name, what in HOOKS.items() for hook in (vars(module).get(name) or {}).values()]
    found += [(hook, f"{what} of all modules") for name, what in everywhere.items()
              for hook in getattr(torch_module, name).values()]  # fmt: skip
    for hook, what in found:
        name = getattr(hook, "__name__", type(hook).__name__)
        raise NotOffered(f"{field}: got the {what} {name}, which may change the answer; remove it first")


def _expect_attributes(module: torch.nn.RNNBase) -> None:
    """Refuse what torch's forward cannot be called with, or with which it computes no layers that are known."""
    given = vars(module)
    for name, kinds in ATTRIBUTES.items():
        if type(given.get(name)) not in kinds:
            raise NotOffered(f"module {name}: got {short(given.get(name))}, expected {kinds[0].__name__}")
    for name in SIZES:
        if given[name] < 1:
            raise NotOffered(f"module {name}: got {given[name]}, expected an integer of at least 1")
    modes = [mode for mode, (cell, _) in KINDS.items() if isinstance(module, LAYERS[cell])]
    if given["mode"] not in modes:
        raise NotOffered(f"module mode: got {short(given['mode'])}, expected {' or '.join(modes)}")
    if given["proj_size"] != 0 and modes != ["LSTM"]:
        raise NotOffered(f"module proj_size: got {given['proj_size']}, expected 0: torch.nn.LSTM alone has projections")
    if given["dropout"] and given["training"] and given["num_layers"] > 1:
        raise NotOffered(f"module: got dropout={given['dropout']} in training, expected eval(): its answer is random")
    if given["bidirectional"] and isinstance(module, Reverse):
        raise NotOffered(
            f"module: got a bidirectional {type(module).__name__}, whose halves are exchanged; expected torch's own"
        )


def _spec(view: torch.nn.RNNBase) -> tuple[RNNSpec, Shapes]:
    """What the equations depend on, and the weights that it has. Torch obeys `mode`, whatever `nonlinearity` says."""
    direction = "bidirectional" if view.bidirectional else "reverse" if isinstance(view, Reverse) else "forward"
    layout = "batch_first" if view.batch_first else "time_first"
    sizes = view.input_size, view.hidden_size, view.num_layers
    cell, nonlinearity = KINDS[view.mode]
    try:
        return _spec_of(*sizes, direction, nonlinearity, view.bias, cell, False, False, view.proj_size, layout)
    except ValueError as error:
        raise NotOffered(f"module proj_size: {error}") from error


@functools.lru_cache  # modules of one kind are asked again and again
def _spec_of(*sizes_and_words: Any) -> tuple[RNNSpec, Shapes]:
    """The fields of a spec, and the layout; the shapes of its weights by torch's names."""
    *given, layout = sizes_and_words
    spec = RNNSpec(*given, layout=layout, held=False)
    names = {array.of[0]: name for name, array in MAPPING[spec.cell].arrays.items()}
    shapes = {
        names[field] + suffix(spec, index): shape
        for index in range(spec.num_cells)
        for field, shape in cell_shapes(spec, index // spec.num_directions).items()
    }
    return spec, MappingProxyType(shapes)


def _expect_parametrizations(lists: Any) -> None:
    """Refuse weights that are not computed by torch's own code, the same at each call."""
    for name, parametrization in lists.items():
        for part in parametrization.modules():
            kind = type(part)
            torchs = kind.__module__ == "torch.nn.utils.parametrizations" and kind.__name__ in PARAMETRIZATIONS
            if not (torchs or kind is ParametrizationList) or _own(frozenset(dir(kind)), vars(part)):
                what = f"{name} computed by {kind.__name__}"
                raise NotOffered(f"module: got {what}, which may compute anything; remove the parametrization first")
            _expect_no_hooks(part, f"module {name}")
            if kind.__name__ == "_SpectralNorm" and part.training:
                raise NotOffered(f"module {name}: got spectral_norm in training, expected eval(): each call changes it")


def _weights(view: torch.nn.RNNBase, shapes: Shapes, parametrized: Iterable[str]) -> dict[str, torch.Tensor]:
    """What forward computes with, by name. Torch keeps it in _flat_weights, and renews that when forward begins."""
    named, flat, refs = (vars(view)[name] for name in LISTS)
    if named != list(shapes) or len(flat) != len(named) or len(refs) != len(named):
        raise NotOffered(f"module: got weights of another layer, {short(named)}, expected {short(list(shapes))}")
    kind, computed = type(view), set(parametrized)
    for name in named:
        if name not in computed and hasattr(kind, name):
            raise NotOffered(f"module: got {kind.__name__}, whose {name} is its own: it may compute anything")
    view._update_flat_weights()
    used: dict[str, Any] = dict(zip(named, view._flat_weights, strict=True))
    for name, weight in used.items():
        if name not in computed and weight is not getattr(view, name, None):
            raise NotOffered(
                f"module {name}: got another tensor than the one in _flat_weights that torch computes with"
            )
        for wrong in _wrong(weight, shapes[name], used["weight_ih_l0"]):
            raise NotOffered(f"module {name}: got {wrong}")
    return used


def _wrong(weight: Any, shape: tuple[int, ...], first: torch.Tensor) -> Iterator[str]:
    """Why a weight has no values to read, or torch cannot compute the layer with it. Only the first holds."""
    inside: Any = torch  # which does not tell of two of its functions
    if type(weight) not in (torch.Tensor, torch.nn.Parameter):
        yield f"{type(weight).__name__}, expected a plain tensor"
    if inside._is_functional_tensor(weight) or inside._C._functorch.is_functorch_wrapped_tensor(weight):
        yield "a tensor inside a transform of torch.func, expected a plain tensor"
    if weight.device.type == "meta":
        yield "a tensor on the device meta, which has no values, expected one with values"
    if weight.layout is not torch.strided or weight.is_nested:
        yield f"layout {'nested' if weight.is_nested else weight.layout}, expected a dense tensor"
    if weight.dtype not in TORCH_DTYPES:
        yield f"dtype {weight.dtype}, expected one of {', '.join(DTYPES)}"
    if weight.dtype != first.dtype or weight.device != first.device:
        yield f"dtype {weight.dtype} on {weight.device}, expected {first.dtype} on {first.device}, as weight_ih_l0"
    if weight.shape != shape:
        yield f"shape {tuple(weight.shape)}, expected {shape}"


def suffix(spec: RNNSpec, index: int) -> str:
    """What torch's names of a cell's parameters end with."""
    layer, direction = divmod(index, spec.num_directions)
    return f"_l{layer}{'_reverse' if direction else ''}"


def array_of(value: torch.Tensor) -> np.ndarray:
    """A NumPy copy of a tensor on any device."""
    value = value.detach().cpu().resolve_neg()
    if value.dtype == torch.bfloat16:
        import ml_dtypes

        return value.view(torch.uint16).numpy().view(ml_dtypes.bfloat16).copy()
    return value.numpy().copy()
