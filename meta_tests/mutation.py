"""python -m meta_tests.mutation: the score of the last mutation run, and the survivors that nobody has accounted for.

It reads what mutmut left in mutants/ and meta_tests/data/mutants.toml, the accepted survivors with the reason for each.
It exits with 1 where a survivor is not on that list, where a line of the list is stale, or where a mutant was not run.
With --strike it takes from the list what the source no longer has, and looks at nothing else.
"""

from __future__ import annotations

import ast
import difflib
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reference.files import write_atomically

ROOT = Path(__file__).parents[1]
MUTANTS = ROOT / "mutants"
ACCEPTED = ROOT / "meta_tests" / "data" / "mutants.toml"
# what pytest exits with under a mutant: tests failed, were not collected, or could not even start (2, 3, 255)
KILLED = {1, 2, 3, 255}
TIMED_OUT = {36, 24, -24, 152}
SURVIVED = {0, 5, 33}  # 5 and 33: no test reaches it
PACKAGES = ("reference/bounds", "reference/calculus", "reference/cells", "reference", "adapters")
COLUMNS = ("mutants", "killed", "timed out", "survived", "accepted")


class Mutant(NamedTuple):
    """A changed line. Mutants are known by it, not by mutmut's number, which shifts with every edit of a function."""

    file: str
    function: str
    was: str
    now: str


def outcome(code: int | None) -> str:
    """What became of a mutant; "not run" for anything that says neither killed nor survived."""
    for name, codes in (("killed", KILLED), ("timed out", TIMED_OUT), ("survived", SURVIVED)):
        if code in codes:
            return name
    return "not run"


def functions(mutated: str) -> dict[str, list[str]]:
    """The source lines of every variant of every function in a mutated file, by mutmut's name for it."""
    lines = mutated.splitlines()
    nodes = [node for node in ast.walk(ast.parse(mutated)) if isinstance(node, ast.FunctionDef)]
    return {n.name: lines[n.lineno - 1 : n.end_lineno] for n in nodes if "__mutmut_" in n.name}


def changed(original: list[str], mutant: list[str]) -> tuple[str, str]:
    """The lines that differ, beside the function's own name: as they were, and as they are now."""
    pair = [[line.replace(lines[0].split("(")[0], "def", 1) for line in lines] for lines in (original, mutant)]
    delta = [line for line in difflib.ndiff(*pair) if line[0] in "-+"]
    was, now = (" ".join(line[2:].strip() for line in delta if line[0] == sign) for sign in "-+")
    return was, now


def readable(name: str) -> str:
    """mutmut's x_function and xǁClassǁmethod as function and Class.method."""
    return name.removeprefix("x_") if name.startswith("x_") else ".".join(name.split("ǁ")[1:])


def results(mutants: Path) -> Iterator[tuple[Mutant, str]]:
    """Every mutant of the last run, and what became of it."""
    for meta in sorted(mutants.rglob("*.meta")):
        source = meta.with_suffix("")
        lines = functions(source.read_text(encoding="utf-8"))
        for key, code in json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"].items():
            name = key.rpartition(".")[2]
            function = name.partition("__mutmut_")[0]
            was, now = changed(lines[f"{function}__mutmut_orig"], lines[name])
            yield Mutant(str(source.relative_to(mutants)), readable(function), was, now), outcome(code)


def place(mutant: Mutant) -> str:
    """The file, and the line where the change begins where the source still has it."""
    path = ROOT / mutant.file
    source = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines = [n for n, line in enumerate(source, 1) if line.strip() and mutant.was.startswith(line.strip())]
    return f"{mutant.file}:{lines[0]}" if lines else mutant.file


def accepted(text: str) -> dict[Mutant, str]:
    """The accepted survivors and their reasons. Raises ValueError where one is listed twice or without a reason."""
    found: dict[Mutant, str] = {}
    for entry in tomllib.loads(text).get("mutant", []):
        mutant = Mutant(*(entry[field] for field in Mutant._fields))
        if mutant in found or not entry.get("reason"):
            raise ValueError(f"mutants: got {mutant}, expected each once, with a reason")
        found[mutant] = entry["reason"]
    return found


def is_there(mutant: Mutant) -> bool:
    """Whether the function that a mutant is of still has its line, however it is broken into several."""
    path = ROOT / mutant.file
    if not path.exists():
        return False
    lines = path.read_text(encoding="utf-8").splitlines()
    name = mutant.function.rpartition(".")[2]
    nodes = [node for node in ast.walk(ast.parse("\n".join(lines))) if isinstance(node, ast.FunctionDef)]
    bodies = [lines[n.lineno - 1 : n.end_lineno] for n in nodes if n.name == name]
    return any(
        mutant.was in " ".join(line.strip() for line in body).replace(f"def {name}", "def", 1) for body in bodies
    )


def struck(text: str) -> str:
    """The list without the entries that the source no longer has."""
    head, *entries = text.split("[[mutant]]\n")
    kept = [entry for entry in entries if is_there(next(iter(accepted(f"[[mutant]]\n{entry}"))))]
    return "[[mutant]]\n".join([head, *kept])


def package(file: str) -> str:
    return next(name for name in PACKAGES if file.startswith(f"{name}/"))


def score(counts: Counter[str]) -> str:
    """Killed or timed out, of all that were run."""
    caught = counts["killed"] + counts["timed out"]
    run = caught + counts["survived"]
    return f"{100 * caught / run:.1f} %" if run else "none"


def report(seen: list[tuple[Mutant, str]], listed: dict[Mutant, str]) -> list[str]:
    """The table, then what is wrong: nothing where the last run and the list agree."""
    survivors = {mutant for mutant, what in seen if what == "survived"}
    print(f"{'package':18}" + "".join(f"{column:>11}" for column in (*COLUMNS, "score")))
    for name in (*PACKAGES, "all"):
        here = [(m, what) for m, what in seen if name in ("all", package(m.file))]
        counts = Counter(what for _, what in here)
        counts["mutants"] = len(here)
        counts["accepted"] = sum(what == "survived" and m in listed for m, what in here)
        print(f"{name:18}" + "".join(f"{counts[column]:11}" for column in COLUMNS) + f"{score(counts):>11}")
    wrong = [f"survived: {describe(m)}" for m in sorted(survivors - listed.keys())]
    wrong += [f"listed, but did not survive: {describe(m)}" for m in sorted(listed.keys() - survivors)]
    return wrong + [f"not run: {describe(m)}" for m, what in seen if what == "not run"]


def describe(mutant: Mutant) -> str:
    return f"{place(mutant)} {mutant.function}\n  - {mutant.was}\n  + {mutant.now}"


def main() -> int:
    if "--strike" in sys.argv[1:]:
        write_atomically(ACCEPTED, struck(ACCEPTED.read_text(encoding="utf-8")))
        return 0
    seen = list(results(MUTANTS))
    if not seen:
        print("no mutation run in mutants/: python3 -m nox -s mutation")
        return 1
    wrong = report(seen, accepted(ACCEPTED.read_text(encoding="utf-8")))
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
