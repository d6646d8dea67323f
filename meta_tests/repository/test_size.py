"""The repository stays small: what is added is paid for by what is taken away, or by a number here that is raised."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
NO_PRODUCT = ("tests", "meta_tests", "benchmarks", "docs")
MOST_LINES = 35_570  # of the product; 14,500 is the aim
MEGABYTE = 10**6
MOST_PUBLISHED = MEGABYTE  # evidence/published
MOST_CORPORA = 4 * MEGABYTE


def tracked() -> dict[str, Path]:
    """Every file that git tracks and that is there, by its path in the repository."""
    found = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name: ROOT / name for name in found.split("\0") if (ROOT / name).is_file()}


def product(names: Iterable[str]) -> list[str]:
    """The modules in the top-level folders that are neither tests nor documents."""
    return [name for name in names if name.endswith(".py") and "/" in name and name.split("/")[0] not in NO_PRODUCT]


def corpora(names: Iterable[str]) -> list[str]:
    """The files of stored cases, one for each family of cells."""
    return [name for name in names if name.endswith(".jsonl") and name.startswith("evidence/record/")]


def size(names: Iterable[str]) -> int:
    return sum((ROOT / name).stat().st_size for name in names)


def test_the_product_has_no_more_lines_than_agreed() -> None:
    """Blank lines, comments and docstrings are counted."""
    files = tracked()
    lines = sum(len(files[name].read_text(encoding="utf-8").splitlines()) for name in product(files))
    assert 0 < lines <= MOST_LINES


def test_published_evidence_and_corpora_stay_small() -> None:
    """Each release adds them to every clone again."""
    names = tracked()
    published = [name for name in names if name.startswith("evidence/published/")]
    assert corpora(names)
    assert 0 < size(published) <= MOST_PUBLISHED
    assert size(corpora(names)) <= MOST_CORPORA


def test_what_is_counted() -> None:
    names = ["reference/a.py", "adapters/torch/b.py", "conftest.py", "tests/c.py", "meta_tests/d.py", "docs/e.py",
             "benchmarks/f.py", "evidence/record/corpora/elman.jsonl", "meta_tests/data/g.jsonl"]  # fmt: skip
    assert product(names) == names[:2]
    assert corpora(names) == names[7:8]
