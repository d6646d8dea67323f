"""The runtimes of ONNX models, as data. Each function imports its own runtime, and no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx

from reference.spec import DTYPES

from ..contract import Capabilities, Compiles, Feature, Refused

# a model's inputs by name, to its outputs by name
Call = Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]

# what ONNX Runtime and OpenVINO do where the operator's definition is silent
UNDEFINED = "Y_h of a sequence without steps is 0, and not initial_h; the standard leaves it open (onnx issue 1674)"
# what the RNN operator does in either
HIDES_NAN = {(("nonlinearity", "relu"), ("values", "not finite")): "Relu in the RNN operator answers 0 for NaN"}
NO_KERNEL = "Could not find an implementation for RNN"


@dataclass(frozen=True)
class Runtime:
    """What computes a model on CPU.

    name: of the adapter, and of its scripts.  framework: the package.  load: what makes a model callable.
    environment: versions and settings, what else decides the numbers.
    operators: the dtypes in which it computes a model of one operator.  compiles: as an adapter's.
    """

    name: str
    framework: Any
    load: Callable[[Any], Call]
    environment: Mapping[str, Any]
    capabilities: Capabilities
    operators: tuple[str, ...] = DTYPES
    compiles: Compiles | None = None


def _capabilities(
    batch_first: str, unsupported: dict[Feature, str], emulated: dict[Feature, str] | None = None, **more: Any
) -> Capabilities:
    """What a runtime of the RNN operator can do.  batch_first: why the adapter transposes."""
    return Capabilities(
        unsupported={("mask", True): "the RNN operator takes lengths (sequence_lens) and no mask", **unsupported},
        emulated={
            ("layout", "unbatched"): "the RNN operator is batched; the adapter adds and removes a batch of 1",
            ("layout", "batch_first"): batch_first,
            **(emulated or {}),
        },
        **more,
    )


@cache
def onnxruntime() -> Runtime:
    """ONNX Runtime's own kernels.

    There is a float32 kernel alone: a model of float16 is computed in float32, states and all, and rounded at the end.
    """
    import onnxruntime as package
    from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernel

    provider, options = "CPUExecutionProvider", package.SessionOptions()

    def load(model: Any) -> Call:
        """A session of a model. Refused where ONNX Runtime has no kernel."""
        try:
            session = package.InferenceSession(model.SerializeToString(), providers=[provider])
        except NoKernel as error:
            raise Refused(str(error)) from error
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
            {("dtype", dtype): NO_KERNEL for dtype in ("float64", "bfloat16")},
            together={
                **HIDES_NAN,
                **{(("h0", True), asked): UNDEFINED for asked in (("lengths", "with zeros"), ("time", "0"))},
            },
            arithmetics={
                (("nonlinearity", "tanh"), ("dtype", "float32")): "float32_sigmoid_tanh",
                (("dtype", "float16"),): "float16_of_float32",
            },
        ),
    )


@cache
def reference_evaluator() -> Runtime:
    """The reference evaluator of the onnx package: the standard's own operators, in NumPy."""
    from onnx.reference import ReferenceEvaluator

    ignored = "op_rnn.py takes sequence_lens and does not use it: every sequence runs to the end"
    return Runtime(
        name="onnx",
        framework=onnx,
        load=lambda model: _named([output.name for output in model.graph.output], ReferenceEvaluator(model).run),
        environment={"onnx": str(onnx.__version__), "NumPy": np.__version__},
        capabilities=_capabilities(
            "the adapter transposes; it does not use layout 1 of the RNN operator",
            {
                ("nonlinearity", "relu"): "Unknown activation function 'Relu'",
                ("lengths", "mixed"): ignored,
                ("lengths", "with zeros"): ignored,
                ("time", "0"): "need at least one array to stack",
            },
            # NumPy's dot adds up in float32, and ml_dtypes' does
            arithmetics={(("dtype", dtype),): f"{dtype}_accumulate_float32" for dtype in ("float16", "bfloat16")},
        ),
    )


def _named(names: list[str], run: Callable[..., Any]) -> Call:
    """A call whose answers are by name, of one whose answers are in order."""
    return lambda feeds: dict(zip(names, run(names, feeds), strict=True))


@cache
def openvino() -> Runtime:
    """OpenVINO, told to compute in float32. It computes float16 and bfloat16 models in float32 then."""
    import openvino as package

    core = package.Core()
    fixes = "sequence_lens is ignored while shapes are dynamic; the adapter fixes them before the model is compiled"
    # Left to itself, the plugin multiplies float32 in bfloat16 or float16 on processors that do so fast.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}

    def load(model: Any) -> Call:
        """A compiled model; where sequence_lens is an input one for each shape, as it is ignored while shapes are
        dynamic. Each call has a request of its own, so that threads do not share one.
        """
        source = model.SerializeToString()
        compiled: dict[str, Any] = {}

        def call(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            # a model that is fixed to an empty batch ends the process (SIGFPE) when it is compiled
            fixed = "sequence_lens" in feeds and feeds["sequence_lens"].size > 0
            shapes = {name: list(array.shape) for name, array in feeds.items()} if fixed else {}
            key = repr(shapes)
            if key not in compiled:
                read = core.read_model(source, b"")
                if fixed:
                    read.reshape(shapes)
                compiled[key] = core.compile_model(read, "CPU", settings)
            request = compiled[key].create_infer_request()
            request.infer({name: tensor(array) for name, array in feeds.items()})
            return {output.get_any_name(): array_of(request.get_tensor(output)) for output in compiled[key].outputs}

        return call

    def tensor(array: np.ndarray) -> Any:
        """bfloat16 is handed over as its bits, as OpenVINO takes it."""
        if array.dtype.name != "bfloat16":
            return package.Tensor(array)
        return package.Tensor(array.view(np.uint16), package.Shape(array.shape), package.Type.bf16)

    def array_of(value: Any) -> np.ndarray:
        """A copy; bfloat16 comes as float16 of the same bits."""
        return value.data.view("bfloat16" if value.element_type == package.Type.bf16 else value.data.dtype).copy()

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
            {
                ("dtype", "float64"): "the CPU plugin computes float64 in float32, and answers in float64",
                ("time", "0"): "the final states of no steps are whatever the memory holds",
            },
            together={**HIDES_NAN, (("h0", True), ("lengths", "with zeros")): UNDEFINED},
            arithmetics={(("dtype", dtype),): f"{dtype}_of_float32" for dtype in ("float16", "bfloat16")},
            emulated={("lengths", "mixed"): fixes},
        ),
        operators=("float32", "float16", "bfloat16"),
        compiles=Compiles(weights=True),
    )
