"""How each framework is made to compute a recurrent layer. The only package that names a framework.

Importing this package imports no framework; `load` and `available` do. `contract` says what an adapter must offer;
each framework has a file, some more on its models and its modes, and one that writes its scripts; `reference_numpy` is
the smallest adapter, to begin with; `trial` runs one case through one; `self_check` tells an adapter's author what is
amiss, and `checks` is for the tests of another project.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from dataclasses import dataclass
from typing import cast

from .contract import FEATURES, Adapter, Capabilities, NotOffered, Refused, Result, Unsupported, prepared

# name -> (module and class of the adapter, the distribution it needs, how to install it)
KNOWN = {
    "torch": ("adapters.torch:TorchAdapter", "torch", "pip install torch"),
    "keras": ("adapters.keras:KerasAdapter", "keras", "pip install keras tensorflow"),
    "flax": ("adapters.flax:FlaxAdapter", "flax", "pip install flax"),
    "onnxruntime": ("adapters.onnxruntime:OnnxRuntimeAdapter", "onnxruntime", "pip install onnx onnxruntime"),
    "onnx": ("adapters.onnx_reference:OnnxReferenceAdapter", "onnx", "pip install onnx"),
    "torch-onnx": ("adapters.torch_onnx:TorchOnnxAdapter", "onnxscript", "pip install torch onnxruntime onnxscript"),
    "openvino": ("adapters.openvino:OpenVinoAdapter", "openvino", "pip install onnx openvino"),
    "reference": ("adapters.reference_numpy:ReferenceAdapter", "numpy", "pip install numpy"),
}
# judged only where it is named: without a framework there is nothing to judge
ONLY_NAMED = ("reference",)

__all__ = [
    "FEATURES",
    "KNOWN",
    "Adapter",
    "Availability",
    "Capabilities",
    "NotOffered",
    "Refused",
    "Result",
    "Unsupported",
    "available",
    "load",
]


@dataclass(frozen=True)
class Availability:
    """Whether a known adapter can be loaded here.

    version: the framework's; None when it is not installed.  devices: those it sees.
    problem: why it cannot be loaded, and how to install it; empty when it can.
    """

    name: str
    installed: bool
    version: str | None
    devices: tuple[str, ...]
    problem: str = ""


def available() -> list[Availability]:
    """Every framework's adapter, installed or not. Imports the frameworks that are installed, to ask for devices."""
    return [_availability(name) for name in KNOWN if name not in ONLY_NAMED]


def _availability(name: str) -> Availability:
    _, distribution, install = KNOWN[name]
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return Availability(name, False, None, (), f"{distribution} is not installed: {install}")
    try:
        adapter = load(name)
    except Exception as error:  # an installed framework may fail to import in any way; it is reported, not hidden
        return Availability(
            name, False, version, (), f"installed, but fails to import: {type(error).__name__}: {error}"
        )
    return Availability(name, True, adapter.version, adapter.devices())


def load(name: str) -> Adapter:
    """The adapter of that name, or of "module:Class" for one that is not known here.

    One whose build takes no mode, or whose run takes no mask, gets capabilities that say so.
    Raises ValueError for an unknown name, ImportError when the framework is absent.
    """
    if name not in KNOWN and ":" not in name:
        raise ValueError(f"adapter: got {name!r}, expected one of {', '.join(KNOWN)}, or module:Class")
    target, _, install = KNOWN.get(name, (name, "", ""))
    module, _, attribute = target.partition(":")
    try:
        imported = importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"adapter {name}: {error}" + (f"; {install}" if install else "")) from error
    if not hasattr(imported, attribute):
        raise ImportError(f"adapter {name}: {module} has no {attribute!r}")
    return cast(Adapter, prepared(getattr(imported, attribute)()))
