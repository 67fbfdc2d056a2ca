"""The pages of a damaged log: every group that can still be read is found, also where SQLite cannot open the file.

Every leaf page of a table says where its own rows are, and every group carries a checksum: so a group whose own pages
are sound is found without the file's header, its schema and the pages above. The pages in the WAL are searched as well,
with every older version of a page. Format: https://www.sqlite.org/fileformat2.html
"""

import os
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from struct import error as StructError  # noqa: N812 - its own name says nothing
from struct import unpack_from
from typing import NamedTuple, Self

from eventlog.sqlite import wal as sqlite_wal
from eventlog.sqlite.group import Group
from eventlog.sqlite.mark import Mark
from eventlog.sqlite.wal import PAGE_BYTES

_LEAF, _INTERIOR = 0x0D, 0x05
_FIRST_HEADER = 100
_MAX_LOCAL_BYTES = PAGE_BYTES - 35
_MIN_LOCAL_BYTES = (PAGE_BYTES - 12) * 32 // 255 - 23
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)
_FIELDS_BEFORE = 9
_MAX_ROW_BYTES = 64 << 20

Value = int | float | bytes | None


class Cell(NamedTuple):
    """Where a row is: a version of a page (frame 0: in the file itself), and the slot of the row in it."""

    page: int
    frame: int
    slot: int


class Row(NamedTuple):
    """A row of any table, as its page has it."""

    rowid: int
    payload: bytes


class Pages:
    """A SQLite file and its WAL, page by page. Closing them releases every lock that this process has on the file."""

    def __init__(self, path: Path) -> None:
        """Open the file and its WAL, where they exist; raise OSError."""
        self._files: dict[bool, int] = {}
        for is_wal, each in ((False, path), (True, sqlite_wal.path_of(path))):
            with suppress(FileNotFoundError):
                self._files[is_wal] = os.open(each, os.O_RDONLY)
        self._frames = {frame.number: frame for frame in sqlite_wal.frames(path)}
        self._versions: defaultdict[int, list[int]] = defaultdict(list)
        for frame in self._frames.values():
            self._versions[frame.page].append(frame.number)
        self._kept: tuple[tuple[int, int], bytes] = (0, 0), b""
        self._commits = [frame.number for frame in self._frames.values() if frame.commits]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._files.values():
            os.close(descriptor)

    @property
    def count(self) -> int:
        """The number of pages in the file; the last page may be cut off."""
        return -(-os.fstat(self._files[False]).st_size // PAGE_BYTES) if False in self._files else 0

    @property
    def are_missing(self) -> bool:
        """Whether the file is shorter than its header says, or empty, or a frame does not say which page it is of."""
        size = os.fstat(self._files[False]).st_size if False in self._files else 0
        is_unknown = not all(frame.is_known for frame in self._frames.values())
        return is_unknown or size == 0 or int.from_bytes(self._read(1, 0)[28:32]) * PAGE_BYTES > size

    def cells(self, *, trusted: int | None = None) -> Iterator[Cell]:
        """Yield the rows of every table: of frames up to `trusted`, newest first; of the file; of the other frames.

        The frames that SQLite could read come first: later ones may be of a transaction that failed.
        """
        numbers = sorted(self._frames, reverse=True)
        cut = len(numbers) if trusted is None else sum(number > trusted for number in numbers)
        sound, rest = (numbers, []) if trusted is None else (numbers[cut:], numbers[:cut])
        for number in sound:
            yield from self._cells(self._frames[number].page, number)
        for page in range(1, self.count + 1):
            yield from self._cells(page, 0)
        for number in rest:
            yield from self._cells(self._frames[number].page, number)

    def row(self, cell: Cell, *, newest: bool = False) -> Row | None:
        """Return the row; None where there is none.

        A row that goes on in other pages is read from the versions of its own transaction, with `newest` from the
        newest versions.
        """
        with suppress(IndexError, StructError):
            page = self._leaf(cell.page, cell.frame)
            begin = _begin(cell.page)
            (at,) = unpack_from(">H", page, begin + 8 + 2 * cell.slot)
            size, at = _varint(page, at)
            rowid, at = _varint(page, at)
            if size <= _MAX_ROW_BYTES:
                return Row(rowid, self._payload(page, at, size, self._until(cell.frame, newest=newest)))
        return None

    def _cells(self, page: int, frame: int) -> Iterator[Cell]:
        content = self._leaf(page, frame)
        begin = _begin(page)
        if len(content) == PAGE_BYTES and content[begin] == _LEAF:
            (count,) = unpack_from(">H", content, begin + 3)
            for index in range(min(count, PAGE_BYTES // 4)):
                yield Cell(page, frame, index)

    def keys(self) -> Iterator[int]:
        """Yield the positions that inner pages name: each the last one on a page below, which may be missing."""
        for page in range(1, self.count + 1):
            content = self._read(page, 0)
            if len(content) == PAGE_BYTES and content[0] == _INTERIOR:
                with suppress(IndexError, StructError):
                    for index in range(unpack_from(">H", content, 3)[0]):
                        (at,) = unpack_from(">H", content, 12 + 2 * index)
                        yield _varint(content, at + 4)[0]

    def _until(self, frame: int, *, newest: bool) -> int:
        """Return the last frame of the transaction that a frame belongs to."""
        if newest:
            return max(self._frames, default=0)
        if not frame:
            return 0
        index = bisect_right(self._commits, frame - 1)
        return self._commits[index] if index < len(self._commits) else max(self._frames)

    def _payload(self, page: bytes, at: int, size: int, until: int) -> bytes:
        if size <= _MAX_LOCAL_BYTES:
            return page[at : at + size]
        local = _MIN_LOCAL_BYTES + (size - _MIN_LOCAL_BYTES) % (PAGE_BYTES - 4)
        local = local if local <= _MAX_LOCAL_BYTES else _MIN_LOCAL_BYTES
        parts = [page[at : at + local]]
        (following,) = unpack_from(">I", page, at + local)
        left = size - local
        while left > 0 and following:
            versions = self._versions.get(following, [])
            index = bisect_right(versions, until)
            content = self._read(following, versions[index - 1] if index else 0)
            (following,) = unpack_from(">I", content)
            parts.append(content[4 : 4 + min(left, PAGE_BYTES - 4)])
            left -= len(parts[-1])
        return b"".join(parts)

    def _leaf(self, page: int, frame: int) -> bytes:
        """Return a version of a page, which is kept while its rows are read."""
        if self._kept[0] != (page, frame):
            self._kept = (page, frame), self._read(page, frame)
        return self._kept[1]

    def _read(self, page: int, frame: int) -> bytes:
        """Return a version of a page; no bytes where it is missing, or the disk cannot read it."""
        is_wal, at = (True, self._frames[frame].at) if frame else (False, (page - 1) * PAGE_BYTES)
        if is_wal not in self._files or at < 0:
            return b""
        with suppress(OSError):
            found = os.pread(self._files[is_wal], PAGE_BYTES, at)
            return found.ljust(PAGE_BYTES, b"\0") if found else b""
        return b""


def group_of(row: Row) -> Group | None:
    """Return the group that a row holds, sound or not; None where the row holds none.

    A group of the version before has no checksum: it is believed where its lengths agree.
    """
    values = _values(row.payload)
    if values is None or len(values) not in {len(Group._fields), _FIELDS_BEFORE}:
        return None
    if len(values) == _FIELDS_BEFORE:
        values = [*values[:6], 0, *values[6:8], b"", b"", values[8]]
        with suppress(TypeError):
            return Group._make([row.rowid, *values[1:]]).with_checksum()
    return Group._make([row.rowid, *values[1:]])


def mark_of(row: Row) -> Mark | None:
    """Return the sound mark that a row holds; None where the row holds none."""
    values = _values(row.payload)
    if values is None or len(values) != len(Mark._fields):
        return None
    mark = Mark._make(values)
    return mark if mark.is_sound() else None


def _begin(page: int) -> int:
    return _FIRST_HEADER if page == 1 else 0


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(at, at + 8):
        value = value << 7 | data[index] & 0x7F
        if data[index] < 0x80:
            return value, index + 1
    value = value << 8 | data[at + 8]
    return value - (1 << 64) if value >> 63 else value, at + 9


def _values(payload: bytes) -> list[Value] | None:
    """Return the values of a row, texts as bytes; None where it is cut off."""
    values: list[Value] = []
    try:
        at, index = _varint(payload, 0)
        end = at
        while index < end:
            kind, index = _varint(payload, index)
            value, at = _value(payload, kind, at)
            values.append(value)
    except IndexError:
        return None
    return values


def _value(payload: bytes, kind: int, at: int) -> tuple[Value, int]:
    if kind >= 12:
        size = (kind - 12) // 2
        if at + size > len(payload):
            raise IndexError
        return payload[at : at + size], at + size
    if kind in {8, 9}:
        return kind - 8, at
    if kind >= len(_INTEGER_BYTES) or not kind:
        return None, at + 8 * (kind > 0)
    size = _INTEGER_BYTES[kind]
    return int.from_bytes(payload[at : at + size], "big", signed=True), at + size
