"""One case through one adapter: build, run, judge. A verdict, a refusal or a crash, told apart and never hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reference import Case, Verdict, judge

from .contract import Adapter, Result, Unsupported

OUTCOMES = ("agrees", "disagrees", "vacuous", "refused", "crashed")


@dataclass(frozen=True)
class Trial:
    """What came of a case in an adapter.

    outcome: the verdict's; or "refused", where the adapter says that it cannot express the case; or
        "crashed", where anything else was raised.  message: the exception, in its own words.
    """

    adapter: str
    version: str
    device: str
    case: Case
    outcome: str
    verdict: Verdict | None = None
    message: str = ""

    def __str__(self) -> str:
        spec, case = self.case.spec, self.case
        lengths = None if case.lengths is None else np.asarray(case.lengths).tolist()
        return (
            f"{self.adapter} {self.version} on {self.device}: {self.verdict or f'{self.outcome}: {self.message}'}\n"
            f"  {spec}\n"
            f"  x {case.x.shape} {case.dtype}, {case.layout}, h0 {'given' if case.h0 is not None else 'zero'}, "
            f"lengths {lengths}, case {case.id}"
        )


def examine(adapter: Adapter, case: Case, device: str = "cpu", bound: str | None = None) -> Trial:
    """Build, run and judge one case.

    bound: "step" (a stack's lower layers are then run as modules of their own, unless the framework shows
    them), "trajectory", or None for the step bound.
    """
    try:
        result = answer(adapter, case, device)
        prefixes = None if bound == "trajectory" else prefix_outputs(adapter, case, device, result)
    except Unsupported as refusal:
        return Trial(adapter.name, adapter.version, device, case, "refused", message=str(refusal))
    except Exception as error:  # whatever a framework throws is a finding; the trial says so
        message = f"{type(error).__name__}: {error}"
        return Trial(adapter.name, adapter.version, device, case, "crashed", message=message)
    verdict = judge(case, result.output, result.h_n, prefixes=prefixes, bound=bound)
    return Trial(adapter.name, adapter.version, device, case, verdict.outcome, verdict)


def answer(adapter: Adapter, case: Case, device: str = "cpu") -> Result:
    """The adapter's answer to a case."""
    return adapter.run(adapter.build(case.spec, case.parameters, device, case.dtype), **case.inputs)


def prefix_outputs(adapter: Adapter, case: Case, device: str, result: Result) -> list[np.ndarray]:
    """The output of the first 1, 2, ..., num_layers - 1 layers of a stack.

    Where the framework does not show them, they are modules of their own with the same parameters; that these
    compute the same bits as inside the stack is a property that the suite tests.
    """
    if result.prefixes is not None:
        return list(result.prefixes)
    return [answer(adapter, case.prefix(layers), device).output for layers in range(1, case.spec.num_layers)]
