"""The files in a zip, one after another."""

import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import IO

from ingest.archives.errors import ArchiveError
from ingest.archives.packed import BLOCK_BYTES, Growth

BEGINS = (b"PK\x03\x04", b"PK\x05\x06")

KEPT_BYTES = 1 << 30
"""The largest zip through a pipe: a zip is read from its end, so it has to be kept meanwhile."""

DIRECTORY_BYTES = 16 << 20
"""The largest directory of a zip: Python's reader holds all of it, and years of events fit into some hundred files."""

_MEMORY_BYTES = 32 << 20
_END = struct.Struct("<4s4H2LH")
_LONG_END = struct.Struct("<40s2Q")
_LOCATOR_BYTES = 20
"""Between the two ends that a zip of more than 4 GiB has."""

_READ = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The methods that Python's reader unpacks a block at a time, in little memory."""

_ADDED_BY_MAC = ("__MACOSX/", ".DS_Store")
"""Files that a Mac adds to those that were packed."""


def members(source: BufferedReader) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield each file's name and blocks. Raises ArchiveError; where a file is wrong, while its blocks are read."""
    with _seekable(source) as file:
        size = _checked(file)
        growth = Growth()
        try:
            opened = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise ArchiveError(f"is damaged: zip says {error}: get the file anew") from None
        with opened:
            for each in opened.infolist():
                if (
                    not each.is_dir()
                    and not each.filename.startswith(_ADDED_BY_MAC[0])
                    and not each.filename.endswith(_ADDED_BY_MAC[1])
                ):
                    yield each.filename, _blocks(opened, each, growth, size)


def _blocks(opened: zipfile.ZipFile, member: zipfile.ZipInfo, growth: Growth, size: int) -> Iterator[bytes]:
    if member.flag_bits & 1:
        raise ArchiveError("is encrypted: unpack it first, and replay what comes out")
    if member.compress_type not in _READ:
        raise ArchiveError("is packed in a way that few programs read: unpack it first, and replay what comes out")
    try:
        with opened.open(member) as file:
            while block := file.read(BLOCK_BYTES):
                growth.grew(len(block), size)
                yield block
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ArchiveError(f"is damaged: zip says {error or 'that it ends too early'}: get the file anew") from None


@contextmanager
def _seekable(source: BufferedReader) -> Iterator[IO[bytes]]:
    if source.seekable():
        yield source
        return
    with tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES) as kept:
        while block := source.read(BLOCK_BYTES):
            if kept.tell() + len(block) > KEPT_BYTES:
                raise ArchiveError(
                    f"is a zip of more than {KEPT_BYTES:,} bytes through a pipe, and a zip is read from its end: "
                    "expected the name of the file"
                )
            kept.write(block)
        yield kept


def _checked(file: IO[bytes]) -> int:
    """Return the size of a zip; raise ArchiveError where its directory is too large."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END.size - _LONG_END.size - _LOCATOR_BYTES - 0xFFFF))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise ArchiveError("is cut off: expected the directory at the end of a zip: get the file anew")
    directory = _END.unpack_from(tail, at)[5]
    long = at - _LOCATOR_BYTES - _LONG_END.size
    if long >= 0 and tail.startswith(b"PK\x06\x07", at - _LOCATOR_BYTES):
        directory = _LONG_END.unpack_from(tail, long)[1]
    if directory > DIRECTORY_BYTES:
        raise ArchiveError("is a zip of too many files: unpack it first, and replay what comes out")
    return size
