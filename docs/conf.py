"""The site of the documents: `python -m nox -s docs` builds it into out/docs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
# Where the repository lies, as CITATION.cff says in a line `repository-code: "https://..."`. It has none yet, and
# without one the text of a link to a file stands alone.
ADDRESS = re.search(
    r'^repository-code: *"?([^"\s]+)', (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE
)

project = "rnn-equivalence"
author = "The rnn-equivalence authors"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_parser"]
exclude_patterns = ["*_by_hand.md"]  # which are parts of pages
myst_heading_anchors = 4
highlight_language = "none"
html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_show_sphinx = False
LINK = re.compile(r"\[([^\]]+)\]\(\.\./([^)\s]+)\)")


def without_files(app: Any, name: str, source: list[str]) -> None:
    """A link to a file of the repository leads there, or nowhere: the site holds the documents alone."""
    there = rf"[\1]({ADDRESS[1].rstrip('/')}/blob/main/\2)" if ADDRESS else r"\1"
    source[0] = LINK.sub(there, source[0])


def setup(app: Any) -> None:
    app.connect("source-read", without_files)
