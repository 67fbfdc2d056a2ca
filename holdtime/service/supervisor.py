"""Keeping landing going: whatever ends it, the warehouse is opened anew, and landing resumes by itself."""

import asyncio
import threading
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import duckdb
import structlog

from eventlog.log import (
    Log,
    LogUnavailableError,
    Record,
)
from holdtime.config.settings import Settings
from holdtime.service import facts
from holdtime.service.landing_state import EXPLAINED, Away, LandingState
from holdtime.service.landing_watch import LandingWatch
from holdtime.service.log_match import check_log_matches
from holdtime.service.opening import OpenWarehouse, open_warehouse, recover
from holdtime.service.outage import outage
from holdtime.service.steady_clock import SteadyClock
from processors.app import Processor
from processors.metrics import ProcessorMetrics
from processors.progress import Progress
from warehouse.errors import LockedError, Trouble, WarehouseError, trouble

DRAIN = timedelta(seconds=10)
"""How long a stop waits for what is in flight, and then for what the log still holds."""

AGAIN_S = 0.5
MAX_AGAIN_S = 5.0
"""How soon after a failure the warehouse is opened anew: twice as long each time, up to this; and never so often that
it takes more than a tenth of the time.
"""

MAX_PAUSE_S = 300.0

LOCK_POLL_S = 1.0
"""How often a process looks whether another one still has the warehouse."""

SETTLED_S = 60.0
"""Landing that went on for so long had overcome what had ended it before."""

log = structlog.get_logger("holdtime")


@dataclass(slots=True)
class Supervisor:
    """Lands the log's records until `stop` is set, in a thread; after any error it opens the warehouse anew.

    Ingest never depends on it: deliveries wait in the log. `processor` is set while landing goes on, `away` while it
    does not; `progress` is that of the last processor.
    """

    settings: Settings
    log: Log
    metrics: ProcessorMetrics
    ingests: bool
    stop: threading.Event
    clock: SteadyClock
    processor: Processor | None = None
    progress: Progress | None = None
    _state: LandingState = field(init=False)
    _began: tuple[datetime, datetime | None] | None = None
    _outage: Record | None = None
    _failures: int = 0
    _suspicions: int = 0

    def __post_init__(self) -> None:
        self._state = LandingState(self.settings.environment.warehouse, self.metrics)

    @property
    def away(self) -> Away | None:
        """Why nothing lands; None while landing goes on."""
        return self._state.away

    async def look_back(self) -> None:
        """Note when the last delivery came, before this process takes any: since then ingest was down."""
        heard_at = await asyncio.to_thread(self.log.last_received_at) if self.ingests else None
        self._began = datetime.now(UTC), heard_at

    async def run(self, opened: OpenWarehouse | None) -> None:
        """Land, first into `opened` where it is open already. Returns when told to stop, whatever ends landing."""
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                await self._land(opened)
                return
            except Exception as error:  # noqa: BLE001 - handed on: ingest goes on whatever ends landing
                opened = None
                if self.stop.is_set():
                    log.error("not_landed", reason=self._state.described(error))
                    return
                lasted_s = time.monotonic() - began
                if self.processor is not None and lasted_s > SETTLED_S:
                    self._failures = self._suspicions = 0
                self.processor = None
                pause_s = await self._after(error)
            await asyncio.to_thread(self.stop.wait, pause_s)

    async def _after(self, error: Exception) -> float:
        """Note the error and mend the warehouse, if it is damaged; returns the seconds to wait before the next try."""
        self._state.fail(error)
        if isinstance(error, LockedError):
            return LOCK_POLL_S
        began = time.monotonic()
        if trouble(error) is Trouble.DAMAGED:
            try:
                if await asyncio.to_thread(self._recover):
                    return 0.0
                self._suspicions += 1
            except (WarehouseError, OSError, duckdb.Error) as refusal:
                self._state.fail(refusal)
        took_s = time.monotonic() - began
        pause_s = max(min(AGAIN_S * 2.0 ** min(self._failures, 9), MAX_AGAIN_S), min(10 * took_s, MAX_PAUSE_S))
        if self.away is not None:
            unforeseen = None if isinstance(error, EXPLAINED) or self._failures else error
            why, reason = self.away.why, self.away.reason
            log.error("landing_away", why=str(why), reason=reason, retry_s=round(pause_s, 1), exc_info=unforeseen)
        self._failures += 1
        return pause_s

    def _recover(self) -> bool:
        """Mend the warehouse; returns whether there was damage."""
        mended = recover(self.settings, insists=self._suspicions > 0)
        if mended:
            self._suspicions = 0
            self.metrics.recovered.inc()
        return mended

    async def _land(self, opened: OpenWarehouse | None) -> None:
        async with AsyncExitStack() as stack:
            warehouse = opened or await self._open(stack)
            stack.callback(warehouse.db.close)
            self._look_for_outage(warehouse)
            await self._append_outage()
            processor = Processor(
                reader=self.log,
                landing=warehouse.landing,
                publisher=warehouse.publisher,
                metrics=self.metrics,
                publish_changes=await facts.open_stream(self.settings, stack),
                keep_landed=timedelta(days=self.settings.configuration.keep_log_days),
                clock=self.clock,
                progress=self.progress or Progress(),
            )
            self.progress = processor.progress
            self.processor = processor
            self.metrics.standby.set(0)
            if self.away is not None and self.away.why is Trouble.HELD:
                self._state.resume("taking_over")
            watch = LandingWatch(
                self.log, processor.progress, self._state, self.metrics, self.clock, self.ingests, self.stop, DRAIN
            )
            watching = asyncio.create_task(watch.run(before_each=self._append_outage))
            try:
                await asyncio.to_thread(processor.run, self.stop, drain_for=DRAIN)
            finally:
                watching.cancel()

    async def _open(self, stack: AsyncExitStack) -> OpenWarehouse:
        if not self.settings.environment.warehouse.exists():
            await asyncio.to_thread(self._recover)
        warehouse = await asyncio.to_thread(open_warehouse, self.settings, stack)
        await check_log_matches(self.log, warehouse.landing)
        return warehouse

    def _look_for_outage(self, warehouse: OpenWarehouse) -> None:
        """Once, in a process that takes deliveries: find the outage before its start."""
        if self.ingests and self._began is not None:
            (started, heard_at), self._began = self._began, None
            self._outage = outage(warehouse.db, started, heard_at=heard_at)

    async def _append_outage(self) -> None:
        if self._outage is None:
            return
        try:
            await self.log.append(self._outage)
        except LogUnavailableError as error:
            log.warning("outage_not_told", reason=str(error))  # the next look tries again
        else:
            self._outage = None
