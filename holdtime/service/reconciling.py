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
from reconciler.reconciler import Reconciler, Told
from reconciler.seen_events import Warehouse
from reconciler.status import Standing
from reconciler.turns import PASSING, next_turn

log = structlog.get_logger("reconciler")


@asynccontextmanager
async def reconciler(
    settings: Settings,
    appender: Log,
    *,
    settle: Callable[[], Awaitable[None]] | None = None,
    registry: CollectorRegistry | None = None,
    standing: Standing | None = None,
    told: Told = lambda *_: None,
) -> AsyncIterator[Reconciler]:
    """The reconciler of these settings, with a client of its own; it tells `registry` how it stands."""
    configured = settings.configuration
    known = Warehouse(settings.environment.replica)
    key = settings.environment.api_key.get_secret_value()
    async with opened(key=key, base_url=settings.environment.base_url) as client:
        ours = Reconciler(
            Api(client, Pace(configured.reconciler.requests_a_minute)),
            appender,
            known,
            settle=settle,
            clock=SteadyClock(),
            longest_wait=timedelta(hours=configured.longest_wait_hours),
            told=told,
            standing=standing or Standing(),
            max_body_bytes=MAX_BODY_BYTES,
        )
        if registry is not None:
            registry.register(ReconcilerMetrics(ours.api, ours.standing))
        try:
            yield ours
        finally:
            known.close()


async def every_so_often(settings: Settings, appender: Log, registry: CollectorRegistry, standing: Standing) -> None:
    """Reconcile on start and then again and again, until it is cancelled.

    A key that is not accepted ends it, with an error in the log: everything else goes on without it.
    """
    async with reconciler(settings, appender, registry=registry, standing=standing) as ours:
        try:
            await again_and_again(ours, settings)
        except ReconcilerError as error:
            standing.fault = str(error)
            log.error("reconciliation_stopped", reason=str(error))
        except Exception as error:
            standing.fault = f"{type(error).__name__}: see the log"
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
            ours.standing.fault = str(error)
            log.error("not_reconciled", reason=str(error))
        every_s = 60 * settings.configuration.reconciler.every_minutes
        await next_turn(ours.known, began, ours.clock, every_s=every_s)
