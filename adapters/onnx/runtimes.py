"""The runtimes of ONNX models, as data. Each function imports its own runtime, and no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import onnx

from ..contract import Capabilities, Compiles, Feature, Refusal
from .idioms import Call, Load, Way, affine_forward, batch_first

NO_KERNEL = Refusal("NotImplemented", "Could not find an implementation for")


@dataclass(frozen=True)
class Runtime:
    """What computes a model on CPU.

    name: of the adapter, and of its scripts.  framework: the package.  load: what makes a model callable.
    environment: versions and settings, what else decides the numbers.  compiles: as an adapter's.
    ways: other ways in which its users load a model, by the word of an idiom.
    """

    name: str
    framework: Any
    load: Load
    environment: Mapping[str, Any]
    capabilities: Capabilities
    compiles: Compiles | None = None
    ways: Mapping[str, Way] = field(default_factory=dict)


def _capabilities(batch_first: str, emulated: dict[Feature, str] | None = None, **more: Any) -> Capabilities:
    """What a runtime of the RNN operator can do.  batch_first: why the adapter transposes."""
    return Capabilities(
        unsupported={("mask", True): "the RNN operator takes lengths (sequence_lens) and no mask"},
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
            refused={(("dtype", dtype),): NO_KERNEL for dtype in ("float64", "bfloat16")},
            arithmetics={(("dtype", "float16"),): "float16_of_float32"},
        ),
        ways={"layout 1": Way("with layout=1 of the RNN operator", batch_first(load))},
    )


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
        ways={
            "layout 1": Way("with layout=1 of the RNN operator", batch_first(load)),
            "two activations": Way(
                "with activations Affine and Tanh, of a forward half of zeros", affine_forward(load)
            ),
        },
    )


def _named(names: list[str], run: Callable[..., Any]) -> Call:
    """A call whose answers are by name, of one whose answers are in order."""
    return lambda feeds: dict(zip(names, run(names, feeds), strict=True))


@cache
def openvino() -> Runtime:
    """OpenVINO, told to compute in float32. It computes float16 and bfloat16 models in float32 then."""
    import openvino as package

    core = package.Core()
    fixes = "the adapter fixes all shapes before a model that takes sequence_lens is compiled"
    # Left to itself, the plugin multiplies float32 in bfloat16 or float16 on processors that do so fast.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}

    def loading(
        fixed: Callable[[dict[str, np.ndarray]], bool] = _of_some_sequences,
        settings: dict[str, str] = settings,
        array_of: Callable[[Any], np.ndarray] = array_of,
    ) -> Load:
        """A way to load a model. Each call has a request of its own, so that threads do not share one.

        fixed: whether the model is given the shapes of a call's inputs before it is compiled: then anew for each.
        """

        def load(model: Any) -> Call:
            source = model.SerializeToString()
            compiled: dict[str, Any] = {}

            def call(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
                shapes = {name: list(array.shape) for name, array in feeds.items()} if fixed(feeds) else {}
                key = repr(shapes)
                if key not in compiled:
                    read = core.read_model(source, b"")
                    if shapes:
                        read.reshape(shapes)
                    compiled[key] = core.compile_model(read, "CPU", settings)
                request = compiled[key].create_infer_request()
                request.infer({name: tensor(array) for name, array in feeds.items()})
                return {output.get_any_name(): array_of(request.get_tensor(output)) for output in compiled[key].outputs}

            return call

        return load

    def tensor(array: np.ndarray) -> Any:
        """bfloat16 is handed over as its bits, as OpenVINO takes it."""
        if array.dtype.name != "bfloat16":
            return package.Tensor(array)
        return package.Tensor(array.view(np.uint16), package.Shape(array.shape), package.Type.bf16)

    load = loading()
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
        ways={
            "layout 1": Way("with layout=1 of the RNN operator", batch_first(load)),
            "dynamic shapes": Way("of a model whose axes time and batch are dynamic", loading(lambda feeds: False)),
            "fixed shapes": Way("of a model with all shapes fixed", loading(lambda feeds: True), isolate=True),
            "default precision": Way(
                "in the precision that OpenVINO chooses", loading(settings={}), dtypes=("float32",)
            ),
            "arrays as they come": Way(
                "by the arrays that a compiled model gives", loading(array_of=rounded), dtypes=("bfloat16",)
            ),
        },
    )


def _of_some_sequences(feeds: dict[str, np.ndarray]) -> bool:
    return feeds.get("sequence_lens", np.empty(0)).size > 0


def array_of(value: Any) -> np.ndarray:
    """A copy of a tensor's numbers: bfloat16 comes as float16 of the same bits."""
    bfloat16 = value.element_type.get_type_name() == "bf16"
    return value.data.view("bfloat16" if bfloat16 else value.data.dtype).copy()


def rounded(value: Any) -> np.ndarray:
    """The numbers of a tensor's NumPy array, rounded to bfloat16."""
    return value.data.astype("bfloat16")
