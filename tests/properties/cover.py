"""A covering design: few rows, a level of each axis in each, in which every pair of levels stands that may.

Another seed draws other rows, so that runs together meet what one run does not. Of the libraries for covering arrays
none draws: they answer the same rows every time, lose pairs where a filter forbids some, and would each be one more
package that a first run needs.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Allowed = Callable[[Row], bool]  # of a row, or of a part of one: False where no whole row of that part may be
TRIES = 12  # orders of the axes in which a row is made for a tuple, before the tuple is given up as forbidden


def design(
    levels: Mapping[str, Sequence[Any]],
    allowed: Allowed,
    seed: int,
    strength: int = 2,
    wanted: Callable[[Row], bool] = lambda part: True,
) -> list[Row]:
    """Rows in which every tuple of `strength` levels stands that is wanted and that an allowed row can have.

    levels: of each axis.  wanted: whether a tuple, a part of a row, is to be covered.
    """
    draw = random.Random(seed)
    ids = {name: [(name, place) for place in range(len(values))] for name, values in levels.items()}
    left = dict.fromkeys(shuffled(draw, _tuples(levels, ids, strength, lambda part: wanted(part) and allowed(part))))
    found: list[Row] = []
    while left:
        first = next(iter(left))
        made = next(filter(None, (_row(levels, ids, allowed, left, first, draw) for _ in range(TRIES))), None)
        for several in itertools.combinations(sorted(made or ()), strength) if made else [first]:
            left.pop(several, None)
        found += [_levels(levels, made)] if made else []
    return found


def shuffled(draw: random.Random, things: Iterator[Any] | Sequence[Any]) -> list[Any]:
    several = list(things)
    draw.shuffle(several)
    return several


def _levels(levels: Mapping[str, Sequence[Any]], part: Sequence[tuple[str, int]]) -> Row:
    return {name: levels[name][place] for name, place in part}


def _tuples(
    levels: Mapping[str, Sequence[Any]], ids: Mapping[str, list[tuple[str, int]]], strength: int, wanted: Allowed
) -> Iterator[tuple[tuple[str, int], ...]]:
    for axes in itertools.combinations(sorted(ids), strength):
        yield from (one for one in itertools.product(*(ids[axis] for axis in axes)) if wanted(_levels(levels, one)))


def _row(
    levels: Mapping[str, Sequence[Any]],
    ids: Mapping[str, list[tuple[str, int]]],
    allowed: Allowed,
    left: Mapping[tuple[tuple[str, int], ...], None],
    first: tuple[tuple[str, int], ...],
    draw: random.Random,
) -> list[tuple[str, int]] | None:
    """A row of the tuple `first`, each other axis at the level that is in most tuples of `left`; None where it ends
    in a part that no level may follow."""
    part, row = list(first), _levels(levels, first)
    for axis in shuffled(draw, [name for name in ids if name not in row]):
        below = list(itertools.combinations(part, len(first) - 1))
        may = [one for one in ids[axis] if allowed(row | _levels(levels, [one]))]
        if not may:
            return None
        gain = [sum(tuple(sorted((*several, one))) in left for several in below) for one in may]
        best = [one for one, gained in zip(may, gain, strict=True) if gained == max(gain)]
        part.append(draw.choice(best))
        row |= _levels(levels, part[-1:])
    return part
