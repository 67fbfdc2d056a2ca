"""Bytes that are packed as gzip, bzip2, xz or Zstandard, or not at all; several such parts may follow each other."""

import bz2
import lzma
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from typing import Protocol

from ingest.archives.errors import ArchiveError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BLOCK_BYTES = 1 << 20
"""The most that is unpacked at a time."""

FREE_BYTES = 512 << 20
MAX_RATIO = 200
"""The most times that an archive may grow: events shrink to a twentieth at best, and more is meant to fill a disk."""

_XZ_MEMORY = 128 << 20
"""`xz -9` needs 65 MiB; a file may ask for 4 GiB. Zstandard asks for 128 MiB at most unless it is allowed more."""


class Decompressor(Protocol):
    """The interface that bz2, lzma and zstd share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's decompressor with the interface of the others."""

    def __init__(self) -> None:
        self._inflating = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inflating.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflating.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inflating.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflating.decompress(self._inflating.unconsumed_tail + data, max_length)


_WAYS: dict[str, tuple[re.Pattern[bytes], Callable[[], Decompressor]]] = {
    "gzip": (re.compile(rb"\x1f\x8b\x08"), _Gzip),
    "bzip2": (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), bz2.BZ2Decompressor),
    "xz": (re.compile(rb"\xfd7zXZ\0"), lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)),
    # A file may begin with a frame to be skipped, as parallel programs write it.
    "Zstandard": (re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", re.DOTALL), zstd.ZstdDecompressor),
}
MAGIC_BYTES = 10
_FAULTS = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, ValueError)


class Growth:
    """Watches that the unpacked bytes stay in proportion to the bytes that were read."""

    def __init__(self) -> None:
        self._unpacked = 0

    def grew(self, by: int, packed: int) -> None:
        """Count bytes that came out of the first `packed` ones. Raises ArchiveError where that is too much."""
        self._unpacked += by
        if self._unpacked > FREE_BYTES + MAX_RATIO * packed:
            raise ArchiveError(
                f"unpacks to more than {MAX_RATIO} times its size, as no events do: expected an archive of events; "
                "where it is one, unpack it first and replay what comes out"
            )


def way(head: bytes) -> str | None:
    """Return the name of the way in which bytes that begin so are packed."""
    return next((name for name, (magic, _) in _WAYS.items() if magic.match(head)), None)


def unpacked(source: BufferedReader) -> Iterator[bytes]:
    """Yield the source unpacked, a block at a time. Raises ArchiveError after the readable blocks."""
    packed = _Packed(source)
    while name := packed.way():
        yield from packed.part(name)
    yield from packed.plain()


class _Packed:
    """Reads a source part by part."""

    def __init__(self, source: BufferedReader) -> None:
        self._source = source
        self._growth = Growth()
        self._read = 0
        self._rest = b""
        self._parts = 0

    def way(self) -> str | None:
        """Return the way in which the next part is packed, if it is."""
        if len(self._rest) < MAGIC_BYTES:
            self._rest += self._more()
        if self._parts:
            self._rest = self._rest.lstrip(b"\0")  # tapes and xz fill up with these
        return way(self._rest)

    def part(self, name: str) -> Iterator[bytes]:
        """Yield the content of a part that is packed in that way."""
        decompressor = _WAYS[name][1]()
        while not decompressor.eof:
            data, is_hungry = b"", decompressor.needs_input
            if is_hungry:
                data, self._rest = self._rest or self._more(), b""
            try:
                block = decompressor.decompress(data, BLOCK_BYTES)
            except _FAULTS as error:
                raise ArchiveError(f"is damaged: {name} says {error}: get the file anew") from None
            if block:
                self._growth.grew(len(block), self._read)
                yield block
            elif is_hungry and not data:
                raise ArchiveError(f"is cut off: expected the end of a {name} file: get the file anew")
        self._rest = decompressor.unused_data
        self._parts += 1

    def plain(self) -> Iterator[bytes]:
        """Yield the plain bytes up to the end."""
        yield self._rest
        while block := self._more():
            yield block

    def _more(self) -> bytes:
        block = self._source.read(BLOCK_BYTES)
        self._read += len(block)
        return block
