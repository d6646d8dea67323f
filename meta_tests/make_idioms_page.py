"""python -m meta_tests.make_idioms_page: write into docs/idioms.md the idioms that the adapters declare.

They are read from evidence/verify/declarations.json. The rest of the page is kept by hand. To be run again whenever an
idiom changes, which meta_tests/repository/test_generated_pages.py notices.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evidence.verify.declarations import PATH as DECLARATIONS
from reference.files import write_atomically
from reference.judging.view import View

from .common.regions import replaced

PAGE = Path(__file__).parents[1] / "docs" / "idioms.md"
# heading -> the adapters below it, which share idioms
SECTIONS = {
    "torch": ("torch",),
    "Keras": ("keras",),
    "Flax": ("flax",),
    "Equinox": ("equinox",),
    "MLX": ("mlx",),
    "Paddle": ("paddle",),
    "ONNX models": ("onnxruntime", "onnx", "openvino", "tract"),
    "torch, exported to ONNX": ("torch-onnx",),
    "LiteRT": ("litert",),
}
DIFFERENTIATION = {"reverse": "yes", "forward": "in forward mode", "twice": "second derivatives"}


def page(text: str) -> str:
    """The page with its tables made anew."""
    return replaced(text, "idioms", "\n".join(_sections()))


def targets() -> list[Mapping[str, Any]]:
    """What each adapter declares on each backend and device."""
    return json.loads(DECLARATIONS.read_text(encoding="utf-8"))["targets"]


def _sections() -> Iterator[str]:
    for title, adapters in SECTIONS.items():
        rows: dict[str, str] = {}
        having: defaultdict[str, set[str]] = defaultdict(set)
        for target in (one for one in targets() if one["adapter"] in adapters):
            for idiom in target["idioms"]:
                rows.setdefault(idiom["word"], _row(idiom))
                having[idiom["word"]].add(target["adapter"])
        several = len(adapters) > 1
        yield f"## {title}\n"
        yield f"| idiom | the layer is asked ... | shows | gradients |{' of |' * several}"
        yield f"|---|---|---|---|{'---|' * several}"
        for word, row in rows.items():
            some = ", ".join(name for name in adapters if name in having[word])
            yield row + f" {'all' if having[word] == {*adapters} else some} |" * several
        yield ""


def _row(idiom: Mapping[str, Any]) -> str:
    view = View.parse(idiom["view"])
    gradients = DIFFERENTIATION[view.differentiation] if {"gradients": True} in idiom["answers"] else "-"
    shown = ", ".join(f"{name} {word}" for name, word in idiom["view"].items() if name != "differentiation")
    return f"| {idiom['word']} | {_cell(idiom['says'])} | {shown or 'all'} | {gradients} |"


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    write_atomically(PAGE, page(PAGE.read_text(encoding="utf-8")))
