"""What a case may ask of an adapter, as data; what an adapter declares that it can do; and how it says no."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import ml_dtypes  # noqa: F401 (makes np.dtype("bfloat16") known, whoever is first to ask)
import numpy as np

from reference import DIRECTIONS, LAYOUTS, NONLINEARITIES, Case, Lengths, RNNSpec
from reference.bounds.arithmetic import arithmetic
from reference.cells import CELLS
from reference.layout import state_tuple
from reference.spec import dtype_name, expect_word, short

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

# features that only the cell lstm has, and the field of RNNSpec that says whether a layer has it
VARIANTS = {"peepholes": "peepholes", "input_forget": "input_forget", "projection": "projection_size"}

# What a case may ask for, and all the values that each feature takes. A feature of a case is a pair (name, value).
# Of a feature that is added here, the first value is what every case asked for before.
FEATURES: dict[str, tuple[Any, ...]] = {
    "direction": DIRECTIONS,
    "layout": LAYOUTS,
    "nonlinearity": NONLINEARITIES,
    "dtype": ("float32", "float64", "float16", "bfloat16"),
    "bias": (True, False),
    "h0": (True, False),
    "lengths": ("full", "mixed", "with zeros"),
    "mask": (False, True),
    "gradients": (False, True),  # of a case with cotangents
    "clip": (False, True),  # of what an activation is taken of
    **dict.fromkeys(VARIANTS, (False, True)),  # of the cell lstm alone
    "values": ("finite", "not finite"),  # of x and h0, padding included
    "num_layers": ("1", "2", "3 to 10"),
    "time": ("0", "1", "more"),
    "batch": ("0", "1", "more"),
    "mode": tuple(MODES),
    "cell": ("elman", *(word for word in CELLS if word != "elman")),
}

# What every adapter is asked for. It never grows: an adapter that was written for it keeps its meaning when FEATURES
# grows, because what is not in it must be offered (Capabilities.offers).
BASE: dict[str, tuple[Any, ...]] = {
    "direction": ("forward", "reverse", "bidirectional"),
    "layout": ("batch_first", "time_first", "unbatched"),
    "nonlinearity": ("tanh", "relu"),
    "dtype": ("float32", "float64", "float16", "bfloat16"),
    "bias": (True, False),
    "h0": (True, False),
    "lengths": ("full", "mixed", "with zeros"),
    "mask": (False,),
    "values": ("finite", "not finite"),
    "num_layers": ("1", "2", "3 to 10"),
    "time": ("0", "1", "more"),
    "batch": ("0", "1", "more"),
    "mode": ("eager",),
}
# The reason of an adapter that offers no value of a feature beyond BASE: it need not even have the argument.
NO_ARGUMENT = {
    "mode": "the adapter's build takes no mode",
    "mask": "the adapter's run takes no mask",
    "gradients": "the adapter has no gradients",
}
NOT_AMONG_OFFERS = "the adapter does not offer it"
UNSAID = (*NO_ARGUMENT.values(), NOT_AMONG_OFFERS)

Feature = tuple[str, Any]

# What torch, and the compilers below Keras and Flax, compute narrow dtypes and narrowed products in.
NARROW_ARITHMETICS: dict[tuple[Feature, ...], str] = {
    (("dtype", "float16"),): "float16_accumulate_float32",
    (("dtype", "bfloat16"),): "bfloat16_accumulate_float32",
    (("dtype", "float32"), ("mode", "tf32")): "tf32",
    (("dtype", "float32"), ("mode", "bfloat16_products")): "bfloat16_products",
}


class Unsupported(ValueError):
    """The adapter says no. New code raises the kind below."""


class NotOffered(Unsupported):
    """The adapter has no way to ask its framework for this. The reason is no wider than the truth."""


class Refused(Unsupported):
    """The framework was asked, and said no, as its adapter had declared. The framework's own words are kept."""


class Refusal(NamedTuple):
    """How a framework says no: by an exception of this type, by its own name, with these words in what it says.

    exception: "ValueError"; where versions differ, "Fail or RuntimeException".  words: likewise, parted by " | ".
    """

    exception: str
    words: str

    def fits(self, told: str) -> bool:
        """Whether what was raised, told as "Type: words" (running.guard.told), is this refusal."""
        kind, _, said = told.partition(": ")
        return kind in self.exception.split(" or ") and self.within(said)

    def within(self, said: str) -> bool:
        return any(words in said for words in self.words.split(" | "))

    def __str__(self) -> str:
        return f"{self.exception}: {self.words}"


def in_base(name: str, value: Any) -> bool:
    """Whether every adapter is asked for this value of a feature."""
    return value in BASE.get(name, FEATURES[name][:1])


def beyond_base() -> tuple[Feature, ...]:
    """Every feature that an adapter is asked for only if it offers it."""
    return tuple((name, value) for name, values in FEATURES.items() for value in values if not in_base(name, value))


@dataclass(frozen=True)
class Capabilities:
    """What an adapter can ask its framework, as data: everything in BASE, and what it offers, but what is listed here.

    unsupported: feature -> why; the adapter has no way to ask: asking for it raises NotOffered, which the suite tests.
        What is neither in BASE nor offered is added to it, with a reason.
    together: features -> why; each can be asked, and all of them at once cannot.
    refused: features -> the Refusal; a call with all of them is made, and the framework says no by this exception.
        Any other exception is a crash. Of one feature alone, or in eager calls, no cases are drawn; the fixed ones ask.
    emulated: feature -> how; the framework lacks it and the adapter does it (a transposition, a flip).
    arithmetics: features -> the arithmetic that a case with all of them is promised to be computed in, a name of
        reference.bounds.arithmetic; of several, the first. The case's dtype, throughout, where none is declared.
    offers: features beyond BASE that the adapter's methods have arguments for: ("mask", True) for run's mask,
        ("gradients", True) for the method of this name,
        ("mode", ...) for build's mode; ("clip", True) for a spec's clip; the cells that it builds beside elman,
        ("cell", ...); and of lstm ("peepholes", True), ("input_forget", True) and ("projection", True).
    gradient_modes: the modes in which it is asked for gradients, where it offers them. Every other mode is added to
        `together`, with a reason.

    What a framework gets wrong is declared nowhere here: it is a finding (findings/), and asked.
    """

    unsupported: Mapping[Feature, str] = field(default_factory=dict)
    emulated: Mapping[Feature, str] = field(default_factory=dict)
    together: Mapping[tuple[Feature, ...], str] = field(default_factory=dict)
    arithmetics: Mapping[tuple[Feature, ...], str] = field(default_factory=dict)
    offers: tuple[Feature, ...] = ()
    gradient_modes: tuple[str, ...] = ("eager",)
    refused: Mapping[tuple[Feature, ...], Refusal] = field(default_factory=dict)
    _can: frozenset[Feature] = field(init=False, repr=False, compare=False)  # looked up in every call

    def __post_init__(self) -> None:
        for kind in ("unsupported", "emulated", "together", "arithmetics"):
            declared = getattr(self, kind)
            if not isinstance(declared, Mapping):
                raise TypeError(f"capabilities {kind}: got {type(declared).__name__}, expected a mapping to reasons")
            for what, reason in declared.items():
                if not isinstance(reason, str) or not reason.strip():
                    raise ValueError(
                        f"capabilities {kind}: got {short(reason)} for {what!r}, expected a reason in words"
                    )
        self._check_refusals()
        if not isinstance(self.offers, tuple):
            raise TypeError(f"capabilities offers: got {type(self.offers).__name__}, expected a tuple of features")
        several = (feature for features in (*self.together, *self.arithmetics, *self.refused) for feature in features)
        for feature in (*self.unsupported, *self.emulated, *several, *self.offers):
            pair = isinstance(feature, tuple) and len(feature) == 2
            if not pair or feature[1] not in FEATURES.get(feature[0], ()):
                raise ValueError(f"capabilities: got feature {short(feature)}, expected one of FEATURES")
        for name in self.arithmetics.values():
            arithmetic(name)
        for mode in self.gradient_modes:
            expect_word("gradient_modes", mode, tuple(MODES))
        # of another Capabilities that offered less, of which dataclasses.replace made this, the reasons are not its own
        own = {feature: why for feature, why in self.unsupported.items()
               if feature not in self.offers or why not in UNSAID}  # fmt: skip
        object.__setattr__(self, "unsupported", own)
        unsaid = (feature for feature in beyond_base() if feature not in own)
        lacking = {feature: reason for feature in unsaid if (reason := self._why_not(*feature))}
        object.__setattr__(self, "unsupported", lacking | own)
        can = frozenset((name, value) for name in FEATURES for value in self.supported(name))
        object.__setattr__(self, "_can", can)
        why = f"they are asked in the mode {' or '.join(self.gradient_modes)}"
        without = {(("gradients", True), ("mode", mode)): why for mode in self.supported("mode")
                   if True in self.supported("gradients") and mode not in self.gradient_modes}  # fmt: skip
        object.__setattr__(self, "together", {**without, **self.together})

    def _check_refusals(self) -> None:
        if not isinstance(self.refused, Mapping):
            raise TypeError(f"capabilities refused: got {type(self.refused).__name__}, expected a mapping to Refusals")
        for features, said in self.refused.items():
            kinds = said.exception.split(" or ") if isinstance(said, Refusal) else [""]
            if not all(kind.isidentifier() for kind in kinds) or not said.words.strip():
                expected = "a Refusal(exception, words): the name of a type, and words that it says"
                raise ValueError(f"capabilities refused: got {short(said)} for {features!r}, expected {expected}")

    def _why_not(self, name: str, value: Any) -> str:
        """Why a feature is not offered; empty where it is."""
        if reason := self.unsupported.get((name, value)):
            return reason
        if in_base(name, value) or (name, value) in self.offers:
            return ""
        return NOT_AMONG_OFFERS if name in dict(self.offers) else NO_ARGUMENT.get(name, NOT_AMONG_OFFERS)

    def supported(self, name: str) -> tuple[Any, ...]:
        """The values of a feature that are offered, and of which an answer is expected."""
        values = (value for value in FEATURES[name] if not self._why_not(name, value))
        ways = (), (("mode", "eager"),)
        return tuple(value for value in values if not any(((name, value), *way) in self.refused for way in ways))

    def not_offered(self, features: Mapping[str, Any]) -> str:
        """Why a call with these features cannot be made: the first that is not offered, and its reason; else empty."""
        for name, value in features.items():
            if (name, value) not in self._can and (reason := self._why_not(name, value)):
                return f"{name} {value}: {reason}"
        for several, reason in self.together.items():
            if features.items() >= set(several):
                return f"{' and '.join(f'{name} {value}' for name, value in several)}: {reason}"
        return ""

    def refusal(self, features: Mapping[str, Any], told: str | None = None) -> Refusal | None:
        """How the framework refuses a call with these features, as declared; None where it is to answer.

        told: what was raised; then a Refusal that it fits, if any.
        """
        return next(
            (said for several, said in self.refused.items()
             if features.items() >= set(several) and (told is None or said.fits(told))), None
        )  # fmt: skip

    def no_answer(self, features: Mapping[str, Any]) -> str:
        """Why no answer is expected of a call with these features: it is not offered, or refused; else empty."""
        return self.not_offered(features) or str(self.refusal(features) or "")

    def arithmetic(self, features: Mapping[str, Any]) -> str:
        """The arithmetic that an answer with these features is judged by."""
        declared = (name for several, name in self.arithmetics.items() if features.items() >= set(several))
        return next(declared, features["dtype"])

    def require(self, features: Mapping[str, Any]) -> None:
        """Raise NotOffered if any of the features is not offered, ValueError for a word that none knows."""
        for name, value in features.items():
            if value not in FEATURES[name]:
                words = ", ".join(str(word) for word in FEATURES[name])
                raise ValueError(f"{name}: got {short(value)}, expected one of {words}")
        if reason := self.not_offered(features):
            raise NotOffered(reason)


def features_of_case(case: Case, mode: str = "eager") -> dict[str, Any]:
    """What a case asks of an adapter, called in a mode."""
    return features_of(case.spec, **case.inputs, mode=mode, gradients=case.cotangents is not None)


def variants_of(spec: RNNSpec) -> dict[str, bool]:
    """Whether a layer clips, and which variants of its cell it has, as features."""
    return {"clip": spec.clip is not None, **{word: bool(getattr(spec, field)) for word, field in VARIANTS.items()}}


def with_cell(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked, and the cell that alone has it, where one has."""
    return {"cell": "lstm", **asked} if any(asked.get(word) for word in VARIANTS) else dict(asked)


def capabilities_on(adapter: Any, device: str) -> Capabilities:
    """What an adapter can do on a device."""
    of_device: Any = getattr(adapter, "capabilities_on", None)
    return adapter.capabilities if of_device is None else of_device(device)


def with_modes(capabilities: Capabilities, modes: Iterable[str]) -> Capabilities:
    """The capabilities of a device on which these modes, which the adapter offers, are supported as well."""
    more = {("mode", mode) for mode in modes}
    unsupported = {one: why for one, why in capabilities.unsupported.items() if one not in more}
    return replace(capabilities, unsupported=unsupported)


def features_of(
    spec: RNNSpec,
    x: np.ndarray,
    h0: np.ndarray | None,
    lengths: Lengths,
    layout: str,
    *,
    mask: np.ndarray | None = None,
    mode: str = "eager",
    gradients: bool = False,
) -> dict[str, Any]:
    """What a call asks of an adapter: a value for each of FEATURES."""
    time = x.shape[0 if layout in ("time_first", "unbatched") else 1]
    batch = 1 if layout == "unbatched" else x.shape[0 if layout == "batch_first" else 1]
    numbers = (array for array in (x, *state_tuple(h0)) if array is not None)
    finite = all(np.count_nonzero(np.isfinite(array)) == array.size for array in numbers)
    return {
        "cell": spec.cell,
        "direction": spec.direction,
        "layout": layout,
        "nonlinearity": spec.nonlinearity,
        "dtype": dtype_name(x.dtype),
        "bias": spec.bias,
        "h0": h0 is not None,
        "lengths": "full" if lengths is None else "mixed" if np.all(np.asarray(lengths) > 0) else "with zeros",
        "mask": mask is not None,
        "gradients": gradients,
        **variants_of(spec),
        "values": "finite" if finite else "not finite",
        "num_layers": str(spec.num_layers) if spec.num_layers < 3 else "3 to 10",
        "time": str(time) if time < 2 else "more",
        "batch": str(batch) if batch < 2 else "more",
        "mode": mode,
    }
