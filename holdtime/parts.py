"""What a running holdtime is made of, opened only when all of it can be."""

import errno
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import duckdb
import structlog
from nacl.signing import VerifyKey
from prometheus_client import CollectorRegistry

from holdtime.settings import ConfigurationError, Settings
from ingest.metrics import IngestMetrics
from ingest.signature import UnusableKeyError, parse_keys
from ingest.sqlite_file import UnusableLogError
from ingest.sqlite_log import PARTITION, SqliteLog
from processors.landing import Landing
from processors.metrics import ProcessorMetrics
from processors.migration import open_current
from warehouse.database import OutdatedError, WarehouseError, open_writer

T = TypeVar("T")

logger = structlog.get_logger("warehouse")

EXPECTED = (UnusableKeyError, UnusableLogError, WarehouseError, OSError, ValueError)
"""What can be wrong with a configuration, as against with holdtime."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Keys that verify, a log and a warehouse that are ours alone, and a socket that listens."""

    keys: tuple[VerifyKey, ...]
    log: SqliteLog
    db: duckdb.DuckDBPyConnection
    landing: Landing
    listener: socket.socket
    registry: CollectorRegistry
    ingest_metrics: IngestMetrics
    processor_metrics: ProcessorMetrics


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Parts]:
    """Open everything, or raise ConfigurationError with every fault and leave nothing open and nothing made."""
    environment = settings.environment
    faults: list[str] = []

    def attempt(act: Callable[[], T]) -> T | None:
        try:
            return act()
        except EXPECTED as error:
            faults.append(str(error))
            return None

    async with AsyncExitStack() as stack:
        keys = attempt(lambda: public_keys(environment.public_key))
        listener = attempt(lambda: stack.enter_context(_listen(environment.http_host, environment.http_port)))
        log_path = attempt(lambda: environment.log_path)
        for name, path in (
            ("HOLDTIME_LOG", log_path),
            ("HOLDTIME_WAREHOUSE", environment.warehouse),
            ("HOLDTIME_REPLICA", environment.replica),
        ):
            if path is not None:
                attempt(lambda name=name, path=path: _require_writable(name, path))  # type: ignore[misc]
        attempt(lambda: require_apart(log_path, environment.warehouse, environment.replica))
        # What exists is opened although something else may be wrong, to name its faults too; new files are not made.
        db = attempt(lambda: _open_existing(environment.warehouse, stack))
        registry = CollectorRegistry()
        metrics = IngestMetrics(registry, keys=len(keys or ()))
        log = SqliteLog(log_path, on_commit=metrics.group_committed) if log_path else None
        log_existed = bool(log_path and log_path.exists())
        if log and log_existed:
            await _start(log, stack, faults)
        if faults or keys is None or listener is None or log is None or log_path is None:
            raise ConfigurationError(faults)
        if not log_existed:
            await _start(log, stack, faults)
        db = db or attempt(lambda: _open_warehouse(environment.warehouse, stack))
        longest_wait = timedelta(hours=settings.configuration.longest_wait_hours)
        landing = attempt(lambda: Landing(db, longest_wait=longest_wait)) if db else None
        if faults or db is None or landing is None:
            raise ConfigurationError(faults)
        await _agree(log, landing)
        listener.listen(2048)
        yield Parts(keys, log, db, landing, listener, registry, metrics, ProcessorMetrics(registry))


async def _agree(log: SqliteLog, landing: Landing) -> None:
    """See to it that what the log will hold is not taken for what has landed from an older log."""
    end, landed = log.end().get(PARTITION, 0), landing.positions().get(PARTITION, 0)
    if end == 0 < landed:
        await log.continue_after(landed)
    elif end < landed:
        raise ConfigurationError(
            [
                f"HOLDTIME_LOG ends at position {end}, but the warehouse has landed up to {landed}: expected the log "
                "that it was made from, or a new one; put that log back, or move this one away"
            ]
        )


def public_keys(text: str) -> tuple[VerifyKey, ...]:
    """What TELNYX_PUBLIC_KEY holds. Raises UnusableKeyError."""
    try:
        return parse_keys(text)
    except UnusableKeyError as error:
        raise UnusableKeyError(f"TELNYX_PUBLIC_KEY: {error}") from None


def _listen(host: str, port: int) -> socket.socket:
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


def require_apart(*paths: Path | None) -> None:
    """Raise ValueError when two of the paths are one file: each would destroy the other."""
    files = [path.resolve() for path in paths if path is not None]
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
    if not path.exists():
        return None
    try:
        db = open_writer(path)
    except OutdatedError:
        return None  # bringing it up to date takes a while: once there is no other fault
    stack.callback(db.close)
    return db


def _open_warehouse(path: Path, stack: AsyncExitStack) -> duckdb.DuckDBPyConnection:
    db = open_current(path, told=lambda done, total: logger.info("warehouse_migrating", done=done, total=total))
    stack.callback(db.close)
    return db


async def _start(log: SqliteLog, stack: AsyncExitStack, faults: list[str]) -> None:
    try:
        await log.start()
    except EXPECTED as error:
        faults.append(str(error))
    else:
        stack.push_async_callback(log.close)
