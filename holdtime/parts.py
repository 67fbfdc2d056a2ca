"""What a running holdtime is made of, opened only when all of it can be."""

import asyncio
import errno
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb
import structlog
from nacl.signing import VerifyKey
from prometheus_client import CollectorRegistry

from holdtime import event_log
from holdtime.settings import ConfigurationError, Settings
from ingest.batch import Positions
from ingest.log import DAMAGED, Log, LogUnavailableError, Record
from ingest.metrics import IngestMetrics
from ingest.signature import UnusableKeyError, parse_keys
from ingest.sqlite_file import UnusableLogError
from ingest.sqlite_log import PARTITION, SqliteLog
from ingest.sqlite_writer import Bounds
from processors.landing import Landing
from processors.metrics import ProcessorMetrics
from processors.migration import open_current
from warehouse.database import LANDING_MEMORY, OutdatedError, WarehouseError, open_writer
from warehouse.replica import publish

T = TypeVar("T")

_ASK_FOR_LOST = "what an older log held after that is lost: `holdtime reconcile --once --since 24h` asks Telnyx for it"

logger = structlog.get_logger("warehouse")

EXPECTED = (UnusableKeyError, UnusableLogError, WarehouseError, OSError, ValueError)
"""What can be wrong with a configuration, as against with holdtime."""


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A warehouse that is ours alone."""

    db: duckdb.DuckDBPyConnection
    landing: Landing


@dataclass(frozen=True, slots=True)
class Parts:
    """A log and a socket that listens; keys that verify, and a warehouse, where the process is to have them."""

    keys: tuple[VerifyKey, ...]
    log: Log
    warehouse: Warehouse | None
    listener: socket.socket
    registry: CollectorRegistry
    ingest_metrics: IngestMetrics
    processor_metrics: ProcessorMetrics


@asynccontextmanager
async def opened(settings: Settings, *, ingests: bool = True, lands: bool = True) -> AsyncIterator[Parts]:
    """Open everything, or raise ConfigurationError with every fault and leave nothing open and nothing made.

    A process that does not ingest has no keys and does not open the log for writing; one that does not land here and
    now (it has nothing to land, or waits for its turn) has no warehouse.
    """
    environment = settings.environment
    faults: list[str] = []

    def attempt(act: Callable[[], T]) -> T | None:
        try:
            return act()
        except EXPECTED as error:
            faults.append(str(error))
            return None

    async with AsyncExitStack() as stack:
        keys = attempt(lambda: public_keys(environment.public_key)) if ingests else ()
        listener = attempt(lambda: stack.enter_context(listening(environment.http_host, environment.http_port)))
        registry = CollectorRegistry()
        metrics = IngestMetrics(registry, keys=len(keys or ()))
        log = attempt(lambda: event_log.of(settings, on_commit=metrics.group_committed))
        for require in _requirements(settings):
            attempt(require)
        # What exists is opened although something else may be wrong, to name its faults too; new files are not made.
        db = attempt(lambda: _open_existing(environment.warehouse, stack)) if lands else None
        exists = isinstance(log, SqliteLog) and environment.log_path.exists()
        if log and ingests and exists:
            await _start(log, stack, faults)
        if faults or keys is None or listener is None or log is None:
            raise ConfigurationError(faults)
        metrics.spooled = partial(event_log.spooled, log)
        if ingests and not exists:
            await _start(log, stack, faults)
        elif not ingests:
            stack.push_async_callback(log.close)
        db = db or (attempt(lambda: open_warehouse(environment.warehouse, stack)) if lands else None)
        landing = attempt(lambda: landing_of(db, settings)) if db else None
        if faults or (lands and landing is None):
            raise ConfigurationError(faults)
        warehouse = Warehouse(db, landing) if db and landing else None
        if landing:
            await agree(log, landing)
        listener.listen(2048)
        yield Parts(keys, log, warehouse, listener, registry, metrics, ProcessorMetrics(registry))


def faults(settings: Settings, *, ingests: bool = True) -> list[str]:
    """What is wrong with the keys, the address and the files that the settings name; nothing stays open or is made.

    To be named with what is wrong with the settings themselves, where that keeps them from being opened.
    """
    environment = settings.environment
    looks: list[Callable[[], object]] = [
        lambda: public_keys(environment.public_key) if ingests else (),
        lambda: listening(environment.http_host, environment.http_port).close(),
        lambda: environment.kafka_servers if environment.log_is_kafka else environment.log_path,
        *_requirements(settings),
    ]
    found = []
    for look in looks:
        try:
            look()
        except EXPECTED as error:
            found.append(str(error))
    return found


def longest_wait(settings: Settings) -> timedelta:
    """How long a visit may last."""
    return timedelta(hours=settings.configuration.longest_wait_hours)


def landing_of(db: duckdb.DuckDBPyConnection, settings: Settings) -> Landing:
    """The landing as the settings want it: where changed facts are published, it notes them. Raises ValueError."""
    return Landing(db, longest_wait=longest_wait(settings), tells=tells_facts(settings))


def tells_facts(settings: Settings) -> bool:
    """Whether changed facts are published."""
    return settings.environment.log_is_kafka and settings.configuration.kafka.facts


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
    writable = [partial(_require_writable, name, path) for name, path in files]
    return [*writable, partial(require_apart, *(path for _, path in files))]


@dataclass(frozen=True, slots=True)
class Store:
    """A log and a warehouse that are ours alone, for a command that works on history."""

    log: Log
    landing: Landing
    publish: Callable[[], None]


@asynccontextmanager
async def opened_store(settings: Settings, bounds: Bounds, memory_limit: str = LANDING_MEMORY) -> AsyncIterator[Store]:
    """Open log and warehouse, made where they are not there yet, or raise ConfigurationError and leave nothing open."""
    async with AsyncExitStack() as stack:
        try:
            store = await _open_store(settings, bounds, stack, memory_limit)
        except (UnusableLogError, WarehouseError) as error:
            alone = (
                "this command needs the log and the warehouse to itself: `holdtime up` must not run meanwhile, "
                "nor `process`"
            )
            raise ConfigurationError([str(error), alone]) from None
        except (OSError, ValueError, LogUnavailableError) as error:
            raise ConfigurationError([str(error)]) from None
        yield store


async def _open_store(settings: Settings, bounds: Bounds, stack: AsyncExitStack, memory_limit: str) -> Store:
    warehouse, replica = settings.environment.warehouse, settings.environment.replica
    for require in _requirements(settings):
        require()
    log = event_log.of(settings, bounds=bounds)
    await log.start()
    stack.push_async_callback(log.close)
    db = open_warehouse(warehouse, stack, memory_limit)
    landing = landing_of(db, settings)
    await agree(log, landing)
    return Store(log, landing, partial(publish, db, warehouse, replica))


async def agree(log: Log, landing: Landing) -> None:
    """See to it that what the log will hold is not taken for what has landed from an older log.

    Raises ConfigurationError; of a cluster that is away there is nothing to be said yet.
    """
    try:
        ends = await asyncio.to_thread(log.end)
    except LogUnavailableError:
        return
    landed = landing.positions()
    if isinstance(log, SqliteLog) and ends.get(PARTITION, 0) < landed.get(PARTITION, 0):
        is_salvaged = await asyncio.to_thread(log.may_go_on)
        if is_salvaged or not ends:
            await log.continue_after(landed[PARTITION])
            logger.warning("log_begins_anew", after=landed[PARTITION], do=_ASK_FOR_LOST)
        if is_salvaged:
            now_us = time.time_ns() // 1000
            await log.append(Record(b"", now_us, verified=False, rejection=DAMAGED))  # for all that may be lost
        if is_salvaged or not ends:
            return
    if short := ends_before(log, ends, landed):
        partition = short[0]
        raise ConfigurationError(
            [
                f"HOLDTIME_LOG ends at position {ends.get(partition, 'none')}"
                + (f" of partition {partition}" if partition else "")
                + f", but the warehouse has landed up to {landed[partition]}: expected the log that it was made from, "
                "or a new one; put that log back, or move this one away"
            ]
        )


def ends_before(log: Log, ends: Positions, landed: Positions) -> list[int]:
    """The partitions that end before what has landed of them: it is another log, or has lost what it had confirmed."""
    ours = {PARTITION} if isinstance(log, SqliteLog) else landed.keys() - {PARTITION}
    return [partition for partition in sorted(ours & landed.keys()) if ends.get(partition, -1) < landed[partition]]


def public_keys(text: str) -> tuple[VerifyKey, ...]:
    """What TELNYX_PUBLIC_KEY holds. Raises UnusableKeyError."""
    try:
        return parse_keys(text)
    except UnusableKeyError as error:
        raise UnusableKeyError(f"TELNYX_PUBLIC_KEY: {error}") from None


def listening(host: str, port: int) -> socket.socket:
    """A socket of that address, which does not listen yet. Raises OSError."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            text = f"port {port} of {host} is taken: stop what uses it, or set HOLDTIME_HTTP_PORT to a free one"
        else:
            text = f"cannot listen on {host}:{port}: {error.strerror or error}; see HOLDTIME_HTTP_HOST and _PORT"
        raise OSError(text) from None
    return listener


def require_apart(*paths: Path) -> None:
    """Raise ValueError when two of the paths are one file: each would destroy the other."""
    files = [path.resolve() for path in paths]
    if len(set(files)) < len(files):
        raise ValueError(
            "HOLDTIME_LOG, HOLDTIME_WAREHOUSE and HOLDTIME_REPLICA must be different files: two are the same"
        )


def _require_writable(name: str, path: Path) -> None:
    if path.is_dir():
        raise OSError(f"{name}: {path} is a folder, expected a file or a path for a new one")
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f"{name}: cannot write in {folder}: make it writable for this user, or name another place")
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise OSError(f"{name}: {path} is not readable and writable for this user: change its mode or owner")


def _open_existing(path: Path, stack: AsyncExitStack) -> duckdb.DuckDBPyConnection | None:
    if not path.is_file():
        return None
    try:
        db = open_writer(path)
    except OutdatedError:
        return None  # bringing it up to date takes a while: once there is no other fault
    stack.callback(db.close)
    return db


def open_warehouse(path: Path, stack: AsyncExitStack, memory_limit: str = LANDING_MEMORY) -> duckdb.DuckDBPyConnection:
    """Open the warehouse, brought up to date if need be, until the stack ends. Raises WarehouseError, LockedError."""

    def told(done: int, total: int) -> None:
        logger.info("warehouse_migrating", done=done, total=total)

    db = open_current(path, told=told, memory_limit=memory_limit)
    stack.callback(db.close)
    return db


async def _start(log: Log, stack: AsyncExitStack, faults: list[str]) -> None:
    try:
        await log.start()
    except EXPECTED as error:
        faults.append(str(error))
    else:
        stack.push_async_callback(log.close)
