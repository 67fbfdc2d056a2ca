"""Whether the warehouse and the replica are as DuckDB wrote them, and who holds the warehouse: for the doctor.

Files are read in a child process or without DuckDB, so damage ends nothing here, and a running `up` keeps its lock.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from holdtime.config.settings import Environment
from holdtime.doctor.checks import Check
from holdtime.doctor.checks import Severity as Mark
from warehouse import damage, locks, os_error
from warehouse.blocks import UnknownFormatError, mismatches
from warehouse.connection import require_duckdb
from warehouse.errors import DamagedError, WarehouseError
from warehouse.verify import State, Verdict, verify

QUICK_BYTES = 1 << 30
"""Of each file so much is read without `deep`: a second or so."""

_MENDS = "`holdtime up` and `process` set it aside and make it anew (docs/operations.md, A damaged file)"
_PUBLISHES = "`holdtime up` and `process` publish a new one from the warehouse"


def checks(environment: Environment, *, deep: bool, on_progress: Callable[[str], None]) -> Iterator[Check]:
    """The check of the warehouse; that of the replica only where it failed; the files that were set aside, if any.

    With `deep` every column of every table is read, of the replica too; `on_progress` gets their names meanwhile.
    """
    try:
        yield _warehouse(environment.warehouse, deep=deep, on_progress=on_progress)
    except OSError as error:
        yield Check("warehouse", Mark.FAILED, os_error.line(error))
        return
    replica = environment.replica
    if replica.is_file() and (fault := _fault(replica, deep=deep, on_progress=on_progress)) is not None:
        yield Check("replica", Mark.FAILED, f"{replica} is damaged: {fault}", _PUBLISHES)
    files = [*damage.aside(environment.warehouse), *damage.aside(replica)]
    if files:
        size = sum(file.stat().st_size for file in files)
        names = ", ".join(str(file) for file in files[-3:])
        do = "see why it was damaged (disk, memory), then remove what was set aside"
        yield Check("set aside", Mark.NOTE, f"{len(files)} damaged files, {size / 1e6:,.1f} MB: {names}", do)


def _warehouse(path: Path, *, deep: bool, on_progress: Callable[[str], None]) -> Check:
    if not path.exists():
        return Check("warehouse", Mark.NOTE, f"{path} is not there yet", "`holdtime up` makes it")
    try:
        require_duckdb(path)
    except DamagedError as error:
        return Check("warehouse", Mark.FAILED, str(error), _MENDS)
    except WarehouseError as error:
        do = "put a copy of the replica in its place (docs/operations.md, Backup)"
        return Check("warehouse", Mark.FAILED, f"{path} is no DuckDB file: {error}", do)
    found = verify(path, deep=deep, told=on_progress)
    if found.state is State.SOUND and (holder := locks.holder(path)) is not None:  # who only reads lets readers in
        found = Verdict(State.HELD, str(holder), holder.by_holdtime)
    return _read(path, found, deep=deep)


def _read(path: Path, found: Verdict, *, deep: bool) -> Check:
    """What the child process found of the warehouse; where it only opened it, its checksums are computed as well."""
    size = f"{path}, {path.stat().st_size / 1e6:,.1f} MB"
    fault = _fault(path, deep=False) if found.state is State.SOUND and not deep else None
    if found.damaged or fault is not None:
        return Check("warehouse", Mark.FAILED, f"{path} is damaged: {fault or found.reason}", _MENDS)
    if found.state is State.UNKNOWN:
        return Check("warehouse", Mark.FAILED, f"{path} cannot be read: {found.reason}", "mend that, then look again")
    if found.state is State.SOUND:
        return Check("warehouse", Mark.OK, size + (", every value read" if deep else ""))
    if found.by_holdtime:
        return Check("warehouse", Mark.OK, f"{size}; open in a running holdtime, so only the replica was read")
    do = "close it there: nothing lands meanwhile, and deliveries wait in the log"
    return Check("warehouse", Mark.FAILED, found.reason, do)


def _fault(path: Path, *, deep: bool, on_progress: Callable[[str], None] = lambda _: None) -> str | None:
    """What is wrong with the file, or None; where a checksum is wrong, DuckDB says whether that block is in use."""
    try:
        require_duckdb(path)
        if not deep and not _wrong(path):
            return None
    except (WarehouseError, OSError) as error:
        return str(error)
    found = verify(path, deep=True, told=on_progress)
    return found.reason if found.damaged else None


def _wrong(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return bool(mismatches(descriptor, most_bytes=QUICK_BYTES))
    except UnknownFormatError:
        return True
    finally:
        os.close(descriptor)
