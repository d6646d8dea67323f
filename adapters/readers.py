"""What the readers of users' own modules share: how they refuse, and what all layers must have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

from .contract import NotOffered


def refuse(name: str, faults: Mapping[str, Any]) -> None:
    """Raise NotOffered for the first of these sentences that is true of the part of that name."""
    for sentence, true in faults.items():
        if true:
            raise NotOffered(f"{name}: {sentence}")


def one_for_all(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The value of each fact that all layers or tracks share; NotOffered where they do not."""
    for name in facts[0]:
        values = list(dict.fromkeys(fact[name] for fact in facts))
        if len(values) > 1:
            raise NotOffered(f"module: got layers with {name} {values}, expected one value: RNNSpec has one for all")
    return dict(facts[0])
