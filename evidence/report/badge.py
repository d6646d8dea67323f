"""The conclusion of a record in a few words, as the JSON of an endpoint of shields.io, for a README."""

from __future__ import annotations

import json
from pathlib import Path

from reference.files import write_atomically

from ..record.reader import Evidence, read
from ..record.runs import Unusable
from ..words import one_line
from .columns import columns
from .problems import conclude

COLOURS = {"good": "brightgreen", "warn": "yellow", "bad": "red"}


def command(file: Path, output: Path | None = None) -> int:
    """Write the badge of a record into a file, and print its name; or print the badge."""
    badge = json.dumps(badge_of(read(file)), indent=1) + "\n"
    if output is None:
        print(badge, end="")
    else:
        write_atomically(output, badge)
        print(output)
    return 0


def badge_of(evidence: Evidence) -> dict[str, str | int]:
    """What https://shields.io/badges/endpoint-badge reads. Raises Unusable for a compact record: it counts too few."""
    if any(run.header.compact for run in evidence.runs):
        raise Unusable(f"{evidence.path}: it is compact, and a badge is made of the record in full")
    said = conclude(evidence, columns(evidence))
    return {"schemaVersion": 1, "label": "rnn-equivalence", "message": one_line(said.brief),
            "color": COLOURS[said.level]}  # fmt: skip
