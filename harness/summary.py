"""The count at the end of a run: what came of each target, and what is missing; the long tables with -v."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import pytest

from adapters import FEATURES, Availability
from adapters.running.trial import OUTCOMES
from evidence.record.ledger import AXES, Ledger

from . import headline, times
from .table import Table, text
from .target import Target

DTYPES = FEATURES["dtype"]
STATES = {"absent": "is absent", "crashed": "crashed"}  # of a framework that is not judged


@dataclass(frozen=True)
class Summary:
    """What was judged, what was looked for where no framework was named, and the counts."""

    targets: Sequence[Target]
    found: Sequence[Availability]
    ledger: Ledger

    @property
    def crashed(self) -> list[str]:
        """Frameworks that are installed and do not load: an error, unless the user chose others."""
        return [adapter.name for adapter in self.found if adapter.state == "crashed"]

    @property
    def asked(self) -> bool:
        """Whether any target was asked anything."""
        return any(self.ledger.outcomes(target.label) for target in self.targets)

    def missing(self) -> list[str]:
        """Combinations and values that are supported, and that got no case that agrees or that a finding covers."""
        return [f"{target.label}: {words}" for target in self.targets for words in self._missing(target)]

    def _missing(self, target: Target) -> Iterator[str]:
        supported = {name: target.capabilities.supported(name) for name in FEATURES}
        if not all(supported.values()):
            yield "some feature has no supported value, so nothing can be judged"
        yield from self.ledger.unfilled(target.label, supported, lambda _: False)

    def tell(self, terminal: pytest.TerminalReporter, part: str) -> None:
        """All of it.  part: why not everything was run; empty where it was."""
        if part and not self.asked and not self.crashed:
            terminal.write_line(f"No framework was judged: {part}.")
            return
        terminal.section("what came of it")
        labels, wide = [target.label for target in self.targets], terminal.verbosity > 0
        for words, red in headline.lines(self.targets, self.ledger, wide):
            terminal.write_line(words, red=red)
        tables = [self._outcomes(), *([*self._tables(), times.table(self.ledger, labels)] if wide else [])]
        absent = [f"{one.name} {STATES[one.state]}: {one.problem}" for one in self.found if not one.loads]
        told = [*"".join(map(text, tables)).splitlines(), *absent, *(self._declared() if wide else [])]
        for line in (*told, *headline.idioms(self.targets, self.ledger), times.line(self.ledger, labels)):
            terminal.write_line(line)
        if self.crashed:
            terminal.write_line(f"FAILED: installed, and does not load: {', '.join(self.crashed)}", red=True)
        missing = self.missing()
        if part:
            terminal.write_line(f"Counts are not enforced: {part}.")
        elif missing:
            words = f"{len(missing)} supported combinations got no case that agrees"
            for line in (f"FAILED: {words}:", *(f"  {one}" for one in missing)):
                terminal.write_line(line, red=True)
        else:
            noted = (self.ledger.noted(of.label, what) for of in self.targets for what in ("finding", "left out"))
            covered = ", or that a finding covers" if any(noted) else ""
            terminal.write_line(f"Every supported combination and feature got at least one case that agrees{covered}.")

    def _declared(self) -> Iterator[str]:
        """What each adapter says of itself."""
        for target in self.targets:
            declared = target.capabilities
            for what, several in (
                ("is not offered:", declared.together),
                ("is not offered:", {(one,): reason for one, reason in declared.unsupported.items()}),
                ("is refused:", declared.refused),
                ("is emulated:", {(one,): how for one, how in declared.emulated.items()}),
                ("is judged by the arithmetic", declared.arithmetics),
            ):
                for features, said in several.items():
                    asked = " with ".join(f"{name} {value}" for name, value in features)
                    yield f"{target.label}: {asked} {what} {said}"

    def _tables(self) -> Iterator[Table]:
        yield from map(self._combinations, self.targets)
        yield self._features()
        if any(target.idioms for target in self.targets):
            yield self.idioms()
        if self.ledger.figures:
            yield self._figures()

    def _outcomes(self) -> Table:
        """Of all outcomes the first two, and those that some case had."""
        came = {target.label: self.ledger.outcomes(target.label) for target in self.targets}
        names = [name for name in OUTCOMES if name in OUTCOMES[:2] or any(one[name] for one in came.values())]
        absent = [(one.name, *[""] * len(names), one.state) for one in self.found if not one.loads]
        beside = ("",) if absent else ()
        rows = [(label, *(f"{outcomes[name]:,}" for name in names), *beside) for label, outcomes in came.items()]
        columns = ("target", *names, *(("not judged",) if absent else ()))
        return Table("What came of the cases", columns, [*rows, *absent])

    def _combinations(self, target: Target) -> Table:
        """One target: rows are all axes but the last, the dtype, whose values are the columns."""
        rows = [
            (*place, *(self._count(target, *place, dtype) for dtype in DTYPES))
            for place in product(*(FEATURES[name] for name in AXES[:-1]))
        ]
        return Table(f"Cases that agree: {target.label}", (*AXES[:-1], *DTYPES), rows)

    def _count(self, target: Target, *combination: str) -> str:
        """A combination's cases that agree; a dash where one of its features is not offered, or refused."""
        declared = target.capabilities
        if any(f in declared.unsupported or (f,) in declared.refused for f in zip(AXES, combination, strict=True)):
            return "-"
        return str(self.ledger.by_combination()[(target.label, *combination)]["agrees"])

    def _features(self) -> Table:
        """All targets: rows are the values of each feature."""

        def count(target: Target, name: str, value: object) -> str:
            if (name, value) in target.capabilities.unsupported:
                return "not offered"
            if ((name, value),) in target.capabilities.refused:
                return "refused"
            return str(self.ledger.cases(target.label, name, value, "agrees"))

        rows = [
            (name, str(value), *(count(target, name, value) for target in self.targets))
            for name, values in FEATURES.items()
            for value in values
        ]
        labels = (target.label for target in self.targets)
        return Table("Cases that agree, by feature", ("feature", "value", *labels), rows)

    def idioms(self) -> Table:
        """All targets: rows are their idioms, columns the outcomes of what was asked in each."""
        found = {target.label: headline.asked_in_idioms(target, self.ledger) for target in self.targets}
        came = [outcomes for words in found.values() for outcomes in words.values()]
        names = [name for name in OUTCOMES if name in OUTCOMES[:2] or any(one[name] for one in came)]
        rows = [
            (target.label, word, *(f"{outcomes[name]:,}" for name in names), idiom.absent)
            for target in self.targets
            for word, idiom in target.idioms.items()
            for outcomes in [found[target.label].get(word, Counter[str]())]
        ]
        return Table("Idioms, other ways of a call", ("target", "idiom", *names, "absent"), rows)

    def _figures(self) -> Table:
        """The run's largest figures, a row for each figure and what it was measured of, a column for each dtype."""
        found: dict[tuple[str, str], dict[str, str]] = {}
        for (of, name), value in sorted(self.ledger.figures.items()):
            what, _, dtype = name.rpartition(", ")
            found.setdefault((of, what), {})[dtype] = f"{value:.3g}"
        rows = [(*what, *(values.get(dtype, "") for dtype in DTYPES)) for what, values in found.items()]
        return Table("Figures", ("of", "largest", *DTYPES), rows)
