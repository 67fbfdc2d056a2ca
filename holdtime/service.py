"""The service: what a process that serves does with the log and the warehouse, and how far it is."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from holdtime import event_log
from holdtime.parts import Parts, Warehouse, agree, ends_before, landing_of, open_warehouse, tells_facts
from holdtime.reconciler.standing import Standing
from holdtime.settings import Settings
from holdtime.steady_clock import SteadyClock
from holdtime.watchdog import Watchdog
from ingest.log import Extent, LogUnavailableError
from processors.app import Processor
from processors.outbox import Change
from warehouse.database import LockedError
from warehouse.replica import publish

DRAIN = timedelta(seconds=10)
"""How long a stop waits for what is in flight, and then for what the log still holds."""

_TURN_S = 1.0
_WATCH_S = 2.0

log = structlog.get_logger("holdtime")


@dataclass(slots=True)
class Service:
    """What this process does, and how far it is."""

    settings: Settings
    parts: Parts
    ingests: bool
    lands: bool
    stop: threading.Event = field(default_factory=threading.Event)
    clock: SteadyClock = field(default_factory=SteadyClock)
    processor: Processor | None = None
    reconciling: Standing | None = None

    def unready(self) -> str | None:
        """Why nothing should be sent here now, or None."""
        if self.ingests and self.parts.log.unavailable:
            return self.parts.log.unavailable
        if not self.lands:
            return None
        if self.processor is None:
            return "standby: another process has the warehouse"
        return None if self.processor.progress.replica_at else "the warehouse is still being opened"

    def status(self) -> dict[str, object]:
        """How far log, warehouse and replica are; null where that cannot be said."""
        progress = self.processor.progress if self.processor else None
        held = lag = None
        try:
            extent = Extent.of(self.parts.log)
            held, lag = extent.held, extent.lag(progress.landed if progress else {})
        except LogUnavailableError as error:
            log.warning("log_unreadable", reason=str(error))
        return {
            "log_end": held,
            "landed": held - lag if progress and held is not None and lag is not None else None,
            "lag_events": lag if progress else None,
            "last_landed_at": _iso(progress.last_landed_at if progress else None),
            "replica_at": _iso(progress.replica_at if progress else None),
            "standby": self.lands and self.processor is None,
            "reconciler": self.reconciling.status() if self.reconciling else None,
        }

    async def process(self) -> None:
        """Land until told to stop, as soon as the warehouse is ours."""
        async with AsyncExitStack() as stack:
            warehouse = self.parts.warehouse or await self._our_turn(stack)
            if warehouse is None:
                return
            paths = self.settings.environment
            tell = await self._fact_stream(stack)
            self.processor = Processor(
                reader=self.parts.log,
                landing=warehouse.landing,
                publish=partial(publish, warehouse.db, paths.warehouse, paths.replica),
                metrics=self.parts.processor_metrics,
                tell=tell,
                keep_landed=timedelta(days=self.settings.configuration.keep_log_days),
                clock=self.clock,
            )
            watching = asyncio.create_task(self._watch(self.processor))
            try:
                await asyncio.to_thread(self.processor.run, self.stop, drain_for=DRAIN)
            finally:
                watching.cancel()

    async def _fact_stream(self, stack: AsyncExitStack) -> Callable[[list[Change]], None] | None:
        if not tells_facts(self.settings):
            return None
        from processors.fact_stream import FactStream  # noqa: PLC0415 - only those who use Kafka wait for its import

        stream = FactStream(event_log.connection_of(self.settings))
        await stream.start()
        stack.push_async_callback(stream.close)
        return stream.publish

    async def _our_turn(self, stack: AsyncExitStack) -> Warehouse | None:
        """Wait until nobody else has the warehouse, then open it; None if told to stop before."""
        standby = self.parts.processor_metrics.standby
        while not self.stop.is_set():
            try:
                db = await asyncio.to_thread(open_warehouse, self.settings.environment.warehouse, stack)
            except LockedError:
                if standby._value.get() == 0:
                    log.info("standing_by")
                standby.set(1)
                await asyncio.to_thread(self.stop.wait, _TURN_S)
                continue
            standby.set(0)
            landing = landing_of(db, self.settings)
            await agree(self.parts.log, landing)
            log.info("taking_over")
            return Warehouse(db, landing)
        return None

    async def _watch(self, processor: Processor) -> None:
        """Keep the lag's metric true, and end the process when landing is stuck: what was promised is in the log."""
        watchdog = Watchdog()
        while True:
            await asyncio.sleep(_WATCH_S)
            done = dict(processor.progress.landed)  # before the log's end is: what lands meanwhile is not beyond it
            try:
                extent = await asyncio.to_thread(Extent.of, self.parts.log)
            except LogUnavailableError:
                watchdog.excuse()
                continue
            short = ends_before(self.parts.log, extent.ends, done)
            if watchdog.has_lost(short):
                # What comes now gets positions that have landed, and would be passed over: starting again says so.
                log.error("log_ends_before_landed", partitions=short)
                os._exit(1)
            self.parts.processor_metrics.clock_off.set(self.clock.off().total_seconds())
            lag = extent.lag(done)
            landed = extent.held - lag
            metrics = self.parts.processor_metrics
            metrics.lag.set(lag)
            if processor.progress.replica_at:
                metrics.replica_at.set(processor.progress.replica_at.timestamp())
            publishing = processor.progress.publishing
            if watchdog.is_stuck(landed, lag, time.monotonic(), publishing=publishing):
                log.error("no_progress", landed=landed, lag=lag, patience_s=watchdog.patience.total_seconds())
                os._exit(1)  # a thread that is stuck would keep any gentler end waiting


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
