"""What a running holdtime is made of, opened only when all of it can be."""

import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb
from nacl.signing import VerifyKey
from prometheus_client import CollectorRegistry

from eventlog.log import Log, LogUnavailableError
from eventlog.sqlite.file import UnusableLogError
from eventlog.sqlite.writer import Bounds
from holdtime.config.settings import ConfigurationError, Settings
from holdtime.faults import named
from holdtime.service import event_log
from holdtime.service.listeners import (
    Listeners,
    bind,
    limits_of,
)
from holdtime.service.opening import (
    Warehouse,
    agree,
    open_now,
    open_warehouse,
)
from ingest.http.limits import Limits, raise_descriptors
from ingest.metrics import IngestMetrics
from ingest.refusals import Refusals
from ingest.signing.signature import UnusableKeyError, parse_keys
from ingest.webhook import unix_us
from processors.landing.landing import Landing
from processors.metrics import ProcessorMetrics
from warehouse.connection import name_fault
from warehouse.database import LANDING_MEMORY
from warehouse.errors import LockedError, WarehouseError
from warehouse.replica import Publisher

T = TypeVar("T")

EXPECTED = (UnusableKeyError, UnusableLogError, WarehouseError, OSError, ValueError, duckdb.Error, sqlite3.Error)
"""What can be wrong with a configuration, as against with holdtime."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A log and a socket that listens; keys that verify, and a warehouse, where the process is to have them."""

    keys: tuple[VerifyKey, ...]
    log: Log
    warehouse: Warehouse | None
    listeners: Listeners
    limits: Limits
    registry: CollectorRegistry
    ingest_metrics: IngestMetrics
    refusals: Refusals
    processor_metrics: ProcessorMetrics


@asynccontextmanager
async def opened(settings: Settings, *, ingests: bool = True, lands: bool = True) -> AsyncIterator[Parts]:
    """Open everything, or raise ConfigurationError with every fault and leave nothing open and nothing made.

    A process that does not ingest has no keys and does not open the log for writing; one that does not land here and
    now (it has nothing to land, or waits for its turn) has no warehouse.
    """
    environment = settings.environment
    faults: list[str] = []
    waits: list[str] = []

    def attempt(act: Callable[[], T]) -> T | None:
        try:
            return act()
        except EXPECTED as error:
            faults.extend(said(error))
            return None

    async with AsyncExitStack() as stack:
        keys = attempt(lambda: public_keys(environment.public_key)) if ingests else ()
        listeners = bind(environment, stack, faults)
        limits = attempt(lambda: limits_of(settings, raise_descriptors()))
        registry = CollectorRegistry()
        metrics = IngestMetrics(registry, keys=len(keys or ()))
        log = attempt(lambda: event_log.of(settings, on_commit=metrics.group_committed))
        for require in _requirements(settings):
            attempt(require)
        # What exists is opened although something else may be wrong, to name its faults too; new files are not made.
        warehouse = attempt(lambda: open_now(settings, stack, lands=lands, waits=waits))
        exists = log is not None and log.exists()
        if log and ingests and exists:
            await _start(log, stack, faults)
        if faults or keys is None or listeners is None or limits is None or log is None:
            raise ConfigurationError([*faults, *waits])
        metrics.spooled = log.spooled
        if ingests and not exists:
            await _start(log, stack, faults)
        elif not ingests:
            stack.push_async_callback(log.close)
        warehouse = warehouse or attempt(
            lambda: open_now(settings, stack, lands=lands, waits=waits, makes=True, log=log)
        )
        if faults:
            raise ConfigurationError(faults)
        if warehouse:
            await agree(log, warehouse.landing)
        listeners.listen()
        yield Parts(
            keys, log, warehouse, listeners, limits, registry, metrics, Refusals(unix_us), ProcessorMetrics(registry)
        )


def faults(settings: Settings, *, ingests: bool = True) -> list[str]:
    """What is wrong with the keys, the address and the files that the settings name; nothing stays open or is made.

    To be named with what is wrong with the settings themselves, where that keeps them from being opened.
    """
    environment = settings.environment
    looks: list[Callable[[], object]] = [
        lambda: public_keys(environment.public_key) if ingests else (),
        lambda: limits_of(settings, raise_descriptors()),
        lambda: environment.kafka_servers if environment.log_is_kafka else environment.log_path,
        *_requirements(settings),
    ]
    found: list[str] = []
    with ExitStack() as stack:
        bind(environment, stack, found)
    for look in looks:
        try:
            look()
        except EXPECTED as error:
            found.extend(said(error))
    return found


def said(error: Exception) -> list[str]:
    """One of the expected errors as lines."""
    return named(error) or [str(error)]


_DUCKDB_FILES = ("HOLDTIME_WAREHOUSE", "HOLDTIME_REPLICA")


def _files(settings: Settings) -> list[tuple[str, Path]]:
    """The files that the settings name, each with the name of its setting."""
    environment, spool = settings.environment, settings.configuration.kafka.spool
    files = [("HOLDTIME_WAREHOUSE", environment.warehouse), ("HOLDTIME_REPLICA", environment.replica)]
    if environment.log_is_kafka:
        return [*files, ("[kafka] spool", spool)] if spool else files
    try:
        return [("HOLDTIME_LOG", environment.log_path), *files]
    except ValueError:
        return files  # said where the log is opened


def _requirements(settings: Settings) -> list[Callable[[], None]]:
    """What has to be so of the files that the settings name, as looks that raise OSError or ValueError."""
    files = _files(settings)
    writable = [partial(_require_usable, name, path) for name, path in files]
    return [*writable, partial(require_apart, *(path for _, path in files))]


@dataclass(frozen=True, slots=True)
class Store:
    """A log and a warehouse that are ours alone, for a command that works on history."""

    log: Log
    landing: Landing
    publisher: Publisher


@asynccontextmanager
async def opened_store(settings: Settings, bounds: Bounds, memory_limit: str = LANDING_MEMORY) -> AsyncIterator[Store]:
    """Open log and warehouse, made where they are not there yet, or raise ConfigurationError and leave nothing open."""
    async with AsyncExitStack() as stack:
        try:
            store = await _open_store(settings, bounds, stack, memory_limit)
        except (UnusableLogError, LockedError) as error:
            alone = (
                "this command needs the log and the warehouse to itself: `holdtime up` must not run meanwhile, "
                "nor `process`"
            )
            raise ConfigurationError([str(error), alone]) from None
        except (*EXPECTED, LogUnavailableError) as error:
            raise ConfigurationError(said(error)) from None
        yield store


async def _open_store(settings: Settings, bounds: Bounds, stack: AsyncExitStack, memory_limit: str) -> Store:
    warehouse, replica = settings.environment.warehouse, settings.environment.replica
    for require in _requirements(settings):
        require()
    log = event_log.of(settings, bounds=bounds)
    await log.start()
    stack.push_async_callback(log.close)
    opened_warehouse = open_warehouse(settings, stack, memory_limit)
    await agree(log, opened_warehouse.landing)
    return Store(log, opened_warehouse.landing, Publisher(opened_warehouse.db, warehouse, replica))


def public_keys(text: str) -> tuple[VerifyKey, ...]:
    """What TELNYX_PUBLIC_KEY holds. Raises UnusableKeyError."""
    try:
        return parse_keys(text)
    except UnusableKeyError as error:
        raise UnusableKeyError(f"TELNYX_PUBLIC_KEY: {error}") from None


def require_apart(*paths: Path) -> None:
    """Raise ValueError when two of the paths are one file: each would destroy the other."""
    files = [path.resolve() for path in paths]
    if len(set(files)) < len(files):
        raise ValueError(
            "HOLDTIME_LOG, HOLDTIME_WAREHOUSE and HOLDTIME_REPLICA must be different files: two are the same"
        )


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # never an error, also where the folder is another user's


def _require_usable(name: str, path: Path) -> None:
    if name in _DUCKDB_FILES and (fault := name_fault(str(path))) is not None:
        raise ValueError(f"{name}: {fault}")
    if path.is_dir():
        raise OSError(f"{name}: {path} is a folder, expected a file or a path for a new one")
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f"{name}: cannot write in {folder}: make it writable for this user, or name another place")
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise OSError(f"{name}: {path} is not readable and writable for this user: change its mode or owner")


async def _start(log: Log, stack: AsyncExitStack, faults: list[str]) -> None:
    try:
        await log.start()
    except EXPECTED as error:
        faults.extend(said(error))
    else:
        stack.push_async_callback(log.close)
