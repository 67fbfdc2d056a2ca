"""The replica: a copy of the warehouse that readers open while we go on writing. It is the backup as well."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from warehouse.blocks import HEADER_BYTES, HEADERS, Mismatch, UnknownFormatError, mismatches
from warehouse.copying import copy_open_file, sync_file
from warehouse.errors import DamagedError, UnavailableError, WarehouseError
from warehouse.gateway import Gateway
from warehouse.query import value
from warehouse.verify import State, Verdict, verify
from warehouse.wal import beside

_EXTENT = "select total_blocks * block_size from pragma_database_size() where database_name = current_database()"


class DamagedCopyError(Exception):
    """A copy is not as a warehouse ought to be, and was not put out; `found` are its wrong checksums."""

    def __init__(self, text: str, found: list[Mismatch]) -> None:
        super().__init__(text)
        self.found = found


OWNER_ALONE = 0o400
"""The mode of a replica that one user reads: what is published is never written again."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read what is published: its mode, which lets nobody write, and its group, by default the process's."""

    mode: int = OWNER_ALONE
    group: int | None = None


@dataclass(slots=True)
class Publisher:
    """Publishes the warehouse that `db` writes, in two steps: a copy, then a check of it, which may take its time.

    `copy` and `blame` belong in the writer's own thread: the file stands still only while nothing is committed.
    `put_out` may run in any thread meanwhile, one at a time.
    """

    db: duckdb.DuckDBPyConnection
    warehouse: Path
    replica: Path
    access: Access = Access()
    gateway: Gateway | None = None
    _harmless: set[Mismatch] = field(default_factory=set)
    _gateway_written: bool = False
    _published: tuple[int, ...] | None = None
    """What the file that was put out last looks like from outside."""

    def copy(self) -> None:
        """Copy the warehouse as it is now. On a file system that can share blocks that costs nothing.

        Raises OSError or duckdb.Error where there is no room, DamagedError; what is published stays.
        """
        self.db.execute("checkpoint")
        size, held = self.warehouse.stat().st_size, value(self.db, _EXTENT)
        if size < HEADERS * HEADER_BYTES + held:
            raise DamagedError(f"{self.warehouse} is damaged: expected blocks of {held:,} bytes, found {size:,} in all")
        self.replica.parent.mkdir(parents=True, exist_ok=True)
        self._unfinished.unlink(missing_ok=True)  # a process that was killed may have left one that nobody may write
        try:
            copy_open_file(_kept_open(self.warehouse), self._unfinished)
        except BaseException:
            self._unfinished.unlink(missing_ok=True)
            raise

    def put_out(self) -> None:
        """Put the copy where readers look for it, in one step, if it is as DuckDB wrote it.

        A reader has either the old copy, until it closes it, or the new one. A write-ahead log beside it is of another
        program, which opened an older copy for writing: DuckDB would read the new copy through it, so it is removed.
        The first time, the gateway is written, too. Raises DamagedCopyError, UnavailableError and OSError; what is
        published stays.
        """
        try:
            self._check()
            if self.access.group is not None:
                os.chown(self._unfinished, -1, self.access.group)
            self._unfinished.chmod(self.access.mode)
            published = _seen(self._unfinished)
            self._remove_wal()
            self._unfinished.replace(self.replica)
            self._remove_wal()
            self._published = published
        finally:
            self._unfinished.unlink(missing_ok=True)
        if self.gateway is not None and not self._gateway_written:
            self._write(self.gateway)

    def _write(self, gateway: Gateway) -> None:
        try:
            gateway.write(mode=self.access.mode, group=self.access.group)
        except WarehouseError as error:
            raise UnavailableError(f"the replica is published, {gateway.path} is not: {error}") from None
        self._gateway_written = True

    def spoiled(self) -> str | None:
        """Say what another program did to what is published, or None; its write-ahead log is removed. Raises OSError.

        Before the first publication of this process, only such a log is looked for.
        """
        if self._remove_wal():
            return f"another program opened {self.replica} for writing: its write-ahead log was removed"
        if self._published is None:
            return None
        try:
            if _seen(self.replica) == self._published:
                return None
        except FileNotFoundError:
            return f"{self.replica} was removed"
        return f"another program wrote into {self.replica}"

    def blame(self, error: DamagedCopyError) -> None:
        """Raise DamagedError if the warehouse has what is wrong with its copy; else the copy's disk is at fault."""
        if error.found:
            mine = mismatches(_kept_open(self.warehouse))
            if not any(each in error.found for each in mine):
                return
        raise DamagedError(f"{self.warehouse} is damaged: {error}")

    def publish(self) -> None:
        """Do all of it in the writer's own thread.

        Raises DamagedError where the warehouse is damaged, and OSError, duckdb.Error or UnavailableError where there is
        no room; what was published before then stays.
        """
        self.copy()
        try:
            self.put_out()
        except DamagedCopyError as error:
            self.blame(error)
            raise UnavailableError(f"{error}; the warehouse itself is sound: look at {self.replica}'s disk") from None

    def make_last(self) -> None:
        """See to it that what is published stays so when the power fails. Raises OSError."""
        sync_file(self.replica)

    def _remove_wal(self) -> bool:
        try:
            beside(self.replica).unlink()
        except FileNotFoundError:
            return False
        return True

    @property
    def _unfinished(self) -> Path:
        return self.replica.with_name(f".{self.replica.name}.unfinished")

    def _check(self) -> None:
        """Compute the copy's checksums; where some are wrong only DuckDB knows whether they are of blocks in use."""
        descriptor = os.open(self._unfinished, os.O_RDONLY)
        try:
            found = [each for each in mismatches(descriptor) if each not in self._harmless]
            known = True
        except UnknownFormatError:
            found, known = [], False
        finally:
            os.close(descriptor)
        if known and not found:
            return
        verdict = Verdict(State.NOT_OPENED, "a header has a wrong checksum")
        if not any(each.header for each in found):
            verdict = verify(self._unfinished, deep=True)
        if verdict.state in {State.UNKNOWN, State.HELD}:
            raise UnavailableError(f"the copy of {self.warehouse} cannot be checked now: {verdict.reason}")
        if verdict.damaged:
            raise DamagedCopyError(f"a copy of {self.warehouse} was not published: {verdict.reason}", found)
        self._harmless.update(found)


def publish(db: duckdb.DuckDBPyConnection, warehouse: Path, replica: Path) -> None:
    """Put a checked copy of the warehouse where readers look for it (`Publisher.publish`)."""
    Publisher(db, warehouse, replica).publish()


def _seen(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode


_descriptors: dict[Path, int] = {}


def _kept_open(source: Path) -> int:
    """A descriptor of the file, opened once and kept for as long as it is that file.

    A process that closes any descriptor of a file gives up all of its POSIX locks on it. DuckDB's own lock, which keeps
    a second writer out of the warehouse, would be gone with the first copy.
    """
    descriptor = _descriptors.get(source)
    if descriptor is None or not os.path.samestat(os.fstat(descriptor), source.stat()):
        _descriptors[source] = os.open(source, os.O_RDONLY)
        if descriptor is not None:
            os.close(descriptor)
    return _descriptors[source]
