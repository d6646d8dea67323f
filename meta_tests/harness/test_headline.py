"""The first lines of a run's summary: what agrees, and which findings each version has."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from adapters import FEATURES
from evidence.record.ledger import Ledger
from findings.finding import Finding, What
from harness.headline import idioms, lines
from harness.summary import Summary
from meta_tests.common.features import USUAL
from reference.faults import FAULTS

WRONG = Finding("F-900", "Lengths are ignored", "fault", "toy", "none known", "Do not.", ("1",), (), {},
                What(fault=FAULTS["lengths_ignored"]), USUAL)  # fmt: skip
DEFAULT = replace(WRONG, id="F-901", title="TF32 is on", kind="documented", link="https://example.org")
OTHER = replace(WRONG, id="F-902", title="Memory is shown", what=What(not_expressible="memory"))


def target(*findings: Finding, **words: Any) -> Any:
    adapter = SimpleNamespace(name="toy", version="2.0")
    return SimpleNamespace(label="toy cpu", adapter=adapter, findings=list(findings), strict=False, **words)


def told(one: Any, *notes: tuple[str, str], wide: bool = False, **outcomes: int) -> list[str]:
    ledger = Ledger()
    usual = {name: values[0] for name, values in FEATURES.items()}
    for outcome, count in outcomes.items():
        for _ in range(count):
            ledger.record("toy cpu", "equivalence", usual, outcome)
    for what, of in notes:
        ledger.note("toy cpu", what, of)
    again = Ledger()  # as a controller has them of its workers
    again.merge(ledger.dump())
    return [words for words, _ in lines([one], again, wide)]


def test_a_finding_that_is_present_stands_in_the_first_line_and_is_told() -> None:
    notes = ("state", "F-900 present"), ("state", "F-901 present"), ("finding", "F-900"), ("finding", "F-900")
    assert told(target(WRONG, DEFAULT), *notes, agrees=1200) == [
        "toy cpu: 1,200 agree; 1 finding present in toy 2.0: F-900",
        "  F-900 Lengths are ignored (none known); seen in 2 cases. Do not.",
        "  F-901 documented, and not counted: TF32 is on (https://example.org); seen in its own case alone. Do not.",
    ]


def test_what_is_gone_changed_left_out_and_answered_is_told() -> None:
    notes = (("state", "F-900 gone"), ("state", "F-901 changed"), ("state", "F-902 present"), ("left out", "F-902"),
             ("now answers", "time 0"))  # fmt: skip
    assert told(target(WRONG, DEFAULT, OTHER), *notes, agrees=1, wide=True)[2:] == [
        f"toy cpu: CHANGED, its case is wrong in another way than it says: {DEFAULT}",
        "toy cpu: gone, the case agrees now: F-900",
        "toy cpu: 1 case left out for F-902 Memory is shown",
        "toy cpu: time 0 was declared refused; now answers, and agrees (seen in 1 case)",
    ]


def test_many_findings_are_told_by_their_ids_unless_more_is_asked_for() -> None:
    several = [replace(WRONG, id=f"F-91{place}") for place in range(9)]
    notes = [("state", f"{one.id} present") for one in (*several, DEFAULT)]
    notes += [("left out", "F-910")] * 2 + [("left out", "F-911")]
    assert told(target(*several, DEFAULT), *notes, agrees=1) == [
        f"toy cpu: 1 agree; 9 findings present in toy 2.0: {', '.join(one.id for one in several)}",
        "  documented, and not counted: F-901",
        "  What each is, and how to avoid it: python -m rnn_equivalence findings, or -v.",
        "toy cpu: 3 cases left out for F-910, F-911",
    ]
    assert len(told(target(*several, DEFAULT), *notes, agrees=1, wide=True)) == 13


def test_a_target_without_findings_says_so() -> None:
    assert told(target(), agrees=2) == ["toy cpu: 2 agree; no finding is known of toy 2.0"]
    assert told(target(WRONG), agrees=2) == ["toy cpu: 2 agree; 1 finding known of toy, none was asked"]
    assert told(target(WRONG), ("state", "F-900 gone"), agrees=2)[0] == (
        "toy cpu: 2 agree; no finding is present in toy 2.0"
    )


def test_what_is_wrong_is_red() -> None:
    ledger = Ledger()
    ledger.record_relation("toy cpu", "port", "disagrees")
    assert next(iter(lines([target(WRONG)], ledger))) == (
        "toy cpu: 0 agree, 1 disagrees; 1 finding known of toy, none was asked", True
    )  # fmt: skip


def test_strict_findings_says_that_it_fails() -> None:
    one = target(WRONG)
    one.strict = True
    assert "--strict-findings: each fault that is present fails." in told(one, ("state", "F-900 present"))


def test_a_target_says_in_how_many_idioms_it_was_asked() -> None:
    ledger, one = Ledger(), target()
    there, absent = SimpleNamespace(absent=""), SimpleNamespace(absent="no such provider")
    one.idioms = {"held": there, "last: output": there, "elsewhere": absent}
    assert list(idioms([one], ledger)) == [], "nothing was asked of it"
    ledger.record("toy cpu", "equivalence", {name: values[0] for name, values in FEATURES.items()}, "agrees")
    assert list(idioms([one], ledger)) == ["Idioms asked: toy cpu 0 of 2 in 0 cases, 1 absent."]
    for noted in ("held: agrees", "held: agrees", "held: finding", "last: output: agrees"):
        ledger.note("toy cpu", "idiom", noted)
    assert list(idioms([one], ledger)) == ["Idioms asked: toy cpu 2 in 4 cases, 1 absent."]
    assert list(idioms([target(idioms={})], ledger)) == []


def test_the_table_of_idioms_has_all_outcomes_and_why_one_is_absent() -> None:
    ledger, one = Ledger(), target()
    one.idioms = {"held": SimpleNamespace(absent=""), "elsewhere": SimpleNamespace(absent="no such provider")}
    for outcome in ("agrees", "agrees", "finding"):
        ledger.note("toy cpu", "idiom", f"held: {outcome}")
    table = Summary([one], [], ledger).idioms()
    assert table.columns == ("target", "idiom", "agrees", "disagrees", "finding", "absent")
    assert table.rows == [
        ("toy cpu", "held", "2", "0", "1", ""), ("toy cpu", "elsewhere", "0", "0", "0", "no such provider"),
    ]  # fmt: skip
