"""Whether a log is the one that a warehouse was made from; a log that lost its end goes on after what has landed."""

import asyncio
import time

import duckdb
import structlog

from eventlog.batch import Positions
from eventlog.log import DAMAGED, Log, LogUnavailableError, Record, ResumableLog
from holdtime.config.settings import ConfigurationError
from processors.landing.landing import Landing

logger = structlog.get_logger("warehouse")

COMPARED = 200
"""So many of the log's last records are compared with those that landed from their positions."""

_ASK_FOR_LOST = "what an older log held after that is lost: `holdtime reconcile --once --since 24h` asks Telnyx for it"


async def check_log_matches(log: Log, landing: Landing) -> None:
    """Require that the warehouse was made from this log, and have a log that lost its end go on after what has landed.

    Raises ConfigurationError. A cluster that is away is not checked now.
    """
    try:
        ends = await asyncio.to_thread(log.end)
    except LogUnavailableError:
        return
    landed = landing.positions()
    if (file := log.resumable()) is not None and landed.get(file.PARTITION):
        await _check_file(file, landing, end=ends.get(file.PARTITION, 0), landed=landed[file.PARTITION])
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


def ends_before(log: Log, ends: Positions, landed: Positions) -> list[int]:
    """Return the partitions that end before their landed positions: it is another log, or one that lost records."""
    ours = sorted(partition for partition in landed if log.owns(partition))
    return [partition for partition in ours if ends.get(partition, -1) < landed[partition]]


async def _check_file(log: ResumableLog, landing: Landing, *, end: int, landed: int) -> None:
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
