"""The reconciler of the settings, and running it again and again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NoReturn

import structlog
from prometheus_client import CollectorRegistry

from eventlog.log import Log
from holdtime.config.settings import Settings
from holdtime.service.steady_clock import SteadyClock
from ingest.http.bodies import MAX_BODY_BYTES
from reconciler.api import Api, opened
from reconciler.errors import ReconcilerError
from reconciler.metrics import ReconcilerMetrics
from reconciler.pace import Pace
from reconciler.reconciler import OnProgress, Reconciler
from reconciler.seen_events import ReplicaEvents
from reconciler.status import ReconcilerStatus
from reconciler.turns import PASSING, next_turn

log = structlog.get_logger("reconciler")


@asynccontextmanager
async def reconciler(
    settings: Settings,
    appender: Log,
    *,
    settle: Callable[[], Awaitable[None]] | None = None,
    registry: CollectorRegistry | None = None,
    status: ReconcilerStatus | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> AsyncIterator[Reconciler]:
    """The reconciler of these settings, with a client of its own; it tells `registry` how it stands."""
    configured = settings.configuration
    seen = ReplicaEvents(settings.environment.replica)
    key = settings.environment.api_key.get_secret_value()
    async with opened(key=key, base_url=settings.environment.base_url) as client:
        ours = Reconciler(
            Api(client, Pace(configured.reconciler.requests_a_minute)),
            appender,
            seen,
            settle=settle,
            clock=SteadyClock(),
            longest_wait=timedelta(hours=configured.longest_wait_hours),
            on_progress=on_progress,
            status=status or ReconcilerStatus(),
            max_body_bytes=MAX_BODY_BYTES,
        )
        if registry is not None:
            registry.register(ReconcilerMetrics(ours.api, ours.status))
        try:
            yield ours
        finally:
            seen.close()


async def every_so_often(
    settings: Settings, appender: Log, registry: CollectorRegistry, status: ReconcilerStatus
) -> None:
    """Reconcile on start and then again and again, until it is cancelled.

    A key that is not accepted ends it, with an error in the log: everything else goes on without it.
    """
    async with reconciler(settings, appender, registry=registry, status=status) as ours:
        try:
            await again_and_again(ours, settings)
        except ReconcilerError as error:
            status.fault = str(error)
            log.error("reconciliation_stopped", reason=str(error))
        except Exception as error:
            status.fault = f"{type(error).__name__}: see the log"
            log.exception("reconciliation_stopped")
            raise


async def again_and_again(ours: Reconciler, settings: Settings, since: timedelta | None = None) -> NoReturn:
    """Reconcile now, then every so often and after any time that ingest was down. Raises UnauthorizedError."""
    while True:
        began = ours.clock()
        try:
            await ours.run(since)
            since = None
        except PASSING as error:
            ours.status.fault = str(error)
            log.error("not_reconciled", reason=str(error))
        every_s = 60 * settings.configuration.reconciler.every_minutes
        await next_turn(ours.seen, began, ours.clock, every_s=every_s)
