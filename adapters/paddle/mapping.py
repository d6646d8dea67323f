"""How Paddle's cells keep their weights: as torch's do, but for the projection of an LSTM, which lies the other way."""

from __future__ import annotations

from ..mapping import Array
from ..torch import mapping as torch

_arrays = {name: array for name, array in torch.MAPPING["lstm"].arrays.items() if name != "weight_hr"}
# cell -> paddle.nn's cell; the layers of several cells share these arrays with their cells
MAPPING = torch.MAPPING | {
    "lstm": torch.MAPPING["lstm"]._replace(arrays={**_arrays, "weight_ho": Array(("w_hr",), columns=True)})
}
