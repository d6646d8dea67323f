"""A finding: what is wrong, where, in which versions, and how a user avoids it. Each is read from a file of its own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from adapters.capabilities import FEATURES, Refusal
from reference import limits
from reference.bounds.arithmetic import ARITHMETICS
from reference.faults import FAULTS, GATED_FAULTS, Fault
from reference.faults.found import FOUND
from reference.faults.masks import MASK_FAULTS
from reference.faults.views import VIEW_FAULTS
from reference.files import read_text
from reference.spec import short

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
    also: other triggers, each of an idiom of its own where it says one; a case inside any of them is inside.
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
    also: tuple[Mapping[str, tuple[Any, ...]], ...] = ()

    def concerns(self, framework: str, backend: str) -> bool:
        """Whether it is of this framework, on this backend."""
        return self.framework == framework and (not self.backends or backend in self.backends)

    def holds(self, features: Mapping[str, Any], idiom: str = USUAL) -> bool:
        """Whether a case that asks for these features, in this idiom, is inside the trigger. What run's own way shows
        is there in every other as well."""
        return any(
            trigger.get("idiom", (self.idiom,))[0] in (USUAL, idiom)
            and all(features[name] in values for name, values in trigger.items() if name != "idiom")
            for trigger in (self.trigger, *self.also)
        )

    def hides(self, other: Finding) -> bool:
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
LEFT_OUT_AT_WILL = {"backends", "device", "note", "also"}
TABLES = ("versions", "trigger", "what", "case")


def parse(content: Mapping[str, Any]) -> Finding:
    """A finding from the fields of its file. Raises ValueError, naming the field, what came and what was expected."""
    _expect_fields("", content, (*TEXTS, *TABLES), LEFT_OUT_AT_WILL)
    texts = {name: _text(name, content[name]) for name in (*TEXTS, *(n for n in ("note",) if n in content))}
    if not ID.fullmatch(texts["id"]):
        raise ValueError(f"id: got {short(texts['id'])}, expected F- and three digits")
    if texts["kind"] not in KINDS:
        raise ValueError(f"kind: got {short(texts['kind'])}, expected one of {', '.join(KINDS)}")
    if texts["link"] != NO_LINK and not texts["link"].startswith("https://"):
        raise ValueError(f"link: got {short(texts['link'])}, expected https://... or {NO_LINK!r}")
    device = content.get("device", "cpu")
    if device not in ("cpu", "cuda"):
        raise ValueError(f"device: got {short(device)}, expected cpu or cuda")
    versions = _table("versions", content["versions"])
    _expect_fields("versions ", versions, ("wrong", "right"))
    trigger = _table("trigger", content["trigger"])
    case = Pinned.parse(_table("case", content["case"]))
    finding = Finding(
        **texts,
        wrong=_texts("versions wrong", versions["wrong"]),
        right=_texts("versions right", versions["right"]),
        trigger=_features(trigger, {"idiom"}),
        also=_also(content.get("also", [])),
        idiom=_text("trigger idiom", trigger["idiom"]) if "idiom" in trigger else USUAL,
        what=_what(_table("what", content["what"])),
        case=case,
        device=device,
        backends=_texts("backends", content.get("backends", [])),
    )
    stored = ARITHMETICS[finding.what.arithmetic].storage if finding.what.arithmetic else None
    if stored and finding.trigger.get("dtype") != (stored,):
        raise ValueError(
            f"trigger dtype: got {finding.trigger.get('dtype')}, expected [{stored!r}], as the arithmetic has"
        )
    if finding.idiom != case.idiom or not finding.holds(case.features(), case.idiom):
        asked = {name: case.features()[name] for name in finding.trigger} | {"idiom": case.idiom}
        raise ValueError(f"case: got {asked}, expected one inside the trigger")
    return finding


def _expect_fields(where: str, given: Mapping[str, Any], needed: tuple[str, ...], optional: Iterable[str] = ()) -> None:
    for name in (*given, *needed):
        if name not in given or name not in (*needed, *optional):
            got = "nothing" if name not in given else f"field {name!r}"
            raise ValueError(f"{where}{name}: got {got}, expected {', '.join(needed)}")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name}: got {short(value)}, expected text")
    return value.strip()


def _texts(name: str, values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise ValueError(f"{name}: got {short(values)}, expected a list of texts")
    return tuple(_text(name, value) for value in values)


def _table(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name}: got {short(value)}, expected a table")
    return value


def _also(tables: Any) -> tuple[dict[str, tuple[Any, ...]], ...]:
    if not isinstance(tables, list):
        raise ValueError(f"also: got {short(tables)}, expected a list of tables")
    given = [_table("also", one) for one in tables]
    idioms = [{"idiom": (_text("also idiom", one["idiom"]),)} if "idiom" in one else {} for one in given]
    return tuple({**_features(one, {"idiom"}), **idiom} for one, idiom in zip(given, idioms, strict=True))


def _features(trigger: Mapping[str, Any], beside: Iterable[str] = ()) -> dict[str, tuple[Any, ...]]:
    return {name: _values(name, values) for name, values in trigger.items() if name not in beside}


def _values(name: str, values: Any) -> tuple[Any, ...]:
    if name not in FEATURES:
        raise ValueError(f"trigger {name}: expected idiom, or one of {', '.join(FEATURES)}")
    if not isinstance(values, list) or not values:
        raise ValueError(f"trigger {name}: got {short(values)}, expected a list of values")
    for value in values:
        if not any(value is known or (value == known and type(value) is type(known)) for known in FEATURES[name]):
            raise ValueError(f"trigger {name}: got {short(value)}, expected among {FEATURES[name]}")
    return tuple(values)


def _what(given: Mapping[str, Any]) -> What:
    named = [name for name in WHAT if name in given]
    extra = {"exception": {"words"}}.get(named[0], set()) if len(named) == 1 else set[str]()
    if len(named) != 1 or {*given} - {*named, *extra}:
        raise ValueError(f"what: got {', '.join(given)}, expected one of {', '.join(WHAT)}; words beside an exception")
    kind, value = named[0], _text(f"what {named[0]}", given[named[0]])
    match kind:
        case "fault":
            if value not in PLANTED:
                raise ValueError(f"what fault: got {short(value)}, expected the name of a fault of reference.faults")
            return What(fault=PLANTED[value])
        case "arithmetic":
            if value not in ARITHMETICS:
                raise ValueError(f"what arithmetic: got {short(value)}, expected one of {', '.join(ARITHMETICS)}")
            return What(arithmetic=value)
        case "exception":
            return What(exception=Refusal(value, _text("what words", given.get("words"))))
        case "not_expressible":
            return What(not_expressible=value)
    raise ValueError(f"what: got {kind!r}, expected one of {', '.join(WHAT)}")
