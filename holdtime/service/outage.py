"""When nobody was there to take webhooks: told afterwards, as an event in the log.

One process that does everything knows it on start, by the clock that the last landing left. Where any number of
`holdtime ingest` take webhooks, each tells every so often that it is there, and the first that finds that nobody had
told for a while tells that ingest was down.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NoReturn, Protocol

import duckdb
import structlog

from eventlog.log import (
    Log,
    LogUnavailableError,
    Origin,
    Record,
)
from holdtime.service.steady_clock import elapsed_s
from reconciler.found import observed
from warehouse.instants import EPOCH
from warehouse.query import value

EVENT_TYPE = "reconciler.ingest.down"
NOTICED = timedelta(minutes=2)
"""A running holdtime lands once a minute, if only the time; a gap of less than this is none."""
EVERY_S = 30.0
LONGEST = timedelta(days=31)
"""An outage that is longer is not told: a clock that jumped is likelier, and the reconciler reads no further back."""

log = structlog.get_logger("ingest")


class Liveness(Protocol):
    """Where ingests tell that they are there. Both raise LogUnavailableError."""

    async def last(self) -> datetime | None:
        """When one of them last told."""

    async def beat(self, now: datetime) -> None:
        """Tell that one is there now."""


def outage(db: duckdb.DuckDBPyConnection, now: datetime, *, heard_at: datetime | None = None) -> Record | None:
    """The time since anything landed in this warehouse, be it only time, as a record; None if it is short.

    `heard_at` is when the log took something last: it may have taken deliveries while nothing landed.
    """
    judged_us = value(db, "select epoch_us(judged_at) from warehouse")
    if judged_us is None:
        return None
    judged_at = EPOCH + timedelta(microseconds=judged_us)
    return between(max(judged_at, heard_at or judged_at), now)


def between(since: datetime, now: datetime) -> Record | None:
    """That ingest was down from `since` until now, as a record; None if that is not worth a word, or not believed."""
    if now - since < NOTICED:
        return None
    if now - since > LONGEST:
        log.warning("outage_not_told", since=since.isoformat(), until=now.isoformat(), reason="is the clock right?")
        return None
    said = {"start": since.isoformat(), "end": now.isoformat()}
    body = observed(EVENT_TYPE, since, said).body
    return Record(body, int(now.timestamp() * 1_000_000), Origin.RECONCILER, verified=False)


async def keep_telling(
    liveness: Liveness,
    to: Log,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    elapsed: Callable[[], float] = elapsed_s,
    every_s: float = EVERY_S,
) -> NoReturn:
    """Tell again and again that this ingest is there, until cancelled, and what went before, where nobody was.

    Time in which this process could take webhooks is none, also while the cluster was away: a spool kept them. How
    long ago that was is counted by `elapsed`, in seconds, so a clock that jumps makes no outage.
    """
    here_s: float | None = None
    while True:
        now, now_s = clock(), elapsed()
        try:
            await _tell(liveness, to, now, None if here_s is None else timedelta(seconds=now_s - here_s))
        except LogUnavailableError as error:
            log.warning("liveness_not_told", reason=str(error))
        if to.unavailable is None:
            here_s = now_s
        await asyncio.sleep(every_s)


async def _tell(liveness: Liveness, to: Log, now: datetime, away: timedelta | None) -> None:
    """Tell that one is there now; it was there `away` ago, if ever."""
    if away is None or away >= NOTICED:
        told = await liveness.last()
        since = max((each for each in (told, None if away is None else now - away) if each is not None), default=now)
        if (down := between(since, now)) is not None:
            await to.append(down)
            log.warning("ingest_was_down", since=since.isoformat(), until=now.isoformat())
    await liveness.beat(now)
