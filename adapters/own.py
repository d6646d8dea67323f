"""A user's own model: opened from a file, or as module:object; its recurrent layers, and a case for each.

A file is data: nothing in it is run. FRAMEWORK/files.py opens those of a framework, and finds the layers of a model.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reference import LAYOUTS, Case, CellParameters, Lengths, RNNSpec
from reference.cells import cell_of
from reference.draws import draw_case
from reference.files import opened
from reference.layout import from_state_tuple

from . import KNOWN, LoadError, load
from .contract import Adapter, Result, Unsupported, expect_device
from .running.guard import one_line, told, warnings_shown
from .running.trial import Stack
from .running.usable import devices_of

# the end of a file's name -> the adapters that read what is in it; the first that loads does
FILES = {".pt": ("torch",), ".pth": ("torch",), ".keras": ("keras",),
         ".onnx": ("onnxruntime", "onnx", "openvino", "tract")}  # fmt: skip
# the package that an object's class comes from -> the same
OBJECTS = {"torch": ("torch",), "keras": ("keras",), "flax": ("flax",), "equinox": ("equinox",),
           "onnx": FILES[".onnx"], "paddle": ("paddle",)}  # fmt: skip
INSTEAD = {
    ".h5": "load it in Keras, and save it as .keras",
    ".hdf5": "load it in Keras, and save it as .keras",
    ".safetensors": "load it into its module, and name that as module:object",
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".bin", ".ckpt"), "a pickle may run code: save a state_dict as .pt"),
}
LARGEST = 2**30  # bytes of a file of inputs
INPUTS = ("x", "h0", "c0", "lengths", "mask")


@dataclass(frozen=True)
class Layer:
    """One recurrent layer of a model, or a stack that is read as one.

    name: where it lies in the model; empty for the model itself.  module: the framework's own.
    """

    name: str
    module: Any
    spec: RNNSpec
    parameters: list[CellParameters]


@dataclass(frozen=True)
class Model:
    """A user's own model.

    source: what the user named.  framework: the name of the adapter that reads it.  module: the whole.
    layers: those that can be read, in the model's order.  unread: why others cannot be, by where they lie.
    """

    source: str
    framework: str
    adapter: Adapter
    module: Any
    layers: list[Layer]
    unread: Mapping[str, str]

    @property
    def whole(self) -> bool:
        """Whether the model is one recurrent stack, and nothing else."""
        return self.layers[0].module is self.module


def model_of(source: str, device: str, layer: str = "") -> Model:
    """The model that a user names: a file, or module:object, which may be a function that makes it.

    layer: the class and sizes of a state_dict's layer, as print(module) has it.
    Raises ValueError, in a sentence, for what cannot be opened or holds no recurrent layer; LoadError where its
    framework does not load.
    """
    path = Path(source)
    module, _, attribute = source.partition(":")
    if not path.exists() and all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        found = _object(module, attribute)
        name, adapter = _loaded(source, _framework_of(source, found))
    else:
        name, adapter = _loaded(source, _framework_in(path))
        with warnings_shown():
            found = _files(name).load(path, layer)
    return _read(source, name, adapter, found, device)


def _framework_in(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        got = "no such file" if not path.exists() else "got no regular file"
        raise ValueError(f"{path}: {got}, expected a {', '.join(FILES)} file, or module:object")
    if path.suffix not in FILES:
        what = INSTEAD.get(path.suffix, f"expected a {', '.join(FILES)} file, or module:object")
        raise ValueError(f"{path}: got a file of the kind {path.suffix or 'without an ending'!r}: {what}")
    return FILES[path.suffix]


def _object(module: str, attribute: str) -> Any:
    try:
        with warnings_shown():
            found: Any = importlib.import_module(module)
            for name in attribute.split("."):
                found = getattr(found, name)
            made = isinstance(found, type) or not any(package in OBJECTS for package in _packages(type(found)))
            return found() if made and callable(found) else found
    except (Exception, SystemExit) as error:  # the user's own code, in whatever way it fails
        raise ValueError(f"{module}:{attribute}: {told(error)}") from error


def _packages(kind: type) -> list[str]:
    return [one.__module__.partition(".")[0] for one in kind.__mro__]


def _framework_of(source: str, found: Any) -> tuple[str, ...]:
    package = next((package for package in _packages(type(found)) if package in OBJECTS), None)
    if package is None:
        expected = f"a model of {', '.join(OBJECTS)}, or a function that makes one"
        raise ValueError(f"{source}: got a {type(found).__name__}, expected {expected}")
    return OBJECTS[package]


def _loaded(source: str, names: tuple[str, ...]) -> tuple[str, Adapter]:
    """The first of these adapters that loads."""
    for name in names:
        try:
            return name, load(name)
        except LoadError as error:
            if not error.absent or name == names[-1]:
                raise LoadError(f"{source}: {error}", error.absent) from error
    raise AssertionError(names)


def _files(name: str) -> Any:
    return importlib.import_module(KNOWN[name][0].partition(".adapter:")[0] + ".files")


def _read(source: str, name: str, adapter: Any, module: Any, device: str) -> Model:
    files = _files(name)
    expect_device(device, devices_of(adapter, name))
    if hasattr(files, "moved"):
        module = files.moved(module, device)
    try:
        with warnings_shown():
            layers = [Layer("", module, *adapter.read(module))]
            return Model(source, name, adapter, module, layers, {})
    except Unsupported as refusal:
        inside, why = files.layers(module), str(refusal)
    if not [*inside] or [*inside] == [""]:
        raise ValueError(f"{source}: {why}")
    layers, unread = [], dict[str, str]()
    for where, one in inside.items():
        try:
            with warnings_shown():
                layers.append(Layer(where, one, *adapter.read(one)))
        except Unsupported as refusal:
            unread[where] = str(refusal)
    if not layers:
        raise ValueError(f"{source}: {'; '.join(f'{where}: {why}' for where, why in unread.items())}")
    return Model(source, name, adapter, module, layers, unread)


@dataclass(frozen=True)
class Question:
    """What a model is asked.

    given: x, and perhaps h0, c0, lengths and mask, from a file; empty where they are drawn.
    seed, batch, time: of what is drawn.  layout: of x; the model's own when None.
    """

    given: Mapping[str, np.ndarray]
    seed: int = 0
    batch: int = 4
    time: int = 10
    layout: str | None = None


def inputs_in(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npy file, as x, or of an .npz file. Raises ValueError, in a sentence, for anything else."""
    try:
        with opened("inputs", path, LARGEST) as file, np.errstate(all="ignore"):
            found = np.load(file, allow_pickle=False)
            given = {"x": found} if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except Exception as error:  # a file makes NumPy raise whatever it likes
        raise ValueError(f"{path}: {one_line(error)}; expected an .npy or .npz file of numbers") from error
    if strangers := {*given} - {*INPUTS} or {"x"} - {*given}:
        got = f"got {', '.join(sorted(given)) or 'nothing'}"
        raise ValueError(f"{path}: {got}, expected x, and perhaps h0, c0, lengths, mask ({min(strangers)} is wrong)")
    return given


def cases_of(model: Model, question: Question) -> tuple[list[Case], str]:
    """The case of each layer of a model, and in words where its inputs are from.

    Raises ValueError or TypeError, in a sentence, for inputs that do not fit.
    """
    given = dict(question.given)
    if not given or model.whole:
        said = "inputs from the file" if given else f"inputs drawn from seed {question.seed}"
        return [case_of(layer, given, question) for layer in model.layers], said
    if more := sorted({*given} - {"x"}):
        raise ValueError(f"{more[0]}: got one for a model that is more than a recurrent stack, expected x alone")
    files, inside = _files(model.framework), {layer.name: layer.module for layer in model.layers}
    seen, why = {}, "the model cannot be called here"
    try:
        if hasattr(files, "calls"):
            with warnings_shown():
                x, dtype = given["x"], model.layers[0].parameters[0].dtype  # tokens stay whole numbers
                seen = files.calls(model.module, inside, x.astype(dtype) if x.dtype.kind == "f" else x)
            why = f"{', '.join(inside.keys() - seen.keys())} is not called by it"
    except Exception as error:  # the user's own code, in whatever way it fails
        why = f"called with x alone the model raised {told(error)}"
    drawn = replace(question, layout=None)
    cases = [case_of(layer, seen.get(layer.name, {}), drawn) for layer in model.layers]
    said = "each layer's input in the model" if seen else f"inputs drawn from seed {question.seed}"
    return cases, said if len(seen) == len(cases) else f"{said}; {why}, and was given drawn inputs"


def case_of(layer: Layer, given: Mapping[str, Any], question: Question) -> Case:
    """What a layer is asked: what is given, in its dtype, or what is drawn."""
    spec, dtype = layer.spec, layer.parameters[0].dtype
    layout = given.get("layout") or question.layout or spec.layout or LAYOUTS[0]
    if not given:
        batch = 1 if layout == "unbatched" else question.batch
        case = draw_case(spec, batch=batch, time=question.time, dtype=dtype, seed=question.seed, layout=layout)
        return replace(case, parameters=layer.parameters)
    arrays = {name: _numbers(name, given[name], dtype) for name in ("x", "c0") if given.get(name) is not None}
    h0: Any = given.get("h0")
    if h0 is not None or "c0" in arrays:
        several = len(cell_of(spec).states) > 1
        h0 = h0 if isinstance(h0, tuple) else (h0, arrays["c0"]) if "c0" in arrays else h0
        if several != isinstance(h0, tuple) or (several and h0[0] is None):
            raise ValueError(f"h0: got {'h0 alone' if several else 'c0'}, expected {'h0 and c0' if several else 'h0'}")
        h0 = from_state_tuple([_numbers("h0", state, dtype) for state in (h0 if several else (h0,))])
    lengths: Lengths = given.get("lengths")
    layout = "unbatched" if np.ndim(arrays["x"]) == 2 else layout
    if layout == "unbatched" and lengths is not None and np.size(lengths) == 1:
        lengths = int(np.ravel(lengths)[0])  # type: ignore[arg-type]
    return Case(spec, layer.parameters, arrays["x"], h0, lengths, layout, given.get("mask"))


def _numbers(name: str, array: Any, dtype: np.dtype) -> np.ndarray:
    """An array in a layer's dtype, rounded as a framework would."""
    if np.asarray(array).dtype.kind not in "iufV":
        raise ValueError(f"{name}: got dtype {np.asarray(array).dtype}, expected numbers")
    return np.asarray(array).astype(dtype)


class OwnStack(Stack):
    """Asks a user's own module; where run does not take it, what build makes of its parameters."""

    def __init__(self, adapter: Adapter, own: Any, case: Case, device: str) -> None:
        super().__init__(adapter, case, device)
        self.own, self.whole, self.why = own, case.spec, ""

    def answer(self, case: Case) -> Result:
        if case.spec == self.whole and not self.why:
            try:
                with self._timed("run"):
                    return self.adapter.run(self.own, **case.inputs)
            except Unsupported as refusal:
                self.why = str(refusal)
        return super().answer(case)
