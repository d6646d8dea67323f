"""Models in torch's files, of which no code is run; the recurrent layers of a model, and what each is called with."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from reference.layout import each_state
from reference.spec import short

from ..running.guard import one_line, told
from .models import LAYERS
from .read import array_of
from .tensors import tensor

# what a file may hold whole, beside recurrent layers: they run no code of anybody else's
CONTAINERS = (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict,
              torch.nn.Linear, torch.nn.Embedding, torch.nn.Dropout, torch.nn.LayerNorm)  # fmt: skip
UNKNOWN = re.compile(r"GLOBAL (\S+)")
FIRST = "weight_ih_l0"
HELD_IN = ("state_dict", "model_state_dict", "model")  # a checkpoint's names of a model's weights


def load(path: Path, layer: str) -> Any:
    """The module in a file, or the layer whose state_dict it is. Raises ValueError, in a sentence, for anything else.

    layer: of a state_dict, as print(module) has it: "LSTM(3, 5, num_layers=2)".
    """
    try:
        with (
            torch.serialization.safe_globals([*LAYERS.values(), *CONTAINERS]),
            warnings.catch_warnings(action="ignore"),
        ):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever a file makes it raise
        named = UNKNOWN.search(str(error))
        why = f"it needs {named[1]}" if named else told(error).partition(". ")[0]
        raise ValueError(f"{path}: {why}, and no code of a file is run: save the recurrent layer alone, or its "
                         "state_dict, or name the model as module:object") from error  # fmt: skip
    found = next((found[name] for name in HELD_IN if isinstance(found, Mapping) and name in found), found)
    if isinstance(found, Mapping):
        return _of_weights(path, found, layer)
    if layer or not isinstance(found, torch.nn.Module):
        got = f"a {type(found).__name__}{' and --layer' if layer else ''}"
        raise ValueError(f"{path}: got {got}, expected a module, or a state_dict and --layer")
    return found


def _of_weights(path: Path, state: Mapping[str, Any], layer: str) -> torch.nn.Module:
    """The layer that a state_dict is of, or, in a larger one, the only one that fits."""
    ends = [name.removesuffix(FIRST) for name in state if str(name).endswith(FIRST)]
    if not ends or not layer:
        got = "a state_dict" if ends else "a dict without a recurrent layer's weights"
        raise ValueError(f"{path}: got {got}, expected a state_dict and --layer 'LSTM(3, 5, num_layers=2)', its class "
                         "and sizes")  # fmt: skip
    fits = []
    for end in ends:
        names = [name for name in state if name.startswith(end) and "." not in name.removeprefix(end)]
        try:
            module = _made(layer).to(state[end + FIRST].dtype)  # else torch would round the weights to its default
            module.load_state_dict({name.removeprefix(end): state[name] for name in names})
            fits.append(module)
        except (AttributeError, RuntimeError, TypeError):
            continue  # other sizes, or no tensors
    if len(fits) != 1:
        there = ", ".join(f"{name} {tuple(getattr(state[name], 'shape', ()))}" for end in ends
                          for name in (f"{end}{FIRST}", f"{end}weight_hh_l0") if name in state)  # fmt: skip
        raise ValueError(
            f"{path}: --layer {layer}: got {len(fits) or 'no'} layers of these weights, expected one: {there}"
        )
    return fits[0].eval()


def _made(words: str) -> torch.nn.Module:
    """The layer that "LSTM(3, 5)" names; nothing in it is run."""
    kinds: dict[str, Any] = {kind.__name__: kind for kind in LAYERS.values()}
    try:
        call: Any = ast.parse(words, mode="eval").body
        name = ast.unparse(call.func).rpartition(".")[2]
        given = [ast.literal_eval(argument) for argument in call.args]
        return kinds[name](*given, **{one.arg: ast.literal_eval(one.value) for one in call.keywords})
    except Exception as error:  # no call, a call of another class, arguments that it does not take
        why = "" if isinstance(error, AttributeError | KeyError | SyntaxError) else f" ({one_line(error)})"
        raise ValueError(f"--layer: got {short(words)}{why}, expected such as 'LSTM(3, 5, num_layers=2)': "
                         f"{', '.join(kinds)} and its sizes") from error  # fmt: skip


def layers(model: Any) -> dict[str, torch.nn.Module]:
    """The recurrent layers of a model, by where they lie; "" is the model itself."""
    inside = model.named_modules() if isinstance(model, torch.nn.Module) else ()
    return {name: module for name, module in inside if isinstance(module, tuple(LAYERS.values()))}


def moved(model: Any, device: str) -> Any:
    return model.to(device)


def calls(model: Any, inside: Mapping[str, torch.nn.Module], x: np.ndarray) -> dict[str, dict[str, Any]]:
    """What the layers are first called with when the model is called with x, as arguments of run; by their names."""
    seen: dict[str, dict[str, Any]] = {}

    def listen(name: str, layer: Any) -> Any:
        def hear(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            names = dict(zip(("input", "hx"), given, strict=False)) | named
            seen.setdefault(name, _inputs(layer, names["input"], names.get("hx")))

        return layer.register_forward_pre_hook(hear, with_kwargs=True)

    heard = [listen(*named) for named in inside.items()]
    try:
        with torch.no_grad():
            model(tensor(x).to(next(model.parameters()).device))
    finally:
        for one in heard:
            one.remove()
    return seen


def _inputs(layer: Any, x: Any, hx: Any) -> dict[str, Any]:
    lengths, layout = None, "batch_first" if layer.batch_first else "time_first"
    if isinstance(x, PackedSequence):
        x, steps = pad_packed_sequence(x, layer.batch_first)
        lengths = steps.numpy()
    layout = "unbatched" if x.dim() == 2 else layout
    return {"x": array_of(x), "h0": each_state(array_of, hx), "lengths": lengths, "layout": layout}
