"""torch's part of a stand-alone script: torch.nn.RNN as its own user writes it. It imports no torch here."""

from __future__ import annotations

from reference import Case

from ..scripts.script import Native, cell_suffix, script

NATIVE = Native(
    title="torch.nn.RNN",
    package="torch",
    imports="""
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  #? packed
""",
    versions='"torch", torch.__version__, "on", $device',
    call='''
rnn = torch.nn.RNN(
    $input_size,
    $hidden_size,
    num_layers=$num_layers,
    nonlinearity="$nonlinearity",
    bias=$bias,
    batch_first=$batch_first,
    bidirectional=$bidirectional,
    dtype=torch.$dtype,
)
# torch.nn.RNN has no reverse direction alone: each sequence is flipped before it and after it.  #? reverse
#? reverse packed

def flip(sequence):
    """Each sequence from its last valid step to its first; what lies beyond stays."""
    flipped = sequence.clone()
    for row, length in enumerate(lengths):
        flipped[$row] = sequence[$row].flip(0)
    return flipped


#?
with torch.no_grad():  #? cpu
with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):  #? !cpu
    $copies
    rnn.to($device).eval()
    sequence = torch.from_numpy(x).to($device, torch.$dtype)
    start = torch.from_numpy(h0).to($device, torch.$dtype)  #? h0
    sequence = sequence[:, None]  #? unbatched packed
    start = start[:, None]  #? unbatched packed h0
    sequence = flip(sequence)  #? reverse packed
    sequence = sequence.flip($axis)  #? reverse !packed
    sequence = pack_padded_sequence(sequence, lengths, batch_first=$batch_first, enforce_sorted=False)  #? packed
    output, h_n = rnn(sequence)  #? !h0
    output, h_n = rnn(sequence, start)  #? h0
    output, _ = pad_packed_sequence(output, batch_first=$batch_first, total_length=$time)  #? packed
    output = flip(output)  #? reverse packed
    output = output.flip($axis)  #? reverse !packed
    output, h_n = output[:, 0], h_n[:, 0]  #? unbatched packed
actual = {"output": output.double().cpu().numpy(), "h_n": h_n.double().cpu().numpy()}
''',
)


def torch_script(case: Case, device: str = "cpu") -> str:
    """The script of a case for torch.nn.RNN on a device, here or not; ValueError for what is no name of one.

    Sequences are packed where there are lengths, but for an empty batch, which torch does not pack; packed sequences
    are batched.
    """
    names = [
        f"{name}_{cell_suffix(case, index)}" for index, cell in enumerate(case.parameters) for name in cell.arrays()
    ]
    native = [name.replace("w_", "weight_").replace("b_", "bias_") for name in names]
    copies = [f"rnn.{there}.copy_(torch.from_numpy({here}))" for there, here in zip(native, names, strict=True)]
    first = case.layout == "batch_first"
    places = {"axis": 1, "row": "row, :length"} if first else {"axis": 0, "row": ":length, row"}
    return script(case, NATIVE, device, {"copies": "\n".join(copies), **places})
