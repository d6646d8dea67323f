"""What the report tells its reader to do: run a problem or the whole run again, and cite it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

import adapters
from evidence import report
from evidence.compare.upgrade import package
from evidence.record.reader import read
from evidence.report.instructions import reproduce
from meta_tests.common.report import Page, case_of, ended, evidence_of, failed_test, finished, header, line, target

ROOT = Path(__file__).parents[3]


def test_a_problem_says_how_to_run_it_again(tmp_path: Path) -> None:
    first, last = line("disagrees", case=case_of(5)), line("disagrees", case=case_of(1))
    made = evidence_of(
        tmp_path, first, line("disagrees", case=case_of(4), content=None), last, failed_test(message="the words")
    )
    text = Page(report.render_html(made)).text
    assert f"python -m rnn_equivalence replay run.json {last['case']}" in text
    assert (
        f"3 answers of this test ended so; this is the last that was kept, the smallest. Also kept: {first['case']}"
        in text
    )
    assert "disagrees (value) by the step bound of float32" in text
    assert "the words" in text
    assert f"python -m rnn_equivalence replay run.json {last['case']}" in report.render_markdown(made)
    head = header(targets=[target("one cpu"), target("two cpu") | {"source": "my.module:Adapter"}])
    several = Page(report.render_html(evidence_of(tmp_path, line("crashed", "two cpu"), head=head))).text
    assert f"replay run.json {line()['case']} --target 'two cpu' --adapter my.module:Adapter" in several
    lost = evidence_of(tmp_path, line("crashed", content=None))
    assert "The case itself was not kept" in report.render_html(lost)
    assert "the words" not in report.render_html(lost)


def test_the_commands_make_the_run_again_and_are_quoted(tmp_path: Path) -> None:
    own = target("own cpu") | {"source": "my module:Adapter; echo $HOME"}
    variables = {"CI": "1", "HYPOTHESIS_PROFILE": "default", "XLA_FLAGS": "--a --b", "NO=$(x)": "1"}
    about = header()["environment"] | {"packages": {"One": "1.0", "other": "2"}, "variables": variables}
    made = evidence_of(
        tmp_path,
        head=header(targets=[target("one cpu"), own], environment=about, run=header()["run"] | {"shrink": False}),
    )
    text = Page(report.render_html(made)).text
    assert "git checkout " + "c" * 40 in text
    assert (
        "-c constraints.txt numpy ml_dtypes hypothesis pytest pytest-xdist rich click pydantic jinja2 matplotlib "
        "# and what 'my module:Adapter; echo $HOME' needs, which its author knows CI=1"
    ) in text
    assert "# in a clone of rnn-equivalence: git checkout" in text
    assert "<this repository>" not in text
    assert (
        "CI=1 HYPOTHESIS_PROFILE=default XLA_FLAGS='--a --b' python3 -m pytest tests/properties --evidence=run.json "
        "--cases 8 --hypothesis-seed=7 --no-shrink --framework one --adapter 'my module:Adapter; echo $HOME' "
        "--device cpu"
    ) in text


def extra(name: str) -> set[str]:
    """The distributions of an extra of pyproject.toml."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return {package(requirement) for requirement in extras[name]}


@pytest.mark.parametrize("name", adapters.KNOWN)
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch", "numpy", "openvino"])
def test_what_a_target_needs_is_installed(name: str, backend: str, tmp_path: Path) -> None:
    """What the page says is enough: each distribution that pyproject.toml asks for, or one that brings it."""
    judged = target(f"{name} cpu") | {"source": name, "backend": backend if name == "keras" else ""}
    text = reproduce(evidence_of(tmp_path, head=header(targets=[judged])).runs[0])
    line = next(line for line in text.splitlines() if " pip install " in line).split()
    homes = {
        "keras": f"keras-{backend}" if backend in ("numpy", "openvino") else backend,
        "onnxruntime": "onnx",
        "onnx": "",
        "reference": "",
    }
    line += [package(name) for name in line]
    needed = extra(home) if (home := homes.get(name, name)) else {adapters.KNOWN[name][1]}
    brought = {"onnx"} if "onnxscript" in line else {"keras"} if (name, backend) == ("keras", "torch") else set()
    assert needed - set(line) <= brought | ({"jax"} if name == "equinox" else set())
    if name == "keras":
        assert {"keras", backend} <= set(line)
        assert f"KERAS_BACKEND={backend} " in text


def test_without_what_a_report_needs_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    made = evidence_of(tmp_path, line())
    for missing in ("matplotlib", "jinja2"):
        code = (
            f"import sys; sys.modules[{missing!r}] = None; from rnn_equivalence.__main__ import main; "
            f"sys.argv[1:] = ['report', {str(made.path)!r}]; main()"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("Error: ")
        assert missing in done.stderr.split(";")[0]
        assert "; python3 -m pip install -c constraints.txt pydantic jinja2 matplotlib" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_file_of_any_name(tmp_path: Path) -> None:
    path = tmp_path / "a b;<img src=x>`.json"
    path.write_bytes(finished(header(), [line("disagrees")], ended()))
    html = report.render_html(read(path))
    assert "replay &#39;a b;&lt;img src=x&gt;`.json&#39;" in html
    assert str(tmp_path) not in html + report.render_markdown(read(path))


def test_a_citation_names_the_suite_and_the_record(tmp_path: Path) -> None:
    made = evidence_of(tmp_path, line())
    text = Page(report.render_html(made)).text
    assert (
        "The rnn-equivalence authors. rnn-equivalence: a cross-framework equivalence test suite for recurrent layers, "
        f"version 0.1.0 (commit cccccccccccc), 2026-01-02. Evidence: SHA-256 {made.runs[0].end.sha256}."
    ) in text
    assert "author = {{The rnn-equivalence authors}}," in text
