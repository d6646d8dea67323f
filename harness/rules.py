"""Which features tell cases that are wrong from those that agree: the fewest values that separate the two."""

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from evidence.words import joined

Row = frozenset[str]  # the features of a case, each a name and its value: "direction reverse"
MOST = 3  # values that a rule names
HAS = {1: "has it", 2: "has both", MOST: "has all three"}


class Rule(NamedTuple):
    """values: what a case must have.  held: how many of the wrong cases have it.  agree: how many of the right ones."""

    values: tuple[str, ...]
    held: int
    wrong: int
    agree: int
    right: int

    @property
    def unexplained(self) -> float:
        """The part of the wrong cases that lacks the values, and that of the right ones that has them."""
        return 1 - self.held / self.wrong + self.agree / self.right

    @property
    def separates(self) -> bool:
        return bool(self.values) and self.held == self.wrong and not self.agree

    def __str__(self) -> str:
        if not self.right:
            return f"all {self.wrong:,} cases are wrong, and none agrees"
        if not self.values:
            return f"no {MOST} features tell the {self.wrong:,} wrong cases from the {self.right:,} that agree"
        held = f"{f'{self.held:,} of' if self.held < self.wrong else 'all'} {self.wrong:,} wrong cases"
        others = f", and {self.agree:,}" if self.agree else "; none"
        end = "" if self.agree else f" {HAS[len(self.values)]}"
        return f"{held} have {joined([*self.values])}{others} of the {self.right:,} that agree{end}"


def rule_of(wrong: Mapping[Row, int], right: Mapping[Row, int]) -> Rule:
    """The rule that separates best, of the fewest values: one of more has to halve what is left unexplained."""
    rows = [*wrong, *right]
    bad, good = np.array([[*wrong.values(), *[0] * len(right)], [*[0] * len(wrong), *right.values()]], int)
    best = Rule((), 0, int(bad.sum()), 0, int(good.sum()))
    has = {
        words: np.array([(value in row) is there for row in rows]) for words, (value, there) in _values(rows).items()
    }
    # others can be in no rule that explains half of it, or make none better
    has = {words: one for words, one in has.items() if 2 * bad @ one >= best.wrong and good @ one < best.right}
    for size in range(1, MOST + 1) if best.wrong and best.right else ():
        found = [best._replace(values=values, held=int(bad @ all_of), agree=int(good @ all_of))
                 for values in itertools.combinations(has if best.unexplained else (), size)
                 for all_of in [np.logical_and.reduce([has[words] for words in values])]]  # fmt: skip
        better = min(found, key=lambda rule: rule.unexplained, default=best)
        best = better if 2 * better.unexplained <= best.unexplained else best
    return best


def _values(rows: Iterable[Row]) -> dict[str, tuple[str, bool]]:
    """What a rule may name -> a feature, and whether a case has it: each value of a feature that has several here, and
    what is other than one of more than two."""
    known: dict[str, list[str]] = {}
    for value in sorted(frozenset[str]().union(*rows)):
        known.setdefault(value.partition(" ")[0], []).append(value)
    one = {value: (value, True) for values in known.values() if len(values) > 1 for value in values}
    others = {f"{name} other than {value.partition(' ')[2]}": (value, False)
              for name, values in known.items() if len(values) > 2 for value in values}  # fmt: skip
    return one | others
