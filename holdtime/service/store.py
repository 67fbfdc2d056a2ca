"""The log and the warehouse for a command that works on history, and has them to itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

import duckdb

from eventlog.log import Log, LogUnavailableError
from eventlog.sqlite.file import UnusableLogError
from eventlog.sqlite.writer import Bounds
from holdtime.config.settings import ConfigurationError, Settings
from holdtime.service import event_log, facts, requirements
from holdtime.service.log_match import check_log_matches
from holdtime.service.opening import OpenWarehouse, log_migration, open_database, open_warehouse
from warehouse.database import LANDING_MEMORY
from warehouse.errors import LockedError

ALONE = "this command needs the log and the warehouse to itself: `holdtime up` must not run meanwhile, nor `process`"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a command needs of log and warehouse.

    `bounds` is how much may wait to be appended, for a command that appends. `memory_limit` is as DuckDB takes it,
    `bulk` for statements over the whole history. `on_migration` gets how many parts are done and how many there are,
    while an older warehouse is brought up to date.
    """

    bounds: Bounds | None = None
    memory_limit: str = LANDING_MEMORY
    bulk: bool = False
    on_migration: Callable[[int, int], None] = log_migration


@dataclass(frozen=True, slots=True)
class Store:
    """A log and a warehouse that this process alone writes."""

    log: Log
    warehouse: OpenWarehouse


@asynccontextmanager
async def opened(settings: Settings, needs: Needs) -> AsyncIterator[Store]:
    """Open log and warehouse, made where they are not there yet; at the end, publish the facts that changed.

    Raises ConfigurationError, and leaves nothing open.
    """
    async with AsyncExitStack() as stack:
        with _explained():
            _require(requirements.of_files(settings))
            log = event_log.of(settings, bounds=needs.bounds)
            await log.start()
            stack.push_async_callback(log.close)
            warehouse = _open(settings, stack, needs)
            await check_log_matches(log, warehouse.landing)
        yield Store(log, warehouse)
        await facts.publish_pending(settings, warehouse.landing)


@contextmanager
def opened_warehouse(settings: Settings, needs: Needs | None = None) -> Iterator[OpenWarehouse]:
    """Open the warehouse alone; at the end, publish the facts that changed. Raises ConfigurationError."""
    with ExitStack() as stack:
        with _explained():
            _require(requirements.of_warehouse(settings))
            warehouse = _open(settings, stack, needs or Needs())
        yield warehouse
        asyncio.run(facts.publish_pending(settings, warehouse.landing))


@contextmanager
def opened_database(settings: Settings, needs: Needs) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse for a command that lands nothing. Raises ConfigurationError."""
    with ExitStack() as stack:
        with _explained():
            _require(requirements.of_warehouse(settings))
            db = open_database(
                settings, stack, memory_limit=needs.memory_limit, bulk=needs.bulk, on_migration=needs.on_migration
            )
        yield db


def _open(settings: Settings, stack: ExitStack | AsyncExitStack, needs: Needs) -> OpenWarehouse:
    return open_warehouse(settings, stack, memory_limit=needs.memory_limit, on_migration=needs.on_migration)


def _require(checks: list[Callable[[], None]]) -> None:
    for check in checks:
        check()


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what can be wrong with log and warehouse into a ConfigurationError."""
    try:
        yield
    except (UnusableLogError, LockedError) as error:
        raise ConfigurationError([str(error), ALONE]) from None
    except (*requirements.EXPECTED, LogUnavailableError) as error:
        raise ConfigurationError(requirements.fault_lines(error)) from None
