"""What a user's torch.nn.RNN answers when it is called is what the module built of it answers; or it is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import adapters
from meta_tests.adapters.torch.user_modules import READ, REFUSED, Tampering
from meta_tests.common.frameworks import array_of, framework_adapter
from reference import DIRECTIONS, LAYOUTS, RNNSpec
from reference.draws import Draw, draw_case, draw_parameters

BATCH, TIME = 2, 3
Answers = dict[str, tuple[Any, Any]]


@pytest.fixture(scope="module")
def torch() -> Any:
    return framework_adapter("torch").framework


@pytest.fixture(scope="module")
def adapter() -> adapters.Adapter:
    return framework_adapter("torch")


def test_building_takes_none_of_the_users_random_numbers(torch: Any, adapter: adapters.Adapter) -> None:
    before, spec = torch.get_rng_state(), RNNSpec(3, 5)
    adapter.build(spec, draw_parameters(spec))
    assert torch.equal(torch.get_rng_state(), before)


@st.composite
def modules(draw: Callable[..., Any]) -> dict[str, Any]:
    """What a torch.nn.RNN is made with, and what torch cannot be given: `reverse`, `training` and a seed."""
    sizes = {"input_size": st.integers(1, 4), "hidden_size": st.integers(2, 5), "num_layers": st.integers(1, 3)}
    words = ("bias", "batch_first", "bidirectional", "training", "reverse")
    asked = {name: draw(size) for name, size in sizes.items()} | {word: draw(st.booleans()) for word in words}
    asked["reverse"] &= not asked["bidirectional"]
    asked["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    asked["dropout"] = draw(st.sampled_from([0.0, 0.5])) if asked["num_layers"] > 1 else 0.0
    asked["dtype"] = draw(st.sampled_from(["float32", "float64"]))
    return asked | {"seed": draw(st.integers(0, 99))}


@contextmanager
def made(torch: Any, asked: dict[str, Any], tamper: Tampering) -> Iterator[Any]:
    """The module, tampered with until the context ends."""
    from adapters.torch.models import ReverseRNN

    options = {name: value for name, value in asked.items() if name not in ("training", "reverse", "seed", "dtype")}
    with torch.random.fork_rng(devices=[]), ExitStack() as undo:
        torch.manual_seed(asked["seed"])
        kind = ReverseRNN if asked["reverse"] else torch.nn.RNN
        module = kind(**options, dtype=getattr(torch, asked["dtype"])).train(asked["training"])
        yield tamper(torch, module, undo.callback)


def called(torch: Any, module: Any, asked: dict[str, Any], batch_first: bool) -> Answers:
    """The module as its user calls it, in every way: with states or without, unbatched, packed."""
    draw = Draw(asked["seed"] + 1)
    states = asked["num_layers"] * (2 if asked["bidirectional"] else 1), BATCH, asked["hidden_size"]
    x = torch.from_numpy(draw.uniform((BATCH, TIME, asked["input_size"])).astype(asked["dtype"]))
    h0 = torch.from_numpy(draw.uniform(states).astype(asked["dtype"]))
    native = x if batch_first else x.transpose(0, 1)
    pack, pad = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    packed = pack(native, torch.tensor([1, TIME]), batch_first, enforce_sorted=False)
    answers = {"batched": module(native), "with states": module(native, h0), "by name": module(input=native, hx=h0)}
    answers |= {"unbatched": module(x[0]), "unbatched with states": module(x[0], h0[:, 0].clone())}
    output, h_n = module(packed, h0)
    return answers | {"packed": (pad(output, batch_first)[0], h_n)}


def differing(torch: Any, one: Answers, other: Answers) -> list[str]:
    return [name for name in one if not all(map(torch.equal, one[name], other[name]))]


def setting(torch: Any, module: Any) -> dict[str, Any]:
    """What `read` and `run` must leave as it is."""
    values = {name: value for name, value in vars(module).items() if isinstance(value, bool | int | float | str)}
    return values | {name: value.clone() for name, value in module.state_dict().items()}


def expect_the_same(torch: Any, adapter: Any, module: Any, asked: dict[str, Any]) -> None:
    """What is read from the module answers as the module does; the module stays as it was."""
    before = setting(torch, module)
    spec, parameters = adapter.read(module)
    port = adapter.build(spec, parameters)
    x = Draw(asked["seed"]).uniform((BATCH, TIME, asked["input_size"])).astype(asked["dtype"])
    ran = adapter.run(module, x, lengths=[1, TIME])
    again = adapter.run(port, x, lengths=[1, TIME])
    after = setting(torch, module)
    assert before.keys() == after.keys()
    assert all(torch.equal(b, after[n]) if torch.is_tensor(b) else b == after[n] for n, b in before.items())
    assert (spec.layout == "batch_first") is module.batch_first is port.batch_first
    assert (type(port).__module__ == "torch.nn.modules.rnn") is (not asked["reverse"])
    answers = [called(torch, one, asked, module.batch_first) for one in (module, port)]
    assert not differing(torch, *answers)
    assert all(np.array_equal(a, b) for a, b in zip(ran[:2], again[:2], strict=True))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=modules(), name=st.sampled_from([*READ, *REFUSED]))
def test_a_port_answers_as_the_users_module_does_or_it_is_refused(
    torch: Any, adapter: adapters.Adapter, asked: dict[str, Any], name: str
) -> None:
    tamper = READ[name] if name in READ else REFUSED[name][0]
    random = asked["dropout"] > 0 and asked["training"] and asked["num_layers"] > 1
    eval_alone = name == "spectral_norm in eval"
    with made(torch, asked, tamper) as module:
        if name in READ and (eval_alone or not random):
            expect_the_same(torch, adapter, module, asked)
            return
        for ask in (adapter.read, lambda module: adapter.run(module, np.zeros((1, 1, 1), "float32"))):
            with pytest.raises(adapters.NotOffered, match=r"^module"):
                ask(module)


USUAL = {
    **{"input_size": 3, "hidden_size": 5, "num_layers": 1, "dropout": 0.0, "nonlinearity": "tanh", "seed": 1},
    **{"bias": True, "batch_first": False, "bidirectional": False, "training": True, "reverse": False},
    "dtype": "float32",
}


@pytest.mark.parametrize("name", READ)
def test_what_changes_nothing_unknown_is_read(torch: Any, adapter: adapters.Adapter, name: str) -> None:
    with made(torch, USUAL, READ[name]) as module:
        expect_the_same(torch, adapter, module, USUAL)


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_answer_otherwise_is_refused_with_the_reason(torch: Any, adapter: adapters.Adapter, name: str) -> None:
    tamper, words = REFUSED[name]
    with made(torch, USUAL, tamper) as module:
        with pytest.raises(adapters.NotOffered, match=words) as read:
            adapter.read(module)
        with pytest.raises(adapters.NotOffered) as ran:
            adapter.run(module, np.zeros((1, 1, 3), "float32"))
    assert str(read.value) == str(ran.value)
    assert "\n" not in str(read.value)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_weights_travel_too(torch: Any, adapter: adapters.Adapter, dtype: str) -> None:
    module = torch.nn.RNN(3, 5, batch_first=True, dtype=getattr(torch, dtype))
    x = torch.ones(2, 4, 3, dtype=module.weight_ih_l0.dtype)
    assert torch.equal(module(x)[0], adapter.build(*adapter.read(module))(x)[0])


def test_weights_loaded_after_a_parametrization_are_those_of_the_next_call(
    torch: Any, adapter: adapters.Adapter
) -> None:
    """The module is called first: what it computed with then is still kept in it, and is not what it loads."""
    module = torch.nn.utils.parametrizations.weight_norm(torch.nn.RNN(3, 5), "weight_hh_l0")
    x = torch.ones(4, 2, 3)
    module(x)
    module.load_state_dict({name: -2 * value for name, value in module.state_dict().items()})
    port = adapter.build(*adapter.read(module))
    assert torch.equal(port(x)[0], module(x)[0])


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("layout", [None, *LAYOUTS])
def test_a_module_is_called_in_the_layout_asked_for(
    torch: Any, adapter: adapters.Adapter, direction: str, layout: str | None
) -> None:
    case = draw_case(RNNSpec(3, 5, 2, direction), batch=2, time=4, h0=True)
    port = adapter.build(case.spec, case.parameters, layout=layout)
    assert port.batch_first is (layout != "time_first")
    x, h0 = torch.from_numpy(case.x), torch.from_numpy(case.h0)
    output, h_n = port(x if port.batch_first else x.transpose(0, 1).contiguous(), h0)
    answer = adapter.run(port, **case.inputs)
    assert np.array_equal(array_of(output if port.batch_first else output.transpose(0, 1)), answer.output)
    assert np.array_equal(array_of(h_n), answer.h_n)


@pytest.mark.parametrize("read", LAYOUTS)
@pytest.mark.parametrize("asked", [None, *LAYOUTS])
@pytest.mark.parametrize("name", ["torch", "torch-onnx"])
def test_the_layout_that_was_read_holds_where_none_is_asked_for(name: str, read: str, asked: str | None) -> None:
    adapter: Any = framework_adapter(name)
    spec = RNNSpec(3, 5, direction="reverse", layout=read, held=True)
    again, _ = adapter.read(adapter.build(spec, draw_parameters(spec), layout=asked))
    assert again == spec
    assert (again.layout == "time_first") is ((asked or read) == "time_first")
    assert again.held is False


@pytest.mark.parametrize("mode", ["eager", "train", "saved"])
def test_run_takes_every_layout_whatever_that_of_the_module_is(adapter: adapters.Adapter, mode: str) -> None:
    case = draw_case(RNNSpec(3, 5), batch=2, time=4)
    one, other = (adapter.build(case.spec, case.parameters, mode=mode, layout=layout) for layout in LAYOUTS[:2])
    assert np.array_equal(adapter.run(one, case.x).output, adapter.run(other, case.x).output)


# torch alone, from a folder of its own: what was saved here is loaded there, and called as it is
ELSEWHERE = """
import json, sys
import torch
torch.set_num_threads(1)
found = {"ours": [name for name in ("adapters", "reference", "tests") if name in sys.modules]}
for name, options in json.loads(sys.argv[1]).items():
    x, h0 = torch.load(name + ".inputs")
    loaded = torch.nn.RNN(**options)
    loaded.load_state_dict(torch.load(name + ".state", weights_only=True), strict=True)
    try:
        whole = torch.load(name + ".module", weights_only=False)
    except ModuleNotFoundError as error:
        found[name] = str(error)
        axis = 1 if options["batch_first"] else 0
        output, h_n = loaded(x.flip(axis), h0)
        answers = {"state": (output.flip(axis), h_n)}
    else:
        found[name] = type(whole).__module__, whole.batch_first
        answers = {"state": loaded(x, h0), "module": whole(x, h0)}
    torch.save({way: [value.detach() for value in answer] for way, answer in answers.items()}, name + ".answer")
print(json.dumps(found))
"""


def test_a_port_is_saved_and_loads_where_there_is_torch_alone(
    torch: Any, adapter: adapters.Adapter, tmp_path: Path
) -> None:
    options, expected = {}, {}
    for direction in DIRECTIONS:
        for layout in LAYOUTS[:2]:
            name = f"{direction}-{layout}"
            spec = RNNSpec(3, 5, 2, direction, "relu", layout=layout)
            case = draw_case(spec, batch=2, time=4, layout=layout, h0=True)
            port = adapter.build(spec, case.parameters)
            inputs = [torch.from_numpy(case.x), torch.from_numpy(case.h0)]
            expected[name] = [value.detach() for value in port(*inputs)]
            options[name] = {"input_size": 3, "hidden_size": 5, "num_layers": 2, "nonlinearity": "relu",
                             "batch_first": layout == "batch_first",
                             "bidirectional": direction == "bidirectional"}  # fmt: skip
            for what, saved in (("inputs", inputs), ("state", port.state_dict()), ("module", port)):
                torch.save(saved, tmp_path / f"{name}.{what}")
    command = [sys.executable, "-I", "-c", ELSEWHERE, json.dumps(options)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("ours") == []
    for name, said in found.items():
        answers = torch.load(tmp_path / f"{name}.answer")
        if name.startswith("reverse"):
            assert said == "No module named 'adapters'", "the class says so: torch has no such layer"
            assert list(answers) == ["state"]
        else:
            assert said == ["torch.nn.modules.rnn", name.endswith("batch_first")]
            assert list(answers) == ["state", "module"]
        for way, answer in answers.items():
            assert all(map(torch.equal, answer, expected[name])), (name, way)


SPEC = RNNSpec(3, 5)
WRONG_BUILDS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no device": ({"device": None}, ValueError, r"device: got None, expected one of cpu"),
    "an empty dtype": ({"dtype": ""}, ValueError, r"dtype: got '', expected one of float16"),
    "a dtype of NumPy": ({"dtype": np.float32}, ValueError, r"dtype: got <class 'numpy.float32'>, expected one of"),
    "an unknown mode": ({"mode": "quick"}, ValueError, r"mode: got 'quick', expected one of eager"),
    "no mode": ({"mode": None}, ValueError, r"mode: got None, expected one of eager"),
    "an unknown layout": ({"layout": "features_first"}, ValueError, r"layout: got 'features_first', expected one of"),
    "a generator": (
        {"parameters": (cell for cell in draw_parameters(SPEC))},
        TypeError,
        r"parameters: got generator, expected a sequence of CellParameters",
    ),
    "a mode of another framework": ({"mode": "functional"}, adapters.NotOffered, r"mode functional: "),
}


@pytest.mark.parametrize("name", ["torch", "torch-onnx"])
@pytest.mark.parametrize("wrong", WRONG_BUILDS)
def test_a_wrong_argument_of_build_is_named(name: str, wrong: str) -> None:
    arguments, error, words = WRONG_BUILDS[wrong]
    with pytest.raises(error, match=f"^{words}") as raised:
        framework_adapter(name).build(**{"spec": SPEC, "parameters": draw_parameters(SPEC)} | arguments)
    assert "\n" not in str(raised.value)


X = np.zeros((2, 4, 3), "float32")
WRONG_RUNS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no x": ({"x": None}, TypeError, r"x: got NoneType, expected a NumPy array"),
    "a list": ({"x": X.tolist()}, TypeError, r"x: got list, expected a NumPy array"),
    "another dtype": ({"x": X.astype("float64")}, ValueError, r"x dtype: got 'float64', expected float32"),
    "integers": ({"x": X.astype(int)}, TypeError, r"x: got dtype int64, expected one of float16"),
    "a list of states": ({"h0": [[[0.0] * 5] * 2]}, TypeError, r"h0: got list, expected a NumPy array"),
    "a word for lengths": ({"lengths": "full"}, TypeError, r"lengths: got dtype str\d*, expected integers"),
    "an unknown layout": ({"layout": "features_first"}, ValueError, r"layout: got 'features_first', expected one of"),
    "a mask": ({"mask": np.ones((2, 4), bool)}, adapters.NotOffered, r"mask True: torch.s layers take no mask"),
    "a list for a mask": ({"mask": [True]}, TypeError, r"mask: got list, expected an array of booleans"),
    "no module": ({"module": None}, adapters.NotOffered, r"module: got NoneType, expected"),
}


@pytest.mark.parametrize("name", ["torch", "torch-onnx"])
@pytest.mark.parametrize("wrong", WRONG_RUNS)
def test_a_wrong_argument_of_run_is_named(name: str, wrong: str) -> None:
    arguments, error, words = WRONG_RUNS[wrong]
    adapter: Any = framework_adapter(name)
    module = adapter.build(SPEC, draw_parameters(SPEC))
    with pytest.raises(error, match=f"^{words}") as raised:
        adapter.run(**{"module": module, "x": X} | arguments)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["torch", "torch-onnx"])
def test_an_unknown_activation_is_no_activation(name: str) -> None:
    """torch has a selu, and would answer."""
    adapter: Any = framework_adapter(name)
    with pytest.raises(ValueError, match=r"^nonlinearity: got 'selu', expected one of tanh, relu, sigmoid$"):
        adapter.activation(X, "selu")


def test_a_users_module_is_read_and_built_for_export(torch: Any) -> None:
    """As torch reads it, refusals included."""
    adapter: Any = framework_adapter("torch-onnx")
    module = torch.nn.RNN(3, 5, batch_first=True)
    exported = adapter.build(*adapter.read(module))
    assert adapter.read(exported)[0].layout == "batch_first"
    module.register_forward_hook(lambda module, args, output: None)
    with pytest.raises(adapters.NotOffered, match="got the forward hook <lambda>"):
        adapter.read(module)
    with pytest.raises(adapters.NotOffered, match=r"module: got RNN, expected what build returns"):
        adapter.run(module, X)


def test_the_users_default_device_is_not_that_of_a_port(torch: Any, adapter: adapters.Adapter) -> None:
    torch.set_default_device("meta")
    try:
        answer = adapter.run(adapter.build(SPEC, draw_parameters(SPEC)), X, lengths=[4, 2])
    finally:
        torch.set_default_device(None)
    assert np.isfinite(answer.output).all()


def test_a_reverse_module_of_both_directions_is_refused(torch: Any, adapter: adapters.Adapter) -> None:
    """Its forward half runs backwards, and its states come in the other order."""
    from adapters.torch.models import ReverseRNN

    with pytest.raises(adapters.NotOffered, match="got a bidirectional ReverseRNN, whose halves are exchanged"):
        adapter.read(ReverseRNN(3, 5, bidirectional=True))


def test_beyond_a_length_a_port_of_held_outputs_answers_zeros(torch: Any, adapter: adapters.Adapter) -> None:
    """What still differs, as build says: h_n and all outputs before are the same."""
    spec = RNNSpec(3, 5, layout="batch_first", held=True)
    case = draw_case(spec, batch=2, time=4, lengths=[2, 4])
    port, rnn = adapter.build(spec, case.parameters), torch.nn.utils.rnn
    packed, h_n = port(rnn.pack_padded_sequence(torch.from_numpy(case.x), [2, 4], True, enforce_sorted=False))
    output = array_of(rnn.pad_packed_sequence(packed, True)[0])
    assert not output[0, 2:].any()
    assert np.array_equal(output[0, 1], array_of(h_n)[0, 0])
