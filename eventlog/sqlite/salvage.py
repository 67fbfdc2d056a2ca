"""Salvage: a damaged log is set aside, and a new one gets every record that can still be read, at its old position.

The new file is complete before any file is moved, so a crash at any moment leaves one of the two: see `finish`.
"""

import os
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from eventlog.sqlite.file import open_writer, sync_folder
from eventlog.sqlite.group import Group
from eventlog.sqlite.header import DamagedLogError, require_ours
from eventlog.sqlite.mark import (
    FORGOTTEN,
    OLDER,
    SALVAGED,
)
from eventlog.sqlite.pages import Pages, group_of
from eventlog.sqlite.schema import (
    committed,
    insert,
    put_mark,
)
from eventlog.sqlite.wreck import SoundGroup, Wreck

_PARTS = ("-wal", "-shm", "")
_MAX_LOST = 10_000
"""The most lost records that one group stands for."""

log = structlog.get_logger("ingest")


def open_or_salvage(path: Path, now: datetime, *, was_used: bool = False) -> sqlite3.Connection:
    """Open the log for writing; salvage it where it is damaged. Raises UnusableLogError, OSError, sqlite3.Error."""
    finish(path, now)
    if path.exists() and not path.stat().st_size and not was_used:
        log.warning("log_was_empty", log=str(path), do="if it was a log, put it back; nothing is known of what it held")
    try:
        return open_writer(path, was_used=was_used)
    except DamagedLogError as damage:
        require_ours(path, was_used=was_used)
        return salvage(path, now, reason=damage, connection=damage.connection)


def set_aside(path: Path) -> list[Path]:
    """Return the damaged files of a log, or of another SQLite file, that were set aside, the oldest first."""
    found = sorted(path.parent.glob(f"{_escape_glob(path.name)}.damaged-*"))
    return [each for each in found if not each.name.endswith(("-wal", "-shm", "-journal"))]


def salvage(
    path: Path,
    now: datetime,
    *,
    reason: BaseException | str,
    connection: sqlite3.Connection | None = None,
    last: int | None = None,
) -> sqlite3.Connection:
    """Set the log aside and return a new one, open for writing, with every record that can still be read.

    `connection` is the old log's, and is closed. `last` is the last position that was given, where that is known. Lost
    records are rejected as damaged in the new log. Raises OSError, sqlite3.Error: then the old log is unchanged.
    """
    taken = reason.taken if isinstance(reason, DamagedLogError) else None
    with Pages(path) as pages:
        wreck = Wreck.of(pages, taken=taken)
        refill = _write(wreck, pages, path, now, last)
    aside = move_aside(path, now, _PARTS[:2])  # before closing, which removes the WAL
    if connection is not None:
        connection.close()
    move_aside(path, now, _PARTS[2:], aside)
    finish(path, now)
    log.error(
        "log_damaged",
        log=str(path),
        reason=str(reason),
        set_aside=str(aside),
        saved_records=refill.saved,
        unreadable_records=refill.lost,
        do="`holdtime reconcile --once --since 24h` asks Telnyx for what is lost; `holdtime doctor` names the file",
    )
    return open_writer(path)


def finish(path: Path, now: datetime) -> None:
    """Move a complete salvaged log to the log's path, if a crash has left one."""
    salvaged = _beside(path, "salvaged")
    if salvaged.exists():
        move_aside(path, now, _PARTS)
        salvaged.rename(path)
        sync_folder(path.parent)


def move_aside(path: Path, now: datetime, parts: tuple[str, ...] = _PARTS, to: Path | None = None) -> Path:
    """Rename the file and SQLite's files beside it; return its new path."""
    aside = to or _free(path, now)
    for part in parts:
        whole = path.with_name(path.name + part)
        if whole.exists():
            whole.rename(aside.with_name(aside.name + part))
    sync_folder(path.parent)
    return aside


def _write(wreck: Wreck, pages: Pages, path: Path, now: datetime, last: int | None) -> "_Refill":
    """Make the new log, complete, under another name."""
    unfinished = _beside(path, "salvaging")
    for part in _PARTS:
        unfinished.with_name(unfinished.name + part).unlink(missing_ok=True)
    connection = open_writer(unfinished)
    try:
        refill = _Refill(wreck, pages, connection, int(now.timestamp() * 1_000_000))
        with committed(connection):
            refill.run(last)
        connection.execute("pragma wal_checkpoint(truncate)")
    finally:
        connection.close()
    unfinished.rename(_beside(path, "salvaged"))
    sync_folder(path.parent)
    return refill


@dataclass(slots=True)
class _Refill:
    """Writes the rest of a log into a new one. `at_us` is when the latest group so far was received."""

    wreck: Wreck
    pages: Pages
    connection: sqlite3.Connection
    at_us: int
    saved: int = 0
    lost: int = 0

    def run(self, last: int | None) -> None:
        """Write all of it; `last` is the last position that was given, where that is known."""
        marks = self.wreck.marks
        sound = [each for each in self.wreck.sound if each.last > marks.get(FORGOTTEN, 0)]
        known = self.wreck.last() if last is None else max(last, sound[-1].last if sound else 0)
        reached = max(marks.get(FORGOTTEN, 0), marks.get(OLDER, 0))
        if not marks:  # then nothing is known of positions before the first group
            reached = sound[0].first - 1 if sound else max(known - 1, 0)
            marks = {FORGOTTEN: reached}
        for each in sound:
            self.at_us = each.newest_us
            self._write_lost(reached, each.first - 1)
            self._save(each)
            reached = max(reached, each.last)
        self._write_lost(reached, known)
        for name in (FORGOTTEN, OLDER):
            put_mark(self.connection, name, marks.get(name, 0))
        if last is None:
            put_mark(self.connection, SALVAGED, max(known, 1))

    def _save(self, found: SoundGroup) -> None:
        row = self.pages.row(found.cell, newest=found.newest)
        group = group_of(row) if row is not None else None
        if group is None or not group.is_sound():
            raise OSError(f"{found.cell} cannot be read again")
        insert(self.connection, group)
        self.saved += group.records

    def _write_lost(self, reached: int, last: int) -> None:
        """Write that the records after `reached` and up to `last` are lost, with the damaged rest of them."""
        if reached >= last:
            return
        damaged = self.wreck.damaged
        for end in [*sorted(each for each in damaged if reached < each < last), last]:
            row = self.pages.row(damaged[end]) if end in damaged else None
            left = row.payload if row is not None else b""
            while reached < end:
                count = min(end - reached, _MAX_LOST)
                reached += count
                insert(self.connection, Group.lost(reached, count, self.at_us, left))
                self.lost += count
                left = b""


def _beside(path: Path, state: str) -> Path:
    return path.with_name(f"{path.name}.{state}")


def _free(path: Path, now: datetime) -> Path:
    """Return a free name for the files that are set aside now."""
    number = 0
    while True:
        name = f"{path.name}.damaged-{now:%Y%m%dT%H%M%SZ}" + (f"-{number}" if number else "")
        aside = path.with_name(name)
        if not any(os.path.lexists(aside.with_name(name + part)) for part in _PARTS):
            return aside
        number += 1


def _escape_glob(name: str) -> str:
    return "".join(f"[{each}]" if each in "*?[" else each for each in name)
