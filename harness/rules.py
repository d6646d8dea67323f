"""Which features tell cases that are wrong from those that agree: the fewest values that separate the two."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from evidence.words import joined

Row = frozenset[str]  # the features of a case, each a name and its value: "direction reverse"
HAS = ("", " has it", " has both", " has all three")  # by how many values a rule names


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
        return bool(self.values) and not self.unexplained

    def __str__(self) -> str:
        if not self.right:
            return f"all {self.wrong:,} cases are wrong, and none agrees"
        if not self.values:
            return f"no three features tell the {self.wrong:,} wrong cases from the {self.right:,} that agree"
        held = "all" if self.held == self.wrong else f"{self.held:,} of"
        others, end = (f", and {self.agree:,}", "") if self.agree else ("; none", HAS[len(self.values)])
        having = f"{held} {self.wrong:,} wrong cases have {joined([*self.values])}"
        return f"{having}{others} of the {self.right:,} that agree{end}"


def rule_of(wrong: Mapping[Row, int], right: Mapping[Row, int]) -> Rule:
    """The rule that separates best, of the fewest values: one of more has to halve what is left unexplained."""
    bad, good = np.array([[*wrong.values(), *[0] * len(right)], [*[0] * len(wrong), *right.values()]], int)
    best = Rule((), 0, int(bad.sum()), 0, int(good.sum()))
    # others can be in no rule that explains half of it, or make none better
    has = {words: one for words, one in _having([*wrong, *right]).items()
           if 2 * bad @ one >= best.wrong and good @ one < best.right}  # fmt: skip
    for size in range(1, len(HAS)) if best.wrong and best.right else ():
        found = [best._replace(values=values, held=int(bad @ all_of), agree=int(good @ all_of))
                 for values in itertools.combinations(has if best.unexplained else (), size)
                 for all_of in [np.logical_and.reduce([has[words] for words in values])]]  # fmt: skip
        better = min(found, key=lambda rule: rule.unexplained, default=best)
        best = better if 2 * better.unexplained <= best.unexplained else best
    return best


def _having(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """What a rule may name, and which cases have it: a value of a feature, or another one than it of more than two."""
    known: dict[str, dict[str, np.ndarray]] = {}
    for words in sorted(frozenset[str]().union(*rows)):
        name, _, value = words.partition(" ")
        known.setdefault(name, {})[value] = np.array([words in row for row in rows])
    one = {f"{name} {value}": has for name, values in known.items() for value, has in values.items()}
    several = {name: values for name, values in known.items() if len(values) > 2}
    return one | {
        f"{name} other than {value}": ~has for name, values in several.items() for value, has in values.items()
    }
