"""The reading side of the SQLite log: sound groups in their order, from any thread of any process."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from eventlog.log import LogUnavailableError
from eventlog.sqlite.failures import as_damage
from eventlog.sqlite.file import DamagedLogError, last_position, marked, open_reader
from eventlog.sqlite.group import Group
from eventlog.sqlite.header import UnusableLogError
from eventlog.sqlite.mark import FORGOTTEN, OLDER
from eventlog.sqlite.schema import COLUMNS

T = TypeVar("T")

_READ = f"select {COLUMNS} from groups where last_position > ? order by last_position"


class GroupReader:
    """Reads one file, which is opened with the first question and stays open until `close` or a failure.

    Every question raises LogUnavailableError where the file cannot be read now, DamagedLogError and UnusableLogError
    where it cannot be read at all.
    """

    def __init__(self, path: Path, batch_bytes: int) -> None:
        """Name the file; `batch_bytes` bounds the bodies of one read."""
        self._path = path
        self._batch_bytes = batch_bytes
        self._connection: sqlite3.Connection | None = None
        self._turn = threading.Lock()

    def groups(self, after: int, limit: int, given: int) -> list[Group]:
        """Return the groups that hold the records after a position, at least one if any; up to `limit` records.

        Raises DamagedLogError where a group is damaged or missing. All positions up to `given` were given before this
        was called.
        """
        return self._answer(lambda connection: self._groups(connection, after, limit, given))

    def last_position(self) -> int:
        """Return the last position that was given; 0 in a new log."""
        return self._answer(last_position)

    def marked(self, *names: bytes) -> int:
        """Return the last position of the marks of those names; 0 where there is none."""
        return self._answer(lambda connection: marked(connection, *names))

    def close(self) -> None:
        """Let go of the file; the next question opens it again."""
        with self._turn:
            self._let_go()

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """Keep the file closed meanwhile; questions wait."""
        with self._turn:
            self._let_go()
            yield

    def _answer(self, question: Callable[[sqlite3.Connection], T]) -> T:
        with self._turn:
            try:
                with as_damage():
                    if self._connection is None:
                        self._connection = open_reader(self._path)
                    return question(self._connection)
            except sqlite3.Error as error:
                self._let_go()
                raise LogUnavailableError(f"{self._path} could not be read: {error}") from error
            except (DamagedLogError, UnusableLogError):
                self._let_go()
                raise

    def _groups(self, connection: sqlite3.Connection, after: int, limit: int, given: int) -> list[Group]:
        groups: list[Group] = []
        size, reached = 0, after
        cursor = connection.execute(_READ, (after,))
        for row in cursor:
            group = Group._make(row)
            if not group.is_sound():
                raise DamagedLogError(f"the group at position {group.last_position} is not as it was written")
            first = group.first_position
            if first != reached + 1 and (groups or first > reached):
                _require_forgotten(connection, reached, first)
            size += len(group.bodies)
            if groups and size > self._batch_bytes:
                break
            groups.append(group)
            reached = group.last_position
            if reached - after >= limit:
                break
        else:
            if reached < given:
                _require_forgotten(connection, reached, given + 1)
        cursor.close()  # ends the read transaction: an open one would keep the WAL from being reused
        return groups

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _require_forgotten(connection: sqlite3.Connection, after: int, before: int) -> None:
    """Raise DamagedLogError unless records between two positions may be missing."""
    if before - 1 > marked(connection, FORGOTTEN, OLDER):
        raise DamagedLogError(f"position {before} follows {after}: what was between is missing")
    if before <= after:
        raise DamagedLogError(f"position {before} follows {after}")
