"""How each framework is made to compute a recurrent layer. The only package that names a framework.

Importing this package imports no framework; `load` and `available` do. `contract` says what an adapter is, and
`capabilities` what it declares. Each framework has a folder; `numpy` has the smallest adapter, to begin with. `inputs`
is what all of them do around it; `running` asks an adapter one case; `conformance` tells its author what is amiss.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import os
import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, cast

from .contract import FEATURES, Adapter, Capabilities, NotOffered, Refusal, Refused, Result, Unsupported
from .running.guard import one_line, told, warnings_shown
from .running.usable import devices_of
from .versions import expect_versions, try_any_version

LITERT = "pip install keras tensorflow tf_keras ai-edge-litert"
TORCH_ONNX = "pip install torch onnxruntime onnxscript"
# name -> (module and class of the adapter, the distribution it needs, how to install it)
KNOWN = {
    "torch": ("adapters.torch.adapter:TorchAdapter", "torch", "pip install torch"),
    "keras": ("adapters.keras.adapter:KerasAdapter", "keras", "pip install keras tensorflow"),
    "flax": ("adapters.flax.adapter:FlaxAdapter", "flax", "pip install flax"),
    "equinox": ("adapters.equinox.adapter:EquinoxAdapter", "equinox", "pip install equinox"),
    "mlx": ("adapters.mlx.adapter:MlxAdapter", "mlx", "pip install mlx mlx-cpu"),
    "onnxruntime": ("adapters.onnx.adapter:onnxruntime", "onnxruntime", "pip install onnx onnxruntime"),
    "onnx": ("adapters.onnx.adapter:reference_evaluator", "onnx", "pip install onnx"),
    "torch-onnx": ("adapters.torch_onnx.adapter:TorchOnnxAdapter", "onnxscript", TORCH_ONNX),
    "openvino": ("adapters.onnx.adapter:openvino", "openvino", "pip install onnx openvino"),
    "litert": ("adapters.litert.adapter:LiteRTAdapter", "ai-edge-litert", LITERT),
    "tract": ("adapters.onnx.adapter:tract", "tract", "pip install onnx tract"),
    "paddle": ("adapters.paddle.adapter:PaddleAdapter", "paddlepaddle", "pip install paddlepaddle"),
    "reference": ("adapters.numpy.adapter:ReferenceAdapter", "numpy", "pip install numpy"),
}
# the packages that a known adapter imports: without one of them it is absent, whatever its own distribution is
COMPANIONS = ("torch", "keras", "tensorflow", "jax", "jaxlib", "flax", "equinox", "mlx", "onnx", "onnxruntime",
              "onnxscript", "openvino", "tract", "ai_edge_litert", "paddle")  # fmt: skip
# judged only where it is named: without a framework there is nothing to judge
ONLY_NAMED = ("reference",)
# JAX compiles for every shape, and in every process again, unless it may keep on disk what it compiled
JAX_KEEPS = "JAX_COMPILATION_CACHE_DIR"
JAX_KEEPS_ALL = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
# torch, and oneDNN below it, keep what they prepared for the last 1,024 shapes of each kind: in a campaign no shape
# comes again, and its process grew by 2.5 MB with each 1,000 cases (torch 2.13); with these it stays as it is
KEEP_FEW = {"LRU_CACHE_CAPACITY": "16", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16"}

__all__ = [
    "FEATURES",
    "KNOWN",
    "Adapter",
    "Availability",
    "Capabilities",
    "LoadError",
    "NotOffered",
    "Refusal",
    "Refused",
    "Result",
    "Unsupported",
    "available",
    "load",
    "try_any_version",
]


@dataclass(frozen=True)
class Availability:
    """Whether a known adapter can be loaded here.

    state: "loads"; "absent", where a package is not installed or is of a version that the adapter refuses; "crashed",
        where all is installed and fails.  version: the framework's; None when it is not installed.
    devices: those it sees.  problem: why it does not load; empty where it does.
    """

    name: str
    state: Literal["loads", "absent", "crashed"]
    version: str | None
    devices: tuple[str, ...]
    problem: str = ""

    @property
    def loads(self) -> bool:
        return self.state == "loads"


class LoadError(ImportError):
    """An adapter cannot be loaded, and why, in one sentence.

    absent: whether a package is missing, or refused for its version; else something that is here failed.
    """

    def __init__(self, words: str, absent: bool = False) -> None:
        super().__init__(words)
        self.absent = absent


def keep_compiled(folder: Path) -> None:
    """Let frameworks keep in a folder what they compile, for other processes and later ones.

    It is done by their environment variables, before they are loaded. Where the user has set them, the folder cannot be
    made, or no such framework is installed, nothing is changed.
    """
    if JAX_KEEPS not in os.environ and find_spec("jax") is not None:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            os.environ |= {JAX_KEEPS: str(folder.resolve()), **JAX_KEEPS_ALL}


def keep_few_shapes() -> None:
    """Let frameworks keep little of what they prepare for a shape; done as in keep_compiled."""
    for name, value in KEEP_FEW.items():
        os.environ.setdefault(name, value)


def available() -> list[Availability]:
    """Every framework's adapter, installed or not. Imports the frameworks that are installed, to ask for devices."""
    return [_availability(name) for name in KNOWN if name not in ONLY_NAMED]


def _availability(name: str) -> Availability:
    _, distribution, install = KNOWN[name]
    version = None
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        # it may be a folder of its source on the path; without an origin it is an empty folder of that name
        if getattr(find_spec(distribution), "origin", None) is None:
            return Availability(name, "absent", None, (), f"{distribution} is not installed: {install}")
    try:
        adapter = load(name)
        return Availability(name, "loads", adapter.version, devices_of(adapter, name))
    except (LoadError, ValueError) as error:
        state = "absent" if isinstance(error, LoadError) and error.absent else "crashed"
        words = str(error).removeprefix("adapter ").removeprefix(f"{name}: ")
    except Exception as error:  # an installed framework may fail in any way; it is reported, not hidden
        state, words = "crashed", told(error)
    return Availability(
        name, state, version, (), f"installed, but {'not usable' if state == 'absent' else 'fails'}: {words}"
    )


def load(name: str) -> Adapter:
    """The adapter of that name, or of "module:Class" for one that is not known here.

    Raises ValueError for a name that is neither, LoadError, which is an ImportError, for an adapter that does not load.
    """
    target, _, install = KNOWN.get(name, (name, "", ""))
    module, _, attribute = target.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), attribute)):
        raise ValueError(f"adapter: got {name!r}, expected one of {', '.join(KNOWN)}, or module:Class{meant(name)}")
    try:
        expect_versions(name)
        with warnings_shown():
            made_by = getattr(importlib.import_module(module), attribute, None)
            if made_by is None:
                raise LoadError(f"{module} has no {attribute!r}")
            if not callable(made_by):
                raise LoadError(f"{attribute} of {module} is a {type(made_by).__name__}, expected a class")
            return cast(Adapter, made_by())
    except (Exception, SystemExit) as error:  # a framework, or an adapter's own code, in whatever way it fails
        absent, missing = _absent(error), isinstance(error, LoadError | ModuleNotFoundError)
        words = one_line(error) if absent or missing else told(error)
        # an adapter that refuses what is there says itself what it needs
        hint = f"; {install}" if absent and isinstance(error, ModuleNotFoundError) else ""
        raise LoadError(f"adapter {name}: {words}{hint}", absent) from error


def _absent(error: BaseException) -> bool:
    """Whether an adapter does not load for a package that is not installed, or by a refusal of its own."""
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        return package in COMPANIONS and find_spec(package) is None
    if not isinstance(error, ImportError) or isinstance(error, LoadError) or error.name is not None:
        return False  # one with a name is Python's own: a name or a symbol is missing in what is installed
    raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
    return Path(__file__).parent in Path(raised_in).parents


def meant(name: str, known: Iterable[str] = KNOWN) -> str:
    """Words that ask whether a known name was meant; empty where none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
