"""Evidence files are plain text, or the same text compressed by gzip where their name ends in .gz."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import BinaryIO

from reference import limits
from reference.files import opened, written_atomically

CHUNK = 2**16


class _Inflated(RawIOBase):
    """The text of one gzip stream. Unlike the gzip module's it ends there: nothing may stand behind it."""

    def __init__(self, stored: BinaryIO) -> None:
        self.stored = stored
        self.stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self.stream.eof:
            data = self.stream.unconsumed_tail or self.stored.read(CHUNK)
            if not data:
                raise EOFError("its gzip stream was cut off")
            text = self.stream.decompress(data, len(buffer))
            if text:
                buffer[: len(text)] = text
                return len(text)
        if self.stream.unused_data or self.stored.read(1):
            raise ValueError("got more bytes after the end of its gzip stream, expected none")
        return 0


def lines(path: Path, start: int = 0) -> Iterator[bytes]:
    """The lines of a file's text, from an offset on.

    Raises OSError, EOFError, zlib.error or ValueError where there is none, or more than reference.limits has.
    """
    with opened("file", path, limits.RECORD_BYTES) as stored:
        text = BufferedReader(_Inflated(stored), CHUNK) if path.suffix == ".gz" else stored
        left = 0 if text.seekable() and text.seek(start) == start else start
        while left:  # gzip: what stands before is read, and thrown away
            left -= len(text.read(min(left, CHUNK))) or left
        position, number = start, 0
        while line := text.readline(limits.LINE_BYTES + 1):
            position, number = position + len(line), number + 1
            if len(line) > limits.LINE_BYTES:
                raise ValueError(f"line {number}: longer than {limits.LINE_BYTES} bytes, expected lines of a record")
            if position > limits.RECORD_BYTES:
                raise ValueError(f"got text of more than {limits.RECORD_BYTES:,} bytes, expected at most that")
            if position > limits.RECORD_RATIO * max(stored.tell(), CHUNK):
                got = f"more than {position:,} bytes of text in {stored.tell():,} of gzip"
                raise ValueError(f"got {got}, expected at most {limits.RECORD_RATIO} times as many")
            yield line


def write(path: Path, text: Iterable[bytes]) -> None:
    """Write the text, compressed where the name asks for it; the same text gives the same bytes."""
    with written_atomically(path) as file:
        if path.suffix != ".gz":
            file.writelines(text)
            return
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
            packed.writelines(text)
