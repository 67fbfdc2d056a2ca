"""What is packed comes out, in bounded pieces; what is cut off, damaged or made to fill a disk is named."""

import bz2
import gzip
import io
import lzma
import random
import sys
from collections.abc import Callable

import pytest

from ingest.archives import packed
from ingest.archives.errors import ArchiveError
from ingest.archives.packed import unpacked

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SKIPPED = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
WAYS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "Zstandard": lambda text: zstd.compress(text, options={zstd.CompressionParameter.checksum_flag: 1}),
}
TEXT = random.Random(3).randbytes(300_000).hex().encode()

ways = pytest.mark.parametrize("way", WAYS)


def read(content: bytes) -> list[bytes]:
    return list(unpacked(io.BufferedReader(io.BytesIO(content))))


@ways
@pytest.mark.parametrize("text", [b"", b"x", TEXT])
def test_what_was_packed_comes_out(way: str, text: bytes) -> None:
    assert b"".join(read(WAYS[way](text))) == text
    assert packed.way(WAYS[way](text)) == way


def test_parts_that_follow_each_other_come_out_whatever_each_is_packed_in() -> None:
    parts = [pack(name.encode()) for name, pack in WAYS.items()]
    assert b"".join(read(b"".join(parts) + SKIPPED + parts[0] + b"\0" * 512)) == b"gzipbzip2xzZstandardgzip"
    assert b"".join(read(parts[2] + b"plain\x1f\x8b")) == b"xzplain\x1f\x8b"


@ways
def test_a_file_that_is_cut_off_gives_what_it_has_and_says_so(way: str) -> None:
    found: list[bytes] = []
    whole = WAYS[way](TEXT)
    with pytest.raises(ArchiveError, match=f"is cut off: expected the end of a {way} file"):
        found.extend(unpacked(io.BufferedReader(io.BytesIO(whole[: len(whole) * 3 // 4]))))
    assert TEXT.startswith(b"".join(found))
    assert way == "bzip2" or found


@ways
def test_a_damaged_file_is_named(way: str) -> None:
    whole = bytearray(WAYS[way](TEXT))
    whole[len(whole) // 2 : len(whole) // 2 + 50] = b"?" * 50
    with pytest.raises(ArchiveError, match=f"is damaged: {way} says"):
        read(bytes(whole))


@ways
def test_what_grows_as_no_events_do_is_refused_block_by_block(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "FREE_BYTES", 1 << 20)
    bomb = WAYS[way](b" " * (24 << 20))
    sizes: list[int] = []
    with pytest.raises(ArchiveError, match="more than 200 times its size"):
        sizes.extend(len(block) for block in unpacked(io.BufferedReader(io.BytesIO(bomb))))
    assert max(sizes) <= packed.BLOCK_BYTES
    assert sum(sizes) <= (1 << 20) + 200 * len(bomb)


def test_a_file_that_asks_for_gigabytes_of_memory_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 256 << 20}]
    with pytest.raises(ArchiveError, match="xz says Memory usage limit exceeded"):
        read(lzma.compress(b"x", filters=filters))
