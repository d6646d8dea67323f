"""Users' own models: the layers in them, and what each is called with, by framework; weights that hold the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters import own
from adapters.mapping import differing
from adapters.running.guard import warnings_shown
from meta_tests.common.frameworks import framework_adapter
from reference import CellParameters, RNNSpec
from reference.draws import draw_parameters

GRU, LSTM = RNNSpec(3, 4, cell="gru"), RNNSpec(3, 4, cell="lstm")
X = np.ones((2, 6, 3))


def asked(model: own.Model) -> list[tuple[Any, ...]]:
    cases, _ = own.cases_of(model, own.Question({"x": X}))
    return [(layer.name, case.x.shape, case.layout, case.mask is not None, case.h0 is not None)
            for layer, case in zip(model.layers, cases, strict=True)]  # fmt: skip


def opened(framework: str, module: Any) -> own.Model:
    with warnings_shown():
        return own._read("mine", framework, framework_adapter(framework), module, "cpu")


def test_layers_of_keras_are_asked_with_the_masks_and_states_that_they_have(tmp_path: Path) -> None:
    keras = framework_adapter("keras").framework
    with warnings_shown():
        x = keras.Input((None, 3))
        kept, h, c = keras.layers.LSTM(4, return_state=True, return_sequences=True, name="below")(
            keras.layers.Masking(0.0)(x)
        )
        above = keras.layers.LSTM(4, name="above")(keras.ops.relu(kept), initial_state=[h, c])
        model = keras.Model(x, keras.layers.Dense(1)(above))
        model.save(tmp_path / "deep.keras")
        read = own.model_of(str(tmp_path / "deep.keras"), "cpu")
    assert asked(read) == [("below", (2, 6, 3), "batch_first", True, False),
                           ("above", (2, 6, 4), "batch_first", False, True)]  # fmt: skip
    assert all("call" not in vars(layer.module) for layer in read.layers), "the model is as it was"


def test_a_layer_of_keras_with_code_of_its_own_is_refused(tmp_path: Path) -> None:
    keras = framework_adapter("keras").framework
    with warnings_shown():
        keras.Sequential([keras.Input((None, 3)), keras.layers.Lambda(lambda x: x)]).save(tmp_path / "code.keras")
        with pytest.raises(ValueError, match="no code of a file is run: name a model") as refused:
            own.model_of(str(tmp_path / "code.keras"), "cpu")
    assert "\n" not in str(refused.value)


def test_layers_of_torch_are_asked_with_packed_sequences_and_states() -> None:
    torch = framework_adapter("torch").framework
    pack = torch.nn.utils.rnn.pack_padded_sequence

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.below, self.above = torch.nn.LSTM(3, 4, batch_first=True), torch.nn.LSTM(4, 4)
            self.idle = torch.nn.RNN(3, 4)

        def forward(self, x: Any) -> Any:
            states, last = self.below(pack(x, [6, 4], batch_first=True))
            padded, _ = torch.nn.utils.rnn.pad_packed_sequence(states)
            return self.above(input=padded, hx=last)

    model = opened("torch", Net())
    assert asked(model) == [("below", (2, 6, 3), "batch_first", False, False),
                            ("above", (6, 2, 4), "time_first", False, True),
                            ("idle", (10, 4, 3), "time_first", False, False)]  # fmt: skip
    cases, said = own.cases_of(model, own.Question({"x": X}))
    assert np.array_equal(cases[0].lengths, [6, 4])
    assert said == "each layer's input in the model; idle is not called by it, and was given drawn inputs"


def test_layers_of_flax_are_found_where_they_lie() -> None:
    nnx = framework_adapter("flax").framework.nnx

    class Net(nnx.Module):
        def __init__(self) -> None:
            cells = [nnx.SimpleCell(3, 4, rngs=nnx.Rngs(seed)) for seed in range(3)]
            self.one, self.both = nnx.RNN(cells[0]), nnx.Bidirectional(nnx.RNN(cells[1]), nnx.RNN(cells[2]))

    assert sorted(layer.name for layer in opened("flax", Net()).layers) == ["both", "one"]


def test_nodes_of_onnx_are_models_of_their_own(tmp_path: Path) -> None:
    adapter = framework_adapter("onnx")
    onnx = adapter.framework
    model = adapter.build(LSTM, draw_parameters(LSTM)).model
    model.graph.node.append(onnx.helper.make_node("Relu", ["output"], ["y"]))
    model.graph.output[0].name = "y"
    onnx.save(model, tmp_path / "net.onnx")
    (layer,) = own.model_of(str(tmp_path / "net.onnx"), "cpu").layers
    assert layer.name == "lstm_0"
    assert differing(LSTM, layer.parameters[0], draw_parameters(LSTM)[0]) == {}
    (tmp_path / "net.onnx").write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"expected a model that onnx\.save wrote"):
        own.model_of(str(tmp_path / "net.onnx"), "cpu")


def changed(given: CellParameters, **arrays: np.ndarray) -> CellParameters:
    return CellParameters.of({**given.arrays(), **arrays})


@pytest.mark.parametrize(("spec", "apart"), [(GRU, True), (LSTM, False)])
def test_biases_that_are_added_are_the_same_as_their_sum(spec: RNNSpec, apart: bool) -> None:
    """Of a GRU whose reset gate multiplies a bias, that bias is another."""
    (given,) = draw_parameters(spec)
    b_ih, b_hh = given.arrays()["b_ih"], given.arrays()["b_hh"]
    summed = changed(given, b_ih=b_ih + b_hh, b_hh=0 * b_hh)
    assert sorted(differing(spec, given, summed)) == (["b_hh", "b_ih + b_hh"] if apart else [])
    rows = spec.hidden_size * 2
    gates = changed(given, b_ih=np.r_[(b_ih + b_hh)[:rows], b_ih[rows:]], b_hh=np.r_[0 * b_hh[:rows], b_hh[rows:]])
    assert differing(spec, given, gates) == {}
    assert [*differing(spec, given, changed(given, w_hh=given.w_hh[::-1]))] == ["w_hh"]
