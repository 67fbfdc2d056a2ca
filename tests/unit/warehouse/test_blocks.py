"""DuckDB's checksums, as this DuckDB writes them: computed without it, and never wrong about a block in use."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from warehouse.blocks import KNOWN_VERSIONS, Mismatch, UnknownFormatError, lacks_blocks, mismatches
from warehouse.connection import attach, in_memory
from warehouse.database import open_writer
from warehouse.errors import WarehouseError

BLOCK = 262_144
FIRST_BLOCK = 3 * 4_096


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A warehouse that was written, changed and checkpointed several times, all of whose blocks but few are in use."""
    path = tmp_path_factory.mktemp("written") / "warehouse.duckdb"
    db = open_writer(path)
    for _ in range(3):
        db.execute("insert into bridged_connections select uuid() from range(40_000)")
        db.execute("checkpoint")
    db.close()
    return path.read_bytes()


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def found_in(path: Path, content: bytes, **options: int) -> list[Mismatch]:
    path.write_bytes(content)
    with opened(path) as descriptor:
        return mismatches(descriptor, **options)


def flipped(content: bytes, at: int, bit: int = 4) -> bytes:
    return content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]


def test_what_this_duckdb_writes_has_the_checksums_that_are_computed(tmp_path: Path, written: bytes) -> None:
    """Fails when DuckDB changes its format: then `warehouse.blocks` has to change, or to say that it does not know."""
    assert len(written) > 5 * BLOCK
    assert int.from_bytes(written[12:20], "little") in KNOWN_VERSIONS
    assert found_in(tmp_path / "copy", written) == []


def test_any_flipped_bit_is_found_in_its_place(tmp_path: Path, written: bytes) -> None:
    rng = random.Random(1)
    for at in [0, 8, 4_096, 8_191, 8_192, *(rng.randrange(len(written)) for _ in range(60))]:
        (found,) = found_in(tmp_path / "copy", flipped(written, at, 1 << rng.randrange(8)))
        assert found.at <= at < found.at + BLOCK
        assert found.header == (at < FIRST_BLOCK)


def test_duckdb_complains_of_the_same_block(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "warehouse.duckdb"
    complaints = 0
    for at in range(FIRST_BLOCK + 1_000, len(written), BLOCK):
        (found,) = found_in(path, flipped(written, at))
        complaint = read_by_duckdb(path)
        assert complaint is None or f"at location {found.at}" in complaint
        complaints += complaint is not None
    assert complaints > 3


def read_by_duckdb(path: Path) -> str | None:
    """Read a table of the file; what DuckDB says, if it cannot."""
    with in_memory() as db:
        try:
            attach(db, path, "w", "read_only")
            db.execute("select bit_xor(hash(connection_id)) from w.bridged_connections").fetchall()
        except (duckdb.Error, WarehouseError) as error:
            return str(error)
    return None


def test_a_file_of_which_the_end_is_missing_is_shorter_than_it_says(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "copy"
    assert found_in(path, written[:-BLOCK]) == []
    with opened(path) as descriptor:
        assert lacks_blocks(descriptor)
    path.write_bytes(written)
    with opened(path) as descriptor:
        assert not lacks_blocks(descriptor)


@pytest.mark.parametrize("length", [0, 5, 4_096, 8_192, FIRST_BLOCK - 1])
def test_a_file_without_its_headers_is_damaged(tmp_path: Path, written: bytes, length: int) -> None:
    assert any(each.header for each in found_in(tmp_path / "copy", written[:length]))


def test_a_part_of_a_file_may_be_enough(tmp_path: Path, written: bytes) -> None:
    damaged = flipped(written, FIRST_BLOCK + 3 * BLOCK + 5)
    assert found_in(tmp_path / "copy", damaged, most_bytes=FIRST_BLOCK + 3 * BLOCK) == []
    assert found_in(tmp_path / "copy", damaged, most_bytes=FIRST_BLOCK + 4 * BLOCK) != []


def test_a_format_that_is_not_known_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "small.duckdb"
    with duckdb.connect() as db:
        db.execute(f"attach '{path}' as small (storage_version 'v1.2.0', block_size 16384)")
        db.execute("create table small.numbers as select * from range(100_000)")
    with opened(path) as descriptor:
        assert mismatches(descriptor) == []
    later = tmp_path / "later.duckdb"
    later.write_bytes(relabelled(path.read_bytes(), version=999))
    with opened(later) as descriptor, pytest.raises(UnknownFormatError, match="999"):
        mismatches(descriptor)


def relabelled(content: bytes, *, version: int) -> bytes:
    """The file with another version of the format in its first header, and the right checksum for that."""
    factor, mask = 0xBF58476D1CE4E5B9, (1 << 64) - 1
    old = int.from_bytes(content[12:20], "little")
    words = [content[8:16], content[16:24]]
    changed = content[8:12] + version.to_bytes(8, "little") + content[20:24]
    total = int.from_bytes(content[:8], "little")
    for before, after in zip(words, (changed[:8], changed[8:]), strict=True):
        total ^= int.from_bytes(before, "little") * factor & mask
        total ^= int.from_bytes(after, "little") * factor & mask
    assert old in KNOWN_VERSIONS
    return total.to_bytes(8, "little") + changed + content[24:]
