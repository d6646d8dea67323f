"""One case through one adapter: build, run, judge. A verdict, a refusal or a crash, told apart and never hidden."""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from reference import Case, CellParameters, Diagnosis, Gradients, RNNSpec, Verdict, diagnose
from reference.encoding import arrays_of
from reference.faults import Fault
from reference.judging.case import id_of
from reference.judging.chain import below
from reference.judging.gradients import probe
from reference.judging.partial import judge_view
from reference.judging.view import WHOLE, View

from ..contract import (
    Adapter,
    Capabilities,
    Compiles,
    Refused,
    Result,
    Unsupported,
    capabilities_on,
    features_of_case,
    idiom_of,
    in_base,
)
from .guard import told, warnings_shown

OUTCOMES = ("agrees", "disagrees", "finding", "vacuous", "refused", "not offered", "left out", "crashed")


@dataclass(frozen=True)
class Trial:
    """What came of a case in an adapter.

    outcome: the verdict's; "finding", where it disagrees or raises just as findings say; "refused", where the
        framework says no as was declared; "not offered", where the adapter cannot ask; "left out", where a finding
        that is present says that nothing can be expected; or "crashed", where anything else was raised.
    message: the exception, in its own words; of a case that was left out, the finding's id.
    answer: what was judged, by the declared arithmetic.  given: the adapter's own arrays, of which it is a copy.
    mode, idiom: how the framework was called.
    view: what the answer shows of the reference's.
    seconds: what building the modules ("build"), running them ("run") and judging them ("judge") took.
    findings: the ids of those that explain the outcome "finding".
    """

    adapter: str
    version: str
    device: str
    case: Case
    outcome: str
    verdict: Verdict | None = None
    message: str = ""
    answer: Result | None = None
    given: Result | None = None
    arithmetic: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    mode: str = "eager"
    idiom: str = ""
    findings: tuple[str, ...] = ()
    view: View = WHOLE

    @property
    def overwritten(self) -> bool:
        """Whether the adapter's arrays hold other numbers by now than when they were judged."""
        pairs = zip(_arrays(self.given), _arrays(self.answer), strict=True)
        return any(now.tobytes() != then.tobytes() for now, then in pairs)

    @property
    def clouded(self) -> bool:
        """Whether the bound of what is to be judged finds it wrong, and the wider one of a finding says nothing."""
        return self.outcome == "vacuous" and self.verdict is not None and self.verdict.outcome == "disagrees"

    def diagnosis(self, faults: Sequence[Fault] | None = None) -> Diagnosis | None:
        """Which known faults would explain a wrong answer; None where there is none. It takes up to some seconds.

        faults: those to try, singly and in pairs; all known ones, and the commonest in pairs, when None.
        """
        if self.answer is None or self.outcome != "disagrees" or self.answer.gradients:
            return None  # the verdict on gradients says where they begin to be wrong
        tried = {} if faults is None else {"faults": faults, "paired": faults}
        return diagnose(self.case, *self.answer[:3], declared=self.arithmetic, view=self.view, **tried)

    def __str__(self) -> str:
        spec, case = self.case.spec, self.case
        lengths = None if case.lengths is None else np.asarray(case.lengths).tolist()
        way = f", in the idiom {self.idiom!r}" if self.idiom else ""
        came = self.verdict or f"{self.outcome}: {self.message}"
        return (
            f"{self.adapter} {self.version} on {self.device}{way}: {came}\n"
            f"  {spec}\n"
            f"  x {case.x.shape} {case.dtype}, {case.layout}, h0 {'given' if case.h0 is not None else 'zero'}, "
            f"lengths {lengths},{'' if case.mask is None else ' with a mask,'} case {case.id}"
        )


def _arrays(answer: Result | None) -> list[np.ndarray]:
    shown = () if answer is None else arrays_of(answer.output, answer.h_n, answer.gradients)
    return [array for array in shown if isinstance(array, np.ndarray)]


def built(adapter: Adapter, spec: RNNSpec, parameters: Sequence[CellParameters], device: str, mode: str) -> Any:
    """A module of exactly these parameters."""
    words = {} if mode == "eager" else {"mode": mode}  # only who offers modes has the argument
    return adapter.build(spec, parameters, device, parameters[0].dtype.name, **words)


class Modules:
    """The last modules of an adapter that compiles, on one device, to be asked again: of the same key.

    An adapter whose compiler sees no weights is given others of them by set_weights, as its users do; but not in a mode
    that makes something of a module's weights once: saved and loaded, it would not be saved again.
    """

    KEPT = 64

    def __init__(self, adapter: Adapter, compiles: Compiles, device: str) -> None:
        self.adapter, self.compiles, self.device = adapter, compiles, device
        self._kept: dict[Any, tuple[Any, Any]] = {}

    def of(self, spec: RNNSpec, parameters: Sequence[CellParameters], mode: str) -> Any:
        """A module of exactly these parameters, built, or built before."""
        weights = tuple(array.tobytes() for track in parameters for array in track.arrays().values())
        fixed = self.compiles.weights or mode not in ("eager", self.compiles.mode)
        key = spec, parameters[0].dtype, mode, weights if fixed else None
        module, held = self._kept.pop(key, (None, None))
        if module is None:
            module = built(self.adapter, spec, parameters, self.device, mode)
        elif held != weights:
            self.adapter.set_weights(module, parameters)
        self._kept[key] = module, weights
        if len(self._kept) > self.KEPT:
            del self._kept[next(iter(self._kept))]
        return module


class Stack:
    """A stack's modules on one device, in one mode: the whole, and its first layers if asked for.

    kept: where they are kept with those of other stacks; nowhere else when None.
    idiom: one of the adapter's idioms, which builds and runs a case by itself; run's own way when empty.
    seconds: what building and running them took so far.
    """

    apart = False  # whether it is asked in a process of its own

    def __init__(
        self,
        adapter: Adapter,
        case: Case,
        device: str = "cpu",
        mode: str = "eager",
        kept: Modules | None = None,
        idiom: str = "",
    ) -> None:
        self.adapter, self.device, self.mode, self.idiom = adapter, device, mode, idiom
        self.way = idiom_of(adapter, idiom)
        self._parameters = case.parameters
        self._kept = kept
        self._modules: dict[RNNSpec, Any] = {}
        self.seconds = {"build": 0.0, "run": 0.0}

    def answer(self, case: Case) -> Result:
        """The answer to a case about this stack, or about its first layers (case.prefix)."""
        if self.way is not None:
            with self._timed("run"):
                probed = case.cotangents is not None and self.view.probed
                return self.way.answer(probe(case) if probed else case, self.device)
        if case.cotangents is not None:
            return self._gradients(case)
        with self._timed("build"):
            module = self._module(case.spec, self._parameters[: case.spec.num_cells])
        with self._timed("run"):
            return self.adapter.run(module, **case.inputs)

    def _gradients(self, case: Case) -> Result:
        """Those of the probed layer, and its answer, which is the case's; of a stack its own, as nothing shows its
        deltas, with the outputs of its lower layers in the same way of calling them."""
        layers = case.spec.num_layers
        found = self._found(probe(case) if layers == 1 else case)
        lower = [self._found(below(case, n)).output for n in range(1, layers)]
        return Result(found.output, found.h_n, lower, found)

    def _found(self, case: Case) -> Gradients:
        with self._timed("build"):
            module = self._module(case.spec, case.parameters)
        with self._timed("run"):
            adapter: Any = self.adapter  # which offers them
            return adapter.gradients(module, **case.inputs, cotangents=case.cotangents)

    def _module(self, spec: RNNSpec, parameters: Sequence[CellParameters]) -> Any:
        if self._kept is not None:
            return self._kept.of(spec, parameters, self.mode)
        if spec not in self._modules:
            self._modules[spec] = built(self.adapter, spec, parameters, self.device, self.mode)
        return self._modules[spec]

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[what] += time.perf_counter() - started

    @functools.cached_property
    def capabilities(self) -> Capabilities:
        """What the adapter can do on the stack's device, in its idiom."""
        offered = capabilities_on(self.adapter, self.device)
        return offered if self.way is None else self.way.narrowed(offered)

    @property
    def view(self) -> View:
        return WHOLE if self.way is None else self.way.view

    def features(self, case: Case) -> dict[str, Any]:
        """What a case asks for, called in the stack's mode."""
        return features_of_case(case, self.mode)

    def expect_offered(self, features: Mapping[str, Any]) -> None:
        """Raise NotOffered where features are beyond BASE and not supported: the adapter is not asked for them. In an
        idiom nothing else checks what is asked."""
        capabilities = self.capabilities
        if self.way is not None:
            capabilities.require(features)
        elif beyond := {name: value for name, value in features.items() if not in_base(name, value)}:
            capabilities.require(beyond)


def asked_of(adapter: Adapter, case: Case, device: str, mode: str) -> tuple[str, str]:
    """Why no answer to a case is expected of an adapter, empty where it is; and the arithmetic that it declares."""
    features = features_of_case(case, mode)
    with warnings_shown():
        capabilities = capabilities_on(adapter, device)
    return capabilities.no_answer(features), capabilities.arithmetic(features)


def attempt(
    stack: Stack, case: Case, prefixes: bool = False, features: Mapping[str, Any] | None = None
) -> Result | Trial:
    """The answer to a case, or the trial that says why there is none: refused, not offered, crashed, or its arguments
    changed.

    prefixes: whether the result is to hold the outputs of a stack's lower layers.  features: the case's, if known.
    """
    asked, features = case.content(), features or stack.features(case)
    try:
        with warnings_shown():
            stack.expect_offered(features)
            result = stack.answer(case)
            if prefixes and stack.view == WHOLE and not (stack.way and stack.way.compiles):
                # Modules of their own with the same parameters show what the framework does not: that these compute
                # the same bits as inside the stack is a property that the suite tests.
                shown, below = result.prefixes, range(1, case.spec.num_layers)
                lower = [stack.answer(case.prefix(n)).output for n in below] if shown is None else list(shown)
                result = result._replace(prefixes=lower)
    except Refused as said:
        outcome, message = "refused", str(said)
    except Unsupported as said:
        outcome, message = "not offered", str(said)
    except (Exception, SystemExit) as error:  # whatever a framework throws: the trial says so
        message = told(error)
        outcome = "crashed" if stack.capabilities.refusal(features, message) is None else "refused"
    else:
        if case.content() == asked:
            return result
        outcome, message = "disagrees", f"the adapter changed its arguments: the case was {id_of(asked)}"
    return Trial(stack.adapter.name, stack.adapter.version, stack.device, case, outcome, message=message,
                 mode=stack.mode, idiom=stack.idiom, view=stack.view)  # fmt: skip


def examine(
    adapter: Adapter,
    case: Case,
    device: str = "cpu",
    bound: str | None = None,
    stack: Stack | None = None,
    mode: str = "eager",
    idiom: str = "",
) -> Trial:
    """Build, run and judge one case.

    bound: "step", "trajectory", or None for the step bound.  stack: modules already built of these parameters.
    mode: one of contract.MODES.  idiom: one of the adapter's; its run when empty.
    """
    stack = stack or Stack(adapter, case, device, mode, idiom=idiom)
    before, features = dict(stack.seconds), stack.features(case)
    result = attempt(stack, case, bound != "trajectory", features)
    seconds = {what: stack.seconds[what] - before[what] for what in before}
    if isinstance(result, Trial):
        return replace(result, seconds=seconds)
    prefixes = None if bound == "trajectory" and case.cotangents is None else result.prefixes
    declared, started = stack.capabilities.arithmetic(features), time.perf_counter()
    verdict = judge_view(case, stack.view, result.output, result.h_n, prefixes, declared, bound, result.gradients)
    seconds["judge"] = time.perf_counter() - started
    # copies: the adapter may write its next answer into the same memory
    parts: list[Any] = [part.copy("K") if type(part) is np.ndarray else copy.deepcopy(part) for part in result]
    return Trial(adapter.name, adapter.version, device, case, verdict.outcome, verdict, answer=Result(*parts),
                 given=result, arithmetic=declared, seconds=seconds, mode=stack.mode, idiom=stack.idiom,
                 view=stack.view)  # fmt: skip
