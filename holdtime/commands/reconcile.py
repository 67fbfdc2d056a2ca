"""`holdtime reconcile`, and reconciling beside `holdtime up`: the reconciler with what it needs, opened and closed."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import NoReturn

import structlog
import uvicorn
from prometheus_client import CollectorRegistry

from eventlog.log import Log, LogUnavailableError
from eventlog.sqlite.writer import Bounds
from holdtime.config.settings import ConfigurationError, Settings
from holdtime.service import event_log
from holdtime.service.components import Store, opened_store
from holdtime.service.listeners import bind, limits_of
from holdtime.service.steady_clock import SteadyClock
from ingest import app as ingest_app
from ingest.http.bodies import MAX_BODY_BYTES
from ingest.http.limits import raise_descriptors
from processors.app import Processor
from processors.metrics import ProcessorMetrics
from reconciler.api import Api, opened
from reconciler.errors import ReconcilerError
from reconciler.metrics import ReconcilerMetrics
from reconciler.pace import Pace
from reconciler.reconciler import (
    Outcome,
    Reconciler,
    Told,
)
from reconciler.seen_events import Warehouse
from reconciler.status import Standing
from reconciler.turns import PASSING, next_turn

_MEMORY = "160MB"
"""For the database: what the webhooks missed is little at a time."""
_BOUNDS = Bounds(waiting_records=10_000, waiting_bytes=64 << 20, group_records=2_000)

log = structlog.get_logger("reconciler")


def key_faults(settings: Settings) -> list[str]:
    """What is missing to ask Telnyx anything."""
    if settings.environment.api_key.get_secret_value():
        return []
    return ["TELNYX_API_KEY is empty: expected a v2 API key of the account, from Mission Control, API keys"]


def run(settings: Settings, *, since: timedelta | None, told: Told) -> list[Outcome]:
    """Reconcile once. A log in a file and its warehouse must be ours alone.

    Raises ConfigurationError, UnauthorizedError.
    """
    _require_key(settings)

    async def once() -> list[Outcome]:
        async with _reconciling(settings, told=told) as (ours, _):
            return await ours.run(since)

    return asyncio.run(once())


def serve(settings: Settings, *, since: timedelta | None) -> None:
    """Reconcile now and then every so often until SIGTERM or SIGINT; answer /livez, /readyz, /metrics and /status.

    Raises ConfigurationError, UnauthorizedError.
    """
    _require_key(settings)
    asyncio.run(_serve(settings, since))


async def _serve(settings: Settings, since: timedelta | None) -> None:
    registry = CollectorRegistry()
    with ExitStack() as stack:
        faults: list[str] = []
        listeners = bind(settings.environment, stack, faults)
        try:
            limits = limits_of(settings, raise_descriptors())
        except ValueError as error:
            faults.append(str(error))
        if faults or listeners is None:
            raise ConfigurationError(faults)
        async with _reconciling(settings, registry=registry) as (ours, to):
            app = ingest_app.build(
                None,
                registry=registry,
                unready=lambda: to.unavailable or ours.standing.fault,
                status=lambda: {"reconciler": ours.standing.status()},
                hosts=settings.configuration.http.hosts,
                admin_port=listeners.admin_port,
            )
            server = uvicorn.Server(ingest_app.serve_config(app, limits=limits))

            def stop(*_: object) -> None:
                server.should_exit = True

            # uvicorn takes these signals only while it serves, and when it has shut down raises them again.
            for kind in (signal.SIGTERM, signal.SIGINT):
                signal.signal(kind, stop)
            listeners.listen()
            asking = asyncio.create_task(_again_and_again(ours, settings, since))
            asking.add_done_callback(stop)
            await server.serve(sockets=listeners.sockets)
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking


async def _again_and_again(ours: Reconciler, settings: Settings, since: timedelta | None = None) -> NoReturn:
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


@asynccontextmanager
async def _reconciling(
    settings: Settings, *, registry: CollectorRegistry | None = None, told: Told = lambda *_: None
) -> AsyncIterator[tuple[Reconciler, Log]]:
    """A reconciler that lands what it finds, and its log; where that is in a cluster, another process lands it."""
    if settings.environment.log_is_kafka:
        try:
            log_of_all = event_log.of(settings)
            await log_of_all.start()
        except (ValueError, OSError, LogUnavailableError) as error:
            raise ConfigurationError([str(error)]) from None
        try:
            async with reconciler(settings, log_of_all, registry=registry, told=told) as ours:
                yield ours, log_of_all
        finally:
            await log_of_all.close()
        return
    async with opened_store(settings, _BOUNDS, _MEMORY) as store:
        processor = Processor(
            reader=store.log,
            landing=store.landing,
            publisher=store.publisher,
            metrics=ProcessorMetrics(registry or CollectorRegistry()),
        )

        async def settle() -> None:
            landing = asyncio.create_task(asyncio.to_thread(_land, processor, store))
            try:
                await asyncio.shield(landing)
            except asyncio.CancelledError:
                await landing  # nothing may be closed under it
                raise

        await settle()
        async with reconciler(settings, store.log, settle=settle, registry=registry, told=told) as ours:
            yield ours, store.log


def _land(processor: Processor, store: Store) -> None:
    """Land all that the log holds, and show it."""
    while processor.land_next():
        pass
    store.publisher.publish()


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
            await _again_and_again(ours, settings)
        except ReconcilerError as error:
            standing.fault = str(error)
            log.error("reconciliation_stopped", reason=str(error))
        except Exception as error:
            standing.fault = f"{type(error).__name__}: see the log"
            log.exception("reconciliation_stopped")
            raise


def _require_key(settings: Settings) -> None:
    if faults := key_faults(settings):
        raise ConfigurationError(faults)
