"""A look at landing every so often: how far it lags, whether it is stuck, and whether the log lost what landed."""

import asyncio
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from eventlog.log import Log, LogExtent, LogUnavailableError
from holdtime.service.landing_state import LandingState
from holdtime.service.log_match import ends_before
from holdtime.service.steady_clock import SteadyClock
from holdtime.service.watchdog import Watchdog
from processors.metrics import ProcessorMetrics
from processors.progress import Progress
from warehouse.errors import Trouble

POLL_S = 2.0

log = structlog.get_logger("holdtime")


@dataclass(slots=True)
class LandingWatch:
    """Watches one processor's `progress` while it lands.

    A process that only lands ends where it is stuck, so that another one takes over; one that takes deliveries goes on
    taking them. `drain` is how long a stop waits for a stuck thread.
    """

    log: Log
    progress: Progress
    state: LandingState
    metrics: ProcessorMetrics
    clock: SteadyClock
    ingests: bool
    stop: threading.Event
    drain: timedelta
    _watchdog: Watchdog = field(default_factory=Watchdog)
    _stuck_at: float | None = None

    async def run(self, before_each: Callable[[], Awaitable[None]]) -> None:
        """Look every `POLL_S` until cancelled, each time after `before_each`."""
        reached = dict(self.progress.landed)
        while True:
            await asyncio.sleep(POLL_S)
            await before_each()
            self._end_if_stopped_while_stuck()
            done = dict(self.progress.landed)  # before the log's end is: what lands meanwhile is not beyond it
            try:
                extent = await asyncio.to_thread(LogExtent.of, self.log)
            except LogUnavailableError:
                self._watchdog.reset()
                continue
            self._end_if_log_lost(ends_before(self.log, extent.ends, done))
            lag = extent.lag(done)
            self._measure(lag)
            landed = extent.held - lag
            if self._watchdog.is_stuck(landed, lag, time.monotonic(), publishing=self.progress.publishing):
                self._stuck_at, reached = self._stuck_at or time.monotonic(), done
                self._say_stuck(landed, lag)
            elif self.state.away is not None and (lag == 0 or done != reached):  # opened anew is not yet landing
                self._stuck_at = None
                self.state.resume()

    def _measure(self, lag: int) -> None:
        self.metrics.clock_off.set(self.clock.off().total_seconds())
        self.metrics.lag.set(lag)
        if self.progress.replica_at:
            self.metrics.replica_at.set(self.progress.replica_at.timestamp())

    def _end_if_stopped_while_stuck(self) -> None:
        if self._stuck_at is None or not self.stop.is_set():
            return
        if time.monotonic() - self._stuck_at > self.drain.total_seconds():
            _end()  # all else has stopped, and a thread that is stuck would keep the process for ever

    def _end_if_log_lost(self, short: list[int]) -> None:
        if self._watchdog.has_lost(short):
            # What comes now gets positions that have landed, and would be passed over: starting again says so.
            log.error("log_ends_before_landed", partitions=short)
            os._exit(1)

    def _say_stuck(self, landed: int, lag: int) -> None:
        if self.state.away is not None and self.state.away.why is Trouble.STUCK:
            return
        timeout = self._watchdog.timeout
        log.error("no_progress", landed=landed, lag=lag, patience_s=timeout.total_seconds())
        if not self.ingests:
            _end()  # a thread that is stuck would keep any gentler end waiting
        _print_stacks()
        reason = f"nothing has landed for {timeout}: deliveries are taken; restart this process when it suits"
        self.state.get_stuck(reason)


def _end() -> None:
    """End the process at once, after printing where every thread is."""
    _print_stacks()
    os._exit(1)


def _print_stacks() -> None:
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback(sys.__stderr__, all_threads=True)
