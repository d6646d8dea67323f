"""The part of a stand-alone script in which cells on JAX are asked in a way, by a function of a ways.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from reference import Case
from reference.judging.view import WHOLE, View

from ..contract import NotOffered
from ..scripts.script import script
from ..scripts.source import source

TEMPLATE, ASKED = Path(__file__).with_suffix(".txt"), Path(__file__).with_name("asked.py")


class Way(NamedTuple):
    """An idiom: which, as the end of "asked ..."; the function of ways.py that asks so; what it shows.

    bare: whether none of JAX's settings is touched.
    """

    says: str
    function: str
    view: View = WHOLE
    bare: bool = False


def way_script(case: Case, way: Way, functions: Path, imports: str, **words: Any) -> str:
    """The script of a case in a way.

    functions: the file of its function.  imports: of the framework.  words: as script has them; `module`, the
    framework's; `h_at` and `c_at`, where in a carry of an LSTM its states stand. NotOffered for gradients of a part of
    the answer, and in forward mode.
    """
    if case.cotangents is not None and way.view != WHOLE:
        raise NotOffered(f"script of gradients, asked {way.says}: the adapter writes none")
    return script(
        case,
        TEMPLATE,
        **words,
        view=way.view,
        cell=case.spec.cell,
        function=way.function,
        functions=f"{source(ASKED, 'Asked', 'array')}\n\n\n{source(functions, way.function)}",
        imports=imports,
        bare=way.bare,
        x64=case.dtype == "float64",
        output_shown=way.view.output != "none",
        h_n_shown=way.view.states != "none",
    )
