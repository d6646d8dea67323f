"""A run asks for the gradients of stacks: wrong ones are seen though those of each layer are right, and are named."""

from __future__ import annotations

import pytest

pytest.importorskip("rich")
from adapters.running.trial import examine
from meta_tests.common import faulty_gradients, faulty_stacks
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.gradients import gradient_case
from meta_tests.common.process import suite
from reference import DIRECTIONS, Case

PLANTED_IN = "torch"
NAMES = ("tanh", "relu", "gru", "lstm")
# what the sentence names, of a stack of 2 layers in one direction
NAMED = {
    "gradient_stopped": {
        "dx",
        "dh0 of layer 0",
        "dw_ih of layer 0",
        "dw_hh of layer 0",
        "db_ih of layer 0",
        "db_hh of layer 0",
    },
    "weights_exchanged": {"dw_hh of layer 0", "dw_hh of layer 1"},
    "to_the_wrong_layer": {"dx", "dw_ih of layer 0", "dw_ih of layer 1", "dh0 of layer 0", "dh0 of layer 1"},
    "h_n_of_the_first_dropped": {"dx", "dw_ih of layer 0", "db_ih of layer 0", "dh0 of layer 0"},
}
UNTOUCHED = {"gradient_stopped": "layer 1", "weights_exchanged": "dw_ih", "h_n_of_the_first_dropped": "layer 1"}


def cases(name: str, direction: str, layers: int = 2) -> list[Case]:
    return [gradient_case(name, layers=layers, direction=direction, sizes=(3, 4 + seed), seed=seed,
                          lengths=(5, 3, 1) if seed else None) for seed in range(2)]  # fmt: skip


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layers", [2, 3])
def test_nothing_is_seen_where_nothing_is_planted(layers: int, name: str, direction: str) -> None:
    framework_adapter(PLANTED_IN)
    adapter = faulty_gradients.FaithfulGradients()
    for case in cases(name, direction, layers):
        assert examine(adapter, case).outcome in ("agrees", "refused", "not offered")


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", faulty_stacks.FAULTS)
def test_planted_in_torch_a_stack_of_right_layers_is_seen(fault: str, name: str, layers: int) -> None:
    framework_adapter(PLANTED_IN)
    adapter = getattr(faulty_stacks, fault)()
    for case in cases(name, "forward", layers) + cases(name, "bidirectional", layers):
        trial = examine(adapter, case)
        assert trial.outcome == "disagrees"
        assert trial.verdict is not None
        said = trial.verdict.detail
        assert said.startswith("the stack as one module: d")
        if layers == 2 and case.spec.direction == "forward":
            assert all(f"{array} is off by " in said for array in NAMED[fault])
            assert fault not in UNTOUCHED or UNTOUCHED[fault] not in said


@pytest.mark.parametrize("fault", faulty_stacks.FAULTS)
def test_a_run_fails_on_it_and_names_the_arrays(fault: str) -> None:
    framework_adapter(PLANTED_IN)
    adapter = f"--adapter=meta_tests.common.faulty_stacks:{fault}"
    run = suite("tests/properties/test_gradients_stacked.py", "-n0", "--cases=6", "-x", adapter,
                environment={"RNN_PLANTED_IN": PLANTED_IN})  # fmt: skip
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout[-3000:] + run.stderr
    assert "the stack as one module: d" in run.stdout
    assert f"python -m rnn_equivalence adapters meta_tests.common.faulty_stacks:{fault}" in run.stdout
