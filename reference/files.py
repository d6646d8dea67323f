"""Files are read where they are regular ones of a known size, and written whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter
from pathlib import Path
from typing import BinaryIO

KINDS = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def opened(field: str, path: Path, most: int) -> BinaryIO:
    """The file, open for reading bytes. Raises ValueError unless it is a regular file of at most `most` bytes."""
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):  # a device may have no end, and a pipe no beginning
        raise ValueError(f"{field}: got {KINDS.get(stat.S_IFMT(about.st_mode), 'a device')}, expected a regular file")
    _expect_size(field, about.st_size, most)
    no_waiting = getattr(os, "O_NONBLOCK", 0)
    return open(path, "rb", buffering=2**16, opener=lambda path, flags: os.open(path, flags | no_waiting))


def _expect_size(field: str, size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"{field}: got a file of {size:,} bytes, expected at most {most:,}")


def read_text(field: str, path: Path, most: int) -> str:
    """The text of a regular file of at most `most` bytes. Raises OSError or ValueError, naming the field."""
    with opened(field, path, most) as file:
        data = file.read(most + 1) or b""  # a file of /proc may have more bytes than it says, or none yet
    _expect_size(field, len(data), most)
    return data.decode("utf-8")


@contextmanager
def written_atomically(path: Path) -> Iterator[BufferedWriter]:
    """A temporary file beside `path`, which is moved there in one step when all is written to it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with temporary.open("xb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink()
            raise


def write_atomically(path: Path, text: str | bytes) -> None:
    """Write `text` to a temporary file beside `path` and move it there in one step."""
    with written_atomically(path) as file:
        file.write(text.encode() if isinstance(text, str) else text)
