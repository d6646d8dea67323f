"""What a run found, in its first lines: for each target how many cases agree, and which findings its version has."""

from collections import Counter
from collections.abc import Iterator, Sequence

from evidence.record.ledger import Ledger
from evidence.words import many
from findings import Finding

from .target import Target

Line = tuple[str, bool]  # words, and whether they are red
WRONG = ("disagrees", "crashed")
MOST_TOLD = 8  # findings with what they are; of more, their ids, and the command that tells


def lines(targets: Sequence[Target], ledger: Ledger, wide: bool = False) -> Iterator[Line]:
    """All of it: a line for each target, then one for each finding that is present, and what else is to be known.

    wide: whether every finding is told, and what was left out, however many there are.
    """
    for target in targets:
        yield _of_target(target, ledger)
    known = {finding.id: finding for target in targets for finding in target.findings}
    present = {one.id: one for target in targets for one in _in_state(target, ledger, "present")}
    told = sorted(present.values(), key=lambda one: (one.kind != "fault", one.id))
    if not wide and len(told) > MOST_TOLD:
        if documented := [one.id for one in told if one.kind == "documented"]:
            yield f"  documented, and not counted: {', '.join(documented)}", False
        yield "  What each is, and how to avoid it: python -m rnn_equivalence findings, or -v.", False
        told = []
    for finding in told:
        cases = sum(ledger.noted(target.label, "finding").get(finding.id, 0) for target in targets)
        documented = "documented, and not counted: " if finding.kind == "documented" else ""
        yield f"  {finding.id} {documented}{finding.title} ({finding.link}); {_cases(cases)}. {finding.avoid}", False
    if any(target.strict for target in targets) and any(one.kind == "fault" for one in present.values()):
        yield "--strict-findings: each fault that is present fails.", True
    for target in targets:
        yield from _else(target, ledger, known, wide)


def _of_target(target: Target, ledger: Ledger) -> Line:
    outcomes = ledger.outcomes(target.label)
    wrong = "".join(f", {outcomes[name]:,} {name}" for name in WRONG if outcomes[name])
    faults = [one.id for one in _in_state(target, ledger, "present") if one.kind == "fault"]
    asked, version = ledger.noted(target.label, "state"), f"{target.adapter.name} {target.adapter.version}"
    if faults:
        found = f"{many(len(faults), 'finding')} present in {version}: {', '.join(faults)}"
    elif target.findings and not asked:
        found = f"{many(len(target.findings), 'finding')} known of {target.adapter.name}, none was asked"
    else:
        found = f"no finding is {'present in' if target.findings else 'known of'} {version}"
    return f"{target.label}: {outcomes['agrees']:,} agree{wrong}; {found}", bool(wrong)


def _else(target: Target, ledger: Ledger, known: dict[str, Finding], wide: bool) -> Iterator[Line]:
    """What has changed, what is gone, what was left out, and what is answered that was refused."""
    for finding in _in_state(target, ledger, "changed"):
        yield f"{target.label}: CHANGED, its case is wrong in another way than it says: {finding}", True
    if gone := [one.id for one in _in_state(target, ledger, "gone")]:
        yield f"{target.label}: gone, the case agrees now: {', '.join(gone)}", False
    left_out = ledger.noted(target.label, "left out")
    for one, count in left_out.items() if wide else ():
        yield f"{target.label}: {many(count, 'case')} left out for {one} {known[one].title}", False
    if left_out and not wide:
        yield f"{target.label}: {many(sum(left_out.values()), 'case')} left out for {', '.join(left_out)}", False
    for features, count in ledger.noted(target.label, "now answers").items():
        yield f"{target.label}: {features} was declared refused; now answers, and agrees ({_cases(count)})", False


def asked_in_idioms(target: Target, ledger: Ledger) -> dict[str, Counter[str]]:
    """Idiom -> outcomes of what a target was asked in it; of those that it declares, and that are there."""
    found = {word: Counter[str]() for word, idiom in target.idioms.items() if not idiom.absent}
    for noted, count in ledger.noted(target.label, "idiom").items():
        word, _, outcome = noted.rpartition(": ")
        found[word][outcome] += count
    return found


def idioms(targets: Sequence[Target], ledger: Ledger) -> Iterator[str]:
    """In one line, for each target that was asked, and has other ways of a call: in how many of them."""
    told = []
    for target in (target for target in targets if target.idioms and ledger.outcomes(target.label)):
        found = asked_in_idioms(target, ledger)
        asked, absent = [one for one in found.values() if one], len(target.idioms) - len(found)
        some = "" if len(asked) == len(found) else f"{len(asked)} of "
        cases = many(sum(map(Counter.total, asked)), "case")
        told.append(f"{target.label} {some}{len(found)} in {cases}{f', {absent} absent' if absent else ''}")
    if told:
        yield f"Idioms asked: {'; '.join(told)}."


def _in_state(target: Target, ledger: Ledger, state: str) -> list[Finding]:
    noted = ledger.noted(target.label, "state")
    return [finding for finding in target.findings if f"{finding.id} {state}" in noted]


def _cases(count: int) -> str:
    return f"seen in {many(count, 'case')}" if count else "seen in its own case alone"
