"""What is compared with what: pairs of functions without arguments, and how much dearer the first may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import adapters
from harness.draws import draw_case
from reference import Case, RNNSpec, forward, judge, judge_pair

# The reference may not be slower than what it checks; a judgement may not cost more than three float64 passes, and of
# a large case not more than ten by the whole trajectory or of two answers.
FORWARD_LIMIT = 1.0
JUDGE_LIMIT = 3.0
LARGE_LIMIT = 10.0


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
DTYPES = ("float32", "float64")
# the tables' columns: num_layers and direction
STACKS = {"one layer": (1, "forward"), "two layers": (2, "forward"), "bidirectional": (1, "bidirectional")}
JUDGED_STACKS = ("one layer", "bidirectional")


def forward_pair(size: Size, dtype: str, stack: str) -> Pair:
    """`reference.forward`, its checks of the arguments included, and torch.nn.RNN called on a tensor.

    Both are given the sequence time first, as torch.nn.RNN takes it, so that neither has to transpose it.
    """
    case = _case(size, dtype, stack, "time_first")
    torch_adapter = adapters.load("torch")
    torch = torch_adapter.framework
    module, x = torch_adapter.build(case.spec, case.parameters, layout=case.layout), torch.from_numpy(case.x)

    def torch_forward() -> Any:
        with torch.inference_mode():
            return module(x)

    return Pair(lambda: forward(case.spec, case.parameters, case.x, layout=case.layout), torch_forward)


def judgement_pair(size: Size, dtype: str, stack: str, bound: str = "step") -> Pair:
    """`reference.judge` of an answer in `dtype`, and the forward pass of the same case in float64."""
    case = _case(size, dtype, stack, "batch_first")
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


def _wide(case: Case) -> Case:
    return Case(case.spec, [cell.astype("float64") for cell in case.parameters], case.x.astype("float64"))


def _case(size: Size, dtype: str, stack: str, layout: str) -> Case:
    num_layers, direction = STACKS[stack]
    spec = RNNSpec(size.input_size, size.hidden_size, num_layers, direction)
    return draw_case(spec, batch=size.batch, time=size.time, dtype=dtype, layout=layout)
