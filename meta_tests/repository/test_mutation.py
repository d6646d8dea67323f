"""The count of a mutation run: what was killed, and which survivor is on the list of the accepted ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meta_tests.mutation import ACCEPTED, ROOT, Mutant, accepted, outcome, report, results

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
    listed = accepted(ACCEPTED.read_text(encoding="utf-8"))
    assert {mutant.file for mutant in listed if not (ROOT / mutant.file).exists()} == set()
