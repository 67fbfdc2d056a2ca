"""Opening the warehouse for writing: at once or later, brought up to date, and mended where it is damaged."""

import os
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import structlog

from eventlog.log import Log
from holdtime.config.settings import Configuration, Settings
from holdtime.service import replica_access
from holdtime.service.facts import publishes_facts
from processors.landing.landing import Landing
from processors.replay.migration import open_current
from warehouse import damage, queue_definitions, wal
from warehouse.database import LANDING_MEMORY, open_writer
from warehouse.errors import DamagedError, LockedError, OutdatedError, UnavailableError, explained
from warehouse.gateway import Gateway
from warehouse.queue_definitions import QueueDefinition
from warehouse.replica import Publisher

logger = structlog.get_logger("warehouse")

Stack = ExitStack | AsyncExitStack


@dataclass(frozen=True, slots=True)
class OpenWarehouse:
    """A warehouse that this process alone writes, and how its replica is published."""

    db: duckdb.DuckDBPyConnection
    landing: Landing
    publisher: Publisher


def log_migration(done: int, total: int) -> None:
    """Say in the log how far a migration is, in parts."""
    logger.info("warehouse_migrating", done=done, total=total)


def open_now(
    settings: Settings,
    stack: Stack,
    *,
    lands: bool,
    waits: list[str],
    makes: bool = False,
    log: Log | None = None,
) -> OpenWarehouse | None:
    """Open the warehouse if that can be done at once; None where landing waits for it, and deliveries are taken.

    Landing waits where another process holds the warehouse, its disk cannot serve now, it is damaged, or it has to be
    brought up to date; `waits` gets the reason. A new `log` has to go on after the landed positions, so it never waits.
    With `makes` a new warehouse is made, if there is no replica of an older one. Raises WarehouseError and ValueError
    for faults that a person must mend.
    """
    paths = settings.environment
    is_there = paths.warehouse.is_file()
    if not lands or not (is_there or makes):
        return None
    has_past = is_there or paths.replica.exists()
    if log is not None and log.resumable() and has_past and not log.end():
        return open_mended(settings, stack)
    if has_past and not is_there:
        return None
    try:
        unread = _unread_wal_bytes(settings)
        return _landing_in(_prepared(open_writer(paths.warehouse), settings, stack, unread), settings)
    except (LockedError, DamagedError, OutdatedError, UnavailableError) as error:
        waits.append(str(error))
        return None


def open_mended(settings: Settings, stack: Stack) -> OpenWarehouse:
    """Open the warehouse after mending, making or bringing it up to date, as need be. Raises WarehouseError."""
    if not settings.environment.warehouse.exists():
        recover(settings)
    try:
        return open_warehouse(settings, stack)
    except DamagedError:
        if not recover(settings):
            raise
    return open_warehouse(settings, stack)


def recover(settings: Settings, *, insists: bool = False) -> bool:
    """Set a damaged warehouse aside, and put the replica in its place; returns whether there was damage.

    `insists` as in `warehouse.damage`. Raises WarehouseError.
    """
    paths = settings.environment
    recovery = damage.recover(paths.warehouse, paths.replica, now=datetime.now(UTC), insists=insists)
    if recovery is None:
        return False
    logger.error("warehouse_recovered", what=str(recovery))
    return True


def open_warehouse(
    settings: Settings,
    stack: Stack,
    *,
    memory_limit: str = LANDING_MEMORY,
    on_migration: Callable[[int, int], None] = log_migration,
) -> OpenWarehouse:
    """Open the warehouse, brought up to date if need be, until the stack ends. Raises WarehouseError, ValueError."""
    return _landing_in(_current(settings, stack, memory_limit, on_migration), settings)


def open_database(
    settings: Settings,
    stack: Stack,
    *,
    memory_limit: str = LANDING_MEMORY,
    bulk: bool = False,
    on_migration: Callable[[int, int], None] = log_migration,
) -> duckdb.DuckDBPyConnection:
    """Open the same file for a process that lands nothing. Raises WarehouseError, ValueError."""
    return _current(settings, stack, memory_limit, on_migration, bulk=bulk)


def _current(
    settings: Settings,
    stack: Stack,
    memory_limit: str,
    on_migration: Callable[[int, int], None],
    *,
    bulk: bool = False,
) -> duckdb.DuckDBPyConnection:
    unread = _unread_wal_bytes(settings)
    path = settings.environment.warehouse
    with explained(path):
        db = open_current(path, on_progress=on_migration, memory_limit=memory_limit, bulk=bulk)
    return _prepared(db, settings, stack, unread)


def _prepared(
    db: duckdb.DuckDBPyConnection, settings: Settings, stack: Stack, unread_wal_bytes: int
) -> duckdb.DuckDBPyConnection:
    """Close the connection when the stack ends, and write the definitions of queues that the settings hold."""
    with _closed_after_error(db), explained(settings.environment.warehouse):
        queue_definitions.put(db, _definitions(settings.configuration))
    stack.callback(db.close)
    if unread_wal_bytes:
        why = "the process that wrote it was killed, or it is damaged: what it held lands again from the log"
        logger.warning("warehouse_wal_incomplete", bytes=unread_wal_bytes, reason=why)
    return db


def _landing_in(db: duckdb.DuckDBPyConnection, settings: Settings) -> OpenWarehouse:
    """Return the landing, which notes changed facts where the settings want them published. Raises ValueError."""
    paths = settings.environment
    longest_wait = timedelta(hours=settings.configuration.longest_wait_hours)
    with _closed_after_error(db), explained(paths.warehouse):
        landing = Landing(db, longest_wait=longest_wait, publishes=publishes_facts(settings))
        return OpenWarehouse(db, landing, make_publisher(db, settings))


def make_publisher(db: duckdb.DuckDBPyConnection, settings: Settings) -> Publisher:
    """Return the publisher of a warehouse that is open. Raises ValueError."""
    paths, publish = settings.environment, settings.configuration.publish
    seen_as = paths.replica.absolute()
    if publish.paths == "relative":
        seen_as = Path(os.path.relpath(seen_as))
    gateway = Gateway(paths.gateway, seen_as)
    return Publisher(db, paths.warehouse, paths.replica, replica_access.of(publish), gateway)


@contextmanager
def _closed_after_error(db: duckdb.DuckDBPyConnection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        db.close()  # an open file keeps this very process from opening it again
        raise


def _definitions(configured: Configuration) -> tuple[QueueDefinition, ...]:
    """Return the definitions of queues for the views. Raises ValueError where a queue's date is none."""
    from holdtime.config.queue_policies import definitions  # noqa: PLC0415 - polars is large, and landing needs none of it

    return definitions(configured)


def _unread_wal_bytes(settings: Settings) -> int:
    """Count the bytes of the warehouse's write-ahead log that DuckDB will skip without an error."""
    path = settings.environment.warehouse
    with explained(path):
        return wal.unread_bytes(wal.beside(path)) if path.is_file() else 0
