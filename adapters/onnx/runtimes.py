"""The runtimes of ONNX models, as data. Each function imports its own runtime, and no other."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
import onnx

from ..contract import Capabilities, Compiles, Feature, Refusal
from . import asks_of_tract
from .idioms import of_evaluator, of_onnxruntime, of_openvino, of_tract
from .mapping import MAPPING
from .models import operator_model
from .script import OPSET
from .ways import Call, Load, Way

OFFERS: tuple[Feature, ...] = (
    *(("cell", cell) for cell in MAPPING if cell != "elman"),
    *((word, True) for word in ("peepholes", "input_forget", "clip")),
)
NO_KERNEL = Refusal("NotImplemented", "Could not find an implementation for")
NO_LENGTHS = Refusal("TractError", "Non constant seq_len is not supported")
NO_SUCH_LENGTHS = Refusal("TractError", "Non uniform seq_len is not supported")
NO_BFLOAT16 = Refusal("TractError", "Unknown DatumType Bfloat16")
NO_SIGMOID = Refusal("TractError", "Sigmoid does not support F64")
NO_LSTM = Refusal("TractError", "LstmEpilogue only supports f32 and f16 preactivations | Sigmoid does not support F64")
NO_DOUBLE = Refusal("RuntimeException or NotImplemented", "operator does not support double yet")


@dataclass(frozen=True)
class Runtime:
    """What computes a model on CPU.

    name: of the adapter, and of its scripts.  framework: the package.  load: what makes a model callable.
    environment: versions and settings, what else decides the numbers.  compiles: as an adapter's.
    ways: other ways in which its users load a model, by the word of an idiom.  dense: the operators of a dense layer.
    """

    name: str
    framework: Any
    load: Load
    environment: Mapping[str, Any]
    capabilities: Capabilities
    compiles: Compiles | None = None
    ways: Mapping[str, Way] = field(default_factory=dict)
    dense: tuple[str, ...] = ("Gemm",)

    @property
    def version(self) -> str:
        """The package's, without what a build adds to it; tract tells it by a function."""
        told = getattr(self.framework, "__version__", None) or self.framework.version()
        return str(told).partition("-")[0]


def _capabilities(batch_first: str, emulated: dict[Feature, str] | None = None, **more: Any) -> Capabilities:
    """What a runtime of the RNN operator can do.  batch_first: why the adapter transposes."""
    return Capabilities(
        unsupported={("mask", True): "the RNN operator takes lengths (sequence_lens) and no mask"},
        emulated={
            ("layout", "unbatched"): "the RNN operator is batched; the adapter adds and removes a batch of 1",
            ("layout", "batch_first"): batch_first,
            **(emulated or {}),
        },
        offers=OFFERS,
        **more,
    )


@cache
def onnxruntime() -> Runtime:
    """ONNX Runtime's own kernels.

    There is a float32 kernel alone: a model of float16 is computed in float32, states and all, and rounded at the end.
    """
    import onnxruntime as package

    provider, options = "CPUExecutionProvider", package.SessionOptions()

    def load(model: Any) -> Call:
        session = package.InferenceSession(model.SerializeToString(), providers=[provider])
        return _named([output.name for output in session.get_outputs()], session.run)

    return Runtime(
        name="onnxruntime",
        framework=package,
        load=load,
        environment={
            "ONNX Runtime": str(package.__version__),
            "onnx": str(onnx.__version__),
            "execution provider": provider,
            "graph optimization": options.graph_optimization_level.name,
            "intra-op threads": options.intra_op_num_threads,
        },
        capabilities=_capabilities(
            "ONNX Runtime refuses layout 1 of the RNN operator; the adapter transposes",
            refused={
                **{(("dtype", dtype),): NO_KERNEL for dtype in ("float64", "bfloat16")},
                **{(("dtype", "float64"), ("cell", cell)): NO_DOUBLE for cell in MAPPING if cell != "elman"},
            },
            arithmetics={(("dtype", "float16"),): "float16_of_float32"},
        ),
        ways=of_onnxruntime(newest_opset(load), package.get_available_providers(), package.get_all_providers()),
    )


def newest_opset(load: Load) -> int:
    """The newest version of the operator set that ONNX Runtime loads a model of."""
    for version in range(onnx.defs.onnx_opset_version(), OPSET, -1):
        model = operator_model("Tanh", np.dtype("float32"), 1)
        model.opset_import[0].version = version
        try:
            load(model)
        except Exception as error:  # one of its types for each status
            if "Current official support for domain ai.onnx is till opset" not in str(error):
                raise
        else:
            return version
    return OPSET


@cache
def reference_evaluator() -> Runtime:
    """The reference evaluator of the onnx package: the standard's own operators, in NumPy."""
    from onnx.reference import ReferenceEvaluator

    def load(model: Any) -> Call:
        return _named([output.name for output in model.graph.output], ReferenceEvaluator(model).run)

    return Runtime(
        name="onnx",
        framework=onnx,
        load=load,
        environment={"onnx": str(onnx.__version__), "NumPy": np.__version__},
        capabilities=_capabilities(
            "the adapter transposes; it does not use layout 1 of the RNN operator",
            refused={(("time", "0"),): Refusal("ValueError", "need at least one array to stack")},
            # NumPy's dot adds up in float32, and ml_dtypes' does
            arithmetics={(("dtype", dtype),): f"{dtype}_accumulate_float32" for dtype in ("float16", "bfloat16")},
        ),
        ways=of_evaluator(),
    )


def _named(names: list[str], run: Callable[..., Any]) -> Call:
    """A call whose answers are by name, of one whose answers are in order."""
    return lambda feeds: dict(zip(names, run(names, feeds), strict=True))


@cache
def openvino() -> Runtime:
    """OpenVINO, told to compute in float32. It computes float16 and bfloat16 models in float32 then."""
    # Its converter tells its makers of each call, by a process of its own, unless there is nothing to tell them with.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino as package

    core = package.Core()
    fixes = "the adapter fixes all shapes before a model that takes sequence_lens is compiled"
    # Left to itself, the plugin multiplies float32 in bfloat16 or float16 on processors that do so fast.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}

    def load(model: Any) -> Call:
        """Each call has a request of its own, so that threads do not share one."""
        source, names = model.SerializeToString(), [output.name for output in model.graph.output]
        compiled: dict[str, Any] = {}

        def call(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            fixed = feeds.get("sequence_lens", np.empty(0)).size > 0
            shapes = {name: list(array.shape) for name, array in feeds.items()} if fixed else {}
            key = repr(shapes)
            if key not in compiled:
                read = core.read_model(source, b"")
                if shapes:
                    read.reshape(shapes)
                compiled[key] = core.compile_model(read, "CPU", settings)
            request = compiled[key].create_infer_request()
            request.infer({name: tensor(array) for name, array in feeds.items()})
            answers = (array_of(request.get_output_tensor(number)) for number in range(len(names)))
            return dict(zip(names, answers, strict=True))

        return call

    def tensor(array: np.ndarray) -> Any:
        """bfloat16 is handed over as its bits, as OpenVINO takes it."""
        if array.dtype.name != "bfloat16":
            return package.Tensor(array)
        return package.Tensor(array.view(np.uint16), package.Shape(array.shape), package.Type.bf16)

    return Runtime(
        name="openvino",
        framework=package,
        load=load,
        environment={
            "OpenVINO": str(package.__version__),
            "CPU": str(core.get_property("CPU", "FULL_DEVICE_NAME")),
            "CPU capability": ", ".join(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
            "inference precision": "f32 (the adapter's choice)",
            "inference precision by default": core.get_property("CPU", "INFERENCE_PRECISION_HINT").to_string(),
        },
        capabilities=_capabilities(
            "OpenVINO ignores layout 1 of the RNN operator; the adapter transposes",
            arithmetics={(("dtype", dtype),): f"{dtype}_of_float32" for dtype in ("float16", "bfloat16")},
            emulated={("lengths", "mixed"): fixes},
        ),
        compiles=Compiles(weights=True),
        ways=of_openvino(),
    )


def array_of(value: Any) -> np.ndarray:
    """A copy of a tensor's numbers: bfloat16 comes as float16 of the same bits."""
    bfloat16 = value.element_type.get_type_name() == "bf16"
    return value.data.view("bfloat16" if bfloat16 else value.data.dtype).copy()


@cache
def tract() -> Runtime:
    """tract, a runtime in Rust. Each call reads the model anew, and tells it the shapes of its inputs.

    Without them tract panics where a node has no initial states, and the process ends: it is an idiom (asks_of_tract).
    """
    import tract as package

    os.environ.setdefault("RUST_LIB_BACKTRACE", "0")  # or what tract raises holds a trace of the whole process
    return Runtime(
        name="tract",
        framework=package,
        load=lambda model: partial(asks_of_tract.prepared, model),
        environment={"tract": package.version(), "onnx": str(onnx.__version__)},
        capabilities=_capabilities(
            "the adapter transposes; layout 1 of the RNN operator is asked as an idiom",
            refused={
                **{(("lengths", lengths),): NO_LENGTHS for lengths in ("mixed", "with zeros")},
                (("lengths", "mixed"), ("batch", "0")): NO_SUCH_LENGTHS,
                (("dtype", "bfloat16"),): NO_BFLOAT16,
                (("dtype", "float64"), ("h0", True), ("cell", "gru_reset_before")): NO_SIGMOID,
                (("dtype", "float64"), ("h0", True), ("cell", "lstm"), ("peepholes", True)): NO_SIGMOID,
                (("dtype", "float64"), ("h0", True), ("cell", "lstm"), ("peepholes", False)): NO_LSTM,
            },
            arithmetics={(("dtype", "float16"),): "float16_accumulate_float32"},
        ),
        dense=("MatMul", "Add"),  # of float16 its Gemm makes float32, and is not loaded
        ways=of_tract(),
    )
