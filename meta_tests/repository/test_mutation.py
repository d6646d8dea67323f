"""The count of a mutation run: what was killed, and which survivor is on the list of the accepted ones."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from meta_tests.mutation import ACCEPTED, ROOT, Mutant, accepted, is_there, outcome, report, results, struck

MUTATED = '''
def x_add__mutmut_orig(a, b):
    """The sum."""
    return a + b


def x_add__mutmut_1(a, b):
    """The sum."""
    return a - b


def xǁHalfǁof__mutmut_orig(self, a=2):
    return a


def xǁHalfǁof__mutmut_1(self, a=3):
    return a
'''
SUM = Mutant("reference/sums.py", "add", "return a + b", "return a - b")
HALF = Mutant("reference/sums.py", "Half.of", "def(self, a=2):", "def(self, a=3):")

# what of [tool.mutmut] in pyproject.toml names files
PATHS = ("source_paths", "do_not_mutate", "also_copy", "pytest_add_cli_args_test_selection")


def exists(word: str) -> bool:
    """Whether a path or pattern of the configuration fits a file, and a test that it names is there."""
    path, _, test = word.removeprefix("--deselect=").partition("::")
    found = list(ROOT.glob(path))
    return any(f"def {test}(" in one.read_text(encoding="utf-8") for one in found) if test else bool(found)


def run(mutants: Path, *codes: int | None) -> list[tuple[Mutant, str]]:
    """What a run that ended so left behind, as it is read."""
    (mutants / "reference").mkdir(exist_ok=True)
    (mutants / "reference" / "sums.py").write_text(MUTATED, encoding="utf-8")
    keys = ("reference.sums.x_add__mutmut_1", "reference.sums.xǁHalfǁof__mutmut_1")
    meta = {"exit_code_by_key": dict(zip(keys, codes, strict=True))}
    (mutants / "reference" / "sums.py.meta").write_text(json.dumps(meta), encoding="utf-8")
    return list(results(mutants))


def test_a_mutant_is_known_by_its_function_and_line(tmp_path: Path) -> None:
    assert run(tmp_path, 1, 0) == [(SUM, "killed"), (HALF, "survived")]


@pytest.mark.parametrize(
    ("code", "word"),
    [(1, "killed"), (255, "killed"), (-24, "timed out"), (36, "timed out"), (0, "survived"), (33, "survived"),
     (None, "not run"), (-11, "not run"), (35, "not run")],
)  # fmt: skip
def test_an_exit_code_says_what_became_of_a_mutant(code: int | None, word: str) -> None:
    assert outcome(code) == word


def test_only_a_listed_survivor_is_accepted(capsys: pytest.CaptureFixture) -> None:
    seen = [(SUM, "killed"), (HALF, "survived")]
    assert report(seen, {HALF: "no one calls it"}) == []
    assert capsys.readouterr().out.splitlines()[-1].split() == ["all", "2", "1", "0", "1", "1", "50.0", "%"]
    (unlisted,) = report(seen, {})
    assert unlisted == "survived: reference/sums.py Half.of\n  - def(self, a=2):\n  + def(self, a=3):"
    (stale,) = report(seen[:1], {HALF: "no one calls it"})
    assert stale.startswith("listed, but did not survive: reference/sums.py Half.of")
    (unrun,) = report([(SUM, "not run")], {})
    assert unrun.startswith("not run: reference/sums.py add")


def test_every_listed_survivor_has_a_reason_and_is_listed_once() -> None:
    entry = '[[mutant]]\nfile = "a.py"\nfunction = "f"\nwas = "x"\nnow = "y"\n'
    reason = 'reason = "z"\n'
    assert accepted(entry + reason) == {Mutant("a.py", "f", "x", "y"): "z"}
    for wrong in (entry, 2 * (entry + reason)):
        with pytest.raises(ValueError, match="expected each once, with a reason"):
            accepted(wrong)


def test_every_listed_survivor_is_a_line_of_the_source() -> None:
    """Where a line is written anew its reason no longer holds: strike it, and see whether it survives again."""
    text = ACCEPTED.read_text(encoding="utf-8")
    assert [mutant for mutant in accepted(text) if not is_there(mutant)] == [], "python -m meta_tests.mutation --strike"
    assert struck(text) == text


@pytest.mark.parametrize("changes", [{"file": "reference/gone.py"}, {"function": "gone"}, {"was": "return gone"}])
def test_planted_an_entry_that_the_source_no_longer_has_is_struck(changes: dict[str, str]) -> None:
    text = ACCEPTED.read_text(encoding="utf-8")
    stale = next(iter(accepted(text)))._replace(**changes)
    assert not is_there(stale)
    entry = "".join(f"{field} = {json.dumps(value)}\n" for field, value in stale._asdict().items())
    assert struck(f'{text}\n[[mutant]]\n{entry}reason = "z"\n') == f"{text}\n"


def test_every_path_of_the_configuration_exists() -> None:
    """mutmut skips a pattern that fits nothing without a word, and so it mutates what was to be left out."""
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    words = [word for name in PATHS for word in configured[name]]
    assert [word for word in words if not exists(word)] == []
    planted = ["reference/gone/*", "meta_tests/test_gone.py", "--deselect=meta_tests/repository/test_mutation.py::gone"]
    assert [word for word in planted if exists(word)] == []
