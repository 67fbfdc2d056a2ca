"""A damaged warehouse: found out for certain, set aside, and made anew from the replica.

Nothing is deleted: a damaged file gets `.damaged-<time>` after its name, and stays to be looked at.
What the new file lacks, the log still holds, because it forgets no more than what is published (decision 27).
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from warehouse import wal
from warehouse.blocks import UnknownFormatError, lacks_blocks, mismatches
from warehouse.connection import require_duckdb
from warehouse.copying import copy_file, sync_file, sync_folder
from warehouse.errors import DamagedError, LockedError, UnavailableError, explained
from warehouse.verify import State, verify

MOST = 3
WITHIN = timedelta(hours=1)
"""So many times within so long a file is set aside: a machine that damages the next one, too, is no matter of files."""

_MARK = ".damaged-"
_TIME = "%Y%m%dT%H%M%SZ"


class Part(StrEnum):
    """What is damaged."""

    WAL = "write-ahead log"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of the warehouse that is not as it was written, and how that shows."""

    part: Part
    reason: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of a damaged warehouse: the files set aside, and what is in its place now, in words."""

    damage: Damage
    aside: tuple[Path, ...]
    instead: str

    def __str__(self) -> str:
        where = ", ".join(str(path) for path in self.aside)
        aside = f": set aside as {where}" if where else ""
        return f"the warehouse's {self.damage.part} was damaged ({self.damage.reason}){aside}; {self.instead}"


def examine(path: Path, *, insists: bool = False) -> Damage | None:
    """Say whether the warehouse at `path` is damaged, and which part of it; nobody may have it open.

    DuckDB reads it in a child process, and reads all of it where checksums are wrong. `insists`: DuckDB complained
    again of a file that it read whole: then a wrong checksum alone is enough. Raises UnavailableError where the machine
    stood in the way, and WarehouseError for a file that is none of ours.
    """
    try:
        require_duckdb(path, must_exist=True)
    except DamagedError as error:
        return Damage(Part.FILE, str(error))
    wrong = _wrong_checksums(path)
    if wrong.certain or (insists and wrong.reason):
        return Damage(Part.FILE, wrong.reason)
    verdict = verify(path, deep=bool(wrong.reason))
    if verdict.state is State.HELD:
        raise LockedError(verdict.reason, by_holdtime=verdict.by_holdtime)
    if verdict.state is State.UNKNOWN:
        raise UnavailableError(f"{path} cannot be examined now: {verdict.reason}")
    if not verdict.damaged:
        return None
    blamed = "WAL" in verdict.reason or not wrong.reason
    if verdict.state is State.NOT_OPENED and blamed and wal.beside(path).exists():
        return Damage(Part.WAL, verdict.reason)  # where the file is damaged, too, the next look says so
    return Damage(Part.FILE, verdict.reason)


def recover(path: Path, replica: Path, *, now: datetime, insists: bool = False) -> Recovery | None:
    """Set aside what is damaged of the warehouse, and put the replica in its place; None where nothing is damaged.

    A warehouse that is not there while its replica is counts as damaged: publishing a new one would end the replica.
    It can be killed at any moment, and called again. Nobody may have the warehouse open. Raises LockedError,
    UnavailableError, where there is no room for a copy say, and DamagedError where this has happened too often.
    """
    finish(path)
    with explained(path):
        if not path.exists():
            return _replaced(path, replica, Damage(Part.FILE, "it is not there"), now) if replica.exists() else None
        before = path.stat()
        damage = examine(path, insists=insists)
        if damage is None:
            return None
        with _alone(path, before):
            _require_few(path, now)
            log = wal.beside(path)
            if damage.part is Part.WAL:
                aside = _set_aside(log, now)
                return Recovery(damage, (aside,), "what was only in it lands again from the log")
            return _replaced(path, replica, damage, now)


def finish(path: Path) -> None:
    """Finish what a process that was killed had begun: the warehouse was set aside, and its successor was whole."""
    successor = _successor(path)
    if successor.exists() and not path.exists():
        successor.replace(path)
        sync_folder(path.parent)


def aside(path: Path) -> list[Path]:
    """Return the damaged files that were set aside beside this one, the latest last."""
    found = path.parent.glob(f"{path.name}*{_MARK}*") if path.parent.is_dir() else []
    return sorted(found, key=lambda each: each.name.rpartition(_MARK)[2])


def _replaced(path: Path, replica: Path, damage: Damage, now: datetime) -> Recovery:
    successor = _successor(path)
    found_wrong = _copied(replica, successor)
    # Killed after any of these renames, the next look finds the file damaged, or its successor whole (`finish`).
    leaving = [wal.beside(path), path] if found_wrong is None else [replica, wal.beside(path), path]
    moved = tuple(_set_aside(each, now) for each in leaving if each.exists())
    if found_wrong is None:
        finish(path)
        return Recovery(damage, moved, f"the replica {replica} took its place, and the log lands the rest")
    return Recovery(
        damage,
        moved,
        f"there is no replica to take its place ({found_wrong}): a new warehouse is made from what the log still "
        "holds; older events are gone from it: `holdtime replay` and `holdtime reconcile` bring them back",
    )


def _copied(replica: Path, successor: Path) -> str | None:
    """Copy the replica if all of it can be read; returns why not, if so."""
    if not replica.is_file():
        return f"{replica} is not there"
    try:
        damage = examine(replica)
        if damage is not None:
            return f"it is damaged as well, {damage.reason}"
        copy_file(replica, successor)
        damage = examine(successor)
        if damage is not None:
            raise UnavailableError(f"{successor} is not what was written to it ({damage.reason}); look at the disk")
        sync_file(successor)
    except BaseException:
        successor.unlink(missing_ok=True)
        raise
    return None


@dataclass(frozen=True, slots=True)
class _Wrong:
    """Wrong checksums: in words, and whether they alone say that the file cannot be used."""

    reason: str
    certain: bool = False


def _wrong_checksums(path: Path) -> _Wrong:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = mismatches(descriptor)
        if not found and lacks_blocks(descriptor):
            return _Wrong("it is shorter than its header says")
    except UnknownFormatError as error:
        return _Wrong(f"its checksums cannot be computed here: {error}")
    finally:
        os.close(descriptor)
    if not found:
        return _Wrong("")
    places = ", ".join(f"{each.at:,}" for each in found[:3])
    return _Wrong(f"wrong checksum at byte {places}", certain=any(each.header for each in found))


@contextmanager
def _alone(path: Path, before: os.stat_result) -> Iterator[None]:
    """Keep every DuckDB out of the file that was examined. Raises LockedError where one is in, or it is another."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LockedError(f"{path} is damaged, and another process has it open: close it there") from None
        if not os.path.samestat(os.fstat(descriptor), before) or not os.path.samestat(path.stat(), before):
            raise LockedError(f"{path} is being set aside by another process")
        yield
    finally:
        os.close(descriptor)


def _require_few(path: Path, now: datetime) -> None:
    times = {each.name.rpartition(_MARK)[2].partition("-")[0] for each in aside(path)}
    recent = [time for time in sorted(times) if now - _instant(time) < WITHIN]
    if len(recent) >= MOST:
        raise DamagedError(
            f"{path} is damaged for the {len(recent) + 1}th time within an hour: it is left as it is for now, and "
            "deliveries wait in the log; look at this machine's disk and memory (dmesg, smartctl, memtest)"
        )


def _instant(time: str) -> datetime:
    try:
        return datetime.strptime(time, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _set_aside(path: Path, now: datetime) -> Path:
    name = f"{path.name}{_MARK}{now.astimezone(UTC).strftime(_TIME)}"
    place = path.with_name(name)
    number = 1
    while place.exists():
        number += 1
        place = path.with_name(f"{name}-{number}")
    path.rename(place)
    sync_folder(path.parent)
    return place


def _successor(path: Path) -> Path:
    return path.with_name(f"{path.name}.restoring")
