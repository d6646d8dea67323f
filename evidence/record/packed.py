"""Text as it is, or compressed by gzip or xz: the end of a file's name says which."""

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from io import BufferedReader, RawIOBase
from typing import Any, BinaryIO, NamedTuple

CHUNK = 2**16
XZ_BYTES = 2**27  # of memory, to read it: the largest preset needs half of it
FAULTS = (OSError, EOFError, zlib.error, lzma.LZMAError)  # what a file that cannot be read raises


class _Gunzip:
    """zlib's decompressor, which keeps what it did not take, in the words of lzma's."""

    def __init__(self) -> None:
        self.stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @property
    def needs_input(self) -> bool:
        return not self.stream.unconsumed_tail

    def decompress(self, data: bytes, most: int) -> bytes:
        return self.stream.decompress(self.stream.unconsumed_tail or data, most)


class Compression(NamedTuple):
    name: str
    unpacker: Callable[[], Any]
    pack: Callable[[BinaryIO], Any]  # a file to write into, of which the same text makes the same bytes


# what a byte of text is follows from more of the one before it, and from no place among words of four bytes
OF_TEXT = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]
COMPRESSIONS = {
    ".gz": Compression("gzip", _Gunzip, lambda file: gzip.GzipFile("", "wb", fileobj=file, mtime=0)),
    ".xz": Compression("xz", partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, XZ_BYTES),
                       partial(lzma.LZMAFile, mode="wb", filters=OF_TEXT)),
}  # fmt: skip


class _Text(RawIOBase):
    """The text of one stream. Unlike the standard library's it ends there: nothing may stand behind it."""

    def __init__(self, stored: BinaryIO, of: Compression) -> None:
        self.stored, self.name, self.stream = stored, of.name, of.unpacker()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self.stream.eof:
            data = self.stored.read(CHUNK) if self.stream.needs_input else b""
            if not data and self.stream.needs_input:
                raise EOFError(f"its {self.name} stream was cut off")
            text = self.stream.decompress(data, len(buffer))
            if text:
                buffer[: len(text)] = text
                return len(text)
        if self.stream.unused_data or self.stored.read(1):
            raise ValueError(f"got more bytes after the end of its {self.name} stream, expected none")
        return 0


def unpacked(stored: BinaryIO, suffix: str) -> BinaryIO:
    """The text of a file, to be read."""
    return BufferedReader(_Text(stored, COMPRESSIONS[suffix]), CHUNK) if suffix in COMPRESSIONS else stored


def pack(file: BinaryIO, suffix: str, text: Iterable[bytes]) -> None:
    """Write the text; the same text gives the same bytes."""
    if suffix not in COMPRESSIONS:
        file.writelines(text)
        return
    with COMPRESSIONS[suffix].pack(file) as packed:
        packed.writelines(text)


def plain(name: str) -> str:
    """A file's name without the ending that says how it is compressed."""
    for suffix in COMPRESSIONS:
        name = name.removesuffix(suffix)
    return name
