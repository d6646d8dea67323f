"""The ledger: how many cases each combination got, and what came of them. Nothing is skipped in silence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

# Features whose combinations are counted: those of records whose header names none, and those of this suite.
FIRST_AXES = ("direction", "layout", "nonlinearity", "dtype")
AXES = ("cell", "direction", "layout", "dtype")
DRAWS = 8  # how this suite draws in the profile ci: schema.RunOptions.draws
IDIOMS = 5  # from this way of drawing on, idioms are asked
FILLED = ("agrees", "finding", "left out")  # outcomes that fill a combination: it was asked, and all is known of it
COUNTS = ("combinations", "features", "relations", "seconds", "notes")


@dataclass
class Ledger:
    """Counts of (target, property, *combination, outcome) and of (target, feature, value, outcome); largest figures.

    target: an adapter on a device, by its label.  axes: the features whose values make a combination.
    relations: counts of (target, property, outcome) of answers that were compared with each other: they are of no
    combination.  seconds: (target, what) -> time spent on it.  figures: (of what, name) -> the largest value seen.
    notes: (target, what, of which) -> how often: "state" of "F-004 present", "finding" and "left out" of "F-004",
    "idiom" of "held: agrees", "now answers" of the features that were declared refused, "agrees" of a case's features,
    "wrong" of a test, an outcome and these.
    """

    axes: tuple[str, ...] = AXES
    combinations: Counter[tuple[str, ...]] = field(default_factory=Counter)
    features: Counter[tuple[str, ...]] = field(default_factory=Counter)
    relations: Counter[tuple[str, ...]] = field(default_factory=Counter)
    seconds: Counter[tuple[str, ...]] = field(default_factory=Counter)
    notes: Counter[tuple[str, ...]] = field(default_factory=Counter)
    figures: dict[tuple[str, str], float] = field(default_factory=dict)

    def record(self, target: str, tested: str, features: Mapping[str, Any], outcome: str) -> None:
        """Count one case of the property `tested`, judged against the reference."""
        self.combinations[(target, tested, *(str(features[name]) for name in self.axes), outcome)] += 1
        for name, value in features.items():
            self.features[(target, name, str(value), outcome)] += 1

    def record_relation(self, target: str, tested: str, outcome: str) -> None:
        self.relations[target, tested, outcome] += 1

    def add(self, line: Mapping[str, Any]) -> None:
        if line["relation"]:
            self.record_relation(line["target"], line["property"], line["outcome"])
        else:
            self.record(line["target"], line["property"], line["features"], line["outcome"])

    def spend(self, target: str, seconds: Mapping[str, float]) -> None:
        """Add what was spent on a target: "build", "run", "judge", all in "ask"; "draw"; "test", which has all."""
        for what, spent in seconds.items():
            self.seconds[target, what] += spent  # type: ignore[assignment] (a Counter of seconds)

    def note(self, target: str, what: str, of: str) -> None:
        self.notes[target, what, of] += 1

    def noted(self, target: str, what: str) -> dict[str, int]:
        """Of which it was noted, and how often, in order."""
        return {of: count for (label, said, of), count in sorted(self.notes.items()) if (label, said) == (target, what)}

    def figure(self, of: str, name: str, value: float) -> None:
        self.figures[of, name] = max(value, self.figures.get((of, name), value))

    def total(self) -> int:
        """All cases and relations, of all targets."""
        return self.combinations.total() + self.relations.total()

    def merge(self, dumped: Mapping[str, Any]) -> None:
        """Add the counts of another process, as `dump` gave them."""
        for name in COUNTS:
            getattr(self, name).update({tuple(key): count for key, count in dumped[name]})
        for (of, name), value in dumped["figures"]:
            self.figure(of, name, value)

    def dump(self) -> dict[str, Any]:
        """Everything as plain lists, for another process."""
        names = (*COUNTS, "figures")
        return {name: [[list(key), value] for key, value in getattr(self, name).items()] for name in names}

    def cases(self, target: str, feature: str, value: Any, outcome: str) -> int:
        """Cases of a target that asked for a feature's value and ended in an outcome."""
        return self.features[target, feature, str(value), outcome]

    def by_combination(self) -> defaultdict[tuple[str, ...], Counter[str]]:
        """(target, *combination) -> how many cases ended in each outcome."""
        total: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for (target, _, *combination, outcome), count in self.combinations.items():
            total[target, *combination][outcome] += count
        return total

    def unfilled(
        self, target: str, features: Mapping[str, Iterable[Any]], no_answer: Callable[[dict[str, Any]], Any]
    ) -> Iterator[str]:
        """Combinations and values of these features without a case that fills them, of which an answer is expected.

        no_answer: whether none is expected of what asks for these features.
        """
        came = self.by_combination()
        for values in product(*(features[name] for name in self.axes)):
            asked = dict(zip(self.axes, values, strict=True))
            if not any(came[target, *map(str, values)][one] for one in FILLED) and not no_answer(asked):
                yield ", ".join(map(str, values))
        for name, value in ((name, value) for name, values in features.items() for value in values):
            if not any(self.cases(target, name, value, one) for one in FILLED) and not no_answer({name: value}):
                yield f"{name} {value}"

    def outcomes(self, target: str) -> Counter[str]:
        """How many cases and relations of a target ended in each outcome."""
        total: Counter[str] = Counter()
        for (of, *_, outcome), count in (*self.combinations.items(), *self.relations.items()):
            if of == target:
                total[outcome] += count
        return total


def sums(ledger: Ledger, header: Mapping[str, Any]) -> dict[str, Any]:
    """What the last line of a run counts: `outcomes` of each target; `cells`, which are every combination of every
    target with its cases by outcome, and why no answer is expected, where none is."""
    came, cells = ledger.by_combination(), []
    for target in header["targets"]:
        for values in product(*(header["features"][name] for name in ledger.axes)):
            asked = dict(zip(ledger.axes, values, strict=True))
            declared = [(said["features"], said["reason"]) for said in target["unsupported"]]
            declared += [(said["features"], f"refused, {said['exception']}: {said['words']}")
                         for said in target.get("refused", ())]  # fmt: skip
            reasons = [f"{', '.join(f'{name} {value}' for name, value in of.items())}: {reason}"
                       for of, reason in declared if of.items() <= asked.items()]  # fmt: skip
            outcomes = dict(sorted(came[target["label"], *map(str, values)].items()))
            cells.append({"target": target["label"], "cell": list(values), "unsupported": "; ".join(reasons),
                          "outcomes": outcomes})  # fmt: skip
    labels = [target["label"] for target in header["targets"]]
    return {"outcomes": {label: dict(sorted(ledger.outcomes(label).items())) for label in labels}, "cells": cells}
