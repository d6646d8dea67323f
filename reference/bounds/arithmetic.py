"""Arithmetics: what a framework promises to compute in, and how far each operation may round.

The constants of the error bounds live here and nowhere else; docs/error-bounds.md derives or measures each.
"""

import functools
import math
from dataclasses import dataclass, replace

# A3: |computed tanh(a) - tanh(a)| <= ACTIVATION_UNITS * u * |tanh(a)|, by storage dtype.
# Wide dtypes: worst seen 8.4 u (docs/error-bounds.md, table A3), with room for other machines.
# Narrow dtypes: computed in float32 and rounded once, 1 u; sweeps over every argument confirm it.
ACTIVATION_UNITS = {"float64": 16.0, "float32": 16.0, "float16": 2.0, "bfloat16": 2.0}
# The same of the sigmoid, measured inside the frameworks' layers; 16 bits: worst 2.5 u.
SIGMOID_UNITS = {"float64": 16.0, "float32": 16.0, "float16": 4.0, "bfloat16": 4.0}
# A tanh that is computed as 2 sigmoid(2 a) - 1, as ONNX Runtime's RNN does: off by so many u of 1, beside A3.
# Worst seen 3.0 (float32, all of [-20, 20]), with the same room as A3.
SIGMOID_TANH_UNITS = 6.0
# A sigmoid that is off by so many u of 1 beside A3, as inside ONNX Runtime's GRU and LSTM: exactly 0 from -18 down.
# Worst seen 2.8 (float32, all of [-20, 20]), with the same room.
ABSOLUTE_SIGMOID_UNITS = 6.0
# The same of one whose argument is clamped to [-18, 18], as in tract: from -18 down it is 7.5 u of 1, and never 0.
# Worst seen 7.5 (float32, all of [-25, 25]), with the same room.
CLAMPED_SIGMOID_UNITS = 15.0
# tanh and sigmoid that are computed in float16, as in tract 0.23.0: off by so many u of 1, beside A3. Worst seen 2.1,
# of every argument: a sigmoid is 2 u from -6.9 down, and a tanh near 1 has an error of 4.1 u.
ALL_FLOAT16_UNITS = 5.0
# The same of a sigmoid whose exp is 2^(x log2 e), as in MLX: that product, of at most 128, and log2 e are rounded by u
# each, so that the answer is off by 2 * 128 * ln 2 = 178 u beside A3. Worst seen 65 u (float32, all of [-86, 20]).
FAST_EXP_UNITS = 178.0
# Beyond this a sigmoid may be NaN, as XNNPACK's is on processors with AVX512: what is left of the argument after its
# reduction is so large that its square overflows. Smallest such argument seen: 2^88.53.
SIGMOID_END = 2.0**88
# A tanh that is off by so many smallest normal numbers, beside A3, as tract's: a quotient of polynomials, in which the
# argument times 0.00489 underflows first. 1 / 0.00489 = 204.5.
EARLY_TANH = 205.0

# A2: roundings of a sum of n terms beside the n - 1 additions and the product: one, for a conversion.
EXTRA_ROUNDINGS = 1
# A5: times that a partial sum is rounded to storage when the accumulator is wider than it: after either
# matrix product, after adding either bias, after adding the products.
STORED_ROUNDINGS = 5
# A5: units that one addition may cost in the float32 accumulator of a matrix unit: NVIDIA's truncate each of the 4 or
# more products of a block, the accumulator and the sum, each to 2 u of the largest (Fasi, Higham, Mikaitis and Pranesh,
# Numerical behavior of NVIDIA tensor cores, PeerJ Computer Science 7:e330, 2021): (4 + 2) / 4 * 2 < 4.
MATRIX_UNIT_UNITS = 4.0
# Relative rounding of an operand whose weights are rounded to 8 bits by up to the whole of 2 u, and the other operands
# by u: (1 + 1.5 u)^2 > (1 + 2 u) (1 + u). OpenVINO rounds weights so: those whose last bit kept is even are cut off.
CUT_WEIGHTS = 1.5 * 2.0**-8


@dataclass(frozen=True)
class Arithmetic:
    """A declared arithmetic.

    name: the word that declares it.  storage: dtype of parameters, inputs, states and outputs.
    unit_roundoff: u of storage, half the distance from 1 to the next number.
    accumulator_roundoff: u of the additions inside a matrix product; storage's own unless a matrix unit makes them.
    operand_roundoff: relative rounding of a product's operands before it; 0 unless they are narrowed (TF32).
    computed: dtype of operands and activations, where all is computed in a narrower one than storage; else storage.
    smallest_normal, largest: of `computed`; what lies below or above may be flushed or overflow.
    accumulator_smallest_normal: the same of the accumulator.
    tanh_floor, sigmoid_floor: absolute error of the computed tanh and sigmoid, beside the relative one of A3; 0 unless
        one is declared.
    sigmoid_units: relative error of the computed sigmoid, in u, beside that of A3.
    sigmoid_end: of a finite argument that is farther from 0 the computed sigmoid may be NaN.
    added_by_step: whether gradients of weights are added up step by step, rounded to storage after each (A5').
    """

    name: str
    storage: str
    unit_roundoff: float
    accumulator_roundoff: float
    operand_roundoff: float
    computed: str
    smallest_normal: float
    largest: float
    accumulator_smallest_normal: float
    tanh_floor: float = 0.0
    sigmoid_floor: float = 0.0
    sigmoid_units: float = 0.0
    sigmoid_end: float = math.inf
    added_by_step: bool = False

    def __hash__(self) -> int:
        return hash(self.name)  # of all fields it would take longer than what is cached

    @property
    def operation_roundoff(self) -> float:
        """u of one elementwise operation: of the format in which all is computed."""
        return 2.0 ** -_FORMATS[self.computed][0]

    @property
    def shown_roundoff(self) -> float:
        """How far, relatively, a state that is shown may lie from the one that is fed back: it is rounded to storage
        where all is computed in a wider format."""
        return self.operand_roundoff if self.operand_roundoff == self.unit_roundoff else 0.0

    @functools.cache  # noqa: B019 (there are few arithmetics)
    def gain(self, terms: int, others: int = 0) -> float:
        """Largest relative error of a sum of `terms` products and biases, in any order, fused or not.

        Relative to the sum of the absolute values: (1 + u)^k - 1, which is never above Higham's gamma_k
        (Accuracy and Stability of Numerical Algorithms, 2nd ed., lemma 3.1) and holds for every k.
        others: those of the terms that are neither; a partial sum is rounded to storage once more for each.
        """
        logarithm = (terms + EXTRA_ROUNDINGS) * math.log1p(self.accumulator_roundoff)
        logarithm += 2 * math.log1p(self.operand_roundoff)
        if self.wide:
            logarithm += (STORED_ROUNDINGS + others) * math.log1p(self.unit_roundoff)
        return math.expm1(min(logarithm, 700.0))

    @functools.cache  # noqa: B019
    def spread(self, terms: int, others: int = 0) -> tuple[float, float]:
        """(alpha, beta): such a sum of exact value a is off by at most alpha * (sum of absolute values) + beta * |a|.

        Errors of additions add up without growing, and each is at most u times a partial sum, which is at most
        (sum of absolute values + |a|) / 2 but for its own error: about half of `gain` where terms cancel.
        """
        gain = self.gain(terms, others)
        product = math.expm1(2 * math.log1p(self.operand_roundoff) + math.log1p(self.accumulator_roundoff))
        additions = (terms - 1 + EXTRA_ROUNDINGS) * self.accumulator_roundoff
        if self.wide:
            additions += (STORED_ROUNDINGS + others) * self.unit_roundoff
        alpha = product + additions * (0.5 + gain)
        return (alpha, additions / 2) if alpha < gain else (gain, 0.0)

    @property
    def wide(self) -> bool:
        """Whether matrix products add up in more digits than storage has."""
        return self.accumulator_roundoff < self.unit_roundoff

    @property
    def narrow(self) -> bool:
        """Whether operands are rounded to a format of fewer digits than storage's, and maybe of smaller range."""
        return self.computed != self.storage

    @functools.cache  # noqa: B019
    def underflow(self, terms: int, others: int = 0) -> float:
        """The most that such a sum may lose below the smallest normal numbers (A4), later roundings included.

        The smallest normal number for each product, addition and bias, of the format that holds it: at most
        2 * terms, and from a wide accumulator STORED_ROUNDINGS and two biases in storage.
        """
        lost = 2 * terms * self.accumulator_smallest_normal
        if self.wide:
            lost += (STORED_ROUNDINGS + 2 + others) * self.smallest_normal
        return (1 + self.gain(terms, others)) * lost

    def activation_error(self, nonlinearity: str) -> float:
        """Largest relative error of the computed activation. Raises KeyError for another word.

        relu is exact, but for a rounding to the format in which all is computed, where sums are kept in a wider one.
        """
        u = 2.0 ** -_FORMATS[self.computed][0]
        rounded = u if self.narrow and self.accumulator_roundoff < u else 0.0
        units = {
            "tanh": ACTIVATION_UNITS[self.computed] * u,
            "sigmoid": (SIGMOID_UNITS[self.computed] + self.sigmoid_units) * u,
        }
        return {**units, "relu": rounded}[nonlinearity]

    def activation_floor(self, nonlinearity: str) -> float:
        """Absolute error of the computed activation, beside the relative one. Raises KeyError for another word."""
        return {"tanh": self.tanh_floor, "sigmoid": self.sigmoid_floor, "relu": 0.0}[nonlinearity]


def _declare(
    name: str,
    storage: str,
    accumulator: str | None = None,
    operand_bits: int | None = None,
    computed: str | None = None,
) -> Arithmetic:
    """An arithmetic from the formats' IEEE 754 parameters: significand bits, smallest and largest exponent."""
    computed = computed or storage
    bits, low, high = _FORMATS[computed]
    added = 2.0**-bits if accumulator is None else MATRIX_UNIT_UNITS * 2.0 ** -_FORMATS[accumulator][0]
    return Arithmetic(
        name=name,
        storage=storage,
        unit_roundoff=2.0 ** -_FORMATS[storage][0],
        accumulator_roundoff=added,
        operand_roundoff=0.0 if operand_bits is None else 2.0**-operand_bits,
        computed=computed,
        smallest_normal=2.0**low,
        largest=(2 - 2.0 ** (1 - bits)) * 2.0**high,
        accumulator_smallest_normal=2.0 ** _FORMATS[accumulator or computed][1],
    )


# significand bits (with the hidden one), exponent of the smallest normal number, of the largest
_FORMATS = {
    "float16": (11, -14, 15),
    "bfloat16": (8, -126, 127),
    "float32": (24, -126, 127),
    "float64": (53, -1022, 1023),
}

ARITHMETICS = {
    declared.name: declared
    for declared in (
        _declare("float16", "float16"),
        _declare("bfloat16", "bfloat16"),
        _declare("float32", "float32"),
        _declare("float64", "float64"),
        # matrix products that add up in float32, then round to storage
        _declare("float16_accumulate_float32", "float16", accumulator="float32"),
        _declare("bfloat16_accumulate_float32", "bfloat16", accumulator="float32"),
        # the same, but for gradients of weights, which are rounded to storage after every step
        replace(_declare("float16_added_by_step", "float16", accumulator="float32"), added_by_step=True),
        replace(_declare("bfloat16_added_by_step", "bfloat16", accumulator="float32"), added_by_step=True),
        # computed in float32 and rounded where it is shown: the state that is fed back is not the one that is shown
        _declare("float16_of_float32", "float16", accumulator="float32", operand_bits=11),
        _declare("bfloat16_of_float32", "bfloat16", accumulator="float32", operand_bits=8),
        # products of operands rounded to 11 significant bits (NVIDIA's TF32), added up in float32
        _declare("tf32", "float32", accumulator="float32", operand_bits=11),
        # products of operands rounded to bfloat16, added up in float32
        _declare("bfloat16_products", "float32", accumulator="float32", operand_bits=8),
        # all in float32, and shown as float64; or products in float32, and what follows in float32 or better
        _declare("float64_of_float32", "float64", operand_bits=24, computed="float32"),
        _declare("float64_of_float32_products", "float64", operand_bits=24, computed="float32"),
        # products of bfloat16, added up in float32; states in bfloat16, shown as float32
        replace(
            _declare("float32_of_bfloat16", "float32", accumulator="float32", computed="bfloat16"),
            operand_roundoff=CUT_WEIGHTS,
        ),
        # tanh as 2 sigmoid(2 a) - 1, as in ONNX Runtime's RNN operator
        replace(_declare("float32_sigmoid_tanh", "float32"), tanh_floor=SIGMOID_TANH_UNITS * 2.0**-24),
        # a sigmoid that is right in absolute terms, as in ONNX Runtime's operators GRU and LSTM
        replace(_declare("float32_sigmoid_floor", "float32"), sigmoid_floor=ABSOLUTE_SIGMOID_UNITS * 2.0**-24),
        # a tanh that loses small numbers, as in tract; and beside it a sigmoid of a clamped argument
        replace(_declare("float32_early_tanh", "float32"), tanh_floor=EARLY_TANH * 2.0**-126),
        replace(_declare("float32_clamped_sigmoid", "float32"), tanh_floor=EARLY_TANH * 2.0**-126,
                sigmoid_floor=CLAMPED_SIGMOID_UNITS * 2.0**-24),
        # tanh and sigmoid computed in float16, as in tract before 0.23.9
        replace(_declare("float16_activations", "float16", accumulator="float32"),
                tanh_floor=ALL_FLOAT16_UNITS * 2.0**-11, sigmoid_floor=ALL_FLOAT16_UNITS * 2.0**-11),
        replace(_declare("float32_fast_exp", "float32"), sigmoid_units=FAST_EXP_UNITS),
        # a sigmoid that may be NaN of large numbers, as in LiteRT
        replace(_declare("float32_sigmoid_to_2_88", "float32"), sigmoid_end=SIGMOID_END),
        # a sigmoid of float32 between sums of float64, as in MLX: worst seen 0.4 u of 1 (all of [-86, 20])
        replace(_declare("float64_sigmoid_floor", "float64"), sigmoid_floor=ABSOLUTE_SIGMOID_UNITS * 2.0**-24),
    )
}  # fmt: skip

REFERENCE = ARITHMETICS["float64"]


def arithmetic(name: str) -> Arithmetic:
    """The declared arithmetic of that name; a dtype's name stands for arithmetic in that dtype throughout."""
    if name not in ARITHMETICS:
        raise ValueError(f"arithmetic: got {name!r}, expected one of {', '.join(ARITHMETICS)}")
    return ARITHMETICS[name]
