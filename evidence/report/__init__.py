"""python -m evidence report: what a record says, as one HTML file with pictures and as Markdown."""

from __future__ import annotations

from pathlib import Path

from reference.files import write_atomically

from ..record.reader import Evidence
from .markdown import render_markdown, summary
from .page import render_html

__all__ = ["render_html", "render_markdown", "summary", "write"]


def write(evidence: Evidence, html: Path, markdown: Path) -> None:
    """Write both reports, each whole or not at all."""
    write_atomically(html, render_html(evidence))
    write_atomically(markdown, render_markdown(evidence))
