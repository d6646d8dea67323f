"""From which size on a case fails: like cases of other sizes are asked, one axis at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from adapters.running.trial import Trial
from evidence.words import joined
from reference import Case
from reference.draws import draw_case, in_memory
from reference.layout import each_state, sequence_to_time_first

# the axes, and what is counted there
UNITS = {
    "hidden_size": "units",
    "batch": "sequences",
    "time": "steps",
    "input_size": "features",
    "num_layers": "layers",
}
LARGER = (9, 17, 33, 65, 129, 300)  # sizes that are asked where smaller ones are wrong too, the next two
LARGER_LAYERS = (2, 5)
MOST_NUMBERS = 2**18  # that x, or the states, of a case hold that is asked


def sizes_of(case: Case) -> dict[str, int]:
    time, batch, features = sequence_to_time_first(case.x, case.layout).shape
    return {"hidden_size": case.spec.hidden_size, "batch": batch, "time": time, "input_size": features,
            "num_layers": case.spec.num_layers}  # fmt: skip


def like(case: Case, sizes: dict[str, int], input_scale: float = 1.0) -> Case:
    """A case of these sizes that asks for the same features, with lengths and numbers that tell faults apart."""
    memory = "Fortran" if case.x.flags.f_contiguous and not case.x.flags.c_contiguous else "contiguous"
    spec = replace(case.spec, **{name: sizes[name] for name in ("input_size", "hidden_size", "num_layers")})
    rows, time = 1 if case.layout == "unbatched" else sizes["batch"], sizes["time"]
    lengths = None if case.lengths is None else [1 + (3 * row + 2) % time for row in range(rows)]
    asked = draw_case(spec, batch=rows, time=time, dtype=case.dtype, h0=case.h0 is not None, lengths=lengths,
                      layout=case.layout, input_scale=input_scale, mask=case.mask is not None)  # fmt: skip
    return replace(asked, x=in_memory(asked.x, memory), h0=each_state(lambda h: in_memory(h, memory), asked.h0))


@dataclass
class Search:
    """Asks at most `left` like cases."""

    case: Case
    ask: Callable[[Case], Trial]
    left: int
    _seen: dict[tuple[int, ...], bool | None] = field(default_factory=dict)

    def wrong(self, **changed: int) -> bool | None:
        """Whether a like case is answered wrongly; None where that cannot be told, or no more are to be asked."""
        sizes = sizes_of(self.case) | changed
        if min(sizes.values()) < 1:
            return None
        key = tuple(sizes.values())
        if key not in self._seen and self.left:
            self.left -= 1
            outcome = self.ask(like(self.case, sizes)).outcome
            self._seen[key] = {"disagrees": True, "crashed": True, "agrees": False, "finding": False}.get(outcome)
        return self._seen.get(key)

    def thresholds(self) -> Iterator[str]:
        """What is seen on each axis whose size decides."""
        for axis in UNITS:
            if axis != "batch" or self.case.layout != "unbatched":
                seen = self._along(axis)
                if len({*seen.values()}) > 1:
                    yield told(seen, UNITS[axis])

    def _along(self, axis: str) -> dict[int, bool]:
        """size -> whether it is wrong: the smallest, then larger ones, then those between until two neighbours differ,
        and theirs."""
        size, numbers = sizes_of(self.case), self.case.x.size + sum(p.w_hh.size for p in self.case.parameters)
        seen = {size[axis]: True}

        def look(at: int) -> None:
            small = numbers // size[axis] * at <= MOST_NUMBERS
            if at > 0 and at not in seen and small and (is_wrong := self.wrong(**{axis: at})) is not None:
                seen[at] = is_wrong

        look(1)
        larger = [at for at in (LARGER_LAYERS if axis == "num_layers" else LARGER) if at > size[axis]][:2]
        for at in larger:
            look(at)
        while edge := _edge(seen):
            low, high = edge
            asked = len(seen)
            for at in [(low + high) // 2] if high - low > 1 else [low - 1, high + 1]:
                look(at)
            if high - low == 1 or len(seen) == asked:
                break
        return seen


def _edge(seen: dict[int, bool]) -> tuple[int, int] | None:
    """The first two sizes, of those that are known, between which the answers turn."""
    sizes = sorted(seen)
    return next(((a, b) for a, b in itertools.pairwise(sizes) if seen[a] != seen[b]), None)


def told(seen: dict[int, bool], units: str) -> str:
    """In words: a threshold where there is one, else every size that was asked."""
    right, wrong = (sorted(size for size, is_wrong in seen.items() if is_wrong is kind) for kind in (False, True))
    of = units[:-1] if min(right[-1], wrong[-1]) == 1 else units
    if right[-1] < wrong[0]:
        return f"right up to {right[-1]} {of}, wrong from {wrong[0]}"
    if wrong[-1] < right[0]:
        return f"wrong up to {wrong[-1]} {of}, right from {right[0]}"
    right, wrong = (joined([*map(str, sizes)]) for sizes in (right, wrong))
    return f"right with {right} {units}, wrong with {wrong}"
