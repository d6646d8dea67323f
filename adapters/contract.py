"""The contract: what an adapter is, what it declares, and how it says no."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

from reference import LAYOUTS, NONLINEARITIES, Case, CellParameters, Gradients, Lengths, RNNSpec
from reference.judging.view import WHOLE, View
from reference.layout import each_state
from reference.spec import dtype_name, expect_word

from .capabilities import (  # noqa: F401 (the words of the contract)
    FEATURES,
    MODES,
    NOT_AMONG_OFFERS,
    Capabilities,
    Feature,
    NotOffered,
    Refusal,
    Refused,
    Unsupported,
    beyond_base,
    capabilities_on,
    features_of,
    features_of_case,
    in_base,
    variants_of,
    with_cell,
    with_modes,
)

# the words that `activation` may be given
ACTIVATIONS = (*NONLINEARITIES, "sigmoid")


class Result(NamedTuple):
    """What an adapter answers, as NumPy arrays of the case's dtype; the same axes as reference.Result, whose h_n is a
    tuple, h first, of a cell with several states.

    output, h_n: None where an idiom shows none.
    prefixes: the output of the first 1, 2, ..., num_layers - 1 layers where the framework shows them, else None.
    gradients: of the probed layer (reference.judging.gradients.probe), or of a stack, where a case has cotangents; of
        an idiom that shows a part of the answer, with the output and h_n that it shows.
    """

    output: Any
    h_n: Any
    prefixes: Sequence[np.ndarray] | None = None
    gradients: Gradients | None = None


def result_of(gradients: Gradients, dtype: np.dtype | None = None) -> Result:
    """What an adapter answers to a case with cotangents.  dtype: of all arrays, where a framework may answer a narrower
    one."""
    if dtype is not None:
        x, h0, output, h_n = (
            each_state(lambda one: one.astype(dtype), a)
            for a in (gradients.x, gradients.h0, gradients.output, gradients.h_n)
        )
        tracks = [track.astype(dtype_name(dtype)) for track in gradients.parameters]
        gradients = Gradients(x, h0, tracks, output, h_n)
    return Result(gradients.output, gradients.h_n, gradients=gradients)


# the idiom of an adapter whose framework's modules cannot be shared by threads: a finding says what comes of it
IN_THREADS = "in threads"


class Idiom(NamedTuple):
    """Another way in which users of a framework call the layer than `run` does. It is drawn, and asked, as run is.

    says: which, as the end of "asked ...".
    answer: (case, device) -> Result, in the case's layout and dtype: what `view` shows of the answer, as
        reference.judging.view.answer_of gives it; None in place of an array that is not shown. A case has cotangents
        only where ("gradients", True) stands in `answers`: result_of(its gradients). It is that of a probed layer where
        all is shown; else the call is given the cotangents that reference.judging.pullback.shown_cotangents gives.
    view: what the call shows of the whole answer.
    without: features -> why a call with all of them cannot be made in this idiom: NotOffered, beside what the adapter
        does not offer.  refused: features -> how the framework refuses such a call, beside the adapter's refusals, and
        in place of one of the same features.
    answers: features that the adapter declares as refused, or as not offered, and that this idiom answers.
    isolate: whether it may take the process down, and is asked in one of its own.
    absent: why it cannot be asked on this machine; empty where it can.
    compiles: whether a compiler works for each case, for seconds. A run then asks one fixed case, which its pool
        chooses, and draws none; a recorded run asks all fixed ones. No lower layers are asked for, so that stacks are
        judged by the trajectory bound.
    """

    says: str
    answer: Callable[[Case, str], Result]
    view: View = WHOLE
    without: Mapping[tuple[Feature, ...], str] = MappingProxyType({})
    refused: Mapping[tuple[Feature, ...], Refusal] = MappingProxyType({})
    isolate: bool = False
    absent: str = ""
    answers: tuple[tuple[Feature, ...], ...] = ()
    compiles: bool = False

    def narrowed(self, capabilities: Capabilities) -> Capabilities:
        """What can be asked in this idiom, of what an adapter can do on a device."""
        alone = {features[0]: why for features, why in self.without.items() if len(features) == 1}
        several = {features: why for features, why in self.without.items() if len(features) > 1}
        offered = {feature: why for feature, why in capabilities.unsupported.items() if (feature,) not in self.answers}
        refused = {some: said for some, said in capabilities.refused.items() if some not in self.answers}
        more = (feature for (feature, *others) in self.answers if not others and not in_base(*feature))
        offers = (one for one in capabilities.offers if one != ("gradients", True))  # which an idiom has of its own
        return replace(capabilities, unsupported={**offered, **alone}, offers=(*offers, *more),
                       together={**several, **capabilities.together}, refused={**refused, **self.refused})  # fmt: skip


class Compiles(NamedTuple):
    """That a framework compiles for each key: sizes, features, dtype, layout. The first call of a key is then slow.

    mode: the one of MODES in which what it compiled is kept, for other values too.  weights: whether they are part of
    the key.
    """

    mode: str = "eager"
    weights: bool = False


class Adapter(Protocol):
    """How one framework is made to compute a recurrent stack.

    name, version: of the framework.  framework: the imported package itself, for tests of native modules.
    capabilities: what it supports, as data.
    `framework`, `dense`, `activation` and `read` may be left out: what needs them says so and is not asked.
    An adapter may also have
    `backend`, the name of what computes below the framework, which tells its targets apart;
    `environment() -> dict`, what else decides the numbers: versions, settings, hardware, as str, int, bool or None;
    `capabilities_on(device) -> Capabilities`, what it can do there, where that is not the same on every device;
    `compiles`, a Compiles where the framework compiles for each shape: a run then asks it few shapes, drawn anew;
    `idioms`, a mapping from a word to an Idiom, the other ways in which users call the layer;
    `gradients(module, x, h0, lengths, layout, mask, cotangents) -> reference.Gradients`, the gradients of what run
    answers, as reference.backward has them, by the framework's own differentiation: NotOffered where it lacks it;
    `script(case, device="cpu", way="eager") -> str`, a stand-alone program that asks the framework this one case, in a
    mode or an idiom, for a bug report: it imports NumPy and the framework and nothing of this suite, also for a case
    that run refuses. A way of which the adapter writes no script raises NotOffered. `way` may be left out.
    docs/adapters.md tells authors what to write; adapters.conformance.self_check asks whether they did.
    """

    name: str
    version: str
    framework: Any
    capabilities: Capabilities

    def devices(self) -> tuple[str, ...]:
        """The devices there are: "cpu", and "cuda:0", "cuda:1", ... where there are any."""
        ...

    def build(
        self,
        spec: RNNSpec,
        parameters: Sequence[CellParameters],
        device: str = "cpu",
        dtype: str | None = None,
        mode: str = "eager",
        layout: str | None = None,
    ) -> Any:
        """A native module that computes `spec` with exactly these parameters, of which it has copies.

        It is made of the framework's own layers, and can be called, saved and loaded without this suite.
        dtype: the parameters' own when None. One that cannot hold them exactly raises ValueError.
        device: one of devices(), or "cuda" for the first of its kind; one that is not there raises ValueError.
        mode: how run is to call it, one of MODES; what is built for another than "eager" is for run alone. Only an
        adapter whose capabilities offer modes is given this argument.
        layout: the axes that x has when the module is called natively; spec.layout, that of a module that was read,
        when None; else batch_first. run takes every layout that is supported, whatever this is. It may be left out.
        """
        ...

    def set_weights(self, module: Any, parameters: Sequence[CellParameters]) -> None:
        """Give a module that build returned other parameters of its spec and dtype, as users do between two calls.

        Only an adapter needs it whose `compiles` says that it keeps what it compiled for other weights too.
        """
        ...

    def run(
        self,
        module: Any,
        x: np.ndarray,
        h0: Any = None,
        lengths: Lengths = None,
        layout: str = "batch_first",
        mask: np.ndarray | None = None,
    ) -> Result:
        """The module's answer. The arguments are those of reference.forward; none of them is changed.

        A module may be asked often, in other sizes too, and by several threads at once. It keeps nothing from one call
        to the next.
        mask: only given to an adapter whose capabilities offer ("mask", True).
        """
        ...

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        """The framework's own dense layer: x (..., features) to (..., outputs).

        weight: (outputs, features), as torch keeps it.  bias: (outputs,).  All of one dtype, which the answer has.
        """
        ...

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        """The framework's own activation, elementwise: one of ACTIVATIONS of any array, in its dtype.

        "sigmoid" is asked of an adapter that offers a cell with gates.
        """
        ...

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """The spec and the exact parameters of a native module, the user's own too.

        Raises Unsupported, with the reason, for what RNNSpec cannot express.
        """
        ...


def expect_device(device: str, there: Sequence[str]) -> None:
    """Raise ValueError for a device that is not there: a framework may fall back on the CPU without a word."""
    expect_word("device", device, (*there, *(("cuda",) if "cuda:0" in there else ())))


def layout_of(spec: RNNSpec, layout: str | None) -> str:
    """The layout in which a module that is built of `spec` is called natively: the one asked for, or read."""
    if layout is not None:
        expect_word("layout", layout, LAYOUTS)
    return layout or spec.layout or LAYOUTS[0]


def cast_exactly(parameters: Sequence[CellParameters], dtype: str | None) -> list[CellParameters]:
    """The parameters in `dtype`, bit for bit in value; their own dtype when None.

    Raises ValueError naming the first array that `dtype` cannot hold exactly.
    """
    if dtype is None or dtype == dtype_name(parameters[0].dtype):
        return list(parameters)
    cast = [cell.astype(dtype) for cell in parameters]
    for index, (before, after) in enumerate(zip(parameters, cast, strict=True)):
        for name, array in before.arrays().items():
            if not np.array_equal(after.arrays()[name].astype(array.dtype), array, equal_nan=True):
                raise ValueError(
                    f"parameters[{index}] {name}: got {array.dtype.name} values that {dtype} cannot hold exactly; "
                    f"round them first, with CellParameters.astype({dtype!r})"
                )
    return cast


def idioms_of(adapter: Any) -> Mapping[str, Idiom]:
    """The idioms of an adapter, by their words; none where it has none."""
    return getattr(adapter, "idioms", {})


def idiom_of(adapter: Any, word: str) -> Idiom | None:
    """An idiom by its word; None of the empty word, run's own way. Raises ValueError for one that is none."""
    if not word:
        return None
    expect_word("idiom", word, tuple(idioms_of(adapter)))
    return idioms_of(adapter)[word]
