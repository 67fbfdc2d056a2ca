"""Opening the warehouse for landing: at once, or after whatever keeps it away; mended where it is damaged."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import structlog

from eventlog.batch import Positions
from eventlog.log import (
    DAMAGED,
    Log,
    LogUnavailableError,
    Record,
    ResumableLog,
)
from holdtime.config.settings import (
    Configuration,
    ConfigurationError,
    Settings,
)
from processors.landing.landing import Landing
from processors.replay.migration import open_current
from warehouse import damage, queue_definitions, wal
from warehouse.database import LANDING_MEMORY, open_writer
from warehouse.errors import DamagedError, LockedError, OutdatedError, UnavailableError, explained
from warehouse.queue_definitions import QueueDefinition

logger = structlog.get_logger("warehouse")

COMPARED = 200
"""So many records of a log that have landed say whether it is the log that the warehouse was made from."""

_ASK_FOR_LOST = "what an older log held after that is lost: `holdtime reconcile --once --since 24h` asks Telnyx for it"


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A warehouse that is ours alone."""

    db: duckdb.DuckDBPyConnection
    landing: Landing


def open_now(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    lands: bool,
    waits: list[str],
    makes: bool = False,
    log: Log | None = None,
) -> Warehouse | None:
    """Open the warehouse if that can be done at once; None where landing waits for it, and deliveries are taken.

    That is where somebody holds it, the disk cannot serve now, it is damaged, or has to be brought up to date; `waits`
    gets why. A `log` that is new has to go on after what the warehouse has landed, so there is no waiting then. With
    `makes` a new warehouse is made, if there is no replica of an older one. Raises WarehouseError and ValueError for
    what a person must put right.
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
        return _opened(open_writer(paths.warehouse), settings, stack, _incomplete(settings))
    except (LockedError, DamagedError, OutdatedError, UnavailableError) as error:
        waits.append(str(error))
        return None


def open_mended(settings: Settings, stack: AsyncExitStack) -> Warehouse:
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


def open_warehouse(settings: Settings, stack: AsyncExitStack, memory_limit: str = LANDING_MEMORY) -> Warehouse:
    """Open the warehouse, brought up to date if need be, until the stack ends. Raises WarehouseError, ValueError."""

    def told(done: int, total: int) -> None:
        logger.info("warehouse_migrating", done=done, total=total)

    left = _incomplete(settings)
    with explained(settings.environment.warehouse):
        db = open_current(settings.environment.warehouse, on_progress=told, memory_limit=memory_limit)
    return _opened(db, settings, stack, left)


def _opened(db: duckdb.DuckDBPyConnection, settings: Settings, stack: AsyncExitStack, left: int) -> Warehouse:
    try:
        with explained(settings.environment.warehouse):
            landing = landing_of(db, settings)
            queue_definitions.put(db, _definitions(settings.configuration))
    except BaseException:
        db.close()  # what holds the file keeps this very process from opening it again
        raise
    stack.callback(db.close)
    if left:
        why = "the process that wrote it was killed, or it is damaged: what it held lands again from the log"
        logger.warning("warehouse_wal_incomplete", bytes=left, reason=why)
    return Warehouse(db, landing)


def _definitions(configured: Configuration) -> tuple[QueueDefinition, ...]:
    """What the views judge visits by. Raises ValueError where a queue's date is none."""
    from holdtime.config.queue_policies import definitions  # noqa: PLC0415 - polars is large, and landing needs none of it

    return definitions(configured)


def _incomplete(settings: Settings) -> int:
    """How many bytes of the warehouse's write-ahead log DuckDB will pass over without a word."""
    path = settings.environment.warehouse
    with explained(path):
        return wal.unread_bytes(wal.beside(path)) if path.is_file() else 0


def longest_wait(settings: Settings) -> timedelta:
    """How long a visit may last."""
    return timedelta(hours=settings.configuration.longest_wait_hours)


def landing_of(db: duckdb.DuckDBPyConnection, settings: Settings) -> Landing:
    """The landing as the settings want it: where changed facts are published, it notes them. Raises ValueError."""
    return Landing(db, longest_wait=longest_wait(settings), publishes=tells_facts(settings))


def tells_facts(settings: Settings) -> bool:
    """Whether changed facts are published."""
    return settings.environment.log_is_kafka and settings.configuration.kafka.facts


async def agree(log: Log, landing: Landing) -> None:
    """Require that the warehouse was made from this log, and have a log that lost its end go on after what has landed.

    Raises ConfigurationError; of a cluster that is away there is nothing to be said yet.
    """
    try:
        ends = await asyncio.to_thread(log.end)
    except LogUnavailableError:
        return
    landed = landing.positions()
    if (file := log.resumable()) is not None and landed.get(file.PARTITION):
        await _agree_with_file(file, landing, end=ends.get(file.PARTITION, 0), landed=landed[file.PARTITION])
        ends = await asyncio.to_thread(log.end)
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


async def _agree_with_file(log: ResumableLog, landing: Landing, *, end: int, landed: int) -> None:
    is_same = await asyncio.to_thread(_is_same, log, landing, min(end, landed)) if end else None
    if is_same is False:
        raise ConfigurationError(
            [
                "HOLDTIME_LOG holds other records than those that landed in HOLDTIME_WAREHOUSE from its positions, "
                f"up to {min(end, landed)}: expected the log that the warehouse was made from; put that log back, or "
                "name this log's own warehouse"
            ]
        )
    if end >= landed:
        return
    is_cut = bool(is_same) or await asyncio.to_thread(log.may_go_on)
    if is_cut or not end:
        await log.continue_after(landed)
        logger.warning("log_begins_anew", after=landed, do=_ASK_FOR_LOST)
    if is_cut:
        now_us = time.time_ns() // 1000
        await log.append(Record(b"", now_us, verified=False, rejection=DAMAGED))  # for all that may be lost


def _is_same(log: ResumableLog, landing: Landing, end: int) -> bool | None:
    """Whether the log's last records up to `end` are those that landed from there; None where none can be compared."""
    try:
        last = log.read({log.PARTITION: max(0, end - COMPARED)}, COMPARED)
    except LogUnavailableError:
        return None
    columns = (last.offsets, last.bodies, last.rejections)
    held = {offset: body for offset, body, rejection in zip(*columns, strict=True) if rejection is None}
    try:
        landed = landing.bodies_at(log.PARTITION, list(held))
    except duckdb.Error:
        return None  # where the warehouse is damaged, landing meets that as well, and has it mended
    return all(held[offset] == body for offset, body in landed.items()) if landed else None


def ends_before(log: Log, ends: Positions, landed: Positions) -> list[int]:
    """The partitions that end before what has landed of them: it is another log, or has lost what it had confirmed."""
    ours = sorted(partition for partition in landed if log.owns(partition))
    return [partition for partition in ours if ends.get(partition, -1) < landed[partition]]
