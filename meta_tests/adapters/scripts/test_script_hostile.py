"""A record can hold any text, and a script is made to be run: no value in one becomes code."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.flax.script import flax_script
from adapters.keras.script import keras_script
from adapters.onnx.script import RUNTIMES, onnx_script
from adapters.scripts.literals import text_literal
from adapters.scripts.script import script
from adapters.torch.script import TEMPLATE, torch_script
from meta_tests.common.frameworks import framework_adapter
from reference import Case, RNNSpec
from reference.draws import draw_case

HOSTILE = (
    '"); import os; os.system("x") #',
    "cpu\nimport os",
    "cpu\u2028import os",
    "cpu\x0cimport os",
    "cuda:0\\",
    "cuda:\u0661",
    "cuda:0]; import os; [0",
    'cpu"""\nimport os\n"""',
    "{__import__('os').system('x')}",
    "cpu'",
    "cpu\x00",
    "\ud800",
    "cuda:" + "9" * 5000,
    "",
    None,
    0,
    b"cpu",
)
HARMLESS = (" cpu", "cpu ", "meta", "cuda:", "cuda:0:0", "CPU")  # and no name of anything
WRITERS: dict[str, Callable[[Case, Any], str]] = {
    "torch": torch_script,
    "keras": lambda case, device: keras_script(case, device, "jax"),
    "flax": flax_script,
    **{name: lambda case, device, name=name: onnx_script(case, name, device) for name in RUNTIMES},
}
# every other text of a script, by name
FIELDS: dict[str, Callable[[Case, Any], str]] = {
    "backend": lambda case, text: keras_script(case, "cpu", text),
    "runtime": onnx_script,
    "title": lambda case, text: script(case, TEMPLATE, text, "torch", "cpu"),
    "package": lambda case, text: script(case, TEMPLATE, "A layer", text, "cpu"),
}


def usual() -> Case:
    return draw_case(RNNSpec(2, 3, 2), batch=2, time=4, h0=True, lengths=(4, 2))


def code_of(text: str) -> Counter[str]:
    """All that a script does: everything in it but its literals and the comments."""

    class Blank(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.Constant:
            return ast.Constant(type(node.value).__name__)

    return Counter(ast.dump(Blank().visit(node)) for node in ast.parse(text).body)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("write", [*WRITERS.values(), *FIELDS.values()], ids=[*WRITERS, *FIELDS])
def test_a_hostile_text_is_refused_in_one_line(write: Callable[[Case, Any], str], text: Any) -> None:
    with pytest.raises(ValueError, match=r"\A(device|backend|runtime|title|package): got [^\n]+, expected [^\n]+\Z"):
        write(usual(), text)


@pytest.mark.parametrize("text", HARMLESS)
@pytest.mark.parametrize("name", WRITERS)
def test_a_device_of_no_known_form_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=rf"^device: got {text!r}, expected cpu"):
        WRITERS[name](usual(), text)


@pytest.mark.parametrize("name", WRITERS)
def test_an_adapter_refuses_it_too(name: str) -> None:
    adapter: Any = framework_adapter(name)
    with pytest.raises(ValueError, match=r"\Adevice: got "):
        adapter.script(usual(), '"); import os; os.system("x") #')


@given(st.text() | st.from_regex(r"cpu|cuda(:[0-9]*)?", fullmatch=True))
@example("cuda:1")
@pytest.mark.parametrize("name", WRITERS)
def test_whatever_the_device_is_called_a_script_does_the_same(name: str, text: str) -> None:
    try:
        written = WRITERS[name](usual(), text)
    except ValueError:
        return
    assert code_of(written) == code_of(WRITERS[name](usual(), "cpu" if text == "cpu" else "cuda"))


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("field", ["direction", "nonlinearity", "layout", "input_size", "num_layers", "bias"])
def test_a_case_that_was_changed_behind_its_checks_writes_nothing(name: str, field: str) -> None:
    for text in HOSTILE[:8]:
        case = usual()
        object.__setattr__(case if field == "layout" else case.spec, field, text)
        with pytest.raises((TypeError, ValueError), match=rf"^{field}: got "):
            WRITERS[name](case, "cpu")


@pytest.mark.parametrize("field", ["format", "layout", "lengths", "h0", "mask", "x", "parameters", "spec"])
def test_a_case_file_that_holds_a_hostile_text_is_no_case(field: str) -> None:
    for text in HOSTILE[:8]:
        content = json.loads(usual().to_json()) | {field: text}
        with pytest.raises((TypeError, ValueError), match=rf"^{field}"):
            Case.from_json(json.dumps(content))
    for inner in ("direction", "nonlinearity", "hidden_size", "bias"):
        content = json.loads(usual().to_json())
        content["spec"][inner] = HOSTILE[0]
        with pytest.raises((TypeError, ValueError), match=rf"^{inner}: got "):
            Case.from_json(json.dumps(content))


@given(st.text())
@example("\u2028\\\"'\x00\ud800{x}\n\U0001f600")
def test_a_text_is_one_literal_on_one_line(text: str) -> None:
    literal = text_literal(text)
    assert ast.literal_eval(literal) == text
    assert literal.isascii()
    assert len(literal.splitlines()) == 1
