"""How users load ONNX models in tract and ask them: each function answers by the names of outputs, as those of asks do.

tract reads a model from a file, and must know the shapes of its inputs: where one has no initial states, it panics
otherwise.
"""

from __future__ import annotations

from typing import Any


def loaded(model: Any) -> Any:
    """The model as tract reads it from a file, to be told more of it."""
    import tempfile

    import onnx
    import tract

    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, f"{folder}/stack.onnx")
        return read(tract.onnx(), f"{folder}/stack.onnx")


def read(reader: Any, path: str) -> Any:
    """The model in a file; up to tract 0.22 another name for the same."""
    return reader.load(path) if hasattr(reader, "load") else reader.model_for_path(path)


def typed(inferred: Any) -> Any:
    """Up to tract 0.22 a model is optimized by who asks for it."""
    return inferred.into_model() if hasattr(inferred, "into_model") else inferred.into_optimized()


def decluttered(inferred: Any) -> Any:
    """The typed model before it is optimized."""
    return inferred.into_model() if hasattr(inferred, "into_model") else inferred.into_typed().into_decluttered()


def runnable(model: Any) -> Any:
    return (model.into_optimized() if hasattr(model, "into_optimized") else model).into_runnable()


def names_of(inferred: Any) -> list[str]:
    """The names of a model's inputs, in the order in which it takes them."""
    return [inferred.input_name(number) for number in range(inferred.input_count())]


def with_shapes(inferred: Any, feeds: dict[str, Any]) -> Any:
    """The model, which is told the type and the sizes of each input."""
    types = {"float64": "f64", "float32": "f32", "float16": "f16", "int32": "i32"}
    for number, name in enumerate(names_of(inferred)):
        array = feeds[name]
        sizes = ",".join(map(str, array.shape))
        inferred.set_input_fact(number, f"{sizes},{types[array.dtype.name]}")
    return inferred


def named(model: Any, answers: Any) -> dict[str, Any]:
    """tract's tensors as arrays, by the names of the model's outputs."""
    return {one.name: answer.to_numpy() for one, answer in zip(model.graph.output, answers, strict=True)}


def prepared(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """The shapes of its inputs are told, as tract's documents show."""
    inferred = with_shapes(loaded(model), feeds)
    names = names_of(inferred)
    return named(model, typed(inferred).into_runnable().run([feeds[name] for name in names]))


def prepared_as_it_is(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """Nothing is told: of its inputs tract knows what the model says."""
    inferred = loaded(model)
    names = names_of(inferred)
    return named(model, typed(inferred).into_runnable().run([feeds[name] for name in names]))


def prepared_by_a_runtime(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """It is analysed, prepared by the runtime "default", and asked through a state."""
    import tract

    inferred = with_shapes(loaded(model), feeds).into_analysed()
    names = names_of(inferred)
    state = tract.runtime_for_name("default").prepare(inferred.into_model()).spawn_state()
    kind: Any = tract.Tensor
    return named(model, state.run([kind.from_numpy(feeds[name]) for name in names]))


def of_any_length(model: Any, feeds: dict[str, Any]) -> tuple[Any, list[str]]:
    """The model with every size but the length of x, which is the symbol S; and its inputs' names."""
    inferred = with_shapes(loaded(model), feeds)
    names = names_of(inferred)
    sizes = ",".join(map(str, feeds["x"].shape[1:]))
    types = {"float64": "f64", "float32": "f32", "float16": "f16"}
    inferred.set_input_fact(names.index("x"), f"S,{sizes},{types[feeds['x'].dtype.name]}")
    return inferred, names


def prepared_by_symbols(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """The length of x is a symbol until the model is a typed one: it is set by a transform."""
    import tract

    inferred, names = of_any_length(model, feeds)
    known, steps = decluttered(inferred), len(feeds["x"])
    if hasattr(tract, "SetSymbols"):
        known.transform(tract.SetSymbols({"S": steps}))
    else:
        known.concretize_symbols({"S": steps})
    return named(model, runnable(known).run([feeds[name] for name in names]))


def prepared_for_any_length(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """The length of x stays a symbol; a longer sequence is asked first."""
    import numpy as np

    inferred, names = of_any_length(model, feeds)
    ready = typed(inferred).into_runnable()
    longer = {**feeds, "x": -np.concatenate([feeds["x"], feeds["x"]])}
    ready.run([longer[name] for name in names])
    return named(model, ready.run([feeds[name] for name in names]))


def saved_as_nnef(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """The typed model is saved as NNEF, with tract's own operators, and loaded again."""
    import tempfile

    import tract

    inferred = with_shapes(loaded(model), feeds)
    names, nnef = names_of(inferred), tract.nnef().with_onnx()
    with tempfile.TemporaryDirectory() as folder:
        nnef.write_model_to_tar(decluttered(inferred), f"{folder}/stack.nnef.tar")
        saved = read(nnef, f"{folder}/stack.nnef.tar")
    return named(model, runnable(saved).run([feeds[name] for name in names]))


def by_pulses(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """The model is made one that takes a step at a time, and keeps its states: outputs come step by step."""
    import numpy as np
    import tract

    inferred, names = of_any_length(model, feeds)
    known = decluttered(inferred)
    known.transform(tract.Pulse(1, symbol="S")) if hasattr(tract, "Pulse") else known.pulse("S", 1)
    state = runnable(known).spawn_state()
    given = ({**feeds, "x": feeds["x"][t : t + 1]} for t in range(len(feeds["x"])))
    steps = [named(model, state.run([feeds[name] for name in names])) for feeds in given]
    return {one.name: np.concatenate([step[one.name] for step in steps]) for one in model.graph.output}
