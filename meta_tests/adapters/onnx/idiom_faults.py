"""Faults of the ONNX runtimes that one idiom alone shows. A runtime cannot be patched inside: it is handed another
model, or other arrays, of which the right answer is the one that it would give with the fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import pytest

from meta_tests.common.idiom_faults import Planted

RUNTIMES = ("onnxruntime", "onnx", "openvino", "tract")
Told = Mapping[str, Any]  # how a model is loaded: "path", "level", "providers"
Edit = Callable[[Any, Told], None]


def handed(name: str, edit: Edit) -> Callable[[pytest.MonkeyPatch], None]:
    """The plant of what a runtime makes of a model, which `edit` changes in place before it is loaded."""

    def read(source: Any, told: Told) -> Any:
        onnx = import_module("onnx")
        if isinstance(source, bytes):
            model = onnx.load_from_string(source)
        elif isinstance(source, str):
            model = onnx.load(source)
        else:
            model = onnx.ModelProto.FromString(source.SerializeToString())
        edit(model, {"path": isinstance(source, str), **told})
        return model

    def plant(patch: pytest.MonkeyPatch) -> None:
        package = import_module({"onnx": "onnx.reference"}.get(name, name))
        if name == "onnxruntime":
            made = package.InferenceSession.__init__

            def session(self: Any, source: Any, sess_options: Any = None, providers: Any = None, **words: Any) -> None:
                told = {"level": sess_options and sess_options.graph_optimization_level.name, "providers": providers}
                made(self, read(source, told).SerializeToString(), sess_options, providers=providers, **words)

            patch.setattr(package.InferenceSession, "__init__", session)
        elif name == "onnx":
            began = package.ReferenceEvaluator.__init__

            def evaluator(self: Any, source: Any, *more: Any, **words: Any) -> None:
                began(self, read(source, {}), *more, **words)

            patch.setattr(package.ReferenceEvaluator, "__init__", evaluator)
        elif name == "tract":
            loads = package.Onnx.load

            def load(self: Any, path: Any) -> Any:
                import_module("onnx").save(read(str(path), {}), f"{path}.edited")
                return loads(self, f"{path}.edited")

            patch.setattr(package.Onnx, "load", load)
        else:
            reads = package.Core.read_model

            def network(self: Any, source: Any, weights: Any) -> Any:
                return reads(self, read(source, {}).SerializeToString(), weights)

            patch.setattr(package.Core, "read_model", network)

    return plant


def nodes_of(model: Any) -> list[Any]:
    return [node for node in model.graph.node if node.op_type in ("RNN", "GRU", "LSTM")]


def words_of(node: Any) -> dict[str, Any]:
    value_of = import_module("onnx.helper").get_attribute_value
    return {one.name: value_of(one) for one in node.attribute}


def loses(index: int, where: Callable[[Any, Told], bool]) -> Edit:
    """The RNN nodes of a model lose an input: 3 the biases, 5 the initial states."""

    def edit(model: Any, told: Told) -> None:
        if where(model, told):
            for node in nodes_of(model):
                if len(node.input) > index:
                    node.input[index] = ""

    return edit


def raises(where: Callable[[Any, Told], bool]) -> Edit:
    def edit(model: Any, told: Told) -> None:
        if where(model, told):
            raise ZeroDivisionError("hidden_size")

    return edit


def says(name: str) -> Callable[[Any, Told], bool]:
    return lambda model, told: any(name in words_of(node) for node in nodes_of(model))


def of_opset(test: Callable[[int], bool]) -> Callable[[Any, Told], bool]:
    return lambda model, told: test(model.opset_import[0].version)


def first_activation_alone(model: Any, told: Told) -> None:
    for node in nodes_of(model):
        for one in node.attribute:
            if one.name == "activations" and node.op_type == "RNN":  # a cell with gates has several in each direction
                one.strings[:] = [one.strings[0]] * len(one.strings)


def in_every_runtime(says: str, edit: Edit, runtimes: tuple[str, ...] = RUNTIMES) -> tuple[Planted, ...]:
    return tuple(Planted(says, handed(name, edit), (name,)) for name in runtimes)


def last_sequence_lost(patch: pytest.MonkeyPatch) -> None:
    """A compiled model that is called takes zeros for the last sequence."""
    package = import_module("openvino")
    calls = package.CompiledModel.__call__

    def called(self: Any, inputs: Any, *more: Any, **words: Any) -> Any:
        key = "x" if isinstance(inputs, dict) else 0
        x = inputs[key].copy()
        x[:, -1:] = 0
        given = {**inputs, "x": x} if isinstance(inputs, dict) else [x, *inputs[1:]]
        return calls(self, given, *more, **words)

    patch.setattr(package.CompiledModel, "__call__", called)


def inputs_of_before(patch: pytest.MonkeyPatch) -> None:
    """A request that is started takes the inputs of its question before."""
    package = import_module("openvino")
    starts, infers = package.InferRequest.start_async, package.InferRequest.infer
    asked: set[int] = set()

    def infer(self: Any, inputs: Any, *more: Any, **words: Any) -> Any:
        asked.add(id(self))
        return infers(self, inputs, *more, **words)

    patch.setattr(package.InferRequest, "infer", infer)
    patch.setattr(package.InferRequest, "start_async",
                  lambda self, inputs: starts(self, None if id(self) in asked else inputs))  # fmt: skip


def last_output_unbound(patch: pytest.MonkeyPatch) -> None:
    package = import_module("onnxruntime")
    copies = package.IOBinding.copy_outputs_to_cpu
    patch.setattr(package.IOBinding, "copy_outputs_to_cpu", lambda self: [*copies(self)[:-1], 0 * copies(self)[-1]])


def given(*kinds: str) -> Callable[[Any, Told], bool]:
    """Whether names such as W_0 are among a model's inputs, ..., its initializers or its Constant nodes."""

    def where(model: Any, told: Told) -> bool:
        graph = model.graph
        inputs, tensors = [one.name for one in graph.input], [one.name for one in graph.initializer]
        return bool({*kinds} & {*(f"input {name}" for name in inputs), *(f"constant {name}" for name in tensors)})

    return where


def fixed(model: Any, told: Told) -> bool:
    return bool(model.graph.input[0].type.tensor_type.shape.dim[0].HasField("dim_value"))


def of_constant_nodes(model: Any, told: Told) -> bool:
    return any("W_0" in node.output for node in model.graph.node if node.op_type == "Constant")


def without_second(model: Any, told: Told) -> bool:
    return any(len(node.output) == 1 for node in nodes_of(model))


def without_first(model: Any, told: Told) -> bool:
    return any(node.output[0] == "" for node in nodes_of(model))


def in_lower_case(model: Any, told: Told) -> bool:
    return any(name.islower() for node in nodes_of(model) for name in words_of(node).get("activations", [b"T"]))


def differing(model: Any, told: Told) -> bool:
    of_rnn = [words_of(node).get("activations", ()) for node in nodes_of(model) if node.op_type == "RNN"]
    return any(len({*names}) > 1 for names in of_rnn)  # a cell with gates has two in each direction


def in_a_branch(model: Any, told: Told) -> None:
    for node in model.graph.node:
        for one in node.attribute if node.op_type == "If" else ():
            for inner in one.g.node:
                if inner.op_type == "RNN":
                    inner.input[3:4] = [""]


def of_kind(kind: str) -> Callable[[pytest.MonkeyPatch], None]:
    """A session of a file of this kind, which another session saved, answers the negative."""
    return session_faults(lambda self, path, *_: isinstance(path, str) and path.endswith(f"/stack.{kind}"),
                          lambda self, run, names, feeds: [-one for one in run(self, names, feeds)])  # fmt: skip


def session_faults(where: Callable[..., bool], answer: Callable[..., Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """A session that is made so answers so."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        package = import_module("onnxruntime")
        made, run = package.InferenceSession.__init__, package.InferenceSession.run
        wrong: set[int] = set()

        def session(self: Any, *given: Any, **words: Any) -> None:
            made(self, *given, **words)
            (wrong.add if where(self, *given) else wrong.discard)(id(self))

        def asked(self: Any, names: Any, feeds: Any) -> Any:
            return answer(self, run, names, feeds) if id(self) in wrong else run(self, names, feeds)

        patch.setattr(package.InferenceSession, "__init__", session)
        patch.setattr(package.InferenceSession, "run", asked)

    return plant


def always(*_: Any) -> bool:
    return True


def in_the_models_order(self: Any, run: Any, names: Any, feeds: Any) -> Any:
    return run(self, None, feeds)


def read_as_contiguous(self: Any, run: Any, names: Any, feeds: Any) -> Any:
    np = import_module("numpy")
    memory = {name: array if array.flags.c_contiguous else array.base for name, array in feeds.items()}
    return run(self, names, {name: np.ndarray(array.shape, array.dtype, memory[name]) for name, array in feeds.items()})


def as_asked_first(patch: pytest.MonkeyPatch) -> None:
    """A session goes on with the h0 of its first question, or from its zeros."""
    first: dict[int, Any] = {}

    def answer(self: Any, run: Any, names: Any, feeds: Any) -> Any:
        answers = run(self, names, feeds)
        again = first.setdefault(id(self), feeds["x"].shape) != feeds["x"].shape
        return [-one for one in answers] if again else answers

    def anew(self: Any, *given: Any) -> bool:
        first.pop(id(self), None)
        return True

    session_faults(anew, answer)(patch)


def ort_values_lost(patch: pytest.MonkeyPatch) -> None:
    package = import_module("onnxruntime")
    from_numpy = package.OrtValue.ortvalue_from_numpy
    patch.setattr(package.OrtValue, "ortvalue_from_numpy", lambda array, *more: from_numpy(array * 0, *more))


def fails(
    owner: str, method: str, where: Callable[..., bool], module: str = "tract"
) -> Callable[[pytest.MonkeyPatch], None]:
    """A method of one of tract's classes raises another exception than tract's own, where it is called so."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        kind = getattr(import_module(module), owner)
        called = getattr(kind, method)

        def call(self: Any, *given: Any, **words: Any) -> Any:
            if where(self, *given):
                raise ZeroDivisionError(method)
            return called(self, *given, **words)

        patch.setattr(kind, method, call)

    return plant


def shapes_not_told(patch: pytest.MonkeyPatch) -> None:
    tells = import_module("tract").InferenceModel.set_input_fact

    def tell(self: Any, *given: Any) -> None:
        self.told = True
        tells(self, *given)

    patch.setattr(import_module("tract").InferenceModel, "set_input_fact", tell)
    fails("InferenceModel", "into_model", lambda self: not getattr(self, "told", False))(patch)


def asked_again(self: Any, *_: Any) -> bool:
    """Whether an object is called a second time."""
    self.calls = getattr(self, "calls", 0) + 1
    return self.calls > 1


def symbols(self: Any, transform: Any) -> bool:
    return type(transform).__name__ == "SetSymbols"


TRACT: Mapping[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "as it is": ("a model that is told no shapes", shapes_not_told),
    "by a runtime": ("a model that a runtime prepares", fails("Runtime", "prepare", always)),
    "symbols set": ("a model whose symbols are set", fails("Model", "transform", symbols)),
    "any length": ("a second question", fails("Runnable", "run", asked_again)),
    "NNEF": ("a model of NNEF that is loaded", fails("Nnef", "load", always)),
    "by pulses": ("a second step of a state", fails("State", "run", asked_again, "tract.state")),
}
LOST = "the biases are lost"
LEVELS = {"not optimized": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED"}
NO_SIZE = ("onnxruntime", "openvino")
CALLED = (
    Planted("a compiled model that is called takes zeros for the last sequence", last_sequence_lost, NO_SIZE[1:]),
)
PLANTED: Mapping[str, tuple[Planted, ...]] = {
    "layout 1": (
        *in_every_runtime(f"{LOST} with layout 1", loses(3, says("layout")), ("onnx", "tract")),
        *in_every_runtime("another exception is raised with layout 1", raises(says("layout")), NO_SIZE),
    ),
    "only Y": in_every_runtime(f"{LOST} where there is no Y_h", loses(3, without_second)),
    "only Y_h": in_every_runtime(f"{LOST} where there is no Y", loses(3, without_first)),
    "opset 14": in_every_runtime(f"{LOST} in opset 14", loses(3, of_opset(lambda version: version == 14))),
    "opset 21": in_every_runtime(f"{LOST} in opset 21", loses(3, of_opset(lambda version: version == 21))),
    "newest opset": in_every_runtime(f"{LOST} beyond opset 22", loses(3, of_opset(lambda version: version > 22))),
    "defaults": in_every_runtime(f"{LOST} without activations",
                                 loses(3, lambda model, told: not says("activations")(model, told))),
    "no hidden_size": (
        *in_every_runtime(f"{LOST} without hidden_size",
                          loses(3, lambda model, told: not says("hidden_size")(model, told)), ("onnx", "tract")),
        *in_every_runtime("another exception is raised without hidden_size",
                          raises(lambda model, told: not says("hidden_size")(model, told)), NO_SIZE),
    ),
    "lower case": in_every_runtime(f"{LOST} of activations in lower case", loses(3, in_lower_case), RUNTIMES[1:3]),
    "constants": in_every_runtime("constant initial states are lost", loses(5, given("constant h0"))),
    "weights given": in_every_runtime(f"{LOST} where they are inputs", loses(3, given("input W_0"))),
    "nothing left out": in_every_runtime(f"{LOST} of Constant nodes", loses(3, of_constant_nodes)),
    "fixed shapes": in_every_runtime(f"{LOST} where shapes are fixed", loses(3, fixed)),
    "two activations": (
        *in_every_runtime("the first activation is that of both directions", first_activation_alone, RUNTIMES[:1]),
        *in_every_runtime(f"{LOST} with two activations", loses(3, differing), RUNTIMES[1:]),
    ),
    "from a file": in_every_runtime(f"{LOST} in a file", loses(3, lambda model, told: told["path"]), RUNTIMES[:2]),
    **{
        word: in_every_runtime(f"{LOST} with {level}",
                               loses(3, lambda model, told, level=level: told["level"] == level), RUNTIMES[:1])
        for word, level in LEVELS.items()
    },
    "IOBinding": (Planted("the last output is not written", last_output_unbound, RUNTIMES[:1]),),
    "AzureExecutionProvider": in_every_runtime(
        f"{LOST} where another provider comes first",
        loses(3, lambda model, told: bool(told["providers"]) and told["providers"][0] != "CPUExecutionProvider"),
        RUNTIMES[:1],
    ),
    **dict.fromkeys(("dynamic shapes", "as it comes", "arrays as they come", "imported"), CALLED),
    **dict.fromkeys(("converted", "converted from torch"), CALLED),
    "asked before": (
        Planted("a request takes the inputs of its question before", inputs_of_before, NO_SIZE[1:]),
        Planted("a session is wrong for other sizes than it was asked first", as_asked_first, RUNTIMES[:1]),
        Planted("outputs come in the model's order", session_faults(always, in_the_models_order), RUNTIMES[:1]),
        Planted("arrays are read as if they were contiguous", session_faults(always, read_as_contiguous), RUNTIMES[:1]),
    ),
    "saved": (Planted("a session of a saved model answers the negative", of_kind("onnx"), RUNTIMES[:1]),),
    "ORT format": (Planted("a session of a saved model answers the negative", of_kind("ort"), RUNTIMES[:1]),),
    "parallel": (Planted("OrtValues are zeros", ort_values_lost, RUNTIMES[:1]),),
    "in a branch": in_every_runtime(f"{LOST} in a branch", in_a_branch, RUNTIMES[:2]),
    **{word: (Planted(f"{says} raises another exception", plant, ("tract",)),)
       for word, (says, plant) in TRACT.items()},
}  # fmt: skip
