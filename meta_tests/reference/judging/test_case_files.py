"""Case files that are not cases: every error names the field, what came and what was expected."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import adapters
from adapters.__main__ import main
from reference import Case

from .test_case import usual


def edited(path: tuple[str | int, ...], value: Any) -> str:
    """The usual case as JSON, with the value at `path` replaced."""
    content = json.loads(usual().to_json())
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(content)


W = ("parameters", 3, "w_hh")


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        (("x", "shape"), [2**70, 5, 3], rf"x shape: got \[{2**70}, 5, 3\], expected integers of at most 131072"),
        (("x", "shape"), [0, 10**9, 3], "x shape: got .*, expected integers of at most 131072"),
        (("x", "shape"), [0, 2**17, 2**17], "x shape: got .*, expected a shape of at most 33554432 bytes"),
        (("x", "shape"), [2**10, 5, 3], "x data: got '120 bytes', expected 61440 bytes"),
        (("x", "shape"), [-2, -5, 3], r"x shape: got \[-2, -5, 3\], expected at most 3 integers of at least 0"),
        (("x", "shape"), [-1, 5, 3], r"x shape: got \[-1, 5, 3\], expected at most 3 integers of at least 0"),
        (("x", "shape"), [2, 5, 3, 1], "x shape: got .*, expected at most 3 integers"),
        (("x", "shape"), [1] * 100, "x shape: got .*, expected at most 3 integers"),
        (("x", "shape"), [2.0, 5, 3], "x shape: got .*, expected a list of integers"),
        (("x", "shape"), [True, 10, 3], "x shape: got .*, expected a list of integers"),
        (("x", "shape"), "253", "x shape: got '253', expected a list of integers"),
        (("x", "shape"), None, "x shape: got None, expected a list of integers"),
        (("x", "shape"), 30, "x shape: got 30, expected a list of integers"),
        (("x",), {"dtype": "float32", "shape": [0, 2**17, 1], "data": ""}, r"x .*, 1\), expected input_size 3"),
        (("x", "data"), None, "x data: got NoneType, expected a str"),
        (("x", "data"), 5, "x data: got int, expected a str"),
        (("x", "data"), "###", "x data: got what is not base64"),
        (("x", "data"), "ä", "x data: got what is not base64"),
        (("x", "data"), "AAAA", "x data: got '3 bytes', expected '?120 bytes"),
        (("x", "dtype"), "O", "x dtype: got 'O', expected one of float16"),
        (("x", "dtype"), None, "x dtype: got None, expected one of float16"),
        (("x", "dtype"), ">f4", "x dtype: got '>f4', expected one of float16"),
        (("x", "dtype"), ["float32"], "x dtype: got .*, expected one of float16"),
        (("x", "dtype"), "int32", "x dtype: got 'int32', expected one of float16"),
        (("x", "strides"), [1], r"x fields: got .*'strides'.*, expected \['data', 'dtype', 'shape'\]"),
        (("x",), None, "x: got NoneType, expected an object with"),
        (("h0",), [1.0], "h0: got list, expected an object with"),
        ((*W, "dtype"), "object", r"parameters\[3\] w_hh dtype: got 'object', expected one of"),
        ((*W, "data"), "AAAA", r"parameters\[3\] w_hh data: got '3 bytes', expected 64 bytes"),
        ((*W, "shape"), [16], "w_hh rank: got 1, expected 2 axes"),
        (("parameters", 3, "w_io"), None, r"parameters\[3\] fields: got .*'w_io'"),
        (("parameters", 3), {}, r"parameters\[3\] fields: got \[\], expected"),
        (("parameters", 3), None, r"parameters\[3\]: got NoneType, expected an object"),
        (("parameters",), {"0": None}, "parameters: got dict, expected a list"),
        (("parameters",), None, "parameters: got NoneType, expected a list"),
        (("layout",), 1, "layout: got 1, expected one of"),
        (("layout",), {}, r"layout: got \{\}, expected one of"),
        (("lengths",), "52", "lengths: got dtype str"),
        (("lengths",), {"5": 2}, "lengths: got dict"),
        (("lengths",), [True, 2], r"lengths\[0\]: got True"),
        (("lengths",), [5.0, 2.0], r"lengths\[0\]: got 5.0, expected an integer"),
        (("lengths",), [2, "x" * 1000], r"lengths\[1\]: got 'x+\.\.\.x+', expected an integer"),
        (("lengths",), [2**70, 2], "lengths: got dtype object"),
        (("mask",), [["x" * 1000]], r"mask: got 'x+\.\.\.x+', expected booleans"),
        (("mask",), [[True], [True, False]], "mask: got rows of 1 and 2, expected rows of one length"),
        (("mask",), [[True], True], r"mask: got \[True\], expected booleans"),
        (("spec", "num_layers"), 10**9, "num_layers: got 1000000000, expected at most 1000"),
        (("spec", "num_layers"), 999, "parameters: got '4 cells', expected 1998"),
        (("spec", "dropout"), 0.5, "spec fields: got .*'dropout'"),
        (("spec", "hidden_size"), "4", "hidden_size: got '4'"),
        (("spec", "hidden_size"), 2**70, r"b_hh: got \(4,\), expected"),
        (("spec",), None, "spec: got NoneType, expected an object"),
        (("spec",), [3, 4], "spec: got list, expected an object"),
        (("format",), "rnn-equivalence case 0", "format: got 'rnn-equivalence case 0', expected"),
        (("more",), 1, "case fields: got .*'more'"),
    ],
)  # fmt: skip
def test_bad_json_names_the_field(path: tuple[str | int, ...], value: Any, match: str) -> None:
    with pytest.raises((TypeError, ValueError), match=match):
        Case.from_json(edited(path, value))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (None, "case: got NoneType, expected a str"),
        (b"{}", "case: got bytes, expected a str"),
        ("", "case: got text that is not JSON"),
        ("{", "case: got text that is not JSON"),
        ("1" * 5_000, "case: got text that is not JSON|format: got"),
        ("[" * 100_000, "case: got text that is nested too deeply|case: got text that is not JSON"),
        ('{"format": ' + "[" * 500 + "]" * 500 + "}", "format: got .*, expected"),
        ("null", "format: got None, expected"),
        ("NaN", "case: got text that is not JSON .NaN is no number of JSON"),
        ('{"x": 1, "x": 1}', "case: got text that is not JSON .the field 'x' stands there twice"),
        ("[" + "[]," * 500_000, "case: got '1000002 values', expected at most 500000"),
        (" " * 2**25 + "1", "case: got '33554433 characters', expected at most 33554432"),
        ("[]", r"format: got \[\], expected"),
        ("{}", "format: got None, expected"),
        ('{"format": "rnn-equivalence case 1"}', r"case fields: got \['format'\], expected"),
    ],
)
def test_text_that_is_no_case_says_so(text: Any, match: str) -> None:
    with pytest.raises((TypeError, ValueError), match=match) as raised:
        Case.from_json(text)
    assert len(str(raised.value)) < 1_000


@pytest.mark.parametrize("field", ["input_size", "num_layers", "bias"])
def test_a_spec_without_a_field_is_none(field: str) -> None:
    content = json.loads(usual().to_json())
    del content["spec"][field]
    with pytest.raises(ValueError, match="spec fields: got"):
        Case.from_json(json.dumps(content))


# python -m adapters.


@pytest.mark.parametrize(
    ("name", "file", "words"),
    [
        ("torch", "missing.json", "No such file"),
        ("torch", ".", "got no regular file, expected a case file"),
        ("torch", "other.json", "expected 'rnn-equivalence case 1'"),
        ("mxnet", "case.json", f"adapter: got 'mxnet', expected one of {', '.join(adapters.KNOWN)}, or module:Class"),
        ("no_such_module:Adapter", "case.json", "No module named 'no_such_module'"),
        ("reference.draws:NoSuch", "case.json", "reference.draws has no 'NoSuch'"),
        (":Adapter", "case.json", "error: "),
        (".draws:Adapter", "case.json", "error: "),
    ],
)
def test_the_command_line_names_what_is_wrong(
    name: str, file: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    usual().save(tmp_path / "case.json")
    (tmp_path / "other.json").write_text('{"cases": []}')
    monkeypatch.setattr(sys, "argv", ["adapters", name, str(tmp_path / file)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    printed = capsys.readouterr().err
    assert "usage: python -m adapters" in printed
    assert words in printed
