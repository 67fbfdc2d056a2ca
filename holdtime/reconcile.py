"""`holdtime reconcile`, and reconciling beside `holdtime up`: the reconciler with what it needs, opened and closed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NoReturn

import structlog
from prometheus_client import CollectorRegistry

from holdtime import event_log
from holdtime.parts import Store, opened_store
from holdtime.reconciler.api import Api, opened
from holdtime.reconciler.errors import ReconcilerError
from holdtime.reconciler.known import Warehouse
from holdtime.reconciler.pace import Pace
from holdtime.reconciler.reconciler import Outcome, Reconciler, Told
from holdtime.settings import ConfigurationError, Settings
from ingest.log import Appender, LogUnavailableError
from ingest.sqlite_writer import Bounds
from processors.app import Processor
from processors.metrics import ProcessorMetrics
from warehouse.database import WarehouseError

_MEMORY = "160MB"
"""For the database: what the webhooks missed is little at a time."""
_BOUNDS = Bounds(waiting_records=10_000, waiting_bytes=64 << 20, group_records=2_000)

log = structlog.get_logger("reconciler")


def key_faults(settings: Settings) -> list[str]:
    """What is missing to ask Telnyx anything."""
    if settings.environment.api_key.get_secret_value():
        return []
    return ["TELNYX_API_KEY is empty: expected a v2 API key of the account, from Mission Control, API keys"]


def run(settings: Settings, *, since: timedelta | None, once: bool, told: Told) -> list[Outcome]:
    """Reconcile once, or again and again until it is interrupted. A log in a file and its warehouse must be ours alone.

    Raises ConfigurationError, UnauthorizedError.
    """
    if faults := key_faults(settings):
        raise ConfigurationError(faults)
    return asyncio.run(_run(settings, since, told, once=once))


async def _run(settings: Settings, since: timedelta | None, told: Told, *, once: bool) -> list[Outcome]:
    async with _reconciler(settings, told) as ours:
        if not once:
            await _again_and_again(ours, settings, since)
        return await ours.run(since)


async def _again_and_again(ours: Reconciler, settings: Settings, since: timedelta | None = None) -> NoReturn:
    """Reconcile now and then every so often. What is away now may be there the next time. Raises UnauthorizedError."""
    while True:
        try:
            await ours.run(since)
            since = None
        except (LogUnavailableError, WarehouseError, OSError) as error:
            log.error("not_reconciled", reason=str(error))
        await asyncio.sleep(60 * settings.configuration.reconciler.every_minutes)


@asynccontextmanager
async def _reconciler(settings: Settings, told: Told) -> AsyncIterator[Reconciler]:
    """A reconciler that lands what it finds; where the log is in a cluster, another process does that."""
    if settings.environment.log_is_kafka:
        try:
            log_of_all = event_log.of(settings)
            await log_of_all.start()
        except (ValueError, OSError, LogUnavailableError) as error:
            raise ConfigurationError([str(error)]) from None
        try:
            async with reconciler(settings, log_of_all, told=told) as ours:
                yield ours
        finally:
            await log_of_all.close()
        return
    async with opened_store(settings, _BOUNDS, _MEMORY) as store:
        processor = Processor(
            reader=store.log,
            landing=store.landing,
            publish=store.publish,
            metrics=ProcessorMetrics(CollectorRegistry()),
        )

        async def settle() -> None:
            await asyncio.to_thread(_land, processor, store)

        await settle()
        async with reconciler(settings, store.log, settle=settle, told=told) as ours:
            yield ours


def _land(processor: Processor, store: Store) -> None:
    """Land all that the log holds, and show it."""
    while processor.land_next():
        pass
    store.publish()


@asynccontextmanager
async def reconciler(
    settings: Settings,
    appender: Appender,
    *,
    settle: Callable[[], Awaitable[None]] | None = None,
    told: Told = lambda *_: None,
) -> AsyncIterator[Reconciler]:
    """The reconciler of these settings, with a client of its own."""
    configured = settings.configuration
    known = Warehouse(settings.environment.replica)
    key = settings.environment.api_key.get_secret_value()
    async with opened(key=key, base_url=settings.environment.base_url or None) as client:
        try:
            yield Reconciler(
                Api(client, Pace(configured.reconciler.requests_a_minute)),
                appender,
                known,
                settle=settle,
                longest_wait=timedelta(hours=configured.longest_wait_hours),
                told=told,
            )
        finally:
            known.close()


async def every_so_often(settings: Settings, appender: Appender) -> None:
    """Reconcile on start and then again and again, until it is cancelled.

    A key that is not accepted ends it, with an error in the log: everything else goes on without it.
    """
    async with reconciler(settings, appender) as ours:
        try:
            await _again_and_again(ours, settings)
        except ReconcilerError as error:
            log.error("reconciliation_stopped", reason=str(error))
