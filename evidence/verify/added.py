"""Features that the suite got after a record was made: every case of that record asked for the first value of each."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from adapters.contract import FEATURES

from ..record.schema import Header, VerdictLine


def added_since(features: Mapping[str, Any]) -> dict[str, str | bool]:
    """The features of this suite that are not among these, and what was asked for by each before it was there."""
    return {name: values[0] for name, values in FEATURES.items() if name not in features}


def in_full(lines: Iterable[VerdictLine]) -> Iterator[VerdictLine]:
    """The lines, with a value for every feature of this suite."""
    for line in lines:
        added = added_since(line.features)
        yield line.model_copy(update={"features": line.features | added}) if added else line


def said_then(header: Header, entries: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """What is declared of features, as far as a run with this header could say it: without the added ones."""
    added = added_since(header.features)
    for entry in entries:
        features = {name: value for name, value in entry["features"].items() if name not in added}
        if features and all(added.get(name, value) == value for name, value in entry["features"].items()):
            yield {**entry, "features": features}
