"""A finding: what is wrong, where, in which versions, and how a user avoids it. Each is read from a file of its own."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from adapters.capabilities import FEATURES, Refusal
from reference import limits
from reference.bounds.arithmetic import ARITHMETICS
from reference.faults import FAULTS, GATED_FAULTS, Fault
from reference.faults.found import FOUND
from reference.faults.masks import MASK_FAULTS
from reference.faults.views import VIEW_FAULTS
from reference.files import read_text
from reference.spec import expect, expect_word

from .fields import Kinds, several, table
from .pinned import Pinned

FOLDER = Path(__file__).parent
ID = re.compile(r"F-[0-9]{3}")
KINDS = {
    "fault": "the framework is wrong",
    "documented": "a default of the framework that its documents name, and that not every user expects",
}
NO_LINK = "none known"
USUAL = ""  # the idiom of every case that is drawn
WHAT = ("fault", "arithmetic", "exception", "not_expressible")
PLANTED: Mapping[str, Fault] = FAULTS | GATED_FAULTS | MASK_FAULTS | FOUND | VIEW_FAULTS


@dataclass(frozen=True)
class What:
    """What is wrong, so that it can be checked; one of these.

    fault: of the catalogue (reference.faults): the answer is the reference's with it planted.
    arithmetic: of reference.bounds.arithmetic: the answer is right in it.
    exception: what is raised; the framework ought to answer.
    not_expressible: why nothing can be expected of the answer: what is in memory, what differs from call to call.
    """

    fault: Fault | None = None
    arithmetic: str | None = None
    exception: Refusal | None = None
    not_expressible: str | None = None

    def __str__(self) -> str:
        if self.fault:
            return f"agrees with the reference if {self.fault.says}"
        if self.arithmetic:
            return f"agrees with the reference in the arithmetic {self.arithmetic}"
        return f"raises {self.exception}" if self.exception else f"cannot be told: {self.not_expressible}"


@dataclass(frozen=True)
class Finding:
    """One finding.

    id: "F-001".  kind: one of KINDS.  framework: an adapter's name.  backends: those below it that have it; any when
    empty.  device: "cpu" or "cuda".  wrong, right: versions that were seen.  link: where it is reported, or NO_LINK.
    avoid: how a user avoids it.  note: what was seen, in Markdown.
    trigger: feature -> the values of which a case inside has one.  idiom: how the framework is called; USUAL for run's.
    processor: whether some processors alone have it: what is an exception there is answered elsewhere.
    also: other triggers, each of an idiom of its own where it says one; a case inside any of them is inside.
    not_in: idioms in which it is not so, though run's own way shows it.
    """

    id: str
    title: str
    kind: str
    framework: str
    link: str
    avoid: str
    wrong: tuple[str, ...]
    right: tuple[str, ...]
    trigger: Mapping[str, tuple[Any, ...]]
    what: What
    case: Pinned
    idiom: str = USUAL
    device: str = "cpu"
    backends: tuple[str, ...] = ()
    note: str = ""
    processor: bool = False
    also: tuple[Mapping[str, tuple[Any, ...]], ...] = ()
    not_in: tuple[str, ...] = ()

    def concerns(self, framework: str, backend: str) -> bool:
        return self.framework == framework and (not self.backends or backend in self.backends)

    def holds(self, features: Mapping[str, Any], idiom: str = USUAL) -> bool:
        """Whether a case that asks for these features, in this idiom, is inside the trigger. What run's own way shows
        is there in every other as well."""
        return idiom not in self.not_in and any(
            trigger.get("idiom", (self.idiom,))[0] in (USUAL, idiom)
            and all(features[name] in values for name, values in trigger.items() if name != "idiom")
            for trigger in (self.trigger, *self.also)
        )

    def hides(self, other: Self) -> bool:
        """Whether nothing can be expected of the answer to another's case where this one is present."""
        mine, its = self.what.not_expressible, other.what.not_expressible
        return bool(mine and not its) and self.holds(other.case.features(), other.case.idiom)

    def __str__(self) -> str:
        return f"{self.id} {self.title} ({self.link})"


@cache
def all_findings() -> tuple[Finding, ...]:
    """All of them, by their ids. Raises ValueError, naming file and field, for a file that is no finding."""
    found = [read(path) for path in sorted(FOLDER.glob("F-*.toml"))]
    return tuple(sorted(found, key=lambda finding: finding.id))


def read(path: Path) -> Finding:
    """The finding in a file, which is named after its id."""
    try:
        finding = parse(tomllib.loads(read_text("file", path, limits.LIST_BYTES)))
        if finding.id != path.stem:
            raise ValueError(f"id: got {finding.id!r}, expected {path.stem!r}, as the file is named")
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path.name}: {error}") from error
    return finding


TEXTS = ("id", "title", "kind", "framework", "link", "avoid")
TABLES = ("versions", "trigger", "what", "case")
NEEDED: Kinds = {**dict.fromkeys(TEXTS, str), **dict.fromkeys(TABLES, dict)}
AT_WILL: Kinds = {"backends": list, "device": str, "note": str, "processor": bool, "also": list,
                  "not_in": list}  # fmt: skip


def parse(content: Mapping[str, Any]) -> Finding:
    """A finding from the fields of its file. Raises ValueError, naming the field, what came and what was expected."""
    given = table("", content, NEEDED, AT_WILL)
    expect(ID.fullmatch(given["id"]) is not None, "id", given["id"], "F- and three digits")
    expect_word("kind", given["kind"], KINDS)
    known = given["link"] == NO_LINK or given["link"].startswith("https://")
    expect(known, "link", given["link"], f"https://... or {NO_LINK!r}")
    expect_word("device", given.get("device", "cpu"), ("cpu", "cuda"))
    versions = table("versions", given["versions"], {"wrong": list, "right": list})
    trigger = _features("trigger", given["trigger"])
    finding = Finding(
        **{name: given[name] for name in (*TEXTS, "device", "note", "processor") if name in given},
        wrong=several("versions wrong", versions["wrong"], str),
        right=several("versions right", versions["right"], str),
        idiom=trigger.pop("idiom", (USUAL,))[0],
        trigger=trigger,
        also=tuple(_features("also", one) for one in given.get("also", ())),
        what=_what(given["what"]),
        case=Pinned.parse(given["case"]),
        backends=several("backends", given.get("backends", []), str),
        not_in=several("not_in", given.get("not_in", []), str),
    )
    stored = ARITHMETICS[finding.what.arithmetic].storage if finding.what.arithmetic else None
    came = finding.trigger.get("dtype")
    expect(stored is None or came == (stored,), "trigger dtype", came, f"[{stored!r}], as the arithmetic has")
    case = finding.case
    if finding.idiom != case.idiom or not finding.holds(case.features(), case.idiom):
        asked = {name: case.features()[name] for name in finding.trigger} | {"idiom": case.idiom}
        raise ValueError(f"case: got {asked}, expected one inside the trigger")
    return finding


def _features(where: str, given: Any) -> dict[str, tuple[Any, ...]]:
    """Feature -> its values; and "idiom" -> the one, where it is said."""
    found: dict[str, tuple[Any, ...]] = {}
    for name, values in table(where, given).items():
        if name == "idiom":
            found[name] = several(f"{where} idiom", [values], str)
            continue
        if name not in FEATURES:
            raise ValueError(f"trigger {name}: expected idiom, or one of {', '.join(FEATURES)}")
        known = {(type(one), one) for one in FEATURES[name]}
        good = isinstance(values, list) and all((type(one), one) in known for one in values)
        expect(good and bool(values), f"trigger {name}", values, f"a list of values among {FEATURES[name]}")
        found[name] = tuple(values)
    return found


def _what(given: Mapping[str, Any]) -> What:
    named, words = [name for name in WHAT if name in given], ["words"] if "exception" in given else []
    if len(named) != 1 or {*given} - {*named, *words}:
        raise ValueError(f"what: got {', '.join(given)}, expected one of {', '.join(WHAT)}; words beside an exception")
    texts: dict[str, Any] = table("what", given, dict.fromkeys((*named, *words), str))
    if name := texts.get("fault"):
        expect(name in PLANTED, "what fault", name, "the name of a fault of reference.faults")
        return What(fault=PLANTED[name])
    if name := texts.get("exception"):
        return What(exception=Refusal(name, texts["words"]))
    if name := texts.get("arithmetic"):
        expect_word("what arithmetic", name, ARITHMETICS)
    return What(**texts)
