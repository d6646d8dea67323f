"""Flax NNX's own conventions, each by its plain name: what to know when weights or answers cross a border."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from adapters import Adapter, NotOffered
from reference import Case, CellParameters, RNNSpec, judge
from reference.draws import draw_case
from reference.judging.partial import judge_view
from reference.judging.view import View
from tests.frameworks import array_of, framework_adapter

SPEC, REVERSE, BOTH = (RNNSpec(3, 5, direction=direction) for direction in ("forward", "reverse", "bidirectional"))
LENGTHS = [2, 4, 3]


@pytest.fixture
def adapter() -> Adapter:
    return framework_adapter("flax")


@pytest.fixture
def nnx() -> Any:
    return framework_adapter("flax").framework.nnx


def native(nnx: Any, case: Case, **words: Any) -> Any:
    """An nnx.RNN, or nnx.Bidirectional, as a user writes it, with the weights of a case of one layer."""
    halves = []
    for cell in case.parameters:
        assert cell.b_ih is not None
        simple = nnx.SimpleCell(3, 5, rngs=nnx.Rngs(0))
        simple.dense_i.kernel = nnx.Param(cell.w_ih.T)
        simple.dense_h.kernel = nnx.Param(cell.w_hh.T)
        simple.dense_i.bias = nnx.Param(cell.b_ih + cell.b_hh)
        halves.append(simple)
    if case.spec.direction == "bidirectional":
        return nnx.Bidirectional(*map(nnx.RNN, halves), **words)
    return nnx.RNN(halves[0], **words)


def answer(layer: Any, case: Case, **words: Any) -> tuple[np.ndarray, np.ndarray]:
    """output and h_n, of a call with return_carry: Flax answers the carry first."""
    carry, output = layer(case.x, return_carry=True, **words)
    carries = carry if isinstance(carry, tuple) else (carry,)
    return array_of(output), np.stack([array_of(state) for state in carries])


def test_kernel_columns_are_units(nnx: Any, adapter: Adapter):
    """A recurrent kernel is square: taken for torch's weight_hh, it fits and answers something else."""
    case = draw_case(SPEC, batch=2, time=4)
    layer = native(nnx, case)
    read = adapter.read(layer)[1][0]
    assert layer.cell.dense_i.kernel.shape == (3, 5)
    assert np.array_equal(read.w_ih, array_of(layer.cell.dense_i.kernel.get_value()).T)
    assert np.array_equal(read.w_hh, array_of(layer.cell.dense_h.kernel.get_value()).T)
    mistaken = CellParameters(read.w_ih, read.w_hh.T, read.b_ih, read.b_hh)
    verdict = judge(Case(SPEC, [mistaken], case.x), *answer(layer, case))
    assert verdict.reason == "value", verdict


def test_the_one_bias_is_the_sum_of_both_and_cannot_be_left_out(nnx: Any, adapter: Adapter):
    case = draw_case(SPEC, batch=2, time=4)
    drawn, read = case.parameters[0], adapter.read(adapter.build(SPEC, case.parameters))[1][0]
    assert drawn.b_ih is not None
    assert np.array_equal(read.b_ih, drawn.b_ih + drawn.b_hh)
    assert not np.any(read.b_hh)
    verdict = judge(case, *answer(native(nnx, case), case))
    assert verdict.outcome == "agrees", verdict
    cell = nnx.SimpleCell(3, 5, rngs=nnx.Rngs(0))
    assert (cell.dense_i.use_bias, cell.dense_h.use_bias) == (True, False)
    with pytest.raises(TypeError, match="use_bias"):
        nnx.SimpleCell(3, 5, use_bias=False, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("spec", [SPEC, REVERSE, BOTH], ids=lambda spec: spec.direction)
def test_the_layout_is_batch_first_unless_time_major(nnx: Any, spec: RNNSpec):
    case = draw_case(spec, batch=4, time=4)  # as many sequences as steps: no shape gives it away
    words = {} if spec is not REVERSE else {"reverse": True, "keep_order": True}
    for layout, time_major in (("batch_first", False), ("time_first", True)):
        output, h_n = answer(native(nnx, case, time_major=time_major, **words), case)
        for asked in ("batch_first", "time_first"):
            verdict = judge(Case(spec, case.parameters, case.x, layout=asked), output, h_n)
            assert verdict.outcome == ("agrees" if asked == layout else "disagrees"), verdict


def test_bidirectional_has_its_own_layout_whatever_its_halves_were_given(nnx: Any):
    """Two halves that are time_major, in a Bidirectional that is not, read x batch first without a word."""
    case = draw_case(BOTH, batch=4, time=4)
    layer = native(nnx, case)
    layer.forward_rnn.time_major = layer.backward_rnn.time_major = True
    layer.forward_rnn.reverse = True  # this is overruled too
    verdict = judge(case, *answer(layer, case))
    assert verdict.outcome == "agrees", verdict


def test_a_reverse_layer_answers_in_processing_order_unless_keep_order(nnx: Any):
    case = draw_case(REVERSE, batch=2, time=4)
    for keep_order in (True, False):
        output, h_n = answer(native(nnx, case, reverse=True, keep_order=keep_order), case)
        for order, in_time in ((output, keep_order), (output[:, ::-1], not keep_order)):
            verdict = judge(case, np.ascontiguousarray(order), h_n)
            assert verdict.outcome == ("agrees" if in_time else "disagrees"), verdict


def test_bidirectional_puts_its_reverse_half_back_into_time_order(nnx: Any):
    """And its carry is a pair, forward before reverse: the last step of the one, the first of the other."""
    case = draw_case(BOTH, batch=2, time=4, h0=True)
    assert case.h0 is not None
    output, h_n = answer(native(nnx, case), case, initial_carry=tuple(case.h0))
    verdict = judge(case, output, h_n)
    assert verdict.outcome == "agrees", verdict
    assert np.array_equal(h_n[0], output[:, -1, :5])
    assert np.array_equal(h_n[1], output[:, 0, 5:])
    as_processed = np.concatenate([output[..., :5], output[:, ::-1, 5:]], axis=-1)
    assert judge(case, as_processed, h_n).reason == "value"
    assert judge(case, output, h_n[::-1].copy()).reason == "value"


def test_only_the_output_is_answered_unless_return_carry(nnx: Any):
    case = draw_case(BOTH, batch=2, time=4)
    assert np.array_equal(array_of(native(nnx, case)(case.x)), answer(native(nnx, case), case)[0])


def test_halves_stand_beside_each_other_unless_merge_fn(nnx: Any):
    case = draw_case(BOTH, batch=2, time=4)
    merges = {"concat": {}, "sum": {"merge_fn": lambda a, b: a + b}, "ave": {"merge_fn": lambda a, b: (a + b) / 2}}
    for halves, words in merges.items():
        output = array_of(native(nnx, case, **words)(case.x))
        verdict = judge_view(case, View(states="none", halves=halves), output, None)
        assert verdict.outcome == "agrees", verdict


@pytest.mark.parametrize("spec", [SPEC, REVERSE, BOTH], ids=lambda spec: spec.direction)
def test_beyond_a_length_the_output_goes_on_and_the_carry_does_not(nnx: Any, spec: RNNSpec):
    """What lies beyond was computed from the padding. A sequence is reversed within its length."""
    case = draw_case(spec, batch=3, time=4, lengths=LENGTHS)
    words = {"reverse": True, "keep_order": True} if spec is REVERSE else {}
    output, h_n = answer(native(nnx, case, **words), case, seq_lengths=np.array(LENGTHS))
    assert np.abs(output[0, 2:]).min() > 0, "the adapter's emulation of zeros is not needed any more"
    assert judge(case, output, h_n).reason == "value"
    valid = np.arange(4) < np.array(LENGTHS)[:, None]
    verdict = judge(case, np.where(valid[..., None], output, np.float32(0)), h_n)
    assert verdict.outcome == "agrees", verdict


def test_without_return_carry_a_length_changes_no_forward_output(nnx: Any):
    case = draw_case(SPEC, batch=3, time=4)
    layer = native(nnx, case)
    assert np.array_equal(array_of(layer(case.x, seq_lengths=np.array(LENGTHS))), array_of(layer(case.x)))


def test_without_keep_order_a_sequence_is_turned_within_its_length(nnx: Any):
    """Its padding stays at the end: the output is not that of keep_order read backwards."""
    case = draw_case(REVERSE, batch=3, time=4, lengths=LENGTHS)
    words, lengths = {"reverse": True}, {"seq_lengths": np.array(LENGTHS)}
    taken = answer(native(nnx, case, **words), case, **lengths)[0]
    in_time = answer(native(nnx, case, **words, keep_order=True), case, **lengths)[0]
    for row, length in enumerate(LENGTHS):
        assert np.array_equal(taken[row, :length], in_time[row, :length][::-1])
    assert not np.array_equal(taken, in_time[:, ::-1])


def test_a_merge_fn_is_given_the_forward_half_first(nnx: Any):
    """It is called once, with whole outputs; without one they are concatenated."""
    case = draw_case(BOTH, batch=2, time=4)
    whole = answer(native(nnx, case), case)[0]
    merged = answer(native(nnx, case, merge_fn=lambda a, b: a - b), case)[0]
    assert np.array_equal(merged, whole[..., :5] - whole[..., 5:])


def test_linen_has_the_kernels_of_nnx_below_other_names(nnx: Any):
    """dense_i is "i", dense_h is "h", below "cell"; an RNN is given its weights in each call."""
    linen = import_module("flax.linen")
    case = draw_case(SPEC, batch=3, time=4, lengths=LENGTHS)
    layer = native(nnx, case)
    cell = {"i": {"kernel": layer.cell.dense_i.kernel.get_value(), "bias": layer.cell.dense_i.bias.get_value()},
            "h": {"kernel": layer.cell.dense_h.kernel.get_value()}}  # fmt: skip
    rnn, lengths = linen.RNN(linen.SimpleCell(5)), {"seq_lengths": np.array(LENGTHS)}
    made = import_module("jax").eval_shape(rnn.init, import_module("jax").random.key(0), case.x)["params"]["cell"]
    shapes = {part: {name: one.shape for name, one in made[part].items()} for part in made}
    assert shapes == {part: {name: one.shape for name, one in cell[part].items()} for part in cell}
    carry, output = rnn.apply({"params": {"cell": cell}}, case.x, return_carry=True, **lengths)
    valid = np.arange(4)[:, None] < np.array(LENGTHS)[:, None, None]
    verdict = judge(case, np.where(valid, array_of(output), np.float32(0)), array_of(carry)[None])
    assert verdict.outcome == "agrees", verdict


def test_an_unbatched_sequence_has_no_batch_axis_anywhere(nnx: Any):
    case = draw_case(BOTH, batch=1, time=4, layout="unbatched", lengths=[3])
    output, h_n = answer(native(nnx, case), case, seq_lengths=np.array(3))
    assert (output.shape, h_n.shape) == ((4, 10), (2, 5))
    output[3:] = 0
    verdict = judge(case, output, h_n)
    assert verdict.outcome == "agrees", verdict


def test_a_layer_keeps_no_state_between_calls(nnx: Any):
    case = draw_case(SPEC, batch=2, time=4)
    layer = native(nnx, case)
    first, second = (answer(layer, case) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_layer_computes_in_float32_unless_it_is_told_its_dtype(nnx: Any):
    """The dtype of x, and of the parameters, does not decide: SimpleCell's dtype is float32, not None."""
    with import_module("jax").enable_x64(True):
        cell = nnx.SimpleCell(3, 5, rngs=nnx.Rngs(0))
        assert array_of(nnx.RNN(cell)(np.ones((2, 4, 3)))).dtype == np.float32
        assert nnx.Linear(3, 5, rngs=nnx.Rngs(0)).dtype is None


def test_jax_makes_float32_of_a_float64_array_without_a_word(nnx: Any, adapter: Adapter):
    """Unless x64 is on. The adapter has it on for a float64 layer, as long as a call lasts, and in its thread."""
    jax = import_module("jax")
    assert jax.numpy.asarray(np.ones(3)).dtype == np.float32
    case = draw_case(SPEC, batch=2, time=4, dtype="float64")
    assert adapter.run(adapter.build(SPEC, case.parameters), case.x).output.dtype == np.float64
    assert jax.numpy.asarray(np.ones(3)).dtype == np.float32
    assert jax.config.jax_default_matmul_precision is None


def test_a_mask_is_not_offered(adapter: Adapter):
    case = draw_case(SPEC, batch=2, time=4, mask=True)
    with pytest.raises(NotOffered, match=r"^mask True: nnx\.RNN takes lengths \(seq_lengths\) and no mask$"):
        adapter.run(adapter.build(SPEC, case.parameters), **case.inputs)


def test_a_users_settings_change_no_answer(adapter: Adapter):
    """x64 on, and products in bfloat16 where there is hardware for them: the bits stay the same."""
    jax = import_module("jax")
    for dtype in ("float32", "float64"):
        case = draw_case(BOTH, batch=2, time=4, dtype=dtype)
        plain = adapter.run(adapter.build(BOTH, case.parameters), case.x)
        with jax.enable_x64(True), jax.default_matmul_precision("bfloat16"):
            within = adapter.run(adapter.build(BOTH, case.parameters), case.x)
            assert jax.config.jax_enable_x64
        assert all(np.array_equal(a, b) for a, b in zip(plain[:2], within[:2], strict=True))


def test_the_environment_names_what_decides_numbers(adapter: Any):
    said = adapter.environment()
    jax = import_module("jax")
    assert adapter.version == f"{adapter.framework.__version__} on jax {jax.__version__}"
    assert (said["Flax"], said["JAX"]) == (adapter.framework.__version__, jax.__version__)
    assert said["matmul precision"] == "highest (the adapter's choice)"
    assert all(isinstance(value, str | None) for value in said.values())


def test_eager_calls_leave_no_programs_behind(adapter: Any, monkeypatch: pytest.MonkeyPatch):
    """JAX keeps what it compiles, and compiles nnx.RNN in each eager call: in a long run, gigabytes."""
    client = import_module("jax").devices("cpu")[0].client
    case = draw_case(SPEC, batch=2, time=4)
    module, kept = adapter.build(SPEC, case.parameters), []
    for programs_kept in (1000, 1):
        monkeypatch.setattr("adapters.jax.framework.PROGRAMS_KEPT", programs_kept)
        kept.append([])
        for _ in range(4):
            adapter.run(module, case.x)
            kept[-1].append(len(client.live_executables()))
    growing, settled = kept
    assert growing[-1] > growing[1], "JAX keeps no program from call to call: the adapter need not forget them"
    assert settled[-1] <= settled[1]


def test_arrays_are_copied_before_jax_may_share_their_memory(adapter: Adapter):
    case = draw_case(RNNSpec(16, 16), batch=16, time=16)
    module = adapter.build(case.spec, case.parameters)
    before = adapter.run(module, case.x).output.copy()
    for array in case.parameters[0].arrays().values():
        array[:] = 0
    assert np.array_equal(adapter.run(module, case.x).output, before)


def gated(nnx: Any, case: Case) -> Any:
    """A cell with gates as a user writes it, with the weights of a case that has one bias, b_ih alone."""
    (track,) = case.parameters
    cell = (nnx.GRUCell if case.spec.cell == "gru" else nnx.OptimizedLSTMCell)(3, 5, rngs=nnx.Rngs(0))
    cell.dense_i.kernel, cell.dense_h.kernel = nnx.Param(track.w_ih.T), nnx.Param(track.w_hh.T)
    (cell.dense_i if case.spec.cell == "gru" else cell.dense_h).bias = nnx.Param(track.b_ih)
    return cell


def one_bias(cell: str) -> Case:
    case = draw_case(replace(SPEC, cell=cell), batch=2, time=4, h0=True)
    case.parameters[0].arrays()["b_hh"][:] = 0
    return case


def exchanged(case: Case, first: int, second: int) -> Case:
    """Two gates in each other's place."""
    track, gates = case.parameters[0].arrays(), {"gru": 3, "lstm": 4}[case.spec.cell]
    order = [*range(gates)]
    order[first], order[second] = second, first
    arrays = {name: np.concatenate([np.split(array, gates)[gate] for gate in order]) for name, array in track.items()}
    return replace(case, parameters=[CellParameters.of(arrays)])


def test_the_gates_of_a_gru_are_r_z_n_and_there_is_no_bias_within_the_reset(nnx: Any):
    """With a bias of h, which a Linear can have, it is torch's; linen's cell has that of hn."""
    case = one_bias("gru")
    cell = gated(nnx, case)
    assert (cell.dense_i.use_bias, cell.dense_h.use_bias) == (True, False)
    right = answer(nnx.RNN(cell), case, initial_carry=case.h0[0])
    assert judge(case, *right).outcome == "agrees"
    assert judge(exchanged(case, 0, 1), *right).outcome == "disagrees"
    case.parameters[0].arrays()["b_hh"][10:] = 1
    assert judge(case, *right).outcome == "disagrees"
    cell.dense_h.use_bias, cell.dense_h.bias = True, nnx.Param(case.parameters[0].b_hh)
    assert judge(case, *answer(nnx.RNN(cell), case, initial_carry=case.h0[0])).outcome == "agrees"


def test_the_gates_of_an_lstm_are_i_f_g_o_and_its_carry_is_c_then_h(nnx: Any):
    """Its one bias lies on the side of h."""
    case = one_bias("lstm")
    cell = gated(nnx, case)
    assert (cell.dense_i.use_bias, cell.dense_h.use_bias) == (False, True)
    h0, c0 = case.h0
    (c_n, h_n), output = nnx.RNN(cell)(case.x, initial_carry=(c0[0], h0[0]), return_carry=True)
    output, states = array_of(output), (array_of(h_n)[None], array_of(c_n)[None])
    assert judge(case, output, states).outcome == "agrees"
    assert judge(case, output, states[::-1]).outcome == "disagrees"
    assert judge(replace(case, h0=case.h0[::-1]), output, states).outcome == "disagrees"
    for first, second in ((0, 1), (1, 2), (2, 3)):
        assert judge(exchanged(case, first, second), output, states).outcome == "disagrees"


def test_an_lstm_cell_has_a_dense_for_each_gate_and_an_optimized_one_has_two(nnx: Any, adapter: Adapter):
    """The kernels stand beside each other in the order i, f, g, o; linen's two kinds both have eight."""
    linen = import_module("flax.linen")
    one, several = nnx.OptimizedLSTMCell(3, 5, rngs=nnx.Rngs(0)), nnx.LSTMCell(3, 5, rngs=nnx.Rngs(1))
    parts = several.ii, several.if_, several.ig, several.io
    read = adapter.read(nnx.RNN(several))[1][0]
    assert one.dense_i.kernel.shape == (3, 20)
    assert np.array_equal(read.w_ih.T, np.concatenate([array_of(part.kernel.get_value()) for part in parts], axis=1))
    for kind in (linen.LSTMCell, linen.OptimizedLSTMCell):
        made = import_module("jax").eval_shape(linen.RNN(kind(5)).init, import_module("jax").random.key(0),
                                               np.ones((2, 4, 3), "float32"))  # fmt: skip
        assert sorted(made["params"]["cell"]) == sorted(side + gate for side in "ih" for gate in "ifgo")
        assert "bias" in made["params"]["cell"]["hf"]
        assert "bias" not in made["params"]["cell"]["if"]
