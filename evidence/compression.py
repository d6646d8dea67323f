"""Evidence files are plain text, or the same text compressed by gzip where their name ends in .gz."""

from __future__ import annotations

import gzip
from io import BufferedReader
from pathlib import Path

from reference.files import write_atomically


def opened(path: Path) -> gzip.GzipFile | BufferedReader:
    """The file's text, as bytes to read."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def write(path: Path, text: bytes) -> None:
    """Write the text, compressed where the name asks for it; the same text gives the same bytes."""
    write_atomically(path, gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
