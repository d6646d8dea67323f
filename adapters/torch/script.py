"""torch's part of a stand-alone script: torch.nn.RNN as its own user writes it. It imports no torch here."""

from __future__ import annotations

import numpy as np

from reference import Case

from ..scripts.literals import text_literal
from ..scripts.script import Native, cell_suffix, expect_words, script


def torch_script(case: Case, device: str = "cpu") -> str:
    """The script of a case for torch.nn.RNN on a device, here or not; ValueError for what is no name of one."""
    expect_words(case, device)
    imports = ["import torch"]
    if _packed(case):
        imports.append("from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence")
    call = [_module(case), *_flip(case), f"{_context(device)}:"]
    call += [f"    {line}" for line in (*_weights(case), *_moved(device), *_run(case, device))]
    answer = {name: f"{name}.double(){'' if device == 'cpu' else '.cpu()'}.numpy()" for name in ("output", "h_n")}
    call.append(f'actual = {{"output": {answer["output"]}, "h_n": {answer["h_n"]}}}')
    versions = f'"torch", torch.__version__, {text_literal(f"on {device}")}'
    return script(case, Native("torch.nn.RNN", "torch", "\n".join(imports), versions, "\n".join(call)))


def _packed(case: Case) -> bool:
    """Whether the sequences are packed; torch packs no empty batch."""
    return case.lengths is not None and np.size(case.lengths) > 0


def _module(case: Case) -> str:
    spec = case.spec
    options = {
        "num_layers": str(spec.num_layers),
        "nonlinearity": text_literal(spec.nonlinearity),
        "bias": str(spec.bias),
        "batch_first": str(case.layout == "batch_first"),
        "bidirectional": str(spec.direction == "bidirectional"),
        "dtype": f"torch.{case.dtype}",
    }
    given = "".join(f"    {name}={value},\n" for name, value in options.items())
    return f"rnn = torch.nn.RNN(\n    {spec.input_size},\n    {spec.hidden_size},\n{given})"


def _flip(case: Case) -> list[str]:
    """How each sequence is flipped, where torch.nn.RNN is to run in the reverse direction alone."""
    if case.spec.direction != "reverse":
        return []
    says = "# torch.nn.RNN has no reverse direction alone: each sequence is flipped before it and after it."
    if not _packed(case):
        return [says]
    place = "row, :length" if case.layout == "batch_first" else ":length, row"
    return [
        f"""{says}


def flip(sequence):
    \"\"\"Each sequence from its last valid step to its first; what lies beyond stays.\"\"\"
    flipped = sequence.clone()
    for row, length in enumerate(lengths):
        flipped[{place}] = sequence[{place}].flip(0)
    return flipped

"""
    ]


def _context(device: str) -> str:
    exact = ", torch.backends.cudnn.flags(allow_tf32=False)" if device.startswith("cuda") else ""
    return f"with torch.no_grad(){exact}"


def _weights(case: Case) -> list[str]:
    names = [
        f"{name}_{cell_suffix(case, index)}" for index, cell in enumerate(case.parameters) for name in cell.arrays()
    ]
    native = [name.replace("w_", "weight_").replace("b_", "bias_") for name in names]
    return [f"rnn.{there}.copy_(torch.from_numpy({here}))" for there, here in zip(native, names, strict=True)]


def _moved(device: str) -> list[str]:
    return ["rnn.eval()" if device == "cpu" else f"rnn.to({text_literal(device)}).eval()"]


def _run(case: Case, device: str) -> list[str]:
    """The call, from the NumPy arrays to `output` and `h_n`."""
    packed, reverse = _packed(case), case.spec.direction == "reverse"
    batched = "[:, None]" if packed and case.layout == "unbatched" else ""  # packed sequences are batched
    first = case.layout == "batch_first"
    time = 1 if first else 0
    flipped = "flip({})" if packed else f"{{}}.flip({time})"
    start = "" if case.h0 is None else f", {_tensor(case, f'h0{batched}', device)}"
    lines = [f"sequence = {_tensor(case, f'x{batched}', device)}"]
    if reverse:
        lines.append(f"sequence = {flipped.format('sequence')}")
    if packed:
        lines.append(f"sequence = pack_padded_sequence(sequence, lengths, batch_first={first}, enforce_sorted=False)")
    lines.append(f"output, h_n = rnn(sequence{start})")
    if packed:
        lines.append(f"output, _ = pad_packed_sequence(output, batch_first={first}, total_length={case.x.shape[time]})")
    if reverse:
        lines.append(f"output = {flipped.format('output')}")
    if batched:
        lines.append("output, h_n = output[:, 0], h_n[:, 0]")
    return lines


def _tensor(case: Case, array: str, device: str) -> str:
    """A tensor of an array of the script, in the case's dtype and on the device."""
    moved = [text_literal(device)] * (device != "cpu") + ["torch.bfloat16"] * (case.dtype == "bfloat16")
    return f"torch.from_numpy({array})" + (f".to({', '.join(moved)})" if moved else "")
