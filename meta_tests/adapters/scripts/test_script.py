"""Stand-alone scripts for bug reports: they ask the framework the same as the adapter does, and see what is wrong."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters import FEATURES
from adapters.__main__ import main
from adapters.capabilities import VARIANTS, NotOffered
from adapters.contract import features_of_case
from adapters.flax.script import flax_script
from adapters.keras.script import keras_script
from adapters.running.trial import Stack, attempt
from adapters.scripts.script import filled
from adapters.torch.script import torch_script
from evidence.record.corpus import cases
from meta_tests.common.frameworks import framework_adapter, skip_where_it_has_no_answer
from meta_tests.common.scale import at_night
from meta_tests.repository.test_house import imported
from reference import Case, RNNSpec, judge
from reference.draws import draw_case

FRAMEWORKS = ("torch", "keras", "flax")
# of the cases for each cell every fourteenth, at night every seventh, which meets all of its words; then one of each
# other kind
ASKED = [*list(cases())[: 216 : at_night(14, 7)]]
ASKED += [
    next(name for name in cases() if words in name)
    for words in ("time 1 ", "vectors 33 bidirectional", "an empty batch reverse", "one step", "saturated relu",
                  "tiny tanh float64", "nan tanh", "nan relu", "inf tanh", "inf relu")
]  # fmt: skip
ASKED += [name for name in cases() if "a mask" in name and "float32" in name]
REFUSED = [("torch", "no step"), ("torch", "lengths of zero"), ("keras", "no step")]


def script_of(framework: str, case: Case) -> str:
    adapter: Any = framework_adapter(framework)
    return adapter.script(case)


def execute(text: str) -> tuple[dict[str, Any], Any, str]:
    """Run a script in this process: its names, what it exits with, what it prints."""
    names, printed = {"__name__": "__main__"}, io.StringIO()
    program = compile(text, "script", "exec")
    with (
        contextlib.redirect_stdout(printed),
        warnings.catch_warnings(action="ignore"),
        pytest.raises(SystemExit) as end,
    ):
        exec(program, names)
    return names, end.value.code, printed.getvalue()


def run_alone(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in an empty folder and a process of its own, where this suite cannot be imported."""
    path = folder / "script.py"
    path.write_text(text)
    kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-I", path], cwd=folder, env=kept, capture_output=True, text=True, check=False
    )


def widened(case: Case) -> Case:
    """The same question in float64."""
    h0 = None if case.h0 is None else case.h0.astype(np.float64)
    cells = [cell.astype(np.float64) for cell in case.parameters]
    return Case(case.spec, cells, case.x.astype(np.float64), h0, case.lengths, case.layout, case.mask)


def usual(direction: str = "bidirectional", dtype: str = "float32") -> Case:
    spec = RNNSpec(2, 3, 2, direction)
    return draw_case(spec, batch=2, time=4, dtype=dtype, seed=7, h0=True, lengths=(4, 2))


def test_the_cases_that_are_asked_ask_for_every_feature() -> None:
    asked = [cases()[name] for name in ASKED]
    found = {(feature, value) for case in asked for feature, value in features_of_case(case).items()}
    possible = {(name, value) for name, values in FEATURES.items() if name != "mode" for value in values}
    found = {pair for pair in found if pair[0] != "mode"}
    others = {("cell", word) for word in FEATURES["cell"] if word != "elman"}
    few = {
        ("time", "0"),
        ("lengths", "with zeros"),
        ("clip", True),
        ("gradients", True),
        *((word, True) for word in VARIANTS),
    }
    assert possible - found == few | others, "these are refused, or not offered by most"


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_a_script_clips_where_the_case_does(nonlinearity: str) -> None:
    case = draw_case(RNNSpec(2, 3, 2, "bidirectional", nonlinearity, clip=0.5), batch=2, time=4, lengths=(4, 2))
    text = script_of("onnxruntime", case)
    _, code, printed = execute(text)
    assert code == 0, printed
    assert execute(text.replace("clip=0.5", "clip=0.25"))[1] == 1


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", ASKED)
def test_a_script_asks_what_the_adapter_asks(framework: str, name: str) -> None:
    """The answer has the same bits, the equations are right by the judge, and nothing lies outside the bounds."""
    adapter, case = framework_adapter(framework), cases()[name]
    if refusal := adapter.capabilities.not_offered(features_of_case(case)):
        pytest.skip(refusal)  # float64 on most backends of Keras
    skip_where_it_has_no_answer(adapter, **features_of_case(case))
    names, code, printed = execute(script_of(framework, case))
    assert code == 0, printed
    result = attempt(Stack(adapter, case), case)
    for array in ("output", "h_n"):
        assert np.array_equal(names["actual"][array], getattr(result, array).astype(np.float64), equal_nan=True)
        assert f"{array} {getattr(result, array).shape}: 0 of " in printed
    assert judge(widened(case), **names["expected"]).outcome == "agrees"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_script_of_gradients_shows_wrong_ones_alone(framework: str) -> None:
    """Of one layer with lengths, by x and by the initial states."""
    adapter = framework_adapter(framework)
    if True not in adapter.capabilities.supported("gradients"):
        pytest.skip(f"{framework} has no gradients")
    spec = RNNSpec(2, 3, direction="bidirectional", cell="lstm")
    text = script_of(framework, draw_case(spec, batch=2, time=3, lengths=(3, 2), gradients="all"))
    _, code, printed = execute(text)
    assert code == 0, printed
    assert "gradient by x (2, 3, 2): 0 of 12 numbers are wrong" in printed
    before, equations, after = text.partition("# The equations in float64")
    _, code, printed = execute(f'{before}actual["x"] = actual["x"] * 1.01\n{equations}{after}')
    assert code == 1
    assert "gradient by x (2, 3, 2): 0 of" not in printed


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_script_of_an_idiom_asks_for_the_gradients_or_is_not_written(framework: str) -> None:
    """One that asked for the answer alone would say that nothing is wrong."""
    adapter: Any = framework_adapter(framework)
    trained = {word for word, idiom in adapter.idioms.items() if (("gradients", True),) in idiom.answers}
    if not trained:
        pytest.skip(f"{framework} has no gradients here")
    case = draw_case(RNNSpec(2, 3), batch=2, time=3, gradients="all")
    for word in trained:
        try:
            text = adapter.script(case, "cpu", word)
        except NotOffered as error:
            text = str(error)
        assert 'print(f"gradient by {name}' in text or "the adapter writes none" in text


def test_no_script_is_written_for_what_torch_has_no_call_for(tmp_path: Path, monkeypatch, capsys) -> None:
    framework_adapter("torch")
    next(case for name, case in cases().items() if "a mask" in name).save(tmp_path / "case.json")
    monkeypatch.setattr(sys, "argv", ["adapters", "torch", str(tmp_path / "case.json"), "--script"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "--script: mask True: torch's layers take no mask" in capsys.readouterr().err


@pytest.mark.parametrize(("framework", "words"), REFUSED)
def test_a_script_of_a_refused_case_shows_the_frameworks_own_exception(framework: str, words: str) -> None:
    text = script_of(framework, next(case for name, case in cases().items() if words in name))
    with pytest.raises(Exception) as raised:  # noqa: PT011 (it is whatever the framework raises)
        exec(compile(text, "script", "exec"), {"__name__": "__main__"})
    assert any(f"/{framework}/" in str(entry.path) for entry in raised.traceback)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_script_runs_where_the_suite_is_not(framework: str, tmp_path: Path, monkeypatch, capsys) -> None:
    """As its user makes it: from the command line into a file, which is run elsewhere."""
    framework_adapter(framework)
    case = next(case for name, case in cases().items() if "bidirectional time_first tanh float32 full" in name)
    case.save(tmp_path / "case.json")
    monkeypatch.setattr(sys, "argv", ["adapters", framework, str(tmp_path / "case.json"), "--script"])
    assert main() == 0
    text = capsys.readouterr().out
    run = run_alone(text, tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count(": 0 of ") == 2
    alone = run_alone("import adapters, reference", tmp_path)
    assert "ModuleNotFoundError" in alone.stderr, "the suite could have been imported"


def test_a_finding_is_seen_from_a_script_alone(tmp_path: Path) -> None:
    """Keras multiplies float64 in float32 on torch (docs/findings.md). The script says on which backend to run."""
    framework_adapter("keras")
    framework_adapter("torch")
    text = keras_script(draw_case(RNNSpec(3, 5), batch=2, time=4, dtype="float64"), "cpu", "torch")
    run = run_alone(text, tmp_path)
    assert run.returncode == 1, run.stderr
    assert " on torch " in run.stdout
    assert "output (2, 4, 5): 40 of 40 elements lie outside the bound" in run.stdout


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(
    ("framework", "right", "wrong"),
    [
        ("torch", "(w_hh_l1))", "(w_hh_l1.T))"),
        ("torch", "(b_ih_l0)", "(b_hh_l0)"),
        ("keras", "w_hh.T.copy()", "w_hh"),
        ("keras", "b_ih + b_hh]", "b_ih]"),
        ("flax", "asarray(w_hh.T,", "asarray(w_hh,"),
        ("flax", "b_ih + b_hh, cell", "b_ih, cell"),
    ],
)  # fmt: skip
def test_a_wrong_weight_is_seen(framework: str, right: str, wrong: str, direction: str) -> None:
    text = script_of(framework, usual(direction))
    assert right in text
    _, code, printed = execute(text.replace(right, wrong))
    assert code == 1
    assert "furthest outside: " in printed


LAST = "outside = sum("


@pytest.mark.parametrize(
    ("planted", "code"),
    [
        ("actual['h_n'][3, 1, 2] = expected['h_n'][3, 1, 2] + 0.999 * bound['h_n'][3, 1, 2]", 0),
        ("actual['h_n'][3, 1, 2] = expected['h_n'][3, 1, 2] + 1.001 * bound['h_n'][3, 1, 2]", 1),
        ("actual['output'][0, 0, 0] = np.nan", 1),
        ("actual['output'][0, 0, 0] = -np.inf", 1),
        ("actual['output'][1, 3, 0] = 1e-300", 1),  # it is padding
        ("actual['output'] = actual['output'][:1]", "output: got shape (1, 4, 6), expected (2, 4, 6)"),
    ],
)
def test_the_bound_decides(planted: str, code: Any) -> None:
    text = script_of("torch", usual())
    assert execute(text.replace(LAST, f"{planted}\n{LAST}"))[1] == code


def test_nan_that_is_hidden_is_seen() -> None:
    text = script_of("torch", cases()["338 nan tanh float32"])
    hidden = "actual = {name: np.nan_to_num(array) for name, array in actual.items()}"
    assert execute(text)[1] == 0
    assert execute(text.replace(LAST, f"{hidden}\n{LAST}"))[1] == 1


def test_a_script_says_where_its_bounds_mean_nothing() -> None:
    assert "of these bounds are too wide to mean anything" in torch_script(cases()["352 chaotic float32"])
    assert "of these bounds are too wide to mean anything" not in torch_script(usual())


@pytest.mark.parametrize("dtype", FEATURES["dtype"])
def test_a_script_imports_numpy_and_its_framework_alone(dtype: str) -> None:
    standard = {"base64", "os", "sys"}
    for case in (usual(dtype=dtype), draw_case(RNNSpec(9, 9), batch=5, time=9, dtype=dtype)):
        assert imported(torch_script(case)) - standard == {"numpy", "torch"}
        assert imported(keras_script(case, "cpu", "jax")) - standard == {"numpy", "keras"}
        assert imported(flax_script(case)) - standard == {"numpy", "flax", "jax"}


def test_a_script_names_the_device_and_the_backend() -> None:
    on_cuda = torch_script(usual(dtype="bfloat16"), "cuda:1")
    assert 'rnn.to("cuda:1").eval()' in on_cuda
    assert 'torch.from_numpy(x).to("cuda:1", torch.bfloat16)' in on_cuda
    assert "torch.backends.cudnn.flags(allow_tf32=False)" in on_cuda
    assert "output.double().cpu().numpy()" in on_cuda
    on_jax = keras_script(usual(dtype="float64"), "cuda:1", "jax")
    assert 'with keras.device("gpu:1"):' in on_jax
    assert 'os.environ.setdefault("KERAS_BACKEND", "jax")' in on_jax
    assert 'os.environ.setdefault("JAX_ENABLE_X64", "1")' in on_jax
    for other in (
        keras_script(usual(), "cuda:1", "jax"),
        keras_script(usual(dtype="float64"), "cuda:1", "jax", "as it comes"),
        keras_script(usual(dtype="float64"), "cuda:1", "torch"),
    ):
        assert "X64" not in other
    in_flax = flax_script(usual(dtype="float64"), "cuda:1")
    assert 'place = jax.devices("cuda")[1]' in in_flax
    assert "jax.default_device(place)" in in_flax
    assert "with jax.enable_x64(True), " in in_flax
    for text in (on_cuda, on_jax, in_flax):
        compile(text, "script", "exec")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--script"],
            "meta_tests.adapters.running.test_trial:Mirror writes no scripts: it has no method script(case, device)",
        ),
        (["--script", "--bound", "step"], "not allowed with argument"),
    ],
)
def test_a_script_that_cannot_be_had_is_an_error(arguments, words, tmp_path, monkeypatch, capsys) -> None:
    usual().save(tmp_path / "case.json")
    monkeypatch.setattr(
        sys,
        "argv",
        ["adapters", "meta_tests.adapters.running.test_trial:Mirror", str(tmp_path / "case.json"), *arguments],
    )
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert words in capsys.readouterr().err


def test_a_template_is_filled_line_by_line() -> None:
    words = {"h0": True, "mask": False, "size": 3, "lines": "a\nb"}
    template = "f($size)  #? h0\ng()  #? mask\n  $lines  #? !mask h0\n#? mask\nx\n#? !mask\ny\n#?\nz  # kept"
    assert filled(template, words) == "f(3)\n  a\n  b\ny\nz  # kept"
    for wrong in ("x  #? lenghts", "#? lenghts\nx", "$lenghts"):
        with pytest.raises(KeyError, match="lenghts"):
            filled(wrong, words)
