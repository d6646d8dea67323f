"""Cases from features: the usual one, and any pinned one, with other values of what a case may ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.capabilities import with_cell
from findings.pinned import Pinned, Set
from reference import Case

USUAL = Pinned(batch=3, time=4, input_size=3, hidden_size=5, seed=7)
SIZES = {"0": 0, "1": 1, "2": 2, "3 to 10": 3}
DIRECT = ("direction", "layout", "nonlinearity", "dtype", "bias", "h0", "mode", "cell", "peepholes", "input_forget")


def case_with(**features: Any) -> Case:
    """A case with these features, and the usual ones beside them."""
    made = with_features(USUAL, **features)
    assert made is not None, f"no case has {features}"
    return made.case()


def with_features(pinned: Pinned, **wanted: Any) -> Pinned | None:
    """The pinned case, changed so that it has these features, and as it is beside them.

    None where no such case can be made: lengths of one sequence without steps, a mask beside lengths, gradients of a
    stack.
    """
    asked = pinned.features() | with_cell(wanted)
    batch = 1 if asked["layout"] == "unbatched" else SIZES.get(asked["batch"], pinned.batch if pinned.batch > 1 else 3)
    time = SIZES.get(asked["time"], pinned.time if pinned.time > 1 else 4)
    many = pinned.num_layers if asked["num_layers"] == pinned.features()["num_layers"] else SIZES[asked["num_layers"]]
    made = replace(
        pinned, batch=batch, time=time, num_layers=many, lengths=_lengths(pinned, asked["lengths"], batch, time),
        mask=_mask(pinned, batch, time) if asked["mask"] else None,
        clip=(pinned.clip or 0.5) if asked["clip"] else None,
        gradients=(pinned.gradients or "all") if asked["gradients"] else "",
        projection_size=(pinned.projection_size or pinned.hidden_size - 1) if asked["projection"] else 0,
        set=tuple(one for one in pinned.set if asked["values"] == "not finite" or abs(one.value) < float("inf")),
        **{name: asked[name] for name in DIRECT if name in asked},
    )  # fmt: skip
    moved = made.layout != pinned.layout or (batch, time, many) != (pinned.batch, pinned.time, pinned.num_layers)
    if moved or made.direction != pinned.direction:
        made = replace(made, set=tuple(one for one in made.set if not one.at and "track" not in one.array))
    if made.gradients and many != 1:
        return None  # a stack is asked layer by layer
    try:
        if asked["values"] == "not finite" and made.features()["values"] == "finite":
            made = replace(made, set=(*made.set, Set("x", float("nan"), (0, 0))))
        return made if made.features() == asked | {"batch": made.features()["batch"]} else None
    except (ValueError, IndexError):  # there is no such case
        return None


def _lengths(pinned: Pinned, kind: str, batch: int, time: int) -> tuple[int, ...] | None:
    if kind == "full":
        return None
    if pinned.lengths and pinned.features()["lengths"] == kind and (batch, time) == (pinned.batch, pinned.time):
        return pinned.lengths
    zero = 1 if batch > 1 else 0  # which sequence has none where zeros are asked for
    lengths = (min(time, max(1, time - 2 * row % 3)) for row in range(batch))
    return tuple(0 if kind == "with zeros" and row == zero else one for row, one in enumerate(lengths))


def _mask(pinned: Pinned, batch: int, time: int) -> tuple[tuple[int, ...], ...]:
    if pinned.mask and (batch, time) == (pinned.batch, pinned.time):
        return pinned.mask
    return tuple(tuple(int((row + step) % 3 != 1) for step in range(time)) for row in range(batch))
