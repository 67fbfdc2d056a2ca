"""The heartbeat of an ingest before a log on Kafka, where any number of them take webhooks.

Each leaves a beat in a topic every so often. The first that finds no recent beat there records that ingest was down.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NoReturn, Protocol

import structlog

from eventlog.log import Log, LogUnavailableError
from holdtime.service.steady_clock import elapsed_s
from reconciler.outage import MIN_OUTAGE, between

EVERY_S = 30.0

log = structlog.get_logger("ingest")


class Beats(Protocol):
    """Where ingests leave their beats. Both raise LogUnavailableError."""

    async def last(self) -> datetime | None:
        """Return when the last beat of any ingest was; None where there was none."""

    async def beat(self, now: datetime) -> None:
        """Leave one of now."""


async def keep_beating(
    beats: Beats,
    to: Log,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    elapsed: Callable[[], float] = elapsed_s,
    every_s: float = EVERY_S,
) -> NoReturn:
    """Leave a beat every `every_s` until cancelled, and append to the log that ingest was down before, where it was.

    Time in which this process could take webhooks is no outage, also while the cluster was away: a spool kept them.
    `elapsed` counts the seconds since then, so a clock that jumps makes no outage.
    """
    here_s: float | None = None
    while True:
        now, now_s = clock(), elapsed()
        try:
            await _beat(beats, to, now, None if here_s is None else timedelta(seconds=now_s - here_s))
        except LogUnavailableError as error:
            log.warning("liveness_not_told", reason=str(error))
        if to.unavailable is None:
            here_s = now_s
        await asyncio.sleep(every_s)


async def _beat(beats: Beats, to: Log, now: datetime, away: timedelta | None) -> None:
    """Leave a beat of now. `away` is how long ago this process could last take webhooks; None where it never could."""
    if away is None or away >= MIN_OUTAGE:
        last = await beats.last()
        since = max((each for each in (last, None if away is None else now - away) if each is not None), default=now)
        if (down := between(since, now)) is not None:
            await to.append(down)
            log.warning("ingest_was_down", since=since.isoformat(), until=now.isoformat())
    await beats.beat(now)
