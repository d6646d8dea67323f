"""What verification says of one thing that it checked."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

MOST_SHOWN = 20  # problems of one kind that are listed; the rest is counted


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    problems: what is wrong with it; empty where nothing is.  unshown: what the record does not show -> how often.
    """

    checked: str
    problems: Sequence[str] = field(default=())
    unshown: Counter[str] = field(default_factory=Counter)


def few(problems: Iterable[str]) -> list[str]:
    """A list of problems that is no longer than a reader is."""
    listed = list(problems)
    return listed[:MOST_SHOWN] + (["... and others"] if len(listed) > MOST_SHOWN else [])


def those(*found: tuple[object, str]) -> Iterator[str]:
    """The sentences of what was found wrong: of pairs (whether it is, the sentence)."""
    return (sentence for wrong, sentence in found if wrong)
