"""When to reconcile again: after so much time, or at once where ingest is back after it had been down."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

import duckdb
import structlog

from eventlog.log import LogUnavailableError
from reconciler.seen_events import SeenEvents
from warehouse.errors import WarehouseError

POLL_S = 30.0
"""How often to look whether ingest was down meanwhile."""

PASSING = (LogUnavailableError, WarehouseError, duckdb.Error, OSError)
"""Errors that may be gone the next time."""

log = structlog.get_logger("reconciler")


async def next_turn(
    seen: SeenEvents,
    began: datetime,
    clock: Callable[[], datetime],
    *,
    every_s: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Return when that much time has passed, or when ingest came back after the last run `began`."""
    left_s = every_s
    while left_s > 0:
        step_s = min(left_s, POLL_S)
        await sleep(step_s)
        left_s -= step_s
        with suppress(*PASSING):  # what cannot be read now is looked at the next time
            back_at = await asyncio.to_thread(seen.outage_ended, clock())
            if back_at is not None and back_at > began:
                log.info("ingest_is_back", since=back_at.isoformat())
                return
