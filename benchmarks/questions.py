"""What is compared with what: pairs of functions without arguments, and how much dearer the first may be."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import adapters
from adapters.running.trial import Stack, Trial, examine
from reference import Case, RNNSpec, forward, judge, judge_pair
from reference.draws import draw_case

# The reference may not be slower than what it checks, nor much slower where torch's kernel does all gates at once. A
# judgement may not cost more than three float64 passes, four where c is carried along; of a large case not more than
# ten by the whole trajectory or of two answers. What is around both may cost little: a trial 1.3 times as much as the
# call and such a judgement; a whole small case, drawn and built too, four times as much as the framework's own module,
# made and called (the aim is three).
FORWARD_LIMITS = {"elman": 1.0, "gru": 1.3, "lstm": 2.5}
JUDGE_LIMITS = {"elman": 3.0, "gru": 3.0, "lstm": 4.0}
LARGE_LIMIT = 10.0
TRIAL_LIMIT = 1.3
CASE_LIMIT = 4.0


class Size(NamedTuple):
    """The sizes of a case; in the tables' order."""

    time: int
    batch: int
    input_size: int
    hidden_size: int

    def __str__(self) -> str:
        return ", ".join(map(str, self))


class Pair(NamedTuple):
    """Two functions to be timed against each other: `subject` is what may not be too slow."""

    subject: Callable[[], Any]
    yardstick: Callable[[], Any]


FORWARD_SIZES = (
    Size(10, 1, 4, 8),
    Size(50, 8, 32, 64),
    Size(128, 32, 128, 256),
    Size(256, 64, 512, 512),
    Size(64, 256, 1024, 1024),
)
JUDGE_SIZES = (Size(50, 8, 32, 64), Size(128, 32, 128, 256))
TRAJECTORY_SIZES = (Size(50, 8, 32, 64), Size(200, 8, 32, 64))
LARGE_SIZES = (Size(100, 4, 512, 512), Size(100, 32, 512, 512))
TRIAL_SIZES = (Size(128, 32, 64, 64), Size(128, 32, 128, 128), Size(128, 32, 512, 512))
CASE_SIZES = (Size(10, 1, 4, 8),)
DTYPES = ("float32", "float64")
# the tables' columns: num_layers and direction
STACKS = {"one layer": (1, "forward"), "two layers": (2, "forward"), "bidirectional": (1, "bidirectional")}
JUDGED_STACKS = ("one layer", "bidirectional")


def forward_pair(size: Size, dtype: str, stack: str, cell: str = "elman") -> Pair:
    """`reference.forward`, its checks of the arguments included, and torch's layer of that cell called on a tensor.

    Both are given the sequence time first, as torch's layers take it, so that neither has to transpose it.
    """
    case = _case(size, dtype, stack, "time_first", cell=cell)
    return Pair(lambda: forward(case.spec, case.parameters, case.x, layout=case.layout), _bare_call(case))


def judgement_pair(size: Size, dtype: str, stack: str, cell: str = "elman", bound: str = "step") -> Pair:
    """`reference.judge` of an answer in `dtype`, and the forward pass of the same case in float64."""
    case = _case(size, dtype, stack, "batch_first", cell=cell)
    answer = case.answer()
    return Pair(lambda: judge(case, answer.output, answer.h_n, bound=bound), _wide(case).answer)


def trajectory_pair(size: Size, dtype: str, stack: str) -> Pair:
    return judgement_pair(size, dtype, stack, bound="trajectory")


def two_answers_pair(size: Size, dtype: str, stack: str) -> Pair:
    """`reference.judge_pair` of two answers whose last bits differ, and the forward pass in float64."""
    case = _case(size, dtype, stack, "batch_first")
    answer = case.answer()
    other = np.nextafter(answer.output, answer.output.dtype.type(0)), answer.h_n
    return Pair(lambda: judge_pair(case, answer, other), _wide(case).answer)


def trial_pair(size: Size, dtype: str, stack: str) -> Pair:
    """A case run and judged in a torch.nn.RNN that was built before; the same module called, and a judgement's three
    forward passes in float64."""
    case, torch_adapter = _case(size, dtype, stack), adapters.load("torch")
    built, call, wide = Stack(torch_adapter, case), _bare_call(case), _wide(case)

    def allowed() -> None:
        call()
        for _ in range(int(JUDGE_LIMITS["elman"])):
            wide.answer()

    return Pair(lambda: _agreeing(examine(torch_adapter, case, stack=built)), allowed)


def case_pair(size: Size, dtype: str, stack: str) -> Pair:
    """A case drawn, built, run and judged, each time another; a torch.nn.RNN made, given its weights, and called."""
    case, torch_adapter, seeds = _case(size, dtype, stack), adapters.load("torch"), itertools.count(1)
    torch, (num_layers, direction) = torch_adapter.framework, STACKS[stack]
    x, *weights = map(torch.from_numpy, (case.x, *_arrays(case)))
    sizes = size.input_size, size.hidden_size, num_layers

    def bare() -> Any:
        module = torch.nn.RNN(*sizes, bidirectional=direction == "bidirectional", batch_first=True, dtype=x.dtype)
        with torch.no_grad():
            for parameter, weight in zip(module.parameters(), weights, strict=True):
                parameter.copy_(weight)
            return module.eval()(x)

    return Pair(lambda: _agreeing(examine(torch_adapter, _case(size, dtype, stack, seed=next(seeds)))), bare)


def _agreeing(trial: Trial) -> None:
    if trial.outcome != "agrees":
        raise ValueError(f"trial: got one that is not judged to the end, expected an answer that agrees: {trial}")


def _bare_call(case: Case) -> Callable[[], Any]:
    """A layer of torch, built before, called on a tensor."""
    torch_adapter = adapters.load("torch")
    torch = torch_adapter.framework
    module, x = torch_adapter.build(case.spec, case.parameters, layout=case.layout), torch.from_numpy(case.x)

    def call() -> Any:
        with torch.inference_mode():
            return module(x)

    return call


def _wide(case: Case) -> Case:
    """The same case in float64."""
    return Case(case.spec, [cell.astype("float64") for cell in case.parameters], case.x.astype("float64"))


def _arrays(case: Case) -> list[np.ndarray]:
    """The weights, in the order of torch's module.parameters()."""
    return [array for cell in case.parameters for array in cell.arrays().values()]


def _case(size: Size, dtype: str, stack: str, layout: str = "batch_first", seed: int = 0, cell: str = "elman") -> Case:
    num_layers, direction = STACKS[stack]
    spec = RNNSpec(size.input_size, size.hidden_size, num_layers, direction, cell=cell)
    return draw_case(spec, batch=size.batch, time=size.time, dtype=dtype, layout=layout, seed=seed)
