"""pytest --junitxml names the findings that are present: of the test suite, and of each pinned test."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from meta_tests.common.process import suite

BEFORE = """
import adapters.numpy.adapter as there
import harness.target
from meta_tests.common.wrong import FINDINGS, Wrong
there.ReferenceAdapter = lambda: Wrong("F-901", "F-905")
for module in ("findings.states", "evidence.verify.declarations"):
    __import__(module)
    sys.modules[module].all_findings = lambda: tuple(FINDINGS.values())
"""


def test_junit_xml_names_what_is_present(tmp_path: Path) -> None:
    path = tmp_path / "run.xml"
    run = suite("tests/properties/test_findings.py", "--framework=reference", f"--junitxml={path}", before=BEFORE)
    assert run.returncode == 0, run.stdout[-3000:]
    tree = ElementTree.parse(path)
    whole = [(one.attrib["name"], one.attrib["value"]) for one in tree.findall("./testsuite/properties/property")]
    assert [name for name, _ in whole] == ["finding", "documented default"]
    assert whole[0][1].startswith("F-901 in reference on NumPy ")
    assert whole[0][1].endswith(" on cpu: Biases are ignored")
    of_each = {
        case.attrib["name"]: {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
        for case in tree.iter("testcase")
    }
    first = of_each["test_the_pinned_case[reference-cpu-F-901]"]
    assert (first["finding"], first["state"], first["kind"]) == ("F-901", "present", "fault")
    assert first["link"] == "https://example.org/issues/F-901"
    assert of_each["test_the_pinned_case[reference-cpu-F-906]"]["state"] == "gone"
