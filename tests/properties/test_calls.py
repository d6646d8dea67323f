"""One module asked again and again, modules that differ in little, and threads: an answer depends on its call alone.

Each answer is judged as any other is. The cases are fixed but for their numbers, so that none is seen by luck; what a
case is asked for is as small as shows.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from harness.calls import check_together, few
from harness.strategies import in_layout
from harness.target import Target
from reference import DIRECTIONS, NONLINEARITIES, Case, CellParameters, RNNSpec
from reference.draws import draw_case

SIZE = 4  # of the batch and of time: no shape tells the layouts apart
DTYPES = ("float64", "float16", "bfloat16")
# what is changed of an array: what a cache knows it by may be its shape, its first or last numbers, or their sum
CHANGES = ("first", "last", "exchanged")


def changed(array: np.ndarray, which: str) -> np.ndarray:
    """The array but for its first number, or its last; or with the two exchanged."""
    other = array.copy()
    match which:
        case "first":
            other.flat[0] = -other.flat[0]
        case "last":
            other.flat[-1] = -other.flat[-1]
        case "exchanged":
            other.flat[0], other.flat[-1] = array.flat[-1], array.flat[0]
        case _:
            raise ValueError(f"which: got {which!r}, expected one of {', '.join(CHANGES)}")
    return other


def spec_for(target: Target, *sizes: int, direction: str = "forward") -> RNNSpec:
    """A layer of the first cell that the target offers."""
    return RNNSpec(*sizes, direction=direction, cell=target.capabilities.supported("cell")[0])


def sequence(spec: RNNSpec) -> list[Case]:
    """Calls of one module: each feature given and then not, small, large and small, other layouts and memory."""
    seed = zlib.crc32(spec.direction.encode())
    base = draw_case(spec, batch=SIZE, time=SIZE, seed=seed, h0=True)
    large = draw_case(spec, batch=2 * SIZE + 1, time=3 * SIZE + 1, seed=seed + 1)
    full, other = replace(base, h0=None), draw_case(spec, batch=SIZE, time=SIZE, seed=seed + 2, h0=True)
    large = replace(large, parameters=base.parameters)
    holes = draw_case(spec, batch=SIZE, time=SIZE, seed=seed + 3, mask=True).mask
    step = replace(full, x=full.x[:, :1])
    return [
        full,
        large,
        replace(full, x=other.x),
        base,
        replace(base, h0=changed(base.h0, "last")),
        full,
        replace(full, lengths=(4, 1, 3, 2)),
        replace(base, lengths=(2, 4, 4, 1)),
        replace(full, x=changed(full.x, "first")),
        replace(full, mask=holes),
        replace(full, x=changed(full.x, "last")),
        replace(full, layout="time_first"),
        replace(full, x=other.x, layout="time_first"),
        in_layout(full, "batch_first", "Fortran"),
        in_layout(base, "unbatched", "contiguous"),
        in_layout(full, "unbatched", "contiguous"),
        step,
        replace(step, x=full.x[:, 1:2]),
        replace(full, x=full.x[:1]),
        replace(full, x=other.x[:1]),
        replace(large, x=large.x[:, ::-1].copy()),
        replace(full, x=changed(full.x, "exchanged")),
    ]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_one_module_asked_again_and_again(target: Target, direction: str) -> None:
    spec = spec_for(target, 3, 5, 2 if direction == "bidirectional" else 1, direction=direction)
    target.check("asked again", *few(target, sequence(spec)))


@pytest.mark.own_key
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_array_that_is_filled_anew_between_calls(target: Target, direction: str) -> None:
    """As users fill a buffer: the same memory, with other numbers, to one module."""
    case = draw_case(spec_for(target, 3, 5, direction=direction), batch=2, time=3, seed=7, h0=True)
    stack = target.stack(case)
    for scale in (1.0, -0.5):
        case.x[...] *= np.float32(scale)
        target.ask("filled anew", case, None, stack)


def variants(case: Case) -> Iterator[Case]:
    """The case, of modules that each differ from its own in one array of one track, by one number or two."""
    kinds = zlib.crc32(case.x.tobytes())
    for index, track in enumerate(case.parameters):
        for name, array in track.arrays().items():
            kinds += 1
            one = CellParameters.of(track.arrays() | {name: changed(array, CHANGES[kinds % len(CHANGES)])})
            yield replace(case, parameters=[*case.parameters[:index], one, *case.parameters[index + 1 :]])


def test_modules_that_differ_in_one_array(target: Target) -> None:
    """All are alive at the same time. The first ones are asked again when the others are there."""
    case = draw_case(spec_for(target, 3, 4, 2, direction="bidirectional"), batch=2, time=3, seed=11)
    each = [*variants(case)]
    target.check("one array differs", *few(target, [case, *each, case, each[0]]))


def relatives() -> list[Case]:
    """A case, and its numbers asked of modules that each differ in one word or number of their spec, or in dtype; of
    other sizes, others."""
    case = draw_case(RNNSpec(3, 4), batch=2, time=3, seed=13, h0=True, rounded=True)
    deep = draw_case(replace(case.spec, num_layers=2), batch=2, time=3, seed=17, h0=True)
    bare = [CellParameters(track.w_ih, track.w_hh) for track in case.parameters]
    specs = [{"direction": "reverse"}, {"nonlinearity": NONLINEARITIES[1]}, {"clip": 0.5}, {"clip": 2.0}]
    return [
        case,
        *(replace(case, spec=replace(case.spec, **other)) for other in specs),
        replace(case, spec=replace(case.spec, bias=False), parameters=bare),
        replace(deep, x=case.x, parameters=[*case.parameters, deep.parameters[1]]),
        draw_case(RNNSpec(3, 4, 1, "bidirectional"), batch=2, time=3, seed=13, h0=True, rounded=True),
        *(draw_case(RNNSpec(*sizes), batch=2, time=3, seed=13) for sizes in ((3, 9), (5, 4))),
        *(replace(case, parameters=[track.astype(dtype) for track in case.parameters], x=case.x.astype(dtype),
                  h0=case.h0.astype(dtype)) for dtype in DTYPES),
    ]  # fmt: skip


def test_modules_that_differ_in_one_word(target: Target) -> None:
    """All are alive at the same time, and each is asked twice, in the opposite order."""
    each = few(target, relatives())
    target.check("one word differs", *each, *reversed(each))


@pytest.mark.own_key
@pytest.mark.parametrize("modules", [1, 2])
def test_threads_that_are_answered_at_the_same_time(target: Target, modules: int) -> None:
    """On one module, and on two."""
    if target.isolate:
        pytest.skip(f"{target.label}: --isolate; the process of its own answers one call after another")
    spec = spec_for(target, 3, 16)
    first, second = (draw_case(spec, batch=4, time=12, seed=seed) for seed in (19, 23))
    check_together(target, "at the same time",
                   [first, second if modules == 2 else replace(second, parameters=first.parameters)])  # fmt: skip
