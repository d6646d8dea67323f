"""The count at the end of a run: tables of combinations, what is unsupported and why, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import pytest

from adapters import FEATURES, Availability, Capabilities
from adapters.contract import Feature
from adapters.running.trial import OUTCOMES
from evidence.record.ledger import CELL, Ledger

from .table import Table, text
from .target import Target


def tell(
    terminal: pytest.TerminalReporter,
    targets: Sequence[Target],
    found: Sequence[Availability],
    ledger: Ledger,
    part: str,
) -> None:
    """The count, and what is missing in it.  part: why not everything was run; empty where it was."""
    terminal.section("combinations")
    for line in render(targets, found, ledger).splitlines():
        terminal.write_line(line)
    if crashed(found):
        terminal.write_line(f"FAILED: installed, and does not load: {', '.join(crashed(found))}", red=True)
    missing = empty_combinations(targets, ledger)
    if part:
        terminal.write_line(f"Counts are not enforced: {part}.")
    elif missing:
        words = f"{len(missing)} supported combinations got no case that agrees"
        for line in (f"FAILED: {words}:", *(f"  {one}" for one in missing)):
            terminal.write_line(line, red=True)
    else:
        terminal.write_line("Every supported combination and feature got at least one case that agrees.")


def crashed(found: Sequence[Availability]) -> list[str]:
    """Frameworks that are installed and do not load: an error, unless the user chose others."""
    return [adapter.name for adapter in found if adapter.state == "crashed"]


def empty_combinations(targets: Sequence[Target], ledger: Ledger) -> list[str]:
    """Combinations and values that an adapter declares supported and that got no case that agrees."""
    missing = []
    for target in targets:
        supported = target.capabilities.supported
        if not all(supported(name) for name in FEATURES):
            missing.append(f"{target.label}: some feature has no supported value, so nothing can be judged")
        missing += [
            f"{target.label}: {', '.join(combination)}"
            for combination in product(*(supported(name) for name in CELL))
            if not ledger.cell_cases(target.label, combination, "agrees")
        ]
        missing += [
            f"{target.label}: {name} {value}"
            for name in FEATURES
            for value in supported(name)
            if not ledger.cases(target.label, name, value, "agrees")
        ]
    return missing


def render(targets: Sequence[Target], found: Sequence[Availability], ledger: Ledger) -> str:
    """All tables as text."""
    tables = [_outcomes(targets, found, ledger), *(_combinations(target, ledger) for target in targets)]
    tables += [_features(targets, ledger), *([_figures(ledger)] if ledger.figures else []), _time(targets, ledger)]
    states = {"absent": "is absent", "crashed": "crashed"}
    lines = [f"{adapter.name} {states[adapter.state]}: {adapter.problem}" for adapter in found if not adapter.loads]
    lines += [f"{target.label}: {line}" for target in targets for line in _declared(target.capabilities)]
    return "".join(text(table) for table in tables) + "".join(f"{line}\n" for line in lines)


def _declared(capabilities: Capabilities) -> Iterator[str]:
    """What an adapter says of itself, a line for each."""
    for several, reason in capabilities.together.items():
        yield f"{_words(several)} is unsupported: {reason}"
    for one, reason in capabilities.unsupported.items():
        yield f"{_words((one,))} is unsupported: {reason}"
    for one, how in capabilities.emulated.items():
        yield f"{_words((one,))} is emulated: {how}"
    for several, name in capabilities.arithmetics.items():
        yield f"{_words(several)} is judged by the arithmetic {name}"


def _words(features: tuple[Feature, ...]) -> str:
    return " with ".join(f"{name} {value}" for name, value in features)


def _outcomes(targets: Sequence[Target], found: Sequence[Availability], ledger: Ledger) -> Table:
    table = Table("target", "version", *OUTCOMES, "not judged", title="What came of the cases")
    for target in targets:
        outcomes = ledger.outcomes(target.label)
        table.add_row(target.label, target.adapter.version, *(str(outcomes[outcome]) for outcome in OUTCOMES), "")
    for adapter in found:
        if not adapter.loads:
            table.add_row(adapter.name, adapter.version or "", *[""] * len(OUTCOMES), adapter.state)
    return table


def _combinations(target: Target, ledger: Ledger) -> Table:
    """One target: rows are direction and layout, columns dtypes, with a count for each nonlinearity."""
    columns = (f"{dtype}\n{' / '.join(FEATURES['nonlinearity'])}" for dtype in FEATURES["dtype"])
    table = Table("direction", "layout", *columns, title=f"Cases that agree: {target.label}")
    for direction, layout in product(FEATURES["direction"], FEATURES["layout"]):
        counts = (
            " / ".join(_count(target, ledger, (direction, layout, phi, dtype)) for phi in FEATURES["nonlinearity"])
            for dtype in FEATURES["dtype"]
        )
        table.add_row(direction, layout, *counts)
    return table


def _count(target: Target, ledger: Ledger, combination: tuple[str, ...]) -> str:
    """A combination's cases that agree; a dash where the adapter declares one of its features unsupported."""
    declared = all(_supports(target, name, value) for name, value in zip(CELL, combination, strict=True))
    return str(ledger.cell_cases(target.label, combination, "agrees")) if declared else "-"


def _figures(ledger: Ledger) -> Table:
    """The largest figures of this run, a row for each figure and what it was measured of, a column for each dtype."""
    dtypes = FEATURES["dtype"]
    found: dict[tuple[str, str], dict[str, float]] = {}
    for (of, name), value in sorted(ledger.figures.items()):
        what, _, dtype = name.rpartition(", ")
        found.setdefault((of, what), {})[dtype] = value
    table = Table("of", "largest", *dtypes, title="Figures")
    for (of, what), values in found.items():
        table.add_row(of, what, *(f"{values[dtype]:.3g}" if dtype in values else "" for dtype in dtypes))
    return table


SPENT = {"build": "building modules", "run": "running them", "judge": "reference and judging"}


def _time(targets: Sequence[Target], ledger: Ledger) -> Table:
    """Where the time of the targets' tests went, in seconds of all processes; the rest is Hypothesis and pytest."""
    table = Table("target", *(f"{words} (s)" for words in (*SPENT.values(), "the rest")), title="Where the time went")
    for target in targets:
        spent = [ledger.seconds[target.label, what] for what in SPENT]
        rest = max(0.0, ledger.seconds[target.label, "test"] - sum(spent))
        table.add_row(target.label, *(f"{seconds:.1f}" for seconds in (*spent, rest)))
    return table


def _supports(target: Target, name: str, value: object) -> bool:
    return (name, value) not in target.capabilities.unsupported


def _features(targets: Sequence[Target], ledger: Ledger) -> Table:
    """All targets: rows are the values of each feature."""
    table = Table("feature", "value", *(target.label for target in targets), title="Cases that agree, by feature")
    for name, values in FEATURES.items():
        for value in values:
            counts = [
                str(ledger.cases(target.label, name, value, "agrees"))
                if _supports(target, name, value)
                else "unsupported"
                for target in targets
            ]
            table.add_row(name, str(value), *counts)
    return table
