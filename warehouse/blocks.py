"""DuckDB's checksums, computed without DuckDB: which blocks of a file are not as they were written.

DuckDB never reads a block with a wrong checksum without an error, but it reads a block only when it needs it. This
module reads all of them, at about a gigabyte a second, and cannot crash over what they hold (decision 28). A block that
the file does not use at present may be half written: only DuckDB can say whether a block counts (`warehouse.verify`).
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import xor

import pyarrow as pa
import pyarrow.compute as pc

HEADER_BYTES = 4_096
HEADERS = 3
KNOWN_VERSIONS = range(64, 69)
"""Versions of the file format (of DuckDB 0.9 to 2.0) whose checksums are computed like this."""

_SEED = 5_381
_FACTOR = 0xBF58476D1CE4E5B9
_WORD = (1 << 64) - 1
_MAIN = struct.Struct("<Q4sQ")
_DATABASE = struct.Struct("<QQQQQQ")
_BLOCK_BYTES = (16_384, 262_144)
_AT_A_TIME = 4 << 20


class UnknownFormatError(Exception):
    """The file's format is not one whose checksums are known."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A piece of the file whose checksum is wrong: where it begins (bytes), and the checksum of what is there.

    `header` where it is one of the three headers, without which nothing else can be found.
    """

    at: int
    content: int
    header: bool = False


def mismatches(descriptor: int, *, most_bytes: int | None = None) -> list[Mismatch]:
    """Return what is wrong with the file that is open as `descriptor`, of its first `most_bytes` or all of it.

    The file must stand still meanwhile. Raises UnknownFormatError, and OSError where the disk cannot be read.
    """
    headers = [os.pread(descriptor, HEADER_BYTES, number * HEADER_BYTES) for number in range(HEADERS)]
    found = [
        Mismatch(number * HEADER_BYTES, _sum(header), header=True)
        for number, header in enumerate(headers)
        if len(header) < HEADER_BYTES or not _is_right(header)
    ]
    if found:
        return found
    block_bytes, end = _extent(headers)
    end = min(end, os.fstat(descriptor).st_size, end if most_bytes is None else most_bytes)
    return [each for each in _read(descriptor, end, block_bytes) if each is not None]


def lacks_blocks(descriptor: int) -> bool:
    """Say whether the file is shorter than its header says: cut off, or by blocks at its end that were free.

    The headers must be sound. Raises UnknownFormatError, OSError.
    """
    headers = [os.pread(descriptor, HEADER_BYTES, number * HEADER_BYTES) for number in range(HEADERS)]
    return os.fstat(descriptor).st_size < _extent(headers)[1]


def has_headers(beginning: bytes) -> bool:
    """Say whether a file that begins like this has at least one of DuckDB's two database headers."""
    headers = (beginning[number * HEADER_BYTES : (number + 1) * HEADER_BYTES] for number in range(1, HEADERS))
    return any(len(header) == HEADER_BYTES and any(header) and _is_right(header) for header in headers)


def _extent(headers: list[bytes]) -> tuple[int, int]:
    """How large a block is, and where the last block ends, in bytes."""
    _, _, version = _MAIN.unpack_from(headers[0])
    newest = max((_DATABASE.unpack_from(header) for header in headers[1:]), key=lambda header: header[1])
    blocks, block_bytes = newest[4:]
    if version not in KNOWN_VERSIONS or block_bytes not in _BLOCK_BYTES:
        raise UnknownFormatError(f"version {version} of the format, blocks of {block_bytes} bytes")
    return block_bytes, HEADERS * HEADER_BYTES + blocks * block_bytes


def _read(descriptor: int, end: int, block_bytes: int) -> Iterator[Mismatch | None]:
    at = HEADERS * HEADER_BYTES
    while at < end:
        read = os.pread(descriptor, min(_AT_A_TIME, end - at), at)
        if not read:
            return
        for start in range(0, len(read), block_bytes):
            block = read[start : start + block_bytes]
            if len(block) == block_bytes:
                yield None if _is_right(block) else Mismatch(at + start, _sum(block))
        at += len(read) - len(read) % block_bytes or len(read)


def _is_right(block: bytes) -> bool:
    """Say whether a block has the checksum of what follows it: the first word, little-endian."""
    stored = int.from_bytes(block[:8], "little")
    return stored == _sum(block)


def _sum(block: bytes) -> int:
    """The checksum that the block ought to have: all words but the first, each multiplied, combined by xor."""
    words = len(block) // 8
    if words == 0:
        return _SEED
    numbers = pa.Array.from_buffers(pa.uint64(), words, [None, pa.py_buffer(block)])
    products = pc.multiply(numbers, pa.scalar(_FACTOR, pa.uint64()))  # wraps, as in C
    total = _SEED ^ (int.from_bytes(block[:8], "little") * _FACTOR & _WORD)  # takes the first word out again
    while len(products) > 32:
        half = len(products) // 2
        if len(products) % 2:
            total ^= products[len(products) - 1].as_py()
        products = pc.bit_wise_xor(products.slice(0, half), products.slice(half, half))
    return reduce(xor, products.to_pylist(), total)
