"""A user's own torch.nn.RNN is read exactly, and what RNNSpec cannot express is refused with the reason."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import adapters
from meta_tests.common.frameworks import array_of, framework_adapter
from reference import Case, RNNSpec, judge
from reference.draws import Draw


@pytest.fixture(scope="module")
def torch() -> Any:
    return framework_adapter("torch").framework


@pytest.fixture
def adapter() -> adapters.Adapter:
    return framework_adapter("torch")


def trained(torch: Any) -> Any:
    """One step of gradient descent, so that the parameters are what an optimiser left behind."""
    module = torch.nn.RNN(3, 5)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    module(torch.ones(4, 2, 3))[0].sum().backward()
    optimiser.step()
    return module


def subclass(torch: Any) -> Any:
    class Named(torch.nn.RNN):
        """A subclass that computes what its parent does."""

    return Named(3, 5)


def with_a_mixin(torch: Any) -> Any:
    """A class of no torch's above it, which has what every class has: a __dict__ and a __weakref__."""

    class Named:
        def called(self) -> str:
            return "mine"

        def cuda(self, device: Any = None) -> Any:
            return self

    class Mixed(Named, torch.nn.RNN):
        pass

    return Mixed(3, 5)


def parametrized(torch: Any) -> Any:
    """Its recurrent weight is computed from others, which an optimiser has changed."""
    module = torch.nn.utils.parametrizations.weight_norm(torch.nn.RNN(3, 5), "weight_hh_l0")
    with torch.no_grad():
        module.parametrizations.weight_hh_l0.original0.mul_(1.5)
    return module


def in_another_order(torch: Any) -> Any:
    """Its weight lies in memory column by column: another product of torch's, of which only the rounding differs."""
    module = torch.nn.RNN(3, 5)
    module.weight_ih_l0 = torch.nn.Parameter(module.weight_ih_l0.detach().t().contiguous().t())
    return module


READ: dict[str, tuple[Callable[[Any], Any], RNNSpec]] = {
    "default": (lambda t: t.nn.RNN(3, 5), RNNSpec(3, 5)),
    "batch_first": (lambda t: t.nn.RNN(3, 5, batch_first=True), RNNSpec(3, 5)),
    "three layers": (lambda t: t.nn.RNN(3, 5, 3), RNNSpec(3, 5, 3)),
    "bidirectional": (lambda t: t.nn.RNN(3, 5, 2, bidirectional=True), RNNSpec(3, 5, 2, "bidirectional")),
    "relu": (lambda t: t.nn.RNN(3, 5, nonlinearity="relu"), RNNSpec(3, 5, nonlinearity="relu")),
    "no bias": (lambda t: t.nn.RNN(3, 5, bias=False), RNNSpec(3, 5, bias=False)),
    "double": (lambda t: t.nn.RNN(3, 5).double(), RNNSpec(3, 5)),
    "dropout, in eval": (lambda t: t.nn.RNN(3, 5, 2, dropout=0.5).eval(), RNNSpec(3, 5, 2)),
    "trained": (trained, RNNSpec(3, 5)),
    "frozen": (lambda t: t.nn.RNN(3, 5).requires_grad_(False), RNNSpec(3, 5)),
    "a subclass with the same forward": (subclass, RNNSpec(3, 5)),
    "a subclass with a mixin": (with_a_mixin, RNNSpec(3, 5)),
    "weight_norm": (parametrized, RNNSpec(3, 5)),
    "a weight in another order": (in_another_order, RNNSpec(3, 5)),
}


@pytest.mark.parametrize("name", READ)
def test_a_users_module_is_what_was_read_from_it(torch: Any, adapter: adapters.Adapter, name: str):
    torch.manual_seed(0)
    make, expected_spec = READ[name]
    module = make(torch)
    spec, parameters = adapter.read(module)
    assert spec == expected_spec
    x = Draw(1).uniform((4, 2, 3)).astype(parameters[0].dtype)
    case = Case(spec, parameters, x, layout="batch_first" if module.batch_first else "time_first")
    output, h_n = module(torch.from_numpy(x))
    verdict = judge(case, array_of(output), array_of(h_n))
    assert verdict.outcome == "agrees", verdict


@pytest.mark.parametrize("layout", ["batch_first", "time_first", "unbatched"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_a_users_module_runs_in_any_layout_and_keeps_its_own(
    torch: Any, adapter: adapters.Adapter, layout: str, batch_first: bool
):
    module = torch.nn.RNN(3, 5, batch_first=batch_first)
    spec, parameters = adapter.read(module)
    shape = (4, 3) if layout == "unbatched" else (4, 2, 3)
    case = Case(spec, parameters, Draw(1).uniform(shape).astype("float32"), layout=layout)
    result = adapter.run(module, **case.inputs)
    verdict = judge(case, result.output, result.h_n)
    assert verdict.outcome == "agrees", verdict
    assert module.batch_first is batch_first


def own_forward(torch: Any) -> Any:
    class Doubled(torch.nn.RNN):
        def forward(self, *arguments: Any) -> Any:
            output, h_n = super().forward(*arguments)
            return 2 * output, h_n

    return Doubled(3, 5)


def scripted(torch: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(torch.nn.RNN(3, 5))


def quantized(torch: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(torch.nn.LSTM(3, 5)), {torch.nn.LSTM})[0]


def functional(torch: Any) -> Any:
    """Its weights are those of a vmap that is over."""
    module = torch.nn.RNN(3, 5)

    def keep(weight: Any) -> Any:
        module._parameters["weight_ih_l0"] = weight
        return weight

    torch.func.vmap(keep)(module.weight_ih_l0.detach()[None])
    return module


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a cell": (lambda t: t.nn.RNNCell(3, 5), r"module: got RNNCell, expected torch\.nn\.RNN"),
    "Sequential": (lambda t: t.nn.Sequential(t.nn.RNN(3, 5)), r"module: got Sequential"),
    "the base": (lambda t: t.nn.RNNBase("RNN_TANH", 3, 5), r"module: got RNNBase, expected torch\.nn\.RNN"),
    "DataParallel": (lambda t: t.nn.DataParallel(t.nn.RNN(3, 5)), r"module: got DataParallel"),
    "scripted": (scripted, r"module: got RecursiveScriptModule"),
    "compiled": (
        lambda t: t.compile(t.nn.RNN(3, 5), backend="eager"),
        r"module: got OptimizedModule, expected torch\.nn\.RNN",
    ),
    "a dynamically quantized LSTM": (quantized, r"module: got LSTM, expected torch\.nn\.RNN"),
    "in a transform of torch.func": (functional, r"weight_ih_l0: got a tensor inside a transform of torch\.func"),
    "dropout, in training": (lambda t: t.nn.RNN(3, 5, 2, dropout=0.5), r"dropout=0\.5 in training, expected eval\(\)"),
    "a forward of its own": (own_forward, r"module: got Doubled, whose forward is its own"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_expressed_is_refused(torch: Any, adapter: adapters.Adapter, name: str):
    make, message = REFUSED[name]
    with pytest.raises(adapters.NotOffered, match=message):
        adapter.read(make(torch))


def test_torch_has_no_projection_for_rnn(torch: Any):
    """So there is nothing to refuse."""
    with pytest.raises(ValueError, match="proj_size argument is only supported for LSTM"):
        torch.nn.RNN(3, 5, proj_size=2)


def test_dropout_of_one_layer_has_no_effect_in_training_either(torch: Any, adapter: adapters.Adapter):
    with pytest.warns(UserWarning, match="non-zero dropout expects num_layers greater than 1"):
        module = torch.nn.RNN(3, 5, dropout=0.5)
    assert module.training
    assert adapter.read(module)[0] == RNNSpec(3, 5)


GATED: dict[str, tuple[str, dict[str, Any]]] = {
    "GRU": ("gru", {}), "LSTM": ("lstm", {}), "LSTM with proj_size": ("lstm", {"proj_size": 2}),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", GATED)
def test_a_gru_and_an_lstm_are_read_and_built_again(torch: Any, adapter: Any, name: str, bias: bool):
    cell, own = GATED[name]
    layer = getattr(torch.nn, name.split()[0])(3, 5, 2, bias=bias, bidirectional=True, batch_first=True, **own)
    spec, parameters = adapter.read(layer)
    size = own.get("proj_size", 0)
    assert spec == RNNSpec(3, 5, 2, "bidirectional", bias=bias, cell=cell, projection_size=size)
    assert spec.layout == "batch_first"
    again = adapter.build(spec, parameters)
    assert again.state_dict().keys() == layer.state_dict().keys()
    assert all(torch.equal(one, layer.state_dict()[name]) for name, one in again.state_dict().items())


@pytest.mark.parametrize("name", ["GRU", "LSTM"])
def test_a_gru_or_an_lstm_that_may_compute_anything_is_refused(torch: Any, adapter: Any, name: str):
    layer = getattr(torch.nn, name)
    own = type("Own", (layer,), {"forward": lambda self, x: x})
    with pytest.raises(adapters.NotOffered, match="got Own, whose forward is its own"):
        adapter.read(own(3, 5))
    changed = layer(3, 5)
    changed.mode = "RNN_TANH"
    with pytest.raises(adapters.NotOffered, match=f"module mode: got 'RNN_TANH', expected {name}"):
        adapter.read(changed)
    hidden = layer(3, 5)
    hidden.register_forward_hook(lambda *given: None)
    with pytest.raises(adapters.NotOffered, match="got the forward hook"):
        adapter.read(hidden)
