"""A port is called by somebody who has the framework and not this suite: in a process of its own, from a file."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from meta_tests.adapters.scripts.test_script import run_alone
from meta_tests.common.frameworks import framework_adapter
from reference import LAYOUTS, Case, RNNSpec, judge
from reference.draws import draw_case

SPEC = RNNSpec(3, 5, 2, "bidirectional")

ONNX = """
import numpy, onnxruntime
for layout in ("batch_first", "time_first", "unbatched"):
    session = onnxruntime.InferenceSession(f"{layout}.onnx", providers=["CPUExecutionProvider"])
    output, h_n = session.run(["output", "h_n"], {"x": numpy.load(f"{layout}.npy")})
    numpy.savez(f"{layout}.npz", output=output, h_n=h_n)
"""
FLAX = """
import numpy
from flax import nnx, serialization

def both(features):
    halves = [nnx.RNN(nnx.SimpleCell(features, 5, rngs=nnx.Rngs(0))) for _ in range(2)]
    return nnx.Bidirectional(*halves, time_major=True)

module = nnx.Sequential(both(3), both(10))
state = nnx.state(module, nnx.Param)
nnx.replace_by_pure_dict(state, serialization.msgpack_restore(open("saved", "rb").read()))
nnx.update(module, state)
numpy.save("output.npy", module(numpy.load("x.npy")))
"""


def expect_right(case: Case, output: np.ndarray, h_n: np.ndarray) -> None:
    verdict = judge(case, output, h_n, bound="trajectory")
    assert verdict.outcome == "agrees", verdict


def test_an_onnx_port_is_loaded_and_called_elsewhere(tmp_path: Path) -> None:
    adapter: Any = framework_adapter("onnxruntime")
    cases = {layout: draw_case(SPEC, batch=2, time=4, layout=layout) for layout in LAYOUTS}
    for layout, case in cases.items():
        stack = adapter.build(case.spec, case.parameters, layout=layout)
        framework_adapter("onnx").framework.save(stack.model, tmp_path / f"{layout}.onnx")
        np.save(tmp_path / f"{layout}.npy", case.x)
    run = run_alone(ONNX, tmp_path)
    assert run.returncode == 0, run.stderr
    for layout, case in cases.items():
        with np.load(tmp_path / f"{layout}.npz") as answer:
            expect_right(case, answer["output"], answer["h_n"])


def test_a_flax_port_is_restored_in_layers_of_flax_alone(tmp_path: Path) -> None:
    adapter: Any = framework_adapter("flax")
    nnx, serialization = adapter.framework.nnx, import_module("flax.serialization")
    case = draw_case(SPEC, batch=2, time=4, layout="time_first")
    module = adapter.build(SPEC, case.parameters, layout="time_first")
    state = nnx.to_pure_dict(nnx.state(module, nnx.Param))
    (tmp_path / "saved").write_bytes(serialization.msgpack_serialize(state))
    np.save(tmp_path / "x.npy", case.x)
    run = run_alone(FLAX, tmp_path)
    assert run.returncode == 0, run.stderr
    expect_right(case, np.load(tmp_path / "output.npy"), case.answer().h_n)
