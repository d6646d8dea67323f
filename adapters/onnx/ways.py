"""How a model is made, loaded and asked in an idiom, as data. It imports no framework here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from reference.judging.view import WHOLE, View

from ..contract import Feature, Refusal
from ..scripts.source import source

# a model's inputs by name, to its outputs by name
Call = Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]
Load = Callable[[Any], Call]  # of the time-first onnx.ModelProto of a stack


class Step(NamedTuple):
    """A function of changes or of asks, and its words beside the model and what that is given."""

    function: Callable[..., Any]
    words: Mapping[str, Any] = MappingProxyType({})

    def __call__(self, model: Any, feeds: dict[str, np.ndarray]) -> Any:
        return self.function(model, feeds, **self.words)

    def call(self) -> str:
        """Its call, as it stands in a script."""
        more = "".join(f", {name}={value!r}" for name, value in self.words.items())
        return f"{self.function.__name__}(model, feeds{more})"


class Way(NamedTuple):
    """How models are made, loaded and asked in an idiom.

    changes: what is done to the model that run makes.  ask: how it is asked; as run does when None.
    layout: that of the changed model.  as_it_comes: whether the numbers are read as the NumPy arrays say.
    The others are an Idiom's.
    """

    says: str
    changes: tuple[Step, ...] = ()
    ask: Step | None = None
    view: View = WHOLE
    without: Mapping[tuple[Feature, ...], str] = MappingProxyType({})
    refused: Mapping[tuple[Feature, ...], Refusal] = MappingProxyType({})
    isolate: bool = False
    absent: str = ""
    layout: str = "time_first"
    as_it_comes: bool = False

    @property
    def asked(self) -> tuple[Any, ...]:
        """An Idiom's fields, behind its answer."""
        return self.view, self.without, self.refused, self.isolate, self.absent

    def read(self, array: np.ndarray, dtype: str) -> np.ndarray:
        """A copy of an answer, time first. OpenVINO gives bfloat16 as float16 of the same bits.  dtype: the case's."""
        array = array.swapaxes(0, 1) if self.layout == "batch_first" else array
        if dtype == "bfloat16" and array.dtype == "float16":
            return array.astype(dtype) if self.as_it_comes else np.ascontiguousarray(array).view(dtype).copy()
        return np.array(array)


def source_of(steps: Sequence[Step]) -> str:
    """The functions of these steps, and what they use of their modules, as they stand in a script."""
    files = {Path(step.function.__code__.co_filename): list[str]() for step in steps}
    for step in steps:
        files[Path(step.function.__code__.co_filename)].append(step.function.__name__)
    return "\n\n\n".join(source(file, *names) for file, names in files.items())


RUN = Way("by run's own way")
