"""A run asks for gradients: wrong ones are seen, named by where they start, and recorded; who has none is told so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rich")
from adapters import FEATURES, load
from adapters.capabilities import features_of_case
from adapters.conformance.self_check import self_check
from adapters.contract import idioms_of
from adapters.running.trial import Trial, examine
from evidence.record import corpus
from evidence.record.lines import answer_id
from meta_tests.common import faulty_gradients
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.process import suite
from reference import DIRECTIONS, Case, Gradients, RNNSpec, judge_gradients, probe
from reference.draws import draw_case
from reference.encoding import decode_answer, encode_answer
from reference.faults.backward import FAULTS, delta
from reference.layout import sequence_axes
from tests.properties.test_gradients import NARROW, of_one_sign

PLANTED_IN = "torch"


def cases_for(name: str) -> list[Case]:
    """Those of the corpus in which a fault can be seen: in its cells, with all cotangents, and with what it needs."""
    fault = FAULTS[name]
    several = (case for case in corpus.cases().values() if case.cotangents is not None)
    return [
        case for case in several
        if case.spec.cell in fault.cells and all(one is not None for one in case.cotangents) and case.mask is None
        and case.layout != "unbatched" and ("bias" not in fault.needs or case.spec.bias)
        and ("lengths" not in fault.needs or case.lengths is not None)
        and ("reverse" not in fault.needs or case.spec.direction != "forward")
        and case.spec.cell != "gru_reset_before"  # which torch has not
    ]  # fmt: skip


def asked(adapter: object, case: Case) -> Trial:
    return examine(adapter, case)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FAULTS)
def test_planted_in_torch_a_wrong_backward_pass_is_seen_and_named(name: str) -> None:
    framework_adapter(PLANTED_IN)
    adapter, cases = getattr(faulty_gradients, name)(), cases_for(name)
    trials = [asked(adapter, case) for case in cases]
    wrong = [trial for trial in trials if trial.outcome == "disagrees"]
    assert wrong, name
    assert {trial.outcome for trial in trials} <= {"agrees", "disagrees"}
    assert {case.spec.cell for case in cases} == {trial.case.spec.cell for trial in wrong}
    forward = [trial for trial in wrong if trial.case.spec.direction == "forward" and trial.case.lengths is None]
    for trial in forward:
        assert trial.verdict is not None
        steps = trial.case.x.shape[sequence_axes(trial.case.layout).index("time")]
        assert FAULTS[name].seen(trial.verdict.detail, steps), trial.verdict.detail


def test_nothing_is_seen_where_nothing_is_planted() -> None:
    framework_adapter(PLANTED_IN)
    adapter = faulty_gradients.FaithfulGradients()
    for case in cases_for("h_n_dropped"):
        assert asked(adapter, case).outcome == "agrees"


@pytest.mark.parametrize("selected", ["not narrow", "narrow and agree and float16", "narrow and agree and bfloat16"])
def test_a_run_fails_on_them_and_says_where_they_start(selected: str) -> None:
    framework_adapter(PLANTED_IN)
    adapter = "--adapter=meta_tests.common.faulty_gradients:db_dropped"
    run = suite("tests/properties/test_gradients.py", "-n0", "--cases=6", "-x", "-k", selected, adapter,
                environment={"RNN_PLANTED_IN": PLANTED_IN})  # fmt: skip
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout[-3000:] + run.stderr
    assert "db_hh only: the deltas are right, their sums are not" in run.stdout
    assert "python -m rnn_equivalence adapters meta_tests.common.faulty_gradients:db_dropped" in run.stdout


@pytest.mark.parametrize("dtype", NARROW)
def test_planted_in_16_bits_a_step_that_is_missing_in_db_is_seen(dtype: str) -> None:
    framework_adapter(PLANTED_IN)
    case = draw_case(RNNSpec(3, 5), batch=3, time=3, dtype=dtype, gradients="all")
    assert asked(faulty_gradients.FaithfulGradients(), case).outcome == "agrees"
    trial = asked(faulty_gradients.db_of_a_step_missing(), case)
    assert trial.outcome == "disagrees"
    assert trial.verdict is not None
    assert trial.verdict.detail.startswith("db_ih only")


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_planted_sums_that_are_kept_in_storage_are_seen_unless_declared(direction: str, dtype: str) -> None:
    """In right gradients, those by w_hh, from the last step that was taken to the first; and from the first to it."""
    case = of_one_sign(direction, dtype)
    right = probe(case).gradients()
    kept = f"{dtype}_accumulate_float32"
    assert judge_gradients(case, right, kept).outcome == "agrees"
    for order in (1, -1):
        tracks = enumerate(right.parameters)
        summed = [replace(track, w_hh=kept_in_storage(probe(case), right, d, order)) for d, track in tracks]
        wrong = right._replace(parameters=summed)
        verdict = judge_gradients(case, wrong, kept)
        assert verdict.outcome == "disagrees"
        assert verdict.detail.startswith("dw_hh")
        assert judge_gradients(case, wrong, f"{dtype}_added_by_step").outcome == "agrees"


def kept_in_storage(case: Case, right: Gradients, track: int, order: int) -> np.ndarray:
    """dU of a probed, time-first case, added up step by step, each total rounded to the case's dtype."""
    h, h0 = right.output[..., case.spec.half(track)], case.h0[track][None]
    reverse = case.spec.directions[track] == "reverse"
    before = np.concatenate([h[1:], h0] if reverse else [h0, h[:-1]])
    total = np.zeros_like(right.parameters[track].w_hh)
    for d, state in zip(delta(case, right, track)[::order], before[::order], strict=True):
        total += (d.astype(np.float64).T @ state.astype(np.float64)).astype(total.dtype)
    return total


def test_gradients_travel_as_they_are() -> None:
    """Into a record and back, bit for bit; one number that is another one changes the digest."""
    case = next(case for case in corpus.cases().values() if case.cotangents is not None and case.spec.cell == "lstm")
    trial = asked(load("reference"), case)
    assert trial.answer is not None
    output, h_n, prefixes, gradients = trial.answer
    again = decode_answer(encode_answer(output, h_n, prefixes, gradients))
    assert answer_id(again[0], again[1], again[3]) == answer_id(output, h_n, gradients) != answer_id(output, h_n)
    assert gradients is not None
    gradients.parameters[-1].w_hh.flat[-1] += 1
    assert answer_id(again[0], again[1], again[3]) != answer_id(output, h_n, gradients)


def test_who_has_no_gradients_is_not_asked_for_them() -> None:
    case = next(case for case in corpus.cases().values() if case.cotangents is not None)
    adapter = faulty_gradients.Faithful()
    assert asked(adapter, case).outcome == "not offered"
    assert features_of_case(case)["gradients"] is True
    assert features_of_case(replace(case, cotangents=None))["gradients"] is False
    assert FEATURES["gradients"] == (False, True)


def test_an_idiom_answers_none_unless_it_says_so() -> None:
    adapter = framework_adapter(PLANTED_IN)
    case = next(case for case in corpus.cases().values() if case.cotangents is not None)
    for word, idiom in idioms_of(adapter).items():
        able = idiom.narrowed(adapter.capabilities)
        assert (True in able.supported("gradients")) == ((("gradients", True),) in idiom.answers), word
        if not idiom.compiles and True not in able.supported("gradients"):
            assert examine(adapter, case, idiom=word).outcome == "not offered"


def test_planted_an_offer_without_the_method_is_seen() -> None:
    class Offers(faulty_gradients.Faithful):
        def __init__(self) -> None:
            super().__init__()
            self.capabilities = replace(self.capabilities, offers=(("gradients", True),))

    framework_adapter(PLANTED_IN)
    said = str([str(one) for one in self_check(Offers())])  # type: ignore[arg-type]
    assert "('gradients', True) is offered, and there is no method gradients" in said
