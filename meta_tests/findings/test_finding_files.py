"""The files of findings: each is read, and what is no finding is refused in one sentence that names the field."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import adapters
from findings import Finding, all_findings
from findings.finding import FOLDER, ID, NO_LINK, parse, read

FILES = sorted(FOLDER.glob("*.toml"))
GOOD = tomllib.loads("""
    id = "F-999"
    title = "A layer ignores the lengths of its sequences"
    kind = "fault"
    framework = "torch"
    link = "none known"
    avoid = "Give it sequences of one length."
    [versions]
    wrong = ["1.0"]
    right = []
    [trigger]
    lengths = ["mixed"]
    [what]
    fault = "lengths_ignored"
    [case]
    input_size = 3
    hidden_size = 5
    batch = 2
    time = 4
    lengths = [4, 2]
""")
NOTHING = object()
# where in GOOD, what stands there instead, and what the sentence names
BAD: list[tuple[str, Any, str]] = [
    *((name, NOTHING, name) for name in ("id", "title", "kind", "framework", "link", "avoid")),
    *((name, wrong, name) for name in ("id", "title", "kind", "framework", "link", "avoid", "note", "device")
      for wrong in (7, "", [], {}, ["x"])),
    *((name, wrong, name) for name in ("versions", "trigger", "what", "case") for wrong in (NOTHING, 7, "x", [{}])),
    ("surprise", "x", "surprise"),
    ("id", "F-1", "id"),
    ("kind", "bug", "kind"),
    ("link", "http://example.org", "link"),
    ("backends", "torch", "backends"),
    ("backends", [1], "backends"),
    ("versions wrong", NOTHING, "versions wrong"),
    ("versions wrong", "1.0", "versions wrong"),
    ("versions right", [1.0], "versions right"),
    ("versions left", [], "versions left"),
    ("trigger lengths", "mixed", "trigger lengths"),
    ("trigger lengths", [], "trigger lengths"),
    ("trigger lengths", ["mixd"], "trigger lengths"),
    ("trigger lengths", ["full"], "case"),
    ("trigger colour", ["red"], "trigger colour"),
    ("trigger h0", [0], "trigger h0"),
    ("also", {"mask": [True]}, "also"),
    ("also", [1], "also"),
    ("also", [{"colour": ["red"]}], "trigger colour"),
    ("also", [{"mask": [True], "idiom": ["by hand"]}], "also idiom"),
    ("case idiom", "by hand", "case"),
    ("trigger idiom", 1, "trigger idiom"),
    ("trigger idiom", "by hand", "case"),
    ("what fault", NOTHING, "what"),
    ("what fault", "lengths_ignord", "what fault"),
    ("what fault", ["lengths_ignored"], "what fault"),
    ("what arithmetic", "float32", "what"),
    ("what words", "x", "what"),
    ("what", {"arithmetic": "float31"}, "what arithmetic"),
    ("what", {"arithmetic": "tf32"}, "trigger dtype"),
    ("what", {"exception": "TypeError"}, "what words"),
    ("what", {"exception": "TypeError", "words": 1}, "what words"),
    ("what", {"not_expressible": 1}, "what not_expressible"),
    ("what", {}, "what"),
    *((f"case {name}", wrong, f"case {name}") for name in ("batch", "time", "input_size", "hidden_size")
      for wrong in (NOTHING, "3", 1.5, True, [])),
    *((f"case {name}", 10**6, "case") for name in ("batch", "time", "input_size", "hidden_size", "num_layers")),
    *((f"case {name}", -1, "case") for name in ("batch", "time", "input_size", "hidden_size", "num_layers")),
    *((f"case {name}", "sideways", name) for name in ("direction", "nonlinearity", "cell")),
    *((f"case {name}", "sideways", f"case {name}") for name in ("dtype", "layout", "mode")),
    *((f"case {name}", 1, f"case {name}") for name in ("bias", "h0", "rounded", "layout", "mode", "idiom", "lengths")),
    ("case hidden_size", 0, "hidden_size"),
    ("case layout", "unbatched", "case batch"),
    ("case seed", -1, "case seed"),
    ("case seed", 0.5, "case seed"),
    ("case input_scale", 0, "case input_scale"),
    ("case weight_scale", float("nan"), "case weight_scale"),
    ("case lengths", [4], "case lengths"),
    ("case lengths", [4, "2"], "case lengths"),
    ("case lengths", [4, 5], "lengths"),
    ("case lengths", [[4], [2]], "case lengths"),
    ("case mask", [[1, 1, 0, 0], [1]], "case mask"),
    ("case mask", [1, 0], "case mask"),
    ("case mask", [[1, 1, 1, 2], [1, 1, 1, 1]], "case mask"),
    ("case mask", [[1, 1, 0, 0], [1, 1, 1, 1]], "lengths"),
    ("case set", {"array": "x", "value": 1.0}, "case set"),
    ("case set", ["x"], "case set 0"),
    ("case set", [{"array": "x"}], "case set 0"),
    ("case set", [{"array": "x", "value": 1, "when": 1}], "case set 0"),
    ("case set", [{"array": 1, "value": 1}], "case set 0 array"),
    ("case set", [{"array": "", "value": 1}], "case set 0 array"),
    ("case set", [{"array": "x", "value": "1"}], "case set 0 value"),
    ("case set", [{"array": "x", "value": 1, "at": 1}], "case set 0 at"),
    ("case set", [{"array": "x", "value": 1, "at": [9]}], "case set x at"),
    ("case set", [{"array": "x", "value": 1, "at": [0, 0, 0, 0]}], "case set x at"),
    ("case set", [{"array": "x", "value": 1, "at": [-1]}], "case set x at"),
    *(("case set", [{"array": array, "value": 1}], "case set array")
      for array in ("h0", "y", "track", "track 0", "track 1 w_ih", "track x w_ih", "layer 0 w_ih", "track 0 w")),
    ("case surprise", 1, "case surprise"),
]  # fmt: skip


def changed(place: str, value: Any) -> dict[str, Any]:
    content = copy.deepcopy(GOOD)
    *tables, name = place.split()
    inside = content[tables[0]] if tables else content
    if value is NOTHING:
        del inside[name]
    else:
        inside[name] = value
    return content


def test_the_table_begins_with_a_finding() -> None:
    assert parse(GOOD).id == "F-999"


def test_a_case_is_inside_one_trigger_or_another_whatever_the_idiom() -> None:
    """The features of a finding in run's own way are wrong in every other too; those of an idiom in that one alone."""
    usual, idiom = parse(GOOD | {"also": [{"mask": [True], "h0": [False]}]}), changed("trigger idiom", "by hand")
    features = usual.case.features()
    inside = [{"lengths": "mixed", "mask": False}, {"lengths": "full", "mask": True, "h0": False}]
    outside = [{"lengths": "full", "mask": False}, {"lengths": "full", "mask": True, "h0": True}]
    for word in ("", "by hand"):
        assert [usual.holds(features | some, word) for some in (*inside, *outside)] == [True, True, False, False]
    alone = parse(idiom | {"case": idiom["case"] | {"idiom": "by hand"}})
    assert [alone.holds(features, word) for word in ("", "by hand", "else")] == [False, True, False]
    both = parse(GOOD | {"also": [{"mask": [True], "idiom": "by hand"}]})
    assert [both.holds(features | inside[1], word) for word in ("", "by hand", "else")] == [False, True, False]


@pytest.mark.parametrize(("place", "value", "named"), BAD)
def test_what_is_no_finding_is_refused_in_a_sentence_that_names_the_field(place: str, value: Any, named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named}\b.*: (got .*, )?expected ") as caught:
        parse(changed(place, value))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "F-998.toml").write_text("id =", "utf-8")
    with pytest.raises(ValueError, match=r"^F-998\.toml: "):
        read(tmp_path / "F-998.toml")


def test_every_file_of_the_folder_is_named_after_a_finding() -> None:
    assert all(ID.fullmatch(path.stem) for path in FILES)
    assert [one.id for one in all_findings()] == [path.stem for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_a_finding_in_sentences(path: Path) -> None:
    finding: Finding = read(path)
    assert re.fullmatch(r"([A-Z]|tanh ).*[^.\s]", finding.title), f"title: {finding.title}"
    assert len(finding.title.split()) > 3, f"title: {finding.title}"
    assert re.fullmatch(r"[A-Z].*\.", finding.avoid, re.DOTALL), f"avoid: {finding.avoid}"
    assert finding.link == NO_LINK or re.fullmatch(r"https://\S+", finding.link), f"link: {finding.link}"
    assert finding.framework in adapters.KNOWN
    assert finding.wrong, "versions wrong: none was seen"
