"""What every known adapter declares in this version of the suite, as data: a record's header is no authority.

`meta_tests/make_declarations.py` writes declarations.json. A test keeps it equal to what the adapters themselves say.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from adapters import KNOWN
from findings import Finding, all_findings
from reference import Case

from ..record import seeded
from ..record.lines import capabilities, finding_line, idiom_of
from ..record.schema import Header, IdiomLine, TargetLine
from .added import said_then

PATH = Path(__file__).with_name("declarations.json")
FORMAT = "rnn-equivalence declarations 1"
KINDS = ("unsupported", "arithmetics", "emulated", "refused")
DEVICE = re.compile(r"cpu|cuda(?::[0-9]{1,3})?")


@cache
def known() -> Mapping[tuple[str, str, str], dict[str, Any]]:
    """Source, backend and kind of device -> what the adapter declares."""
    content = json.loads(PATH.read_text(encoding="utf-8"))
    if content.get("format") != FORMAT:
        raise ValueError(f"{PATH.name}: got format {content.get('format')!r}, expected {FORMAT!r}")
    return {(entry["source"], entry["backend"], entry["device"]): entry for entry in content["targets"]}


def is_foreign(target: TargetLine) -> bool:
    """Whether the target's adapter is its author's own, and none of this suite's."""
    return ":" in target.source


def entry_of(target: TargetLine) -> dict[str, Any] | None:
    """What this suite's data says of a target; None where it has no such adapter, backend or device."""
    device = DEVICE.fullmatch(target.device)
    return known().get((target.source, target.backend, device[0].split(":")[0])) if device else None


def of(target: TargetLine) -> TargetLine:
    """A target with what it declares. For a known adapter the record's word counts for nothing."""
    if (entry := entry_of(target)) is None:
        return target
    absent = {one.word: one.absent for one in target.idioms}  # what a machine lacks is known there alone
    known = entry["idioms"] if "idioms" in target.model_fields_set else ()
    idioms = [one | {"absent": absent.get(one["word"], "")} for one in known]
    said = {kind: entry[kind] for kind in KINDS} | {"idioms": idioms}
    return TargetLine.model_validate(target.model_dump(exclude_unset=True) | said)


def seeded_cases(declared: TargetLine, idiom: IdiomLine) -> Mapping[str, Case]:
    """The fixed cases that an idiom is asked of a target that declares this, by their ids."""
    said = declared.model_dump()
    way = idiom_of(idiom.model_dump(), lambda case, _: case.answer())
    offered = capabilities(said["unsupported"], said["refused"], said["arithmetics"])
    return {case.id: case for case in seeded.cases_of(way.narrowed(offered), way.refused)}


def findings_of(target: TargetLine) -> dict[str, Finding]:
    """Id -> what this suite knows a target's framework to get wrong. Of a foreign adapter it knows nothing."""
    known = [] if is_foreign(target) else all_findings()
    return {finding.id: finding for finding in known if finding.concerns(target.adapter, target.backend)}


def wrong(header: Header, target: TargetLine) -> Iterator[str]:
    """Where a header says another thing of a target than this version of the suite."""
    if target.label != f"{target.adapter}{target.backend and '/'}{target.backend} {target.device}":
        yield f"the target {target.label!r} is {target.adapter!r} on {target.backend!r} and {target.device!r}"
    findings = [finding_line(finding) for finding in findings_of(target).values()]
    if not header.older and [one.model_dump() for one in target.findings] != findings:
        ours, theirs = (", ".join(one) or "none" for one in (findings_of(target), [f.id for f in target.findings]))
        yield f"{target.label}: its findings ({theirs}) are not those of this version of the suite ({ours})"
    if is_foreign(target):
        return
    entry = entry_of(target)
    if entry is None or entry["adapter"] != target.adapter:
        named = f"adapter {target.source!r} named {target.adapter!r}, backend {target.backend!r}"
        yield f"{target.label}: {named}, device {target.device!r}: this suite has none such"
        return
    for kind in KINDS:
        ours, theirs = list(said_then(header, entry[kind])), [one.model_dump() for one in getattr(target, kind)]
        if ours != theirs:
            other = next((one for one in (*theirs, *ours) if one not in ours or one not in theirs), "another order")
            yield (
                f"{target.label}: what it declares {kind} is not what this version of the suite declares "
                f"({len(theirs)} entries, expected {len(ours)}; among them {other}): see suite.commit"
            )
    if header.knows_idioms:
        yield from _idioms(header, target, entry["idioms"])
    if target.compiles is not None and target.compiles.model_dump() != entry["compiles"]:
        yield f"{target.label}: it compiles {target.compiles.model_dump()}, and the adapter {entry['compiles']}"
    version = version_of(entry, header.environment.packages)
    if version != public(target.version):
        yield f"{target.label}: version {target.version!r}, and the packages of the record make it {version!r}"


def _idioms(header: Header, target: TargetLine, declared: list[dict[str, Any]]) -> Iterator[str]:
    """Where a header declares other idioms. Which are absent, each machine says itself."""
    then = ({kind: list(said_then(header, one[kind])) for kind in ("without", "refused")} for one in declared)
    ours: list[dict[str, Any]] = [one | kinds | {"absent": ""} for one, kinds in zip(declared, then, strict=True)]
    theirs = [one.model_dump() | {"absent": ""} for one in target.idioms]
    if ours != theirs:
        named = dict.fromkeys(one["word"] for one in (*ours, *theirs) if one not in ours or one not in theirs)
        other = ", ".join(named) or "another order"
        yield (
            f"{target.label}: the idioms that it declares are not those of this version of the suite "
            f"({len(theirs)}, expected {len(ours)}; otherwise: {other[:200]}): see suite.commit"
        )


def version_of(entry: Mapping[str, Any], packages: Mapping[str, str]) -> str:
    """The version that an adapter takes from the packages installed; "?" for one that is not there."""
    there = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in packages.items()}
    return re.sub(r"\{([\w-]+)\}", lambda named: public(there.get(named[1], "?")), entry["version"])


def public(version: str) -> str:
    """A version without its local parts ("+cpu"), and OpenVINO's build number: a package's metadata may lack them."""
    return re.sub(r"\+[\w.]+", "", version)


def absent(header: Header) -> Iterator[str]:
    """Adapters that the header calls absent, and that this suite does not know, or that were judged, or installed."""
    judged = {target.source for target in header.targets}
    packages = {name.lower() for name in header.environment.packages}
    if len({line.name for line in header.absent}) < len(header.absent):
        yield f"called absent twice: {', '.join(sorted(line.name[:80] for line in header.absent)[:20])}"
    for line in header.absent:
        if line.name not in KNOWN or line.name in judged:
            yield f"{line.name!r} is called absent: {'it was judged' if line.name in judged else 'no such adapter'}"
        elif line.problem.startswith(f"{KNOWN[line.name][1]} is not installed") and KNOWN[line.name][1] in packages:
            yield f"{line.name!r} is called absent, and the packages of the record have {KNOWN[line.name][1]}"
