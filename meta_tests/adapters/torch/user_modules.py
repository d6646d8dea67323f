"""What users do to a torch.nn.RNN once it is made. No test is here; test_read_torch.py and test_port_torch.py use it.

Each takes torch, a module and `undo`, which is given what must be called afterwards, and gives the module.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

Undo = Callable[[Callable[[], Any]], Any]
Tampering = Callable[[Any, Any, Undo], Any]


def sets(name: str, value: Callable[[Any], Any]) -> Tampering:
    """An attribute set later."""

    def tamper(torch: Any, module: Any, undo: Undo) -> Any:
        setattr(module, name, value(module))
        return module

    return tamper


def weight(name: str, change: Callable[[Any, Any], Any]) -> Tampering:
    """A parameter replaced by another."""

    def tamper(torch: Any, module: Any, undo: Undo) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # quantized tensors are deprecated
            changed = change(torch, getattr(module, name).detach())
        setattr(module, name, torch.nn.Parameter(changed, requires_grad=changed.is_floating_point()))
        return module

    return tamper


def hook(register: str, answer: Callable[..., Any], everywhere: bool = False, **options: Any) -> Tampering:
    def tamper(torch: Any, module: Any, undo: Undo) -> Any:
        owner = torch.nn.modules.module if everywhere else module
        undo(getattr(owner, register)(answer, **options).remove)
        return module

    return tamper


def subclass(make: Callable[[Any, type], dict[str, Any]]) -> Tampering:
    """The module becomes one of a subclass with these names."""

    def tamper(torch: Any, module: Any, undo: Undo) -> Any:
        kind = type(module)
        module.__class__ = type("Mine", (kind,), make(torch, kind))
        return module

    return tamper


def norm(make: Callable[[Any], Callable[..., Any]]) -> Tampering:
    """Of the recurrent weight; then all that is trained is loaded anew, as from a file."""

    def tamper(torch: Any, module: Any, undo: Undo) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            module = make(torch)(module)
        state = {name: value + 0.25 * value.sin() if "weight" in name else value
                 for name, value in module.state_dict().items()}  # fmt: skip
        module.load_state_dict(state)
        return module

    return tamper


def doubled(output: Any) -> Any:
    return output[0], 2 * output[1]


def twice(kind: type, name: str) -> Callable[..., Any]:
    """A method of a subclass that doubles h_n, whatever else it does."""
    return lambda self, *args, **kwargs: doubled(getattr(kind, name)(self, *args, **kwargs))


def mixin(torch: Any, module: Any, undo: Undo) -> Any:
    """Its method comes after torch.nn.RNN's own, and before those of RNNBase."""
    base = torch.nn.modules.rnn.RNNBase
    mixed = type("Mixed", (base,), {"permute_hidden": lambda self, hx, permutation: 2 * hx})
    module.__class__ = type("Mine", (type(module), mixed), {})
    return module


def parametrization(forward: Callable[..., Any]) -> Callable[[Any], Callable[..., Any]]:
    def make(torch: Any) -> Callable[..., Any]:
        kind = type("Own", (torch.nn.Module,), {"forward": forward})
        return lambda module: torch.nn.utils.parametrize.register_parametrization(module, "weight_hh_l0", kind())

    return make


def removed(make: Callable[[Any], Callable[..., Any]], remove: Callable[[Any], Callable[..., Any]]) -> Tampering:
    """A norm that is taken away again, which leaves what it computed."""

    def tamper(torch: Any, module: Any, undo: Undo) -> Any:
        module = norm(make)(torch, module, undo)
        return remove(torch)(module)

    return tamper


def hooked_parametrization(torch: Any, module: Any, undo: Undo) -> Any:
    module = torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    module.parametrizations.weight_hh_l0[0].register_forward_hook(lambda module, args, answer: 2 * answer)
    return module


def spectral_norm(training: bool) -> Tampering:
    def tamper(torch: Any, module: Any, undo: Undo) -> Any:
        return torch.nn.utils.parametrizations.spectral_norm(module, "weight_hh_l0").train(training)

    return tamper


def within(name: str, value: Callable[[Any, Any], Any]) -> Tampering:
    """A parameter replaced where torch does not see it happen."""

    def tamper(torch: Any, module: Any, undo: Undo) -> Any:
        module._parameters[name] = torch.nn.Parameter(value(torch, module._parameters[name].detach()))
        return module

    return tamper


def flat(change: Callable[[Any], Any]) -> Tampering:
    def tamper(torch: Any, module: Any, undo: Undo) -> Any:
        change(module)
        return module

    return tamper


def tied(torch: Any, module: Any, undo: Undo) -> Any:
    module.bias_hh_l0 = module.bias_ih_l0
    return module


def saved(torch: Any, module: Any, undo: Undo) -> Any:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)  # its own, just written


def faked(torch: Any, module: Any, undo: Undo) -> Any:
    with import_module("torch._subclasses.fake_tensor").FakeTensorMode(allow_non_fake_inputs=True) as mode:
        module.weight_hh_l0 = mode.from_tensor(module.weight_hh_l0)
    return module


def swapped(module: Any) -> None:
    """Two weights that may have one shape exchange their names."""
    names = module._flat_weights_names
    names[0], names[1] = names[1], names[0]


OWN = r"module: got Mine, whose {} is its own: it may compute anything"
ITSELF = r"module: got \w*RNN, whose {} is its own: it may compute anything"

# name -> the tampering, and the words of the refusal
REFUSED: dict[str, tuple[Tampering, str]] = {
    "forward hook": (
        hook("register_forward_hook", lambda module, args, output: doubled(output)),
        r"module: got the forward hook <lambda>, which may change the answer; remove it first",
    ),
    "forward hook with kwargs": (
        hook("register_forward_hook", lambda module, args, kwargs, output: doubled(output), with_kwargs=True),
        "forward hook",
    ),
    "forward pre-hook": (
        hook("register_forward_pre_hook", lambda module, args: (args[0], None)),
        "got the forward pre-hook",
    ),
    "forward pre-hook with kwargs": (
        hook("register_forward_pre_hook", lambda module, args, kwargs: ((args[0], None), {}), with_kwargs=True),
        "got the forward pre-hook",
    ),
    "forward hook of all modules": (
        hook("register_module_forward_hook", lambda module, args, output: doubled(output), everywhere=True),
        "got the forward hook of all modules",
    ),
    "forward pre-hook of all modules": (
        hook("register_module_forward_pre_hook", lambda module, args: (args[0], None), everywhere=True),
        "got the forward pre-hook of all modules",
    ),
    "old weight_norm": (norm(lambda t: lambda m: t.nn.utils.weight_norm(m, "weight_hh_l0")), "pre-hook WeightNorm"),
    "old spectral_norm": (
        norm(lambda t: lambda m: t.nn.utils.spectral_norm(m, "weight_hh_l0")),
        "pre-hook SpectralNorm",
    ),
    "prune": (
        norm(lambda t: lambda m: import_module("torch.nn.utils.prune").l1_unstructured(m, "weight_ih_l0", 0.5)),
        "pre-hook L1Unstructured",
    ),
    "forward of the instance": (
        sets("forward", lambda m: lambda x, hx=None: doubled(type(m).forward(m, x, hx))),
        ITSELF.format("forward"),
    ),
    "check_input of the instance": (sets("check_input", lambda m: lambda *a: None), ITSELF.format("check_input")),
    "permute_hidden of the instance": (
        sets("permute_hidden", lambda m: lambda hx, permutation: 2 * hx),
        ITSELF.format("permute_hidden"),
    ),
    "compile of the instance": (  # what m.compile() sets
        sets("_compiled_call_impl", lambda m: lambda *args, **kwargs: doubled(type(m).forward(m, *args, **kwargs))),
        ITSELF.format("_compiled_call_impl"),
    ),
    "forward of a subclass": (subclass(lambda t, k: {"forward": twice(k, "forward")}), OWN.format("forward")),
    "__call__ of a subclass": (subclass(lambda t, k: {"__call__": twice(k, "__call__")}), OWN.format("__call__")),
    "_call_impl of a subclass": (
        subclass(lambda t, k: {"_call_impl": twice(k, "_call_impl")}),
        OWN.format("_call_impl"),
    ),
    "check_forward_args of a subclass": (
        subclass(lambda t, k: {"check_forward_args": lambda self, x, hidden, sizes: hidden.mul_(2)}),
        OWN.format("check_forward_args"),
    ),
    "__getattr__ of a subclass": (
        subclass(lambda t, k: {"__getattr__": lambda self, name: k.__getattr__(self, name)}),
        OWN.format("__getattr__"),
    ),
    "__getattribute__ of a subclass": (
        subclass(lambda t, k: {"__getattribute__": lambda self, name: k.__getattribute__(self, name)}),
        OWN.format("__getattribute__"),
    ),
    "__setattr__ of a subclass": (
        subclass(lambda t, k: {"__setattr__": lambda self, name, value: k.__setattr__(self, name, value)}),
        OWN.format("__setattr__"),
    ),
    "mode of a subclass": (
        subclass(lambda t, k: {"mode": property(lambda self: "RNN_RELU", lambda self, value: None)}),
        OWN.format("mode"),
    ),
    "training of a subclass": (
        subclass(lambda t, k: {"training": property(lambda self: True)}),
        OWN.format("training"),
    ),
    "a weight of a subclass": (
        subclass(lambda t, k: {"weight_hh_l0": property(lambda self: 2 * self._parameters["weight_hh_l0"])}),
        OWN.format("weight_hh_l0"),
    ),
    "a base class in between": (mixin, r"module: got Mixed, whose permute_hidden is its own|got Mine, whose permute"),
    "mode": (sets("mode", lambda m: "LSTM"), r"module mode: got 'LSTM', expected RNN_TANH or RNN_RELU"),
    "mode that is no word": (sets("mode", lambda m: 1), r"module mode: got 1, expected str"),
    "bidirectional": (sets("bidirectional", lambda m: not m.bidirectional), "got weights of another layer|Reverse"),
    "num_layers": (sets("num_layers", lambda m: m.num_layers + 1), "got weights of another layer"),
    "no num_layers": (sets("num_layers", lambda m: 0), "module num_layers: got 0, expected an integer of at least 1"),
    "bias": (sets("bias", lambda m: not m.bias), "got weights of another layer"),
    "hidden_size": (sets("hidden_size", lambda m: m.hidden_size + 1), r"module weight_ih_l0: got shape"),
    "input_size": (sets("input_size", lambda m: m.input_size + 1), r"module weight_ih_l0: got shape"),
    "proj_size": (sets("proj_size", lambda m: 1), r"module proj_size: got 1, expected 0"),
    "batch_first that is no bool": (
        sets("batch_first", lambda m: "no"),
        r"module batch_first: got 'no', expected bool",
    ),
    "dropout that is no number": (sets("dropout", lambda m: None), r"module dropout: got None, expected float"),
    "a weight too wide": (
        weight("weight_hh_l0", lambda t, w: t.cat([w, w[:, :1]], 1)),
        r"module weight_hh_l0: got shape \(\d, \d\), expected \(\d, \d\)",
    ),
    "a weight too wide, unseen": (
        within("weight_hh_l0", lambda t, w: t.cat([w, w[:, :1]], 1)),
        "weight_hh_l0: got shape",
    ),
    "a weight of another dtype": (
        weight("weight_hh_l0", lambda t, w: w.to(t.float16)),
        r"module weight_hh_l0: got dtype torch.float16 on cpu, expected torch.float\d\d on cpu, as weight_ih_l0",
    ),
    "a weight of complex numbers": (weight("weight_ih_l0", lambda t, w: w + 0j), "got dtype torch.complex"),
    "a weight of integers": (weight("weight_ih_l0", lambda t, w: w.to(t.int8)), "got dtype torch.int8"),
    "a quantized weight": (
        weight("weight_ih_l0", lambda t, w: t.quantize_per_tensor(w.float(), 0.1, 0, t.qint8)),
        "got dtype torch.qint8",
    ),
    "a sparse weight": (
        weight("weight_hh_l0", lambda t, w: w.to_sparse()),
        "got layout torch.sparse_coo, expected a dense",
    ),
    "a weight on meta": (weight("weight_hh_l0", lambda t, w: w.to("meta")), "on the device meta, which has no values"),
    "all on meta": (flat(lambda m: m.to("meta")), "on the device meta, which has no values"),
    "a fake weight": (faked, "weight_hh_l0: got FakeTensor, expected a plain tensor"),
    "a weight deleted": (
        flat(lambda m: delattr(m, "weight_hh_l0")),
        "got another tensor than the one in _flat_weights",
    ),
    "another flat weight": (
        flat(lambda m: m._flat_weights.__setitem__(1, 2 * m.weight_hh_l0.detach())),
        "module weight_hh_l0: got another tensor than the one in _flat_weights that torch computes with",
    ),
    "flat weights of other names": (flat(swapped), "got weights of another layer"),
    "too few flat weights": (flat(lambda m: m._flat_weights.pop()), "got weights of another layer"),
    "a parametrization of one's own": (
        norm(parametrization(lambda self, w: 0.5 * w)),
        "got weight_hh_l0 computed by Own, which may compute anything; remove the parametrization first",
    ),
    "a parametrization with a hook": (hooked_parametrization, "module weight_hh_l0: got the forward hook"),
    "spectral_norm in training": (spectral_norm(True), "got spectral_norm in training, expected eval"),
}

# what changes nothing that is not read
READ: dict[str, Tampering] = {
    "nothing": flat(lambda m: None),
    "nonlinearity": sets("nonlinearity", lambda m: "relu" if m.nonlinearity == "tanh" else "tanh"),
    "mode": sets("mode", lambda m: "RNN_RELU" if m.mode == "RNN_TANH" else "RNN_TANH"),
    "batch_first": sets("batch_first", lambda m: not m.batch_first),
    "dropout of one layer": sets("dropout", lambda m: 0.5 if m.num_layers == 1 else m.dropout),
    "a weight replaced": weight("weight_hh_l0", lambda t, w: w.sin()),
    "a weight replaced, unseen": within("weight_hh_l0", lambda t, w: w.sin()),
    "a weight in place": flat(lambda m: m.weight_hh_l0.data.mul_(2)),
    "the sign of a view": within("weight_hh_l0", lambda t, w: t._neg_view(w)),
    "biases tied": tied,
    "backward hook": hook("register_full_backward_hook", lambda module, grad_input, grad_output: None),
    "backward pre-hook": hook("register_full_backward_pre_hook", lambda module, grad_output: None),
    "hook of the state": hook("register_state_dict_post_hook", lambda module, state, prefix, metadata: None),
    "an attribute beside": sets("note", lambda m: "mine"),
    "a subclass": subclass(
        lambda t, k: {
            **{"__init__": None, "reset_parameters": None, "extra_repr": lambda self: "", "help": 3},
            **{"train": lambda self, mode=True: self, "__len__": lambda self: 0, "note": None},
        }
    ),
    "train of the instance": sets("train", lambda m: lambda mode=True: m),
    "a copy": lambda torch, module, undo: copy.deepcopy(module),
    "saved and loaded": saved,
    "weight_norm": norm(lambda t: lambda m: t.nn.utils.parametrizations.weight_norm(m, "weight_hh_l0")),
    "orthogonal": norm(lambda t: lambda m: t.nn.utils.parametrizations.orthogonal(m, "weight_hh_l0")),
    "spectral_norm in eval": spectral_norm(False),
    "weight_norm removed": removed(
        lambda t: lambda m: t.nn.utils.parametrizations.weight_norm(m, "weight_hh_l0"),
        lambda t: lambda m: t.nn.utils.parametrize.remove_parametrizations(m, "weight_hh_l0"),
    ),
    "old weight_norm removed": removed(
        lambda t: lambda m: t.nn.utils.weight_norm(m, "weight_hh_l0"),
        lambda t: lambda m: t.nn.utils.remove_weight_norm(m, "weight_hh_l0"),
    ),
    "prune removed": removed(
        lambda t: lambda m: import_module("torch.nn.utils.prune").l1_unstructured(m, "weight_ih_l0", 0.5),
        lambda t: lambda m: import_module("torch.nn.utils.prune").remove(m, "weight_ih_l0"),
    ),
}
