"""python -m meta_tests.make_conventions_page: write into docs/conventions.md what the adapters' mappings say.

The tables of weights and states are made so, and the rest of the page is kept by hand. To be run again whenever a
mapping changes, which meta_tests/repository/test_generated_pages.py notices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from adapters.equinox import mapping as equinox
from adapters.flax import mapping as flax
from adapters.keras import mapping as keras
from adapters.mapping import Array, Native
from adapters.mlx import mapping as mlx
from adapters.onnx import mapping as onnx
from adapters.paddle import mapping as paddle
from adapters.torch import mapping as torch
from reference.files import write_atomically

from .common.regions import replaced

PAGE = Path(__file__).parents[1] / "docs" / "conventions.md"
CELLS = {
    "elman": "The Elman cell",
    "gru": "GRU, reset after the product",
    "gru_reset_before": "GRU, reset before the product",
    "lstm": "LSTM",
}
# framework -> its mapping, and the name of its layer of each cell
LAYERS: dict[str, tuple[Mapping[str, Native], Mapping[str, str]]] = {
    "torch": (torch.MAPPING, {"elman": "torch.nn.RNN", "gru": "torch.nn.GRU", "lstm": "torch.nn.LSTM"}),
    "Keras": (keras.MAPPING, {cell: name + _told for cell, (name, words) in keras.KINDS.items()
                              for _told in ["".join(f", {word}={of}" for word, of in words.items())]}),
    "Flax": (flax.MAPPING, {"elman": "nnx.SimpleCell", "gru": "nnx.GRUCell", "lstm": "nnx.OptimizedLSTMCell"}),
    "Equinox": (equinox.MAPPING, {"gru": "eqx.nn.GRUCell", "lstm": "eqx.nn.LSTMCell"}),
    "MLX": (mlx.MAPPING, {"elman": "mlx.nn.RNN", "gru": "mlx.nn.GRU", "lstm": "mlx.nn.LSTM"}),
    "ONNX": (onnx.MAPPING, {"gru": "GRU, linear_before_reset=1", "gru_reset_before": "GRU, linear_before_reset=0",
                            "elman": "RNN", "lstm": "LSTM"}),
    "Paddle": (paddle.MAPPING, {"elman": "SimpleRNN", "gru": "GRU", "lstm": "LSTM"}),
}  # fmt: skip
JOINED = {
    "added": "their sum",
    "added but apart": "their sum, but for the gate n of `b_hh`",
    "stacked": "the rows of one array",
    "end to end": "end to end",
}


def page(text: str) -> str:
    """The page with its tables made anew."""
    return replaced(text, "weights", "\n".join(_sections()))


def _sections() -> Iterator[str]:
    for cell, title in CELLS.items():
        rows = {name: (mapping[cell], names[cell]) for name, (mapping, names) in LAYERS.items() if cell in mapping}
        yield f"### {title}\n"
        yield "| framework | layer | its arrays, and what of ours they hold | gates | units are | states |"
        yield "|---|---|---|---|---|---|"
        for framework, (layer, name) in rows.items():
            arrays = "; ".join(f"`{array}`: {_held(of)}" for array, of in layer.arrays.items())
            gates = " ".join(layer.arrays[next(iter(layer.arrays))].gates) or "-"
            units = "columns" if any(array.columns for array in layer.arrays.values()) else "rows"
            yield f"| {framework} | `{name}` | {arrays} | {gates} | {units} | {', '.join(layer.states)} |"
        without = [framework for framework in LAYERS if framework not in rows]
        yield f"\nNo such layer: {' and '.join(without)}.\n" if without else ""


def _held(array: Array) -> str:
    some = f", of the gates {' '.join(array.gates)}" if array.of == ("w_peephole",) else ""
    some = some or (f", of the gate {array.gates[0]}" if len(array.gates) == 1 and array.gates[0] else "")
    names = " and ".join(f"`{of}`" for of in array.of)
    return (f"{names}, {JOINED[array.joined]}" if len(array.of) > 1 else names) + some


if __name__ == "__main__":
    write_atomically(PAGE, page(PAGE.read_text(encoding="utf-8")))
