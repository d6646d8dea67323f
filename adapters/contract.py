"""The contract: what an adapter is, what it declares, and how it says no."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import ml_dtypes  # noqa: F401 (makes np.dtype("bfloat16") known, whoever is first to ask)
import numpy as np

from reference import DIRECTIONS, LAYOUTS, NONLINEARITIES, CellParameters, Lengths, RNNSpec
from reference.arguments import check_parameters
from reference.bounds.arithmetic import arithmetic
from reference.spec import DTYPES, expect, expect_array, expect_word, short

# How a module is called, beside what it is asked. Each framework has some of these.
MODES = {
    "eager": "called as it was built",
    "inference": "in an inference mode, in which no gradient can be asked for",
    "autograd": "while gradients are recorded",
    "train": "in training, without dropout",
    "dropout": "with dropout, in inference, where it has no effect",
    "saved": "saved and loaded again",
    "scripted": "compiled from its source (torch.jit.script)",
    "traced": "recorded as a graph (torch.jit.trace, tf.function)",
    "exported": "exported and taken apart into its operations (torch.export)",
    "compiled": "compiled (torch.compile, XLA)",
    "functional": "as a functional model",
    "sequential": "as a sequential model",
    "predict": "by predict, in smaller batches",
    "unrolled": "with the loop over time unrolled",
    "mixed": "with weights kept in float32, computed in the case's narrow dtype (autocast, mixed policies)",
    "tf32": "where products of float32 may be computed in TF32",
    "bfloat16_products": "where products of float32 may be computed in bfloat16",
    "deterministic": "where only deterministic algorithms are allowed",
    "moved": "moved to the device after the weights were copied, away from it, and back",
    "fallback": "on CUDA, without cuDNN",
}

# What a case may ask for, and all the values that each feature takes. A feature of a case is a pair (name, value).
FEATURES: dict[str, tuple[Any, ...]] = {
    "direction": DIRECTIONS,
    "layout": LAYOUTS,
    "nonlinearity": NONLINEARITIES,
    "dtype": ("float32", "float64", "float16", "bfloat16"),
    "bias": (True, False),
    "h0": (True, False),
    "lengths": ("full", "mixed", "with zeros"),
    "mask": (False, True),
    "values": ("finite", "not finite"),  # of x and h0, padding included
    "num_layers": ("1", "2", "3 to 10"),
    "time": ("0", "1", "more"),
    "batch": ("0", "1", "more"),
    "mode": tuple(MODES),
}

Feature = tuple[str, Any]


class Unsupported(ValueError):
    """An adapter says no. New code raises one of the two kinds below, which say who said it."""


class NotOffered(Unsupported):
    """The adapter has no way to ask its framework for this. The reason is no wider than the truth."""


class Refused(Unsupported):
    """The framework was asked, and said no, as its adapter had declared. The framework's own words are kept."""


class Result(NamedTuple):
    """What an adapter answers, as NumPy arrays of the case's dtype; the same axes as reference.Result.

    prefixes: the output of the first 1, 2, ..., num_layers - 1 layers where the framework shows them, else None.
    """

    output: np.ndarray
    h_n: np.ndarray
    prefixes: Sequence[np.ndarray] | None = None


@dataclass(frozen=True)
class Capabilities:
    """What an adapter can do, as data: everything in FEATURES but what is listed here.

    unsupported: feature -> why; asking for it raises Unsupported, which the suite tests.
    together: features -> why; each is supported, and all of them at once are not.
    emulated: feature -> how; the framework lacks it and the adapter does it (a transposition, a flip).
    arithmetics: features -> the arithmetic that a case with all of them is promised to be computed in, a name of
        reference.bounds.arithmetic; of several, the first. The case's dtype, throughout, where none is declared.
    """

    unsupported: Mapping[Feature, str] = field(default_factory=dict)
    emulated: Mapping[Feature, str] = field(default_factory=dict)
    together: Mapping[tuple[Feature, ...], str] = field(default_factory=dict)
    arithmetics: Mapping[tuple[Feature, ...], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in ("unsupported", "emulated", "together", "arithmetics"):
            declared = getattr(self, kind)
            if not isinstance(declared, Mapping):
                raise TypeError(f"capabilities {kind}: got {type(declared).__name__}, expected a mapping to reasons")
            for what, reason in declared.items():
                if not isinstance(reason, str) or not reason.strip():
                    got = f"{short(reason)} for {what!r}"
                    raise ValueError(f"capabilities {kind}: got {got}, expected a reason in words")
        several = (feature for features in (*self.together, *self.arithmetics) for feature in features)
        for name, value in (*self.unsupported, *self.emulated, *several):
            if value not in FEATURES.get(name, ()):
                raise ValueError(f"capabilities: got feature {(name, value)!r}, expected one of FEATURES")
        for name in self.arithmetics.values():
            arithmetic(name)

    def supported(self, name: str) -> tuple[Any, ...]:
        """The values of a feature that the adapter supports."""
        return tuple(value for value in FEATURES[name] if (name, value) not in self.unsupported)

    def refusal(self, features: Mapping[str, Any]) -> str:
        """Why a call with these features is refused: the first that is unsupported, and its reason; else empty."""
        for name, value in features.items():
            if (name, value) in self.unsupported:
                return f"{name} {value}: {self.unsupported[name, value]}"
        for several, reason in self.together.items():
            if features.items() >= set(several):
                return f"{' and '.join(f'{name} {value}' for name, value in several)}: {reason}"
        return ""

    def arithmetic(self, features: Mapping[str, Any]) -> str:
        """The arithmetic that an answer with these features is judged by."""
        declared = (name for several, name in self.arithmetics.items() if features.items() >= set(several))
        return next(declared, features["dtype"])

    def require(self, features: Mapping[str, Any]) -> None:
        """Raise NotOffered if any of the features is declared unsupported, ValueError for a word that none knows."""
        for name, value in features.items():
            if value not in FEATURES[name]:
                words = ", ".join(str(word) for word in FEATURES[name])
                raise ValueError(f"{name}: got {short(value)}, expected one of {words}")
        if refusal := self.refusal(features):
            raise NotOffered(refusal)


class Adapter(Protocol):
    """How one framework is made to compute a recurrent stack.

    name, version: of the framework.  framework: the imported package itself, for tests of native modules.
    capabilities: what it supports, as data.
    `framework`, `dense`, `activation` and `read` may be left out: what needs them says so and is not asked.
    docs/adapters.md tells authors what to write; adapters.conformance.self_check asks whether they did.
    An adapter may also have
    `backend`, the name of what computes below the framework, which tells its targets apart;
    `environment() -> dict`, what else decides the numbers: versions, settings of precision and determinism, hardware;
    values are str, int, bool or None;
    `capabilities_on(device) -> Capabilities`, what it can do there, where that is not the same on every device;
    `script(case, device="cpu") -> str`, a stand-alone Python program that asks the framework this one case, for a bug
    report: it imports NumPy and the framework and nothing of this suite, also for a case that run refuses.
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
        mode: how run is to call it, one of MODES; what is given for another than "eager" is for run alone. An
        adapter whose build has no such argument has the mode "eager" alone.
        layout: the axes that x has when the module is called natively; that of the module that the spec was read
        from (spec.layout) when None; else batch_first. run takes every layout that the adapter supports, whatever
        this is. An adapter whose build has no such argument is asked by run alone.
        """
        ...

    def run(
        self,
        module: Any,
        x: np.ndarray,
        h0: np.ndarray | None = None,
        lengths: Lengths = None,
        layout: str = "batch_first",
        mask: np.ndarray | None = None,
    ) -> Result:
        """The module's answer. The arguments are those of reference.forward; none of them is changed.

        A module may be asked often, in other sizes too, and keeps nothing from one call to the next.
        An adapter whose run has no argument mask takes no masks.
        """
        ...

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        """The framework's own dense layer: x (..., features) to (..., outputs).

        weight: (outputs, features), as torch keeps it.  bias: (outputs,).  All of one dtype, which the answer has.
        """
        ...

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        """The framework's own activation, elementwise: "tanh" or "relu" of any array, in its dtype."""
        ...

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """The spec and the exact parameters of a native module, the user's own too.

        Raises Unsupported, with the reason, for what RNNSpec cannot express.
        """
        ...


def features_of(
    spec: RNNSpec,
    x: np.ndarray,
    h0: np.ndarray | None,
    lengths: Lengths,
    layout: str,
    *,
    mask: np.ndarray | None = None,
    mode: str = "eager",
) -> dict[str, Any]:
    """What a call asks of an adapter: a value for each of FEATURES."""
    time = x.shape[0 if layout in ("time_first", "unbatched") else 1]
    batch = 1 if layout == "unbatched" else x.shape[0 if layout == "batch_first" else 1]
    return {
        "direction": spec.direction,
        "layout": layout,
        "nonlinearity": spec.nonlinearity,
        "dtype": x.dtype.name,
        "bias": spec.bias,
        "h0": h0 is not None,
        "lengths": "full" if lengths is None else "mixed" if np.all(np.asarray(lengths) > 0) else "with zeros",
        "mask": mask is not None,
        "values": "finite" if all(_finite(array) for array in (x, h0)) else "not finite",
        "num_layers": str(spec.num_layers) if spec.num_layers < 3 else "3 to 10",
        "time": str(time) if time < 2 else "more",
        "batch": str(batch) if batch < 2 else "more",
        "mode": mode,
    }


def _finite(array: np.ndarray | None) -> bool:
    return array is None or bool(np.isfinite(array.astype(np.float64)).all())


def narrowed(capabilities: Capabilities, build: Callable[..., Any], run: Callable[..., Any]) -> Capabilities:
    """The capabilities of an adapter with these methods: one whose build takes no mode has the mode eager alone, one
    whose run takes no mask takes none."""
    lacking: dict[Feature, str] = {}
    if not takes(build, "mode"):
        lacking |= {("mode", mode): "the adapter's build takes no mode" for mode in MODES if mode != "eager"}
    if not takes(run, "mask"):
        lacking["mask", True] = "the adapter's run takes no mask"
    return replace(capabilities, unsupported={**lacking, **capabilities.unsupported})


def prepared(adapter: Any) -> Any:
    """The same adapter; its capabilities say what its build and its run take no argument for."""
    build, run, capabilities = (getattr(adapter, name, None) for name in ("build", "run", "capabilities"))
    if build and run and isinstance(capabilities, Capabilities):
        adapter.capabilities = narrowed(capabilities, build, run)
    return adapter


def takes(method: Callable[..., Any], name: str) -> bool:
    """Whether a method has an argument of that name."""
    parameters = inspect.signature(method).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def capabilities_on(adapter: Adapter, device: str) -> Capabilities:
    """What an adapter can do on a device."""
    of_device: Callable[[str], Capabilities] | None = getattr(adapter, "capabilities_on", None)
    return adapter.capabilities if of_device is None else narrowed(of_device(device), adapter.build, adapter.run)


def with_modes(capabilities: Capabilities, modes: Iterable[str]) -> Capabilities:
    """The capabilities of a device that has these modes as well."""
    more = {("mode", mode) for mode in modes}
    return replace(
        capabilities, unsupported={one: why for one, why in capabilities.unsupported.items() if one not in more}
    )


def expect_device(device: str, there: Sequence[str]) -> None:
    """Raise ValueError for a device that is not there: a framework may fall back on the CPU without a word."""
    expect_word("device", device, (*there, *(("cuda",) if "cuda:0" in there else ())))


def expect_build(
    adapter: Any,
    spec: RNNSpec,
    parameters: Sequence[CellParameters],
    device: str,
    dtype: str | None,
    mode: str = "eager",
) -> list[CellParameters]:
    """The parameters to build of, in `dtype`, once every argument of an adapter's build is checked.

    Raises TypeError or ValueError, naming the argument; NotOffered for what the adapter declares unsupported.
    """
    check_parameters(spec, parameters)
    if dtype is not None:
        expect_word("dtype", dtype, DTYPES)
    expect_device(device, adapter.devices())
    expect_word("mode", mode, tuple(MODES))
    # in any dtype a module can be built, and read again, also where it is refused when it is run
    asked = {} if mode == "eager" else {"dtype": dtype or parameters[0].dtype.name}
    capabilities_on(adapter, device).require({"mode": mode, **asked})
    return cast_exactly(parameters, dtype)


def expect_dense(adapter: Any, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str) -> None:
    """Raise TypeError or ValueError, naming the argument, unless those of an adapter's dense fit each other."""
    expect_device(device, adapter.devices())
    expect_array("weight", weight, 2)
    expect_array("bias", bias, 1)
    expect_array("x", x, max(np.ndim(x), 1))
    outputs, features = weight.shape
    expect(bias.shape == (outputs,), "bias shape", bias.shape, f"({outputs},), one for each row of weight")
    expect(x.shape[-1] == features, "x shape", x.shape, f"{features} features, as weight has columns")
    dtypes = {"weight": weight.dtype.name, "bias": bias.dtype.name, "x": x.dtype.name}
    expect(len({*dtypes.values()}) == 1, "dtype", dtypes, "one for all")


def expect_activation(adapter: Any, a: np.ndarray, nonlinearity: str, device: str) -> None:
    """Raise TypeError or ValueError, naming the argument, for what no adapter's activation takes."""
    expect_device(device, adapter.devices())
    expect_word("nonlinearity", nonlinearity, NONLINEARITIES)
    expect_array("a", a, np.ndim(a))


def layout_of(spec: RNNSpec, layout: str | None) -> str:
    """The layout in which a module that is built of `spec` is called natively: the one asked for, or read."""
    if layout is not None:
        expect_word("layout", layout, LAYOUTS)
    return layout or spec.layout or LAYOUTS[0]


def cast_exactly(parameters: Sequence[CellParameters], dtype: str | None) -> list[CellParameters]:
    """The parameters in `dtype`, bit for bit in value; their own dtype when None.

    Raises ValueError naming the first array that `dtype` cannot hold exactly.
    """
    if dtype is None or dtype == parameters[0].dtype.name:
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
