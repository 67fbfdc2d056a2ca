"""A SQLite log checked group by group, past damaged ones too. It only reads, also while a writer is at work."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eventlog.batch import Batch
from eventlog.log import (
    LogUnavailableError,
    Record,
    records_of,
)
from eventlog.sqlite.chunks import chunks
from eventlog.sqlite.failures import as_damage
from eventlog.sqlite.file import (
    DamagedLogError,
    last_position,
    marked,
    open_reader,
)
from eventlog.sqlite.group import Group
from eventlog.sqlite.mark import FORGOTTEN, OLDER
from eventlog.sqlite.schema import COLUMNS

_NEXT = f"select {COLUMNS} from groups where last_position > ? order by last_position limit 1"


@dataclass(frozen=True, slots=True)
class Piece:
    """The records of one group, or the fault in their place; `end` is the last position of the log."""

    last_position: int
    end: int
    records: Sequence[Record] = ()
    fault: str = ""


def pieces(path: Path) -> Iterator[Piece]:
    """Yield every group in order. Raises LogUnavailableError, UnusableLogError where the file cannot be read.

    Each group is a read of its own, so that a writer can reuse its WAL meanwhile.
    """
    try:
        reader = open_reader(path)
    except (DamagedLogError, sqlite3.Error) as error:
        raise LogUnavailableError(f"{path} cannot be read: {error}") from error
    try:
        with as_damage():
            yield from _pieces(reader)
    except (DamagedLogError, sqlite3.Error) as error:
        raise LogUnavailableError(f"{path} cannot be read any further: {error}") from error
    finally:
        reader.close()


def _pieces(reader: sqlite3.Connection) -> Iterator[Piece]:
    end, reached = last_position(reader), 0
    while (row := reader.execute(_NEXT, (reached,)).fetchone()) is not None and reached < end:
        group = Group._make(row)
        last, sound = group.last_position, group.is_sound()
        first = group.first_position if sound else reached + 1
        if first > reached + 1 and first - 1 > marked(reader, FORGOTTEN, OLDER):
            yield Piece(reached, end, fault=f"positions {reached + 1:,} to {first - 1:,} are missing")
        if sound:
            yield Piece(last, end, records_of(Batch.joined(list(chunks([group])))))
        else:
            yield Piece(last, end, fault=f"the group at position {last:,} is not as it was written")
        reached = last
    if reached < end and end > marked(reader, FORGOTTEN, OLDER):
        yield Piece(end, end, fault=f"positions {reached + 1:,} to {end:,} are missing")
