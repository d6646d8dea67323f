"""judge: a model in a file or an object, what is said of it, and two that are compared; what cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("click")
pytest.importorskip("torch")

import adapters
from adapters.running.guard import warnings_shown
from meta_tests.common import command
from meta_tests.common.frameworks import framework_adapter
from reference import RNNSpec
from reference.draws import draw_case

SPEC = RNNSpec(3, 5, 2, "bidirectional", cell="lstm")
WORDS = "LSTM(3, 5, num_layers=2, batch_first=True, bidirectional=True)"
TORCH = framework_adapter("torch")
torch = TORCH.framework


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.below, self.above = torch.nn.GRU(3, 4, batch_first=True), torch.nn.RNN(4, 2)
        self.head = torch.nn.Linear(2, 1)

    def forward(self, x: Any) -> Any:
        states, _ = self.below(x)
        return self.head(self.above(states.transpose(0, 1))[0])


def half() -> Any:
    """The module of a case, with one weight that is not the case's."""
    module = TORCH.build(SPEC, draw_case(SPEC, batch=1, time=1).parameters)
    with torch.no_grad():
        module.weight_hh_l1[2, 3] /= 2
    return module


def judge(*given: object) -> int:
    return command.main(["judge", *map(str, given)])


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A layer of torch, in a file."""
    torch.save(TORCH.build(SPEC, draw_case(SPEC, batch=1, time=1).parameters), tmp_path / "lstm.pt")
    return tmp_path / "lstm.pt"


def test_a_layer_in_a_file_is_judged(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge(saved, "--batch=2", "--time=3", "--seed=1") == 0
    said = capsys.readouterr().out
    assert "inputs drawn from seed 1" in said
    assert f"torch {TORCH.version} on cpu: agrees by the step bound of float32" in said
    assert "x (2, 3, 3) float32, batch_first" in said
    assert "asked: the layer itself" in said


def test_a_state_dict_is_judged_as_the_layer_that_is_named(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = torch.load(saved, weights_only=False).state_dict()
    torch.save({"epoch": 3, "state_dict": {f"deep.rnn.{name}": value for name, value in weights.items()}}, saved)
    assert judge(saved, "--layer", f"nn.{WORDS}") == 0
    assert "agrees" in capsys.readouterr().out


def test_a_planted_fault_is_seen_and_told_and_its_script_written(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The layer of a framework that goes wrong, given the same parameters."""
    torch.save(torch.nn.RNN(3, 4, batch_first=True), saved)
    faulty = "--framework=meta_tests.common.faulty:w_hh_transposed"
    np.savez(tmp_path / "x.npz", x=np.ones((2, 5, 3)), h0=np.full((1, 2, 4), 0.5))
    assert judge(saved, faulty, "--inputs", tmp_path / "x.npz") == 1
    said = capsys.readouterr().out
    assert "disagrees (value)" in said
    assert "first wrong: output at layer 0, forward, t=" in said
    assert "diagnosis: agrees with the reference if " in said
    assert judge(saved, "--inputs", tmp_path / "x.npz", "--script", tmp_path / "case.py") == 0
    ran = subprocess.run([sys.executable, str(tmp_path / "case.py")], cwd=tmp_path, text=True, capture_output=True,
                         check=False)  # fmt: skip
    assert "0 of 40 elements lie outside the bound" in ran.stdout, ran.stderr


def test_findings_that_the_case_triggers_are_told(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adapters_here = {one.name: one for one in adapters.available() if one.loads}
    if "onnxruntime" not in adapters_here:
        pytest.skip("ONNX Runtime is not here, whose LSTM has F-243")
    assert judge(saved, "--framework=onnxruntime") == 0
    said = capsys.readouterr().out
    assert "asked: a layer that is built of its parameters (in onnxruntime)" in said
    assert "this version has F-243, which the case triggers: " in said


def test_a_larger_model_is_judged_layer_by_layer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = f"{__name__}:Net"
    assert judge(net) == 0
    drawn = capsys.readouterr().out
    assert "inputs drawn from seed 0" in drawn
    np.save(tmp_path / "x.npy", np.ones((2, 6, 3)))
    assert judge(net, "--inputs", tmp_path / "x.npy") == 0
    said = capsys.readouterr().out
    assert "each layer's input in the model" in said
    assert f"{net} below\n" in said
    assert "x (6, 2, 4) float32, time_first" in said
    np.save(tmp_path / "x.npy", np.ones((2, 6, 5)))
    assert judge(net, "--inputs", tmp_path / "x.npy") == 0
    assert "called with x alone the model raised RuntimeError" in capsys.readouterr().out


def test_two_models_that_are_the_same_function(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = saved.with_name("weights.pt")
    torch.save(torch.load(saved, weights_only=False).state_dict(), weights)
    assert judge(saved, saved) == 0
    said = capsys.readouterr().out
    assert "all parameters are equal" in said
    assert said.endswith("THE SAME FUNCTION on this input: equal parameters, and answers within both bounds\n")


def test_two_models_that_are_not(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge(saved, f"{__name__}:half") == 1
    said = capsys.readouterr().out
    assert "w_hh of layer 1, forward, differs in 1 of 100 numbers, first at [2, 3]: " in said
    assert "NOT THE SAME FUNCTION: other parameters, and answers outside both bounds" in said
    torch.save(torch.nn.GRU(3, 5, 2, bidirectional=True), saved.with_name("gru.pt"))
    assert judge(saved, saved.with_name("gru.pt")) == 1
    assert capsys.readouterr().out == "NOT THE SAME FUNCTION: cell 'lstm' and 'gru'\n"


def test_a_port_is_the_same_function_and_a_wrong_one_is_told(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keras = framework_adapter("keras")
    spec, parameters = TORCH.read(torch.load(saved, weights_only=False))
    with warnings_shown():
        port = keras.build(spec, parameters)
        port.save(tmp_path / "port.keras")
    assert judge(saved, tmp_path / "port.keras") == 0
    assert "THE SAME FUNCTION" in capsys.readouterr().out
    with warnings_shown():
        port.set_weights([weight[..., ::-1] if weight.ndim == 1 else weight for weight in port.get_weights()])
        port.save(tmp_path / "port.keras")
    assert judge(saved, tmp_path / "port.keras") == 1
    said = capsys.readouterr().out
    assert "b_ih + b_hh of layer 0, forward, differs in " in said
    assert "NOT THE SAME FUNCTION" in said


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["nowhere.pt"], "nowhere.pt: no such file, expected a .pt, .pth, .keras, .onnx file, or module:object"),
        (["."], ".: got no regular file"),
        (["model.h5"], "save it as .keras"),
        (["model.pkl"], "a pickle may run code: save a state_dict as .pt"),
        (["model"], "got a file of the kind 'without an ending'"),
        (["no_such_module:x"], "ModuleNotFoundError: No module named 'no_such_module'"),
        (["json:nothing"], "AttributeError: module 'json' has no attribute 'nothing'"),
        (["json:__name__"], "got a str, expected a model of torch, keras, flax, equinox, onnx, paddle, or a function"),
        (["junk.pt"], "no code of a file is run"),
        (["net.pt"], f"it needs {__name__}.Net, and no code of a file is run: save the recurrent layer alone"),
        (["dense.pt"], "got Linear, expected torch.nn.RNN, GRU or LSTM"),
        (["weights.pt"], "got a state_dict, expected a state_dict and --layer 'LSTM(3, 5, num_layers=2)'"),
        (["weights.pt", "--layer=LSTM(3, 4)"], "got no layers of these weights, expected one: weight_ih_l0 (20, 3)"),
        (["weights.pt", "--layer=open('x')"], "--layer: got \"open('x')\", expected such as 'LSTM(3, 5"),
        (["lstm.pt", "--layer=LSTM(3, 4)"], "got a LSTM and --layer"),
        (["lstm.pt", "--inputs=none.npy"], "none.npy: [Errno 2] No such file"),
        (["lstm.pt", "--inputs=objects.npy"], "Object arrays cannot be loaded"),
        (["lstm.pt", "--inputs=y.npz"], "y.npz: got y, expected x, and perhaps h0, c0, lengths, mask"),
        (["lstm.pt", "--inputs=x.npy"], "expected input_size 3 on the last axis"),
        (["lstm.pt", "--inputs=h0.npz"], "h0: got h0 alone, expected h0 and c0"),
        (["lstm.pt", "--batch=-1"], "-1 is not in the range"),
        (["lstm.pt", "--device=cuda:99"], "device: got 'cuda:99', expected one of cpu"),
        (["lstm.pt", "--idiom=whistling"], "idiom: got 'whistling', expected one of "),
        (["lstm.pt", "--framework=mxnet"], "adapter: got 'mxnet', expected one of "),
        (["lstm.pt", "lstm.pt", "lstm.pt"], "expected one, or two to compare"),
        ([f"{__name__}:Net", "--inputs=h0.npz"], "h0: got one for a model that is more than a recurrent stack"),
        (["lstm.pt", f"{__name__}:Net"], "got 2 recurrent layers, expected 1, as lstm.pt has"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_sentence(
    given: list[str], words: str, saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(saved.parent)
    for name in ("model.h5", "model.pkl", "model", "junk.pt"):
        Path(name).write_text("hello", encoding="utf-8")
    torch.save(Net(), "net.pt")
    torch.save(torch.nn.Linear(3, 3), "dense.pt")
    torch.save(torch.load(saved, weights_only=False).state_dict(), "weights.pt")
    np.save("objects.npy", np.array([{}], object), allow_pickle=True)
    np.save("x.npy", np.ones((1, 2, 7)))
    np.savez("y.npz", y=np.ones((1, 2, 3)))
    np.savez("h0.npz", x=np.ones((1, 2, 3)), h0=np.ones((4, 1, 5)))
    assert judge(*given) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert said.err.startswith("Error: ")
    assert said.err.count("\n") == 1
