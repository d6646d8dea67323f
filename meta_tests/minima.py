"""What `nox -s minima` installs: every declared minimum of pyproject.toml, exactly.

python -m meta_tests.minima torch    # one requirement a line, for pip
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
WITH_EVERY_EXTRA = ("evidence", "proof", "campaign")  # what the suite's own tests need beside


def declared(*extras: str) -> list[str]:
    """What pyproject.toml asks for, with these extras and those that the tests need."""
    project: dict[str, Any] = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in (*extras, *WITH_EVERY_EXTRA):
        wanted += project["optional-dependencies"][extra]
    return wanted


def lowest(requirements: Iterable[str]) -> list[str]:
    """Each requirement name>=version as name==version; of a package that is asked for twice, the greater."""
    least: dict[str, Version] = {}
    for text in requirements:
        requirement = Requirement(text)
        bounds = list(requirement.specifier)
        if len(bounds) != 1 or bounds[0].operator != ">=" or requirement.extras or requirement.marker:
            raise ValueError(f"requirement: got {text!r}, expected name>=version")
        name, version = canonicalize_name(requirement.name), Version(bounds[0].version)
        least[name] = max(version, least.get(name, version))
    return [f"{name}=={version}" for name, version in least.items()]


if __name__ == "__main__":
    print(*lowest(declared(*sys.argv[1:])), sep="\n")
